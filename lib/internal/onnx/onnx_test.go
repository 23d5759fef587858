package onnx

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loupeml/loupe/lib/backend"
)

// readForm reads one of the networks of forms.zip.
func readForm(t *testing.T, name string) []byte {
	t.Helper()
	archive, err := zip.OpenReader("../../model/testdata/forms.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	entry, err := archive.Open(name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(entry)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// message is a protocol buffer that can be changed: its fields in their order.
type message []field

func read(t *testing.T, raw []byte) message {
	t.Helper()
	var m message
	if err := fields(raw, func(f field) error {
		m = append(m, f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m message) bytes() []byte {
	var raw []byte
	for _, f := range m {
		raw = protowire.AppendTag(raw, f.number, f.kind)
		switch f.kind {
		case protowire.VarintType:
			raw = protowire.AppendVarint(raw, f.value)
		case protowire.Fixed32Type:
			raw = protowire.AppendFixed32(raw, uint32(f.value))
		case protowire.BytesType:
			raw = protowire.AppendBytes(raw, f.bytes)
		}
	}
	return raw
}

func text(number protowire.Number, s string) field {
	return field{number: number, kind: protowire.BytesType, bytes: []byte(s)}
}

func number(at protowire.Number, v uint64) field {
	return field{number: at, kind: protowire.VarintType, value: v}
}

func inside(number protowire.Number, fields ...field) field {
	return field{number: number, kind: protowire.BytesType, bytes: message(fields).bytes()}
}

// change gives fields of a graph to a function, which returns those in their place; number is the field's (1 nodes, 5
// tensors) and name what it is called, or what a node makes.
func change(t *testing.T, raw []byte, kind protowire.Number, name string, with func(m message) []field) []byte {
	t.Helper()
	model := read(t, raw)
	found := false
	for i, f := range model {
		if f.number != 7 {
			continue
		}
		var graph message
		for _, g := range read(t, f.bytes) {
			called := ""
			if g.number == kind {
				switch kind {
				case 1:
					if n, err := parseNode(g.bytes, 0); err == nil && len(n.outputs) > 0 {
						called = n.outputs[0]
					}
				case 5:
					if w, err := parseTensor(g.bytes); err == nil {
						called = w.name
					}
				case 12:
					called = name
				}
			}
			if called != name {
				graph = append(graph, g)
				continue
			}
			found = true
			graph = append(graph, with(read(t, g.bytes))...)
		}
		model[i].bytes = graph.bytes()
	}
	if !found {
		t.Fatalf("there is no %s", name)
	}
	return model.bytes()
}

func write(t *testing.T, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed.onnx")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tensorOf is a tensor of a graph.
func tensorOf(t *testing.T, raw []byte, name string) *tensorProto {
	t.Helper()
	m, err := parseModel(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.graph.initial {
		if w.name == name {
			return w
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

func TestExternalDataStaysInTheFileSFolder(t *testing.T) {
	form := readForm(t, "end_softmax")
	w := tensorOf(t, form, "w")
	whole, err := w.load("")
	if err != nil {
		t.Fatal(err)
	}
	data := append([]byte("skip"), w.raw...)
	for _, c := range []struct {
		name, location, says string
		put                  func(dir string, raw []byte) error
	}{
		{"beside the file", "sub/w.bin", "", func(dir string, raw []byte) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "sub", "w.bin"),
				raw, 0o644))
		}},
		{"above", "../w.bin", "outside of its folder", func(dir string, raw []byte) error {
			return os.WriteFile(filepath.Join(filepath.Dir(dir), "w.bin"), raw, 0o644)
		}},
		{"anywhere", "/etc/hostname", "outside of its folder", func(string, []byte) error { return nil }},
		{"by a link", "w.bin", "outside of its folder", func(dir string, raw []byte) error {
			to := filepath.Join(filepath.Dir(dir), "linked.bin")
			return errors.Join(os.WriteFile(to, raw, 0o644), os.Symlink(to, filepath.Join(dir, "w.bin")))
		}},
		{"cut short", "w.bin", "shorter than the weights w need", func(dir string, raw []byte) error {
			return os.WriteFile(filepath.Join(dir, "w.bin"), raw[:len(raw)-1], 0o644)
		}},
		{"nowhere", "none.bin", "which is not there", func(string, []byte) error { return nil }},
	} {
		path := write(t, change(t, form, 5, "w", func(m message) []field {
			m = slices.DeleteFunc(m, func(f field) bool { return f.number == 9 })
			for _, entry := range [][2]string{{"location", c.location}, {"offset", "4"}, {"length", fmt.Sprint(len(w.raw))}} {
				m = append(m, inside(13, text(1, entry[0]), text(2, entry[1])))
			}
			return []field{inside(5, append(m, number(14, 1))...)}
		}))
		if err := c.put(filepath.Dir(path), data); err != nil {
			t.Fatal(err)
		}
		n, err := Open(path, Options{})
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: the error is %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !n.Weights["w"].Equal(whole) {
			t.Errorf("%s: the weights are others", c.name)
		}
	}
}

func TestADamagedGraphIsAnErrorOfOneSentence(t *testing.T) {
	form := readForm(t, "end_softmax")
	inputs := func(of string, names ...string) func(t *testing.T) []byte {
		return func(t *testing.T) []byte {
			return change(t, form, 1, of, func(m message) []field {
				m = slices.DeleteFunc(m, func(f field) bool { return f.number == 1 })
				for _, n := range names {
					m = append(m, text(1, n))
				}
				return []field{inside(1, m...)}
			})
		}
	}
	dims := func(sizes ...uint64) func(t *testing.T) []byte {
		return func(t *testing.T) []byte {
			return change(t, form, 5, "w", func(m message) []field {
				m = slices.DeleteFunc(m, func(f field) bool { return f.number == 1 })
				for _, d := range sizes {
					m = append(m, number(1, d))
				}
				return []field{inside(5, m...)}
			})
		}
	}
	for says, damage := range map[string]func(t *testing.T) []byte{
		"node c (Conv) has 0 inputs":                                   inputs("c"),
		"node c (Conv) has 1 inputs":                                   inputs("c", "image"),
		"node y (Softmax) has 0 inputs":                                inputs("y"),
		"node y (Softmax) takes y, which nothing before":               inputs("y", "y"),
		"node f (Flatten) takes s, which nothing before":               inputs("f", "s"),
		"node s (MatMul) has 1 inputs":                                 inputs("s", "f"),
		"the tensor w says that it is [2147483648 5]":                  dims(1<<31, 5),
		"the tensor w says that it is [2147483648 2147483648 5":        dims(1<<31, 1<<31, 5),
		"the tensor w says that it is [3 5] float32, and the file has": dims(3, 5),
		"the graph has no output": func(t *testing.T) []byte {
			return change(t, form, 12, "the output", func(message) []field { return nil })
		},
		"node c (Conv) has pads=2147483649": func(t *testing.T) []byte {
			return change(t, form, 1, "c", func(m message) []field {
				return []field{inside(1, append(m, inside(5, text(1, "pads"), number(20, attrInts), number(8, 1<<31+1),
					number(8, 0), number(8, 0), number(8, 0)))...)}
			})
		},
		"node c (Conv) has pads=[1048576 0 0 0]": func(t *testing.T) []byte {
			return change(t, form, 1, "c", func(m message) []field {
				return []field{inside(1, append(m, inside(5, text(1, "pads"), number(20, attrInts), number(8, 1<<20), number(8, 0),
					number(8, 0), number(8, 0)))...)}
			})
		},
		"node c (Conv) has the attribute colour=7, which is not handled": func(t *testing.T) []byte {
			return change(t, form, 1, "c", func(m message) []field {
				return []field{inside(1, append(m, inside(5, text(1, "colour"), number(20, attrInt), number(3, 7)))...)}
			})
		},
		"two nodes make c": func(t *testing.T) []byte {
			return change(t, form, 1, "c", func(m message) []field { return []field{inside(1, m...), inside(1, m...)} })
		},
		"node double19 (Concat) makes [2 4194304 9 11], which is too large": func(t *testing.T) []byte {
			return change(t, form, 1, "f", func(m message) []field {
				var more []field
				from := "c"
				for i := range 40 {
					to := fmt.Sprintf("double%d", i)
					more = append(more, inside(1, text(1, from), text(1, from), text(2, to), text(4, "Concat"),
						inside(5, text(1, "axis"), number(20, attrInt), number(3, 1))))
					from = to
				}
				more = append(more, inside(1, text(1, from), text(2, "small"), text(4, "GlobalAveragePool")))
				m = slices.DeleteFunc(m, func(f field) bool { return f.number == 1 })
				return append(more, inside(1, append(m, text(1, "small"))...))
			})
		},
		"is of ONNX's opset 6": func(t *testing.T) []byte {
			model := read(t, form)
			for i, f := range model {
				if f.number == 8 {
					model[i] = inside(8, number(2, 6))
				}
			}
			return model.bytes()
		},
		"node c (com.microsoft.nchwc.Conv) is laid out by onnxruntime for one kind of processor: give the file from before": func(t *testing.T) []byte {
			return change(t, form, 1, "c", func(m message) []field {
				return []field{inside(1, append(m, text(7, "com.microsoft.nchwc"))...)}
			})
		},
		"2 things stand in the way: node c (com.example.Conv) is of a kind that is not handled; node z (Zigzag)": func(
			t *testing.T) []byte {
			raw := change(t, form, 1, "c", func(m message) []field {
				return []field{inside(1, append(m, text(7, "com.example"))...)}
			})
			return change(t, raw, 1, "s", func(m message) []field {
				zigzag := inside(1, text(1, "image"), text(2, "z"), text(4, "Zigzag"))
				return []field{zigzag, inside(1, append(m, text(1, "z"))...)}
			})
		},
	} {
		_, err := Open(write(t, damage(t)), Options{})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("wanted %q, the error is %v", says, err)
		}
	}
}

// Probabilities are found behind a change of precision, and behind the rounding of a quantised file; the last linear
// layer too.
func TestProbabilitiesBehindACast(t *testing.T) {
	cast := func(from, to string) field {
		return inside(1, text(1, from), text(2, to), text(4, "Cast"), inside(5, text(1, "to"), number(20, attrInt),
			number(3, 1)))
	}
	called := func(m message, output string) message { // makes another value
		m = slices.DeleteFunc(slices.Clone(m), func(f field) bool { return f.number == 2 })
		return append(m, text(2, output))
	}
	scale := field{number: 2, kind: protowire.Fixed32Type, value: uint64(math.Float32bits(1. / 255))}
	for name, of := range map[string]struct {
		node string
		with func(m message) []field
	}{
		"as it is":      {"y", func(m message) []field { return []field{inside(1, m...)} }},
		"a cast behind": {"y", func(m message) []field { return []field{inside(1, called(m, "p")...), cast("p", "y")} }},
		"a cast before": {"s", func(m message) []field {
			return []field{inside(1, called(m, "half")...),
				cast("half", "s")}
		}},
		"rounded to 8 bits": {"y", func(m message) []field {
			return []field{
				inside(1, called(m, "p")...), inside(1, text(2, "scale"), text(4, "Constant"),
					inside(5, text(1, "value_float"), number(20, attrFloat), scale)),
				inside(1, text(1, "p"), text(1, "scale"), text(2, "q"), text(4, "QuantizeLinear")),
				inside(1, text(1, "q"), text(1, "scale"), text(2, "y"), text(4, "DequantizeLinear")),
			}
		}},
	} {
		n, err := Open(write(t, change(t, readForm(t, "end_softmax"), 1, of.node, of.with)), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.Ending != EndsInSoftmax || n.scores != "s" || len(n.heads) != 1 {
			t.Errorf("%s: it ends in %s of %q, with %d last layers", name, n.Ending, n.scores, len(n.heads))
		}
	}
}

// Nothing holds on to a file's bytes once its weights are read, even where small parts of it stay.
func TestAFilesBytesAreLetGo(t *testing.T) {
	const size = 32 << 20
	path := write(t, change(t, readForm(t, "end_softmax"), 5, "w", func(m message) []field {
		filler := inside(5, number(1, size), number(2, kindUint8), text(8, "filler"),
			field{number: 9, kind: protowire.BytesType, bytes: make([]byte, size)})
		return []field{inside(5, m...), filler}
	}))
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	n, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if more := int64(heap()) - int64(before); more > size/4 {
		t.Errorf("a network of a file of %d MB keeps %d MB", size>>20, more>>20)
	}
	runtime.KeepAlive(n)
}

func TestWeightsAreInMemoryOnce(t *testing.T) {
	form := readForm(t, "end_softmax")
	whole, err := tensorOf(t, form, "w").load("")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(write(t, form), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tensors.MustCopyFlatData[float32](n.Weights["w"]), tensors.MustCopyFlatData[float32](whole)) {
		t.Error("the weights are others")
	}
	for name := range n.Weights {
		if left := n.initial[name]; left.raw != nil || left.floats != nil {
			t.Errorf("of %s the file keeps %d bytes", name, len(left.raw))
		}
	}
}

// What a person may train or replace are the file's own weights, in its own layout: no matrix that stands for a
// Resize, no kernel that was turned, and nothing that no node takes.
func TestWeightsAreTheFileSOwn(t *testing.T) {
	for name, want := range map[string][]string{
		"resize_linear_down_half_pixel": {"head", "kernel"}, "convtranspose": {"head", "kernel", "w"},
		"batchnorm8": {"b", "g", "head", "kernel", "m", "v"},
	} {
		form := readForm(t, name)
		n, err := Open(write(t, change(t, form, 5, "kernel", func(m message) []field {
			unused := slices.Clone(m)
			for i, f := range unused {
				if f.number == 8 {
					unused[i] = text(8, "unused")
				}
			}
			return []field{inside(5, m...), inside(5, unused...)}
		})), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(n.Weights)); !slices.Equal(got, want) {
			t.Errorf("%s has the weights %q, want %q", name, got, want)
		}
		for weight, w := range n.Weights {
			if lies := mapped(n.initial[weight].dims, func(d int64) int { return int(d) }); !slices.Equal(w.Shape().Dimensions,
				lies) {
				t.Errorf("%s has the weight %s as %v, in the file it is %v", name, weight, w.Shape(), lies)
			}
		}
	}
}

// made is a node of a graph; attributes are made by ints and one.
func made(op, in, out string, attributes ...field) field {
	var fields []field
	for _, name := range strings.Fields(in) {
		fields = append(fields, text(1, name))
	}
	return inside(1, append(append(fields, text(2, out), text(4, op)), attributes...)...)
}

func ints(name string, values ...int) field {
	fields := []field{text(1, name), number(20, attrInts)}
	for _, v := range values {
		fields = append(fields, number(8, uint64(v)))
	}
	return inside(5, fields...)
}

func one(name string, v int) field {
	return inside(5, text(1, name), number(20, attrInt), number(3, uint64(v)))
}

// ramp is a tensor of 1, 2, … over their number.
func ramp(name string, dims ...int) field {
	fields := []field{number(2, kindFloat), text(8, name)}
	for _, d := range dims {
		fields = append(fields, number(1, uint64(d)))
	}
	for i := range product(dims) {
		fields = append(fields, field{number: 4, kind: protowire.Fixed32Type,
			value: uint64(math.Float32bits(float32(i+1) / float32(product(dims))))})
	}
	return inside(5, fields...)
}

// file is one with the input x of these dimensions and the output y.
func file(dims []int, fields ...field) []byte {
	var shape []field
	for _, d := range dims {
		shape = append(shape, inside(1, number(1, uint64(d))))
	}
	x := inside(11, text(1, "x"), inside(2, inside(1, number(1, kindFloat), inside(2, shape...))))
	graph := append(slices.Clone(fields), text(2, "g"), x, inside(12, text(1, "y")))
	return message{number(1, 8), inside(8, number(2, 13)), inside(7, graph...)}.bytes()
}

// A file for one image takes several at once if nothing in it mixes images, and else one after the other.
func TestSeveralImagesOfAFileForOne(t *testing.T) {
	for _, c := range []struct {
		name     string
		oneByOne bool
		nodes    []field
	}{
		{"means of channels", false, []field{made("ReduceMean", "x", "y", ints("axes", 2, 3), one("keepdims", 0))}},
		{"channels put last", false, []field{
			made("Transpose", "x", "t", ints("perm", 0, 2, 3, 1)), made("Softmax", "t", "s", one("axis", 3)),
			made("ReduceSumSquare", "s", "y", ints("axes", 1, 2), one("keepdims", 0)),
		}},
		{"one of the channels, which were put first", false, []field{ // as queries, keys and values are of each other
			made("Transpose", "x", "t", ints("perm", 1, 0, 2, 3)), made("Constant", "", "i", one("value_int", 1)),
			made("Gather", "t i", "g", one("axis", 0)), made("Flatten", "g", "y"),
		}},
		{"one of the images", true, []field{
			made("Constant", "", "i", one("value_int", 0)), made("Gather", "x i", "g", one("axis", 0)),
			made("Flatten", "g", "y"),
		}},
		{"the mean of all images", true, []field{
			made("ReduceMean", "x", "m", ints("axes", 0), one("keepdims", 1)), made("Flatten", "m", "y"),
		}},
		{"images put last and normalised", true, []field{
			made("Transpose", "x", "t", ints("perm", 1, 2, 3, 0)), made("Softmax", "t", "s", one("axis", 3)),
			made("Transpose", "s", "b", ints("perm", 3, 0, 1, 2)), made("Flatten", "b", "y"),
		}},
	} {
		n, err := Open(write(t, file([]int{1, 3, 4, 4}, c.nodes...)), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if n.OneByOne != c.oneByOne {
			t.Errorf("%s: one by one is %t", c.name, n.OneByOne)
		}
	}
}

// The features are what goes into the last linear layer, whatever form that has, and of several that are added up what
// goes into each. The logits come from them.
func TestFeaturesOfLastLayers(t *testing.T) {
	for name, c := range map[string]struct {
		features int
		fields   []field
	}{
		"a product and a sum": {48, []field{
			made("Flatten", "x", "f"), ramp("w", 48, 5), made("MatMul", "f w", "p"), ramp("b", 5), made("Add", "b p", "y"),
		}},
		"a convolution of one place": {3, []field{
			made("GlobalAveragePool", "x", "f"), ramp("w", 5, 3, 1, 1), made("Conv", "f w", "p"), made("Flatten", "p", "y"),
		}},
		"two layers, the mean of which is taken": {6, []field{ // the second one's features are made behind the first
			ramp("v", 5, 3), ramp("w", 5, 3), made("Constant", "", "two",
				inside(5, text(1, "value_float"), number(20, attrFloat), field{number: 2, kind: protowire.Fixed32Type,
					value: uint64(math.Float32bits(2))})),
			made("ReduceMean", "x", "f", ints("axes", 2, 3), one("keepdims", 0)), made("Gemm", "f v", "a", one("transB", 1)),
			made("ReduceMax", "x", "g", ints("axes", 2, 3), one("keepdims", 0)), made("Gemm", "g w", "b", one("transB", 1)),
			made("Add", "a b", "s"), made("Div", "s two", "y"),
		}},
		"a convolution of many places": {0, []field{
			ramp("w", 5, 3, 1, 1), made("Conv", "x w", "p"), made("GlobalAveragePool", "p", "m"), made("Flatten", "m", "y"),
		}},
		"a layer and what goes past it": {0, []field{
			made("Flatten", "x", "f"), ramp("w", 48, 48), made("MatMul", "f w", "p"), made("Add", "f p", "y"),
		}},
	} {
		n, err := Open(write(t, file([]int{0, 3, 4, 4}, c.fields...)), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		back, err := backend.Get()
		if err != nil {
			t.Fatal(err)
		}
		g := graph.NewGraph(back, name)
		x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 4, 4, 3))
		nodes := n.Build(x, func(name string) *graph.Node { return graph.ConstTensor(g, n.Weights[name]) }, false)
		got := 0
		if nodes.Features != nil {
			got = nodes.Features.Shape().Dimensions[1]
			// A gradient that does not pass the features would be 0.
			slope := graph.Gradient(graph.ReduceAllSum(nodes.Output), nodes.Features)[0]
			if err := g.Compile(graph.ReduceAllMin(graph.Abs(slope))); err != nil {
				t.Fatal(err)
			}
			blank := tensors.FromShape(x.Shape())
			if least := g.Run(blank)[0].Value().(float32); least == 0 {
				t.Errorf("%s: the logits do not come from all features", name)
			}
		}
		g.Finalize()
		if got != c.features {
			t.Errorf("%s: there are %d features, want %d", name, got, c.features)
		}
	}
}

// Exponents that are weights need not be known.
func TestPowersByWeights(t *testing.T) {
	n, err := Open(write(t, file([]int{0, 3, 4, 4}, ramp("w", 1, 3, 1, 1), made("Pow", "x w", "p"),
		made("Flatten", "p", "y"))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n.Weights["w"] == nil {
		t.Errorf("the weights are %v", slices.Collect(maps.Keys(n.Weights)))
	}
}

// What is handed out is on the way to the output, however its axes are turned: the gradients by it are those of what is
// made of it, and of nothing else.
func TestGradientsByLayers(t *testing.T) {
	n, err := Open(write(t, file([]int{0, 3, 4, 4},
		ramp("w", 3, 3, 1, 1), made("Conv", "x w", "c"), made("Exp", "c", "r"),
		made("Transpose", "r", "t", ints("perm", 0, 2, 3, 1)), made("Tanh", "t", "h"),
		made("ReduceMean", "h", "a", ints("axes", 1, 2), one("keepdims", 0)),
		ramp("v", 3, 3, 1, 1), made("Conv", "r v", "d"), made("Sigmoid", "d", "s"), made("Mul", "d s", "e"),
		made("GlobalAveragePool", "e", "p"), made("Flatten", "p", "b"),
		made("Add", "a b", "y"))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	back, err := backend.Get()
	if err != nil {
		t.Fatal(err)
	}
	g := graph.NewGraph(back, "layers")
	defer g.Finalize()
	x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 4, 4, 3))
	nodes := n.Build(x, func(name string) *graph.Node { return graph.ConstTensor(g, n.Weights[name]) }, false)
	at := map[string]*graph.Node{}
	for i, l := range n.Layers {
		at[l.Name] = nodes.Layers[i]
	}
	// The same by hand: a and e are what the rest of the network makes of the layers.
	by := func(y *graph.Node, layer string) *graph.Node {
		return graph.Gradient(graph.ReduceAllSum(y), at[layer])[0]
	}
	sigmoid := at["s"]
	slope := graph.MulScalar(graph.Add(sigmoid, graph.Mul(at["d"], graph.Mul(sigmoid, graph.OneMinus(sigmoid)))), 1./16)
	through := graph.Einsum("nohw,ok->nkhw", slope, graph.Reshape(graph.ConstTensor(g, n.Weights["v"]), 3, 3))
	byH := graph.MulScalar(graph.OnesLike(at["h"]), 1./16) // with channels last
	r := graph.Add(through, graph.TransposeAllAxes(graph.Mul(byH, graph.OneMinus(graph.Square(at["h"]))), 0, 3, 1, 2))
	var off []*graph.Node
	wants := map[string]*graph.Node{"h": byH, "d": slope, "e": graph.MulScalar(graph.OnesLike(at["e"]), 1./16), "r": r,
		"c": graph.Mul(r, at["r"])}
	names := slices.Sorted(maps.Keys(wants))
	for _, name := range names {
		if at[name] == nil {
			t.Fatalf("%s is no layer: %v", name, n.Layers)
		}
		got := by(nodes.Output, name)
		off = append(off, graph.Div(graph.ReduceAllMax(graph.Abs(graph.Sub(got, wants[name]))),
			graph.ReduceAllMax(graph.Abs(wants[name]))))
	}
	if err := g.Compile(off...); err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 2*4*4*3)
	for i := range pixels {
		pixels[i] = float32(i*7%23) / 23
	}
	for i, result := range g.Run(tensors.FromFlatDataAndDimensions(pixels, 2, 4, 4, 3)) {
		if d := result.Value().(float32); !(d < 1e-5) {
			t.Errorf("the gradient by %s is off by %v of the largest", names[i], d)
		}
	}
}
