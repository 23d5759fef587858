package parts

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// The figures are those of the authors' code: bench/oracles/parts.py.
func authors[T any](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/parts.npz", array)
}

const n, side, masks, classes = 4, 14, 5, 3

// last brings values that lie as [N, K, places] to [N, places, K].
func last[T any](flat []T, n, k int) []T {
	places := len(flat) / n / k
	out := make([]T, len(flat))
	for i := range n {
		for c := range k {
			for p := range places {
				out[(i*places+p)*k+c] = flat[(i*k+c)*places+p]
			}
		}
	}
	return out
}

func scores(t *testing.T) []float64 { return last(authors[float64](t, "scores"), n, masks) }

// looking is a segmenter that says the authors' scores of a batch of four images.
func looking(t *testing.T) *model.Model {
	t.Helper()
	said := scores(t)
	m, err := model.FromFunc(model.Spec{Name: "looking", Height: side, Width: side, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			fixed := graph.ConvertDType(graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(said, n, side, side, masks)),
				x.DType())
			if x.Shape().Dimensions[0] != n { // where only the shape is wanted
				fixed = graph.BroadcastToDims(graph.Slice(fixed, graph.AxisRange(0, 1)), x.Shape().Dimensions[0], side, side, masks)
			}
			return b.Map(Segmentation, graph.Add(fixed, graph.MulScalar(x, 0)))
		})
	if err != nil {
		t.Fatal(err)
	}
	m.BatchSize = n
	return m
}

func call(t *testing.T, fn any, args ...any) []float64 {
	t.Helper()
	exec, err := model.NewExec(fn)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call1(args...)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](out)
}

// Features and, with the authors' weights, logits are the authors', also of a part that is nowhere, and where the small
// masks' places overlap.
func TestPartModelsAreTheAuthors(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions(scores(t), n, side, side, masks)
	for background, name := range []string{"pooling0", "pooling1"} {
		got := call(t, func(x *graph.Node) *graph.Node { return Pooled(Masks(x, background == 1), 4) }, x)
		if err := approx.All(got, last(authors[float64](t, name+"_features"), n, masks-1+background), 1e-9); err != nil {
			t.Errorf("pooled masks: %v", err)
		}
	}
	if err := approx.All(call(t, Boxes, x), authors[float64](t, "boxes_features"), 1e-6); err != nil {
		t.Errorf("boxes: %v", err)
	}

	// The names of the classifiers' layers in the authors' code.
	for name, c := range map[string]struct {
		make   func(m *model.Model) (*model.Model, error)
		layers map[string]string
	}{
		"pooling0": {func(m *model.Model) (*model.Model, error) { return Downsampled{}.Make(m, classes, 1) },
			map[string]string{"conv": "1", "bn1": "2", "hidden": "5", "bn2": "6", "linear": "8"}},
		"pooling1": {func(m *model.Model) (*model.Model, error) { return Downsampled{Background: true}.Make(m, classes, 1) },
			map[string]string{"conv": "1", "bn1": "2", "hidden": "5", "bn2": "6", "linear": "8"}},
		"boxes": {func(m *model.Model) (*model.Model, error) { return BoundingBox{}.Make(m, classes, 1) },
			map[string]string{"bn1": "2", "hidden": "3", "bn2": "5", "linear": "6"}},
	} {
		m, err := c.make(looking(t))
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[string]*tensors.Tensor{}
		for ours, w := range m.Weights() {
			layer, part, _ := strings.Cut(strings.TrimPrefix(ours, "classifier."), ".")
			flat := authors[float64](t, name+"."+c.layers[layer]+"."+part)
			d := w.Shape().Dimensions
			if len(d) == 4 { // [out, in, h, w] as [h, w, in, out]
				flat = transposed(last(flat, 1, d[3]), d)
			}
			single := make([]float32, len(flat))
			for i, v := range flat {
				single[i] = float32(v)
			}
			theirs[ours] = tensors.FromFlatDataAndDimensions(single, d...)
		}
		if m, err = m.WithWeights(theirs); err != nil {
			t.Fatal(err)
		}
		out, err := m.Logits(tensors.FromFlatDataAndDimensions(make([]float32, n*side*side), n, side, side, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](out), authors[float64](t, name+"_logits"), 2e-5); err != nil {
			t.Errorf("logits of %s: %v", name, err)
		}
	}
}

// transposed brings a kernel whose outputs are last already from [in, h·w, out] to [h·w, in, out].
func transposed(flat []float64, d []int) []float64 {
	out := make([]float64, len(flat))
	places, in, outputs := d[0]*d[1], d[2], d[3]
	for i := range in {
		for p := range places {
			copy(out[(p*in+i)*outputs:(p*in+i+1)*outputs], flat[(i*places+p)*outputs:])
		}
	}
	return out
}

// The loss is the authors' at any weight, with an image that nobody has labelled.
func TestJointLossIsTheAuthors(t *testing.T) {
	var labels []int
	for _, l := range authors[int64](t, "labels") {
		labels = append(labels, int(l))
	}
	var parts []int32
	for _, p := range authors[int64](t, "masks") {
		parts = append(parts, int32(p))
	}
	for name, c := range map[string]float64{"loss_0.0": 0, "loss_0.3": 0.3, "loss_1.0": 1} {
		got := call(t, func(logits, scores, labels, masks *graph.Node) *graph.Node {
			out := model.Outputs{Logits: logits, Maps: map[string]*graph.Node{Segmentation: scores}}
			return JointLoss(out, labels, masks, c)
		}, tensors.FromFlatDataAndDimensions(authors[float64](t, "class_logits"), n, classes),
			tensors.FromFlatDataAndDimensions(scores(t), n, side, side, masks),
			model.ClassTensor(labels), tensors.FromFlatDataAndDimensions(parts, n, side, side))
		if err := approx.All(got, authors[float64](t, name), 1e-9); err != nil {
			t.Errorf("weight %g: %v", c, err)
		}
	}
}

// By hand: a part that is one pixel has its place and no spread, and one of two pixels at both ends of a row spreads
// over half of it.
func TestBoxesOfAFewPixels(t *testing.T) {
	flat := make([]float64, 8*8*3)
	for p := range 64 {
		flat[p*3] = 100 // the background
	}
	set := func(row, column, part int) { flat[(row*8+column)*3], flat[(row*8+column)*3+part] = 0, 100 }
	set(2, 6, 1)
	set(5, 0, 2)
	set(5, 7, 2)
	got := call(t, Boxes, tensors.FromFlatDataAndDimensions(flat, 1, 8, 8, 3))
	for i, want := range []float64{math.NaN(), 6./4 - 1, 2./4 - 1, 0, 0, math.NaN(), 3.5/4 - 1, 5./4 - 1, 3.5 / 4, 0} {
		if !math.IsNaN(want) && !approx.Equal(got[i], want, 1e-2) {
			t.Errorf("feature %d of part %d is %g, want %g", i%5, i/5+1, got[i], want)
		}
	}
}
