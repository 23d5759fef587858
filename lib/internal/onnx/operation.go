package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// operation is how an operator is built. What it does not ask for of a node's attributes is refused.
type operation struct {
	least, most int // inputs; most is -1 where there is no limit
	build       func(c *call)
	control     bool     // whether it builds graphs of its own, or knows its result although its input is not known
	weights     bool     // whether an input, but the first, is a weight whatever its size
	form        bool     // whether the result only has another form, or is no activation at all
	apart       apart    // whether several images stay apart; nil means that nobody knows
	channels    channels // where the channels of the result lie; nil means where those of its inputs do
	numberwise  bool     // whether the numbers at each place are treated by themselves
}

func (o operation) takes() string {
	switch {
	case o.most < 0:
		return fmt.Sprintf("%d or more", o.least)
	case o.least == o.most:
		return fmt.Sprint(o.least)
	}
	return fmt.Sprintf("%d to %d", o.least, o.most)
}

// operations are the operators that are handled, ONNX's by their names and others with their domain.
// https://onnx.ai/onnx/operators/
var operations = map[string]*operation{}

func operationKey(domain, name string) string {
	if domain == opsetDefault {
		return name
	}
	return domain + "." + name
}

// operator adds an operator that is handled.
func operator(name string, least, most int, build func(c *call)) {
	operations[name] = &operation{least: least, most: most, build: build}
}

// control adds one that builds graphs of its own, or knows its result although its input is not known.
func control(name string, least, most int, build func(c *call)) {
	operator(name, least, most, build)
	operations[name].control = true
}

// each sets something of operators that have been added, whose names have spaces between them.
func each(names string, set func(o *operation)) {
	for _, name := range strings.Fields(names) {
		set(operations[name])
	}
}

// stayApart says of operators when they leave images apart.
func stayApart(where apart, names string) { each(names, func(o *operation) { o.apart = where }) }

// channelsLie says of operators where the channels of their results lie.
func channelsLie(where channels, names string) {
	each(names, func(o *operation) { o.channels = where })
}

// haveWeights says of operators that they have weights.
func haveWeights(names string) { each(names, func(o *operation) { o.weights = true }) }

// onlyForm says of operators that they give values another form.
func onlyForm(names string) { each(names, func(o *operation) { o.form = true }) }

// elementwise adds operators that treat each number by itself.
func elementwise(build map[string]func(x *graph.Node) *graph.Node) {
	for name, f := range build {
		operator(name, 1, 1, func(c *call) {
			c.ignore("consumed_inputs")
			c.result(f(c.x(0)))
		})
		stayApart(always, name)
		numberwise(name)
	}
}

// together brings values to one shape by ONNX's (NumPy's) rule of broadcasting, as far as GoMLX does not do so by
// itself: to one number of axes.
func (c *call) together(nodes ...*graph.Node) []*graph.Node {
	rank := 0
	for _, n := range nodes {
		rank = max(rank, n.Rank())
	}
	out := make([]*graph.Node, len(nodes))
	for i, n := range nodes {
		if out[i] = n; n.Rank() < rank && n.Rank() > 0 {
			out[i] = graph.ExpandLeftToRank(n, rank)
		}
	}
	c.broadcastDims(out)
	return out
}

// broadcastDims is the shape that values have together. It refuses those that do not fit.
func (c *call) broadcastDims(nodes []*graph.Node) []int {
	rank := 0
	for _, n := range nodes {
		rank = max(rank, n.Rank())
	}
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	for _, n := range nodes {
		for i, d := range n.Shape().Dimensions {
			switch at := rank - n.Rank() + i; {
			case d == dims[at] || d == 1:
			case dims[at] == 1:
				dims[at] = d
			default:
				c.refuse("inputs whose shapes do not fit each other: %v", shapesOf(nodes))
			}
		}
	}
	return dims
}

func shapesOf(nodes []*graph.Node) [][]int {
	var all [][]int
	for _, n := range nodes {
		all = append(all, n.Shape().Dimensions)
	}
	return all
}

// to brings a value to a shape that it is to be repeated to.
func to(x *graph.Node, dims []int) *graph.Node {
	if slices.Equal(x.Shape().Dimensions, dims) {
		return x
	}
	if x.Rank() == 0 {
		return graph.BroadcastToDims(x, dims...)
	}
	return graph.BroadcastToDims(graph.ExpandLeftToRank(x, len(dims)), dims...)
}

// scalar is a number of a value's type.
func scalar(x *graph.Node, v float64) *graph.Node { return graph.Scalar(x.Graph(), x.DType(), v) }

// isFloat tells whether a value has numbers with a point.
func isFloat(x *graph.Node) bool { return x.DType().IsFloat() }

// converted is a value as another type. Numbers with a point lose what is behind it, as in C.
func converted(x *graph.Node, dtype dtypes.DType) *graph.Node {
	if x.DType() == dtype {
		return x
	}
	if dtype == dtypes.Bool {
		return graph.NotEqual(x, graph.ScalarZero(x.Graph(), x.DType()))
	}
	return graph.ConvertDType(x, dtype)
}

// constant is a value of numbers that are known.
func constant[T gotype.Supported](c *call, values []T, dims ...int) *graph.Node {
	return graph.ConstTensor(c.g, tensors.FromFlatDataAndDimensions(values, dims...))
}

// knowsInts gives an output of int64 numbers that are known.
func (c *call) knowsInts(values []int, dims ...int) {
	c.knows(tensors.FromFlatDataAndDimensions(mapped(values, func(v int) int64 { return int64(v) }), dims...))
}

// dtype is what a TensorProto's data type becomes.
func (c *call) dtype(kind int) dtypes.DType {
	e, ok := elements[kind]
	if !ok || e.bytes == 0 { // 4-bit numbers are only read
		c.refuse("the type %s, which is not handled", kindName(kind))
	}
	return c.real(e.dtype)
}

func zeros(like *graph.Node, dims ...int) *graph.Node {
	return graph.Zeros(like.Graph(), shapes.Make(like.DType(), dims...))
}

func product(dims []int) int {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return size
}

// upTo are the numbers 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
