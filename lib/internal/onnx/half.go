package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes/float16"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// widen makes a network in half precision one in single precision, as onnxruntime does on a CPU: the weights are as
// they are, and nothing in between is rounded.
func (n *Network) widen() error {
	tensors := messages(n.file.graph, "initializer")
	for _, node := range n.file.nodes() {
		tensors = append(tensors, tensorsOf(node)...)
		if node.op() == "Cast" && node.int("to", 0) == halfType {
			node.setInt("to", floatType)
		}
	}
	for _, in := range messages(n.file.graph, "input") {
		kind := get(get(in, "type").Message(), "tensor_type").Message()
		if get(kind, "elem_type").Int() == halfType {
			kind.Set(field(kind, "elem_type"), protoreflect.ValueOfInt32(floatType))
		}
	}
	for _, t := range tensors {
		name := get(t, "name").String()
		switch get(t, "data_type").Int() {
		case brainFloatType:
			return fmt.Errorf("model: %s: the weights %s are bfloat16: export the network in float32", n.path, name)
		case halfType:
		default:
			continue
		}
		if len(messages(t, "external_data")) > 0 {
			return fmt.Errorf("model: %s: the weights %s are float16 in another file: export the network in float32, or in one file", n.path, name)
		}
		var wide []byte
		add := func(bits uint16) {
			wide = binary.LittleEndian.AppendUint32(wide, math.Float32bits(float16.FromBits(bits).Float32()))
		}
		for raw := get(t, "raw_data").Bytes(); len(raw) >= 2; raw = raw[2:] {
			add(binary.LittleEndian.Uint16(raw))
		}
		given := get(t, "int32_data").List()
		for i := range given.Len() {
			add(uint16(given.Get(i).Int()))
		}
		t.Clear(field(t, "int32_data"))
		t.Set(field(t, "data_type"), protoreflect.ValueOfInt32(floatType))
		t.Set(field(t, "raw_data"), protoreflect.ValueOfBytes(wide))
	}
	return nil
}
