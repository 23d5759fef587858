package onnx

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/loupeml/loupe/lib/internal/graphops"
)

// rewrite replaces what onnx-gomlx refuses, or computes otherwise than ONNX says, by something equal that it computes
// right.
func (n *Network) rewrite() error {
	for _, node := range n.file.nodes() {
		node.dropTrailing()
		for _, harmless := range harmlessAttributes[node.op()] {
			node.remove(harmless)
		}
		if mode := node.text("auto_pad"); mode != "" {
			if err := n.explicitPadding(node); err != nil {
				return err
			}
		}
		if rewrite := rewrites[node.op()]; rewrite != nil {
			if err := rewrite(n, node); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrites are made where there is something to replace.
var rewrites = map[string]func(n *Network, node Node) error{
	"ConvTranspose":      (*Network).convTranspose,
	"Resize":             (*Network).resize,
	"Upsample":           (*Network).resize,
	"AveragePool":        (*Network).pool,
	"MaxPool":            (*Network).pool,
	"Pad":                (*Network).pad,
	"Slice":              (*Network).slice,
	"Split":              (*Network).split,
	"Softmax":            (*Network).softmax,
	"Clip":               (*Network).clip,
	"Gelu":               (*Network).gelu,
	"Reshape":            (*Network).reshape,
	"Squeeze":            (*Network).squeeze,
	"TopK":               (*Network).topK,
	"Constant":           (*Network).plainConstant,
	"BatchNormalization": (*Network).batchNormalization,
}

// harmlessAttributes say how a network is trained, or how much memory to use.
var harmlessAttributes = map[string][]string{
	"BatchNormalization": {"momentum", "consumed_inputs"},
	"MaxPool":            {"storage_order"}, // the order of a second output that is not computed
}

// refuse is the error for a form of a node that has no rewriting here.
func (n *Network) refuse(node Node, what string) error {
	return fmt.Errorf("model: %s: node %s (%s) has %s, which cannot be run here", n.path, node.name(), node.op(), what)
}

// explicitPadding replaces auto_pad by the pads that it stands for.
// https://onnx.ai/onnx/operators/onnx__Conv.html
func (n *Network) explicitPadding(node Node) error {
	mode := node.text("auto_pad")
	if mode == "NOTSET" {
		node.remove("auto_pad")
		return nil
	}
	switch node.op() {
	case "Conv", "MaxPool", "AveragePool":
	default:
		return n.refuse(node, "auto_pad="+mode)
	}
	kernel, strides, dilations := node.ints("kernel_shape"), node.ints("strides"), node.ints("dilations")
	if kernel == nil && node.op() == "Conv" {
		if w := n.file.initial[node.inputs()[1]]; w != nil {
			list := get(w, "dims").List()
			for i := 2; i < list.Len(); i++ {
				kernel = append(kernel, int(list.Get(i).Int()))
			}
		}
	}
	if len(kernel) == 0 {
		return fmt.Errorf("model: %s: node %s says auto_pad=%s and no kernel_shape", n.path, node.name(), mode)
	}
	axis := func(values []int, i int) int {
		if i < len(values) {
			return values[i]
		}
		return 1
	}
	pads := make([]int, 2*len(kernel))
	switch mode {
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		var size []int // of the input, which matters only where the stride is not 1
		for i := range kernel {
			if axis(strides, i) != 1 && size == nil {
				var err error
				if size, err = n.spatialSize(node.inputs()[0]); err != nil {
					return err
				}
				if len(size) != len(kernel) {
					return fmt.Errorf("model: %s: node %s has a kernel of %v for an input of %v", n.path, node.name(), kernel, size)
				}
			}
			length := axis(strides, i) // any multiple of the stride
			if size != nil {
				length = size[i]
			}
			pad := graphops.SamePadding(length, kernel[i], axis(strides, i), axis(dilations, i))
			if mode == "SAME_LOWER" {
				pad[0], pad[1] = pad[1], pad[0]
			}
			pads[i], pads[i+len(kernel)] = pad[0], pad[1]
		}
	default:
		return fmt.Errorf("model: %s: node %s says auto_pad=%s, which ONNX does not know", n.path, node.name(), mode)
	}
	node.remove("auto_pad")
	node.setInts("pads", pads)
	return nil
}

// convTranspose replaces a transposed convolution by its definition: put stride-1 zeros between the input's
// values, then convolve by the kernel turned by 180 degrees with its channels exchanged.
// https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
func (n *Network) convTranspose(node Node) error {
	in := node.inputs()
	kernel := n.file.initial[in[1]]
	if kernel == nil {
		return n.refuse(node, "a kernel that is computed")
	}
	dims := integers(kernel, "dims") // [I, O, KH, KW]
	for _, g := range node.ints("dilations") {
		if g != 1 {
			return n.refuse(node, "dilations")
		}
	}
	if a := node.attribute("group"); len(dims) != 4 || a != nil && get(a, "i").Int() > 1 {
		return n.refuse(node, "groups or other than two spatial axes")
	}
	if node.attribute("output_shape") != nil {
		return n.refuse(node, "an output_shape")
	}
	size, err := n.spatialSize(in[0])
	if err != nil {
		return err
	}
	strides, pads, more := orElse(node.ints("strides"), 1, 2), orElse(node.ints("pads"), 0, 4), orElse(node.ints("output_padding"), 0, 2)

	// The kernel is turned in the graph, so that what is trained is the file's weight.
	name := node.outputs()[0] + "/loupe"
	n.file.addInts(name+"/rows", downFrom(dims[2]))
	n.file.addInts(name+"/columns", downFrom(dims[3]))
	before := []step{
		{op: "Transpose", inputs: []string{in[1]}, output: name + "/exchanged", perm: []int{1, 0, 2, 3}},
		{op: "Gather", inputs: []string{name + "/exchanged", name + "/rows"}, output: name + "/upside", axis: 2},
		{op: "Gather", inputs: []string{name + "/upside", name + "/columns"}, output: name + "/kernel", axis: 3},
	}
	x := in[0]
	if strides[0] > 1 || strides[1] > 1 {
		// [N, C, H, W] becomes [N, C, H, 1, W, 1], zeros are joined on, and [N, C, H*SH, W*SW] is what was wanted with
		// zeros at its end, which the padding takes into account.
		n.file.addFloats(name+"/zero", []float32{0}, 1)
		n.file.addInts(name+"/apart", []int64{0, 0, int64(size[0]), 1, int64(size[1]), 1})
		n.file.addInts(name+"/together", []int64{0, 0, int64(size[0] * strides[0]), int64(size[1] * strides[1])})
		before = append(before, step{op: "Reshape", inputs: []string{x, name + "/apart"}, output: name + "/apart_x"})
		x = name + "/apart_x"
		for a, axis := range []int{3, 5} {
			if strides[a] == 1 {
				continue
			}
			zeros := fmt.Sprintf("%s/zeros%d", name, axis)
			before = append(before, step{op: "Mul", inputs: []string{x, name + "/zero"}, output: zeros})
			parts := []string{x}
			for range strides[a] - 1 {
				parts = append(parts, zeros)
			}
			x = fmt.Sprintf("%s/spread%d", name, axis)
			before = append(before, step{op: "Concat", inputs: parts, output: x, axis: axis})
		}
		before = append(before, step{op: "Reshape", inputs: []string{x, name + "/together"}, output: name + "/spread"})
		x = name + "/spread"
	}
	padding := make([]int, 4)
	for a := range 2 {
		k := dims[2+a]
		padding[a] = k - 1 - pads[a]
		padding[2+a] = k - 1 - pads[2+a] + more[a] - (strides[a] - 1)
		if padding[a] < 0 || padding[2+a] < 0 {
			return n.refuse(node, fmt.Sprintf("pads %v for a kernel of %v", pads, dims[2:]))
		}
	}
	in[0], in[1] = x, name+"/kernel"
	n.file.become(node, "Conv", in, before)
	node.setInts("pads", padding)
	return nil
}

// downFrom are the places n-1, …, 0.
func downFrom(n int) []int64 {
	places := make([]int64, n)
	for i := range places {
		places[i] = int64(n - 1 - i)
	}
	return places
}

// orElse is a list of integers that may be missing, and is then n times the given value.
func orElse(values []int, otherwise, n int) []int {
	for len(values) < n {
		values = append(values, otherwise)
	}
	return values
}

// spatialSize is the size of a value, [N, C, spatial...], found by building the network, rewritten
// so far, up to it.
func (n *Network) spatialSize(value string) ([]int, error) {
	shape, err := n.shapeOf(value)
	if err != nil || len(shape) < 3 {
		return nil, err
	}
	return shape[2:], nil
}

// shapeOf is the shape of a value, found by building the network, rewritten so far, up to it. Axes that grow with the
// number of images are -1, unless the file fixes that number.
func (n *Network) shapeOf(value string) ([]int, error) {
	shapes, err := n.shapesOf([]string{value})
	if err != nil {
		return nil, err
	}
	return shapes[0], nil
}

// shapesOf is shapeOf for several values; nil for those that are not computed.
func (n *Network) shapesOf(values []string) ([][]int, error) {
	network, err := n.parse()
	if err != nil {
		return nil, err
	}
	var found [2][][]int
	for i, batch := range []int{2, 3} {
		if n.fixed {
			batch = 1
		}
		err := n.probe(network, batch, values, func(nodes []*graph.Node) {
			for _, node := range nodes {
				if node == nil {
					found[i] = append(found[i], nil)
					continue
				}
				found[i] = append(found[i], append([]int{}, node.Shape().Dimensions...))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for k, shape := range found[0] {
		for axis := range shape {
			if len(found[1][k]) != len(shape) || shape[axis] != found[1][k][axis] {
				shape[axis] = -1
			}
		}
	}
	return found[0], nil
}
