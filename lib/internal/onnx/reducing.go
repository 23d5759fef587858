package onnx

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operators that make one number of many, and those that weigh the numbers of an axis against each other.
func init() {
	for name, f := range map[string]func(x *graph.Node, axes ...int) *graph.Node{
		"ReduceMean": func(x *graph.Node, axes ...int) *graph.Node {
			if isFloat(x) {
				return graph.ReduceMean(x, axes...)
			}
			n := 1
			for _, a := range axes {
				n *= x.Shape().Dimensions[a]
			}
			return graph.Div(graph.ReduceSum(x, axes...), graph.Scalar(x.Graph(), x.DType(), n))
		},
		"ReduceSum": graph.ReduceSum, "ReduceMax": reduceMost(graph.ReduceMax), "ReduceMin": reduceMost(graph.ReduceMin),
		"ReduceProd": graph.ReduceMultiply,
		"ReduceL1":   func(x *graph.Node, axes ...int) *graph.Node { return graph.ReduceSum(graph.Abs(x), axes...) },
		"ReduceL2": func(x *graph.Node, axes ...int) *graph.Node {
			sum := graph.ReduceSum(graph.Square(x), axes...)
			if !isFloat(x) {
				return converted(graph.Sqrt(converted(sum, dtypes.Float64)), x.DType())
			}
			return graph.Sqrt(sum)
		},
		"ReduceSumSquare": func(x *graph.Node, axes ...int) *graph.Node { return graph.ReduceSum(graph.Square(x), axes...) },
		"ReduceLogSum":    func(x *graph.Node, axes ...int) *graph.Node { return graph.Log(graph.ReduceSum(x, axes...)) },
		"ReduceLogSumExp": func(x *graph.Node, axes ...int) *graph.Node {
			most := graph.StopGradient(graph.ReduceAndKeep(x, graph.ReduceMax, axes...))
			sum := graph.ReduceAndKeep(graph.Exp(graph.Sub(x, most)), graph.ReduceSum, axes...)
			return graph.Squeeze(graph.Add(graph.Log(sum), most), axes...)
		},
	} {
		operator(name, 1, 2, func(c *call) { c.reduce(f) })
		stayApart(always, name)
	}
	operator("GlobalAveragePool", 1, 1, func(c *call) { c.global(graph.ReduceMean) })
	operator("GlobalMaxPool", 1, 1, func(c *call) { c.global(graph.ReduceMax) })
	operator("GlobalLpPool", 1, 1, func(c *call) {
		p := float64(c.int("p", 2))
		c.global(func(x *graph.Node, axes ...int) *graph.Node {
			return graph.PowScalar(graph.ReduceSum(graph.PowScalar(graph.Abs(x), p), axes...), 1/p)
		})
	})
	operator("Softmax", 1, 1, func(c *call) {
		c.normalized(func(x *graph.Node, axis int) *graph.Node { return graph.Softmax(x, axis) })
	})
	operator("LogSoftmax", 1, 1, func(c *call) {
		c.normalized(func(x *graph.Node, axis int) *graph.Node { return graph.LogSoftmax(x, axis) })
	})
	operator("Hardmax", 1, 1, func(c *call) {
		c.normalized(func(x *graph.Node, axis int) *graph.Node {
			d := x.Shape().Dimensions
			hit := graph.OneHot(graph.ArgMax(x, axis), d[axis], x.DType()) // the axis is the last one
			if axis == len(d)-1 {
				return hit
			}
			perm := append(append(upTo(axis), len(d)-1), trailing(axis, len(d)-1)...)
			return graph.TransposeAllAxes(hit, perm...)
		})
	})
	operator("LpNormalization", 1, 1, func(c *call) {
		x := c.x(0)
		axis := c.axis(c.int("axis", -1), x.Rank())
		var length *graph.Node
		switch p := c.int("p", 2); p {
		case 1:
			length = graph.ReduceAndKeep(graph.Abs(x), graph.ReduceSum, axis)
		case 2:
			length = graph.Sqrt(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, axis))
		default:
			c.refuse("p=%d", p)
		}
		none := graph.Equal(length, graph.ScalarZero(c.g, length.DType()))
		c.result(graph.Where(to(none, x.Shape().Dimensions), graph.ZerosLike(x),
			graph.Div(x, graph.Where(none, graph.OnesLike(length), length))))
	})
	stayApart(onFirstAxis, "GlobalAveragePool GlobalMaxPool GlobalLpPool")
	channelsLie(onSecondAxis, "GlobalAveragePool GlobalMaxPool GlobalLpPool")
	stayApart(ofSoftmax, "Softmax LogSoftmax Hardmax")
	stayApart(notOver("axis", -1), "LpNormalization")
}

// reduceMost takes the extreme of truth values too.
func reduceMost(f func(x *graph.Node, axes ...int) *graph.Node) func(x *graph.Node, axes ...int) *graph.Node {
	return func(x *graph.Node, axes ...int) *graph.Node {
		if x.DType() == dtypes.Bool {
			if x.Shape().Size() == 0 {
				panic(refusal{"nothing to reduce"})
			}
			return converted(f(graph.ConvertDType(x, dtypes.Int32), axes...), dtypes.Bool)
		}
		return f(x, axes...)
	}
}

// reduce has its axes as an attribute in earlier opsets, and as an input since 13 or 18. None stand for all, or, if the
// node says so, for none.
func (c *call) reduce(f func(x *graph.Node, axes ...int) *graph.Node) {
	x := c.x(0)
	keep, none := c.int("keepdims", 1) != 0, c.flag("noop_with_empty_axes")
	axes := c.intsGiven("axes", 1)
	if len(axes) == 0 {
		if axes = upTo(x.Rank()); none {
			axes = nil
		}
	}
	axes = c.axes(axes, x.Rank())
	d := slices.Clone(x.Shape().Dimensions)
	empty := x.Shape().Size() == 0
	if len(axes) == 0 && none { // each number by itself
		switch c.node.op {
		case "ReduceL1", "ReduceL2":
			c.result(graph.Abs(x))
		case "ReduceSumSquare":
			c.result(graph.Square(x))
		case "ReduceLogSum":
			c.result(graph.Log(x))
		default:
			c.result(graph.Identity(x))
		}
		return
	}
	if slices.Contains(axes, 2) && slices.Contains(axes, 3) && c.isTurned(x) { // what is left is in one order
		last := c.last(x)
		dims := slices.Clone(last.Shape().Dimensions)
		for _, a := range axes {
			dims[lastAxis[a]] = 1
		}
		y := f(last, mapped(axes, func(a int) int { return lastAxis[a] })...)
		if keep {
			y = c.first(graph.Reshape(y, dims...))
		}
		c.result(y)
		return
	}
	var y *graph.Node
	if len(axes) == 0 {
		y = f(graph.ExpandAxes(x, 0), 0) // a number
	} else {
		y = f(x, axes...)
	}
	if keep {
		for _, a := range axes {
			d[a] = 1
		}
		if !empty || product(d) == y.Shape().Size() {
			y = graph.Reshape(y, d...)
		}
	}
	c.result(y)
}

// global reduces all axes behind the channels and keeps them.
func (c *call) global(f func(x *graph.Node, axes ...int) *graph.Node) {
	x := c.x(0)
	if x.Rank() < 3 {
		c.refuse("an input of %v, other than [N, C, …]", x.Shape().Dimensions)
	}
	if c.isTurned(x) {
		c.result(c.first(graph.ExpandAxes(f(c.last(x), 1, 2), 1, 2)))
		return
	}
	y := f(x, trailing(2, x.Rank())...)
	c.result(graph.ExpandAxes(y, trailing(2, x.Rank())...))
}

// normalized weighs the numbers of an axis against each other; before opset 13 those of all axes from it on.
func (c *call) normalized(f func(x *graph.Node, axis int) *graph.Node) {
	x := c.x(0)
	if c.opset >= 13 {
		c.result(f(x, c.axis(c.int("axis", -1), x.Rank())))
		return
	}
	axis := c.axis(c.int("axis", 1), x.Rank())
	if axis == x.Rank()-1 {
		c.result(f(x, axis))
		return
	}
	d := x.Shape().Dimensions
	flat := graph.Reshape(x, append(slices.Clone(d[:axis]), product(d[axis:]))...)
	c.result(graph.Reshape(f(flat, axis), d...))
}
