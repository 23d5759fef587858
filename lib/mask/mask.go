// Package mask takes parts of an image away, and says what stands in their place.
package mask

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Filler is what stands where a part of the image was taken away. What a model answers depends on it:
// the same mask filled with black, with the mean or with blur gives other predictions (Jain et al.,
// ICLR 2022). The zero Filler is not valid; use one of the constructors.
type Filler struct {
	// Name says what it fills with, such as "mean".
	Name string
	// fill returns the replacement of one [h, w, c] image, of the same size.
	fill func(image []float32, h, w, c int, rng *rand.Rand) []float32
}

// Constant fills every channel with one value in 0..1; Constant(0) is black.
func Constant(value float32) Filler {
	return Filler{fmt.Sprintf("constant %g", value), func(image []float32, _, _, _ int, _ *rand.Rand) []float32 {
		out := make([]float32, len(image))
		for i := range out {
			out[i] = value
		}
		return out
	}}
}

// Mean fills with the image's own mean colour.
func Mean() Filler {
	return Filler{"mean", func(image []float32, _, _, c int, _ *rand.Rand) []float32 {
		means := make([]float64, c)
		for i, v := range image {
			means[i%c] += float64(v)
		}
		out := make([]float32, len(image))
		for i := range out {
			out[i] = float32(means[i%c] / float64(len(image)/c))
		}
		return out
	}}
}

// Blur fills with the blurred image (Gaussian of standard deviation 10 pixels, 21 x 21).
func Blur() Filler {
	return Filler{"blur", func(image []float32, h, w, c int, _ *rand.Rand) []float32 {
		out := append([]float32(nil), image...)
		pixels.GaussianBlur(out, h, w, c, 10, 10)
		return out
	}}
}

// Noise fills every value with its own uniform random number in 0..1.
func Noise() Filler {
	return Filler{"noise", func(image []float32, _, _, _ int, rng *rand.Rand) []float32 {
		out := make([]float32, len(image))
		for i := range out {
			out[i] = rng.Float32()
		}
		return out
	}}
}

// Top returns a mask, [N, H, W] float32, that is 1 at the ⌈fraction·H·W⌉ pixels of each image with the
// largest values of heatmaps, [N, H, W] float32, and 0 elsewhere. Of equal values the first in reading
// order counts as larger. It returns an error unless 0 <= fraction <= 1 and all values are numbers.
func Top(heatmaps *tensors.Tensor, fraction float64) (*tensors.Tensor, error) {
	if heatmaps == nil || heatmaps.Rank() != 3 || heatmaps.DType() != dtypes.Float32 {
		return nil, fmt.Errorf("mask: heatmaps have the shape [N, H, W] float32; sum an attribution over its channels first")
	}
	values, err := tensors.CopyFlatData[float32](heatmaps)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	dims := heatmaps.Shape().Dimensions
	return top(values, dims[0], dims[1], dims[2], fraction)
}

// Random returns a mask as [Top] does, of pixels drawn without looking: what any choice of pixels has to beat.
func Random(n, height, width int, fraction float64, seed uint64) (*tensors.Tensor, error) {
	if n < 1 || height < 1 || width < 1 {
		return nil, fmt.Errorf("mask: no random mask for %d images of %d x %d", n, height, width)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	values := make([]float32, n*height*width)
	for i := range values {
		values[i] = rng.Float32()
	}
	return top(values, n, height, width, fraction)
}

func top(values []float32, n, height, width int, fraction float64) (*tensors.Tensor, error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, fmt.Errorf("mask: the fraction of pixels is %v, it lies between 0 and 1", fraction)
	}
	size := height * width
	out := make([]float32, len(values))
	order := make([]int, size)
	for i := range n {
		image := values[i*size : (i+1)*size]
		for j, v := range image {
			if math.IsNaN(float64(v)) {
				return nil, fmt.Errorf("mask: heatmap %d is not a number at row %d, column %d", i, j/width, j%width)
			}
			order[j] = j
		}
		sort.SliceStable(order, func(a, b int) bool { return image[order[a]] > image[order[b]] })
		for _, j := range order[:int(math.Ceil(fraction*float64(size)))] {
			out[i*size+j] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(out, n, height, width), nil
}

// Apply returns copies of images, [N, H, W, C] float32 in 0..1, in which the filler stands where mask,
// [N, H, W] float32 in 0..1, is 1; between 0 and 1 the two are mixed. seed matters only to fillers
// that draw numbers.
func Apply(images, mask *tensors.Tensor, filler Filler, seed uint64) (*tensors.Tensor, error) {
	if filler.fill == nil {
		return nil, fmt.Errorf("mask: this Filler is empty; use Constant, Mean, Blur or Noise")
	}
	b, err := pixels.Of("mask", images)
	if err != nil {
		return nil, err
	}
	if mask == nil || mask.DType() != dtypes.Float32 || mask.Rank() != 3 ||
		mask.Shape().Dimensions[0] != b.N || mask.Shape().Dimensions[1] != b.H || mask.Shape().Dimensions[2] != b.W {
		return nil, fmt.Errorf("mask: images [%d, %d, %d, %d] take a mask [%d, %d, %d] float32", b.N, b.H, b.W, b.C, b.N, b.H, b.W)
	}
	m, err := tensors.CopyFlatData[float32](mask)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	size := b.H * b.W
	b.Each(func(i int) {
		image := b.Image(i)
		with := filler.fill(image, b.H, b.W, b.C, rand.New(rand.NewPCG(seed, uint64(i))))
		for j := range image {
			a := m[i*size+j/b.C]
			image[j] = (1-a)*image[j] + a*with[j]
		}
	})
	return b.Tensor(), nil
}
