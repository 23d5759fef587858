package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// dropTrailing leaves out the inputs at the end that are not given.
func (n Node) dropTrailing() {
	in := n.inputs()
	for len(in) > 0 && in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	setWords(n.Message, "input", in)
}

// toInput makes an attribute of integers that input of a node which it is in later opsets. It reports whether there
// is such an attribute.
func (n *Network) toInput(node Node, attribute string, at int) bool {
	values := node.ints(attribute)
	if node.attribute(attribute) == nil {
		return false
	}
	name := fmt.Sprintf("%s/loupe/%s", node.outputs()[0], attribute)
	wide := make([]int64, len(values))
	for i, v := range values {
		wide[i] = int64(v)
	}
	n.file.addInts(name, wide)
	in := node.inputs()
	for len(in) <= at {
		in = append(in, "")
	}
	in[at] = name
	setWords(node.Message, "input", in)
	node.remove(attribute)
	return true
}

// clip gives bounds that are attributes, until opset 10, as inputs.
// https://onnx.ai/onnx/operators/onnx__Clip.html
func (n *Network) clip(node Node) error {
	if n.file.opset >= 11 {
		return nil
	}
	in := node.inputs()[:1]
	for _, bound := range []string{"min", "max"} {
		if node.attribute(bound) == nil {
			in = append(in, "")
			continue
		}
		name := node.outputs()[0] + "/loupe/" + bound
		n.file.addFloats(name, []float32{float32(node.float(bound, 0))})
		in = append(in, name)
		node.remove(bound)
	}
	setWords(node.Message, "input", in)
	node.dropTrailing()
	return nil
}

// gelu takes the approximation by tanh for what onnx-gomlx calls it.
// https://onnx.ai/onnx/operators/onnx__Gelu.html
func (n *Network) gelu(node Node) error {
	switch node.text("approximate") {
	case "tanh":
		n.file.become(node, "FastGelu", node.inputs(), nil)
	case "", "none":
		node.remove("approximate")
	}
	return nil
}

// split gives the lengths as an input, which they are from opset 13.
// https://onnx.ai/onnx/operators/onnx__Split.html
func (n *Network) split(node Node) error {
	n.toInput(node, "split", 1)
	return nil
}

// reshape gives the shape as an input, and takes allowzero for harmless where there is no 0.
// https://onnx.ai/onnx/operators/onnx__Reshape.html
func (n *Network) reshape(node Node) error {
	n.toInput(node, "shape", 1)
	if shape, ok := n.file.constant(node.input(1)); ok && !slices.Contains(shape.ints(), 0) {
		node.remove("allowzero")
	}
	return nil
}

// topK gives k as an input, which it is from opset 10.
// https://onnx.ai/onnx/operators/onnx__TopK.html
func (n *Network) topK(node Node) error {
	if a := node.attribute("k"); a != nil {
		k := node.int("k", 0)
		node.remove("k")
		node.setInts("k", []int{k})
		n.toInput(node, "k", 1)
	}
	return nil
}

// batchNormalization lets pass what the form before opset 9 calls by other names.
// https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
func (n *Network) batchNormalization(node Node) error {
	if node.int("spatial", 1) == 1 {
		node.remove("spatial")
	}
	return nil
}

// plainConstant gives numbers that are attributes as a tensor.
// https://onnx.ai/onnx/operators/onnx__Constant.html
func (n *Network) plainConstant(node Node) error {
	for name, kind := range map[string]int32{"value_int": onnxInt64, "value_ints": onnxInt64, "value_float": floatType, "value_floats": floatType} {
		a := node.attribute(name)
		if a == nil {
			continue
		}
		value := node.newAttribute("value", "TENSOR")
		a = node.attribute(name)
		t := value.Mutable(field(value, "t")).Message()
		t.Set(field(t, "data_type"), protoreflect.ValueOfInt32(kind))
		to := t.Mutable(field(t, map[int32]protoreflect.Name{onnxInt64: "int64_data", floatType: "float_data"}[kind])).List()
		switch name {
		case "value_int":
			to.Append(get(a, "i"))
		case "value_float":
			to.Append(get(a, "f"))
		default:
			from := get(a, map[int32]protoreflect.Name{onnxInt64: "ints", floatType: "floats"}[kind]).List()
			for i := range from.Len() {
				to.Append(from.Get(i))
			}
			t.Mutable(field(t, "dims")).List().Append(protoreflect.ValueOfInt64(int64(from.Len())))
		}
		node.remove(name)
		return nil
	}
	return nil
}

// softmaxAxis is the axis where a node says none: the last since opset 13.
func (f *File) softmaxAxis(Node) int {
	if f.opset < 13 {
		return 1
	}
	return -1
}

// softmax replaces the form before opset 13, which flattens the axes from its own on, by a softmax over the flattened
// axis. https://onnx.ai/onnx/operators/onnx__Softmax.html#softmax-11
func (n *Network) softmax(node Node) error {
	if n.file.opset >= 13 {
		return nil
	}
	in := node.inputs()[0]
	shape, err := n.shapeOf(in)
	if err != nil {
		return err
	}
	axis := node.axis(1)
	if axis < 0 {
		axis += len(shape)
	}
	if axis < 0 || axis >= len(shape) {
		return n.refuse(node, fmt.Sprintf("axis=%d for %v", node.axis(1), shape))
	}
	if axis < len(shape)-1 {
		back := []int64{-1}
		for _, d := range shape[1:] {
			if d < 0 {
				return n.refuse(node, fmt.Sprintf("axis=%d for %v, of which other axes than the first are open,", axis, shape))
			}
			back = append(back, int64(d))
		}
		if axis == 0 && shape[0] < 0 {
			return n.refuse(node, "axis=0, which mixes the images,")
		}
		name := node.outputs()[0] + "/loupe"
		n.file.addInts(name+"/shape", back)
		n.file.insert(node, []step{
			{op: "Flatten", inputs: []string{in}, output: name + "/flat", axis: axis},
			{op: "Softmax", inputs: []string{name + "/flat"}, output: name + "/softmax", axis: -1},
		})
		n.file.become(node, "Reshape", []string{name + "/softmax", name + "/shape"}, nil)
		return nil
	}
	node.setInt("axis", -1)
	return nil
}

// squeeze names the axes: without, a single image would lose its own.
// https://onnx.ai/onnx/operators/onnx__Squeeze.html
func (n *Network) squeeze(node Node) error {
	if node.attribute("axes") != nil || node.input(1) != "" {
		return nil
	}
	shape, err := n.shapeOf(node.inputs()[0])
	if err != nil {
		return err
	}
	var axes []int
	for axis, d := range shape {
		if d == 1 && !(axis == 0 && n.fixed) {
			axes = append(axes, axis)
		}
	}
	if len(axes) == 0 {
		n.file.become(node, "Identity", node.inputs()[:1], nil)
		return nil
	}
	node.setInts("axes", axes)
	return nil
}

// slice gives attributes as inputs, names the axes, and replaces a negative step by a Gather of the places that it
// takes: onnx-gomlx makes it empty. https://onnx.ai/onnx/operators/onnx__Slice.html
func (n *Network) slice(node Node) error {
	n.toInput(node, "starts", 1)
	n.toInput(node, "ends", 2)
	n.toInput(node, "axes", 3)
	starts, known := n.file.constant(node.input(1))
	if node.input(3) == "" {
		count, err := n.shapeOf(node.input(1))
		if err != nil {
			return err
		}
		if len(count) != 1 || count[0] < 0 {
			return n.refuse(node, fmt.Sprintf("starts of %v", count))
		}
		axes := make([]int, count[0])
		for i := range axes {
			axes[i] = i
		}
		node.setInts("axes", axes)
		n.toInput(node, "axes", 3)
	}
	if node.input(4) == "" {
		return nil
	}
	steps, ok := n.file.constant(node.input(4))
	if !ok {
		return n.refuse(node, "steps that are computed")
	}
	if steps.least() > 0 {
		return nil
	}
	ends, ok := n.file.constant(node.input(2))
	axes, ok2 := n.file.constant(node.input(3))
	count := len(steps.values)
	if !known || !ok || !ok2 || len(starts.values) != count || len(ends.values) != count || len(axes.values) != count {
		return n.refuse(node, fmt.Sprintf("steps=%v and starts, ends or axes that are computed", steps.ints()))
	}
	shape, err := n.shapeOf(node.inputs()[0])
	if err != nil {
		return err
	}
	value := node.inputs()[0]
	for i, axis := range axes.ints() {
		if axis < 0 {
			axis += len(shape)
		}
		if axis < 0 || axis >= len(shape) || shape[axis] < 0 || axis == 0 && n.fixed && n.moved()[value] {
			return n.refuse(node, fmt.Sprintf("steps=%v along the axis of the images", steps.ints()))
		}
		var places []int64
		for _, p := range sliced(starts.ints()[i], ends.ints()[i], steps.ints()[i], shape[axis]) {
			places = append(places, int64(p))
		}
		if len(places) == 0 {
			return n.refuse(node, fmt.Sprintf("nothing left of axis %d", axis))
		}
		name := fmt.Sprintf("%s/loupe/%d", node.outputs()[0], i)
		n.file.addInts(name+"/places", places)
		if i < count-1 {
			n.file.insert(node, []step{{op: "Gather", inputs: []string{value, name + "/places"}, output: name, axis: axis}})
			value = name
			continue
		}
		n.file.become(node, "Gather", []string{value, name + "/places"}, nil)
		node.setInt("axis", axis)
	}
	return nil
}

// pad gives attributes as inputs, computes the amounts, and puts the padding to the axes' ends with Concat:
// onnx-gomlx's has no gradient, knows no edge or wrap, and drops amounts that are empty.
// https://onnx.ai/onnx/operators/onnx__Pad.html
func (n *Network) pad(node Node) error {
	n.toInput(node, "pads", 1)
	n.toInput(node, "paddings", 1)
	amounts, ok := n.file.constant(node.input(1))
	if !ok {
		return n.refuse(node, "pads that are computed from the image's size")
	}
	pads := amounts.ints()
	shape, err := n.shapeOf(node.inputs()[0])
	if err != nil {
		return err
	}
	axes := make([]int, len(shape))
	for i := range axes {
		axes[i] = i
	}
	if node.input(3) != "" {
		named, ok := n.file.constant(node.input(3))
		if !ok {
			return n.refuse(node, "axes that are computed")
		}
		axes = named.ints()
	}
	if len(pads) != 2*len(axes) {
		return n.refuse(node, fmt.Sprintf("pads=%v for %v", pads, shape))
	}
	mode := node.text("mode")
	var fill string
	if mode == "" || mode == "constant" {
		mode = "constant"
		if fill = node.input(2); fill == "" {
			fill = node.outputs()[0] + "/loupe/value"
			n.file.addFloats(fill, []float32{float32(node.float("value", 0))})
		}
	} else if mode != "edge" && mode != "reflect" && mode != "wrap" {
		return n.refuse(node, "mode="+mode)
	}
	value, name := node.inputs()[0], node.outputs()[0]+"/loupe"
	var steps []step
	cut := func(axis, from, to int) string { // the positions from <= p < to of an axis
		label := fmt.Sprintf("%s/%d/%d_%d", name, axis, from, to)
		for _, s := range steps {
			if s.output == label {
				return label
			}
		}
		n.file.addInts(label+"/from", []int64{int64(from)})
		n.file.addInts(label+"/to", []int64{int64(to)})
		n.file.addInts(label+"/axis", []int64{int64(axis)})
		steps = append(steps, step{op: "Slice", inputs: []string{value, label + "/from", label + "/to", label + "/axis"}, output: label})
		return label
	}
	for i, axis := range axes {
		before, after := pads[i], pads[i+len(axes)]
		if before == 0 && after == 0 {
			continue
		}
		if axis < 0 {
			axis += len(shape)
		}
		if axis < 0 || axis >= len(shape) || shape[axis] < 0 || n.fixed && axis == 0 {
			return n.refuse(node, fmt.Sprintf("pads=%v along the axis of the images", pads))
		}
		size := shape[axis]
		if before > padLimit || after > padLimit || max(-before, 0)+max(-after, 0) >= size {
			return n.refuse(node, fmt.Sprintf("pads=%v for %v", pads, shape))
		}
		if before < 0 || after < 0 {
			if mode != "constant" {
				return n.refuse(node, fmt.Sprintf("negative pads=%v in the mode %s", pads, mode))
			}
			value = cut(axis, max(-before, 0), size-max(-after, 0))
			before, after = max(before, 0), max(after, 0)
			if before == 0 && after == 0 {
				continue
			}
		}
		var parts []string
		place := func(p int) int { // of the axis, for position p beyond its ends
			switch mode {
			case "edge":
				return min(max(p, 0), size-1)
			case "wrap":
				return ((p % size) + size) % size
			}
			if p < 0 {
				p = -p
			}
			if p >= size {
				p = 2*(size-1) - p
			}
			return p
		}
		if mode == "reflect" && max(before, after) >= size {
			return n.refuse(node, fmt.Sprintf("pads=%v for %v in the mode %s", pads, shape, mode))
		}
		filled := ""
		if mode == "constant" {
			first := cut(axis, 0, 1)
			filled = fmt.Sprintf("%s/%d/fill", name, axis)
			zero := name + "/zero"
			if n.file.initial[zero] == nil {
				n.file.addFloats(zero, []float32{0})
			}
			steps = append(steps, step{op: "Mul", inputs: []string{first, zero}, output: filled + "/zeros"},
				step{op: "Add", inputs: []string{filled + "/zeros", fill}, output: filled})
		}
		for p := -before; p < size+after; p++ {
			switch {
			case p == 0:
				parts = append(parts, value)
				p = size - 1
			case mode == "constant":
				parts = append(parts, filled)
			default:
				at := place(p)
				parts = append(parts, cut(axis, at, at+1))
			}
		}
		padded := fmt.Sprintf("%s/%d/padded", name, axis)
		steps = append(steps, step{op: "Concat", inputs: parts, output: padded, axis: axis})
		value = padded
	}
	n.file.become(node, "Identity", []string{value}, steps)
	return nil
}

// padLimit is far above what a network on images pads.
const padLimit = 1 << 12

// pool names the strides and replaces what onnx-gomlx does not do: rounding the output's size up, and counting the
// padding in a mean. https://onnx.ai/onnx/operators/onnx__AveragePool.html
func (n *Network) pool(node Node) error {
	kernel := node.ints("kernel_shape")
	if len(kernel) == 0 {
		return n.refuse(node, "no kernel_shape")
	}
	strides := orElse(node.ints("strides"), 1, len(kernel))
	pads := orElse(node.ints("pads"), 0, 2*len(kernel))
	if len(strides) != len(kernel) || len(pads) != 2*len(kernel) {
		return n.refuse(node, fmt.Sprintf("strides=%v and pads=%v for a kernel of %v", strides, pads, kernel))
	}
	node.setInts("strides", strides)
	if a := node.attribute("dilations"); a != nil && onlyValue(a, "1") {
		node.remove("dilations")
	}
	padded := slices.Max(pads) > 0
	if slices.Min(pads) < 0 || slices.Max(pads) > padLimit {
		return n.refuse(node, fmt.Sprintf("pads=%v", pads))
	}
	counted := node.op() == "AveragePool" && node.int("count_include_pad", 0) != 0
	if !counted || !padded {
		node.remove("count_include_pad")
	}
	if node.int("ceil_mode", 0) == 0 {
		node.remove("ceil_mode")
	} else {
		size, err := n.spatialSize(node.inputs()[0])
		if err != nil {
			return err
		}
		if len(size) != len(kernel) || node.attribute("dilations") != nil {
			return n.refuse(node, fmt.Sprintf("ceil_mode=1 and a kernel of %v for %v", kernel, size))
		}
		more := false
		for i := range kernel {
			room := size[i] + pads[i] + pads[i+len(kernel)] - kernel[i]
			out := int(math.Ceil(float64(room)/float64(strides[i]))) + 1
			if (out-1)*strides[i] >= size[i]+pads[i] { // no window starts behind the image
				out--
			}
			if extra := (out-1)*strides[i] - room; extra > 0 {
				more = true
				pads[i+len(kernel)] += extra
			}
		}
		if more {
			if counted {
				return n.refuse(node, "ceil_mode=1 and count_include_pad=1")
			}
			node.setInts("pads", pads)
		}
		node.remove("ceil_mode")
	}
	if counted && padded && node.attribute("ceil_mode") == nil {
		// Zeros that are there count.
		full := make([]int64, 2*(len(kernel)+2))
		for i, p := range pads {
			at := 2 + i
			if i >= len(kernel) {
				at = len(kernel) + 4 + i - len(kernel)
			}
			full[at] = int64(p)
		}
		name := node.outputs()[0] + "/loupe"
		n.file.addInts(name+"/pads", full)
		n.file.insert(node, []step{{op: "Pad", inputs: []string{node.inputs()[0], name + "/pads"}, output: name + "/padded"}})
		setWords(node.Message, "input", []string{name + "/padded"})
		node.remove("count_include_pad")
		node.remove("pads")
		return n.pad(n.file.makers[name+"/padded"])
	}
	return nil
}
