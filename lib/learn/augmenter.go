package learn

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Augmenter changes images as a [Run] does in its steps, outside of one: to look at them, or to ask a network about
// images as it has learnt them. It is compiled once for images of a size.
type Augmenter struct {
	augment []Augmentation
	program *model.Program
}

// augmentedAtOnce is about how many pixels are changed at once.
const augmentedAtOnce = 1 << 21

// NewAugmenter makes one of augmentations, which keep the number of images: [Views] is none of them.
func NewAugmenter(augment ...Augmentation) (*Augmenter, error) {
	a := &Augmenter{augment: augment}
	var err error
	a.program, err = model.NewExec(func(images, random *graph.Node) *graph.Node {
		rows := images.Shape().Dimensions[0]
		g := images.Graph()
		b := &Batch{g: g, columns: map[string]*graph.Node{Images: images},
			numbers: graph.Iota(g, shapes.Make(dtypes.Int32, rows), 0), views: 1, random: random}
		for _, one := range a.augment {
			one.Augment(b)
		}
		if b.views != 1 {
			panic(fmt.Errorf("learn: an Augmenter keeps the number of images: leave Views out"))
		}
		return b.Images()
	})
	return a, err
}

// Of changes images, [N, H, W, C] float32 in 0..1, and returns others of that shape. One seed changes them alike again.
func (a *Augmenter) Of(images *tensors.Tensor, seed uint64) (*tensors.Tensor, error) {
	if a == nil || a.program == nil {
		return nil, fmt.Errorf("learn: there is nothing to change images by: NewAugmenter makes it")
	}
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || images.Size() == 0 ||
		images.DType() != floatType {
		return nil, fmt.Errorf("learn: images are a tensor [N, H, W, C] of float32 in 0..1")
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	d := images.Shape().Dimensions
	width := len(flat) / d[0]
	batch := min(d[0], max(1, augmentedAtOnce/(d[1]*d[2])))
	out := make([]float32, 0, len(flat))
	for from := 0; from < d[0]; from += batch {
		if err := interrupt.Err(); err != nil {
			return nil, interrupt.After(err, "learn: augmenting", from, d[0], "images")
		}
		random, err := graph.RNGStateFromSeed(int64(seed<<20 + uint64(from/batch)))
		if err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
		rows := make([]float32, batch*width)
		n := copy(rows, flat[from*width:])
		changed, err := a.program.Call1(tensors.FromFlatDataAndDimensions(rows, batch, d[1], d[2], d[3]), random)
		if err != nil {
			return nil, ours(err)
		}
		values, err := tensors.CopyFlatData[float32](changed)
		if err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
		model.Free(changed)
		out = append(out, values[:n]...)
	}
	return tensors.FromFlatDataAndDimensions(out, d...), nil
}

func (a *Augmenter) String() string {
	if a == nil {
		return "no augmentations"
	}
	return fmt.Sprintf("%d augmentations", len(a.augment))
}

// Close gives back what is compiled.
func (a *Augmenter) Close() {
	if a != nil && a.program != nil {
		a.program.Finalize()
	}
}
