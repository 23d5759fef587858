package perexample

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/normalise"
)

// pass takes what comes back to the values in which weights meet the batch to the weights.
type pass struct {
	*walk
	b int // examples that are told apart: all, or 1 to have the sum over them

	// factors, [B], are what that which comes back to the examples is to be multiplied by; nil for nothing.
	factors *graph.Node

	// What comes back to values of weights alone: an example's share each, [b, ...]; and to those with a row for each
	// row of the batch, a weight that is broadcast, the share of the row in it.
	plain, byRow map[*graph.Node]*graph.Node

	// single are the weights that meet the batch once and do nothing else, of whose gradients the squared lengths are
	// enough: these, [b], are in squares, where they cost less than the gradients. It is empty where gradients are wanted.
	single  map[*graph.Node]bool
	squares map[*graph.Node]*graph.Node
}

func (e *Examples) pass(b int) *pass {
	return &pass{walk: e.walk, b: b, plain: map[*graph.Node]*graph.Node{}, byRow: map[*graph.Node]*graph.Node{},
		squares: map[*graph.Node]*graph.Node{}}
}

// single finds the weights that are used once.
func (e *Examples) single() map[*graph.Node]bool {
	uses, single := map[*graph.Node]int{}, map[*graph.Node]bool{}
	for _, n := range e.walk.order {
		for _, in := range n.Inputs() {
			uses[in]++
		}
	}
	for _, n := range e.weights {
		single[n] = uses[n] == 1
	}
	return single
}

// scaled is what comes back to a value in which weights meet the batch, times the examples' factors.
func (p *pass) scaled(back *graph.Node) *graph.Node {
	if p.factors == nil {
		return back
	}
	d, b := back.Shape().Dimensions, p.factors.Shape().Size()
	wide := make([]int, len(d)+1) // [B, V, ...]
	for a := range wide {
		wide[a] = 1
	}
	wide[0] = b
	parted := graph.Reshape(back, append([]int{b, d[0] / b}, d[1:]...)...)
	return graph.Reshape(graph.Mul(parted, graph.Reshape(p.factors, wide...)), d...)
}

// run goes from the values met, to which back comes back, to the weights.
func (p *pass) run(met, back []*graph.Node) {
	for i, n := range met {
		p.meet(n, back[i])
	}
	for _, n := range slices.Backward(p.order) {
		if p.kinds[n] == ofWeights && (p.plain[n] != nil || p.byRow[n] != nil) {
			p.through(n)
		}
	}
}

// gradient is that by a weight of each of the examples, [b, ...].
func (p *pass) gradient(n *graph.Node) *graph.Node {
	if p.byRow[n] != nil {
		refuse("a weight %s has a row for each example", n.Shape())
	}
	if g := p.plain[n]; g != nil {
		return g
	}
	zeros := graph.ExpandAxes(graph.Zeros(n.Graph(), n.Shape().Clone()), 0)
	return graph.BroadcastToDims(zeros, append([]int{p.b}, n.Shape().Dimensions...)...)
}

// add adds what comes back to a value.
func add(to map[*graph.Node]*graph.Node, n, share *graph.Node) {
	if was := to[n]; was != nil {
		share = graph.Add(was, share)
	}
	to[n] = share
}

// perExample parts the first axis of [B·V, ...] into [B, V, ...].
func (p *pass) perExample(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	return graph.Reshape(x, append([]int{p.b, d[0] / p.b}, d[1:]...)...)
}

// spread gives what comes back to the result of an elementwise operation, [B·V, ...], to an input of weights alone,
// which was broadcast to the result's shape where an axis of it is 1, or all of it where it is a scalar.
func (p *pass) spread(in, back *graph.Node) {
	d := back.Shape().Dimensions
	if in.Rank() == 0 {
		axes := make([]int, 0, len(d))
		for a := range len(d) {
			axes = append(axes, a+1)
		}
		add(p.plain, in, graph.ReduceSum(p.perExample(back), axes...))
		return
	}
	id := in.Shape().Dimensions
	if len(id) != len(d) {
		refuse("a weight %s meets %s", in.Shape(), back.Shape())
	}
	var over []int // axes that it was broadcast along
	for a := 1; a < len(d); a++ {
		if id[a] == 1 && d[a] != 1 {
			over = append(over, a)
		}
	}
	if id[0] == d[0] { // a row each
		if len(over) > 0 {
			back = graph.ReduceAndKeep(back, graph.ReduceSum, over...)
		}
		add(p.byRow, in, back)
		return
	}
	axes := []int{1}
	for _, a := range over {
		axes = append(axes, a+1)
	}
	share := graph.ReduceSum(p.perExample(back), axes...)
	add(p.plain, in, graph.Reshape(share, append([]int{p.b}, id...)...))
}

// meet gives what comes back to a value in which weights meet the batch to those of its inputs that are of weights
// alone.
func (p *pass) meet(n, back *graph.Node) {
	if n.CustomGradient() != nil {
		refuse("%s of %s has a gradient of its own", n.Type(), n.Shape())
	}
	in := n.Inputs()
	switch n.Type() {
	case graph.NodeTypeConvGeneral:
		p.kernel(n, back)
		return
	case graph.NodeTypeCall: // a normalisation, whose gradients are each image's; factors are for these
		_, scale, offset := normalise.Gradient(n, back)
		for i, of := range []*graph.Node{scale, offset} {
			if u := in[1+i]; p.kinds[u] == ofWeights {
				add(p.plain, u, graph.ReduceSum(p.perExample(p.scaled(of)), 1))
			}
		}
		return
	}
	back = p.scaled(back)
	s := gradients.Settings(n)
	for i, u := range in {
		if p.kinds[u] != ofWeights {
			continue
		}
		switch n.Type() {
		case graph.NodeTypeAdd:
			p.spread(u, back)
		case graph.NodeTypeSub:
			if i == 1 {
				p.spread(u, graph.Neg(back))
			} else {
				p.spread(u, back)
			}
		case graph.NodeTypeMul:
			p.spread(u, graph.Mul(back, in[1-i]))
		case graph.NodeTypeDiv:
			if i == 0 {
				p.spread(u, graph.Div(back, in[1]))
			} else {
				p.spread(u, graph.Neg(graph.Mul(back, graph.Div(n, in[1]))))
			}
		case graph.NodeTypeConcatenate:
			axis, at := int(s.FieldByName("axis").Int()), 0
			for _, before := range in[:i] {
				at += before.Shape().Dimensions[axis]
			}
			p.spread(u, graph.SliceAxis(back, axis, graph.AxisRange(at, at+u.Shape().Dimensions[axis])))
		case graph.NodeTypeDotGeneral:
			p.factor(n, back)
		default:
			refuse("%s of weights %s and the batch is not known here", n.Type(), u.Shape())
		}
	}
}

// factor gives the right side of a product, a weight, its share.
func (p *pass) factor(n, back *graph.Node) {
	s := gradients.Settings(n)
	numbers := func(name string) []int { return gradients.Numbers(s.FieldByName(name)) }
	x, u := n.Inputs()[0], n.Inputs()[1]
	if len(numbers("lhsBatchAxes")) > 0 || p.kinds[x] == ofWeights {
		refuse("a product of a form that is not known here")
	}
	const letters = "abcdefghijklmnopqrstuvw"
	// x is z + its other axes, parted into examples: y z.
	left, right := make([]byte, x.Rank()), make([]byte, u.Rank())
	next := 0
	fresh := func() byte { next++; return letters[next-1] }
	summed := numbers("lhsContractingAxes")
	for i, a := range summed {
		left[a] = fresh()
		right[numbers("rhsContractingAxes")[i]] = left[a]
	}
	var out []byte
	tokens := 1 // rows of an example that the weight multiplies
	for a := range left {
		if a == 0 {
			left[a] = 'z'
			out = append(out, 'z')
			tokens *= x.Shape().Dimensions[0] / p.b
		} else if left[a] == 0 {
			left[a] = fresh()
			out = append(out, left[a])
			tokens *= x.Shape().Dimensions[a]
		}
	}
	for a := range right {
		if right[a] == 0 {
			right[a] = fresh()
			out = append(out, right[a])
		}
	}
	into, from := x.Shape().Size()/p.b/tokens, back.Shape().Size()/p.b/tokens
	if p.single[u] && slices.IsSorted(summed) && summed[0] == x.Rank()-len(summed) && tokens*(into+from) < into*from {
		p.squares[u] = gram(graph.Reshape(x, p.b, tokens, into), graph.Reshape(back, p.b, tokens, from))
		return
	}
	equation := fmt.Sprintf("y%s,y%s->y%s", left, out, right)
	add(p.plain, u, graph.Einsum(equation, p.perExample(x), p.perExample(back)))
}

// gram is the squared length of the sum over t of the products of x_t and y_t, [b, T, I] and [b, T, O], for each of b:
// the sum over s and t of ⟨x_s, x_t⟩⟨y_s, y_t⟩, which takes T²(I+O) products in the place of T·I·O (Goodfellow,
// "Efficient per-example gradient computations", 2015, for T = 1; Li et al., "Large language models can be strong
// differentially private learners", ICLR 2022, for more).
func gram(x, y *graph.Node) *graph.Node {
	if x.Shape().Dimensions[1] == 1 {
		return graph.Mul(graph.ReduceSum(graph.Square(x), 1, 2), graph.ReduceSum(graph.Square(y), 1, 2))
	}
	return graph.ReduceSum(graph.Mul(graph.Einsum("bti,bsi->bts", x, x), graph.Einsum("bto,bso->bts", y, y)), 1, 2)
}
