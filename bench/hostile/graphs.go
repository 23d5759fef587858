package main

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The ONNX files here are small networks with operators that make much of little: shapes that are computed, constants
// that are made, graphs within graphs. Fields are numbered as in
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

func field(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func text(number protowire.Number, s string) []byte { return field(number, []byte(s)) }

func whole(number protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), uint64(v))
}

func message(fields ...[]byte) []byte {
	var all []byte
	for _, f := range fields {
		all = append(all, f...)
	}
	return all
}

// The kinds of elements.
const (
	kindFloat = 1
	kindInt64 = 7
)

func shapeDims(dims []int64) []byte {
	var all []byte
	for _, d := range dims {
		all = append(all, whole(1, d)...)
	}
	return all
}

func floatTensor(name string, dims ...int64) []byte {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	var raw []byte
	for i := range n {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(math.Sin(float64(i)))))
	}
	return message(shapeDims(dims), whole(2, kindFloat), text(8, name), field(9, raw))
}

func intTensor(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return message(shapeDims([]int64{int64(len(values))}), whole(2, kindInt64), text(8, name), field(9, raw))
}

func value(name string, dims ...int64) []byte {
	var shape []byte
	for _, d := range dims {
		if d < 0 {
			shape = append(shape, field(1, text(2, "N"))...)
		} else {
			shape = append(shape, field(1, whole(1, d))...)
		}
	}
	return message(text(1, name), field(2, field(1, message(whole(1, kindFloat), field(2, shape)))))
}

// attribute values by their type: int64, []int64, string, []byte for a graph or tensor with its kind.
func attr(name string, v any) []byte {
	switch v := v.(type) {
	case int:
		return message(text(1, name), whole(3, int64(v)), whole(20, 2))
	case []int64:
		all := text(1, name)
		for _, i := range v {
			all = append(all, whole(8, i)...)
		}
		return append(all, whole(20, 7)...)
	case string:
		return message(text(1, name), text(4, v), whole(20, 3))
	case graphValue:
		return message(text(1, name), field(6, v), whole(20, 5))
	case tensorValue:
		return message(text(1, name), field(5, v), whole(20, 4))
	}
	panic("hostile: an attribute of another type")
}

type (
	graphValue  []byte
	tensorValue []byte
)

// node is one of a graph: its operator, inputs, outputs and attributes.
func node(op string, in, out []string, attributes ...[]byte) []byte {
	var all []byte
	for _, name := range in {
		all = append(all, text(1, name)...)
	}
	for _, name := range out {
		all = append(all, text(2, name)...)
	}
	all = append(all, text(3, op+out[0])...)
	all = append(all, text(4, op)...)
	for _, a := range attributes {
		all = append(all, field(5, a)...)
	}
	return all
}

func graphOf(inputs, outputs, initial [][]byte, nodes ...[]byte) []byte {
	var all []byte
	for _, n := range nodes {
		all = append(all, field(1, n)...)
	}
	all = append(all, text(2, "graph")...)
	for _, t := range initial {
		all = append(all, field(5, t)...)
	}
	for _, v := range inputs {
		all = append(all, field(11, v)...)
	}
	for _, v := range outputs {
		all = append(all, field(12, v)...)
	}
	return all
}

func fileOf(graph []byte) []byte {
	return message(whole(1, 8), field(7, graph), field(8, message(text(1, ""), whole(2, 17))))
}

func list(s ...string) []string { return s }

// madeGraphs are networks of images [N, 3, 8, 8] that end in four scores.
func madeGraphs() map[string][]byte {
	in, out := [][]byte{value("x", -1, 3, 8, 8)}, [][]byte{value("y", -1, 4)}
	// ended has a mean over pixels and a linear layer behind the value v of so many channels.
	ended := func(v string, channels int64, initial [][]byte, nodes ...[]byte) []byte {
		nodes = append(nodes,
			node("GlobalAveragePool", list(v), list("pooled")),
			node("Flatten", list("pooled"), list("flat"), attr("axis", 1)),
			node("Gemm", list("flat", "w", "b"), list("y"), attr("transB", 1)))
		return fileOf(graphOf(in, out, append(initial, floatTensor("w", 4, channels), floatTensor("b", 4)), nodes...))
	}
	branch := func(op string) graphValue {
		return graphValue(graphOf(nil, [][]byte{value("t"+op, -1, 3, 8, 8)}, nil, node(op, list("x"), list("t"+op))))
	}
	return map[string][]byte{
		"conv": ended("c", 6, [][]byte{floatTensor("k", 6, 3, 3, 3)},
			node("Conv", list("x", "k"), list("c"), attr("pads", []int64{1, 1, 1, 1}), attr("strides", []int64{1, 1}),
				attr("dilations", []int64{1, 1}), attr("group", 1))),
		"transposed": ended("c", 5, [][]byte{floatTensor("k", 3, 5, 2, 2)},
			node("ConvTranspose", list("x", "k"), list("c"), attr("strides", []int64{2, 2}),
				attr("output_padding", []int64{1, 1}))),
		"pool": ended("c", 3, nil, node("MaxPool", list("x"), list("m"), attr("kernel_shape", []int64{2, 2}),
			attr("strides", []int64{2, 2})),
			node("AveragePool", list("m"), list("c"), attr("kernel_shape", []int64{3, 3}), attr("pads", []int64{1, 1, 1, 1}),
				attr("ceil_mode", 1))),
		"pad": ended("c", 3, [][]byte{intTensor("pads", 0, 0, 1, 1, 0, 0, 2, 2)}, node("Pad", list("x", "pads"), list("c"),
			attr("mode", "reflect"))),
		"concat": ended("c", 12, nil, node("Concat", list("x", "x"), list("d"), attr("axis", 1)),
			node("Concat", list("d", "d"), list("c"), attr("axis", 1))),
		"tile": ended("c", 3, [][]byte{intTensor("repeats", 1, 1, 2, 2)}, node("Tile", list("x", "repeats"), list("c"))),
		"expand": ended("c", 3, [][]byte{intTensor("to", 1, 3, 8, 8), floatTensor("one", 1, 3, 1, 1)},
			node("Expand", list("one", "to"), list("e")), node("Add", list("x", "e"), list("c"))),
		"resize": ended("c", 3, [][]byte{message(shapeDims([]int64{4}), whole(2, kindFloat), text(8, "scales"),
			field(9, []byte("\x00\x00\x80?\x00\x00\x80?\x00\x00\x00@\x00\x00\x00@")))},
			node("Resize", list("x", "", "scales"), list("c"), attr("mode", "linear"))),
		"resize_sizes": ended("c", 3, [][]byte{intTensor("sizes", 1, 3, 12, 10), intTensor("zero", 0), intTensor("two", 2),
			intTensor("four", 4)}, node("Shape", list("x"), list("s")),
			node("Slice", list("s", "zero", "two", "zero"), list("n")), node("Slice", list("sizes", "two", "four", "zero"),
				list("hw")), node("Concat", list("n", "hw"), list("all"), attr("axis", 0)),
			node("Resize", list("x", "", "", "all"), list("c"), attr("mode", "nearest"))),
		"constant": ended("c", 3, [][]byte{intTensor("shape", 1, 3, 8, 8)}, node("ConstantOfShape", list("shape"), list("o")),
			node("Add", list("x", "o"), list("c"))),
		"range": ended("c", 3, nil, node("Constant", nil, list("from"),
			attr("value", tensorValue(message(whole(2, kindInt64), field(9, make([]byte, 8)))))),
			node("Constant", nil, list("to"), attr("value",
				tensorValue(message(whole(2, kindInt64), field(9, []byte{8, 0, 0, 0, 0, 0, 0, 0}))))),
			node("Constant", nil, list("by"), attr("value",
				tensorValue(message(whole(2, kindInt64), field(9, []byte{1, 0, 0, 0, 0, 0, 0, 0}))))),
			node("Range", list("from", "to", "by"), list("r")), node("Gather", list("x", "r"), list("c"), attr("axis", 2))),
		"onehot": ended("c", 3, [][]byte{intTensor("at", 0, 1, 2, 0, 1, 2, 0, 1), intTensor("depth", 8),
			floatTensor("values", 2)},
			node("OneHot", list("at", "depth", "values"), list("h")), node("MatMul", list("x", "h"), list("c"))),
		"if": ended("c", 3, [][]byte{message(whole(2, 9), text(8, "yes"), field(9, []byte{1}))},
			node("If", list("yes"), list("c"), attr("then_branch", branch("Relu")), attr("else_branch", branch("Sigmoid")))),
		"reshape": ended("c", 12, [][]byte{intTensor("to", -1, 12, 4, 4)}, node("Reshape", list("x", "to"), list("c"))),
		"split":   ended("c", 1, nil, node("Split", list("x"), list("c", "d", "e"), attr("axis", 1))),
		"topk":    ended("c", 3, [][]byte{intTensor("k", 2)}, node("TopK", list("x", "k"), list("c", "i"), attr("axis", 3))),
		"depth":   ended("c", 12, nil, node("SpaceToDepth", list("x"), list("c"), attr("blocksize", 2))),
		"einsum": ended("c", 3, [][]byte{floatTensor("m", 8, 8)}, node("Einsum", list("x", "m"), list("c"),
			attr("equation", "nchw,wk->nchk"))),
		"scatter": ended("c", 3, [][]byte{message(shapeDims([]int64{1, 4}), whole(2, kindInt64), text(8, "at"),
			field(9, make([]byte, 32))), floatTensor("u", 1)},
			node("ScatterND", list("x", "at", "u"), list("c"))),
		"reduce": ended("c", 3, nil, node("ReduceMean", list("x"), list("c"), attr("axes", []int64{3}),
			attr("keepdims", 1))),
		"quantum": ended("c", 3, [][]byte{floatTensor("scale", 1), message(shapeDims([]int64{1}), whole(2, 2), text(8, "zp"),
			field(9, []byte{3}))}, node("QuantizeLinear", list("x", "scale", "zp"), list("q"), attr("axis", 1)),
			node("DequantizeLinear", list("q", "scale", "zp"), list("c"), attr("axis", 1))),
	}
}

// externalGraph is a network whose weights lie in another file.
func externalGraph() (model, weights []byte) {
	pair := func(key, v string) []byte { return field(13, message(text(1, key), text(2, v))) }
	w := message(shapeDims([]int64{4, 3}), whole(2, kindFloat), text(8, "w"), pair("location", "net.bin"),
		pair("offset", "8"), pair("length", "48"), whole(14, 1))
	graph := graphOf([][]byte{value("x", -1, 3, 8, 8)}, [][]byte{value("y", -1, 4)}, [][]byte{w},
		node("GlobalAveragePool", list("x"), list("pooled")), node("Flatten", list("pooled"), list("flat"), attr("axis", 1)),
		node("Gemm", list("flat", "w"), list("y"), attr("transB", 1)))
	return fileOf(graph), make([]byte, 56)
}
