package onnx

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/loupeml/loupe/lib/internal/failure"
)

// layers are the operators of which an input, but the first, is a weight whatever its size and name.
var layers = map[string]bool{
	"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true, "BatchNormalization": true, "LayerNormalization": true,
	"SimplifiedLayerNormalization": true, "LSTM": true,
}

// weights are the names of the initial values that each call of the graph brings along, so that other weights need no
// other program. onnx-gomlx has to know the others, such as shapes and axes, when it builds the graph: they become
// constants.
func (f *File) weights() []string {
	layered, inside := map[string]bool{}, map[string]bool{}
	for _, node := range f.nodes() {
		for _, name := range node.captured() {
			inside[name] = true
		}
		if layers[node.op()] {
			for _, in := range node.inputs()[1:] {
				layered[in] = true
			}
		}
	}
	var weights []string
	for _, t := range messages(f.graph, "initializer") {
		name := get(t, "name").String()
		size := shapeOf(t).Size()
		// These are the sizes from which on onnx-gomlx takes a variable for none that it has to know.
		known := 100
		if lower := strings.ToLower(name); strings.Contains(lower, "constant") {
			known = 10_000
		} else if strings.Contains(lower, "const") {
			known = 1_000
		} else if get(t, "data_type").Int() == floatType {
			known = 1
		}
		if !inside[name] && !f.added[name] && size > 0 && (layered[name] || size > known) {
			weights = append(weights, name)
		}
	}
	return weights
}

// statistics are the running means and variances of batch normalisations, each with its normalisation's scale.
func (f *File) statistics() map[string]string {
	scales := map[string]string{}
	for _, node := range f.nodes() {
		if node.op() == "BatchNormalization" {
			scales[node.input(3)], scales[node.input(4)] = node.input(1), node.input(1)
		}
	}
	return scales
}

// runnable is the file as onnx-gomlx gets it: with its weights as inputs, which have no values here, and its other
// initial values as constants. keep are the inputs that stay.
func (f *File) runnable(keep []string) (raw []byte, weights []string, err error) {
	copied := f.model.New()
	f.model.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if d.Name() != "graph" {
			copied.Set(d, v)
		}
		return true
	})
	graph := copied.Mutable(field(copied, "graph")).Message()
	f.graph.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if name := d.Name(); name != "initializer" && name != "input" && name != "node" {
			graph.Set(d, v)
		}
		return true
	})
	inputs := graph.Mutable(field(graph, "input")).List()
	for _, in := range messages(f.graph, "input") {
		if slices.Contains(keep, get(in, "name").String()) {
			inputs.Append(protoreflect.ValueOfMessage(in))
		}
	}
	weights = f.weights()
	asInput := map[string]bool{}
	for _, name := range weights {
		asInput[name] = true
		inputs.Append(protoreflect.ValueOfMessage(inputLike(inputs.NewElement().Message(), f.initial[name])))
	}
	nodes := graph.Mutable(field(graph, "node")).List()
	for _, t := range messages(f.graph, "initializer") {
		if name := get(t, "name").String(); !asInput[name] {
			c := Node{nodes.AppendMutable().Message()}
			c.Set(field(c.Message, "name"), protoreflect.ValueOfString(name))
			c.Set(field(c.Message, "op_type"), protoreflect.ValueOfString("Constant"))
			setWords(c.Message, "output", []string{name})
			a := c.newAttribute("value", "TENSOR")
			a.Set(field(a, "t"), protoreflect.ValueOfMessage(t))
		}
	}
	for _, n := range f.nodes() {
		nodes.Append(protoreflect.ValueOfMessage(n.Message))
	}
	raw, err = proto.Marshal(copied.Interface())
	return raw, weights, err
}

// inputLike makes an input of a tensor's name, type and shape.
func inputLike(in, t protoreflect.Message) protoreflect.Message {
	in.Set(field(in, "name"), get(t, "name"))
	kind := in.Mutable(field(in, "type")).Message()
	tensor := kind.Mutable(field(kind, "tensor_type")).Message()
	tensor.Set(field(tensor, "elem_type"), get(t, "data_type"))
	shape := tensor.Mutable(field(tensor, "shape")).Message()
	dims := shape.Mutable(field(shape, "dim")).List()
	for _, d := range integers(t, "dims") {
		dim := dims.AppendMutable().Message()
		dim.Set(field(dim, "dim_value"), protoreflect.ValueOfInt64(int64(d)))
	}
	return in
}

// types are ONNX's numbers of the types that weights may have.
var types = map[int64]dtypes.DType{
	1: dtypes.Float32, 2: dtypes.Uint8, 3: dtypes.Int8, 4: dtypes.Uint16, 5: dtypes.Int16, 6: dtypes.Int32, 7: dtypes.Int64, 9: dtypes.Bool,
	11: dtypes.Float64, 12: dtypes.Uint32, 13: dtypes.Uint64,
}

// shapeOf is a tensor's type and shape.
func shapeOf(t protoreflect.Message) shapes.Shape {
	return shapes.Make(types[get(t, "data_type").Int()], integers(t, "dims")...)
}

// readWeights reads the values of what is a weight of the network that runs, from the file or the files beside it. From
// then on the file holds of a weight what tells its shape.
func (n *Network) readWeights() (map[string]*tensors.Tensor, error) {
	only := n.file.model.New()
	graph := only.Mutable(field(only, "graph")).Message()
	list := graph.Mutable(field(graph, "initializer")).List()
	for _, name := range n.runs.weights {
		list.Append(protoreflect.ValueOfMessage(n.file.initial[name]))
	}
	raw, err := proto.Marshal(only.Interface())
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", n.path, err)
	}
	holder, err := n.parseRaw(raw)
	if err != nil {
		return nil, err
	}
	store := gomlx.NewStore()
	err = catchImporter(func() {
		if failed := holder.VariablesToScope(store.RootScope()); failed != nil {
			panic(failed)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("model: %s: %s", n.path, strings.TrimPrefix(err.Error(), "model: "))
	}
	weights := map[string]*tensors.Tensor{}
	scope := store.RootScope().At(onnx.ModelScope)
	for _, name := range n.runs.weights {
		v := scope.GetVariable(strings.ReplaceAll(name, gomlx.ScopeSeparator, "|"))
		if v == nil {
			return nil, fmt.Errorf("model: %s: the weights %s could not be read", n.path, name)
		}
		if weights[name], err = v.Value(); err != nil {
			return nil, fmt.Errorf("model: %s: the weights %s could not be read: %s", n.path, name, failure.FirstLine(err))
		}
	}
	for _, name := range n.runs.weights {
		forget(n.file.initial[name])
	}
	return weights, nil
}

// forget takes a tensor's values away. Its name, its type and its shape stay.
func forget(t protoreflect.Message) {
	t.Range(func(d protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		switch d.Name() {
		case "name", "data_type", "dims":
		default:
			t.Clear(d)
		}
		return true
	})
}

func (n *Network) parseRaw(raw []byte) (network onnx.Model, err error) {
	var failed error
	err = catchImporter(func() {
		if network, failed = parser.Parse(raw); failed == nil {
			network.WithBaseDir(filepath.Dir(n.path))
			network.DisableFusion() // XLA fuses, and a fused value is one that cannot be looked at
		}
	})
	if err == nil && failed != nil {
		err = failure.Named(failed)
	}
	if err != nil {
		return nil, fmt.Errorf("model: %s: %s", n.path, strings.TrimPrefix(err.Error(), "model: "))
	}
	return network, nil
}
