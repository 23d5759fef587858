package perexample

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
)

// through takes what comes back to a value of weights alone to the values that it is made of: the derivative of the
// operation as for one example, with the examples as one more axis in front.
func (p *pass) through(n *graph.Node) {
	in := n.Inputs()
	if len(in) == 0 {
		return
	}
	if n.CustomGradient() != nil {
		refuse("%s of %s has a gradient of its own", n.Type(), n.Shape())
	}
	s := gradients.Settings(n)
	numbers := func(name string) []int { return gradients.Numbers(s.FieldByName(name)) }
	if back := p.byRow[n]; back != nil {
		if n.Type() != graph.NodeTypeBroadcastInDim {
			refuse("%s of a weight with a row for each example is not known here", n.Type())
		}
		p.unbroadcastRows(in[0], numbers("broadcastAxes"), back)
	}
	back := p.plain[n]
	if back == nil {
		return
	}
	give := func(i int, share *graph.Node) {
		if p.kinds[in[i]] == ofWeights {
			add(p.plain, in[i], p.unbroadcast(share, in[i]))
		}
	}
	one := func(x *graph.Node) *graph.Node { return graph.ExpandAxes(x, 0) } // for all examples the same
	// wide is a value of one of the inputs, as large as the result.
	wide := func(x *graph.Node) *graph.Node {
		if x.Rank() == 0 {
			return x
		}
		return one(x)
	}
	b := back.Shape().Dimensions
	switch n.Type() {
	case graph.NodeTypeReshape:
		add(p.plain, in[0], graph.Reshape(back, append([]int{p.b}, in[0].Shape().Dimensions...)...))
	case graph.NodeTypeIdentity:
		give(0, back)
	case graph.NodeTypeConvertDType:
		give(0, graph.ConvertDType(back, in[0].DType()))
	case graph.NodeTypeTranspose:
		inverse := make([]int, len(b))
		for to, from := range numbers("permutation") {
			inverse[from+1] = to + 1
		}
		add(p.plain, in[0], graph.TransposeAllAxes(back, inverse...))
	case graph.NodeTypeBroadcastInDim:
		axes := numbers("broadcastAxes")
		var over []int
		for a := range n.Rank() {
			i := slices.Index(axes, a)
			if i < 0 || in[0].Shape().Dimensions[i] != n.Shape().Dimensions[a] {
				over = append(over, a+1)
			}
		}
		if len(over) > 0 {
			back = graph.ReduceSum(back, over...)
		}
		add(p.plain, in[0], graph.Reshape(back, append([]int{p.b}, in[0].Shape().Dimensions...)...))
	case graph.NodeTypeReduceSum:
		kept := append([]int{p.b}, in[0].Shape().Dimensions...)
		whole := slices.Clone(kept)
		axes := numbers("axes")
		for a := range in[0].Rank() {
			if len(axes) == 0 || slices.Contains(axes, a) {
				kept[a+1] = 1
			}
		}
		add(p.plain, in[0], graph.BroadcastToDims(graph.Reshape(back, kept...), whole...))
	case graph.NodeTypeSlice:
		starts, limits, strides := numbers("starts"), numbers("limits"), numbers("strides")
		for a := range in[0].Rank() {
			if len(strides) > 0 && strides[a] != 1 {
				refuse("a slice of weights with strides is not known here")
			}
			if before, after := starts[a], in[0].Shape().Dimensions[a]-limits[a]; before+after > 0 {
				back = gradients.ZeroPad(back, a+1, [2]int{before, after})
			}
		}
		add(p.plain, in[0], back)
	case graph.NodeTypeNeg:
		give(0, graph.Neg(back))
	case graph.NodeTypeExp:
		give(0, graph.Mul(back, wide(n)))
	case graph.NodeTypeSqrt:
		give(0, graph.Div(graph.MulScalar(back, 0.5), wide(n)))
	case graph.NodeTypeRsqrt:
		give(0, graph.MulScalar(graph.Mul(back, wide(graph.Mul(n, graph.Mul(n, n)))), -0.5))
	case graph.NodeTypeAdd:
		give(0, back)
		give(1, back)
	case graph.NodeTypeSub:
		give(0, back)
		give(1, graph.Neg(back))
	case graph.NodeTypeMul:
		give(0, graph.Mul(back, wide(in[1])))
		give(1, graph.Mul(back, wide(in[0])))
	case graph.NodeTypeMax: // where both are the same it goes to the first, as GoMLX has it
		first := graph.NonNegativeIndicator(graph.Sub(in[0], in[1]))
		give(0, graph.Mul(back, wide(first)))
		give(1, graph.Mul(back, wide(graph.OneMinus(first))))
	case graph.NodeTypeDiv:
		give(0, graph.Div(back, wide(in[1])))
		give(1, graph.Neg(graph.Mul(back, graph.Div(wide(n), wide(in[1])))))
	default:
		refuse("%s of weights is not known here", n.Type())
	}
}

// unbroadcast sums over the axes along which an input was broadcast.
func (p *pass) unbroadcast(share, in *graph.Node) *graph.Node {
	d, id := share.Shape().Dimensions, in.Shape().Dimensions
	if len(id) == 0 {
		var all []int
		for a := 1; a < len(d); a++ {
			all = append(all, a)
		}
		if all == nil {
			return share
		}
		return graph.ReduceSum(share, all...)
	}
	var over []int
	for a := range id {
		if id[a] == 1 && d[a+1] != 1 {
			over = append(over, a+1)
		}
	}
	if over == nil {
		return share
	}
	return graph.ReduceAndKeep(share, graph.ReduceSum, over...)
}

// unbroadcastRows is what comes back to a weight that was broadcast to a row for each row of the batch.
func (p *pass) unbroadcastRows(in *graph.Node, axes []int, back *graph.Node) {
	d := back.Shape().Dimensions
	over := []int{1} // of [B, V, ...]
	for a := 1; a < len(d); a++ {
		i := slices.Index(axes, a)
		if i < 0 || in.Shape().Dimensions[i] != d[a] {
			over = append(over, a+1)
		}
	}
	if i := slices.Index(axes, 0); i >= 0 && in.Shape().Dimensions[i] != 1 {
		refuse("a weight %s has a row for each example", in.Shape())
	}
	share := graph.ReduceSum(p.perExample(back), over...)
	add(p.plain, in, graph.Reshape(share, append([]int{p.b}, in.Shape().Dimensions...)...))
}
