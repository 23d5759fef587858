package onnx

import "fmt"

// channelAxes says of the values of rank 4 which axis is that of the channels, 1 or 3, and 0 where it is not known.
// Convolutions and pooling have channels first by ONNX's definition, a Transpose may put them last, and what works on
// each value for itself leaves them where they are.
func (f *File) channelAxes(input string, channelsLast bool) map[string]int {
	lies := map[string]int{input: 1}
	if channelsLast {
		lies[input] = 3
	}
	for _, node := range f.nodes() {
		found := 0
		switch node.op() {
		case "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization":
			found = 1
		case "Transpose":
			from := lies[node.inputs()[0]]
			switch perm := fmt.Sprint(node.ints("perm")); {
			case from == 1 && perm == "[0 2 3 1]":
				found = 3
			case from == 3 && perm == "[0 3 1 2]":
				found = 1
			case perm == "[0 1 2 3]":
				found = from
			}
		case "Reshape", "Flatten", "Gather", "GatherElements", "GatherND", "Shape", "Squeeze", "Unsqueeze", "Einsum", "MatMul", "If",
			"ArgMax", "ArgMin", "TopK", "Size":
			// other axes than before, or nobody knows which; a MatMul is a layer on channels that lie last
			if node.op() == "MatMul" && lies[node.inputs()[0]] == 3 {
				found = 3
			}
			if from, ok := f.resized[node.outputs()[0]]; ok {
				found = lies[from]
			}
		default:
			for _, in := range node.inputs() {
				if found == 0 {
					found = lies[in]
				}
			}
		}
		for _, out := range node.outputs() {
			lies[out] = found
		}
	}
	return lies
}
