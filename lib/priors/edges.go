package priors

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Canny leaves the edges that Canny's detector finds (IEEE PAMI 8(6), 1986), white on black: the prior of shape that
// the paper has for small images. As there, a bilateral filter (5 pixels wide, both deviations 75) first smooths what
// is no edge. Pixels are rounded to 8 bits and all that follows is OpenCV's, in whole numbers: 3x3 Sobel gradients,
// |∂x| + |∂y|, the pixels that are largest across the edge, and of these the ones above High and what is connected with
// them above Low. The last step, hysteresis, goes on until nothing changes.
//
// Images have one or three channels, and are 3x3 or larger. One channel is taken as three equal ones.
type Canny struct {
	// Low and High are the thresholds of the gradient, whose largest value is 2040; 0 means 100 and 200, the paper's.
	Low, High int
}

func (c Canny) String() string {
	if c = c.filled(); c != (Canny{100, 200}) {
		return fmt.Sprintf("Canny %d to %d", c.Low, c.High)
	}
	return "Canny"
}

func (c Canny) filled() Canny {
	if c.Low == 0 {
		c.Low = 100
	}
	if c.High == 0 {
		c.High = 200
	}
	return c
}

// Of implements [Prior].
func (c Canny) Of(images *graph.Node) *graph.Node {
	c = c.filled()
	if c.Low < 0 || c.High < c.Low {
		panic(fmt.Errorf("priors: Canny's thresholds are %d and %d: the low one is positive, and the high one no less",
			c.Low, c.High))
	}
	x := bytes(images, "Canny's edges")
	found := hysteresis(suppressed(grey(bilateral(x), false), c.Low, c.High))
	return spread(found, images, "Canny's edges")
}

// Sobel leaves how steep the brightness of an image is, |∇| by 3x3 Sobel kernels: the prior of shape that the paper has
// for larger images. An image whose shorter side is less than 128 pixels is brought to 128 first and back afterwards,
// bicubically, and smoothed by a Gaussian of 5x5 pixels and the deviation 5. Each step is rounded to 8 bits, as those
// of Pillow and OpenCV are, and what is steeper than 255 is cut off.
//
// Images have one or three channels; one channel is taken as three equal ones.
type Sobel struct {
	// Exchanged has the brightness 0.114 R + 0.587 G + 0.299 B, as the released program has it, which takes RGB for
	// BGR.
	Exchanged bool
}

func (s Sobel) String() string {
	if s.Exchanged {
		return "Sobel with R and B exchanged"
	}
	return "Sobel"
}

// Of implements [Prior].
func (s Sobel) Of(images *graph.Node) *graph.Node {
	x := bytes(images, "Sobel's edges")
	d := x.Shape().Dimensions
	height, width := d[1], d[2]
	if short := min(height, width); short < 128 {
		height, width = max(128, height*128/short), max(128, width*128/short)
	}
	// Brightness comes after the image is larger, as there: each is rounded.
	x = resampled(resampled(x, 2, width), 1, height)
	x = smoothed(graph.ConvertDType(grey(x, s.Exchanged), dtypes.Float32))
	dx, dy := gradient(mirrored(x, 1))
	steep := graph.Round(graph.Sqrt(graph.Add(graph.Square(dx), graph.Square(dy))))
	steep = graph.ExpandAxes(graph.MinScalar(steep, 255), -1)
	steep = resampled(resampled(steep, 2, d[2]), 1, d[1])
	return spread(graph.Squeeze(graph.DivScalar(steep, 255), -1), images, "Sobel's edges")
}

// ours is an error of a graph function as this package has put it, without what else was put in front.
func ours(err error) error {
	if at := strings.LastIndex(err.Error(), "priors: "); at > 0 {
		return errors.New(err.Error()[at:])
	}
	return err
}

// bytes are images as whole numbers from 0 to 255, float32 [N, H, W, 3].
func bytes(images *graph.Node, what string) *graph.Node {
	d := images.Shape().Dimensions
	if len(d) != 4 || d[3] != 1 && d[3] != 3 || d[1] < 3 || d[2] < 3 {
		panic(fmt.Errorf(
			"priors: %s are those of images [N, H, W, C], 3x3 pixels or larger, with one or three channels, not of %s", what,
			images.Shape()))
	}
	x := graph.Round(graph.MulScalar(graph.ClipScalar(graph.ConvertDType(images, dtypes.Float32), 0, 1), 255))
	if d[3] == 1 {
		x = graph.BroadcastToDims(x, d[0], d[1], d[2], 3)
	}
	return x
}

// spread is an image of one channel, [N, H, W], as images have them, in their type. No gradient goes through it.
func spread(x, images *graph.Node, what string) *graph.Node {
	x = graph.ConvertDType(graph.BroadcastToDims(graph.ExpandAxes(x, -1), images.Shape().Dimensions...), images.DType())
	return graph.IdentityWithCustomGradient(x, func(_, _ *graph.Node) *graph.Node {
		panic(fmt.Errorf("priors: %s have no gradient: ask the network about the edges themselves, which Seen gives", what))
	})
}

// grey is the brightness of [N, H, W, 3] in whole numbers, int32 [N, H, W]: as Pillow's, in 16 bits, or with R and B
// exchanged as OpenCV's, in 15.
func grey(x *graph.Node, exchanged bool) *graph.Node {
	weights, bits := [3]int32{19595, 38470, 7471}, 16
	if exchanged {
		weights, bits = [3]int32{3735, 19235, 9798}, 15
	}
	x = graph.ConvertDType(x, dtypes.Int32)
	sum := graph.ReduceSum(graph.Mul(x, graph.Reshape(graph.Const(x.Graph(), weights[:]), 1, 1, 1, 3)), -1)
	return graph.DivScalar(graph.AddScalar(sum, 1<<(bits-1)), 1<<bits) // both positive: rounded down
}

// padded continues images along height and width by n pixels each way: edge gives what lies beyond an end along an
// axis, n pixels, whether after it or before.
func padded(x *graph.Node, n int, beyond func(x *graph.Node, axis int, after bool) *graph.Node) *graph.Node {
	for axis := 1; axis <= 2; axis++ {
		x = graph.Concatenate([]*graph.Node{beyond(x, axis, false), x, beyond(x, axis, true)}, axis)
	}
	return x
}

// cut is the pixels from one to another along an axis.
func cut(x *graph.Node, axis, from, to int) *graph.Node {
	specs := make([]graph.SliceAxisSpec, x.Rank())
	for i := range specs {
		specs[i] = graph.AxisRange()
	}
	specs[axis] = graph.AxisRange(from, to)
	return graph.Slice(x, specs...)
}

// mirrored continues images by their mirror image, without the edge twice.
func mirrored(x *graph.Node, n int) *graph.Node {
	return padded(x, n, func(x *graph.Node, axis int, after bool) *graph.Node {
		if length := x.Shape().Dimensions[axis]; after {
			return graph.Reverse(cut(x, axis, length-1-n, length-1), axis)
		}
		return graph.Reverse(cut(x, axis, 1, 1+n), axis)
	})
}

// continued goes on with the pixels of the edge, one each way.
func continued(x *graph.Node) *graph.Node {
	return padded(x, 1, func(x *graph.Node, axis int, after bool) *graph.Node {
		if length := x.Shape().Dimensions[axis]; after {
			return cut(x, axis, length-1, length)
		}
		return cut(x, axis, 0, 1)
	})
}

// surrounded goes on with zeros, one each way.
func surrounded(x *graph.Node) *graph.Node {
	return padded(x, 1, func(x *graph.Node, axis int, _ bool) *graph.Node { return graph.ZerosLike(cut(x, axis, 0, 1)) })
}

// moved is what lies so far below and to the right of every pixel, of images that were continued by n.
func moved(x *graph.Node, n, down, right int) *graph.Node {
	d := x.Shape().Dimensions
	return cut(cut(x, 1, n+down, d[1]-n+down), 2, n+right, d[2]-n+right)
}

// bilateral is OpenCV's bilateral filter of diameter 5, of [N, H, W, 3] in whole numbers: the mean of the pixels within
// 2 pixels, weighed by how far they lie and how far their colours are, Σ|Δ|, both by Gaussians of deviation 75.
func bilateral(x *graph.Node) *graph.Node {
	const radius, falls = 2, -0.5 / (75 * 75)
	around := mirrored(x, radius)
	var sum, total *graph.Node
	for down := -radius; down <= radius; down++ {
		for right := -radius; right <= radius; right++ {
			far := down*down + right*right
			if far > radius*radius {
				continue
			}
			other := moved(around, radius, down, right)
			colour := graph.ReduceAndKeep(graph.Abs(graph.Sub(other, x)), graph.ReduceSum, -1)
			weight := graph.MulScalar(graph.Exp(graph.MulScalar(graph.Square(colour), falls)), math.Exp(float64(far)*falls))
			if sum == nil {
				sum, total = graph.Mul(other, weight), weight
			} else {
				sum, total = graph.Add(sum, graph.Mul(other, weight)), graph.Add(total, weight)
			}
		}
	}
	return graph.Round(graph.Div(sum, total))
}

// gradient is ∂x and ∂y by 3x3 Sobel kernels of [N, H+2, W+2].
func gradient(x *graph.Node) (dx, dy *graph.Node) {
	at := func(down, right int) *graph.Node { return moved(x, 1, down, right) }
	along := func(a, b, c *graph.Node) *graph.Node { return graph.Add(graph.Add(a, c), graph.MulScalar(b, 2)) }
	dx = graph.Sub(along(at(-1, 1), at(0, 1), at(1, 1)), along(at(-1, -1), at(0, -1), at(1, -1)))
	dy = graph.Sub(along(at(1, -1), at(1, 0), at(1, 1)), along(at(-1, -1), at(-1, 0), at(-1, 1)))
	return dx, dy
}

// suppressed are the pixels of brightness [N, H, W] int32 whose gradient is above low and the largest of the three
// across the edge, and those of them above high. The direction is one of four, by the tangents of 22.5° and 67.5° in
// 15 bits; of two equal neighbours the first counts.
func suppressed(x *graph.Node, low, high int) (weak, strong *graph.Node) {
	dx, dy := gradient(continued(x))
	steep := graph.Add(graph.Abs(dx), graph.Abs(dy))
	around := surrounded(steep)
	at := func(down, right int) *graph.Node { return moved(around, 1, down, right) }
	const tangent = 13573 // of 22.5°, in 15 bits; that of 67.5° is 2 more
	slope := graph.MulScalar(graph.Abs(dx), tangent)
	rise := graph.MulScalar(graph.Abs(dy), 1<<15)
	flat := graph.LessThan(rise, slope)
	upright := graph.GreaterThan(rise, graph.Add(slope, graph.MulScalar(graph.Abs(dx), 1<<16)))
	largest := func(before, after *graph.Node, strictly bool) *graph.Node {
		second := graph.GreaterOrEqual
		if strictly {
			second = graph.GreaterThan
		}
		return graph.LogicalAnd(graph.GreaterThan(steep, before), second(steep, after))
	}
	falls := graph.LessThan(graph.Mul(graph.Sign(dx), graph.Sign(dy)), graph.ZerosLike(dx))
	slanted := graph.Where(falls, largest(at(-1, 1), at(1, -1), true), largest(at(-1, -1), at(1, 1), true))
	ridge := graph.Where(flat, largest(at(0, -1), at(0, 1), false),
		graph.Where(upright, largest(at(-1, 0), at(1, 0), false), slanted))
	above := func(threshold int) *graph.Node {
		return graph.GreaterThan(steep, graph.Scalar(x.Graph(), dtypes.Int32, threshold))
	}
	weak = graph.LogicalAnd(ridge, above(low))
	return weak, graph.LogicalAnd(weak, above(high))
}

// hysteresis are the weak pixels that are connected with strong ones, with each of 8 neighbours, int32 [N, H, W]: a
// loop on the device that ends when nothing changes.
func hysteresis(weak, strong *graph.Node) *graph.Node {
	g := weak.Graph()
	number := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Int32) }
	state := []*graph.Node{number(weak), number(strong), graph.Const(g, int32(1))}
	inside := func() (nodes []*graph.Node) {
		for i, s := range state {
			nodes = append(nodes, graph.Parameter(g, fmt.Sprintf("hysteresis%d", i), s.Shape()))
		}
		return nodes
	}
	// No scalar constants within: GoMLX keeps one node for each in a graph, which XLA lets only one function use.
	goOn := graph.NewClosure(g, func(*graph.Graph) []*graph.Node {
		grew := inside()[2]
		return []*graph.Node{graph.NotEqual(grew, graph.Sub(grew, grew))}
	})
	grow := graph.NewClosure(g, func(*graph.Graph) []*graph.Node {
		s := inside()
		weak, strong := s[0], s[1]
		none := func(x *graph.Node) *graph.Node { return graph.Sub(x, x) }
		reach := strong
		for axis := 1; axis <= 2; axis++ {
			length := reach.Shape().Dimensions[axis]
			before := graph.Concatenate([]*graph.Node{none(cut(reach, axis, 0, 1)), cut(reach, axis, 0, length-1)}, axis)
			after := graph.Concatenate([]*graph.Node{cut(reach, axis, 1, length), none(cut(reach, axis, 0, 1))}, axis)
			reach = graph.Max(reach, graph.Max(before, after))
		}
		next := graph.Min(weak, reach)
		return []*graph.Node{weak, next, graph.ReduceAllMax(graph.Sub(next, strong))}
	})
	return graph.While(goOn, grow, state...)[1]
}

// smoothed is OpenCV's Gaussian of 5x5 pixels and the deviation 5, of [N, H, W] in whole numbers: its weights are whole
// 256ths, and the sum is rounded once.
func smoothed(x *graph.Node) *graph.Node {
	weights := [5]float64{49, 52, 54, 52, 49}
	x = mirrored(x, 2)
	for axis := 1; axis <= 2; axis++ {
		length := x.Shape().Dimensions[axis] - 4
		var sum *graph.Node
		for i, w := range weights {
			if part := graph.MulScalar(cut(x, axis, i, i+length), w); sum == nil {
				sum = part
			} else {
				sum = graph.Add(sum, part) // at most 255·2¹⁶, exact
			}
		}
		x = sum
	}
	return graph.Floor(graph.DivScalar(graph.AddScalar(x, 1<<15), 1<<16))
}

// resampled brings an axis of images, [N, H, W, C] in whole numbers, to a length, bicubically as Pillow does: with
// weights of 22 bits, over the area that falls on a pixel where the image gets smaller, rounded to 8 bits.
func resampled(x *graph.Node, axis, length int) *graph.Node {
	from := x.Shape().Dimensions[axis]
	if from == length {
		return x
	}
	const bits = 22
	matrix := make([]float64, from*length)
	for to, row := range bicubic(from, length) {
		for at, w := range row {
			matrix[at*length+to] = math.Trunc(w*(1<<bits) + math.Copysign(0.5, w))
		}
	}
	weights := graph.Reshape(graph.Const(x.Graph(), matrix), from, length)
	last := x.Rank() - 1
	y := graph.ConvertDType(x, dtypes.Float64) // in which sums of these whole numbers are exact
	order := []int{0, 1, 2, last}
	order[axis], order[last] = last, axis
	y = graph.Transpose(y, axis, last)
	y = graph.Transpose(graph.Dot(y, weights).General([]int{last}, nil, []int{0}, nil), axis, last)
	y = graph.Floor(graph.DivScalar(graph.AddScalar(y, 1<<(bits-1)), 1<<bits))
	return graph.ConvertDType(graph.ClipScalar(y, 0, 255), dtypes.Float32)
}

// bicubic are the weights with which the pixels of a line make those of another: Keys' kernel with a = -1/2, as wide as
// the step where the line gets shorter.
func bicubic(from, to int) [][]float64 {
	keys := func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}
	scale := float64(from) / float64(to)
	wide := max(scale, 1)
	rows := make([][]float64, to)
	for i := range rows {
		rows[i] = make([]float64, from)
		middle := (float64(i) + 0.5) * scale
		first := max(int(middle-2*wide+0.5), 0)
		last := min(int(middle+2*wide+0.5), from)
		sum := 0.0
		for at := first; at < last; at++ {
			rows[i][at] = keys((float64(at) - middle + 0.5) / wide)
			sum += rows[i][at]
		}
		for at := first; at < last; at++ {
			rows[i][at] /= sum
		}
	}
	return rows
}
