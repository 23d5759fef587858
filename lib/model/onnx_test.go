package model

import (
	"archive/zip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/onnx"
	"github.com/loupeml/loupe/lib/internal/safetensors"
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
func fileAnswers(t *testing.T, m *Model, e onnx.Ending, images, output *tensors.Tensor) []float32 {
	t.Helper()
	if e == onnx.EndsInLogits {
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
		case e == onnx.EndsInLogSoftmax:
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
		"resize_linear_odd_align_corners":  "node y (Resize) has coordinate_transformation_mode=align_corners and scales",
		"resize_cubic_odd_align_corners":   "which do not make whole sizes",
		"resize_linear_down_align_corners": "which do not make whole sizes",
		"resize_cubic_down_align_corners":  "which do not make whole sizes",
		"slice_images":                     "node y (Slice) has steps=[-1] along the axis of the images",
		"batchnorm_training":               "node y (BatchNormalization) has training_mode=1",
		"reshape_allowzero":                "node y (Reshape) has the shape [0 4 9 11]",
		"gathernd":                         "node y (GatherND) has indices of [3 1 2] for [2 3 9 11] and batch_dims=1",
		"domain":                           "node y (com.example.Gelu) is of a kind that is not handled",
		"end_pairs":                        "ends in node p (Softmax) over axis 2 of [2 2 2]",
		"one_flat":                         "must return logits [N, K], it returned (Float32)[4, 99] for 1 images",
	}
	dir, names := onnxForms(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3)
	ended := map[string]onnx.Ending{
		"end_softmax": onnx.EndsInSoftmax, "end_softmax_1": onnx.EndsInSoftmax, "end_softmax11": onnx.EndsInSoftmax,
		"end_softmax_identity": onnx.EndsInSoftmax,
		"end_logsoftmax":       onnx.EndsInLogSoftmax, "end_logsoftmax11": onnx.EndsInLogSoftmax,
		"end_log_of_softmax": onnx.EndsInLogSoftmax,
		"end_sigmoid":        onnx.EndsInSigmoid, "end_softmax_flatten": onnx.EndsInSoftmax,
		"end_softmax11_squeeze": onnx.EndsInSoftmax, "end_sigmoid_reshape": onnx.EndsInSigmoid,
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
		n, err := onnx.Open(path, onnx.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.Ending != ended[name] {
			t.Errorf("%s ends in %v, want %v", name, n.Ending, ended[name])
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
		got := fileAnswers(t, m, n.Ending, images, out)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %d values", name, out.Shape(), len(want))
			continue
		}
		if e := worst(t, got, want, len(want)/3); !(e < 2e-5) {
			t.Errorf("%s differs by %.2g of the largest value", name, e)
		}
	}
}

// In double precision a file's network says the same, more exactly.
func TestFilesInDoublePrecision(t *testing.T) {
	dir, names := onnxForms(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3)
	for i, name := range names {
		if strings.HasPrefix(name, "refused_") || strings.HasPrefix(name, "end_") || !testenv.Some(i, 8) {
			continue
		}
		m, err := FromONNX(filepath.Join(dir, name+".onnx"), Spec{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		double, err := m.Double()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := double.Output(images)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := golden[float32](t, "forms.npz", name)
		values, err := floats(out)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(values))
		for k, v := range values {
			got[k] = float32(v)
		}
		if e := worst(t, got, want, len(want)/3); !(e < 2e-5) {
			t.Errorf("%s differs by %.2g of the largest value", name, e)
		}
		for weight := range double.Weights() {
			if double.ScaleOf(weight) != m.ScaleOf(weight) {
				t.Errorf("%s: %s is a statistic of %q, and in double precision of %q", name, weight, m.ScaleOf(weight),
					double.ScaleOf(weight))
			}
		}
	}
	testenv.RestIsHeavy(t, 8)
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

// The oracle of the maps is onnxruntime. A spec that names the output leaves them out.
func TestFurtherOutputsAreMaps(t *testing.T) {
	dir, _ := onnxForms(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3)
	m, err := FromONNX(filepath.Join(dir, "maps.onnx"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if maps := m.Maps(); len(maps) != 2 {
		t.Fatalf("the maps are %v", maps)
	}
	last := golden[float32](t, "forms.npz", "maps_last")
	first := make([]float32, len(last)) // turned to [N, H, W, C]
	for i, v := range golden[float32](t, "forms.npz", "maps_first") {
		n, c, yx := i/(4*99), i/99%4, i%99
		first[(n*99+yx)*4+c] = v
	}
	for name, want := range map[string][]float32{"first": first, "last": last} {
		got, err := m.MapsOf(name, batch{images})
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Shape().Dimensions; !slices.Equal(d, []int{3, 9, 11, 4}) {
			t.Fatalf("the map %s is %v", name, d)
		}
		if e := worst(t, tensors.MustCopyFlatData[float32](got), want, 4*99); !(e < 2e-5) {
			t.Errorf("the map %s differs by %.2g of the largest value", name, e)
		}
	}
	if m, err = FromONNX(filepath.Join(dir, "maps.onnx"), Spec{Output: "y"}); err != nil || len(m.Maps()) != 0 {
		t.Errorf("with the output named the maps are %v (%v)", m.Maps(), err)
	}
}

// The last layer of this file is linear, so that twice its weights make twice its scores.
func TestAnONNXFilesWeightsAreExchangedAndSaved(t *testing.T) {
	dir, _ := onnxForms(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "forms.npz", "images"), 3, 9, 11, 3)
	m, err := FromONNX(filepath.Join(dir, "layout_first.onnx"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	once, err := m.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	double := tensors.MustCopyFlatData[float32](m.Weights()["w4"])
	for i := range double {
		double[i] *= 2
	}
	before := Compilations()
	changed, err := m.WithWeights(map[string]*tensors.Tensor{"w4": tensors.FromFlatDataAndDimensions(double, 4, 5)})
	if err != nil {
		t.Fatal(err)
	}
	check := func(m *Model) {
		t.Helper()
		twice, err := m.Logits(images)
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](twice)
		for i, v := range tensors.MustCopyFlatData[float32](once) {
			if !(math.Abs(float64(got[i]-2*v)) < 1e-6) {
				t.Fatalf("score %d is %g, want twice %g", i, got[i], v)
			}
		}
	}
	check(changed)
	if n := Compilations() - before; n != 0 {
		t.Errorf("other weights compiled %d programs", n)
	}

	arrays, metadata, err := changed.Arrays()
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "changed.safetensors")
	f, err := os.Create(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(safetensors.Write(f, arrays, metadata), f.Close()); err != nil {
		t.Fatal(err)
	}
	back, err := Load(saved)
	if err != nil {
		t.Fatal(err)
	}
	check(back)
	if err := os.Remove(filepath.Join(dir, "layout_first.onnx")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(saved); err == nil || !strings.Contains(err.Error(),
		"layout_first.onnx, which is not there any more or has changed") {
		t.Errorf("without its file the error is %v", err)
	}
}

// The file names its normalisation's inputs g, b, m and v. So does a model that extends it.
func TestAStatisticKnowsTheScaleOfItsNormalisation(t *testing.T) {
	dir, _ := onnxForms(t)
	m, err := FromONNX(filepath.Join(dir, "batchnorm8.onnx"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]*tensors.Tensor{"head.running_mean": tensors.FromScalar(float32(1))}
	extended, err := m.Extend("extended", nil, more, func(b *Builder, out Outputs) *graph.Node {
		return graph.Mul(out.Logits, b.Weight("head.running_mean"))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string]*Model{"the file's": m, "extended": extended} {
		for weight, want := range map[string]string{"m": "g", "v": "g", "g": "", "b": "",
			"head.running_mean": "head.weight"} {
			if got := model.ScaleOf(weight); got != want || model.IsStatistic(weight) != (want != "") {
				t.Errorf("%s: the scale of %s is %q, want %q", name, weight, got, want)
			}
		}
	}
}
