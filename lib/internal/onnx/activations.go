package onnx

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operators that treat each number by itself, of one input.
func init() {
	elementwise(map[string]func(x *graph.Node) *graph.Node{
		"Abs": graph.Abs, "Neg": graph.Neg, "Sign": graph.Sign, "Ceil": graph.Ceil, "Floor": graph.Floor, "Sqrt": graph.Sqrt,
		"Exp": graph.Exp, "Log": graph.Log, "Erf": graph.Erf, "Tanh": graph.Tanh, "Sin": graph.Sin, "Cos": graph.Cos,
		"Sigmoid": graph.Sigmoid, "Not": graph.LogicalNot, "BitwiseNot": graph.BitwiseNot, "IsNaN": graph.IsNaN,
		"Round":    graph.Round,
		"Identity": graph.Identity, "Softplus": softplus,
		"Reciprocal": func(x *graph.Node) *graph.Node { return graph.Div(graph.ScalarOne(x.Graph(), x.DType()), x) },
		"Relu":       relu,
		"Tan":        func(x *graph.Node) *graph.Node { return graph.Div(graph.Sin(x), graph.Cos(x)) },
		"Softsign":   func(x *graph.Node) *graph.Node { return graph.Div(x, graph.OnePlus(graph.Abs(x))) },
		"Mish":       func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Tanh(softplus(x))) },
		"HardSwish": func(x *graph.Node) *graph.Node {
			return graph.Mul(x, graph.ClipScalar(graph.AddScalar(graph.MulScalar(x, 1./6), 0.5), 0, 1))
		},
		"Sinh": func(x *graph.Node) *graph.Node {
			return graph.MulScalar(graph.Sub(graph.Exp(x), graph.Exp(graph.Neg(x))), 0.5)
		},
		"Cosh": func(x *graph.Node) *graph.Node {
			return graph.MulScalar(graph.Add(graph.Exp(x), graph.Exp(graph.Neg(x))), 0.5)
		},
		"Asin": func(x *graph.Node) *graph.Node { return graph.Atan2(x, cathetus(x)) },
		"Acos": func(x *graph.Node) *graph.Node { return graph.Atan2(cathetus(x), x) },
		"Atan": func(x *graph.Node) *graph.Node { return graph.Atan2(x, graph.OnesLike(x)) },
		"Asinh": func(x *graph.Node) *graph.Node {
			far := graph.Abs(x)
			return graph.Mul(graph.Sign(x), graph.Log(graph.Add(far, graph.Sqrt(graph.OnePlus(graph.Square(far))))))
		},
		"Acosh": func(x *graph.Node) *graph.Node {
			return graph.Log(graph.Add(x, graph.Sqrt(graph.AddScalar(graph.Square(x), -1))))
		},
		"Atanh": func(x *graph.Node) *graph.Node {
			return graph.MulScalar(graph.Sub(graph.Log1p(x), graph.Log1p(graph.Neg(x))), 0.5)
		},
	})
	operator("HardSigmoid", 1, 1, func(c *call) {
		c.ignore("consumed_inputs")
		c.result(graph.ClipScalar(graph.AddScalar(graph.MulScalar(c.x(0), c.float("alpha", 0.2)), c.float("beta", 0.5)), 0,
			1))
	})
	operator("LeakyRelu", 1, 1, func(c *call) {
		c.ignore("consumed_inputs")
		x := c.x(0)
		c.result(graph.Where(graph.IsNegative(x), graph.MulScalar(x, c.float("alpha", 0.01)), x))
	})
	operator("PRelu", 2, 2, func(c *call) {
		c.ignore("consumed_inputs")
		n := c.together(c.x(0), c.x(1))
		c.result(graph.Where(graph.IsNegative(n[0]), graph.Mul(n[0], n[1]), n[0]))
	})
	operator("Elu", 1, 1, func(c *call) {
		c.ignore("consumed_inputs")
		c.result(elu(c.x(0), c.float("alpha", 1), 1, 1))
	})
	operator("Selu", 1, 1, func(c *call) {
		c.ignore("consumed_inputs")
		alpha, gamma := c.float("alpha", 1.67326319217681884765625), c.float("gamma", 1.05070102214813232421875)
		c.result(elu(c.x(0), alpha, gamma, 1))
	})
	operator("Celu", 1, 1, func(c *call) {
		alpha := c.float("alpha", 1)
		c.result(elu(c.x(0), alpha, 1, alpha))
	})
	operator("ThresholdedRelu", 1, 1, func(c *call) {
		x := c.x(0)
		c.result(graph.Where(graph.GreaterThan(x, scalar(x, c.float("alpha", 1))), x, graph.ZerosLike(x)))
	})
	operator("Shrink", 1, 1, func(c *call) {
		x, bias, lambda := c.x(0), c.float("bias", 0), c.float("lambd", 0.5)
		high := graph.Where(graph.GreaterThan(x, scalar(x, lambda)), graph.Sub(x, scalar(x, bias)), graph.ZerosLike(x))
		c.result(graph.Where(graph.LessThan(x, scalar(x, -lambda)), graph.Add(x, scalar(x, bias)), high))
	})
	operator("Gelu", 1, 1, func(c *call) {
		c.result(gelu(c.x(0), c.text("approximate", "none", "tanh") == "tanh"))
	})
	operator("com.microsoft.Gelu", 1, 1, func(c *call) { c.result(gelu(c.x(0), false)) })
	operator("com.microsoft.FastGelu", 1, 2, func(c *call) { c.result(gelu(c.biased(0, 1), true)) })
	operator("com.microsoft.BiasGelu", 2, 2, func(c *call) { c.result(gelu(c.biased(0, 1), false)) })
	operator("Swish", 1, 1, func(c *call) {
		x := c.x(0)
		c.result(graph.Mul(x, graph.Sigmoid(graph.MulScalar(x, c.float("alpha", 1)))))
	})
	operator("com.microsoft.QuickGelu", 1, 1, func(c *call) {
		x := c.x(0)
		c.result(graph.Mul(x, graph.Sigmoid(graph.MulScalar(x, c.float("alpha", 1.702)))))
	})
	operator("IsInf", 1, 1, func(c *call) {
		x := c.x(0)
		up, down := c.int("detect_positive", 1) != 0, c.int("detect_negative", 1) != 0
		none := graph.ConvertDType(graph.ZerosLike(x), dtypes.Bool)
		found := none
		if up {
			found = graph.LogicalOr(found, graph.Equal(x, graph.Infinity(c.g, x.DType(), 1)))
		}
		if down {
			found = graph.LogicalOr(found, graph.Equal(x, graph.Infinity(c.g, x.DType(), -1)))
		}
		c.result(found)
	})
	operator("Clip", 1, 3, (*call).clip)
	operator("Dropout", 1, 3, func(c *call) {
		c.ignore("seed", "is_test", "ratio", "consumed_inputs")
		if c.has(2) && c.intOf(2) != 0 && !(c.has(1) && c.floatOf(1) == 0) {
			c.refuse("training_mode=true")
		}
		x := c.x(0)
		c.result(graph.Identity(x))
		if len(c.node.outputs) > 1 {
			dtype := dtypes.Bool
			if c.opset < 10 {
				dtype = x.DType()
			}
			c.result(converted(graph.OnesLike(x), dtype))
		}
	})
	operator("Cast", 1, 1, func(c *call) {
		c.ignore("round_mode")
		if c.int("saturate", 1) != 1 {
			c.ignore("saturate") // of 8-bit floats, which are refused
		}
		c.result(converted(c.x(0), c.dtype(c.int("to", 0))))
	})
	operator("CastLike", 2, 2, func(c *call) {
		c.ignore("saturate", "round_mode")
		if kind := c.in[1].kind; kind == kindUint4 || kind == kindInt4 {
			c.dtype(kind)
		}
		c.result(converted(c.x(0), c.real(c.shape(1).DType)))
	})
	stayApart(always,
		`HardSigmoid LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Shrink Gelu com.microsoft.Gelu com.microsoft.FastGelu
		com.microsoft.BiasGelu Swish com.microsoft.QuickGelu IsInf Clip Dropout Cast CastLike`)
	numberwise(`HardSigmoid LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Shrink Gelu Swish com.microsoft.QuickGelu ` +
		`Clip Dropout Cast`)
	haveWeights("PRelu")
	onlyForm("Cast Identity")
}

// softplus is log(1 + e^x), without running over.
func softplus(x *graph.Node) *graph.Node {
	return graph.Add(graph.Max(x, graph.ScalarZero(x.Graph(), x.DType())), graph.Log1p(graph.Exp(graph.Neg(graph.Abs(x)))))
}

// cathetus is the root of 1 - x², as the root of (1-x)(1+x).
func cathetus(x *graph.Node) *graph.Node {
	return graph.Sqrt(graph.Mul(graph.OneMinus(x), graph.OnePlus(x)))
}

// elu is γx where x is positive and γα(e^(x/s) - 1) elsewhere.
func elu(x *graph.Node, alpha, gamma, s float64) *graph.Node {
	below := graph.MulScalar(graph.Expm1(graph.DivScalar(graph.Min(x, graph.ScalarZero(x.Graph(), x.DType())), s)), alpha)
	y := graph.Where(graph.IsPositive(x), x, below)
	if gamma != 1 {
		y = graph.MulScalar(y, gamma)
	}
	return y
}

// gelu is x times the share of a normal distribution below x, or its approximation by a tanh.
func gelu(x *graph.Node, approximate bool) *graph.Node {
	if approximate {
		inner := graph.MulScalar(graph.Add(x, graph.MulScalar(graph.Mul(graph.Square(x), x), 0.044715)), math.Sqrt(2/math.Pi))
		return graph.MulScalar(graph.Mul(x, graph.OnePlus(graph.Tanh(inner))), 0.5)
	}
	return graph.MulScalar(graph.Mul(x, graph.OnePlus(graph.Erf(graph.MulScalar(x, math.Sqrt(0.5))))), 0.5)
}

// biased is an input with another added, if it is there.
func (c *call) biased(x, bias int) *graph.Node {
	if !c.has(bias) {
		return c.x(x)
	}
	n := c.together(c.x(x), c.x(bias))
	return graph.Add(n[0], n[1])
}

// relu has the gradient 0 at 0, as PyTorch's.
func relu(x *graph.Node) *graph.Node { return graph.Max(graph.ScalarZero(x.Graph(), x.DType()), x) }

// clip has its bounds as attributes until opset 10, and as inputs since. A lower bound above the upper one gives the
// upper one. At the bounds the gradient is 0, as that of PyTorch's ReLU6.
func (c *call) clip() {
	c.ignore("consumed_inputs")
	x := c.x(0)
	bound := func(name string, input int) *graph.Node {
		if a := c.attr(name, attrFloat); a != nil && c.opset < 11 {
			return scalar(x, float64(a.f))
		}
		if c.has(input) {
			return converted(c.x(input), x.DType())
		}
		return nil
	}
	if low := bound("min", 1); low != nil {
		n := c.together(low, x)
		x = graph.Max(n[0], n[1])
	}
	if high := bound("max", 2); high != nil {
		n := c.together(x, high)
		x = graph.Min(n[0], n[1])
	}
	c.result(graph.Identity(x))
}
