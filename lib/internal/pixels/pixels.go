// Package pixels opens image tensors to arithmetic on the host.
package pixels

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/loupeml/loupe/lib/internal/parallel"
)

// Batch is a batch of images on the host: Data is row-major [N, H, W, C].
type Batch struct {
	Data       []float32
	N, H, W, C int

	tensor *tensors.Tensor // what Data are the values of
}

// Of copies an image tensor to the host; what has 8 bits comes to 0..1. who starts the message of the error, which says
// what is wrong: neither float32 nor uint8, not rank 4, empty, or a value that is not a finite number.
func Of(who string, images *tensors.Tensor) (Batch, error) {
	if images == nil {
		return Batch{}, fmt.Errorf("%s: the images are nil", who)
	}
	dims := images.Shape().Dimensions
	if len(dims) != 4 {
		return Batch{}, fmt.Errorf("%s: images have the shape [N, H, W, C], not %v", who, dims)
	}
	if images.DType() != dtypes.Float32 && images.DType() != dtypes.Uint8 {
		return Batch{}, fmt.Errorf("%s: images are float32 in 0..1 or uint8, not %s", who, images.DType())
	}
	b := Batch{N: dims[0], H: dims[1], W: dims[2], C: dims[3]}
	if b.N*b.H*b.W*b.C == 0 {
		return Batch{}, fmt.Errorf("%s: the batch %v is empty", who, dims)
	}
	if images.DType() == dtypes.Uint8 {
		err := b.fromUint8(who, images)
		return b, err
	}
	var err error
	if b.tensor, err = images.LocalClone(); err != nil {
		return Batch{}, fmt.Errorf("%s: %w", who, err)
	}
	if err := tensors.MutableFlatData(b.tensor, func(flat []float32) { b.Data = flat }); err != nil {
		return Batch{}, fmt.Errorf("%s: %w", who, err)
	}
	if i := notFinite(b.Data); i >= 0 {
		size := b.H * b.W * b.C
		at := i % size
		return Batch{}, fmt.Errorf("%s: image %d has the value %v at row %d, column %d, channel %d", who, i/size, b.Data[i],
			at/(b.W*b.C), at/b.C%b.W, at%b.C)
	}
	return b, nil
}

// fromUint8 sets the batch's values.
func (b *Batch) fromUint8(who string, images *tensors.Tensor) error {
	b.tensor = tensors.FromShape(shapes.Make(dtypes.Float32, b.N, b.H, b.W, b.C))
	if err := tensors.MutableFlatData(b.tensor, func(flat []float32) { b.Data = flat }); err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	if err := tensors.ConstFlatData(images, func(flat []uint8) { FromUint8(b.Data, flat) }); err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	return nil
}

// notFinite is the place of the first value that is no finite number, -1 where there is none.
func notFinite(values []float32) int {
	const block = 1024
	for at := 0; at < len(values); at += block {
		part := values[at:min(at+block, len(values))]
		// A sum of squares, for which there are vector instructions, is finite if every value is and none is very
		// large.
		v := blas32.Vector{N: len(part), Inc: 1, Data: part}
		if squares := blas32.Dot(v, v); squares-squares == 0 {
			continue
		}
		for i, v := range part {
			if v-v != 0 {
				return at + i
			}
		}
	}
	return -1
}

// Image returns the part of Data that holds image i.
func (b Batch) Image(i int) []float32 {
	size := b.H * b.W * b.C
	return b.Data[i*size : (i+1)*size]
}

// Tensor gives the batch back as a tensor, [N, H, W, C] float32, whose values Data are from then on.
func (b Batch) Tensor() *tensors.Tensor {
	if b.tensor != nil && b.tensor.Size() == len(b.Data) {
		return b.tensor
	}
	return tensors.FromFlatDataAndDimensions(b.Data, b.N, b.H, b.W, b.C)
}

// Each calls do for every image number, several at a time, and returns the images; work is what it says of it.
// Interrupted, it returns those that are done beside the error; nil if none is.
func (b Batch) Each(work string, do func(i int)) (*tensors.Tensor, error) {
	done, err := parallel.Each(work, b.N, func(i int) error {
		do(i)
		return nil
	})
	if done == 0 {
		return nil, err
	}
	b.N, b.Data = done, b.Data[:done*b.H*b.W*b.C]
	return b.Tensor(), err
}

// Edge says which pixel of a line of n stands for place i beyond its ends.
type Edge func(i, n int) int

// Repeat is the edge's own pixel: a a | a b c d | d d.
func Repeat(i, n int) int { return min(max(i, 0), n-1) }

// Mirror turns the line round at its edge: b a | a b c d | d c. SciPy calls it reflect.
func Mirror(i, n int) int {
	if i = ((i % (2 * n)) + 2*n) % (2 * n); i >= n {
		return 2*n - 1 - i
	}
	return i
}

// Reflect turns the line round at its last pixel: c b | a b c d | c b. PyTorch calls it reflect.
func Reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	if i = ((i % period) + period) % period; i >= n {
		return period - i
	}
	return i
}

// GaussianBlur blurs an [h, w, c] image in place by a Gaussian of standard deviation
// sigma, cut off at radius pixels; edge says what is beyond the image.
func GaussianBlur[T float32 | float64](image []T, h, w, c int, sigma float64, radius int, edge Edge) {
	GaussianBlurAlong(image, h, w, c, sigma, radius, sigma, radius, edge)
}

// GaussianBlurAlong is GaussianBlur with a standard deviation and a radius down the columns, and others along the rows.
func GaussianBlurAlong[T float32 | float64](image []T, h, w, c int, sigmaY float64, radiusY int, sigmaX float64,
	radiusX int, edge Edge) {
	if radiusY > 0 {
		kernel, at := kernelOf[T](sigmaY, radiusY)
		from, release := Scratch[T](len(image))
		copy(from, image)
		for y := range h {
			for k := range at {
				at[k] = edge(y+k-radiusY, h) * w * c
			}
			WeightedSum(image[y*w*c:(y+1)*w*c], from, at, kernel)
		}
		release()
	}
	if radiusX > 0 {
		kernel, at := kernelOf[T](sigmaX, radiusX)
		for k := range at {
			at[k] = k * c
		}
		from, release := Scratch[T]((w + 2*radiusX) * c)
		for y := range h {
			out := image[y*w*c : (y+1)*w*c]
			Frame(from, out, w, c, radiusX, edge)
			WeightedSum(out, from, at, kernel)
		}
		release()
	}
}

// kernelOf is Gaussian's kernel in the image's precision, and room for where each weight falls.
func kernelOf[T float32 | float64](sigma float64, radius int) (kernel []T, at []int) {
	for _, w := range Gaussian(sigma, radius) {
		kernel = append(kernel, T(w))
	}
	return kernel, make([]int, len(kernel))
}

// Frame copies a row [w, c] to the middle of a wider one and fills the margin pixels on either side.
func Frame[T any](to, row []T, w, c, margin int, edge Edge) {
	copy(to[margin*c:], row[:w*c])
	for i := range margin {
		copy(to[i*c:(i+1)*c], row[edge(i-margin, w)*c:])
		copy(to[(margin+w+i)*c:(margin+w+i+1)*c], row[edge(w+i, w)*c:])
	}
}

// Gaussian returns 2*radius+1 weights of sum 1.
func Gaussian(sigma float64, radius int) []float64 {
	kernel := make([]float64, 2*radius+1)
	var sum float64
	for i := range kernel {
		if d := float64(i - radius); d != 0 {
			kernel[i] = math.Exp(-d * d / (2 * sigma * sigma))
		} else {
			kernel[i] = 1
		}
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return kernel
}
