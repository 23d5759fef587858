package onnx

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operators of networks whose numbers have eight bits. They are computed forward as ONNX says; rounding has no
// gradient.
func init() {
	operator("QuantizeLinear", 2, 3, func(c *call) {
		c.ignore("saturate", "precision")
		x := c.x(0)
		dtype := dtypes.Uint8
		if kind := c.int("output_dtype", 0); kind != 0 {
			dtype = c.dtype(kind)
		}
		if c.has(2) {
			dtype = c.shape(2).DType
		}
		l := c.levels(dtype)
		if c.has(2) && c.in[2].kind == kindInt4 {
			l.low, l.high = -8, 7
		} else if c.has(2) && c.in[2].kind == kindUint4 {
			l.high = 15
		}
		scale, zero := c.alongAxis(x, 1), c.optionalAlongAxis(x, 2)
		c.result(quantized(x, scale, zero, l))
	})
	operator("DequantizeLinear", 2, 3, func(c *call) {
		x := c.x(0)
		if kind := c.int("output_dtype", 0); kind != 0 {
			c.dtype(kind)
		}
		c.result(dequantized(x, c.alongAxis(x, 1), c.optionalAlongAxis(x, 2)))
	})
	operator("DynamicQuantizeLinear", 1, 1, func(c *call) {
		x := c.x(0)
		zero := graph.ScalarZero(c.g, x.DType())
		high, low := graph.Max(graph.ReduceAllMax(x), zero), graph.Min(graph.ReduceAllMin(x), zero)
		scale := graph.DivScalar(graph.Sub(high, low), 255)
		safe := graph.Where(graph.Equal(scale, zero), graph.OnesLike(scale), scale)
		point := graph.ClipScalar(graph.Round(graph.Div(graph.Neg(low), safe)), 0, 255)
		c.result(quantized(x, safe, point, levels{0, 255, dtypes.Uint8}), scale, graph.ConvertDType(point, dtypes.Uint8))
	})
	operator("MatMulInteger", 2, 4, func(c *call) {
		a := c.centred(0, 2, func(rank, n int) []int { return []int{n, 1} })
		b := c.centred(1, 3, func(rank, n int) []int { return []int{n} })
		c.result(graph.ConvertDType(c.matMul(a, b), dtypes.Int32))
	})
	operator("ConvInteger", 2, 4, func(c *call) {
		x := c.centred(0, 2, func(int, int) []int { return nil })
		w := c.centred(1, 3, func(rank, n int) []int { return append([]int{n}, slices.Repeat([]int{1}, rank-1)...) })
		c.result(graph.ConvertDType(c.conv(x, w, nil), dtypes.Int32))
	})
	operator("QLinearMatMul", 8, 8, func(c *call) {
		a := c.centred(0, 2, func(rank, n int) []int { return []int{n, 1} })
		b := c.centred(3, 5, func(rank, n int) []int { return []int{n} })
		c.requantized(c.matMul(a, b), c.x(1), c.x(4), 6)
	})
	operator("QLinearConv", 8, 9, func(c *call) {
		x := c.centred(0, 2, func(int, int) []int { return nil })
		w := c.centred(3, 5, func(rank, n int) []int { return append([]int{n}, slices.Repeat([]int{1}, rank-1)...) })
		y := c.conv(x, w, nil)
		if c.has(8) {
			y = graph.Add(y, alongAxes(graph.ConvertDType(c.x(8), y.DType()), 1, y.Rank()))
		}
		scale := c.x(4)
		if scale.Shape().Size() > 1 {
			scale = alongAxes(scale, 1, y.Rank())
		}
		c.requantized(y, c.x(1), scale, 6)
	})
	operator("com.microsoft.QGemm", 6, 9, func(c *call) {
		a := c.centred(0, 2, func(int, int) []int { return nil })
		transposed := c.flag("transB")
		b := c.centred(3, 5, func(rank, n int) []int {
			if transposed {
				return []int{n, 1}
			}
			return []int{n}
		})
		if c.flag("transA") {
			a = swapLast(a)
		}
		if transposed {
			b = swapLast(b)
		}
		y := c.matMul(a, b)
		if c.has(6) { // in units of both scales
			n := c.together(y, graph.ConvertDType(c.x(6), y.DType()))
			y = graph.Add(n[0], n[1])
		}
		y = graph.MulScalar(y, c.float("alpha", 1))
		if c.has(7) {
			c.requantized(y, c.x(1), c.x(4), 7)
			return
		}
		for _, scale := range []int{1, 4} {
			n := c.together(y, graph.ConvertDType(c.x(scale), y.DType()))
			y = graph.Mul(n[0], n[1])
		}
		c.result(converted(y, c.real(dtypes.Float32)))
	})
	qlinear := func(f func(a, b *graph.Node) *graph.Node) func(c *call) {
		return func(c *call) {
			a := dequantized(c.x(0), c.x(1), c.optional(2))
			b := dequantized(c.x(3), c.x(4), c.optional(5))
			n := c.together(a, b)
			c.requantized(f(n[0], n[1]), nil, nil, 6)
		}
	}
	operator("com.microsoft.QLinearAdd", 7, 8, qlinear(graph.Add))
	operator("com.microsoft.QLinearMul", 7, 8, qlinear(graph.Mul))
	operator("com.microsoft.QLinearGlobalAveragePool", 4, 5, func(c *call) {
		if c.flag("channels_last") {
			c.refuse("channels_last=1")
		}
		x := dequantized(c.x(0), c.x(1), c.optional(2))
		c.spatial(x)
		y := graph.ReduceAndKeep(x, graph.ReduceMean, trailing(2, x.Rank())...)
		c.requantized(y, nil, nil, 3)
	})
	operator("com.microsoft.QLinearConcat", 5, -1, func(c *call) {
		var parts []*graph.Node
		for i := 2; i+1 < len(c.in); i += 3 {
			parts = append(parts, dequantized(c.x(i), c.x(i+1), c.optional(i+2)))
		}
		y := graph.Concatenate(parts, c.axis(c.int("axis", 0), parts[0].Rank()))
		c.result(quantized(y, c.x(0), converted(c.x(1), c.real(dtypes.Float32)), c.levels(c.shape(1).DType)))
	})
	for name, f := range map[string]func(x *graph.Node, c *call) *graph.Node{
		"com.microsoft.QLinearSigmoid": func(x *graph.Node, _ *call) *graph.Node { return graph.Sigmoid(x) },
		"com.microsoft.QLinearLeakyRelu": func(x *graph.Node, c *call) *graph.Node {
			return graph.Where(graph.IsNegative(x), graph.MulScalar(x, c.float("alpha", 0.01)), x)
		},
	} {
		operator(name, 4, 5, func(c *call) { c.requantized(f(dequantized(c.x(0), c.x(1), c.optional(2)), c), nil, nil, 3) })
	}
	stayApart(always,
		`QuantizeLinear DequantizeLinear MatMulInteger QLinearMatMul com.microsoft.QLinearAdd com.microsoft.QLinearMul
		com.microsoft.QLinearSigmoid com.microsoft.QLinearLeakyRelu`)
	stayApart(onFirstAxis, "ConvInteger QLinearConv com.microsoft.QGemm com.microsoft.QLinearGlobalAveragePool")
	channelsLie(onSecondAxis, "ConvInteger QLinearConv com.microsoft.QLinearGlobalAveragePool")
	channelsLie(ofProduct, "MatMulInteger QLinearMatMul")
}

// levels are the numbers that a type of few bits has.
type levels struct {
	low, high float64
	dtype     dtypes.DType
}

func (c *call) levels(dtype dtypes.DType) levels {
	switch dtype {
	case dtypes.Uint8:
		return levels{0, 255, dtype}
	case dtypes.Int8:
		return levels{-128, 127, dtype}
	case dtypes.Uint16:
		return levels{0, math.MaxUint16, dtype}
	case dtypes.Int16:
		return levels{math.MinInt16, math.MaxInt16, dtype}
	case dtypes.Int32:
		return levels{math.MinInt32, math.MaxInt32, dtype}
	}
	c.refuse("quantised numbers of %s", dtype)
	return levels{}
}

func quantized(x, scale, zero *graph.Node, l levels) *graph.Node {
	y := graph.Round(graph.Div(converted(x, scale.DType()), scale))
	if zero != nil {
		y = graph.Add(y, converted(zero, y.DType()))
	}
	return graph.ConvertDType(graph.ClipScalar(y, l.low, l.high), l.dtype)
}

func dequantized(x, scale, zero *graph.Node) *graph.Node {
	y := graph.ConvertDType(x, scale.DType())
	if zero != nil {
		y = graph.Sub(y, graph.ConvertDType(zero, scale.DType()))
	}
	return graph.Mul(y, scale)
}

// centred is an input less its zero point, in double precision, in which sums of products of 8-bit numbers are exact.
func (c *call) centred(input, zero int, dims func(rank, n int) []int) *graph.Node {
	x := graph.ConvertDType(c.x(input), dtypes.Float64)
	if !c.has(zero) {
		return x
	}
	z := graph.ConvertDType(c.x(zero), dtypes.Float64)
	if n := z.Shape().Size(); n > 1 && z.Rank() == 1 {
		if d := dims(x.Rank(), n); d != nil {
			z = graph.Reshape(z, d...)
		}
	} else if n == 1 {
		z = graph.Reshape(z)
	}
	n := c.together(x, z)
	return graph.Sub(n[0], n[1])
}

// requantized brings sums of quantised products, with their scales, to the scale and zero point that are the inputs
// from at on.
func (c *call) requantized(y, a, b *graph.Node, at int) {
	y = graph.ConvertDType(y, dtypes.Float64)
	for _, scale := range []*graph.Node{a, b} {
		if scale != nil {
			n := c.together(y, graph.ConvertDType(scale, dtypes.Float64))
			y = graph.Mul(n[0], n[1])
		}
	}
	l := levels{0, 255, dtypes.Uint8}
	var zero *graph.Node
	if c.has(at + 1) {
		l = c.levels(c.shape(at + 1).DType)
		zero = graph.ConvertDType(c.x(at+1), dtypes.Float64)
	}
	n := c.together(y, graph.ConvertDType(c.x(at), dtypes.Float64))
	z := graph.Round(graph.Div(n[0], n[1]))
	if zero != nil {
		n := c.together(z, zero)
		z = graph.Add(n[0], n[1])
	}
	c.result(graph.ConvertDType(graph.ClipScalar(z, l.low, l.high), l.dtype))
}

// alongAxis gives a scale or zero point the axes of what it scales: one number, one for each place of an axis, or, with
// block_size, one for each few.
func (c *call) alongAxis(x *graph.Node, input int) *graph.Node {
	v := c.x(input)
	axis := c.int("axis", 1)
	block := c.int("block_size", 0)
	switch {
	case v.Shape().Size() == 1 && v.Rank() <= 1:
		return graph.Reshape(v)
	case block > 0:
		axis = c.axis(axis, x.Rank())
		if v.Rank() != x.Rank() {
			c.refuse("a scale of %v for %v", v.Shape().Dimensions, x.Shape().Dimensions)
		}
		var places []int
		for p := range x.Shape().Dimensions[axis] {
			if p/block >= v.Shape().Dimensions[axis] {
				c.refuse("block_size=%d and a scale of %v for %v", block, v.Shape().Dimensions, x.Shape().Dimensions)
			}
			places = append(places, p/block)
		}
		return pick(v, axis, places)
	case v.Rank() == 1:
		axis = c.axis(axis, x.Rank())
		if v.Shape().Size() != x.Shape().Dimensions[axis] {
			c.refuse("a scale of %v for the axis %d of %v", v.Shape().Dimensions, axis, x.Shape().Dimensions)
		}
		dims := slices.Repeat([]int{1}, x.Rank())
		dims[axis] = v.Shape().Size()
		return graph.Reshape(v, dims...)
	}
	c.refuse("a scale of %v for %v", v.Shape().Dimensions, x.Shape().Dimensions)
	return nil
}

func (c *call) optionalAlongAxis(x *graph.Node, input int) *graph.Node {
	if !c.has(input) {
		return nil
	}
	return c.alongAxis(x, input)
}
