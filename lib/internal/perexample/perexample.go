// Package perexample builds the gradient of each example's loss of a batch by the weights, in one pass: GoMLX has the
// gradient of their sum only.
//
// It asks GoMLX for the gradients by the values in which weights meet the batch, the results of convolutions, products
// and sums, which are every example's own; and makes of each the gradient by the weight as if the example were alone.
// On the way it follows the examples through the graph: an operation in which they could meet, such as batch
// normalisation, is refused, and so is one that is not known here.
package perexample

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
)

// NotSeparable is what Gradients panics with where it cannot tell the examples apart.
type NotSeparable struct{ Why string }

func (n NotSeparable) Error() string { return "perexample: " + n.Why }

func refuse(format string, args ...any) { panic(NotSeparable{fmt.Sprintf(format, args...)}) }

// Gradients are for each of the weights the gradients of each example's loss, [B, ...]. each is the losses, [B]; rows are
// the values that the batch comes in by, whose first axis is the examples, [B·V, ...], the V rows of an example one
// behind the other. What is done to the rows before they meet a weight is taken to keep the examples apart.
func Gradients(each *graph.Node, rows, weights []*graph.Node) []*graph.Node {
	w := &walk{b: each.Shape().Dimensions[0], kinds: map[*graph.Node]kind{}, plain: map[*graph.Node]*graph.Node{}, byRow: map[*graph.Node]*graph.Node{}}
	for _, n := range weights {
		w.kinds[n] = ofWeights
	}
	for _, n := range rows {
		if n.Rank() == 0 || n.Shape().Dimensions[0]%w.b != 0 {
			refuse("the rows of a batch of %d are %s", w.b, n.Shape())
		}
		w.kinds[n] = ofBatch
	}
	w.visit(each)
	if w.kinds[each] != ofBoth {
		refuse("the losses do not depend on the batch and the weights")
	}
	// The losses of all examples together, whose gradient by an example's value is that of its own loss.
	var met []*graph.Node
	for _, n := range w.order {
		if w.kinds[n] != ofBoth {
			continue
		}
		if slices.ContainsFunc(n.Inputs(), func(in *graph.Node) bool { return w.kinds[in] == ofWeights }) {
			met = append(met, n)
		}
	}
	back := graph.Gradient(graph.ReduceAllSum(each), met...)
	for i, n := range met {
		w.meet(n, back[i])
	}
	for _, n := range slices.Backward(w.order) {
		if w.kinds[n] == ofWeights && (w.plain[n] != nil || w.byRow[n] != nil) {
			w.through(n)
		}
	}
	out := make([]*graph.Node, len(weights))
	for i, n := range weights {
		if w.byRow[n] != nil {
			refuse("a weight %s has a row for each example", n.Shape())
		}
		if out[i] = w.plain[n]; out[i] == nil {
			out[i] = graph.Zeros(each.Graph(), n.Shape().Clone())
			out[i] = graph.BroadcastToDims(graph.ExpandAxes(out[i], 0), append([]int{w.b}, n.Shape().Dimensions...)...)
		}
	}
	return out
}

// kind is what a value depends on, by ways that gradients go.
type kind int

const (
	ofNeither kind = iota + 1
	ofWeights
	ofBatch
	ofBoth
)

type walk struct {
	b     int // examples
	kinds map[*graph.Node]kind
	order []*graph.Node // inputs before what is made of them

	// What comes back to values of weights alone: an example's share each, [B, ...]; and to those with a row for each
	// row of the batch, a weight that is broadcast, the share of the row in it.
	plain, byRow map[*graph.Node]*graph.Node
}

// visit finds out what a value depends on.
func (w *walk) visit(n *graph.Node) kind {
	if k := w.kinds[n]; k != 0 {
		if (k == ofWeights || k == ofBatch) && !slices.Contains(w.order, n) {
			w.order = append(w.order, n) // given from the outset
		}
		return k
	}
	k := ofNeither
	inputs := n.Inputs()
	for _, in := range inputs {
		switch of := w.visit(in); {
		case of == ofNeither:
		case k == ofNeither, k == of:
			k = of
		default:
			k = ofBoth
		}
	}
	if n.StopGradient() && (k == ofWeights || k == ofBoth) {
		// No gradient comes here: it is as good as data. Whether it keeps examples apart is for who made it.
		if k = ofNeither; n.Rank() > 0 && n.Shape().Dimensions[0]%w.b == 0 {
			k = ofBatch
		}
	}
	if k == ofBoth {
		w.keepsApart(n)
	}
	w.kinds[n] = k
	w.order = append(w.order, n)
	return k
}

// elementwise are operations whose result has at each place what comes of the inputs at that place.
var elementwise = map[graph.NodeType]bool{
	graph.NodeTypeAdd: true, graph.NodeTypeSub: true, graph.NodeTypeMul: true, graph.NodeTypeDiv: true, graph.NodeTypePow: true,
	graph.NodeTypeMax: true, graph.NodeTypeMin: true, graph.NodeTypeNeg: true, graph.NodeTypeAbs: true, graph.NodeTypeExp: true,
	graph.NodeTypeExpm1: true, graph.NodeTypeLog: true, graph.NodeTypeLog1p: true, graph.NodeTypeSqrt: true, graph.NodeTypeRsqrt: true,
	graph.NodeTypeTanh: true, graph.NodeTypeErf: true, graph.NodeTypeLogistic: true, graph.NodeTypeSin: true, graph.NodeTypeCos: true,
	graph.NodeTypeSign: true, graph.NodeTypeFloor: true, graph.NodeTypeWhere: true, graph.NodeTypeConvertDType: true, graph.NodeTypeClamp: true,
	graph.NodeTypeIdentity: true, graph.NodeTypeEqual: true, graph.NodeTypeNotEqual: true, graph.NodeTypeGreaterThan: true,
	graph.NodeTypeGreaterOrEqual: true, graph.NodeTypeLessThan: true, graph.NodeTypeLessOrEqual: true, graph.NodeTypeIsFinite: true,
	graph.NodeTypeLogicalAnd: true, graph.NodeTypeLogicalOr: true, graph.NodeTypeLogicalNot: true,
}

// keepsApart refuses an operation unless the first axis of its result is the examples as those of its inputs from the
// batch are: what an example's rows become depends on these alone.
func (w *walk) keepsApart(n *graph.Node) {
	d := n.Shape().Dimensions
	mixes := func(what string) {
		refuse("%s of %s may mix the examples of a batch: %s", n.Type(), n.Shape(), what)
	}
	of := func(in *graph.Node) bool { return w.kinds[in] == ofBatch || w.kinds[in] == ofBoth }
	s := gradients.Settings(n)
	numbers := func(name string) []int { return gradients.Numbers(s.FieldByName(name)) }
	inputs := n.Inputs()
	switch kind := n.Type(); kind {
	case graph.NodeTypeReshape: // rows lie one behind the other before and after
	case graph.NodeTypeTranspose:
		if numbers("permutation")[0] != 0 {
			mixes("its axes are moved")
		}
	case graph.NodeTypeBroadcastInDim:
		if axes := numbers("broadcastAxes"); len(axes) == 0 || axes[0] != 0 || inputs[0].Shape().Dimensions[0] != d[0] {
			mixes("its first axis is new")
		}
	case graph.NodeTypeReduceSum, graph.NodeTypeReduceMax, graph.NodeTypeReduceMin, graph.NodeTypeReduceProduct:
		if axes := numbers("axes"); len(axes) == 0 || slices.Contains(axes, 0) {
			mixes("it goes over the first axis")
		}
	case graph.NodeTypeSlice:
		if numbers("starts")[0] != 0 || numbers("limits")[0] != inputs[0].Shape().Dimensions[0] || inputs[0].Shape().Dimensions[0] != d[0] {
			mixes("it is a part of the first axis")
		}
	case graph.NodeTypeConcatenate:
		if s.FieldByName("axis").Int() == 0 {
			mixes("it goes along the first axis")
		}
	case graph.NodeTypePad:
		if inputs[0].Shape().Dimensions[0] != d[0] || !of(inputs[0]) || of(inputs[1]) {
			mixes("it goes along the first axis")
		}
	case graph.NodeTypeReverse:
		if slices.Contains(numbers("axes"), 0) {
			mixes("it goes along the first axis")
		}
	case graph.NodeTypeReduceWindow:
		if numbers("windowDimensions")[0] != 1 || inputs[0].Shape().Dimensions[0] != d[0] {
			mixes("a window goes over the first axis")
		}
	case graph.NodeTypeConvGeneral:
		c, ok := gradients.ConvolutionOf(n)
		if !ok || c.Axes.InputBatch != 0 || c.Axes.OutputBatch != 0 || !of(inputs[0]) || of(inputs[1]) {
			mixes("a convolution of an unusual form")
		}
	case graph.NodeTypeDotGeneral:
		left, right := numbers("lhsBatchAxes"), numbers("rhsBatchAxes")
		apart := false
		switch l, r := of(inputs[0]), of(inputs[1]); {
		case l && r:
			apart = len(left) > 0 && left[0] == 0 && right[0] == 0
		case l:
			apart = len(left) == 0 && !slices.Contains(numbers("lhsContractingAxes"), 0)
		}
		if !apart {
			mixes("a product over the first axis")
		}
	default:
		if !elementwise[kind] {
			refuse("it is not known whether %s keeps the examples of a batch apart", kind)
		}
		for _, in := range inputs {
			if of(in) && (in.Rank() == 0 || in.Shape().Dimensions[0] != d[0]) {
				mixes("its inputs are of other lengths")
			}
		}
	}
	if len(d) == 0 || d[0]%w.b != 0 {
		mixes("its first axis is not theirs")
	}
}

// add adds what comes back to a value.
func add(to map[*graph.Node]*graph.Node, n, share *graph.Node) {
	if was := to[n]; was != nil {
		share = graph.Add(was, share)
	}
	to[n] = share
}

// perExample parts the first axis of [B·V, ...] into [B, V, ...].
func (w *walk) perExample(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	return graph.Reshape(x, append([]int{w.b, d[0] / w.b}, d[1:]...)...)
}

// spread gives what comes back to the result of an elementwise operation, [B·V, ...], to an input of weights alone,
// which was broadcast to the result's shape where an axis of it is 1, or all of it where it is a scalar.
func (w *walk) spread(in, back *graph.Node) {
	d := back.Shape().Dimensions
	if in.Rank() == 0 {
		axes := make([]int, 0, len(d))
		for a := range len(d) {
			axes = append(axes, a+1)
		}
		add(w.plain, in, graph.ReduceSum(w.perExample(back), axes...))
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
		add(w.byRow, in, back)
		return
	}
	axes := []int{1}
	for _, a := range over {
		axes = append(axes, a+1)
	}
	share := graph.ReduceSum(w.perExample(back), axes...)
	add(w.plain, in, graph.Reshape(share, append([]int{w.b}, id...)...))
}

// meet gives what comes back to a value in which weights meet the batch to those of its inputs that are of weights
// alone.
func (w *walk) meet(n, back *graph.Node) {
	if n.CustomGradient() != nil {
		refuse("%s of %s has a gradient of its own", n.Type(), n.Shape())
	}
	in := n.Inputs()
	s := gradients.Settings(n)
	for i, u := range in {
		if w.kinds[u] != ofWeights {
			continue
		}
		switch n.Type() {
		case graph.NodeTypeAdd:
			w.spread(u, back)
		case graph.NodeTypeSub:
			if i == 1 {
				w.spread(u, graph.Neg(back))
			} else {
				w.spread(u, back)
			}
		case graph.NodeTypeMul:
			w.spread(u, graph.Mul(back, in[1-i]))
		case graph.NodeTypeDiv:
			if i == 0 {
				w.spread(u, graph.Div(back, in[1]))
			} else {
				w.spread(u, graph.Neg(graph.Mul(back, graph.Div(n, in[1]))))
			}
		case graph.NodeTypeConcatenate:
			axis, at := int(s.FieldByName("axis").Int()), 0
			for _, before := range in[:i] {
				at += before.Shape().Dimensions[axis]
			}
			w.spread(u, graph.SliceAxis(back, axis, graph.AxisRange(at, at+u.Shape().Dimensions[axis])))
		case graph.NodeTypeConvGeneral:
			c, _ := gradients.ConvolutionOf(n)
			add(w.plain, u, w.kernel(c, in[0], u, back))
		case graph.NodeTypeDotGeneral:
			add(w.plain, u, w.factor(n, back))
		default:
			refuse("%s of weights %s and the batch is not known here", n.Type(), u.Shape())
		}
	}
}

// kernel is the gradient by a convolution's kernel of each example: for each place of the kernel the product of the
// image, moved by that place, with what comes back. Patches of the whole kernel in one product take twice as long, and
// the grouped convolution that other libraries make of it fifteen times.
func (w *walk) kernel(c gradients.Convolution, x, kernel, back *graph.Node) *graph.Node {
	axes := c.Axes
	usual := len(axes.InputSpatial) == 2 && slices.Equal(axes.InputSpatial, []int{1, 2}) && axes.InputChannels == 3 &&
		slices.Equal(axes.OutputSpatial, []int{1, 2}) && axes.OutputChannels == 3 &&
		slices.Equal(axes.KernelSpatial, []int{0, 1}) && axes.KernelInputChannels == 2 && axes.KernelOutputChannels == 3
	if !usual {
		refuse("a convolution whose axes are not [N, H, W, C] and [KH, KW, I, O]")
	}
	d, bd, k := x.Shape().Dimensions, back.Shape().Dimensions, kernel.Shape().Dimensions
	groups := max(c.ChannelGroups, 1)
	at := func(list []int, i int) int {
		if len(list) == 0 {
			return 1
		}
		return list[i]
	}
	for a := range 2 {
		before, after := 0, 0
		if len(c.Paddings) > 0 {
			before = c.Paddings[a][0]
		}
		// Whatever is behind the last window does not matter, and what is missing there is 0.
		after = max(0, (bd[1+a]-1)*at(c.Strides, a)+(k[a]-1)*at(c.KernelDilations, a)+1-before-d[1+a])
		if before < 0 {
			refuse("a convolution with negative padding")
		}
		x = gradients.ZeroPad(x, 1+a, [2]int{before, after})
	}
	places := bd[1] * bd[2]
	vs := bd[0] / w.b
	grouped := func(v *graph.Node) *graph.Node { // [B, V·places, G, C/G]
		channels := v.Shape().Dimensions[3]
		return graph.Reshape(v, w.b, vs*places, groups, channels/groups)
	}
	gb := grouped(back)
	var parts []*graph.Node
	for i := range k[0] {
		for j := range k[1] {
			from := func(a, place int) graph.SliceAxisSpec {
				first := place * at(c.KernelDilations, a)
				return graph.AxisRange(first, first+(bd[1+a]-1)*at(c.Strides, a)+1).Stride(at(c.Strides, a))
			}
			moved := graph.Slice(x, graph.AxisRange(), from(0, i), from(1, j))
			parts = append(parts, graph.Einsum("bpgi,bpgo->bigo", grouped(moved), gb)) // [B, I/G, G, O/G]
		}
	}
	return graph.Reshape(graph.Stack(parts, 1), append([]int{w.b}, k...)...)
}

// factor is the gradient of each example by the weight that is the right side of a product.
func (w *walk) factor(n, back *graph.Node) *graph.Node {
	s := gradients.Settings(n)
	numbers := func(name string) []int { return gradients.Numbers(s.FieldByName(name)) }
	x, u := n.Inputs()[0], n.Inputs()[1]
	if len(numbers("lhsBatchAxes")) > 0 || w.kinds[x] == ofWeights {
		refuse("a product of a form that is not known here")
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	// x is z + its other axes, parted into examples: y z.
	left, right := make([]byte, x.Rank()), make([]byte, u.Rank())
	next := 0
	fresh := func() byte { next++; return letters[next-1] }
	for i, a := range numbers("lhsContractingAxes") {
		left[a] = fresh()
		right[numbers("rhsContractingAxes")[i]] = left[a]
	}
	var out []byte
	for a := range left {
		if a == 0 {
			left[a] = 'z'
			out = append(out, 'z')
		} else if left[a] == 0 {
			left[a] = fresh()
			out = append(out, left[a])
		}
	}
	for a := range right {
		if right[a] == 0 {
			right[a] = fresh()
			out = append(out, right[a])
		}
	}
	equation := fmt.Sprintf("y%s,y%s->y%s", left, out, right)
	return graph.Einsum(equation, w.perExample(x), w.perExample(back))
}
