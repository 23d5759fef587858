package missing

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// The oracles are scikit-image, torchvision, the authors' code, the package lime and onnxruntime:
// bench/oracles/missing.py.
const goldenFile = "testdata/missing.npz"

func golden[T float32 | float64 | int16](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, goldenFile, array)
}

func within(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := oracle.Difference(got, want)
	t.Logf("%s differ by %.2g, the largest is %.3g", what, worst, largest)
	if !approx.Equal(worst, 0, tolerance*max(largest, 1)) {
		t.Errorf("%s differ by %.2g, the largest is %.3g", what, worst, largest)
	}
}

// photos are two photographs of 224 x 224.
func photos(t *testing.T) *tensors.Tensor {
	t.Helper()
	set, err := testimages.ImageNet(testenv.SharedData(t, "imagenet-sample", "images.zip"), 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.FromFlatDataAndDimensions(set.Pixels, 2, 224, 224, 3)
}

func TestSLICAgreesWithScikitImage(t *testing.T) {
	small := tensors.FromFlatDataAndDimensions(golden[float32](t, "small"), 1, 60, 52, 3)
	var first []float32
	for i, v := range golden[float32](t, "small") {
		if i%3 == 0 {
			first = append(first, v)
		}
	}
	grey := tensors.FromFlatDataAndDimensions(first, 1, 60, 52, 1)
	compare := func(name string, s SLIC, images *tensors.Tensor) {
		t.Helper()
		got, err := s.Segment(images)
		if err != nil {
			t.Fatal(err)
		}
		want := golden[int16](t, name)
		differ := 0
		for i, label := range want {
			if got.flat[i] != int32(label) {
				differ++
			}
		}
		t.Logf("%s: %v segments, %d of %d pixels in another", name, got.Counts, differ, len(want))
		if differ > 0 || len(want) != len(got.flat) {
			t.Errorf("%s: %d of %d pixels are in another segment", name, differ, len(want))
		}
	}
	compare("slic_small", SLIC{Segments: 30}, small)
	compare("slic_small_loose", SLIC{Segments: 30, Compactness: 0.5, Sigma: -1}, small)
	compare("slic_grey", SLIC{Segments: 20, Compactness: 0.1}, grey)
	t.Run("photographs", func(t *testing.T) { compare("slic_photos", SLIC{}, photos(t)) })
}

func TestBlurAgreesWithTorchvision(t *testing.T) {
	small := tensors.FromFlatDataAndDimensions(golden[float32](t, "small"), 1, 60, 52, 3)
	blurred, err := mask.Apply(small, tensors.FromScalarAndDimensions(float32(1), 1, 60, 52), mask.Blur(), 0)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "blurred pixels", tensors.MustCopyFlatData[float32](blurred), golden[float32](t, "blur"), 3e-6)
}

// network is the oracle's, of one hidden layer.
func network(t *testing.T) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{}
	for name, dims := range map[string][]int{"hidden.weight": {12, 1440}, "hidden.bias": {12}, "linear.weight": {4, 12},
		"linear.bias": {4}} {
		weights[name] = tensors.FromFlatDataAndDimensions(golden[float32](t, "net_"+name), dims...)
	}
	m, err := model.FromTensors(weights, model.Spec{Name: "oracle's", Height: 24, Width: 20, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Linear("linear", b.ReLU("relu", b.Linear("hidden", graph.Reshape(x, -1, 1440))))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// segmented are the oracle's three images and their superpixels.
func segmented(t *testing.T) (*tensors.Tensor, *Segments) {
	t.Helper()
	var labels []int32
	for _, v := range golden[int16](t, "lime_segments") {
		labels = append(labels, int32(v))
	}
	segments, err := SegmentsOf(tensors.FromFlatDataAndDimensions(labels, 3, 24, 20))
	if err != nil {
		t.Fatal(err)
	}
	return tensors.FromFlatDataAndDimensions(golden[float32](t, "lime_images"), 3, 24, 20, 3), segments
}

func TestLIMEAgreesWithTheAuthors(t *testing.T) {
	m := network(t)
	images, segments := segmented(t)
	flat := golden[float32](t, "lime_keep")
	keep := tensors.FromFlatDataAndDimensions(flat, 300, len(flat)/300)
	for name, columns := range map[string]int{"own": 0, "authors": len(flat) / 300} {
		e, err := LIME{Keep: keep, Columns: columns}.Explain(m, images, segments)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range e.Coefficients {
			want := golden[float64](t, fmt.Sprintf("lime_%s_%d", name, i))
			var worst float64
			for k := range want {
				worst = max(worst, math.Abs(got[k]-want[k]))
			}
			t.Logf("%s columns, image %d: coefficients differ by %.2g", name, i, worst)
			if !approx.Equal(worst, 0, 1e-6) || len(got) != len(want) {
				t.Errorf("%s columns, image %d: %d coefficients differ by %.2g of %d", name, i, len(got), worst, len(want))
			}
		}
	}
}

func TestLIMEAgreesWithThePackage(t *testing.T) {
	m := network(t)
	all, segments := segmented(t)
	for i := range 3 {
		image := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](all)[i*1440:(i+1)*1440], 1, 24, 20, 3)
		one, err := SegmentsOf(tensors.FromFlatDataAndDimensions(segments.of(i), 1, 24, 20))
		if err != nil {
			t.Fatal(err)
		}
		keep := tensors.FromFlatDataAndDimensions(golden[float32](t, fmt.Sprintf("limepackage_keep_%d", i)), 200,
			segments.Counts[i])
		e, err := LIME{Keep: keep}.Explain(m, image, one)
		if err != nil {
			t.Fatal(err)
		}
		want, fit := golden[float64](t, fmt.Sprintf("limepackage_%d", i)),
			golden[float64](t, fmt.Sprintf("limepackage_fit_%d", i))
		worst := max(math.Abs(e.Intercepts[0]-fit[0]), math.Abs(e.R2[0]-fit[1]))
		for k := range want {
			worst = max(worst, math.Abs(e.Coefficients[0][k]-want[k]))
		}
		t.Logf("image %d: coefficients, intercept and score differ by %.2g", i, worst)
		if !approx.Equal(worst, 0, 1e-5) {
			t.Errorf("image %d: coefficients, intercept and score differ by %.2g", i, worst)
		}
	}
}

// oraclesViT is the authors' transformer with its weights.
func oraclesViT(t *testing.T) *model.Model {
	t.Helper()
	m, err := learn.ViT{Patch: 4, Width: 16, Depth: 2, Heads: 4}.Make(model.Spec{Height: 12, Width: 16, Channels: 3}, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]*tensors.Tensor{}
	for name, w := range m.Weights() {
		weights[name] = tensors.FromFlatDataAndDimensions(golden[float32](t, "vit_"+name), w.Shape().Dimensions...)
	}
	if m, err = m.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	return m
}

// dropped runs a model with tokens dropped, in a sequence with room for capacity patches.
func dropped(t *testing.T, m *model.Model, images, keep *tensors.Tensor, capacity int) []float32 {
	t.Helper()
	exec, err := model.NewExec(func(x, keep *graph.Node) *graph.Node {
		return m.CallAs(x, model.CallOptions{Keep: &model.Keep{Patches: keep, Capacity: capacity}}).Logits
	})
	if err != nil {
		t.Fatal(err)
	}
	logits, err := exec.Call1(images, keep)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](logits)
}

func TestViTAgreesWithTheAuthors(t *testing.T) {
	m := oraclesViT(t)
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "vit_images"), 3, 12, 16, 3)
	whole, err := m.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "logits of whole images", tensors.MustCopyFlatData[float32](whole), golden[float32](t, "vit_whole"), 1e-5)
	keep := tensors.FromFlatDataAndDimensions(golden[float32](t, "vit_keep"), 3, 12)
	// The authors' sequence has as many tokens as are kept. Ours has room for all, and attention looks away.
	within(t, "logits with tokens dropped", dropped(t, m, images, keep, 12), golden[float32](t, "vit_dropped"), 1e-5)
	// The first two images keep 6 and 1 of 12.
	two := tensors.FromFlatDataAndDimensions(golden[float32](t, "vit_images")[:2*576], 2, 12, 16, 3)
	keep = tensors.FromFlatDataAndDimensions(golden[float32](t, "vit_keep")[:24], 2, 12)
	for _, capacity := range []int{6, 7} {
		within(t, fmt.Sprintf("logits with room for %d", capacity), dropped(t, m, two, keep, capacity),
			golden[float32](t, "vit_dropped")[:10], 1e-5)
	}
}

// backbone is the ONNX transformer up to its last normalisation, and gives the class token.
func backbone(t *testing.T) *model.Model {
	t.Helper()
	path := filepath.Join(testenv.Asset(t, "vit-focus"), "vit_s_focus.onnx")
	m, err := model.FromONNX(path, model.Spec{Name: "ViT", Mean: []float64{0.485, 0.456, 0.406},
		Std: []float64{0.229, 0.224, 0.225}, Output: "/backbone/layernorm/Add_1_output_0"})
	if err != nil {
		t.Fatal(err)
	}
	class, err := m.Extend("ViT's class token", nil, nil, func(b *model.Builder, out model.Outputs) *graph.Node {
		return graph.Squeeze(graph.Slice(out.Logits, graph.AxisRange(), graph.AxisElem(0), graph.AxisRange()), 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return class
}

func TestTokensOfAnONNXFileAreDropped(t *testing.T) {
	images := photos(t)
	m := backbone(t)
	if m.Grid() != (model.Grid{Rows: 16, Columns: 16}) {
		t.Fatalf("the grid is %+v", m.Grid())
	}
	whole, err := m.Output(images)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "features of whole images", tensors.MustCopyFlatData[float32](whole), golden[float32](t, "onnx_whole"), 1e-4)
	keep := tensors.FromFlatDataAndDimensions(golden[float32](t, "onnx_keep"), 2, 256)
	within(t, "features with tokens dropped", dropped(t, m, images, keep, 96), golden[float32](t, "onnx_dropped"), 1e-4)
}
