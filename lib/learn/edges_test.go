package learn

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// The loss is the cross entropy and 1/N of the divergence from the prior. The golden is SciPy's and PyTorch's,
// bench/oracles/edges.py; the weights' distributions are so narrow that their draws change it by less than a
// thousandth.
func TestTheLossOfDistributionsIsTheNegativeEvidenceLowerBound(t *testing.T) {
	const file = "testdata/edges.npz"
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "weights"), 2, 3),
		"linear.bias":   tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2),
	}, model.Spec{Name: "linear", Height: 1, Width: 3, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", b.Features(graph.Reshape(x, -1, 3)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Variational(m, 1e-4, nil); err != nil {
		t.Fatal(err)
	}
	var labels []int
	for _, v := range oracle.Read[int64](t, file, "labels") {
		labels = append(labels, int(v))
	}
	x := tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "x"), 6, 1, 3, 1)
	_, history, err := Recipe{Epochs: 1, BatchSize: 6, LearningRate: 1e-9}.Train(m, x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if want := oracle.Read[float64](t, file, "loss")[0]; len(history) != 1 || !approx.Equal(history[0].Loss, want, 1e-3) {
		t.Errorf("the loss is %v, want %v", history, want)
	}
}

// The golden is the mean of SciPy's squared Jensen-Shannon distances.
func TestJensenShannonOfTwoViewsIsSciPys(t *testing.T) {
	const file = "testdata/edges.npz"
	views := oracle.Read[float32](t, file, "views")
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node { return []*graph.Node{JensenShannon(in...)} })
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(views[:20], 5, 4),
		tensors.FromFlatDataAndDimensions(views[20:], 5, 4))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tensors.ToScalar[float32](out[0]), oracle.Read[float64](t, file, "divergence")[0]; !approx.Equal(got,
		want, 1e-6) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A channel that never changes is divided by 1.
func TestStatisticsAreByChannel(t *testing.T) {
	mean, std, err := Statistics(tensors.FromFlatDataAndDimensions([]float32{0.5, 0, 0.5, 1, 0.5, 0.25, 0.5, 0.75},
		2, 1, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(slices.Concat(mean, std), []float64{0.5, 0.5, 1, math.Sqrt(0.15625)}, 1e-7); err != nil {
		t.Error(err)
	}
}

// Two classes are enough for each network, one is not; a LeNet takes six pixels and no fewer.
func TestTheSmallestNetworks(t *testing.T) {
	for name, network := range map[string]func(side, classes int) (*model.Model, error){
		"LeNet": func(side, classes int) (*model.Model, error) {
			return LeNet{}.Make(model.Spec{Height: side, Width: side, Channels: 1}, classes, 1)
		},
		"ViT": func(side, classes int) (*model.Model, error) {
			return ViT{Patch: 2}.Make(model.Spec{Height: side, Width: side, Channels: 1}, classes, 1)
		},
		"MLP": func(side, classes int) (*model.Model, error) {
			return MLP(model.Spec{Height: side, Width: side, Channels: 1}, classes, 1, 5, 4)
		},
		"CNN": func(side, classes int) (*model.Model, error) {
			return SmallCNN(model.Spec{Height: side, Width: side, Channels: 1}, classes, 1, 4, 4)
		},
	} {
		m, err := network(6, 2)
		if err != nil || m.NumClasses() != 2 {
			t.Errorf("%s of two classes: %v", name, err)
			continue
		}
		if want := map[string]string{"ViT": "small ViT", "CNN": "small CNN"}[name]; m.Name() != cmp.Or(want, name) {
			t.Errorf("%s is called %q", name, m.Name())
		}
		var layers []string
		for _, l := range m.Layers() {
			layers = append(layers, l.Name)
		}
		if name == "MLP" && (!slices.Contains(layers, "relu1") || !slices.Contains(layers, "relu2") ||
			slices.Contains(layers, "relu3")) {
			t.Errorf("the layers of the MLP are %v", layers)
		}
		if _, err := network(6, 1); err == nil || !strings.Contains(err.Error(), "a classifier of 1 classes") {
			t.Errorf("%s of one class: %v", name, err)
		}
	}
	named := model.Spec{Name: "mine", Height: 6, Width: 6, Channels: 1}
	lenet, err1 := LeNet{}.Make(named, 2, 1)
	mlp, err2 := MLP(named, 2, 1, 1)
	if err1 != nil || err2 != nil || lenet.Name() != "mine" || mlp.Name() != "mine" {
		t.Errorf("%v, %v", err1, err2)
	}
	for _, side := range [][2]int{{5, 6}, {6, 5}} {
		if _, err := (LeNet{}).Make(model.Spec{Height: side[0], Width: side[1], Channels: 1}, 2, 1); err == nil ||
			!strings.Contains(err.Error(), "6 x 6") {
			t.Errorf("a LeNet of %v pixels: %v", side, err)
		}
	}
}

// Each bound of a recipe is refused beyond it and taken on it.
func TestRecipesAreCheckedAtTheirBounds(t *testing.T) {
	fine := Recipe{Epochs: 1, BatchSize: 10, LearningRate: 0.1, Momentum: 0.5}
	for name, c := range map[string]struct {
		on, beyond func(r *Recipe)
	}{
		"batch":         {func(r *Recipe) { r.BatchSize = 10 }, func(r *Recipe) { r.BatchSize = 11 }},
		"one image":     {func(r *Recipe) { r.BatchSize = 1 }, func(r *Recipe) { r.BatchSize = 0 }},
		"epochs":        {func(r *Recipe) { r.Epochs = 1 }, func(r *Recipe) { r.Epochs = 0 }},
		"learning rate": {func(r *Recipe) { r.LearningRate = 1e-9 }, func(r *Recipe) { r.LearningRate = 0 }},
		"momentum":      {func(r *Recipe) { r.Momentum = 0 }, func(r *Recipe) { r.Momentum = -0.01 }},
		"most momentum": {func(r *Recipe) { r.Momentum = 0.999 }, func(r *Recipe) { r.Momentum = 1 }},
		"decay":         {func(r *Recipe) { r.WeightDecay = 0.5 }, func(r *Recipe) { r.WeightDecay = math.Inf(1) }},
		"weight decay":  {func(r *Recipe) { r.WeightDecay = 0 }, func(r *Recipe) { r.WeightDecay = -0.01 }},
		"input dropout": {func(r *Recipe) { r.InputDropout = 0 }, func(r *Recipe) { r.InputDropout = -0.01 }},
		"most dropout":  {func(r *Recipe) { r.InputDropout = 0.99 }, func(r *Recipe) { r.InputDropout = 1 }},
		"attack": {func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 0.1, Steps: 1, StepSize: 0.1} },
			func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 0.1, StepSize: -0.01} }},
		"no attack": {func(r *Recipe) { r.Adversarial = Adversarial{} },
			func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: -0.01} }},
		"its radius": {func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 1e6} },
			func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: math.Inf(1)} }},
		"its steps": {func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 0.1} },
			func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 0.1, Steps: -1} }},
		"Adam":     {func(r *Recipe) { r.Adam, r.Momentum = true, 0 }, func(r *Recipe) { r.Adam = true }},
		"Nesterov": {func(r *Recipe) { r.Nesterov = true }, func(r *Recipe) { r.Nesterov, r.Momentum = true, 0 }},
	} {
		r := fine
		c.on(&r)
		if err := r.check(10); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r = fine
		c.beyond(&r)
		if err := r.check(10); err == nil {
			t.Errorf("%s: %+v is taken", name, r)
		}
	}
}

// gonum multiplies the same.
func TestProductsAreGonums(t *testing.T) {
	m, by := []float64{1, 2, 3, 4, 5, 6}, []float64{0.5, -1, 2, 3, 1, 0, -2, 1, 1}
	var want mat.Dense
	want.Mul(mat.NewDense(2, 3, m), mat.NewDense(3, 3, by))
	for name, multiply := range map[string]func([]float64, int, int, *tensors.Tensor) error{"single": multiply[float32],
		"double": multiply[float64]} {
		got := slices.Clone(m)
		if err := multiply(got, 2, 3, tensors.FromFlatDataAndDimensions(by, 3, 3)); err != nil {
			t.Fatal(err)
		}
		if err := approx.All(got, want.RawMatrix().Data, 1e-6); err != nil {
			t.Errorf("%s precision: %v", name, err)
		}
	}
}

// Weights are drawn with the variance 2/fan-in of He et al., of which a sample of n has an error of 2/n of its square.
func TestWeightsHaveHesVariance(t *testing.T) {
	m, err := LeNet{}.Make(model.Spec{Height: 12, Width: 12, Channels: 3}, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	fanIn := map[string]float64{"conv1.weight": 27, "conv2.weight": 288, "hidden.weight": 1024, "linear.weight": 128}
	seen := 0
	for name, w := range m.Weights() {
		flat := tensors.MustCopyFlatData[float32](w)
		var squares float64
		for _, v := range flat {
			squares += float64(v) * float64(v)
		}
		n := float64(len(flat))
		if in := fanIn[name]; in > 0 {
			seen++
			if !approx.Equal(squares/n*in/2, 1, 4*math.Sqrt(2/n)) {
				t.Errorf("%s has the variance %v, want %v", name, squares/n, 2/in)
			}
		} else if squares != 0 {
			t.Errorf("%s is not 0", name)
		}
	}
	if seen != 4 {
		t.Errorf("%d weights", seen)
	}
}

// Among several λ each fit begins at the last one's solution: the same λ once more takes hardly a step.
func TestFitsBeginAtTheLastOnesSolution(t *testing.T) {
	features, labels, _ := digits(t)
	chosen, err := LogisticRegression{Tolerance: 1e-5}.Choose(features, labels, 10, features, labels, []float64{10, 10})
	if err != nil || len(chosen) != 2 || chosen[0].Iterations < 10 || chosen[1].Iterations > 2 {
		t.Errorf("%+v (%v)", chosen, err)
	}
}
