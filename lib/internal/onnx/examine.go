package onnx

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// Ending says how a network's file turns its last scores into what it answers. The file's own last step is left out
// of the model's graph, so that Logits are scores whatever the file ends in.
type Ending int

const (
	EndsInLogits     Ending = iota // nothing comes behind the scores
	EndsInSoftmax                  // probabilities of classes that exclude each other
	EndsInLogSoftmax               // their logarithms
	// a probability of its own for each class, or of the second of two classes where there is one score
	EndsInSigmoid
)

func (e Ending) String() string {
	return [...]string{"logits", "softmax", "log-softmax", "sigmoid"}[e]
}

// examine builds the network once and again, and finds from the shapes what is what.
func (n *Network) examine() error {
	alone := 2
	if n.fixed {
		alone = 1
	}
	found, err := n.probe(alone, 0)
	if err != nil {
		return err
	}
	if err := n.findEnding(found); err != nil {
		return err
	}
	if n.fixed {
		n.free(found)
	}
	count := 2
	if n.OneByOne {
		count = 1
	}
	images := 0
	if n.fixed {
		images = count
	}
	if found, err = n.probe(count, images); err != nil {
		return err
	}
	n.findHeads(found)
	n.findLayers(found, count)
	return nil
}

// softmaxAxis is the axis of a softmax, and whether it goes over all axes from it on, as before opset 13.
func (n *Network) softmaxAxis(node *nodeProto) (axis int, flat bool) {
	flat = n.model.opsets[opsetDefault] < 13
	if axis = -1; flat {
		axis = 1
	}
	return node.int("axis", axis), flat
}

// onlyForms tells whether a node of numbers with a point changes only their form: Flatten, Reshape, Squeeze, Identity,
// or Cast to another precision.
func (n *nodeProto) onlyForms() bool {
	switch n.op {
	case "Identity", "Flatten", "Reshape", "Squeeze", "Dropout":
		return n.domain == opsetDefault && len(n.inputs) > 0
	case "Cast":
		return len(n.inputs) > 0 && elements[n.int("to", 0)].dtype.IsFloat()
	}
	return false
}

// beforeRounding is the value that a quantised file's output stands for, where that is rounded probabilities: these
// themselves. Other outputs stay as they are.
func (n *Network) beforeRounding(output string) string {
	node, rounded := n.makers[output], false
	for node != nil && len(node.inputs) > 0 {
		switch {
		case node.op == "QuantizeLinear" || node.op == "DequantizeLinear":
			rounded = true
		case !node.onlyForms():
			if rounded && (node.op == "Softmax" || node.op == "LogSoftmax" || node.op == "Sigmoid") {
				return node.outputs[0]
			}
			return output
		}
		node = n.makers[node.inputs[0]]
	}
	return output
}

// findEnding finds what makes probabilities at the end of the graph. Behind it may be what changes only the form. An
// output that is no vector for each image stays as it is.
func (n *Network) findEnding(found map[string]shapes.Shape) error {
	node := n.makers[n.Output]
	for node != nil && node.onlyForms() {
		node = n.makers[node.inputs[0]]
	}
	if node == nil {
		return nil
	}
	end, from := EndsInLogits, node
	switch node.op {
	case "Softmax":
		end = EndsInSoftmax
	case "LogSoftmax":
		end = EndsInLogSoftmax
	case "Sigmoid":
		end = EndsInSigmoid
	case "Log":
		if before := n.makers[node.inputs[0]]; before != nil && before.op == "Softmax" {
			end, from = EndsInLogSoftmax, before
		}
	}
	out := found[n.Output].Dimensions
	if end == EndsInLogits || len(out) != 2 {
		return nil
	}
	scores := from.inputs[0]
	if end != EndsInSigmoid {
		shape := found[scores].Dimensions
		axis, flat := n.softmaxAxis(from)
		if axis < 0 {
			axis += len(shape)
		}
		size, over := 1, 1
		for _, d := range shape[1:] {
			size *= d
		}
		for i, d := range shape {
			if i == axis || flat && i > axis {
				over *= d
			}
		}
		if axis == 0 || over != size || size != out[1] {
			return fmt.Errorf(
				" ends in %s over axis %d of %v, which is no choice between classes: name the value to take in the Spec's Output",
				from.title(), axis, shape)
		}
	}
	n.Ending, n.ending, n.scores = end, node, scores
	return nil
}

// free tries to give a file that was exported for one image several. Every value then has to have the images along one
// axis, and nothing may mix them; else they go through it one by one.
// one has the shapes of its values for one image.
func (n *Network) free(one map[string]shapes.Shape) {
	n.OneByOne = true
	two, err := n.probe(2, 2)
	if err != nil {
		return
	}
	three, err := n.probe(3, 3)
	if err != nil {
		return
	}
	moved := n.moved()
	axis := map[string]int{n.input: 0} // of the images
	for _, node := range n.nodes {
		for _, out := range node.outputs {
			if !moved[out] {
				continue
			}
			a, b, c := one[out].Dimensions, two[out].Dimensions, three[out].Dimensions
			if len(a) != len(b) || len(a) != len(c) {
				return
			}
			at := -1
			for i := range a {
				if b[i] == 2*a[i] && c[i] == 3*a[i] && at < 0 {
					at = i
				} else if b[i] != a[i] || c[i] != a[i] {
					return
				}
			}
			stays := n.traits(node).apart
			in, inHas := axis[node.inputs[0]]
			if at < 0 || stays == nil || !stays(n, node, imageAxes{in, inHas, at, len(a)}) {
				return
			}
			axis[out] = at
		}
	}
	n.OneByOne = false
}

// apart tells whether a node leaves several images apart, if they lie as said.
type apart func(n *Network, node *nodeProto, at imageAxes) bool

// imageAxes are where images lie: along the axis in of a node's first input, if that has them, and along the axis out
// of its result of so many axes, whose length their number multiplies.
type imageAxes struct {
	in        int
	inHas     bool
	out, rank int
}

func (a imageAxes) isOut(axis int) bool { return axis == a.out || axis+a.rank == a.out }

// always is for operators that leave images apart wherever they lie.
func always(*Network, *nodeProto, imageAxes) bool { return true }

// onFirstAxis is for operators that treat what lies along the first axis alike, and no other.
func onFirstAxis(_ *Network, _ *nodeProto, at imageAxes) bool {
	return at.out == 0 && (!at.inHas || at.in == 0)
}

// notOver is for operators that compute over the axis that an attribute says.
func notOver(attribute string, otherwise int) apart {
	return func(_ *Network, node *nodeProto, at imageAxes) bool { return !at.isOut(node.int(attribute, otherwise)) }
}

// notAlong is for operators that put parts together, or take them, along the axis that an attribute says.
func notAlong(attribute string, otherwise int) apart {
	return func(_ *Network, node *nodeProto, at imageAxes) bool {
		return !at.inHas || at.in != node.int(attribute, otherwise) && !at.isOut(node.int(attribute, otherwise))
	}
}

// takenAlong is for operators that take parts along the axis that an attribute says, which may be gone behind them.
func takenAlong(attribute string, otherwise int) apart {
	return func(n *Network, node *nodeProto, at imageAxes) bool {
		if axis := node.int(attribute, otherwise); axis >= 0 {
			return !at.inHas || at.in != axis
		}
		return notAlong(attribute, otherwise)(n, node, at)
	}
}

// before is for operators that compute over all axes from the one on that an attribute says.
func before(attribute string, otherwise int) apart {
	return func(_ *Network, node *nodeProto, at imageAxes) bool {
		return at.out < (node.int(attribute, otherwise)+at.rank)%at.rank
	}
}

// ofSoftmax is for operators that go over one axis, or over all from it on, as before opset 13.
func ofSoftmax(n *Network, node *nodeProto, at imageAxes) bool {
	axis, flat := n.softmaxAxis(node)
	return !at.isOut(axis) && !(flat && at.out >= (axis+at.rank)%at.rank)
}

// int is a number that a node says, or what stands for it.
func (n *nodeProto) int(attribute string, otherwise int) int {
	if a := n.attribute(attribute); a != nil {
		return int(a.i)
	}
	return otherwise
}

// moved are the values that depend on the image.
func (n *Network) moved() map[string]bool {
	moved := map[string]bool{n.input: true}
	for _, node := range n.nodes {
		if node.op == "Shape" || node.op == "Size" {
			continue
		}
		if slices.ContainsFunc(append(slices.Clone(node.inputs), captured(node)...),
			func(in string) bool { return moved[in] }) {
			for _, out := range node.outputs {
				moved[out] = true
			}
		}
	}
	delete(moved, "")
	return moved
}

// findHeads finds the linear layers that make the logits, if such do: see [Network.linearLayers]. Nodes that need
// several of them come behind all that need none, so that all features are there before.
func (n *Network) findHeads(found map[string]shapes.Shape) {
	logits := n.Output
	if n.scores != "" { // behind them is what changes only the form
		logits = n.scores
	}
	n.heads = n.linearLayers(logits, found, n.moved())
	if len(n.heads) < 2 {
		return
	}
	behind := map[string]bool{}
	var first, last []*nodeProto
	for _, node := range n.nodes {
		needs := func(in string) bool { return behind[in] }
		if !slices.Contains(n.heads, node) && !slices.ContainsFunc(append(slices.Clone(node.inputs), captured(node)...),
			needs) {
			first = append(first, node)
			continue
		}
		last = append(last, node)
		for _, out := range node.outputs {
			behind[out] = out != ""
		}
	}
	n.nodes = append(first, last...)
}

// linearLayers is the linear layer that makes a value [N, K]: a Gemm, MatMul or convolution of a single place, with a
// bias, a factor and changes of form behind it. Where layers are added up, as the two heads of a distilled transformer,
// it is each of them. There are none of a value that is made otherwise.
func (n *Network) linearLayers(value string, found map[string]shapes.Shape, moved map[string]bool) []*nodeProto {
	node := n.makers[value]
	if node == nil || len(node.inputs) == 0 {
		return nil
	}
	in := node.inputs
	if node.onlyForms() && found[in[0]].DType.IsFloat() {
		return n.linearLayers(in[0], found, moved)
	}
	switch node.op {
	case "Gemm", "MatMul", "Conv":
		single := isVector(found[in[0]]) && isVector(found[value])
		if moved[in[1]] || !single || node.int("transA", 0) != 0 || node.int("group", 1) != 1 {
			return nil
		}
		return []*nodeProto{node}
	case "Add", "Sub", "Sum", "Mean", "Mul", "Div":
		var all []*nodeProto
		for i, part := range in {
			if !moved[part] {
				continue
			}
			layers := n.linearLayers(part, found, moved)
			if layers == nil || node.op == "Mul" && all != nil || node.op == "Div" && i > 0 {
				return nil
			}
			all = append(all, layers...)
		}
		return all
	}
	return nil
}

// isVector tells whether a value is [N, D], or has so many numbers for each image along its second axis.
func isVector(s shapes.Shape) bool {
	return s.Rank() >= 2 && s.Size() == s.Dimensions[0]*s.Dimensions[1]
}

// findLayers finds the file's values that have a row for each image, and where tokens are.
func (n *Network) findLayers(found map[string]shapes.Shape, count int) {
	moved := n.moved()
	onTheWay := map[string]bool{}
	for _, node := range n.needed(n.Output) {
		for _, out := range node.outputs {
			onTheWay[out] = true
		}
	}
	var layers []string
	dims := map[string][]int{}
	for _, node := range n.nodes {
		for _, out := range node.outputs {
			s, ok := found[out]
			if !ok || !moved[out] || !s.DType.IsFloat() || s.Rank() < 2 || s.Dimensions[0] != count {
				continue
			}
			dims[out] = s.Dimensions
			if onTheWay[out] && !n.traits(node).form && s.DType == dtypes.Float32 && !(node == n.ending && n.scores != "") {
				layers = append(layers, out)
			}
		}
	}
	n.tokens = n.findTokens(layers, dims, moved)
	n.Rows, n.Columns = n.tokens.rows, n.tokens.columns
	channels := n.channelAxes()
	spatial := func(name string) int {
		if len(dims[name]) != 4 {
			return 0
		}
		return channels[name]
	}
	for _, name := range layers {
		n.Layers = append(n.Layers, Value{name, spatial(name)})
	}
	for i, m := range n.Maps {
		n.Maps[i].Channels = spatial(m.Name)
	}
	n.Maps = slices.DeleteFunc(n.Maps, func(m Value) bool { return m.Channels == 0 })
}

// channels says along which axis the channels of a node's result lie, 1 or 3, and 0 where nobody knows. lies has what
// is known of its inputs.
type channels func(node *nodeProto, lies map[string]int) int

// onSecondAxis is for operators that have the channels there by ONNX's definition.
func onSecondAxis(*nodeProto, map[string]int) int { return 1 }

// nowhere is for operators whose results have other axes than before, or nobody knows which.
func nowhere(*nodeProto, map[string]int) int { return 0 }

// ofProduct is for products of matrices, which are layers on channels that lie last.
func ofProduct(node *nodeProto, lies map[string]int) int {
	if lies[node.inputs[0]] == 3 {
		return 3
	}
	return 0
}

// ofTranspose is for a Transpose, which may put channels last or back.
func ofTranspose(node *nodeProto, lies map[string]int) int {
	a := node.attribute("perm")
	if a == nil {
		return 0
	}
	from := lies[node.inputs[0]]
	switch perm := fmt.Sprint(a.ints); {
	case from == 1 && perm == "[0 2 3 1]":
		return 3
	case from == 3 && perm == "[0 3 1 2]":
		return 1
	case perm == "[0 1 2 3]":
		return from
	}
	return 0
}

// channelAxes says of the values of rank 4 which axis is that of the channels, 1 or 3, and 0 where it is not known.
// What works on each value for itself leaves them where they are.
func (n *Network) channelAxes() map[string]int {
	lies := map[string]int{n.input: 1}
	if n.channelsLast {
		lies[n.input] = 3
	}
	for _, node := range n.nodes {
		found := 0
		if where := n.traits(node).channels; where != nil {
			found = where(node, lies)
		} else {
			for _, in := range node.inputs {
				if found == 0 {
					found = lies[in]
				}
			}
		}
		for _, out := range node.outputs {
			lies[out] = found
		}
	}
	return lies
}

// traits are what is known of a node's operator: nothing of a function of the file.
func (n *Network) traits(node *nodeProto) operation {
	if op := operations[operationKey(node.domain, node.op)]; op != nil {
		return *op
	}
	return operation{}
}
