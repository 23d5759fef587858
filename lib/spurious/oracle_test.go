package spurious

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// The oracle is the authors' own code: bench/oracles/spurious.py.
func golden[T float32 | float64 | int64](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/resnet20.npz", array)
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// cifar is the last layer of a ResNet-20 and what it sees of 500 test images of CIFAR-10.
func cifar(t *testing.T) (*model.Head, Examples) {
	t.Helper()
	head := &model.Head{Weights: mat.NewDense(10, 64, wide(golden[float32](t, "weights"))),
		Bias: wide(golden[float32](t, "bias"))}
	e := Examples{Features: mat.NewDense(500, 64, wide(golden[float32](t, "features")))}
	for _, l := range golden[int64](t, "labels") {
		e.Labels = append(e.Labels, int(l))
	}
	return head, e
}

// headModel is a model of nothing but a head: its images are the features.
func headModel(t *testing.T, head *model.Head) *model.Model {
	t.Helper()
	k, d := head.Weights.Dims()
	m, err := model.FromFunc(model.Spec{Name: "a head", Height: 1, Width: 1, Channels: d},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			f := b.Features(graph.Reshape(x, -1, d))
			return graph.Add(graph.Einsum("nd,kd->nk", f, graph.Const(x.Graph(), tensor(head.Weights))),
				graph.ExpandAxes(graph.Const(x.Graph(), vector(head.Bias)), 0))
		})
	if err != nil {
		t.Fatal(err)
	}
	if m.NumClasses() != k {
		t.Fatalf("%d classes", m.NumClasses())
	}
	return m
}

func imagesOf(features *mat.Dense) *tensors.Tensor {
	n, d := features.Dims()
	return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](tensor(features)), n, 1, 1, d)
}

// logits are a model's outputs for features that are its images.
func logits(t *testing.T, m *model.Model, features *mat.Dense) *mat.Dense {
	t.Helper()
	out, err := m.Logits(imagesOf(features))
	if err != nil {
		t.Fatal(err)
	}
	got, err := matrix(out)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func worst(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var off, largest float64
	for i := range want {
		off, largest = max(off, math.Abs(got[i]-want[i])), max(largest, math.Abs(want[i]))
		if math.IsNaN(got[i]) {
			return math.Inf(1)
		}
	}
	return off / largest
}

func TestComponentsAgreeWithTheAuthors(t *testing.T) {
	head, e := cifar(t)
	for _, k := range []int{3, 8} {
		name := map[int]string{3: "_3", 8: "_8"}[k]
		c, err := ComponentsOf(e.Pick(e.of(k)...).Features, head, k)
		if err != nil {
			t.Fatal(err)
		}
		if off := worst(c.Variances, golden[float64](t, "variances"+name)); !(off <= 1e-9) {
			t.Errorf("class %d: variances are off by %g", k, off)
		}
		if off := worst(c.Alphas.RawMatrix().Data, golden[float64](t, "alphas"+name)); !(off <= 1e-6) {
			t.Errorf("class %d: alphas are off by %g", k, off)
		}
	}
}

// The α of an image sum to its logit less the mean of the class's: exactly for the class's own images, and for all
// where there are more images than features.
func TestAlphasSumToTheLogit(t *testing.T) {
	head, e := cifar(t)
	for _, k := range []int{0, 5} {
		c, err := ComponentsOf(e.Pick(e.of(k)...).Features, head, k)
		if err != nil {
			t.Fatal(err)
		}
		sums(t, c, c.Alphas, e.Pick(e.of(k)...).Features, e.Pick(e.of(k)...).Features)
		// As if all 500 images were of the class.
		if c, err = ComponentsOf(e.Pick(rangeOf(0, 300)...).Features, head, k); err != nil {
			t.Fatal(err)
		}
		others := e.Pick(rangeOf(300, 500)...).Features
		alphas, err := c.Of(others)
		if err != nil {
			t.Fatal(err)
		}
		sums(t, c, alphas, others, e.Pick(rangeOf(0, 300)...).Features)
		left, err := c.LeftOut(others)
		if err != nil {
			t.Fatal(err)
		}
		if off := mat.Norm(mat.NewVecDense(len(left), left), math.Inf(1)); len(left) != 200 || !(off <= 1e-6) {
			t.Errorf("components of more images than features leave up to %g out of the logits", off)
		}
		// Of few images they do leave something out, which is the logit less the mean where they know of nothing else.
		if c, err = ComponentsOf(e.Pick(0, 1).Features, head, k); err != nil {
			t.Fatal(err)
		}
		if left, err = c.LeftOut(others); err != nil {
			t.Fatal(err)
		}
		if alphas, err = c.Of(others); err != nil {
			t.Fatal(err)
		}
		var logits, both mat.VecDense
		logits.MulVec(others, head.Weights.RowView(k))
		both.MulVec(e.Pick(0, 1).Features, head.Weights.RowView(k))
		for i, v := range left {
			if want := logits.AtVec(i) - mat.Sum(&both)/2 - alphas.At(i, 0); !approx.Equal(v, want, 1e-6) {
				t.Fatalf("the one component of two images leaves %g out of image %d, want %g", v, i, want)
			}
		}
	}
}

// right is a head's accuracy on examples.
func right(t *testing.T, head *model.Head, e Examples) float64 {
	t.Helper()
	accuracy, err := stats.AccuracyOf(Predict(head, e.Features), e.Labels)
	if err != nil {
		t.Fatal(err)
	}
	return accuracy.Share()
}

func rangeOf(lo, hi int) (out []int) {
	for i := lo; i < hi; i++ {
		out = append(out, i)
	}
	return out
}

func sums(t *testing.T, c *Components, alphas, features, fitted *mat.Dense) {
	t.Helper()
	w := c.head.Weights.RowView(c.Class)
	var logits, all mat.VecDense
	logits.MulVec(features, w)
	all.MulVec(fitted, w)
	n, _ := fitted.Dims()
	mean := mat.Sum(&all) / float64(n)
	rows, _ := alphas.Dims()
	for i := range rows {
		if off := mat.Sum(alphas.RowView(i)) - (logits.AtVec(i) - mean); !approx.Equal(off, 0, 1e-5) {
			t.Fatalf("image %d: the alphas sum to the logit but for %g", i, off)
		}
	}
}

// A model of the components computes what the components say, and its gradient is what the first component depends on.
func TestComponentsAsAModel(t *testing.T) {
	head, e := cifar(t)
	c, err := ComponentsOf(e.Pick(e.of(3)...).Features, head, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model(headModel(t, head), 4)
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.Of(e.Features)
	if err != nil {
		t.Fatal(err)
	}
	got := logits(t, m, e.Features)
	if off := worst(got.RawMatrix().Data, mat.DenseCopyOf(want.Slice(0, 500, 0, 4)).RawMatrix().Data); !(off <= 1e-5) {
		t.Errorf("the model's outputs are off by %g", off)
	}
}

func TestSpuFixAgreesWithTheAuthors(t *testing.T) {
	head, e := cifar(t)
	var fixes []Fix
	for _, of := range []struct {
		class      int
		name       string
		components []int
	}{{3, "_3", []int{0}}, {8, "_8", []int{0, 2}}} {
		images := e.Pick(e.of(of.class)...).Features
		all := golden[float64](t, "alphas"+of.name)
		alphas := mat.NewDense(50, len(of.components), nil)
		for i := range 50 {
			for r, l := range of.components {
				alphas.Set(i, r, all[i*49+l]*all[i*49+l]) // squares, so that the directions are no eigenvectors
			}
		}
		f, err := MatchedFix(alphas, images, head, of.class)
		if err != nil {
			t.Fatal(err)
		}
		directions := mat.DenseCopyOf(f.Directions.T()).RawMatrix().Data
		if off := worst(directions, golden[float64](t, "directions"+of.name)); !(off <= 1e-6) {
			t.Errorf("class %d: directions are off by %g", of.class, off)
		}
		fixes = append(fixes, f)
	}
	m, err := SpuFix(headModel(t, head), fixes...)
	if err != nil {
		t.Fatal(err)
	}
	got := logits(t, m, e.Features)
	if off := worst(got.RawMatrix().Data, golden[float64](t, "spufix")); !(off <= 1e-5) {
		t.Errorf("logits are off by %g", off)
	}
}

func TestRankingsAgreeWithTheAuthors(t *testing.T) {
	head, e := cifar(t)
	important := golden[int64](t, "important")
	for k := range 10 {
		importance, err := Importance(head, e, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := range MostImportant(importance, 64) {
			if want := important[64*k+i]; j != int(want) {
				t.Errorf("class %d: the feature of rank %d is %d, want %d", k, i, j, want)
				break
			}
		}
	}
	predicted := Predict(head, e.Features)
	for j, want := range golden[float64](t, "bias_3") {
		got, err := FeatureBias(predicted, e, 3, j, 15)
		if err != nil {
			t.Fatal(err)
		}
		if !approx.Equal(got, want, 1e-9) {
			t.Errorf("the bias of feature %d is %g, want %g", j, got, want)
		}
	}
	for _, of := range []struct {
		class    int
		features []int
		name     string
	}{{3, []int{5, 9, 20}, "ranking_3"}, {8, []int{1}, "ranking_8"}} {
		r, err := Rank(e, of.class, of.features)
		if err != nil {
			t.Fatal(err)
		}
		want := golden[int64](t, of.name)
		for i, at := range r.Images {
			if at != int(want[i]) {
				t.Errorf("%s: image %d is %d, want %d", of.name, i, at, want[i])
			}
		}
		if !slices.IsSorted(r.Scores) {
			t.Errorf("%s: scores are not in order", of.name)
		}
	}
}

func TestTuningAgreesWithPyTorch(t *testing.T) {
	head, e := cifar(t)
	var rankings []*Ranking
	for class, features := range map[int][]int{3: {5, 9, 20}, 8: {1}} {
		r, err := Rank(e, class, features)
		if err != nil {
			t.Fatal(err)
		}
		rankings = append(rankings, r)
	}
	var few []int
	for _, r := range rankings {
		few = append(few, r.Low(20)...)
	}
	tuned, err := TuneHead(head, e.Pick(append(few, e.of(9)[0])...), Tuning{LearningRate: 0.05, Epochs: 5, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	if off := worst(tuned.Weights.RawMatrix().Data, wide(golden[float32](t, "tuned_weights"))); !(off <= 1e-5) {
		t.Errorf("weights are off by %g", off)
	}
	if off := worst(tuned.Bias, wide(golden[float32](t, "tuned_bias"))); !(off <= 1e-5) {
		t.Errorf("the bias is off by %g", off)
	}
	if off := worst(tuned.Weights.RawMatrix().Data, head.Weights.RawMatrix().Data); !(off >= 1e-3) {
		t.Errorf("tuning has changed the weights by %g only", off)
	}
	// Batches, of which the last is smaller, in an order that the seed says.
	var ends []float64
	for _, seed := range []uint64{1, 1, 2} {
		h, err := TuneHead(head, e, Tuning{LearningRate: 0.01, Epochs: 2, BatchSize: 64, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, mat.Sum(h.Weights))
		if is, was := right(t, h, e), right(t, head, e); !(is >= was) {
			t.Errorf("tuned on the examples themselves, it is right about %.3f of them, and before about %.3f", is, was)
		}
	}
	if ends[0] != ends[1] || ends[0] == ends[2] {
		t.Errorf("the sums of the weights after seeds 1, 1 and 2: %v", ends)
	}
	epochs := 0
	if _, err := TuneHead(head, e,
		Tuning{Epochs: 9, Until: func(*model.Head) bool { epochs++; return epochs == 3 }}); err != nil || epochs != 3 {
		t.Errorf("%d epochs, %v", epochs, err)
	}
}

// A neural activation map is largest where the layer's channel is, and its model's outputs are the features.
func TestNeuralActivationMaps(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "pooled", Height: 4, Width: 4, Channels: 2},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			f := b.Features(graph.ReduceMean(b.Record("maps", graph.MulScalar(x, 3)), 1, 2))
			return graph.Einsum("nd,kd->nk", f, graph.Const(x.Graph(), [][]float32{{1, 2}, {3, 4}, {5, 6}}))
		})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 2*4*4*2)
	pixels[(1*4+2)*2+1] = 0.5 // image 0: row 1, column 2 of channel 1; image 1 has nothing
	images := tensors.FromFlatDataAndDimensions(pixels, 2, 4, 4, 2)
	maps, err := NeuralActivationMap(m, images, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensors.MustCopyFlatData[float32](maps) {
		want := float32(0)
		if i == 1*4+2 {
			want = 1
		}
		if v != want {
			t.Errorf("place %d is %g, want %g", i, v, want)
		}
	}
	of, err := FeatureModel(m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := of.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](out); !approx.Equal(got[1], 1.5/16, 1e-6) || got[0] != 0 || len(got) != 4 {
		t.Errorf("features %v", got)
	}
	if _, err := NeuralActivationMap(m, images, 2); err == nil {
		t.Error("a feature that does not exist is no error")
	}
	if _, err := NeuralActivationMap(headModel(t, &model.Head{Weights: mat.NewDense(2, 3, make([]float64, 6)),
		Bias: make([]float64, 2)}), tensors.FromFlatDataAndDimensions(make([]float32, 3), 1, 1, 1, 3), 0); err == nil {
		t.Error("features that are no mean over positions are no error")
	}
}
