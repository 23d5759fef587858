package model

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// onnxForms unpacks the networks of bench/oracles/onnx_forms.py to a folder and returns their names.
func onnxForms(t *testing.T) (dir string, names []string) {
	t.Helper()
	archive, err := zip.OpenReader("testdata/forms.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir = t.TempDir()
	for _, entry := range archive.File {
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSuffix(entry.Name, ".onnx"))
	}
	return dir, names
}

// fileAnswers is what the file itself says, of what the model's probabilities are.
func fileAnswers(t *testing.T, m *Model, e ending, images, output *tensors.Tensor) []float32 {
	t.Helper()
	if e == endsInLogits {
		return tensors.MustCopyFlatData[float32](output)
	}
	p, err := m.Probabilities(images)
	if err != nil {
		t.Fatal(err)
	}
	var out []float32
	for i, v := range tensors.MustCopyFlatData[float32](p) {
		switch {
		case m.binary() && i%2 == 0: // the file gives that of the second class alone
			continue
		case e == endsInLogSoftmax:
			v = float32(math.Log(float64(v)))
		}
		out = append(out, v)
	}
	return out
}

// The oracle is onnxruntime: bench/oracles/onnx_forms.py. What cannot be computed as it does is refused by node and
// attribute.
func TestEveryFormOfAnOperatorIsComputedAsONNXRuntimeDoesOrRefused(t *testing.T) {
	refused := map[string]string{
		"maxpool_dilations":        "node y (MaxPool) has the attribute dilations=[2 2]",
		"averagepool_dilations":    "node y (AveragePool) has dilations=[2 2]",
		"averagepool_ceil_counted": "node y (AveragePool) has ceil_mode=1 and count_include_pad=1",
		"pad13_negative_edge":      "node y (Pad) has negative pads=[0 0 -1 2 0 -1 0 -3] in the mode edge",
		"slice_images":             "node y (Slice) has steps=[-1] along the axis of the images",
		"split18_uneven":           "Split",
		"resize_crop":              "node y (Resize) has coordinate_transformation_mode=tf_crop_and_resize",
		"resize_policy":            "node y (Resize) has keep_aspect_ratio_policy=not_larger",
		"resize_axes":              "node y (Resize) has axes=[2 3]",
		"batchnorm_training":       "node y (BatchNormalization) has training_mode=1",
		"reshape_allowzero":        "node y (Reshape) has allowzero=1",
		"argmax_last":              "node i (ArgMax) has select_last_index=1",
		"gathernd":                 "node y (GatherND) has batch_dims=1",
		"quantize_plain":           "node q (QuantizeLinear) has 2 inputs",
		"if_pool":                  "node t (MaxPool) has no strides",
		"logsoftmax":               "node y is of the kind LogSoftmax",
		"conv_strides_dilations":   "both strides ([1 2]) and dilations ([2 1]) are set",
		"domain":                   `node y (Gelu) has the domain "com.example"`,
		"groupnorm":                "node y is of the kind GroupNormalization",
		"end_pairs":                "ends in node p (Softmax) over axis 2 of [-1 2 2]",
		"one_flat":                 "takes one image at a time",
		"one_softmax":              "node y (Softmax) may mix the images",
		"one_turned":               "node r (Reshape) may mix the images",
	}
	dir, names := onnxForms(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3)
	ended := map[string]ending{
		"end_softmax": endsInSoftmax, "end_softmax_1": endsInSoftmax, "end_softmax11": endsInSoftmax, "end_softmax_identity": endsInSoftmax,
		"end_logsoftmax": endsInLogSoftmax, "end_logsoftmax11": endsInLogSoftmax, "end_log_of_softmax": endsInLogSoftmax,
		"end_sigmoid": endsInSigmoid, "end_softmax_flatten": endsInSoftmax, "end_softmax11_squeeze": endsInSoftmax, "end_sigmoid_reshape": endsInSigmoid,
	}
	for _, name := range names {
		path := filepath.Join(dir, name+".onnx")
		if what, ok := strings.CutPrefix(name, "refused_"); ok {
			if refused[what] == "" {
				t.Fatalf("no error is known for %s", what)
			}
			if _, err := FromONNX(path, Spec{}); err == nil || !strings.Contains(err.Error(), refused[what]) {
				t.Errorf("%s: the error is %v", what, err)
			}
			continue
		}
		n, _, _, err := readONNX(path, Spec{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.ending != ended[name] {
			t.Errorf("%s ends in %v, want %v", name, n.ending, ended[name])
		}
		m, err := FromONNX(path, Spec{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := m.Output(images)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := golden[float32](t, "forms.npz", name)
		got := fileAnswers(t, m, n.ending, images, out)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %d values", name, out.Shape(), len(want))
			continue
		}
		if e := worst(t, got, want, len(want)/3); !(e < 2e-5) {
			t.Errorf("%s differs by %.2g of the largest value", name, e)
		}
	}
}

// readForm reads one of the networks of forms.zip.
func readForm(t *testing.T, name string) (*onnxFile, string) {
	t.Helper()
	dir, _ := onnxForms(t)
	raw, err := os.ReadFile(filepath.Join(dir, name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parseONNX(raw)
	if err != nil {
		t.Fatal(err)
	}
	return f, filepath.Join(dir, "changed.onnx")
}

func writeForm(t *testing.T, f *onnxFile, path string) {
	t.Helper()
	raw, err := f.bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestExternalDataStaysInTheFileSFolder(t *testing.T) {
	place := func(f *onnxFile, location string) []byte {
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
		raw := place(f, c.location)
		writeForm(t, f, path)
		if err := c.put(filepath.Dir(path), raw); err != nil {
			t.Fatal(err)
		}
		m, err := FromONNX(path, Spec{})
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
		p, err := m.Probabilities(tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](p)
		if e := worst(t, got, golden[float32](t, "forms.npz", "end_softmax"), 5); !(e < 2e-5) {
			t.Errorf("%s: the answers differ by %.2g", c.name, e)
		}
	}
}

func TestADamagedGraphIsAnErrorOfOneSentence(t *testing.T) {
	node := func(f *onnxFile, output string) onnxNode { return f.makers[output] }
	for says, damage := range map[string]func(f *onnxFile){
		"node c (Conv) has 0 inputs":                            func(f *onnxFile) { setWords(node(f, "c").Message, "input", nil) },
		"node c (Conv) has 1 inputs":                            func(f *onnxFile) { setWords(node(f, "c").Message, "input", []string{"image"}) },
		"node y (Softmax) has 0 inputs":                         func(f *onnxFile) { setWords(node(f, "y").Message, "input", nil) },
		"node y (Softmax) takes y, which nothing before":        func(f *onnxFile) { setWords(node(f, "y").Message, "input", []string{"y"}) },
		"node f (Flatten) takes s, which nothing before":        func(f *onnxFile) { setWords(node(f, "f").Message, "input", []string{"s"}) },
		"node s (MatMul) has 1 inputs":                          func(f *onnxFile) { setWords(node(f, "s").Message, "input", []string{"f"}) },
		"the graph has no output":                               func(f *onnxFile) { f.graph.Clear(field(f.graph, "output")) },
		"node c (Conv) has pads=[2147483648 0 0 0]":             func(f *onnxFile) { node(f, "c").setInts("pads", []int{1 << 31, 0, 0, 0}) },
		"the tensor w says that it is [2147483648 5], and the":  func(f *onnxFile) { setDims(f.initial["w"], 1<<31, 5) },
		"the tensor w says that it is [2147483648 2147483648 5": func(f *onnxFile) { setDims(f.initial["w"], 1<<31, 1<<31, 5) },
		"two nodes make c":                                      func(f *onnxFile) { setWords(node(f, "f").Message, "output", []string{"c"}) },
		"is of ONNX's opset 6": func(f *onnxFile) {
			set := messages(f.model, "opset_import")[0]
			set.Set(field(set, "version"), protoreflect.ValueOfInt64(6))
		},
		"node double19 makes [2 4194304 9 11] of two images": func(f *onnxFile) {
			from := "c"
			for i := range 26 {
				to := fmt.Sprintf("double%d", i)
				f.insert(node(f, "f"), []onnxStep{{op: "Concat", inputs: []string{from, from}, output: to, axis: 1}})
				from = to
			}
			f.become(node(f, "y"), "GlobalAveragePool", []string{from}, nil)
		},
	} {
		f, path := readForm(t, "end_softmax")
		damage(f)
		writeForm(t, f, path)
		_, err := FromONNX(path, Spec{})
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

func TestTheSpatialLayerHasPositionsInItsOwnLayout(t *testing.T) {
	dir, _ := onnxForms(t)
	for name, want := range map[string]Layer{
		"layout_first": {Name: "r", Shape: []int{4, 9, 11}, Layout: ChannelsFirst}, // and not the 1 x 1 means
		"layout_last":  {Name: "r", Shape: []int{9, 11, 4}, Layout: ChannelsLast},
		"layout_token": {Name: "r", Shape: []int{4, 9, 11}, Layout: ChannelsFirst},
	} {
		m, err := FromONNX(filepath.Join(dir, name+".onnx"), Spec{})
		if err != nil {
			t.Fatal(err)
		}
		layer, err := m.Layer(m.SpatialLayer())
		if err != nil || !reflect.DeepEqual(layer, want) {
			t.Errorf("%s: the layer is %v (%v), want %v", name, layer, err, want)
		}
		features, err := m.Features(tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := features.Shape().Dimensions; d[0] != 3 || d[1] != 4 {
			t.Errorf("%s: the features are %v", name, d)
		}
	}
}
