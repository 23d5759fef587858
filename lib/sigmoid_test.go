package loupe

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/sound"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// A network with one sigmoid says what a softmax of (0, z) says, in every family. Its explanations are those of z, up
// to the sign for class 0.
func TestEveryFamilyGoesByTheSigmoid(t *testing.T) {
	const side, k = 6, 3
	score := func(x *graph.Node) *graph.Node { // [N, 1]
		n := x.Shape().Dimensions[0]
		flat := graph.Reshape(x, n, side*side*k)
		w := make([]float32, side*side*k)
		for i := range w {
			w[i] = float32(0.4 * math.Cos(float64(3*i)))
		}
		return graph.Einsum("nd,dk->nk", graph.Tanh(graph.AddScalar(flat, -0.3)), graph.Reshape(graph.Const(x.Graph(), w),
			len(w), 1))
	}
	one := must(model.FromFunc(model.Spec{Name: "one", Height: side, Width: side, Channels: k, Activation: model.Sigmoid},
		score))
	two := must(model.FromFunc(model.Spec{Name: "two", Height: side, Width: side, Channels: k},
		func(x *graph.Node) *graph.Node {
			z := score(x)
			return graph.Concatenate([]*graph.Node{graph.ZerosLike(z), z}, -1)
		}))
	flat := make([]float32, 4*side*side*k)
	for i := range flat {
		flat[i] = float32(0.5 + 0.5*math.Sin(float64(i*i+i)))
	}
	x := tensors.FromFlatDataAndDimensions(flat, 4, side, side, k)
	labels := []int{1, 0, 1, 0}
	ds := must(data.FromTensor(x, labels, nil))
	of := func(method attrib.Method) func(m *model.Model) []float32 {
		return func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(method.Attribute(m, x, []int{1})).Values)
		}
	}
	wide := func(v []float64) (out []float32) {
		for _, f := range v {
			out = append(out, float32(f))
		}
		return out
	}
	predictions := func(m *model.Model) *uncertainty.Predictions {
		a := must(m.Answers(ds))
		return must(uncertainty.FromAnswers(a))
	}
	for family, ask := range map[string]func(m *model.Model) []float32{
		"probabilities": func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(m.Probabilities(x)))
		},
		"confidence":           func(m *model.Model) []float32 { return wide(Confidence(m, x, labels...)) },
		"gradient":             of(attrib.Gradient{}),
		"integrated gradients": of(attrib.IntegratedGradients{Steps: 5}),
		"SmoothGrad":           of(attrib.SmoothGrad{Samples: 3}),
		"DeepLIFT":             of(attrib.DeepLIFT{}),
		"GradientSHAP":         of(attrib.GradientSHAP{Samples: 5}),
		"KernelSHAP":           of(attrib.KernelSHAP{Side: 2}),
		"occlusion":            of(attrib.Occlusion{Window: 2, Stride: 2}),
		"LRP":                  of(lrp.LRP{}),
		"SIS": func(m *model.Model) []float32 {
			return tensors.MustCopyFlatData[float32](must(must(mask.BatchedGradientSIS{K: 4}.BackSelect(m, x, 1)).Last(0.3)))
		},
		"masks that are learnt": func(m *model.Model) []float32 {
			learned := must(sound.Masks{Steps: 6, Fillers: 2, Others: x}.Learn(m, x, [][]int{{1}, {0}, {1}, {0}}))
			var out []float32
			for _, of := range learned.Loss {
				for _, steps := range of {
					out = append(out, wide(steps)...)
				}
			}
			return out
		},
		"robustness": func(m *model.Model) []float32 {
			r := must(attack.APGD{Eps: 0.5, Steps: 10, Seed: 1}.Robustness(m, x, labels))
			return []float32{float32(r.Clean.Share()), float32(r.Robust.Share()), 1}
		},
		"calibration": func(m *model.Model) []float32 {
			p := predictions(m)
			return append(wide(p.Confidence()), float32(p.NegativeLogLikelihood()), float32(p.Brier()))
		},
		"energy": func(m *model.Model) []float32 {
			return wide(must(ood.OfAnswers(ood.Energy{}, must(m.Answers(ds)))))
		},
	} {
		want, got := ask(two), ask(one)
		if e := apart(got, want); !(e <= 1e-4) {
			t.Errorf("%s: %v, by a softmax %v", family, got[:min(4, len(got))], want[:min(4, len(want))])
		}
	}
	for what, f := range map[string]func(){
		"max logit": func() { must(ood.OfAnswers(ood.MaxLogit{}, must(one.Answers(ds)))) },
		"among":     func() { must(sound.Among(one, 0, 1)) },
	} {
		if got := panicOf(f); got == "<nil>" {
			t.Errorf("%s of a sigmoid is no error", what)
		}
	}
}
