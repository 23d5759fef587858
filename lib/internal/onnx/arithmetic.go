package onnx

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operators that treat numbers of several inputs at one place.
func init() {
	for name, f := range map[string]func(a, b *graph.Node) *graph.Node{
		"Add": graph.Add, "Sub": graph.Sub, "Mul": graph.Mul, "And": graph.LogicalAnd, "Or": graph.LogicalOr,
		"Xor":        graph.LogicalXor,
		"BitwiseAnd": graph.BitwiseAnd, "BitwiseOr": graph.BitwiseOr, "BitwiseXor": graph.BitwiseXor, "Equal": graph.Equal,
		"Div":  graph.Div,
		"Less": graph.LessThan, "LessOrEqual": graph.LessOrEqual, "Greater": graph.GreaterThan,
		"GreaterOrEqual": graph.GreaterOrEqual,
	} {
		operator(name, 2, 2, func(c *call) {
			c.ignore("consumed_inputs")
			a, b := c.x(0), c.x(1)
			if c.opset < opsetBroadcasting { // along a named axis
				if c.flag("broadcast") {
					if at := c.int("axis", a.Rank()-b.Rank()); b.Rank() > 0 {
						b = graph.ExpandAxes(b, trailing(b.Rank(), a.Rank()-at)...)
					}
				}
			}
			n := c.together(a, b)
			c.result(f(n[0], n[1]))
		})
		stayApart(always, name)
		numberwise(name)
	}
	for name, f := range map[string]func(a, b *graph.Node) *graph.Node{"Sum": graph.Add, "Max": graph.Max,
		"Min": graph.Min, "Mean": graph.Add} {
		operator(name, 1, -1, func(c *call) {
			c.ignore("consumed_inputs")
			n := c.together(c.xs()...)
			y := n[0]
			for _, x := range n[1:] {
				y = f(y, x)
			}
			switch {
			case len(n) == 1:
				y = graph.Identity(y)
			case name == "Mean":
				y = graph.DivScalar(y, float64(len(n)))
			}
			c.result(y)
		})
	}
	operator("Pow", 2, 2, (*call).pow)
	operator("Mod", 2, 2, func(c *call) {
		n := c.together(c.x(0), c.x(1))
		rest := graph.Rem(n[0], n[1])
		if c.flag("fmod") { // the sign of the dividend
			c.result(rest)
			return
		}
		zero := graph.ScalarZero(c.g, rest.DType())
		if rest.DType().IsUnsigned() {
			c.result(rest)
			return
		}
		other := graph.LogicalAnd(graph.NotEqual(rest, zero), graph.NotEqual(graph.LessThan(rest, zero),
			graph.LessThan(n[1], zero)))
		c.result(graph.Where(other, graph.Add(rest, n[1]), rest))
	})
	operator("BitShift", 2, 2, (*call).bitShift)
	operator("Where", 3, 3, func(c *call) {
		n := []*graph.Node{c.x(0), c.x(1), c.x(2)}
		dims := c.broadcastDims(n)
		c.result(graph.Where(to(n[0], dims), to(n[1], dims), to(n[2], dims)))
	})
	stayApart(always, "Sum Max Min Mean Pow Mod BitShift Where")
	numberwise("Sum Max Min Mean Pow Where")
}

// opsetBroadcasting is the first in which inputs are brought to one shape by NumPy's rule.
const opsetBroadcasting = 7

// bitShift of numbers that may be negative keeps their sign, and by more than they have bits, or less than 0, shifts
// all of them out.
func (c *call) bitShift() {
	n := c.together(c.x(0), c.x(1))
	if c.attr("direction", attrString) == nil {
		c.refuse("no direction")
	}
	left := c.text("direction", "LEFT", "RIGHT") == "LEFT"
	x, by := n[0], n[1]
	if x.DType().IsUnsigned() {
		if left {
			c.result(graph.BitwiseShiftLeft(x, by))
		} else {
			c.result(graph.BitwiseShiftRightLogical(x, by))
		}
		return
	}
	bits := 8 * int(x.DType().Size())
	zero := graph.ScalarZero(c.g, by.DType())
	all := graph.LogicalOr(graph.LessThan(by, zero), graph.GreaterOrEqual(by, scalar(by, float64(bits))))
	inside := graph.Where(all, graph.AddScalar(graph.ZerosLike(by), float64(bits-1)), by)
	if left {
		c.result(graph.Where(all, graph.ZerosLike(x), graph.BitwiseShiftLeft(x, inside)))
	} else {
		c.result(graph.BitwiseShiftRightArithmetic(x, inside))
	}
}

// trailing are the axes that are to be added behind rank axes to get so many.
func trailing(rank, of int) []int {
	var axes []int
	for a := rank; a < of; a++ {
		axes = append(axes, a)
	}
	return axes
}

// pow takes the exponent in the type of the base, and whole numbers by way of double precision. Small whole exponents
// are products: their gradients are right at 0 and below.
func (c *call) pow() {
	c.ignore("consumed_inputs")
	x := c.x(0)
	if isFloat(x) && c.in[1].known != nil && c.in[1].known.Size() == 1 && c.in[1].known.Rank() <= x.Rank() {
		switch c.floatOf(1) {
		case 1:
			c.result(graph.Identity(x))
			return
		case 2:
			c.result(graph.Square(x))
			return
		case 3:
			c.result(graph.Mul(graph.Square(x), x))
			return
		case 0.5:
			c.result(graph.Sqrt(x))
			return
		}
	}
	if isFloat(x) {
		n := c.together(x, converted(c.x(1), x.DType()))
		c.result(graph.Pow(n[0], n[1]))
		return
	}
	n := c.together(converted(x, dtypes.Float64), converted(c.x(1), dtypes.Float64))
	y := graph.Pow(n[0], n[1])
	if !isFloat(c.x(1)) {
		y = graph.Round(y)
	}
	c.result(converted(y, x.DType()))
}
