package model

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// The derivative of a gradient is right, by finite differences in double precision, or refused.
func TestASecondDerivativeIsRightOrRefused(t *testing.T) {
	const side, channels = 6, 4
	random := func(rng *rand.Rand, dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	weights := map[string]*tensors.Tensor{
		"conv.weight": random(rng, 3, 3, channels, channels), "even.weight": random(rng, 2, 2, channels, channels),
		"point.weight": random(rng, 1, 1, channels, channels),
		"deep.weight":  random(rng, 3, 3, 1, channels), "dense.weight": random(rng, channels, channels),
		"norm.weight": random(rng, channels), "norm.bias": random(rng, channels), "norm.running_mean": random(rng, channels),
		"norm.running_var": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, channels),
	}
	for _, q := range []string{"query", "key", "value", "out"} {
		weights["attention."+q+".weight"] = random(rng, channels, channels)
	}
	right := map[string]bool{"dense": true, "batch normalisation": true, "layer normalisation": true, "GELU": true,
		"ReLU": true, "ReLU6": true, "attention": true}
	for _, c := range []struct {
		name, weight string
		plain        bool
		layer        func(b *Builder, x *graph.Node) *graph.Node
	}{
		{"convolution", "conv.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("conv",
				x, 1, 1)
		}},
		{"convolution by 2", "conv.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("conv",
				x, 2, 1)
		}},
		{"even convolution", "even.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("even",
				x, 2, 0)
		}},
		{"1x1 convolution", "point.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("point",
				x, 1, 0)
		}},
		{"depthwise", "deep.weight", false, func(b *Builder, x *graph.Node) *graph.Node { return b.Conv2D("deep", x, 1, 1) }},
		{"depthwise by 2", "deep.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("deep",
				x, 2, 1)
		}},
		{"depthwise, plain", "deep.weight", true, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv2D("deep",
				x, 1, 1)
		}},
		{"max-pooling", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Linear("dense", graph.MaxPool(x).Window(2).Strides(2).NoPadding().Done())
		}},
		{"overlapping max-pooling", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Linear("dense", graph.MaxPool(x).Window(3).Strides(2).NoPadding().Done())
		}},
		{"mean-pooling", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Linear("dense", graph.MeanPool(x).Window(2).Strides(2).NoPadding().Done())
		}},
		{"dense", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node { return b.Linear("dense", x) }},
		{"batch normalisation", "norm.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.BatchNorm("norm",
				x, 1e-5)
		}},
		{"layer normalisation", "norm.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.LayerNorm("norm",
				x, 1e-5)
		}},
		{"GELU", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.GELU("gelu", b.Linear("dense", x))
		}},
		{"ReLU", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.ReLU("relu", b.Linear("dense", x))
		}},
		{"ReLU6", "dense.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.ReLU6("relu",
				b.Linear("dense", x))
		}},
		{"attention", "attention.query.weight", false, func(b *Builder, x *graph.Node) *graph.Node {
			return b.Attention("attention", graph.Reshape(x, x.Shape().Dimensions[0], -1, channels), 2, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			single, err := FromTensors(weights, Spec{Name: c.name, Height: side, Width: side, Channels: channels},
				func(b *Builder, x *graph.Node) *graph.Node {
					y := c.layer(b, graph.Tanh(x))
					y = graph.Tanh(y)
					n := y.Shape().Dimensions[0]
					return graph.Reshape(graph.ReduceSum(graph.Reshape(graph.Square(y), n, -1), 1), n, 1)
				})
			if err != nil {
				t.Fatal(err)
			}
			m, err := single.Double()
			if err != nil {
				t.Fatal(err)
			}
			// How steep the logit is, and how that changes with the image and with a weight.
			steep := func(x, w *graph.Node) (steepness *graph.Node) {
				out := m.CallAs(x, CallOptions{Weights: map[string]*graph.Node{c.weight: w}, Plain: c.plain})
				by := graph.Gradient(graph.ReduceAllSum(out.Logits), x, w)
				return graph.Add(graph.ReduceAllSum(graph.Mul(by[0], graph.Cos(by[0]))), graph.ReduceAllSum(graph.Sin(by[1])))
			}
			value, err := NewExec(steep)
			if err != nil {
				t.Fatal(err)
			}
			second, err := NewExec(func(x, w *graph.Node) []*graph.Node { return graph.Gradient(steep(x, w), x, w) })
			if err != nil {
				t.Fatal(err)
			}
			wide := func(t *tensors.Tensor) []float64 {
				var out []float64
				for _, v := range tensors.MustCopyFlatData[float32](t) {
					out = append(out, float64(v))
				}
				return out
			}
			x, w := random(rng, 2, side, side, channels), weights[c.weight]
			flat := [2][]float64{wide(x), wide(w)}
			args := func() []any {
				return []any{tensors.FromFlatDataAndDimensions(append([]float64(nil), flat[0]...), x.Shape().Dimensions...),
					tensors.FromFlatDataAndDimensions(append([]float64(nil), flat[1]...), w.Shape().Dimensions...)}
			}
			at := func() float64 {
				v, err := value.Call1(args()...)
				if err != nil {
					t.Fatal(err)
				}
				return tensors.ToScalar[float64](v)
			}
			at()
			gradients, err := second.Call(args()...)
			if err != nil {
				if right[c.name] || !strings.Contains(err.Error(), "gradient") {
					t.Errorf("refused: %v", err)
				}
				return
			}
			for i, name := range []string{"image", "weight"} {
				got := tensors.MustCopyFlatData[float64](gradients[i])
				for range 12 {
					k := rng.IntN(len(flat[i]))
					const step = 1e-5
					was := flat[i][k]
					flat[i][k] = was + step
					up := at()
					flat[i][k] = was - step
					down := at()
					flat[i][k] = was
					if want := (up - down) / (2 * step); !approx.Equal(got[k], want, 1e-4*(1+math.Abs(want))) {
						t.Fatalf("by value %d of the %s it is %.6g, by finite differences %.6g", k, name, got[k], want)
					}
				}
			}
		})
	}
}
