package learn

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
	"github.com/loupeml/loupe/lib/privacy"
)

// groupNorm is PyTorch's GroupNorm, eps 1e-5, by graph functions of a network.
func groupNorm(b *model.Builder, name string, x *graph.Node, groups int) *graph.Node {
	d := x.Shape().Dimensions
	x = graph.Reshape(x, d[0], d[1]*d[2], groups, d[3]/groups)
	x = graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, 1, 3))
	x = graph.Div(x, graph.Sqrt(graph.AddScalar(graph.ReduceAndKeep(graph.Square(x), graph.ReduceMean, 1, 3), 1e-5)))
	of := func(part string) *graph.Node { return graph.Reshape(b.Weight(name+part), 1, 1, 1, d[3]) }
	return graph.Add(graph.Mul(graph.Reshape(x, d...), of(".weight")), of(".bias"))
}

func privateNet(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"conv1.weight": wave(0, 0.4, 0, 3, 3, 2, 4), "conv1.bias": wave(0, 0.1, 1000, 4),
		"norm.weight": wave(1, 0.3, 2000, 4), "norm.bias": wave(0, 0.1, 3000, 4),
		"conv2.weight": wave(0, 0.4, 6000, 3, 3, 4, 6), "conv2.bias": wave(0, 0.1, 7000, 6),
		"linear.weight": wave(0, 1, 4000, 3, 6), "linear.bias": wave(0, 0.1, 5000, 3),
	}, model.Spec{Name: "private", Height: 6, Width: 5, Channels: 2}, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu1", groupNorm(b, "norm", b.Conv2D("conv1", x, 2, 1), 2))
		x = b.ReLU("relu2", b.Conv2D("conv2", x, 1, 1))
		return b.Linear("linear", b.Features(graph.ReduceMean(x, 1, 2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func privateData(t *testing.T) *Tensors {
	t.Helper()
	data, err := FromTensors(pixelWave(8, 6, 5, 2), []int{0, 1, 2, 0, 1, 2, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sums are the sums of the clipped gradients, which a step of SGD takes off the weights.
func sums(t *testing.T, m *model.Model, data *Tensors, d DP, augment ...Augmentation) map[string][]float32 {
	t.Helper()
	n := data.Len()
	trained, err := Run{Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: Shuffled(n), Step: classify,
		Gradient: d, Augment: augment,
		Optimizer: SGD{LearningRate: float64(n)}, Steps: 1}.Do()
	if err != nil {
		t.Fatal(err)
	}
	before, out := weightsOf(t, m), map[string][]float32{}
	for name, w := range weightsOf(t, trained.Net()) {
		for i := range w {
			out[name] = append(out[name], before[name][i]-w[i])
		}
	}
	return out
}

// The oracle is opacus, bench/oracles/persample.py: sums of clipped gradients and weights after three steps agree to
// 1e-5, whether the gradients come of the batch or of an example at a time.
func TestPrivateStepsAgreeWithOpacus(t *testing.T) {
	const file = "testdata/persample.npz"
	m, data := privateNet(t), privateData(t)
	for _, micro := range []int{0, 1, 3} {
		for name, got := range sums(t, m, data, DP{Clip: 0.5, Microbatch: micro}) {
			if err := approx.All(got, oracle.Read[float32](t, file, "sum_"+name), 1e-5); err != nil {
				t.Errorf("microbatches of %d: %s: %v", micro, name, err)
			}
		}
		trained, err := Run{Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: Shuffled(8), Step: classify,
			Gradient:  DP{Clip: 0.5, Microbatch: micro},
			Optimizer: SGD{LearningRate: 0.5, Momentum: 0.9}, Steps: 3}.Do()
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range weightsOf(t, trained.Net()) {
			if err := approx.All(got, oracle.Read[float32](t, file, "after_"+name), 1e-5); err != nil {
				t.Errorf("microbatches of %d: %s after three steps: %v", micro, name, err)
			}
		}
	}
}

// The norms of the gradients of single examples are opacus', to 1e-5 of each.
func TestNormsOfExamplesAgreeWithOpacus(t *testing.T) {
	m, data := privateNet(t), privateData(t)
	want := oracle.Read[float32](t, "testdata/persample.npz", "norms")
	for k, norm := range want {
		images, err := data.Read([]int{k}, 0)
		if err != nil {
			t.Fatal(err)
		}
		one, err := FromTensors(images[0], []int{k % 3})
		if err != nil {
			t.Fatal(err)
		}
		square := 0.0
		for _, g := range sums(t, m, one, DP{Clip: 1e6}) {
			for _, v := range g {
				square += float64(v) * float64(v)
			}
		}
		if got := math.Sqrt(square); !approx.Equal(got/float64(norm), 1, 1e-5) {
			t.Errorf("the gradient of example %d has the norm %v, opacus says %v", k, got, norm)
		}
	}
}

// Gradients of a batch's examples are those of each alone, for the networks of this package, with views, weight
// standardisation and tokens.
func TestGradientsOfABatchAreThoseOfItsExamples(t *testing.T) {
	spec := model.Spec{Height: 8, Width: 8, Channels: 1, Mean: []float64{0.4}, Std: []float64{0.25}}
	images, labels := bars(6, 3)
	data, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	vit, err := ViT{Width: 8, Depth: 1, Heads: 2, Patch: 4}.Make(spec, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	mlp, err := MLP(spec, 3, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	standardised, err := model.FromTensors(map[string]*tensors.Tensor{"conv.weight": wave(0.1, 0.4, 0, 3, 3, 1, 4),
		"gain": wave(1, 0.1, 9, 4), "linear.weight": wave(0, 1, 50, 3, 4)},
		spec, func(b *model.Builder, x *graph.Node) *graph.Node {
			w := b.Weight("conv.weight")
			w = graph.Sub(w, graph.ReduceAndKeep(w, graph.ReduceMean, 0, 1, 2))
			// more than some have
			least := graph.Sqrt(graph.MaxScalar(graph.ReduceAndKeep(graph.Square(w), graph.ReduceSum, 0, 1, 2), 0.6))
			w = graph.Mul(graph.Div(w, least), graph.Reshape(b.Weight("gain"), 1, 1, 1, 4))
			x = graph.Max(graph.ZerosLike(graph.Convolve(x, w).Strides(2).NoPadding().Done()),
				graph.Convolve(x, w).Strides(2).NoPadding().Done())
			return b.Linear("linear", b.Features(graph.ReduceMean(x, 1, 2)))
		})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		m     *model.Model
		views Views
	}{"small CNN": {network(t, 1), 3}, "MLP": {mlp, 2}, "ViT": {vit, 2}, "weight standardisation": {standardised, 1}} {
		batch := sums(t, c.m, data, DP{Clip: 0.3}, c.views, shifted)
		alone := sums(t, c.m, data, DP{Clip: 0.3, Microbatch: 1}, c.views, shifted)
		length := 0.0
		for weight, got := range batch {
			if err := approx.All(got, alone[weight], 1e-5); err != nil {
				t.Errorf("%s: %s: %v", name, weight, err)
			}
			for _, v := range got {
				length += float64(v) * float64(v)
			}
		}
		if length = math.Sqrt(length); !(length > 0.1 && length <= 6*0.3+1e-5) {
			t.Errorf("%s: six gradients of at most 0.3 add up to the length %v", name, length)
		}
	}
}

// The network that De et al. train is one whose examples are told apart in a batch.
func TestTheWideNetworkIsSeparable(t *testing.T) {
	images, labels := bars(6, 3)
	data, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := networks.PrivateWideResNet{}.Make(model.Spec{Height: 8, Width: 8, Channels: 1}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	run := Run{Nets: map[string]*model.Model{"net": wide}, Data: data, Sampler: Shuffled(6), Step: classify,
		Gradient: DP{Clip: 1}, Augment: []Augmentation{Views(2)},
		Optimizer: SGD{LearningRate: 1}, Steps: 1}
	if _, err := run.plan(); err != nil { // which builds the gradient and compiles nothing
		t.Error(err)
	}
}

// shifted tells the views of an example apart without drawing: each is darker than the one before.
var shifted = darker{}

type darker struct{}

func (darker) Augment(b *Batch) {
	x := b.Images()
	d := x.Shape().Dimensions
	factors := make([]float32, d[0])
	for i := range factors {
		factors[i] = 1 - 0.2*float32(i%b.Views())
	}
	b.Set(Images, graph.Mul(x, graph.Reshape(graph.Const(b.Graph(), factors), d[0], 1, 1, 1)))
}

// Without noise, and clipping nothing, it is plain SGD; the noise has the deviation that it says.
func TestNoiseHasItsDeviation(t *testing.T) {
	m, data := network(t, 1), examples(t, 40, 1)
	run := Run{Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: Shuffled(20), Step: classify,
		Optimizer: SGD{LearningRate: 0.1, Momentum: 0.9}, Steps: 4}
	plain, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	run.Gradient = DP{Clip: 1e4}
	clipped, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	want := weightsOf(t, plain.Net())
	for name, w := range weightsOf(t, clipped.Net()) {
		if err := approx.All(w, want[name], 1e-5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	run.Gradient, run.Steps, run.Sampler, run.Optimizer = DP{Clip: 0.01, Noise: 50, UnitNorm: true, Delta: 1e-5}, 1,
		Poisson(0.5), SGD{LearningRate: 20}
	noisy, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	before, square, n := weightsOf(t, m), 0.0, 0.0
	for name, w := range weightsOf(t, noisy.Net()) {
		for i := range w {
			off := float64(w[i] - before[name][i])
			square, n = square+off*off, n+1
		}
	}
	// 20/(20·0.01)·(the clipped sum, at most 20·0.01 long, and noise of 50·0.01): 50 each, to a tenth with 8,000 weights.
	if got := math.Sqrt(square / n); !approx.Equal(got, 50, 2) {
		t.Errorf("the noise of %v weights has the deviation %v, want 50", n, got)
	}
	if want := (privacy.Account{Phases: []privacy.Phase{{Noise: 50, Rate: 0.5, Steps: 1}}}); noisy.Private == nil ||
		!reflect.DeepEqual(*noisy.Private, want) {
		t.Errorf("the account is %+v", noisy.Private)
	}
	if plain.Private != nil {
		t.Error("plain training calls itself private")
	}
}

// A budget is spent and not more. The account is told what it cannot count.
func TestABudgetIsSpent(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Poisson(0.1),
		Step: classify, Optimizer: SGD{LearningRate: 0.1}, Steps: 12,
		Gradient: DP{Clip: 1, TargetEpsilon: 2, Delta: 1e-3}}
	trained, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	spent, err := trained.Private.Epsilon(1e-3)
	if err != nil {
		t.Fatal(err)
	}
	if !(spent.Epsilon <= 2 && spent.Epsilon > 1.99) || !spent.Vouched() {
		t.Errorf("%v is spent of 2, with %v", spent, spent.Caveats())
	}
	run.Sampler, run.Every = Shuffled(4),
		[]Hook{Evaluate{Name: "v", Measure: func(*model.Model) (float64, error) { return 1, nil }}, KeepBest{}}
	if trained, err = run.Do(); err != nil {
		t.Fatal(err)
	}
	if !trained.Private.Shuffled || !trained.Private.LookedAt {
		t.Errorf("the account is %+v", trained.Private)
	}
}

func TestPrivateTrainingRefuses(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Shuffled(10),
		Step: classify, Optimizer: SGD{LearningRate: 0.1}, Steps: 1, Gradient: DP{Clip: 1}}
	for says, change := range map[string]func(r *Run){
		"set Clip":         func(r *Run) { r.Gradient = DP{} },
		"the noise is -1":  func(r *Run) { r.Gradient = DP{Clip: 1, Noise: -1} },
		"not both":         func(r *Run) { r.Gradient = DP{Clip: 1, Noise: 1, TargetEpsilon: 1} },
		"δ is 0":           func(r *Run) { r.Gradient = DP{Clip: 1, TargetEpsilon: 1} },
		"δ is 1":           func(r *Run) { r.Gradient = DP{Clip: 1, Delta: 1} },
		"microbatches of ": func(r *Run) { r.Gradient = DP{Clip: 1, Microbatch: -2} },
		"bn.running_mean is a statistic of the batch, so that": func(r *Run) {
			r.Nets = map[string]*model.Model{"net": normNet(t, 1)}
		},
		"private training has no Plus": func(r *Run) {
			r.Step = func(s *Step) Loss {
				loss := classify(s)
				loss.Plus = graph.ReduceAllSum(graph.Square(s.Weight("net", "linear.bias")))
				return loss
			}
		},
		"may mix the examples of a batch: it goes over the first axis. With Microbatch: 1": func(r *Run) {
			r.Step = func(s *Step) Loss {
				logits := s.Call("net", s.Images()).Logits
				return s.Classification(graph.Sub(logits, graph.ReduceAndKeep(logits, graph.ReduceMean, 0)))
			}
		},
	} {
		run := run
		change(&run)
		if _, err := run.Do(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}
