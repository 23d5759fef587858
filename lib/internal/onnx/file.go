package onnx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// File is an ONNX file as a protocol buffer. onnx-gomlx keeps its generated types to itself, so the message
// is reached by reflection, through the schema that onnx-gomlx registers.
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
type File struct {
	model protoreflect.Message
	graph protoreflect.Message
	// makers are the nodes by the values that they make, and initial the values that are there from the start.
	makers  map[string]Node
	initial map[string]protoreflect.Message
	added   map[string]bool // those of them that rewriting has put there
	// opset is the version of ONNX's operators that the file is written in.
	opset     int
	constants map[string]Constant // what constant has found; without values where there is none
	resized   map[string]string   // results of a resizing that has been replaced, by what they are made of
}

// Node is a NodeProto.
type Node struct{ protoreflect.Message }

func parseFile(raw []byte) (*File, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName("protos.ModelProto")
	if err != nil {
		return nil, err
	}
	f := &File{model: kind.New(), makers: map[string]Node{}, initial: map[string]protoreflect.Message{}, added: map[string]bool{}, constants: map[string]Constant{}, resized: map[string]string{}}
	if err := proto.Unmarshal(raw, f.model.Interface()); err != nil {
		return nil, err
	}
	f.graph = get(f.model, "graph").Message()
	if len(f.nodes()) == 0 {
		return nil, fmt.Errorf("it has no graph")
	}
	for _, n := range f.nodes() {
		for _, out := range n.outputs() {
			f.makers[out] = n
		}
	}
	for _, t := range messages(f.graph, "initializer") {
		f.initial[get(t, "name").String()] = t
	}
	for _, set := range messages(f.model, "opset_import") {
		if domain := get(set, "domain").String(); domain == "" || domain == "ai.onnx" {
			f.opset = int(get(set, "version").Int())
		}
	}
	return f, nil
}

// nodes are the graph's nodes, which ONNX has in an order of computation.
func (f *File) nodes() []Node {
	var nodes []Node
	for _, n := range messages(f.graph, "node") {
		nodes = append(nodes, Node{n})
	}
	return nodes
}

// imageInput finds the one input that is not a weight and completes the options from its shape.
func (n *Network) imageInput() error {
	f := n.file
	var inputs []protoreflect.Message
	for _, in := range messages(f.graph, "input") {
		if f.initial[get(in, "name").String()] == nil {
			inputs = append(inputs, in)
		}
	}
	if len(inputs) != 1 {
		return fmt.Errorf("the network has %d inputs, and a model takes one, the images", len(inputs))
	}
	n.input = get(inputs[0], "name").String()
	tensor := get(get(inputs[0], "type").Message(), "tensor_type").Message()
	var dims []int
	for _, d := range messages(get(tensor, "shape").Message(), "dim") {
		dims = append(dims, int(get(d, "dim_value").Int())) // 0 where the file leaves it open
	}
	if len(dims) != 4 {
		return fmt.Errorf("the network's input %s has the shape %v, and images have four axes", n.input, dims)
	}
	batch := dims[0]
	if batch > 1 {
		return fmt.Errorf("the network takes exactly %d images at a time: export it with a dynamic batch axis", batch)
	}
	channels := func(n int) bool { return n == 1 || n == 3 }
	n.channelsLast = channels(dims[3]) && !channels(dims[1])
	if !n.channelsLast {
		dims = []int{dims[0], dims[2], dims[3], dims[1]}
	}
	for i, size := range []*int{&n.Height, &n.Width, &n.Channels} {
		said := dims[i+1]
		switch {
		case *size == 0:
			*size = said
		case said != 0 && said != *size:
			return fmt.Errorf("the network takes images of %v (height, width, channels), not %d x %d x %d", dims[1:], n.Height, n.Width, n.Channels)
		}
		if *size == 0 {
			return fmt.Errorf("the file leaves the size of the images open: say Height, Width and Channels in the Spec that you give to FromONNX")
		}
	}
	n.fixed = batch == 1
	return nil
}

// result is the graph's first output.
func (f *File) result() string {
	return get(messages(f.graph, "output")[0], "name").String()
}

// furtherOutputs are the graph's outputs but for one, as far as they have four axes.
func (f *File) furtherOutputs(result string) []Value {
	var further []Value
	for _, out := range messages(f.graph, "output") {
		tensor := get(get(out, "type").Message(), "tensor_type").Message()
		name := get(out, "name").String()
		if _, made := f.makers[name]; made && name != result && len(messages(get(tensor, "shape").Message(), "dim")) == 4 {
			further = append(further, Value{Name: name})
		}
	}
	return further
}

// values are the names of all that nodes make, in the order of the alphabet.
func (f *File) values() []string { return slices.Sorted(maps.Keys(f.makers)) }

// dropUnused takes the nodes and the initial values away that no value of some needs.
func (f *File) dropUnused(values ...string) {
	needed := map[string]bool{}
	for _, v := range values {
		needed[v] = true
	}
	list := f.graph.Mutable(field(f.graph, "node")).List()
	var kept []protoreflect.Value
	for i := list.Len() - 1; i >= 0; i-- {
		node := Node{list.Get(i).Message()}
		if !slices.ContainsFunc(node.outputs(), func(out string) bool { return needed[out] }) {
			for _, out := range node.outputs() {
				delete(f.makers, out)
			}
			continue
		}
		for _, in := range append(node.inputs(), node.captured()...) {
			needed[in] = true
		}
		kept = append(kept, list.Get(i))
	}
	list.Truncate(0)
	for i := len(kept) - 1; i >= 0; i-- {
		list.Append(kept[i])
	}
	all := messages(f.graph, "initializer")
	initial := f.graph.Mutable(field(f.graph, "initializer")).List()
	initial.Truncate(0)
	for _, t := range all {
		if name := get(t, "name").String(); needed[name] {
			initial.Append(protoreflect.ValueOfMessage(t))
		} else {
			delete(f.initial, name)
		}
	}
}

// captured are the values that the graphs inside a node may take from outside.
func (n Node) captured() []string {
	var names []string
	for _, a := range messages(n.Message, "attribute") {
		if !a.Has(field(a, "g")) {
			continue
		}
		inside := get(a, "g").Message()
		for _, m := range messages(inside, "node") {
			names = append(append(names, Node{m}.inputs()...), Node{m}.captured()...)
		}
		for _, out := range messages(inside, "output") {
			names = append(names, get(out, "name").String())
		}
	}
	return names
}

// penultimate is what goes into the last linear layer, if the logits come from one: Gemm, or MatMul and the
// addition of a bias.
func (f *File) penultimate(logits string) string {
	n, ok := f.makers[logits]
	if ok && n.op() == "Add" {
		for _, in := range n.inputs() {
			if made, ok := f.makers[in]; ok && made.op() == "MatMul" {
				n = made
			}
		}
	}
	if ok && (n.op() == "Gemm" || n.op() == "MatMul") && f.initial[n.inputs()[1]] != nil {
		return n.inputs()[0]
	}
	return ""
}

// uninteresting are operators whose results only have another form, or are no activations at all.
var uninteresting = map[string]bool{
	"Cast": true, "Constant": true, "ConstantOfShape": true, "Expand": true, "Gather": true, "Identity": true, "Range": true,
	"Shape": true, "Slice": true, "Split": true, "Squeeze": true, "Transpose": true, "Unsqueeze": true,
}

// candidates are the values, in order of computation, that depend on the input and that the output depends on; moved
// are all that depend on the input.
func (f *File) candidates(input, output string) (values []string, moved map[string]bool) {
	needed := map[string]bool{output: true}
	nodes := f.nodes()
	for i := len(nodes) - 1; i >= 0; i-- {
		for _, out := range nodes[i].outputs() {
			if needed[out] {
				for _, in := range nodes[i].inputs() {
					needed[in] = true
				}
			}
		}
	}
	moved = map[string]bool{input: true}
	for _, n := range nodes {
		moves := false
		for _, in := range n.inputs() {
			moves = moves || moved[in]
		}
		if !moves || n.op() == "Shape" {
			continue
		}
		for _, out := range n.outputs() {
			if moved[out] = true; needed[out] && !uninteresting[n.op()] {
				values = append(values, out)
			}
		}
	}
	return values, moved
}

func (n Node) op() string        { return get(n.Message, "op_type").String() }
func (n Node) name() string      { return get(n.Message, "name").String() }
func (n Node) inputs() []string  { return words(n.Message, "input") }
func (n Node) outputs() []string { return words(n.Message, "output") }

func (n Node) domain() string { return get(n.Message, "domain").String() }

// input is the name of an input, "" where it is left out.
func (n Node) input(i int) string {
	if in := n.inputs(); i < len(in) {
		return in[i]
	}
	return ""
}

// axis is the attribute of that name.
func (n Node) axis(otherwise int) int { return n.int("axis", otherwise) }

func (n Node) int(name string, otherwise int) int {
	if a := n.attribute(name); a != nil {
		return int(get(a, "i").Int())
	}
	return otherwise
}

func (n Node) float(name string, otherwise float64) float64 {
	if a := n.attribute(name); a != nil {
		return get(a, "f").Float()
	}
	return otherwise
}

// attribute returns the attribute of that name; nil where there is none.
func (n Node) attribute(name string) protoreflect.Message {
	for _, a := range messages(n.Message, "attribute") {
		if get(a, "name").String() == name {
			return a
		}
	}
	return nil
}

func (n Node) text(name string) string {
	if a := n.attribute(name); a != nil {
		return string(get(a, "s").Bytes())
	}
	return ""
}

func (n Node) ints(name string) []int {
	a := n.attribute(name)
	if a == nil {
		return nil
	}
	return integers(a, "ints")
}

// step is a node to be added.
type step struct {
	op     string
	inputs []string
	output string
	axis   int   // of Concat, Flatten, Gather and Softmax
	perm   []int // of Transpose
}

// become makes a node one of another kind, without attributes but the kernel's shape, with other inputs, and puts steps
// before it.
func (f *File) become(n Node, op string, inputs []string, before []step) {
	kernel := n.ints("kernel_shape")
	n.Set(field(n.Message, "op_type"), protoreflect.ValueOfString(op))
	n.Mutable(field(n.Message, "attribute")).List().Truncate(0)
	if op == "Conv" && kernel != nil {
		n.setInts("kernel_shape", kernel)
	}
	n.setDomain("")
	setWords(n.Message, "input", inputs)
	f.insert(n, before)
}

// insert puts steps before a node.
func (f *File) insert(n Node, before []step) {
	list := f.graph.Mutable(field(f.graph, "node")).List()
	at := 0
	for list.Get(at).Message() != n.Message {
		at++
	}
	for range before {
		list.AppendMutable()
	}
	for i := list.Len() - 1; i >= at+len(before); i-- {
		list.Set(i, list.Get(i-len(before)))
	}
	for i, step := range before {
		element := list.NewElement()
		m := Node{element.Message()}
		m.Set(field(m.Message, "name"), protoreflect.ValueOfString(step.output))
		m.Set(field(m.Message, "op_type"), protoreflect.ValueOfString(step.op))
		setWords(m.Message, "input", step.inputs)
		setWords(m.Message, "output", []string{step.output})
		if step.op == "Concat" || step.op == "Flatten" || step.op == "Gather" || step.op == "Softmax" {
			m.setInt("axis", step.axis)
		}
		if step.perm != nil {
			m.setInts("perm", step.perm)
		}
		list.Set(at+i, element)
		f.makers[step.output] = m
	}
}

// addInput adds a float32 input to the graph, with a name for each axis whose length is open.
func (f *File) addInput(name string, axes ...string) {
	in := f.graph.Mutable(field(f.graph, "input")).List().AppendMutable().Message()
	in.Set(field(in, "name"), protoreflect.ValueOfString(name))
	kind := in.Mutable(field(in, "type")).Message()
	tensor := kind.Mutable(field(kind, "tensor_type")).Message()
	tensor.Set(field(tensor, "elem_type"), protoreflect.ValueOfInt32(floatType))
	shape := tensor.Mutable(field(tensor, "shape")).Message()
	dims := shape.Mutable(field(shape, "dim")).List()
	for _, axis := range axes {
		d := dims.AppendMutable().Message()
		d.Set(field(d, "dim_param"), protoreflect.ValueOfString(axis))
	}
}

// addFloats and addInts add a constant to the graph.
func (f *File) addFloats(name string, values []float32, dims ...int) {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	f.addConstant(name, floatType, raw, dims)
}

func (f *File) addInts(name string, values []int64) {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	f.addConstant(name, onnxInt64, raw, []int{len(values)})
}

// The numbers of TensorProto's data types.
const (
	floatType      = 1
	onnxInt64      = 7
	halfType       = 10
	brainFloatType = 16
)

func (f *File) addConstant(name string, kind int32, raw []byte, dims []int) {
	list := f.graph.Mutable(field(f.graph, "initializer")).List()
	element := list.NewElement()
	t := element.Message()
	t.Set(field(t, "name"), protoreflect.ValueOfString(name))
	t.Set(field(t, "data_type"), protoreflect.ValueOfInt32(kind))
	t.Set(field(t, "raw_data"), protoreflect.ValueOfBytes(raw))
	sizes := t.Mutable(field(t, "dims")).List()
	for _, d := range dims {
		sizes.Append(protoreflect.ValueOfInt64(int64(d)))
	}
	list.Append(element)
	f.initial[name], f.added[name] = t, true
}

// remove takes the attribute of that name away.
func (n Node) remove(name string) {
	list := n.Mutable(field(n.Message, "attribute")).List()
	kept := 0
	for i := range list.Len() {
		if get(list.Get(i).Message(), "name").String() != name {
			list.Set(kept, list.Get(i))
			kept++
		}
	}
	list.Truncate(kept)
}

func (n Node) setDomain(domain string) {
	n.Set(field(n.Message, "domain"), protoreflect.ValueOfString(domain))
}

// setInts sets an attribute to a list of integers.
func (n Node) setInts(name string, values []int) {
	a := n.newAttribute(name, "INTS")
	ints := a.Mutable(field(a, "ints")).List()
	for _, v := range values {
		ints.Append(protoreflect.ValueOfInt64(int64(v)))
	}
}

// setInt sets an attribute to an integer.
func (n Node) setInt(name string, value int) {
	a := n.newAttribute(name, "INT")
	a.Set(field(a, "i"), protoreflect.ValueOfInt64(int64(value)))
}

func (n Node) newAttribute(name string, kind protoreflect.Name) protoreflect.Message {
	n.remove(name)
	a := n.Mutable(field(n.Message, "attribute")).List().AppendMutable().Message()
	a.Set(field(a, "name"), protoreflect.ValueOfString(name))
	a.Set(field(a, "type"), protoreflect.ValueOfEnum(field(a, "type").Enum().Values().ByName(kind).Number()))
	return a
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func get(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(field(m, name))
}

func messages(m protoreflect.Message, name protoreflect.Name) []protoreflect.Message {
	list := get(m, name).List()
	all := make([]protoreflect.Message, list.Len())
	for i := range all {
		all[i] = list.Get(i).Message()
	}
	return all
}

func words(m protoreflect.Message, name protoreflect.Name) []string {
	list := get(m, name).List()
	all := make([]string, list.Len())
	for i := range all {
		all[i] = list.Get(i).String()
	}
	return all
}

func setWords(m protoreflect.Message, name protoreflect.Name, values []string) {
	list := m.Mutable(field(m, name)).List()
	list.Truncate(0)
	for _, v := range values {
		list.Append(protoreflect.ValueOfString(v))
	}
}

func integers(m protoreflect.Message, name protoreflect.Name) []int {
	list := get(m, name).List()
	values := make([]int, list.Len())
	for i := range values {
		values[i] = int(list.Get(i).Int())
	}
	return values
}
