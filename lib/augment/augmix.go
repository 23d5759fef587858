// Package augment makes further images to learn from out of the ones there are: AugMix's mixtures of simple operations,
// and DeepAugment's images from networks that are not in order. What package perturb does to images is there to test a
// network with; what is done here is there to train it.
package augment

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat/distmv"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// AugMix mixes an image with chains of simple operations on it (Hendrycks et al., "AugMix: A Simple Data Processing
// Method to Improve Robustness and Uncertainty", ICLR 2020):
//
//	(1-m)·x + m·Σ_i w_i·chain_i(x),  w ~ Dirichlet(α, …, α),  m ~ Beta(α, α)
//
// The zero AugMix is the paper's. The operations are those of the authors' program, which are Pillow's, to the bit:
// images are brought to 8 bits for the chains, and those that have 8 bits are changed as there. The image itself goes
// into the mixture as it is. To learn from such images is [github.com/loupeml/loupe/lib/learn.AugMix].
type AugMix struct {
	// Severity is the highest level of the operations, up to 10; 0 means 3.
	Severity float64
	// Width is the number of chains; 0 means 3.
	Width int
	// Depth is the number of operations in a chain; 0 draws it from 1, 2 and 3.
	Depth int
	// Alpha is α; 0 means 1.
	Alpha float64
	// Operations are what is drawn from; nil means [Operations].
	Operations []Operation
}

// Apply returns a mixture for each of the images, [N, H, W, C] float32 in 0..1 or uint8. Image i depends only on its
// pixels, a, seed and i, so the same call gives the same images on any machine; another seed gives other mixtures.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (a AugMix) Apply(images *tensors.Tensor, seed uint64) (*tensors.Tensor, error) {
	return a.ApplyNumbered(images, nil, seed)
}

// ApplyNumbered is Apply for a part of a set: image i is mixed as image numbers[i] of the set would be. It returns an
// error unless there is a number for each image.
func (a AugMix) ApplyNumbered(images *tensors.Tensor, numbers []int, seed uint64) (*tensors.Tensor, error) {
	a = a.filled()
	b, err := pixels.Of("augment", images)
	if err != nil {
		return nil, err
	}
	if numbers != nil && len(numbers) != b.N {
		return nil, fmt.Errorf("augment: %d images have %d numbers", b.N, len(numbers))
	}
	if err := a.Check(b.C); err != nil {
		return nil, err
	}
	return b.Each("augment: AugMix", func(i int) {
		number := i
		if numbers != nil {
			number = numbers[i]
		}
		a.draw(rand.New(rand.NewPCG(seed, uint64(number)))).mix(b.Image(i), b.H, b.W, b.C)
	})
}

func (a AugMix) filled() AugMix {
	if a.Severity == 0 {
		a.Severity = 3
	}
	if a.Width == 0 {
		a.Width = 3
	}
	if a.Alpha == 0 {
		a.Alpha = 1
	}
	if a.Operations == nil {
		a.Operations = Operations()
	}
	return a
}

// Check returns the error that Apply has for images of so many channels, if any.
func (a AugMix) Check(channels int) error {
	a = a.filled()
	if err := checkSeverity(a.Severity); err != nil {
		return err
	}
	switch {
	case a.Width < 1:
		return fmt.Errorf("augment: a mixture of %d chains: AugMix's Width is at least 1 (the paper's is 3)", a.Width)
	case a.Depth < 0:
		return fmt.Errorf("augment: chains of %d operations: AugMix's Depth is not negative, and 0 draws from 1, 2 and 3",
			a.Depth)
	case !(a.Alpha >= .01 && a.Alpha <= 1e6):
		return fmt.Errorf("augment: AugMix's Alpha is %v, it lies between 0.01 and a million (the paper's is 1)", a.Alpha)
	case len(a.Operations) == 0:
		return fmt.Errorf("augment: AugMix has no operations; nil means augment.Operations()")
	}
	for _, o := range a.Operations {
		if o.apply == nil {
			return fmt.Errorf("augment: an operation of AugMix is empty; Operations and OperationsAll have them")
		}
		if err := o.check(channels); err != nil {
			return err
		}
	}
	return nil
}

// mixture is what chance decides for one image.
type mixture struct {
	share   float32   // m, of the chains against the image
	weights []float32 // of the chains, with the sum 1
	chains  [][]step
}

func (a AugMix) draw(r *rand.Rand) mixture {
	var m mixture
	weights := []float64{1}
	if a.Width > 1 {
		weights = distmv.NewDirichlet(slices.Repeat([]float64{a.Alpha}, a.Width), r).Rand(nil)
	}
	for _, w := range weights {
		m.weights = append(m.weights, float32(w))
	}
	m.share = float32(distuv.Beta{Alpha: a.Alpha, Beta: a.Alpha, Src: r}.Rand())
	for range a.Width {
		depth := a.Depth
		if depth == 0 {
			depth = 1 + r.IntN(3)
		}
		var chain []step
		for range depth {
			chain = append(chain, a.Operations[r.IntN(len(a.Operations))].draw(r, a.Severity))
		}
		m.chains = append(m.chains, chain)
	}
	return m
}

// mix puts the mixture in the place of an image.
func (m mixture) mix(image []float32, h, w, c int) {
	original := eightBits(image, h, w, c)
	mixed := make([]float32, len(image))
	for i, chain := range m.chains {
		p := picture{slices.Clone(original.pix), h, w, c}
		for _, s := range chain {
			p = s.apply(p)
		}
		for j, v := range p.pix {
			mixed[j] += m.weights[i] * (float32(v) / 255)
		}
	}
	for j, v := range image {
		image[j] = (1-m.share)*v + m.share*mixed[j]
	}
}
