// Package priors trains networks that each see one side of images, and combines them: Jain, Tsipras and Madry,
// "Combining Diverse Feature Priors", ICML 2022.
//
// A feature prior is what a network is kept to. Shape: [Canny] and [Sobel] leave it edges and take texture and colour
// away. Texture: a bag of local features, networks.SmallBagNet or networks.BagNet, sees patches of a few pixels.
// Networks with different priors fail on different images: see [Fail]. So they can be combined, by [Combine] and
// [Stack] when they answer, and by [CoTraining] when they learn, where each labels images for the other.
package priors

import (
	"fmt"
	"reflect"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Prior is what a network sees of an image: [Canny], [Sobel]. It is a value that can be compared and holds all that
// shapes its graph.
type Prior interface {
	// Of builds it for images, [N, H, W, C] float32 in 0..1 with one or three channels, and returns images of that
	// shape. It panics on what does not fit. No gradient goes through it: to ask for one is an error.
	Of(images *graph.Node) *graph.Node
	fmt.Stringer
}

// seenKey is what the programs of models behind a prior are kept under.
type seenKey struct{ prior Prior }

// WithPrior returns a network that has learnt from what a prior leaves of images as one that takes the images
// themselves. The weights are shared. A nil prior returns the network as it is.
func WithPrior(p Prior, m *model.Model) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("priors: there is no network to put behind a prior: it is nil")
	}
	if p == nil {
		return m, nil
	}
	return m.Behind(seenKey{p}, p.String()+" "+m.Name(), p.Of)
}

// seenAtOnce is about how many pixels go through a prior at once. Sobel makes small images twenty times as large on the
// way.
const seenAtOnce = 1 << 18

// Apply returns what a prior leaves of images, both [N, H, W, C] float32 in 0..1. It is computed on the device, some
// images at once. A nil prior returns the images themselves.
func Apply(p Prior, images *tensors.Tensor) (*tensors.Tensor, error) {
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || images.Size() == 0 {
		return nil, fmt.Errorf("priors: images are a tensor of the shape [N, H, W, C]")
	}
	if p == nil || reflect.ValueOf(p).Kind() == reflect.Pointer && reflect.ValueOf(p).IsNil() {
		return images, nil
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("priors: images are float32 in 0..1: %w", err)
	}
	program, err := model.NewExec(p.Of)
	if err != nil {
		return nil, err
	}
	defer program.Finalize()
	d := images.Shape().Dimensions
	width := len(flat) / d[0]
	batch := min(d[0], max(1, seenAtOnce/(d[1]*d[2])))
	out := make([]float32, 0, len(flat))
	for from := 0; from < d[0]; from += batch {
		if err := interrupt.Err(); err != nil {
			return nil, interrupt.After(err, "priors: "+p.String(), from, d[0], "images")
		}
		rows := make([]float32, batch*width)
		n := copy(rows, flat[from*width:]) // the last images with some black ones
		result, err := program.Call1(tensors.FromFlatDataAndDimensions(rows, batch, d[1], d[2], d[3]))
		if err != nil {
			return nil, ours(err)
		}
		seen, err := tensors.CopyFlatData[float32](result)
		if err != nil {
			return nil, fmt.Errorf("priors: %w", err)
		}
		model.Free(result)
		out = append(out, seen[:n]...)
	}
	return tensors.FromFlatDataAndDimensions(out, d...), nil
}
