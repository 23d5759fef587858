package sound

import (
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/model"
)

// Random gives every pixel a uniform random number in 0..1 without looking: what a method has to beat.
type Random struct{ Seed uint64 }

// Name is "random".
func (Random) Name() string { return "random" }

// Attribute implements [attrib.Method]: Values are [N, H, W, 1].
func (r Random) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*attrib.Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	rng := rand.New(rand.NewPCG(r.Seed, 0))
	values := make([]float32, d[0]*d[1]*d[2])
	for i := range values {
		values[i] = rng.Float32()
	}
	a := &attrib.Attribution{Method: r.Name(), Classes: classes, Values: tensors.FromFlatDataAndDimensions(values, d[0],
		d[1], d[2], 1)}
	for _, c := range classes {
		a.ClassNames = append(a.ClassNames, m.ClassName(c))
	}
	return a, nil
}
