package perexample

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/normalise"
)

// kind is what a value depends on, by ways that gradients go.
type kind int

const (
	ofNeither kind = iota + 1
	ofWeights
	ofBatch
	ofBoth
)

// walk is what the values that the losses are made of depend on.
type walk struct {
	b     int // examples
	kinds map[*graph.Node]kind
	order []*graph.Node // inputs before what is made of them
}

func newWalk(b int, rows, weights []*graph.Node) *walk {
	w := &walk{b: b, kinds: map[*graph.Node]kind{}}
	for _, n := range weights {
		w.kinds[n] = ofWeights
	}
	for _, n := range rows {
		if n.Rank() == 0 || n.Shape().Dimensions[0]%w.b != 0 {
			refuse("the rows of a batch of %d are %s", w.b, n.Shape())
		}
		w.kinds[n] = ofBatch
	}
	w.order = slices.Concat(weights, rows)
	return w
}

func (w *walk) ofWeights(n *graph.Node) bool { return w.kinds[n] == ofWeights }

// visit finds out what a value depends on.
func (w *walk) visit(n *graph.Node) kind {
	if k := w.kinds[n]; k != 0 {
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
	graph.NodeTypeAdd: true, graph.NodeTypeSub: true, graph.NodeTypeMul: true, graph.NodeTypeDiv: true,
	graph.NodeTypePow: true,
	graph.NodeTypeMax: true, graph.NodeTypeMin: true, graph.NodeTypeNeg: true, graph.NodeTypeAbs: true,
	graph.NodeTypeExp:   true,
	graph.NodeTypeExpm1: true, graph.NodeTypeLog: true, graph.NodeTypeLog1p: true, graph.NodeTypeSqrt: true,
	graph.NodeTypeRsqrt: true,
	graph.NodeTypeTanh:  true, graph.NodeTypeErf: true, graph.NodeTypeLogistic: true, graph.NodeTypeSin: true,
	graph.NodeTypeCos:  true,
	graph.NodeTypeSign: true, graph.NodeTypeFloor: true, graph.NodeTypeWhere: true, graph.NodeTypeConvertDType: true,
	graph.NodeTypeClamp:    true,
	graph.NodeTypeIdentity: true, graph.NodeTypeEqual: true, graph.NodeTypeNotEqual: true, graph.NodeTypeGreaterThan: true,
	graph.NodeTypeGreaterOrEqual: true, graph.NodeTypeLessThan: true, graph.NodeTypeLessOrEqual: true,
	graph.NodeTypeIsFinite:   true,
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
		if numbers("starts")[0] != 0 || numbers("limits")[0] != inputs[0].Shape().Dimensions[0] ||
			inputs[0].Shape().Dimensions[0] != d[0] {
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
	case graph.NodeTypeCall:
		switch norm, ok := normalise.Of(n); {
		case !ok:
			mixes("a function that is not known here")
		case norm.Groups == 0 || !of(inputs[0]) || of(inputs[1]) || of(inputs[2]):
			mixes("batch normalisation")
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
