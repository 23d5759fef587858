package loupe

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/sound"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// What a family computes depends on its settings, not on those that it was called with before: on one model, each
// setting in turn gives what a fresh model gives, whose programs are its own.
func TestNothingIsStale(t *testing.T) {
	spec := model.Spec{Height: 12, Width: 12, Channels: 3, Mean: []float64{0.4, 0.5, 0.6}, Std: []float64{0.2, 0.3, 0.25}}
	weights := must(learn.SmallCNN(spec, 4, 3, 5, 6)).Weights()
	rng := rand.New(rand.NewPCG(1, 1))
	for name, w := range weights {
		if w.Rank() == 1 { // biases, which start as 0
			bias := make([]float32, w.Size())
			for i := range bias {
				bias[i] = float32(0.3 * rng.NormFloat64())
			}
			weights[name] = tensors.FromFlatDataAndDimensions(bias, len(bias))
		}
	}
	fresh := func() *model.Model {
		// An architecture of its own, so that no program is shared.
		proto := must(learn.SmallCNN(spec, 4, 3, 5, 6))
		return must(must(proto.Extend("fresh", nil, nil, sameLogits)).WithWeights(weights))
	}
	flat := make([]float32, 3*12*12*3)
	for i := range flat {
		flat[i] = float32(0.5 + 0.5*math.Sin(float64(i*i)))
	}
	x := tensors.FromFlatDataAndDimensions(flat, 3, 12, 12, 3)
	others := tensors.FromFlatDataAndDimensions(append([]float32(nil), flat[:2*12*12*3]...), 2, 12, 12, 3)
	of := func(method attrib.Method) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(method.Attribute(m, x, []int{1})).Values)
		}
	}
	order := func(by mask.BackSelector) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(must(by.BackSelect(m, x, 1)).Last(0.3)))
		}
	}
	attacked := func(a interface {
		Maximize(m *model.Model, images *tensors.Tensor, classes []int) (*attack.AdversarialExamples, error)
	}) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(a.Maximize(m, x, []int{1})).Images)
		}
	}
	masks := func(l sound.Masks) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			l.Others = others
			learned := must(l.Learn(m, x, [][]int{{1}, {2}, {0}}))
			var losses []float32
			for _, of := range learned.Loss {
				for _, steps := range of {
					losses = append(losses, float32(len(steps)), float32(steps[len(steps)-1]))
				}
			}
			return losses
		}
	}
	relevance := func(c lrp.CRP, layer string) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(c.Relevance(m, x, []int{1}, layer)))
		}
	}
	heat := func(c lrp.CRP, conditions ...lrp.Condition) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(c.Heatmaps(m, x, []int{1}, conditions...)))
		}
	}
	activation := func(feature int) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(m.Activations("pool2", x)))[feature:]
		}
	}
	families := map[string][]func(m *model.Model) []float32{
		"gradient": {of(attrib.Gradient{}), of(attrib.Gradient{Abs: true}), of(attrib.InputXGradient{})},
		"integrated gradients": {of(attrib.IntegratedGradients{Steps: 4}), of(attrib.IntegratedGradients{Steps: 9}),
			of(attrib.IntegratedGradients{Steps: 4, Riemann: true}),
			of(attrib.IntegratedGradients{Steps: 4, Baseline: mask.Constant(0.7)})},
		"SmoothGrad": {of(attrib.SmoothGrad{Samples: 5}), of(attrib.SmoothGrad{Samples: 7}),
			of(attrib.SmoothGrad{Samples: 5, Level: 0.5}), of(attrib.SmoothGrad{Samples: 5, Seed: 3})},
		"Grad-CAM": {of(attrib.GradCAM{Signed: true}), of(attrib.GradCAM{Layer: "pool1", Signed: true}),
			of(attrib.GradCAM{Layer: "conv1", Signed: true}), of(attrib.GradCAM{Layer: "conv1"})},
		"Grad-CAM++": {of(attrib.GradCAMPlusPlus{Layer: "pool1"}), of(attrib.GradCAMPlusPlus{Layer: "conv1"}),
			of(attrib.LayerCAM{Layer: "conv1"})},
		"Score-CAM": {of(attrib.ScoreCAM{Layer: "pool1"}), of(attrib.ScoreCAM{Layer: "conv1"}),
			of(attrib.ScoreCAM{Layer: "conv1", Fill: mask.Constant(0.7)})},
		"DeepLIFT": {of(attrib.DeepLIFT{}), of(attrib.DeepLIFT{Baseline: mask.Constant(0.7)}),
			of(attrib.GuidedBackprop{})},
		"GradientSHAP": {of(attrib.GradientSHAP{Samples: 5}), of(attrib.GradientSHAP{Samples: 7}),
			of(attrib.GradientSHAP{Samples: 5, Level: 0.5}), of(attrib.GradientSHAP{Samples: 5, Seed: 3})},
		"noise tunnel": {of(attrib.NoiseTunnel{Samples: 5}), of(attrib.NoiseTunnel{Samples: 5, Of: attrib.MeanSquare}),
			of(attrib.NoiseTunnel{Samples: 5, Of: attrib.Variance}),
			of(attrib.NoiseTunnel{Method: attrib.InputXGradient{}, Samples: 5})},
		"occlusion": {of(attrib.Occlusion{Window: 4, Stride: 2}), of(attrib.Occlusion{Window: 4, Stride: 4}),
			of(attrib.Occlusion{Window: 3, Stride: 2}), of(attrib.Occlusion{Window: 4, Stride: 2, Fill: mask.Constant(0)})},
		"LRP": {of(lrp.LRP{}), of(lrp.LRP{Composite: lrp.EpsilonPlus()}), of(lrp.LRP{Composite: lrp.EpsilonAlpha2Beta1()}),
			of(lrp.LRP{Composite: lrp.EpsilonGammaBox()}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.1}}}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.3}}}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.1}, ZeroBias: true}}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.1},
				Named: map[string]lrp.Rule{"conv2": lrp.Gamma{Gamma: 0.5}}}}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.1},
				Named: map[string]lrp.Rule{"conv2": lrp.Gamma{Gamma: 0.1}}}}),
			of(lrp.LRP{Composite: lrp.Composite{Dense: lrp.Epsilon{Epsilon: 0.1},
				Named: map[string]lrp.Rule{"conv1": lrp.Gamma{Gamma: 0.1}}}})},
		"CRP": {relevance(lrp.CRP{}, "conv1"), relevance(lrp.CRP{}, "conv2"),
			relevance(lrp.CRP{Composite: lrp.EpsilonAlpha2Beta1()}, "conv1"),
			heat(lrp.CRP{}, lrp.Condition{"conv2": {0}}), heat(lrp.CRP{}, lrp.Condition{"conv1": {0}}),
			heat(lrp.CRP{}, lrp.Condition{"conv2": {1}}),
			heat(lrp.CRP{}, lrp.Condition{"conv2": {0}, "conv1": {1}}), heat(lrp.CRP{Composite: lrp.EpsilonPlus()},
				lrp.Condition{"conv2": {0}})},
		"batched gradient SIS": {order(mask.BatchedGradientSIS{K: 10}), order(mask.BatchedGradientSIS{K: 20}),
			order(mask.BatchedGradientSIS{K: 10, TieNoise: 0.3}),
			order(mask.BatchedGradientSIS{K: 10, Filler: mask.Constant(1)})},
		"APGD": {attacked(attack.APGD{Eps: 0.5, Steps: 5}), attacked(attack.APGD{Eps: 1, Steps: 5}),
			attacked(attack.APGD{Eps: 3, Steps: 60}), attacked(attack.APGD{Eps: 3, Steps: 60, Rho: 0.1}),
			attacked(attack.APGD{Eps: 0.5, Steps: 5, Norm: attack.LInf}), attacked(attack.APGD{Eps: 0.5, Steps: 5, Seed: 4})},
		"feature attack": {attacked(attack.FeatureAttack{Size: 1, Steps: 3}),
			attacked(attack.FeatureAttack{Size: 2, Steps: 3}), attacked(attack.FeatureAttack{Size: 1, Steps: 6})},
		"masks that are learnt": {masks(sound.Masks{Steps: 10, Fillers: 2}), masks(sound.Masks{Steps: 60, Fillers: 2}),
			masks(sound.Masks{Steps: 10, Fillers: 3}), masks(sound.Masks{Steps: 10, Fillers: 2, L1: 0.1}),
			masks(sound.Masks{Steps: 10, Fillers: 2, TV: 0.1}), masks(sound.Masks{Steps: 10, Fillers: 2, Scale: 3}),
			masks(sound.Masks{Steps: 10, Fillers: 2, LearningRate: 0.2}),
			masks(sound.Masks{Steps: 10, Fillers: 2, Loss: sound.DoubleSoftmax})},
		"activations": {activation(0), activation(1)},
	}
	for family, settings := range families {
		t.Run(family, func(t *testing.T) {
			m := fresh()
			var before [][]float32
			for i, ask := range settings {
				want := ask(fresh())
				for again := range 2 { // the first call compiles, the second one does not
					got := ask(m)
					if e := apart(got, want); !(e <= 1e-4) {
						t.Errorf("setting %d, call %d: %.2g of the largest value away from a fresh model's", i, again, e)
					}
				}
				for k, other := range before {
					if reflect.DeepEqual(other, want) {
						t.Errorf("settings %d and %d give the same: the test cannot tell them apart", k, i)
					}
				}
				before = append(before, want)
			}
		})
	}
}

func sameLogits(_ *model.Builder, out model.Outputs) *graph.Node { return out.Logits }

// apart is the largest difference, as a share of the largest value.
func apart(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var most, scale float64
	for i := range a {
		most, scale = max(most, math.Abs(float64(a[i]-b[i]))), max(scale, math.Abs(float64(b[i])))
	}
	if scale == 0 {
		panic("all values are 0")
	}
	return most / scale
}

// An image is given the same noise, whatever other images are explained with it and however many at once.
func TestSmoothGradDoesNotDependOnTheBatch(t *testing.T) {
	spec := model.Spec{Height: 12, Width: 12, Channels: 3}
	flat := make([]float32, 9*12*12*3)
	for i := range flat {
		flat[i] = float32(0.5 + 0.5*math.Sin(float64(i*i)))
	}
	size := len(flat) / 9
	explain := func(batch int, images []float32) []float32 {
		m := must(learn.SmallCNN(spec, 4, 3, 5, 6))
		m.BatchSize = batch
		x := tensors.FromFlatDataAndDimensions(images, len(images)/size, 12, 12, 3)
		return tensors.MustCopyFlatData[float32](must(attrib.SmoothGrad{Samples: 6, Seed: 1}.Attribute(m, x,
			[]int{1})).Values)
	}
	want := explain(8, append([]float32(nil), flat...))
	for batch, got := range map[int][]float32{3: explain(3, append([]float32(nil), flat...)),
		64: explain(64, append([]float32(nil), flat...))} {
		if e := apart(got, want); !(e < 1e-4) {
			t.Errorf("in batches of %d: %.2g of the largest value away from batches of 8", batch, e)
		}
	}
	if e := apart(explain(8, append([]float32(nil), flat[4*size:5*size]...)), want[4*size:5*size]); !(e < 1e-4) {
		t.Errorf("alone: %.2g of the largest value away", e)
	}
}

// A dataset that has been prepared is not prepared again, which would crop it twice.
func TestPreparedIsPreparedOnce(t *testing.T) {
	m := must(must(learn.SmallCNN(model.Spec{Height: 10, Width: 10, Channels: 3, Resize: 16}, 3, 1)).Renamed("small"))
	flat := make([]float32, 2*20*20*3)
	for i := range flat {
		flat[i] = float32(0.5 + 0.5*math.Sin(float64(i*i)))
	}
	raw := must(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, 2, 20, 20, 3), []int{0, 1}, nil))
	ready := Prepare(m, raw)
	want := TopK(m, raw, 3).Top
	for what, got := range map[string][][]model.Prediction{
		"TopK": TopK(m, ready, 3).Top, "twice": TopK(m, Prepare(m, ready), 3).Top,
		"a subset": TopK(m, Prepare(m, ready.Subset([]int{0, 1})), 3).Top,
		"Answers":  must(must(m.Answers(ready)).Top(3)),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if !reflect.DeepEqual(tensors.MustCopyFlatData[float32](Images(m, ready)),
		tensors.MustCopyFlatData[float32](Images(m, raw))) {
		t.Error("Images prepares twice")
	}
}

// A dataset that was prepared for one model would show another what the first left of it.
func TestPreparedForAnotherModelIsAnError(t *testing.T) {
	of := func(name string, height int) *model.Model {
		return must(model.FromFunc(model.Spec{Name: name, Height: height, Width: height, Channels: 3},
			func(x *graph.Node) *graph.Node {
				return graph.ReduceMean(x, 1, 2)
			}))
	}
	small, large, alike := of("small", 8), of("large", 16), of("alike", 8)
	raw := must(data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 2*24*30*3), 2, 24, 30, 3), nil, nil))
	for _, ready := range []*data.Dataset{Prepare(small, raw), raw.Map(small.Prepare()...)} {
		if Prepare(alike, ready) != ready {
			t.Error("what another model takes alike is prepared again")
		}
		message := panicOf(func() { TopK(large, ready, 1) })
		for _, want := range []string{"small", "resize to 8 x 8", "large", "resize to 16 x 16"} {
			if !strings.Contains(message, want) {
				t.Errorf("the error is %q, want %q in it", message, want)
			}
		}
	}
	own := raw.Map(data.Resize(20, 20))
	if x := Images(large, own); x.Shape().Dimensions[1] != 16 {
		t.Errorf("resized by hand, it is prepared to %s", x.Shape())
	}
}

// Predicted classes and their probabilities come from one pass through the network.
func TestTheNetworkRunsOnce(t *testing.T) {
	m, x := redness(), spots()
	asked := func(do func()) int {
		count := testenv.CancelledAfter(1 << 20)
		defer interrupt.Use(count)()
		do()
		return 1<<20 - count.Left
	}
	once := asked(func() { must(m.Logits(x)) })
	for name, do := range map[string]func(){
		"Confidence": func() { Confidence(m, x) }, "Score": func() { Score(m, x, []int{0, 1}) },
	} {
		if got := asked(do); got != once || got == 0 {
			t.Errorf("%s runs the network %d times, want once: %d", name, got, once)
		}
	}
}
