package learn

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is PyTorch's SGD, with the attack of the robustness library: bench/oracles/training.py. After six steps in
// single precision weights, running statistics and losses must agree to 1e-5.
func TestStepsAgreeWithPyTorch(t *testing.T) {
	scales := tensors.MustCopyFlatData[float32](oracle.Sines(0.3, 2000, 4))
	for i := range scales {
		scales[i]++
	}
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"conv.weight": oracle.Sines(0.4, 0, 3, 3, 2, 4), "conv.bias": oracle.Sines(0.1, 1000, 4),
		"bn.weight": tensors.FromFlatDataAndDimensions(scales, 4), "bn.bias": oracle.Sines(0.1, 3000, 4),
		"bn.running_mean": oracle.Sines(0, 0, 4), "bn.running_var": tensors.FromFlatDataAndDimensions([]float32{1, 1, 1, 1},
			4),
		"linear.weight": oracle.Sines(1, 4000, 3, 4), "linear.bias": oracle.Sines(0.1, 5000, 3),
	}, model.Spec{Height: 6, Width: 5, Channels: 2}, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu", b.BatchNorm("bn", b.Conv2D("conv", x, 1, 1), 1e-5))
		return b.Linear("linear", graph.ReduceMean(x, 1, 2))
	})
	if err != nil {
		t.Fatal(err)
	}
	images := oracle.Pixels(8, 6, 5, 2)
	golden, err := npz.Open("testdata/sgd.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for name, r := range map[string]Recipe{
		"plain":       {},
		"momentum":    {Momentum: 0.9},
		"nesterov":    {Momentum: 0.9, Nesterov: true, WeightDecay: 0.05},
		"adversarial": {Momentum: 0.9, Adversarial: Adversarial{Epsilon: 0.4, StepSize: 0.3, Steps: 3}},
	} {
		r.Epochs, r.BatchSize, r.LearningRate = 6, 8, 0.1 // one batch an epoch, whose order does not matter
		trained, history, err := r.Train(m, images, []int{0, 1, 2, 0, 1, 2, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		var losses []float64
		if err := golden.Read(name+"_loss.npy", &losses); err != nil {
			t.Fatal(err)
		}
		for i, want := range losses {
			worst = max(worst, math.Abs(history[i].Loss-want))
		}
		for weight, got := range weightsOf(t, trained) {
			var want []float32
			if err := golden.Read(name+"_"+weight+".npy", &want); err != nil {
				t.Fatal(err)
			}
			for i, v := range want {
				worst = max(worst, math.Abs(float64(got[i]-v)))
			}
		}
		if !approx.Equal(worst, 0, 1e-5) {
			t.Errorf("%s: weights or losses differ from PyTorch's by %g", name, worst)
		}
		t.Logf("%s: largest difference %.2g", name, worst)
	}
}

// The oracle is optax: bench/oracles/smoothing.py. After six steps of a linear classifier in single precision weights
// and losses must agree to 1e-5.
func TestLabelSmoothingAgreesWithOptax(t *testing.T) {
	m, err := MLP(model.Spec{Height: 3, Width: 2, Channels: 1}, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.WithWeights(map[string]*tensors.Tensor{"linear.weight": oracle.Sines(1, 0, 4, 6),
		"linear.bias": oracle.Sines(0.1, 1000, 4)}); err != nil {
		t.Fatal(err)
	}
	images := oracle.Pixels(8, 3, 2, 1)
	golden, err := npz.Open("testdata/smoothing.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for name, share := range map[string]float64{"none": 0, "tenth": 0.1, "most": 0.7} {
		r := Recipe{Epochs: 6, BatchSize: 8, LearningRate: 0.5, LabelSmoothing: share}
		trained, history, err := r.Train(m, images, []int{0, 1, 2, 3, 0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		var losses []float64
		for _, epoch := range history {
			losses = append(losses, epoch.Loss)
		}
		weights := weightsOf(t, trained)
		for what, got := range map[string][]float64{"loss": losses, "weight": wide(weights["linear.weight"]),
			"bias": wide(weights["linear.bias"])} {
			var want []float64
			if err := golden.Read(name+"_"+what+".npy", &want); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%s: %d values of %s, want %d", name, len(got), what, len(want))
			}
			for i := range want {
				if !(math.Abs(got[i]-want[i]) < 1e-5) {
					t.Errorf("%s: %s %d is %v, want %v", name, what, i, got[i], want[i])
				}
			}
		}
	}
}

func wide(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
