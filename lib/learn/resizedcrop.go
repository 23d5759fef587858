package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// ResizedCrop cuts a piece of any size and place out of every image and brings it to the image's size, bilinearly: what
// torchvision's RandomResizedCrop does, with the size of the images. The piece's share of the area is drawn uniformly,
// the ratio of its sides uniformly in its logarithm; of ten draws the first that fits counts, and where none does the
// largest piece in the middle whose ratio is one of these.
type ResizedCrop struct {
	// Area is the least and the greatest share of an image's area, for all views or one pair for each view; nil means
	// 0.08 to 1.
	Area [][2]float64
	// Ratio is the least and the greatest ratio of width to height; the zero value means 3/4 to 4/3.
	Ratio [2]float64
	// Also are other columns, [B, H, W, ...], that are cut alike, such as masks. Integers are taken from the nearest
	// pixel.
	Also []string
}

const cropTries = 10

// Augment implements [Augmentation].
func (c ResizedCrop) Augment(b *Batch) {
	if c.Area == nil {
		c.Area = [][2]float64{{0.08, 1}}
	}
	if c.Ratio == [2]float64{} {
		c.Ratio = [2]float64{3. / 4, 4. / 3}
	}
	x := b.Images()
	d := x.Shape().Dimensions
	if len(c.Area) != 1 && len(c.Area) != b.views {
		panic(fmt.Errorf("learn: %d ranges of areas for %d views: give one, or one for each view", len(c.Area), b.views))
	}
	if low, high := c.Ratio[0], c.Ratio[1]; !(low > 0 && low <= high) || math.IsInf(high, 0) {
		panic(fmt.Errorf("learn: pieces whose width is %v to %v times their height cannot be", low, high))
	}
	from, span := make([]float32, d[0]), make([]float32, d[0])
	for i := range from {
		of := c.Area[i%b.views%len(c.Area)]
		if !(of[0] > 0 && of[0] <= of[1] && of[1] <= 1) {
			panic(fmt.Errorf("learn: pieces of %v to %v of an image's area: it is a share, more than 0 and at most 1",
				of[0], of[1]))
		}
		from[i], span[i] = float32(of[0]), float32(of[1]-of[0])
	}
	top, left, height, width := c.draw(b, d, from, span)
	down, across := bilinear(top, height, d[1]), bilinear(left, width, d[2])
	b.Set(Images, cut(x, down, across))
	for _, name := range c.Also {
		x := b.Column(name)
		dims := spatial(name, x, d)
		y := graph.Reshape(x, d[0], d[1], d[2], x.Shape().Size()/(d[0]*d[1]*d[2]))
		if x.DType().IsFloat() {
			y = cut(y, down, across)
		} else { // whole numbers, which single precision holds as they are
			y = cut(graph.ConvertDType(y, floatType), nearestPixel(top, height, d[1]), nearestPixel(left, width, d[2]))
			y = graph.ConvertDType(graph.Round(y), x.DType())
		}
		b.Set(name, graph.Reshape(y, dims...))
	}
}

// draw are where the pieces of images d begin and how large they are, in pixels, [N] float32 of whole numbers.
func (c ResizedCrop) draw(b *Batch, d []int, from, span []float32) (top, left, height, width *graph.Node) {
	g, n := b.g, d[0]
	many := func(values []float32) *graph.Node {
		return graph.BroadcastToDims(graph.ExpandAxes(graph.Const(g, values), 1), n, cropTries)
	}
	area := graph.Add(many(from), graph.Mul(many(span), b.Uniform(n, cropTries)))
	area = graph.MulScalar(area, float64(d[1]*d[2]))
	low, high := math.Log(c.Ratio[0]), math.Log(c.Ratio[1])
	ratio := graph.Exp(graph.AddScalar(graph.MulScalar(b.Uniform(n, cropTries), high-low), low))
	w, h := graph.Round(graph.Sqrt(graph.Mul(area, ratio))), graph.Round(graph.Sqrt(graph.Div(area, ratio)))
	within := func(x *graph.Node, most int) *graph.Node {
		whole := graph.GreaterThan(x, graph.ZerosLike(x))
		return graph.LogicalAnd(whole, graph.LessOrEqual(x, graph.Scalar(g, floatType, most)))
	}
	fits := graph.LogicalAnd(within(w, d[2]), within(h, d[1]))
	first := graph.ArgMax(graph.ConvertDType(fits, floatType), 1, dtypes.Int32) // of equals the first
	hot := graph.OneHot(first, cropTries, floatType)
	// A try that fits nowhere is taken as first, and then the middle in its place.
	middleH, middleW := d[1], d[2]
	switch own := float64(d[2]) / float64(d[1]); {
	case own < c.Ratio[0]:
		middleH = int(math.Round(float64(d[2]) / c.Ratio[0]))
	case own > c.Ratio[1]:
		middleW = int(math.Round(float64(d[1]) * c.Ratio[1]))
	}
	any := graph.GreaterThan(graph.ReduceSum(graph.ConvertDType(fits, floatType), 1), graph.ScalarZero(g, floatType))
	size := func(x *graph.Node, middle int) *graph.Node {
		return graph.Where(any, graph.ReduceSum(graph.Mul(x, hot), 1), graph.Scalar(g, floatType, middle))
	}
	height, width = size(h, middleH), size(w, middleW)
	at := func(length *graph.Node, of, middle int) *graph.Node {
		room := graph.OneMinus(graph.AddScalar(length, -float64(of))) // of - length + 1 places
		drawn := graph.Min(graph.Floor(graph.Mul(b.Uniform(n), room)), graph.AddScalar(room, -1))
		return graph.Where(any, drawn, graph.Scalar(g, floatType, (of-middle)/2))
	}
	return at(height, d[1], middleH), at(width, d[2], middleW), height, width
}

// places are, for the pixels of a side of so many, where in the image they come from: [N, pixels].
func places(start, length *graph.Node, pixels int) *graph.Node {
	n := start.Shape().Dimensions[0]
	wide := func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(graph.ExpandAxes(x, 1), n, pixels) }
	out := graph.AddScalar(graph.Iota(start.Graph(), shapes.Make(floatType, n, pixels), 1), 0.5)
	return graph.Add(graph.Mul(out, wide(graph.DivScalar(length, float64(pixels)))), wide(start))
}

// bilinear are the weights of a side's pixels, [N, pixels out, pixels in], for pieces that begin at start and are of
// that length. What lies beyond a piece's edge is its edge.
func bilinear(start, length *graph.Node, pixels int) *graph.Node {
	n := start.Shape().Dimensions[0]
	wide := func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(graph.ExpandAxes(x, 1), n, pixels) }
	at := graph.AddScalar(places(start, length, pixels), -0.5)
	at = graph.Min(graph.Max(at, wide(start)), wide(graph.AddScalar(graph.Add(start, length), -1)))
	full := shapes.Make(floatType, n, pixels, pixels)
	far := graph.Abs(graph.Sub(graph.BroadcastToDims(graph.ExpandAxes(at, 2), full.Dimensions...),
		graph.Iota(at.Graph(), full, 2)))
	return graph.MaxScalar(graph.OneMinus(far), 0)
}

// nearestPixel is as [bilinear], with all the weight on one pixel.
func nearestPixel(start, length *graph.Node, pixels int) *graph.Node {
	at := graph.ConvertDType(graph.Floor(places(start, length, pixels)), dtypes.Int32)
	return graph.OneHot(at, pixels, floatType)
}

// cut applies weights to the sides of x, [N, H, W, C].
func cut(x, down, across *graph.Node) *graph.Node {
	x = graph.Einsum("noi,niwc->nowc", down, x)
	return graph.Einsum("npw,nowc->nopc", across, x)
}

// GaussianBlur smooths images by a Gaussian whose standard deviation is drawn for each, padded by the mirror image, as
// torchvision's GaussianBlur does.
type GaussianBlur struct {
	// Sigma is the least and the greatest standard deviation in pixels; the zero value means 0.1 to 2, SimCLR's.
	Sigma [2]float64
	// Side is that of the kernel in pixels, odd; 0 means a tenth of the image's shorter side, as in SimCLR, and one more
	// where that is even.
	Side int
	// Probability is that with which an image is changed: see [Batch.Chosen]. Nil means 1.
	Probability []float64
}

// Augment implements [Augmentation].
func (s GaussianBlur) Augment(b *Batch) {
	x := b.Images()
	d := x.Shape().Dimensions
	low, high := s.Sigma[0], s.Sigma[1]
	if low == 0 && high == 0 {
		low, high = 0.1, 2
	}
	if s.Side == 0 {
		s.Side = min(d[1], d[2])/10 | 1
	}
	if !(low > 0 && low <= high) || math.IsInf(high, 0) {
		panic(fmt.Errorf("learn: a blur of standard deviations from %v to %v: they are positive", low, high))
	}
	if s.Side < 1 || s.Side%2 == 0 || s.Side/2 >= min(d[1], d[2]) {
		panic(fmt.Errorf(
			"learn: a blur by a kernel of %d pixels: its side is odd, and half of it less than the image's, %dx%d", s.Side,
			d[1], d[2]))
	}
	sigma := graph.AddScalar(graph.MulScalar(b.Uniform(d[0]), high-low), low)
	b.Set(Images, b.sometimes(s.Probability, blurred(x, sigma, s.Side), x))
}

// blurred is x smoothed by Gaussians of standard deviations sigma, [N], cut off to kernels of side pixels.
func blurred(x, sigma *graph.Node, side int) *graph.Node {
	g, d := x.Graph(), x.Shape().Dimensions
	off := graph.AddScalar(graph.Iota(g, shapes.Make(floatType, d[0], side), 1), -float64(side/2))
	off = graph.Div(off, graph.BroadcastToDims(graph.ExpandAxes(sigma, 1), d[0], side))
	taps := graph.Exp(graph.MulScalar(graph.Square(off), -0.5))
	taps = graph.Div(taps, graph.ReduceAndKeep(taps, graph.ReduceSum, 1))
	weights := func(length int) *graph.Node { // [N, out, in]
		from := make([]float32, side*length*length) // which pixel a tap takes: [tap, out, in]
		for t := range side {
			for out := range length {
				at := out + t - side/2
				if at < 0 {
					at = -at
				} else if at >= length {
					at = 2*(length-1) - at
				}
				from[(t*length+out)*length+at] = 1
			}
		}
		table := graph.Reshape(graph.Const(g, from), side, length*length)
		return graph.Reshape(graph.Einsum("nt,tp->np", taps, table), d[0], length, length)
	}
	return cut(x, weights(d[1]), weights(d[2]))
}
