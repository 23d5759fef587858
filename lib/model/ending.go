package model

import "fmt"

// ending says how a network's file turns its last scores into what it answers. The file's own last step is left out
// of the model's graph, so that Logits are scores whatever the file ends in.
type ending int

const (
	endsInLogits     ending = iota // nothing comes behind the scores
	endsInSoftmax                  // probabilities of classes that exclude each other
	endsInLogSoftmax               // their logarithms
	endsInSigmoid                  // a probability of its own for each class, or of the second of two classes where there is one score
)

func (e ending) String() string {
	return [...]string{"logits", "softmax", "log-softmax", "sigmoid"}[e]
}

// activation is what the model needs to make the probabilities that the file makes. It is an error where asked says
// otherwise.
func (e ending) activation(asked Activation) (Activation, error) {
	found := Softmax
	if e == endsInSigmoid {
		found = Sigmoid
	}
	switch {
	case e == endsInLogits || asked == found:
		return asked, nil
	case asked == Found, asked == NoActivation: // it makes the probabilities itself, and from here on the model does
		return found, nil
	}
	return 0, fmt.Errorf("the file ends in %s, and the Spec's Activation is %s: leave it out", e, asked)
}

// cutEnding finds what makes probabilities at the end of the graph and takes the output before it. Behind it may be
// what changes only the form: Flatten, Reshape, Squeeze, Identity. An output that is no vector for each image stays
// as it is. A LogSoftmax elsewhere is refused: onnx-gomlx has none.
func (n *onnxNetwork) cutEnding() (ending, error) {
	end, err := n.findEnding()
	if err != nil {
		return 0, err
	}
	n.file.dropUnused(n.output)
	for _, node := range n.file.nodes() {
		if node.op() == "LogSoftmax" {
			return 0, n.unknown(node)
		}
	}
	return end, nil
}

func (n *onnxNetwork) findEnding() (ending, error) {
	value := n.output
	var behind []onnxNode // what reads the probabilities and the result of that, last first
	node, made := n.file.makers[value]
	for made && (node.op() == "Identity" || node.op() == "Flatten" || node.op() == "Reshape" || node.op() == "Squeeze") {
		behind, value = append(behind, node), node.inputs()[0]
		node, made = n.file.makers[value]
	}
	if !made {
		return endsInLogits, nil
	}
	end, from := endsInLogits, node
	switch node.op() {
	case "Softmax":
		end = endsInSoftmax
	case "LogSoftmax":
		end = endsInLogSoftmax
	case "Sigmoid":
		end = endsInSigmoid
	case "Log":
		if before, ok := n.file.makers[node.inputs()[0]]; ok && before.op() == "Softmax" {
			end, from = endsInLogSoftmax, before
		}
	}
	if end == endsInLogits {
		return end, nil
	}
	scores := from.inputs()[0]
	take := func(instead string) {
		if len(behind) == 0 {
			n.output = instead
			return
		}
		reader := behind[len(behind)-1]
		in := reader.inputs()
		in[0] = instead
		setWords(reader.Message, "input", in)
	}
	take(scores)
	out, err := n.shapeOf(n.output)
	if err != nil {
		return 0, err
	}
	if len(out) != 2 { // a map for each image
		take(value)
		return endsInLogits, nil
	}
	if end == endsInSigmoid {
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
