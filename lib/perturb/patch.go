package perturb

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Patch is a square of one grey level: a feature that is planted into images to see whether a model comes to rest on
// it, and whether a method finds it.
type Patch struct {
	Row, Column int     // of its upper left corner
	Side        int     // in pixels
	Value       float32 // in 0..1
}

// Apply returns copies, float32, of images, [N, H, W, C] float32 in 0..1 or uint8, in which those with the given
// numbers have the patch; nil means all.
func (p Patch) Apply(images *tensors.Tensor, which []int) (*tensors.Tensor, error) {
	b, err := pixels.Of("perturb", images)
	if err != nil {
		return nil, err
	}
	if p.Side < 1 || p.Row < 0 || p.Column < 0 || p.Row+p.Side > b.H || p.Column+p.Side > b.W ||
		!(p.Value >= 0 && p.Value <= 1) {
		return nil, fmt.Errorf(
			"perturb: a patch of %d x %d pixels of %v at row %d, column %d does not fit into images of %d x %d in 0..1", p.Side,
			p.Side, p.Value, p.Row, p.Column, b.H, b.W)
	}
	if which == nil {
		for i := range b.N {
			which = append(which, i)
		}
	}
	for _, i := range which {
		if i < 0 || i >= b.N {
			return nil, fmt.Errorf("perturb: there is no image %d to put a patch on: they are 0 to %d", i, b.N-1)
		}
		image := b.Image(i)
		for y := p.Row; y < p.Row+p.Side; y++ {
			for x := p.Column; x < p.Column+p.Side; x++ {
				for c := range b.C {
					image[(y*b.W+x)*b.C+c] = p.Value
				}
			}
		}
	}
	return b.Tensor(), nil
}

// Plant returns a labelled dataset in which a share of the images of each of the classes has the patch, and their
// numbers. These are the first share·n of a class's n images, rounded down: shuffle the dataset before. No classes
// means all. It is an error unless the share is in 0..1 and there are such images. The dataset is held in memory.
func (p Patch) Plant(ds *data.Dataset, share float64, classes ...int) (*data.Dataset, map[int]bool, error) {
	if ds == nil {
		return nil, nil, fmt.Errorf("perturb: there is no dataset to plant the patch in: the argument is nil")
	}
	if !(share >= 0 && share <= 1) {
		return nil, nil, fmt.Errorf("perturb: a patch on %v of the images: a share is in 0..1", share)
	}
	labels := ds.Labels()
	of := map[int][]int{}
	for i, l := range labels {
		of[l] = append(of[l], i)
	}
	if len(classes) == 0 {
		classes = slices.Collect(maps.Keys(of))
	}
	which, has := []int{}, map[int]bool{}
	for _, c := range classes {
		if len(of[c]) == 0 {
			return nil, nil, fmt.Errorf("perturb: there is no image of class %d to put a patch on", c)
		}
		for _, i := range of[c][:int(share*float64(len(of[c])))] {
			which, has[i] = append(which, i), true
		}
	}
	images, err := ds.All()
	if err != nil {
		return nil, nil, err
	}
	if images, err = p.Apply(images, which); err != nil {
		return nil, nil, err
	}
	planted, err := data.FromTensor(images, labels, ds.Classes())
	return planted, has, err
}
