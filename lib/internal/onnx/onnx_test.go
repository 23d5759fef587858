package onnx

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// readForm reads one of the networks of forms.zip.
func readForm(t *testing.T, name string) (*File, string) {
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
	f, err := parseFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	return f, filepath.Join(t.TempDir(), "changed.onnx")
}

func writeForm(t *testing.T, f *File, path string) {
	t.Helper()
	raw, err := proto.Marshal(f.model.Interface())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// floatsOf are the values of a float32 TensorProto.
func floatsOf(t protoreflect.Message) []float32 {
	var values []float32
	for raw := get(t, "raw_data").Bytes(); len(raw) >= 4; raw = raw[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return values
}

func TestExternalDataStaysInTheFileSFolder(t *testing.T) {
	place := func(f *File, location string) []byte {
		w := f.initial["w"]
		raw := get(w, "raw_data").Bytes()
		w.Clear(field(w, "raw_data"))
		w.Set(field(w, "data_location"), protoreflect.ValueOfEnum(1))
		for _, entry := range [][2]string{{"location", location}, {"offset", "4"}, {"length", fmt.Sprint(len(raw))}} {
			e := w.Mutable(field(w, "external_data")).List().AppendMutable().Message()
			e.Set(field(e, "key"), protoreflect.ValueOfString(entry[0]))
			e.Set(field(e, "value"), protoreflect.ValueOfString(entry[1]))
		}
		return append([]byte("skip"), raw...)
	}
	for _, c := range []struct {
		name, location, says string
		put                  func(dir string, raw []byte) error
	}{
		{"beside the file", "sub/w.bin", "", func(dir string, raw []byte) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "sub", "w.bin"), raw, 0o644))
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
		f, path := readForm(t, "end_softmax")
		whole := floatsOf(f.initial["w"])
		raw := place(f, c.location)
		writeForm(t, f, path)
		if err := c.put(filepath.Dir(path), raw); err != nil {
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
		if !slices.Equal(tensors.MustCopyFlatData[float32](n.Weights["w"]), whole) {
			t.Errorf("%s: the weights are others", c.name)
		}
	}
}

func TestADamagedGraphIsAnErrorOfOneSentence(t *testing.T) {
	node := func(f *File, output string) Node { return f.makers[output] }
	for says, damage := range map[string]func(f *File){
		"node c (Conv) has 0 inputs":                            func(f *File) { setWords(node(f, "c").Message, "input", nil) },
		"node c (Conv) has 1 inputs":                            func(f *File) { setWords(node(f, "c").Message, "input", []string{"image"}) },
		"node y (Softmax) has 0 inputs":                         func(f *File) { setWords(node(f, "y").Message, "input", nil) },
		"node y (Softmax) takes y, which nothing before":        func(f *File) { setWords(node(f, "y").Message, "input", []string{"y"}) },
		"node f (Flatten) takes s, which nothing before":        func(f *File) { setWords(node(f, "f").Message, "input", []string{"s"}) },
		"node s (MatMul) has 1 inputs":                          func(f *File) { setWords(node(f, "s").Message, "input", []string{"f"}) },
		"the graph has no output":                               func(f *File) { f.graph.Clear(field(f.graph, "output")) },
		"node c (Conv) has pads=[2147483648 0 0 0]":             func(f *File) { node(f, "c").setInts("pads", []int{1 << 31, 0, 0, 0}) },
		"the tensor w says that it is [2147483648 5], and the":  func(f *File) { setDims(f.initial["w"], 1<<31, 5) },
		"the tensor w says that it is [2147483648 2147483648 5": func(f *File) { setDims(f.initial["w"], 1<<31, 1<<31, 5) },
		"two nodes make c":                                      func(f *File) { setWords(node(f, "f").Message, "output", []string{"c"}) },
		"is of ONNX's opset 6": func(f *File) {
			set := messages(f.model, "opset_import")[0]
			set.Set(field(set, "version"), protoreflect.ValueOfInt64(6))
		},
		"node double19 makes [2 4194304 9 11] of two images": func(f *File) {
			from := "c"
			for i := range 26 {
				to := fmt.Sprintf("double%d", i)
				f.insert(node(f, "f"), []step{{op: "Concat", inputs: []string{from, from}, output: to, axis: 1}})
				from = to
			}
			f.become(node(f, "y"), "GlobalAveragePool", []string{from}, nil)
		},
	} {
		f, path := readForm(t, "end_softmax")
		damage(f)
		writeForm(t, f, path)
		_, err := Open(path, Options{})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("wanted %q, the error is %v", says, err)
		}
	}
}

func setDims(t protoreflect.Message, dims ...int64) {
	list := t.Mutable(field(t, "dims")).List()
	list.Truncate(0)
	for _, d := range dims {
		list.Append(protoreflect.ValueOfInt64(d))
	}
}

func TestWeightsAreInMemoryOnce(t *testing.T) {
	f, path := readForm(t, "end_softmax")
	whole := floatsOf(f.initial["w"])
	writeForm(t, f, path)
	n, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tensors.MustCopyFlatData[float32](n.Weights["w"]), whole) {
		t.Error("the weights are others")
	}
	for name, w := range n.Weights {
		left := n.file.initial[name]
		if size := proto.Size(left.Interface()); size > 32 || !shapeOf(left).Equal(w.Shape()) {
			t.Errorf("of %s, %s, the file keeps %d bytes: %v", name, w.Shape(), size, left)
		}
	}
}

// What a person may train or replace are the file's own weights, in its own layout: no matrix that stands for a
// Resize, no kernel that was turned, and nothing that no node takes.
func TestWeightsAreTheFileSOwn(t *testing.T) {
	for name, want := range map[string][]string{
		"resize_linear_down_half_pixel": {"head", "kernel"}, "convtranspose": {"head", "kernel", "w"}, "batchnorm8": {"b", "g", "head", "kernel", "m", "v"},
	} {
		f, path := readForm(t, name)
		f.addFloats("unused", make([]float32, 200), 200)
		writeForm(t, f, path)
		n, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(n.Weights)); !slices.Equal(got, want) {
			t.Errorf("%s has the weights %q, want %q", name, got, want)
		}
		for weight, w := range n.Weights {
			if lies := integers(f.initial[weight], "dims"); !slices.Equal(w.Shape().Dimensions, lies) {
				t.Errorf("%s has the weight %s as %v, in the file it is %v", name, weight, w.Shape(), lies)
			}
		}
	}
}
