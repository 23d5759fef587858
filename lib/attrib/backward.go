package attrib

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/dataflow"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/model"
)

// backward goes back through a network as a gradient does, with another rule where a value is no linear function of
// those before it.
type backward struct {
	*dataflow.Network
	method Method
	m      *model.Model
	// nonlinear says what node hands on of v to the values before it, and is not ok where it has no rule.
	nonlinear func(node, v *graph.Node) (back []handed, ok bool)
}

// handed is what comes back to a value.
type handed struct{ to, v *graph.Node }

// classBackward goes back from the logits of the classes to the image x, and gives what comes there.
func (b *backward) classBackward(x, classes *graph.Node) *graph.Node {
	out := b.m.CallAs(x, model.CallOptions{Plain: true})
	b.Network = dataflow.Between(x, out.Logits)
	return b.run(b.m.OnlyClass(graph.OnesLike(out.Logits), classes))
}

// run takes v, of the shape of the output, back to the image.
func (b *backward) run(v *graph.Node) *graph.Node {
	waiting := map[*graph.Node]*graph.Node{b.Output: v}
	for i := len(b.Nodes) - 1; i >= 0; i-- {
		node := b.Nodes[i]
		v := waiting[node]
		if v == nil || node == b.Image {
			continue
		}
		delete(waiting, node)
		for _, h := range b.back(node, v) {
			if before := waiting[h.to]; before != nil {
				h.v = graph.Add(before, h.v)
			}
			waiting[h.to] = h.v
		}
	}
	if waiting[b.Image] == nil {
		return graph.ZerosLike(b.Image)
	}
	return waiting[b.Image]
}

func (b *backward) back(node, v *graph.Node) []handed {
	if b.isLinear(node) {
		return b.gradient(node, v)
	}
	back, ok := b.nonlinear(node, v)
	if !ok {
		panic(b.refused(node))
	}
	return back
}

// gradient hands on what a gradient does.
func (b *backward) gradient(node, v *graph.Node) []handed {
	var back []handed
	for i, g := range dataflow.VJP(node, v) {
		if in := node.Inputs()[i]; g != nil && b.Live[in] {
			back = append(back, handed{in, g})
		}
	}
	return back
}

// refused is the error of an operation that a method has no rule for.
func (b *backward) refused(node *graph.Node) error {
	what := fmt.Sprintf("the operation %s", node.Type())
	switch node.Type() {
	case graph.NodeTypeMul, graph.NodeTypeDotGeneral, graph.NodeTypeConvGeneral, graph.NodeTypeDiv:
		if inputs := node.Inputs(); b.Depends[inputs[0]] && b.Depends[inputs[1]] && inputs[0] != inputs[1] {
			what = fmt.Sprintf("a product or quotient (%s) of two values that both depend on the image, as attention, gates "+
				"and layer normalisation have", node.Type())
		}
	}
	return fmt.Errorf(
		"attrib: %s has no rule for %s, which %s has: take a method that needs none, such as IntegratedGradients",
		b.method.Name(), what, b.m.Name())
}

// linear are the operations that are linear in their inputs, or only move values.
var linear = map[graph.NodeType]bool{
	graph.NodeTypeAdd: true, graph.NodeTypeSub: true, graph.NodeTypeNeg: true, graph.NodeTypeIdentity: true,
	graph.NodeTypeConvertDType: true, graph.NodeTypeReshape: true, graph.NodeTypeTranspose: true,
	graph.NodeTypeSlice:       true,
	graph.NodeTypeConcatenate: true, graph.NodeTypeBroadcastInDim: true, graph.NodeTypeGather: true,
	graph.NodeTypeDynamicSlice:       true,
	graph.NodeTypeDynamicUpdateSlice: true, graph.NodeTypeScatterSum: true, graph.NodeTypePad: true,
	graph.NodeTypeReverse:   true,
	graph.NodeTypeReduceSum: true,
}

// isLinear reports whether a node is a linear function, but for a constant, of what depends on the image.
func (b *backward) isLinear(node *graph.Node) bool {
	t, inputs := node.Type(), node.Inputs()
	for _, in := range inputs {
		if b.Depends[in] && (!b.Live[in] || !in.DType().IsFloat()) { // such as the places that are gathered
			return false
		}
	}
	switch t {
	case graph.NodeTypeMul, graph.NodeTypeDotGeneral, graph.NodeTypeConvGeneral:
		return !b.Depends[inputs[0]] || !b.Depends[inputs[1]]
	case graph.NodeTypeDiv:
		return !b.Depends[inputs[1]]
	case graph.NodeTypeReduceWindow:
		return dataflow.Windows(node) == compute.ReduceOpSum
	}
	return linear[t] && node.DType().IsFloat()
}

// isPooling reports whether a node is the largest or smallest value of a window or along axes.
func isPooling(node *graph.Node) (largest, ok bool) {
	switch node.Type() {
	case graph.NodeTypeReduceMax:
		return true, true
	case graph.NodeTypeReduceMin:
		return false, true
	case graph.NodeTypeReduceWindow:
		of := dataflow.Windows(node)
		return of == compute.ReduceOpMax, of == compute.ReduceOpMax || of == compute.ReduceOpMin
	}
	return false, false
}

// functionOf reports whether a node is a function, element by element, of nothing on the way from the image but from.
func (b *backward) functionOf(node, from *graph.Node) bool {
	if node == from {
		return true
	}
	if !graphops.Elementwise[node.Type()] {
		return false
	}
	for _, in := range node.Inputs() {
		if b.Depends[in] && !b.functionOf(in, from) {
			return false
		}
	}
	return true
}
