package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// freeBatch lets a network that was exported for one image at a time take several: the input's first axis becomes
// open, and shapes that the file says with a 1 for it follow. Every value then has to have the images along one axis,
// and nothing may mix them; else it is refused.
func (n *Network) freeBatch() error {
	if !n.fixed {
		return nil
	}
	moved := n.moved()
	var reshapes []Node
	for _, node := range n.file.nodes() {
		if node.op() == "Reshape" && moved[node.inputs()[0]] {
			reshapes = append(reshapes, node)
		}
	}
	for i, node := range reshapes {
		shape, ok := n.file.constant(node.inputs()[1])
		if !ok || len(shape.values) == 0 || shape.ints()[0] != 1 {
			continue // computed from the image's shape, or to be found wrong below
		}
		wide := make([]int64, len(shape.values))
		for at, v := range shape.ints() {
			wide[at] = int64(v)
		}
		wide[0] = 0 // as before
		if !slices.Contains(wide, -1) {
			wide[0] = -1
		}
		name := fmt.Sprintf("%s/loupe/free%d", node.outputs()[0], i)
		n.file.addInts(name, wide)
		setWords(node.Message, "input", []string{node.inputs()[0], name})
	}
	for _, in := range messages(n.file.graph, "input") {
		if get(in, "name").String() == n.input {
			first := messages(get(get(get(in, "type").Message(), "tensor_type").Message(), "shape").Message(), "dim")[0]
			first.Set(field(first, "dim_param"), protoreflect.ValueOfString("loupe/N"))
		}
	}
	n.fixed = false

	stuck := func(node Node, why string) error {
		return fmt.Errorf("model: %s takes one image at a time, and node %s (%s) %s: export it with a dynamic batch axis", n.path, node.name(), node.op(), why)
	}
	var nodes []Node
	values := []string{n.input}
	for _, node := range n.file.nodes() {
		if moved[node.outputs()[0]] {
			nodes = append(nodes, node)
			values = append(values, node.outputs()[0])
		}
	}
	shapes, err := n.shapesOf(values)
	if err != nil {
		return fmt.Errorf("%w (the file takes one image at a time: export it with a dynamic batch axis)", err)
	}
	axis := map[string]int{} // of the images
	for i, value := range values {
		axis[value] = -1
		for a, d := range shapes[i] {
			switch {
			case d >= 0:
			case axis[value] >= 0:
				return stuck(n.file.makers[value], "has the images along two axes")
			default:
				axis[value] = a
			}
		}
	}
	for i, node := range nodes {
		in, out := node.inputs()[0], node.outputs()[0]
		images, rank := axis[out], len(shapes[i+1])
		if images < 0 {
			return stuck(node, "mixes the images")
		}
		over := func(a int) bool { // whether an axis that the node names is that of the images
			return a == images || a+rank == images
		}
		mixes := false
		switch node.op() {
		case "Reshape", "Flatten":
			mixes = images != 0 || moved[in] && axis[in] != 0
		case "Softmax", "LogSoftmax":
			mixes = over(node.axis(n.file.softmaxAxis(node)))
		case "LayerNormalization", "SimplifiedLayerNormalization":
			a := node.axis(-1)
			mixes = images >= (a+rank)%rank
		case "CumSum":
			at, ok := n.file.constant(node.input(1))
			mixes = !ok || over(at.ints()[0])
		case "ScatterND", "NonZero", "LSTM", "Trilu", "DynamicQuantizeLinear", "If":
			mixes = true // may do so
		}
		if mixes {
			return stuck(node, "may mix the images")
		}
	}
	return nil
}

// moved are the values that depend on the image.
func (n *Network) moved() map[string]bool {
	_, moved := n.file.candidates(n.input, n.Output)
	return moved
}
