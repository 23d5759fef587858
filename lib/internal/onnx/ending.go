package onnx

import "fmt"

// Ending says how a network's file turns its last scores into what it answers. The file's own last step is left out
// of the model's graph, so that Logits are scores whatever the file ends in.
type Ending int

const (
	EndsInLogits     Ending = iota // nothing comes behind the scores
	EndsInSoftmax                  // probabilities of classes that exclude each other
	EndsInLogSoftmax               // their logarithms
	EndsInSigmoid                  // a probability of its own for each class, or of the second of two classes where there is one score
)

func (e Ending) String() string {
	return [...]string{"logits", "softmax", "log-softmax", "sigmoid"}[e]
}

// cutEnding finds what makes probabilities at the end of the graph and takes the output before it. Behind it may be
// what changes only the form: Flatten, Reshape, Squeeze, Identity. An output that is no vector for each image stays
// as it is. A LogSoftmax elsewhere is refused: onnx-gomlx has none.
func (n *Network) cutEnding() (Ending, error) {
	end, err := n.findEnding()
	if err != nil {
		return 0, err
	}
	n.dropUnused()
	for _, node := range n.file.nodes() {
		if node.op() == "LogSoftmax" {
			return 0, n.unknown(node)
		}
	}
	return end, nil
}

func (n *Network) findEnding() (Ending, error) {
	value := n.Output
	var behind []Node // what reads the probabilities and the result of that, last first
	node, made := n.file.makers[value]
	for made && (node.op() == "Identity" || node.op() == "Flatten" || node.op() == "Reshape" || node.op() == "Squeeze") {
		behind, value = append(behind, node), node.inputs()[0]
		node, made = n.file.makers[value]
	}
	if !made {
		return EndsInLogits, nil
	}
	end, from := EndsInLogits, node
	switch node.op() {
	case "Softmax":
		end = EndsInSoftmax
	case "LogSoftmax":
		end = EndsInLogSoftmax
	case "Sigmoid":
		end = EndsInSigmoid
	case "Log":
		if before, ok := n.file.makers[node.inputs()[0]]; ok && before.op() == "Softmax" {
			end, from = EndsInLogSoftmax, before
		}
	}
	if end == EndsInLogits {
		return end, nil
	}
	scores := from.inputs()[0]
	take := func(instead string) {
		if len(behind) == 0 {
			n.Output = instead
			return
		}
		reader := behind[len(behind)-1]
		in := reader.inputs()
		in[0] = instead
		setWords(reader.Message, "input", in)
	}
	take(scores)
	out, err := n.shapeOf(n.Output)
	if err != nil {
		return 0, err
	}
	if len(out) != 2 { // a map for each image
		take(value)
		return EndsInLogits, nil
	}
	if end == EndsInSigmoid {
		return end, nil
	}
	shape, err := n.shapeOf(scores)
	if err != nil {
		return 0, err
	}
	axis, size := from.axis(n.file.softmaxAxis(from)), 1
	if axis < 0 {
		axis += len(shape)
	}
	for _, d := range shape[1:] {
		size *= d
	}
	over := 1
	if from.op() == "LogSoftmax" && n.file.opset < 13 { // flattens; a Softmax that does has been rewritten
		for _, d := range shape[axis:] {
			over *= d
		}
	} else if axis < len(shape) {
		over = shape[axis]
	}
	if axis == 0 || over != size || size != out[1] {
		return 0, fmt.Errorf("model: %s ends in node %s (%s) over axis %d of %v, which is no choice between classes: name the value to take in the Spec's Output",
			n.path, from.name(), from.op(), axis, shape)
	}
	return end, nil
}
