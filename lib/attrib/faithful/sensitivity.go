package faithful

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Sensitivity is how far a method's values Φ change where the image hardly does,
//
//	max ‖Φ(x+ε) - Φ(x)‖ / ‖Φ(x)‖
//
// over noise ε, uniform within ±Radius in each value of each pixel, and the mean in place of the maximum. ‖·‖ is the
// root of the sum of squares. The class explained stays that of the image. Smaller is better. Yeh et al., NeurIPS 2019,
// divided by the norm as in the authors' code.
type Sensitivity struct {
	// Radius is how far a value of a pixel changes at most, images being in 0..1; 0 means 0.2.
	Radius float64
	// Samples is the number of noisy copies; 0 means 50.
	Samples int
	// Seed draws the noise. All images are given the same, so that an image's result does not depend on which others
	// are tested with it.
	Seed uint64
	// Noise, if not nil, is used for ε as it is: [Samples, H, W, C] float32. Radius plays no part then.
	Noise *tensors.Tensor
}

// Sensitivities are those of a method.
type Sensitivities struct {
	// Model and Method are the names of what was tested.
	Model, Method string
	// Radius is NaN where the noise was given.
	Radius  float64
	Samples int
	// Classes are the classes explained, [N], and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Max and Average are over the copies of each image, [N]; NaN of an image whose values are all 0.
	Max, Average []float64
}

// Run explains the class of each image, [N, H, W, C] float32 in 0..1, and of its noisy copies. classes may be nil for
// the predicted ones, one for all, or one for each image. Each copy costs as much as the explanation itself.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (s Sensitivity) Run(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*Sensitivities,
	error) {
	if method == nil {
		return nil, fmt.Errorf("faithful: there is no method to test: it is nil")
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	d := slices.Clone(images.Shape().Dimensions)
	n, size := d[0], d[1]*d[2]*d[3]
	noise, s, err := s.noise(d)
	if err != nil {
		return nil, err
	}
	pixels, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("faithful: %w", err)
	}
	r := &Sensitivities{Model: m.Name(), Method: method.Name(), Radius: s.Radius, Samples: s.Samples}
	batch := m.ChunkSize(n)
	bar := progress.New(m.Name()+": sensitivity of "+method.Name(), n*(s.Samples+1))
	defer bar.Close()
	for lo := 0; lo < n; lo += batch {
		hi := min(lo+batch, n)
		d[0] = hi - lo
		values := func(noise []float32) ([]float32, error) {
			moved := slices.Clone(pixels[lo*size : hi*size])
			for i := range moved {
				if noise != nil {
					moved[i] += noise[i%size]
				}
			}
			a, err := attribute(m, tensors.FromFlatDataAndDimensions(moved, d...), classes[lo:hi], method)
			if err != nil {
				return nil, err
			}
			bar.Add(hi - lo)
			return tensors.CopyFlatData[float32](a.Values)
		}
		biggest, sums := make([]float64, hi-lo), make([]float64, hi-lo)
		whole, err := values(nil)
		for k := 0; k < s.Samples && err == nil; k++ {
			var moved []float32
			if moved, err = values(noise[k*size : (k+1)*size]); err == nil {
				for i := range biggest {
					apart := relative(whole, moved, i, hi-lo)
					biggest[i], sums[i] = max(biggest[i], apart), sums[i]+apart // max of a NaN is NaN
				}
			}
		}
		if err != nil {
			if err = interrupt.After(err, "faithful: sensitivity", lo, n, "images"); lo == 0 || !interrupt.Is(err) {
				return nil, err
			}
			return r, err
		}
		for i := range biggest {
			r.Max, r.Average = append(r.Max, biggest[i]), append(r.Average, sums[i]/float64(s.Samples))
			r.Classes, r.ClassNames = append(r.Classes, classes[lo+i]), append(r.ClassNames, m.ClassName(classes[lo+i]))
		}
	}
	return r, nil
}

// noise checks the settings, puts the defaults in, and draws.
func (s Sensitivity) noise(d []int) ([]float32, Sensitivity, error) {
	if s.Noise != nil {
		shape := s.Noise.Shape()
		if shape.DType != dtypes.Float32 || shape.Rank() != 4 || shape.Dimensions[0] == 0 ||
			!slices.Equal(shape.Dimensions[1:], d[1:]) {
			return nil, s, fmt.Errorf("faithful: noise for images %v is [samples]%v float32, not %s", d, d[1:], shape)
		}
		if s.Samples != 0 && s.Samples != shape.Dimensions[0] {
			return nil, s, fmt.Errorf("faithful: noise of %d copies is given, and Samples is %d", shape.Dimensions[0], s.Samples)
		}
		if s.Radius != 0 {
			return nil, s, fmt.Errorf("faithful: the noise is given, and a Radius of %v: give one of them", s.Radius)
		}
		s.Samples, s.Radius = shape.Dimensions[0], math.NaN()
		flat, err := tensors.CopyFlatData[float32](s.Noise)
		if err != nil {
			return nil, s, fmt.Errorf("faithful: %w", err)
		}
		return flat, s, finite("the noise", flat)
	}
	if s.Radius == 0 {
		s.Radius = 0.2
	}
	if s.Samples == 0 {
		s.Samples = 50
	}
	if !(s.Radius > 0) || math.IsInf(s.Radius, 0) {
		return nil, s, fmt.Errorf("faithful: the radius is %v: take a number above 0, such as 0.2", s.Radius)
	}
	if s.Samples < 1 {
		return nil, s, fmt.Errorf("faithful: sensitivity from %d copies: take 1 or more", s.Samples)
	}
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	noise := make([]float32, s.Samples*d[1]*d[2]*d[3])
	for i := range noise {
		noise[i] = float32(s.Radius * (2*rng.Float64() - 1))
	}
	return noise, s, nil
}

// relative is how far values of image i of n have moved, over their norm.
func relative(whole, moved []float32, i, n int) float64 {
	size := len(whole) / n
	var apart, norm float64
	for j := i * size; j < (i+1)*size; j++ {
		by := float64(moved[j]) - float64(whole[j])
		apart, norm = apart+by*by, norm+float64(whole[j])*float64(whole[j])
	}
	if norm == 0 {
		return math.NaN()
	}
	return math.Sqrt(apart / norm)
}

// Len is the number of images.
func (r *Sensitivities) Len() int { return len(r.Max) }

// Mean is the mean of Max, with Student's 95% interval over the images whose values are not all 0: see
// [stats.MeanInterval]. It is an error of fewer than two.
func (r *Sensitivities) Mean() (float64, stats.Interval, error) { return mean(r.Max) }
