package lrp

import (
	"math"
	"os"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// picture is n images of different values.
func picture(n, side, channels int) *tensors.Tensor {
	v := make([]float32, n*side*side*channels)
	for i := range v {
		v[i] = float32(0.5 + 0.5*math.Sin(float64(i*i%97)+float64(i)/7))
	}
	return tensors.FromFlatDataAndDimensions(v, n, side, side, channels)
}

// waves is a weight of a network without training.
func waves(g *graph.Node, seed float64, dims ...int) *graph.Node {
	size := 1
	for _, d := range dims {
		size *= d
	}
	v := make([]float32, size)
	for i := range v {
		v[i] = float32(math.Sin(seed+1.7*float64(i)) * 1.5 / math.Sqrt(float64(size/dims[len(dims)-1])))
	}
	return graph.ConvertDType(graph.Const(g.Graph(), tensors.FromFlatDataAndDimensions(v, dims...)), g.DType())
}

// A network of what modern ones are made of, written as a person would in a cell, without biases: nothing is lost.
func TestConservationThroughModernParts(t *testing.T) {
	parts := map[string]func(b *model.Builder, x *graph.Node) *graph.Node{
		"SiLU": func(b *model.Builder, x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(x)) },
		"GELU": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Mul(graph.MulScalar(x, 0.5), graph.OnePlus(graph.Erf(graph.DivScalar(x, math.Sqrt2))))
		},
		"ReLU6": func(b *model.Builder, x *graph.Node) *graph.Node { return graph.ClipScalar(x, 0, 6) },
		"leaky ReLU": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Where(graph.GreaterThan(x, graph.ZerosLike(x)), x, graph.MulScalar(x, 0.1))
		},
		"tanh": func(b *model.Builder, x *graph.Node) *graph.Node { return graph.Tanh(x) },
		"squeeze and excitation": func(b *model.Builder, x *graph.Node) *graph.Node {
			s := graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2)
			gate := graph.Sigmoid(graph.Convolve(s, waves(x, 2, 1, 1, 6, 6)).Done())
			return graph.Mul(x, gate)
		},
		"residual": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Add(x, graph.Convolve(x, waves(x, 5, 3, 3, 6, 6)).PadSame().Done())
		},
		"layer normalisation": func(b *model.Builder, x *graph.Node) *graph.Node {
			c := graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, -1))
			variance := graph.ReduceAndKeep(graph.Square(c), graph.ReduceMean, -1)
			return graph.Mul(graph.Div(c, graph.Sqrt(graph.AddScalar(variance, 1e-5))), waves(x, 9, 1, 1, 1, 6))
		},
		"attention": func(b *model.Builder, x *graph.Node) *graph.Node {
			tokens := graph.Reshape(x, x.Shape().Dimensions[0], -1, 6)
			project := func(seed float64) *graph.Node { return graph.Einsum("ntd,de->nte", tokens, waves(x, seed, 6, 6)) }
			scores := graph.Einsum("nte,nse->nts", project(1), project(2))
			mixed := graph.Einsum("nts,nse->nte", graph.Softmax(graph.DivScalar(scores, 2), -1), project(3))
			return graph.Reshape(mixed, x.Shape().Dimensions...)
		},
		"max pooling": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.MaxPool(x).Window(2).Strides(2).Done()
		},
		"mean pooling": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.MeanPool(x).Window(2).Strides(2).Done()
		},
		"concatenation": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Concatenate([]*graph.Node{graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(),
				graph.AxisRange(3)), x}, -1)
		},
		"depthwise": func(b *model.Builder, x *graph.Node) *graph.Node {
			a := graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, 7), graph.AxisRange())
			c := graph.Slice(x, graph.AxisRange(), graph.AxisRange(1, 8), graph.AxisRange())
			return graph.Add(graph.Mul(a, waves(x, 7, 1, 1, 1, 6)), graph.Mul(c, waves(x, 8, 1, 1, 1, 6)))
		},
		"product of two": func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Mul(graph.Convolve(x, waves(x, 11, 1, 1, 6, 6)).Done(),
				graph.Convolve(x, waves(x, 12, 1, 1, 6, 6)).Done())
		},
	}
	exact := everywhere(Epsilon{1e-9})
	exact.Stabilizer = 1e-9
	x := picture(2, 8, 3)
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			m, err := model.FromFunc(model.Spec{Name: name, Height: 8, Width: 8, Channels: 3},
				func(b *model.Builder, x *graph.Node) *graph.Node {
					x = graph.Convolve(x, waves(x, 1, 3, 3, 3, 6)).PadSame().Done()
					x = b.Record("part", part(b, b.Record("before", x)))
					return graph.Einsum("nc,ck->nk", graph.ReduceMean(x, 1, 2), waves(x, 3, x.Shape().Dimensions[3], 4))
				})
			if err != nil {
				t.Fatal(err)
			}
			if m, err = m.Double(); err != nil {
				t.Fatal(err)
			}
			a, err := LRP{exact}.Attribute(m, x, []int{2})
			if err != nil {
				t.Fatal(err)
			}
			logits, err := m.Logits(x)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range a.Delta {
				logit := float64(tensors.MustCopyFlatData[float32](logits)[i*4+2])
				if !approx.Equal(d, 0, 1e-4*math.Abs(logit)) || logit == 0 {
					t.Errorf("of the logit %g, %g is lost", logit, d)
				}
			}
			// And each layer on the way has all of it.
			for _, layer := range []string{"part", "before"} {
				r, err := CRP{Composite: exact}.Concepts(m, x, []int{2}, layer)
				if err != nil {
					t.Fatal(err)
				}
				sum, width := 0.0, r.Shape().Dimensions[2]
				for _, v := range tensors.MustCopyFlatData[float32](r)[:width] {
					sum += float64(v)
				}
				if logit := float64(tensors.MustCopyFlatData[float32](logits)[2]); !approx.Equal(sum, logit, 1e-4*math.Abs(logit)) {
					t.Errorf("layer %s has the relevance %g of the logit %g", layer, sum, logit)
				}
			}
		})
	}
}

// A convolution written out as shifted, weighted slices is a convolution: the sign of its folded weights decides.
func TestDepthwiseIsOneLayer(t *testing.T) {
	weights := waves
	written := func(hand bool) *model.Model {
		m, err := model.FromFunc(model.Spec{Name: "depthwise", Height: 8, Width: 8, Channels: 3},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				k := weights(x, 4, 2, 2, 1, 3)
				var y *graph.Node
				if hand {
					for i := range 2 {
						for j := range 2 {
							part := graph.Slice(x, graph.AxisRange(), graph.AxisRange(i, i+7), graph.AxisRange(j, j+7))
							term := graph.Mul(part, graph.Slice(k, graph.AxisRange(i, i+1), graph.AxisRange(j, j+1)))
							if y == nil {
								y = term
							} else {
								y = graph.Add(y, term)
							}
						}
					}
				} else {
					y = graph.Convolve(x, k).ChannelGroupCount(3).NoPadding().Done()
				}
				y = graph.Add(graph.Mul(y, weights(x, 6, 1, 1, 1, 3)), weights(x, 5, 1, 1, 1, 3))
				y = graph.Max(y, graph.ZerosLike(y))
				return graph.Einsum("nc,ck->nk", graph.ReduceSum(y, 1, 2), weights(x, 3, 3, 4))
			})
		if err != nil {
			t.Fatal(err)
		}
		if m, err = m.Double(); err != nil {
			t.Fatal(err)
		}
		return m
	}
	x := picture(4, 8, 3)
	for name, c := range map[string]Composite{
		"z+": everywhere(ZPlus{}), "α2β1": everywhere(AlphaBeta{}), "γ": everywhere(Gamma{}), "w²": everywhere(WSquare{}),
		"flat": everywhere(Flat{}),
		"box":  EpsilonGammaBox(),
	} {
		var maps [2][]float32
		for i, hand := range []bool{false, true} {
			a, err := LRP{c}.Attribute(written(hand), x, []int{0, 1, 2, 3})
			if err != nil {
				t.Fatal(err)
			}
			maps[i] = tensors.MustCopyFlatData[float32](a.Values)
		}
		if e := relativeError(maps[1], maps[0]); !(e < 1e-6) {
			t.Errorf("%s: the convolution written by hand differs by %.2g", name, e)
		}
	}
}

// A vision transformer from an ONNX file, which was not made for this: its output is a map of how much of the
// foreground each pixel is, of which the mean is explained.
func TestVisionTransformer(t *testing.T) {
	if os.Getenv("LOUPE_HEAVY") == "" {
		t.Skip("skipped: a vision transformer takes a while, which needs LOUPE_HEAVY=1")
	}
	testenv.Asset(t, "vit-focus")
	m, err := model.Load("vit-focus")
	if err != nil {
		t.Fatal(err)
	}
	set, err := someOfImageNet(200)(t)
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromFlatDataAndDimensions(set.Pixels, 2, 224, 224, 3)
	// The epsilon rule, through whose small denominators relevance grows in each of the 12 blocks, ends at 1e21.
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		start := graph.DivScalar(out.Logits, float64(out.Logits.Shape().Size()/2))
		r := newWalk(everywhere(ZPlus{}), in[0], out).run(start)
		return []*graph.Node{graph.ReduceSum(start, 1, 2, 3), graph.ReduceSum(r, 1, 2, 3),
			graph.ReduceSum(graph.Abs(r), 1, 2, 3)}
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := exec.Call(x)
	if err != nil {
		t.Fatal(err)
	}
	start, end, size := tensors.MustCopyFlatData[float32](results[0]), tensors.MustCopyFlatData[float32](results[1]),
		tensors.MustCopyFlatData[float32](results[2])
	for i := range start {
		t.Logf("of %.4g, %.4g come to the pixels (%.4g in absolute values)", start[i], end[i], size[i])
		if !(size[i] > 0.01*start[i] && size[i] < 100*start[i]) {
			t.Errorf("image %d: the relevance %g comes to the pixels as %g in all", i, start[i], size[i])
		}
	}
}
