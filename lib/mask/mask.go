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
	"github.com/loupeml/loupe/lib/model"
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

// Color fills each channel with a value of its own, in 0..1, such as {0.485, 0.456, 0.406}. Images of another number of
// channels are refused by [Apply].
func Color(values ...float64) Filler {
	return Filler{fmt.Sprintf("colour %.3g", values), func(image []float32, _, _, c int, _ *rand.Rand) []float32 {
		if len(values) != c {
			return nil
		}
		out := make([]float32, len(image))
		for i := range out {
			out[i] = float32(values[i%c])
		}
		return out
	}}
}

// DatasetMean fills with the mean by which the model normalises its images, that is with zero after normalisation,
// and with black for a model that does not normalise.
func DatasetMean(m *model.Model) Filler {
	mean := m.Spec().Mean
	if len(mean) == 0 {
		mean = make([]float64, m.Spec().Channels)
	}
	f := Color(mean...)
	f.Name = "dataset mean"
	return f
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

// Blur fills with the blurred image: Gaussian of standard deviation 10 pixels, cut off at 21 x 21, the image reflected
// at its edges, as the authors of Jain et al. do with torchvision.
func Blur() Filler {
	f := GaussianBlur(10, 10)
	f.Name = "blur"
	return f
}

// GaussianBlur fills with the image blurred by a Gaussian of standard deviation sigma, cut off at radius, both in
// pixels; the image is reflected at its edges. It panics unless sigma is above 0 and radius 1 or more.
func GaussianBlur(sigma float64, radius int) Filler {
	if !(sigma > 0) || math.IsInf(sigma, 0) || radius < 1 {
		panic(fmt.Errorf("mask: a blur of standard deviation %v, cut off at %d pixels: take numbers above 0", sigma, radius))
	}
	return Filler{fmt.Sprintf("blur %g", sigma), func(image []float32, h, w, c int, _ *rand.Rand) []float32 {
		out := append([]float32(nil), image...)
		pixels.GaussianBlur(out, h, w, c, sigma, radius, pixels.Reflect)
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

// RandomColor fills each image with one colour of its own, uniformly random in each channel.
func RandomColor() Filler {
	return Filler{"random colour", func(image []float32, _, _, c int, rng *rand.Rand) []float32 {
		colour := make([]float32, c)
		for i := range colour {
			colour[i] = rng.Float32()
		}
		out := make([]float32, len(image))
		for i := range out {
			out[i] = colour[i%c]
		}
		return out
	}}
}

// Top returns a mask, [N, H, W] float32, that is 1 at the ⌈fraction·H·W⌉ pixels of each image with the
// largest values of heatmaps, [N, H, W] float32, and 0 elsewhere. Of equal values the first in reading
// order counts as larger. It returns an error unless 0 <= fraction <= 1 and all values are numbers.
func Top(heatmaps *tensors.Tensor, fraction float64) (*tensors.Tensor, error) {
	values, dims, err := heat(heatmaps)
	if err != nil {
		return nil, err
	}
	return top(values, dims[0], dims[1], dims[2], fraction)
}

// Rank returns for each pixel of heatmaps, [N, H, W] float32, how many pixels of the same image have larger values, [N,
// H, W] int32: 0 is the largest. Of equal values the first in reading order counts as larger. It returns an error
// unless all values are numbers.
func Rank(heatmaps *tensors.Tensor) (*tensors.Tensor, error) {
	values, dims, err := heat(heatmaps)
	if err != nil {
		return nil, err
	}
	size := dims[1] * dims[2]
	ranks := make([]int32, len(values))
	for i := range dims[0] {
		order, err := ordered(values[i*size:(i+1)*size], i, dims[2])
		if err != nil {
			return nil, err
		}
		for rank, j := range order {
			ranks[i*size+j] = int32(rank)
		}
	}
	return tensors.FromFlatDataAndDimensions(ranks, dims...), nil
}

// heat copies heatmaps to the host.
func heat(heatmaps *tensors.Tensor) (values []float32, dims []int, err error) {
	if heatmaps == nil || heatmaps.Rank() != 3 || heatmaps.DType() != dtypes.Float32 {
		return nil, nil,
			fmt.Errorf("mask: heatmaps have the shape [N, H, W] float32; sum an attribution over its channels first")
	}
	if values, err = tensors.CopyFlatData[float32](heatmaps); err != nil {
		return nil, nil, fmt.Errorf("mask: %w", err)
	}
	return values, heatmaps.Shape().Dimensions, nil
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
	for i := range n {
		order, err := ordered(values[i*size:(i+1)*size], i, width)
		if err != nil {
			return nil, err
		}
		for _, j := range order[:int(math.Ceil(fraction*float64(size)))] {
			out[i*size+j] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(out, n, height, width), nil
}

// ordered returns the pixels of heatmap i, the largest value first.
func ordered(heatmap []float32, i, width int) ([]int, error) {
	order := make([]int, len(heatmap))
	for j, v := range heatmap {
		if math.IsNaN(float64(v)) {
			return nil, fmt.Errorf("mask: heatmap %d is not a number at row %d, column %d", i, j/width, j%width)
		}
		order[j] = j
	}
	sort.SliceStable(order, func(a, b int) bool { return heatmap[order[a]] > heatmap[order[b]] })
	return order, nil
}

// Apply returns copies, float32, of images, [N, H, W, C] float32 in 0..1 or uint8, in which the filler stands where
// mask, [N, H, W] float32 in 0..1, is 1; between 0 and 1 the two are mixed. seed matters only to fillers that draw
// numbers.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func Apply(images, mask *tensors.Tensor, filler Filler, seed uint64) (*tensors.Tensor, error) {
	if filler.fill == nil {
		return nil, fmt.Errorf(
			"mask: this Filler is empty; use Constant, Color, DatasetMean, Mean, Blur, GaussianBlur, RandomColor or Noise")
	}
	b, err := pixels.Of("mask", images)
	if err != nil {
		return nil, err
	}
	if mask == nil || mask.DType() != dtypes.Float32 || mask.Rank() != 3 ||
		mask.Shape().Dimensions[0] != b.N || mask.Shape().Dimensions[1] != b.H || mask.Shape().Dimensions[2] != b.W {
		return nil, fmt.Errorf("mask: images [%d, %d, %d, %d] take a mask [%d, %d, %d] float32", b.N, b.H, b.W, b.C,
			b.N, b.H, b.W)
	}
	m, err := tensors.CopyFlatData[float32](mask)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	if filler.fill(b.Image(0), b.H, b.W, b.C, rand.New(rand.NewPCG(seed, 0))) == nil {
		return nil, fmt.Errorf("mask: the filler %q does not fit images of %d channels: give one value for each channel",
			filler.Name, b.C)
	}
	size := b.H * b.W
	return b.Each("mask: "+filler.Name, func(i int) {
		image := b.Image(i)
		with := filler.fill(image, b.H, b.W, b.C, rand.New(rand.NewPCG(seed, uint64(i))))
		for j := range image {
			a := m[i*size+j/b.C]
			image[j] = (1-a)*image[j] + a*with[j]
		}
	})
}

// Keep returns copies of images in which the filler stands everywhere but where kept, [N, H, W] float32, is 1: [Apply]
// the other way round.
func Keep(images, kept *tensors.Tensor, filler Filler, seed uint64) (*tensors.Tensor, error) {
	if kept == nil || kept.DType() != dtypes.Float32 {
		return nil, fmt.Errorf("mask: the pixels to keep are a mask [N, H, W] float32")
	}
	flat, err := tensors.CopyFlatData[float32](kept)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	for i := range flat {
		flat[i] = 1 - flat[i]
	}
	return Apply(images, tensors.FromFlatDataAndDimensions(flat, kept.Shape().Dimensions...), filler, seed)
}

// filled returns images of nothing but the filler.
func filled(images *tensors.Tensor, filler Filler) (*tensors.Tensor, error) {
	d := images.Shape().Dimensions
	return Apply(images, tensors.FromScalarAndDimensions(float32(1), d[0], d[1], d[2]), filler, 0)
}
