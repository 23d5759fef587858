package onnx

import (
	"fmt"
	"slices"
	"strings"

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
	EndsInSigmoid                  // a probability of its own for each class, or of the second of two classes where there is one score
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
		n.free()
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
	n.features = n.penultimate(n.Output)
	n.findLayers(found, count)
	return nil
}

// softmaxAxis is the axis of a softmax, and whether it goes over all axes from it on, as before opset 13.
func (n *Network) softmaxAxis(node *nodeProto) (axis int, flat bool) {
	flat = n.model.opsets[opsetDefault] < 13
	if axis = -1; flat {
		axis = 1
	}
	if a := node.attribute("axis"); a != nil {
		axis = int(a.i)
	}
	return axis, flat
}

// findEnding finds what makes probabilities at the end of the graph. Behind it may be what changes only the form:
// Flatten, Reshape, Squeeze, Identity. An output that is no vector for each image stays as it is.
func (n *Network) findEnding(found map[string]shapes.Shape) error {
	node := n.makers[n.Output]
	for node != nil && (node.op == "Identity" || node.op == "Flatten" || node.op == "Reshape" || node.op == "Squeeze" || node.op == "Dropout") {
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
			return fmt.Errorf(" ends in %s over axis %d of %v, which is no choice between classes: name the value to take in the Spec's Output", from.title(), axis, shape)
		}
	}
	n.Ending, n.ending, n.scores = end, node, scores
	return nil
}

// free tries to give a file that was exported for one image several. Every value then has to have the images along one
// axis, and nothing may mix them; else they go through it one by one.
func (n *Network) free() {
	n.OneByOne = true
	two, err := n.probe(2, 2)
	if err != nil {
		return
	}
	three, err := n.probe(3, 3)
	if err != nil {
		return
	}
	one, err := n.probe(1, 0)
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
			if at < 0 || n.mixes(node, len(a), at, axis) {
				return
			}
			axis[out] = at
		}
	}
	n.OneByOne = false
}

// mixes tells whether a node may put numbers of several images together, whose result has so many axes and the images
// along one of them.
func (n *Network) mixes(node *nodeProto, rank, images int, axis map[string]int) bool {
	over := func(a int) bool { return a == images || a+rank == images }
	said := func(name string, otherwise int) int {
		if a := node.attribute(name); a != nil {
			return int(a.i)
		}
		return otherwise
	}
	in, known := axis[node.inputs[0]]
	switch node.op {
	case "Reshape", "Flatten":
		return images != 0 || known && in != 0
	case "Softmax", "LogSoftmax", "Hardmax":
		at, flat := n.softmaxAxis(node)
		return over(at) || flat && images >= (at+rank)%rank
	case "LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization":
		return images >= (said("axis", -1)+rank)%rank
	case "LpNormalization":
		return over(said("axis", -1))
	case "Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "MaxPool", "AveragePool", "LpPool",
		"GlobalAveragePool", "GlobalMaxPool", "LRN", "DepthToSpace", "SpaceToDepth", "Gemm", "GridSample":
		return images != 0 || known && in != 0
	case "TopK", "GatherElements", "ArgMax", "ArgMin":
		return over(said("axis", -1))
	case "Concat", "Split", "Gather":
		return known && in == said("axis", 0)
	case "CumSum", "ScatterND", "ScatterElements", "NonZero", "LSTM", "Trilu", "DynamicQuantizeLinear", "If", "Loop", "MeanVarianceNormalization", "GatherND",
		"Compress", "ReverseSequence", "Attention", "MultiHeadAttention", "RotaryEmbedding", "Einsum", "OneHot":
		return true // may do so
	}
	return !handledByAxes[node.op]
}

// handledByAxes are operators that leave the images apart if their results have them along one axis, whose length the
// number of images multiplies.
var handledByAxes = func() map[string]bool {
	all := map[string]bool{}
	for name := range operations {
		if strings.HasPrefix(name, "Reduce") {
			all[name] = true
		}
	}
	for _, name := range strings.Fields(`Abs Neg Sign Ceil Floor Sqrt Exp Log Erf Tanh Sin Cos Sigmoid Not Round Identity Reciprocal Softplus Relu Tan Softsign
		Mish HardSwish Sinh Cosh Asin Acos Atan Asinh Acosh Atanh HardSigmoid LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Shrink Gelu Swish IsInf IsNaN Clip Dropout
		Cast CastLike Add Sub Mul Div And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual Sum Max Min Mean Pow Mod Where Squeeze Unsqueeze Transpose Slice Expand
		Tile Pad MatMul Resize Upsample QuantizeLinear DequantizeLinear MatMulInteger ConvInteger QLinearConv QLinearMatMul Gelu FastGelu BiasGelu QuickGelu FusedConv
		FusedMatMul FusedGemm SkipLayerNormalization QLinearAdd QLinearMul QLinearGlobalAveragePool QLinearConcat QLinearSigmoid QLinearLeakyRelu CenterCropPad`) {
		all[name] = true
	}
	return all
}()

// moved are the values that depend on the image.
func (n *Network) moved() map[string]bool {
	moved := map[string]bool{n.input: true}
	for _, node := range n.nodes {
		if node.op == "Shape" || node.op == "Size" {
			continue
		}
		if slices.ContainsFunc(append(slices.Clone(node.inputs), captured(node)...), func(in string) bool { return moved[in] }) {
			for _, out := range node.outputs {
				moved[out] = true
			}
		}
	}
	delete(moved, "")
	return moved
}

// penultimate is what goes into the last linear layer, if the logits come from one: Gemm, or MatMul and the addition
// of a bias.
func (n *Network) penultimate(logits string) string {
	if n.scores != "" && n.makers[logits] == n.ending {
		logits = n.scores
	}
	node := n.makers[logits]
	if node != nil && node.op == "Add" {
		for _, in := range node.inputs {
			if made := n.makers[in]; made != nil && made.op == "MatMul" {
				node = made
			}
		}
	}
	if node != nil && (node.op == "Gemm" || node.op == "MatMul") && n.initial[node.inputs[1]] != nil {
		return node.inputs[0]
	}
	return ""
}

// uninteresting are operators whose results only have another form, or are no activations at all.
var uninteresting = map[string]bool{
	"Cast": true, "Constant": true, "ConstantOfShape": true, "Expand": true, "Gather": true, "Identity": true, "Range": true,
	"Shape": true, "Slice": true, "Split": true, "Squeeze": true, "Transpose": true, "Unsqueeze": true,
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
			if onTheWay[out] && !uninteresting[node.op] && s.DType == dtypes.Float32 && !(node == n.ending && n.scores != "") {
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

// channelAxes says of the values of rank 4 which axis is that of the channels, 1 or 3, and 0 where it is not known.
// Convolutions and pooling have channels first by ONNX's definition, a Transpose may put them last, and what works on
// each value for itself leaves them where they are.
func (n *Network) channelAxes() map[string]int {
	lies := map[string]int{n.input: 1}
	if n.channelsLast {
		lies[n.input] = 3
	}
	for _, node := range n.nodes {
		found := 0
		switch node.op {
		case "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN":
			found = 1
		case "Transpose":
			from := lies[node.inputs[0]]
			perm := ""
			if a := node.attribute("perm"); a != nil {
				perm = fmt.Sprint(a.ints)
			}
			switch {
			case from == 1 && perm == "[0 2 3 1]":
				found = 3
			case from == 3 && perm == "[0 3 1 2]":
				found = 1
			case perm == "[0 1 2 3]":
				found = from
			}
		case "Reshape", "Flatten", "Gather", "GatherElements", "GatherND", "Shape", "Squeeze", "Unsqueeze", "Einsum", "MatMul", "If", "Loop",
			"ArgMax", "ArgMin", "TopK", "Size":
			// other axes than before, or nobody knows which; a MatMul is a layer on channels that lie last
			if node.op == "MatMul" && lies[node.inputs[0]] == 3 {
				found = 3
			}
		default:
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
