package onnx

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// operator says what of an operator onnx-gomlx computes as ONNX defines it.
type operator struct {
	// least and most inputs; most is 0 where there is no limit.
	least, most int
	// attributes are those that it honours, name by name. "name=value" passes with that value alone (each value of a
	// list), which is the one that leaves the attribute without effect; "name!" has to be there, because onnx-gomlx
	// takes another default than ONNX.
	attributes string
}

// operators are the operators that are run, after what [Network.rewrite] replaces. onnx-gomlx takes no notice
// of an attribute that it does not know, so that everything outside of this table is refused.
// https://onnx.ai/onnx/operators/
var operators = map[string]operator{
	"Abs": {1, 1, ""}, "Neg": {1, 1, ""}, "Sign": {1, 1, ""}, "Ceil": {1, 1, ""}, "Floor": {1, 1, ""}, "Identity": {1, 1, ""},
	"Sqrt": {1, 1, ""}, "Exp": {1, 1, ""}, "Log": {1, 1, ""}, "Erf": {1, 1, ""}, "Relu": {1, 1, ""}, "Tanh": {1, 1, ""}, "Sin": {1, 1, ""},
	"Cos": {1, 1, ""}, "Sigmoid": {1, 1, ""}, "HardSwish": {1, 1, ""}, "Reciprocal": {1, 1, ""}, "IsNaN": {1, 1, ""}, "Not": {1, 1, ""},
	"BitwiseNot": {1, 1, ""}, "Gelu": {1, 1, "approximate=none"}, "FastGelu": {1, 1, ""},

	"Add": {2, 2, ""}, "Sub": {2, 2, ""}, "Mul": {2, 2, ""}, "Div": {2, 2, ""}, "Pow": {2, 2, ""}, "Mod": {2, 2, "fmod"}, "And": {2, 2, ""},
	"Or": {2, 2, ""}, "Xor": {2, 2, ""}, "BitwiseAnd": {2, 2, ""}, "BitwiseOr": {2, 2, ""}, "BitwiseXor": {2, 2, ""}, "Equal": {2, 2, ""},
	"Less": {2, 2, ""}, "LessOrEqual": {2, 2, ""}, "Greater": {2, 2, ""}, "GreaterOrEqual": {2, 2, ""}, "Min": {1, 0, ""}, "Max": {1, 0, ""},
	"MatMul": {2, 2, ""}, "Einsum": {2, 2, "equation"}, "Clip": {1, 3, ""}, "Where": {3, 3, ""},

	"Constant": {0, 0, "value"}, "ConstantOfShape": {1, 1, "value"}, "Shape": {1, 1, "start end"}, "Size": {1, 1, ""}, "Range": {3, 3, ""},
	"Gather": {2, 2, "axis"}, "GatherElements": {2, 2, "axis"}, "GatherND": {2, 2, "batch_dims=0"}, "ScatterND": {3, 3, "reduction"},
	"Concat": {1, 0, "axis"}, "Cast": {1, 1, "to saturate=1"}, "Transpose": {1, 1, "perm"}, "Flatten": {1, 1, "axis"},
	"Squeeze": {1, 2, "axes"}, "Unsqueeze": {1, 2, "axes"}, "Slice": {3, 5, ""}, "Reshape": {2, 2, "allowzero=0"}, "Expand": {2, 2, ""},
	"Tile": {2, 2, ""}, "CumSum": {2, 2, "exclusive reverse"}, "Trilu": {1, 2, "upper"}, "NonZero": {1, 1, ""}, "Pad": {2, 3, "mode"},
	"Split": {1, 2, "axis num_outputs"}, "TopK": {2, 2, "axis largest sorted"}, "ArgMax": {1, 1, "axis keepdims select_last_index=0"},
	"ArgMin": {1, 1, "axis keepdims select_last_index=0"}, "If": {1, 1, "then_branch else_branch"},

	"ReduceMean": {1, 2, "axes keepdims noop_with_empty_axes"}, "ReduceMax": {1, 2, "axes keepdims noop_with_empty_axes"},
	"ReduceMin": {1, 2, "axes keepdims noop_with_empty_axes"}, "ReduceSum": {1, 2, "axes keepdims noop_with_empty_axes"},
	"ReduceProd": {1, 2, "axes keepdims noop_with_empty_axes"}, "ReduceL2": {1, 2, "axes keepdims noop_with_empty_axes"},

	"Softmax": {1, 1, "axis"}, "LogSoftmax": {1, 1, "axis"}, "Gemm": {2, 3, "alpha beta transA transB"},
	"Conv":              {2, 3, "auto_pad=NOTSET kernel_shape strides pads dilations group"},
	"AveragePool":       {1, 1, "auto_pad=NOTSET kernel_shape! strides! pads ceil_mode=0 count_include_pad=0 dilations=1"},
	"MaxPool":           {1, 1, "auto_pad=NOTSET kernel_shape! strides! pads ceil_mode=0 storage_order=0"},
	"GlobalAveragePool": {1, 1, ""}, "BatchNormalization": {5, 5, "epsilon training_mode=0 spatial=1"},
	"LayerNormalization":           {2, 3, "axis epsilon stash_type=1"},
	"SimplifiedLayerNormalization": {2, 2, "axis epsilon stash_type=1"},
	"MultiHeadAttention":           {3, 3, "num_heads scale"},
	"LSTM":                         {4, 8, "direction hidden_size layout"},

	"DequantizeLinear": {2, 3, "axis block_size=0 output_dtype=0"}, "QuantizeLinear": {3, 3, "axis block_size=0 saturate=1 output_dtype=0 precision=0"},
	"DynamicQuantizeLinear": {1, 1, ""}, "MatMulInteger": {2, 4, ""}, "QLinearMatMul": {8, 8, ""},
}

// contributed are the operators above that are Microsoft's, and not ONNX's.
var contributed = map[string]bool{"FastGelu": true, "SimplifiedLayerNormalization": true, "MultiHeadAttention": true}

// check refuses what onnx-gomlx would compute otherwise than ONNX says, in a graph and the graphs inside it.
func (n *Network) check(nodes []Node) error {
	for _, node := range nodes {
		op, known := operators[node.op()]
		switch domain := node.domain(); {
		case domain == "com.microsoft" && (contributed[node.op()] || node.op() == "Gelu"):
		case domain != "" && domain != "ai.onnx" || contributed[node.op()] && node.op() != "FastGelu":
			return n.refuse(node, fmt.Sprintf("the domain %q", domain))
		}
		if !known {
			return n.unknown(node)
		}
		in := node.inputs()
		if len(in) < op.least || op.most > 0 && len(in) > op.most || op.least == 0 && len(in) > 0 {
			return n.refuse(node, fmt.Sprintf("%d inputs", len(in)))
		}
		for i := range op.least {
			if in[i] == "" {
				return n.refuse(node, fmt.Sprintf("nothing for its input %d", i))
			}
		}
		if err := n.checkAttributes(node, op); err != nil {
			return err
		}
		switch node.op() {
		case "Softmax":
			if n.file.opset < 13 && node.axis(0) != -1 {
				return n.refuse(node, "a Softmax of an opset before 13 in a branch")
			}
		case "BatchNormalization":
			if n.file.opset < 7 {
				return n.refuse(node, fmt.Sprintf("the form of opset %d", n.file.opset))
			}
		case "Shape":
			if a := node.attribute("end"); a != nil && get(a, "i").Int() == 0 {
				return n.refuse(node, "end=0")
			}
		case "If":
			for _, branch := range []string{"then_branch", "else_branch"} {
				if a := node.attribute(branch); a != nil {
					var inside []Node
					for _, m := range messages(get(a, "g").Message(), "node") {
						inside = append(inside, Node{m})
					}
					if err := n.check(inside); err != nil {
						return err
					}
				}
			}
		case "Slice":
			if steps, ok := n.file.constant(node.input(4)); node.input(4) != "" && (!ok || steps.least() < 1) {
				return n.refuse(node, "steps that are computed or negative")
			}
		}
	}
	return nil
}

// unknown is the error for an operator that is not run.
func (n *Network) unknown(node Node) error {
	return fmt.Errorf("model: %s: node %s is of the kind %s, which cannot be run here", n.path, node.name(), node.op())
}

func (n *Network) checkAttributes(node Node, op operator) error {
	for _, a := range messages(node.Message, "attribute") {
		name := get(a, "name").String()
		honoured := false
		for _, allowed := range strings.Fields(op.attributes) {
			allowed, value, fixed := strings.Cut(strings.TrimSuffix(allowed, "!"), "=")
			if allowed == name {
				if honoured = true; fixed && !onlyValue(a, value) {
					return n.refuse(node, name+"="+attributeText(a))
				}
			}
		}
		for _, v := range integers(a, "ints") {
			if name != "perm" && name != "axes" && (v < -padLimit || v > padLimit) {
				return n.refuse(node, name+"="+attributeText(a))
			}
		}
		if !honoured {
			return n.refuse(node, fmt.Sprintf("the attribute %s=%s", name, attributeText(a)))
		}
	}
	for _, allowed := range strings.Fields(op.attributes) {
		if name, needed := strings.CutSuffix(allowed, "!"); needed && node.attribute(name) == nil {
			return n.refuse(node, "no "+name)
		}
	}
	return nil
}

// attributeText is an attribute's value for a message.
func attributeText(a protoreflect.Message) string {
	switch get(a, "type").Enum() {
	case 1:
		return fmt.Sprint(get(a, "f").Float())
	case 2:
		return fmt.Sprint(get(a, "i").Int())
	case 3:
		return string(get(a, "s").Bytes())
	case 7:
		return fmt.Sprint(integers(a, "ints"))
	case 6:
		var values []float64
		for i := range get(a, "floats").List().Len() {
			values = append(values, get(a, "floats").List().Get(i).Float())
		}
		return fmt.Sprint(values)
	}
	return "…"
}

func onlyValue(a protoreflect.Message, value string) bool {
	text := strings.Trim(attributeText(a), "[]")
	for _, v := range strings.Fields(text) {
		if v != value {
			return false
		}
	}
	return true
}

// checkStructure refuses a graph whose nodes are not in an order of computation, which takes circles out too, and one
// without an output.
func (n *Network) checkStructure() error {
	f := n.file
	known := map[string]bool{"": true}
	for _, in := range messages(f.graph, "input") {
		known[get(in, "name").String()] = true
	}
	for name := range f.initial {
		known[name] = true
	}
	made := map[string]bool{}
	for _, node := range f.nodes() {
		for _, in := range node.inputs() {
			if !known[in] {
				return fmt.Errorf("model: %s: node %s (%s) takes %s, which nothing before it makes", n.path, node.name(), node.op(), in)
			}
		}
		least := 1
		switch node.op() {
		case "Constant":
			least = 0
		case "Conv", "ConvTranspose":
			least = 2
		}
		if in := node.inputs(); len(in) < least || least > 0 && in[0] == "" {
			return n.refuse(node, fmt.Sprintf("%d inputs", len(in)))
		}
		for _, out := range node.outputs() {
			if out != "" && made[out] {
				return fmt.Errorf("model: %s: two nodes make %s", n.path, out)
			}
			known[out], made[out] = true, true
		}
		if len(node.outputs()) == 0 {
			return fmt.Errorf("model: %s: node %s (%s) has no output", n.path, node.name(), node.op())
		}
	}
	outputs := messages(f.graph, "output")
	if len(outputs) == 0 || !made[get(outputs[0], "name").String()] {
		return fmt.Errorf("model: %s: the graph has no output", n.path)
	}
	switch {
	case f.opset < 7:
		return fmt.Errorf("model: %s is of ONNX's opset %d, and loupe reads 7 and later: export it anew with a later one", n.path, f.opset)
	case len(messages(f.model, "functions")) > 0:
		return fmt.Errorf("model: %s has functions of its own, which cannot be run here: export it without them", n.path)
	case len(messages(f.graph, "sparse_initializer")) > 0:
		return fmt.Errorf("model: %s has sparse weights, which cannot be run here", n.path)
	}
	return nil
}

// checkTensors refuses weights that lie outside of the file's folder, and such as say another size than they have.
func (n *Network) checkTensors() error {
	tensors := messages(n.file.graph, "initializer")
	for _, node := range n.file.nodes() {
		tensors = append(tensors, tensorsOf(node)...)
	}
	for _, t := range tensors {
		name := get(t, "name").String()
		elements := 1
		for _, d := range integers(t, "dims") {
			if d < 0 || d > 0 && elements > math.MaxInt32*16/d {
				return fmt.Errorf("model: %s: the tensor %s says that it is %v", n.path, name, integers(t, "dims"))
			}
			elements *= d
		}
		if outside := messages(t, "external_data"); len(outside) > 0 {
			if err := n.checkExternal(name, outside); err != nil {
				return err
			}
			continue
		}
		given := len(get(t, "raw_data").Bytes())
		for _, kind := range []protoreflect.Name{"float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"} {
			given += get(t, kind).List().Len()
		}
		if given < elements && !packed[get(t, "data_type").Int()] {
			return fmt.Errorf("model: %s: the tensor %s says that it is %v, and the file has only %d bytes of it", n.path, name, integers(t, "dims"), given)
		}
	}
	return nil
}

// packed are TensorProto's data types of less than a byte: UINT4, INT4, FLOAT4E2M1.
var packed = map[int64]bool{21: true, 22: true, 23: true}

// tensorsOf are the constants in a node, and in the graphs inside it.
func tensorsOf(node Node) []protoreflect.Message {
	var tensors []protoreflect.Message
	for _, a := range messages(node.Message, "attribute") {
		if a.Has(field(a, "t")) {
			tensors = append(tensors, get(a, "t").Message())
		}
		if a.Has(field(a, "g")) {
			inside := get(a, "g").Message()
			tensors = append(tensors, messages(inside, "initializer")...)
			for _, m := range messages(inside, "node") {
				tensors = append(tensors, tensorsOf(Node{m})...)
			}
		}
	}
	return tensors
}

// checkExternal refuses data that is not in the folder of the ONNX file. Links count for what they lead to, and a
// file that is itself reached by a link, as in a download cache, may have its data beside its real place.
func (n *Network) checkExternal(tensor string, entries []protoreflect.Message) error {
	location, offset, length := "", int64(0), int64(0)
	for _, e := range entries {
		value := get(e, "value").String()
		var err error
		switch get(e, "key").String() {
		case "location":
			location = value
		case "offset":
			offset, err = strconv.ParseInt(value, 10, 64)
		case "length":
			length, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil || offset < 0 || length < 0 {
			return fmt.Errorf("model: %s: the place of the weights %s in %s is damaged", n.path, tensor, location)
		}
	}
	folder := filepath.Dir(n.path)
	outside := fmt.Errorf("model: %s names %q for the weights %s, which lies outside of its folder", n.path, location, tensor)
	if !filepath.IsLocal(location) {
		return outside
	}
	real, err := filepath.EvalSymlinks(filepath.Join(folder, location))
	if err != nil {
		return fmt.Errorf("model: %s keeps the weights %s in %q, which is not there: %w", n.path, tensor, location, err)
	}
	self, err := filepath.EvalSymlinks(n.path)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	home, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	within := func(dir string) bool {
		below, err := filepath.Rel(dir, real)
		return err == nil && filepath.IsLocal(below)
	}
	if !within(home) && !within(filepath.Dir(self)) {
		return outside
	}
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() < offset+length {
		return fmt.Errorf("model: %s: %s is shorter than the weights %s need", n.path, location, tensor)
	}
	return nil
}
