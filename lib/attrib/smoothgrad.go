package attrib

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// SmoothGrad is the mean gradient over copies of the image with Gaussian noise, [N, H, W, C]: the [NoiseTunnel] around
// [Gradient].
//
//	1/n Σ ∂F(x + σ·z_i)/∂x, z_i standard normal
//
// Smilkov et al., "SmoothGrad: removing noise by adding noise", arXiv:1706.03825, section 3.
type SmoothGrad struct {
	// Samples is the number n of noisy copies; 0 means 50.
	Samples int
	// Level is σ as a share of the image's range (its largest value less its smallest); 0 means 0.15.
	Level float64
	// Seed makes the noise: the same images, class and seed give the same result.
	Seed int64
	// Noise, if not nil, is used for the z_i: [Samples, H, W, C] float32.
	Noise *tensors.Tensor
}

// Name is "SmoothGrad".
func (SmoothGrad) Name() string { return "SmoothGrad" }

// Attribute implements [Method].
func (sg SmoothGrad) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return NoiseTunnel{Samples: sg.Samples, Level: sg.Level, Seed: sg.Seed, Noise: sg.Noise}.attribute(sg, m,
		images, classes)
}
