package ood

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// Detector scores images by more than their logits: by the network's features, or by its gradient. [Detect] takes what
// it says of unknown images and of known ones.
type Detector interface {
	// Name is how it is called in tables and plots.
	Name() string
	// Scores are a number for each image of a dataset, the higher the less it looks like the known ones. The images are
	// to have the model's size. Interrupted, it returns the scores of the images that are done beside the error.
	Scores(ds model.Dataset) ([]float64, error)
}

// features are what the last linear layer sees of n images, d numbers of each.
type features struct {
	n, d int
	flat []float32
}

// featuresOf asks a model for the features of a dataset. Interrupted, it returns those of the images that are done
// beside the error.
func featuresOf(m *model.Model, ds model.Dataset) (*features, error) {
	t, stopped := m.FeaturesOf(ds)
	if t == nil {
		return nil, stopped
	}
	f, err := checked(t, m.Name())
	if err != nil {
		return nil, err
	}
	return f, stopped
}

// checked are features of a model, [N, ...] float32, each a finite number.
func checked(t *tensors.Tensor, whose string) (*features, error) {
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("ood: %w", err)
	}
	f := &features{n: t.Shape().Dimensions[0], flat: flat}
	f.d = len(flat) / f.n
	for i, v := range flat {
		if v-v != 0 { // no finite number
			return nil, fmt.Errorf("ood: feature %d of image %d is %v: %s overflows on it", i%f.d, i/f.d, v, whose)
		}
	}
	return f, nil
}

func (f *features) row(i int) []float32 { return f.flat[i*f.d : (i+1)*f.d] }

// block is how many images' features are copied to double precision at once.
const block = 1024

// blocks visits the features in double precision, from image lo on, in a matrix that is overwritten for the next.
func (f *features) blocks(visit func(lo int, x *mat.Dense)) {
	values := make([]float64, min(block, f.n)*f.d)
	for lo := 0; lo < f.n; lo += block {
		hi := min(lo+block, f.n)
		for i, v := range f.flat[lo*f.d : hi*f.d] {
			values[i] = float64(v)
		}
		visit(lo, mat.NewDense(hi-lo, f.d, values[:(hi-lo)*f.d]))
	}
}

// energies are -log Σ exp of the logits that a head makes of features, a row of x for each image.
func energies(head *model.Head, x *mat.Dense) (energies, highest []float64) {
	n, _ := x.Dims()
	k := len(head.Bias)
	var z mat.Dense
	z.Mul(x, head.Weights.T())
	for i := range n {
		row := z.RawRowView(i)
		top := math.Inf(-1)
		for c := range k {
			row[c] += head.Bias[c]
			top = max(top, row[c])
		}
		energies, highest = append(energies, Energy{}.of(row, nil)), append(highest, top)
	}
	return energies, highest
}

// errNotFitted is of a detector that nothing has been fitted to, such as the zero value.
var errNotFitted = errors.New("ood: this detector is not fitted: call its Fit function")
