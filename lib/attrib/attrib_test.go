package attrib

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// squares is a network whose attributions can be worked out by hand: the logit of class 0 is the sum of the squares of
// all values, that of class 1 the sum of the values.
func squares(t *testing.T, side int) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "squares", Height: side, Width: side, Channels: 2},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			b.Record("squared", graph.Square(x))
			b.Record("flat", graph.Reshape(x, x.Shape().Dimensions[0], -1))
			sums := []*graph.Node{graph.ReduceSum(b.Record("own", graph.Square(x)), 1, 2, 3), graph.ReduceSum(x, 1, 2, 3)}
			return graph.Stack(sums, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ramp is n images of different values in 0..1.
func ramp(n, side int) *tensors.Tensor {
	values := make([]float32, n*side*side*2)
	for i := range values {
		values[i] = float32((i*7)%23) / 23
	}
	return tensors.FromFlatDataAndDimensions(values, n, side, side, 2)
}

func attribute(t *testing.T, method Method, m *model.Model, x *tensors.Tensor, classes ...int) (*Attribution,
	[]float32) {
	t.Helper()
	a, err := method.Attribute(m, x, classes)
	if err != nil {
		t.Fatalf("%s: %v", method.Name(), err)
	}
	return a, tensors.MustCopyFlatData[float32](a.Values)
}

// The integral of the gradient 2αx is x, times x is x²: exact for two points of either rule.
func TestIntegratedGradientsOfSquares(t *testing.T) {
	m, x := squares(t, 3), ramp(5, 3)
	pixels := tensors.MustCopyFlatData[float32](x)
	for _, ig := range []IntegratedGradients{{Steps: 2}, {Steps: 2, Riemann: true}, {}} {
		a, got := attribute(t, ig, m, x, 0)
		for i, v := range got {
			if want := pixels[i] * pixels[i]; !approx.Equal(v, want, 1e-5) {
				t.Fatalf("%+v: value %d is %v, want %v", ig, i, v, want)
			}
		}
		for i, d := range a.Delta {
			if !approx.Equal(d, 0, 1e-4) {
				t.Errorf("%+v: completeness of image %d fails by %v", ig, i, d)
			}
		}
	}
	// From grey: (x - 1/2) times the mean of 2(1/2 + α(x - 1/2)) is x² - 1/4.
	_, got := attribute(t, IntegratedGradients{Baseline: mask.Constant(0.5)}, m, x, 0)
	for i, v := range got {
		if want := pixels[i]*pixels[i] - 0.25; !approx.Equal(v, want, 1e-5) {
			t.Fatalf("from grey, value %d is %v, want %v", i, v, want)
		}
	}
}

// Hiding a window from a sum takes away what lies in it: here the means over the windows that cover a pixel are counted
// one by one.
func TestOcclusionOfASum(t *testing.T) {
	const side, window, stride = 7, 3, 2
	m, x := squares(t, side), ramp(3, side)
	a, got := attribute(t, Occlusion{Window: window, Stride: stride, Fill: mask.Constant(0)}, m, x, 1)
	if d := a.Values.Shape().Dimensions; d[0] != 3 || d[1] != side || d[2] != side || d[3] != 1 {
		t.Fatalf("the shape is %v", d)
	}
	pixels := tensors.MustCopyFlatData[float32](x)
	for n := range 3 {
		sum, count := make([]float64, side*side), make([]float64, side*side)
		for top := 0; top < side-window+stride; top += stride {
			for left := 0; left < side-window+stride; left += stride {
				var hidden float64
				inside := func(do func(at int)) {
					for r := top; r < min(top+window, side); r++ {
						for c := left; c < min(left+window, side); c++ {
							do(r*side + c)
						}
					}
				}
				inside(func(at int) {
					hidden += float64(pixels[(n*side*side+at)*2]) + float64(pixels[(n*side*side+at)*2+1])
				})
				inside(func(at int) { sum[at] += hidden; count[at]++ })
			}
		}
		for at := range sum {
			if want := sum[at] / count[at]; !approx.Equal(got[n*side*side+at], want, 1e-4) {
				t.Fatalf("image %d, pixel %d is %v, want %v", n, at, got[n*side*side+at], want)
			}
		}
	}
}

// The gradient 2(x + σz) is linear in the noise, so its mean is 2x plus 2σ times the mean of the noise.
func TestSmoothGradOfSquares(t *testing.T) {
	m, x := squares(t, 4), ramp(3, 4)
	pixels := tensors.MustCopyFlatData[float32](x)
	_, first := attribute(t, SmoothGrad{Samples: 400, Level: 0.1, Seed: 5}, m, x, 0)
	_, again := attribute(t, SmoothGrad{Samples: 400, Level: 0.1, Seed: 5}, m, x, 0)
	_, other := attribute(t, SmoothGrad{Samples: 400, Level: 0.1, Seed: 6}, m, x, 0)
	same, squaresOfError := 0, 0.0
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("the same seed gives %v and %v", first[i], again[i])
		}
		if first[i] == other[i] {
			same++
		}
		// The mean of 400 draws has the standard deviation 2σ/20, and σ is 0.1 times a range just under 1.
		e := float64(first[i]-2*pixels[i]) / (2 * 0.1 / 20)
		squaresOfError += e * e
		if !approx.Equal(e, 0, 5) {
			t.Errorf("value %d is %v, want about %v", i, first[i], 2*pixels[i])
		}
	}
	if spread := math.Sqrt(squaresOfError / float64(len(first))); !(spread >= 0.7) || !(spread <= 1.2) {
		t.Errorf("the errors are %.2f standard deviations wide", spread)
	}
	if same == len(first) {
		t.Error("another seed gives the same noise")
	}
	noise := tensors.FromScalarAndDimensions(float32(1), 3, 4, 4, 2)
	_, given := attribute(t, SmoothGrad{Level: 0.1, Noise: noise}, m, x, 0)
	for i := range given {
		sigma := float64(given[i]-2*pixels[i]) / 2
		if !(sigma >= 0.08) || !(sigma <= 0.1) {
			t.Fatalf("noise of 1 moves the gradient by %v", sigma)
		}
	}
}

// A layer of squares has the gradient 1, so Grad-CAM of it is the sum of squares over the channels.
func TestGradCAMOfSquares(t *testing.T) {
	m, x := squares(t, 3), ramp(2, 3)
	pixels := tensors.MustCopyFlatData[float32](x)
	_, got := attribute(t, GradCAM{Layer: "own"}, m, x, 0)
	for i, v := range got {
		if want := pixels[2*i]*pixels[2*i] + pixels[2*i+1]*pixels[2*i+1]; !approx.Equal(v, want, 1e-5) {
			t.Fatalf("pixel %d is %v, want %v", i, v, want)
		}
	}
}

func TestHeatmapReductions(t *testing.T) {
	a := &Attribution{Values: tensors.FromFlatDataAndDimensions([]float32{3, -4, -1, 0}, 1, 1, 2, 2)}
	for by, want := range map[Reduction][2]float32{Sum: {-1, -1}, AbsSum: {7, 1}, MaxAbs: {4, 1}, L2: {5, 1}} {
		heat, err := a.Heatmap(by)
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.MustCopyFlatData[float32](heat); got[0] != want[0] || got[1] != want[1] || heat.Rank() != 3 {
			t.Errorf("reduction %d gives %v, want %v", by, got, want)
		}
	}
	if heat, err := a.Heatmap(); err != nil || tensors.MustCopyFlatData[float32](heat)[0] != -1 {
		t.Errorf("without a reduction: %v, %v", heat, err)
	}
	if _, err := a.Heatmap(Reduction(9)); err == nil {
		t.Error("reduction 9 is no error")
	}
}

// Every method explains the class that it is asked for, the predicted one by default, in the same shapes.
func TestEveryMethod(t *testing.T) {
	m, x := squares(t, 8), ramp(3, 8)
	predicted, err := m.Predict(x)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	all := append(Methods(), ScoreCAM{Layer: "own"}, GuidedBackprop{}, DeepLIFT{}, KernelSHAP{Side: 4},
		NoiseTunnel{Samples: 3, Of: Variance}, NoiseTunnel{Method: Occlusion{}, Samples: 3})
	for _, method := range all {
		names[method.Name()] = true
		maps := false
		switch method.(type) {
		case GradCAM:
			method, maps = GradCAM{Layer: "own"}, true
		case GradCAMPlusPlus:
			method, maps = GradCAMPlusPlus{Layer: "own"}, true
		case LayerCAM:
			method, maps = LayerCAM{Layer: "own"}, true
		case GuidedBackprop:
			continue // which refuses squares
		}
		byDefault, err := method.Attribute(m, x, nil)
		if maps && err == nil {
			continue // class 1 does not depend on the layer, which the next test is about
		}
		if err != nil {
			t.Errorf("%s: %v", method.Name(), err)
			continue
		}
		explicit, values := attribute(t, method, m, x, predicted...)
		for i, v := range tensors.MustCopyFlatData[float32](byDefault.Values) {
			if v != values[i] {
				t.Errorf("%s: the default is not the predicted class", method.Name())
				break
			}
		}
		if d := explicit.Values.Shape().Dimensions; d[0] != 3 || d[1] != 8 || d[2] != 8 {
			t.Errorf("%s: the shape is %v", method.Name(), d)
		}
		if explicit.Method != method.Name() || len(explicit.Classes) != 3 || len(explicit.ClassNames) != 3 {
			t.Errorf("%s: %+v", method.Name(), explicit)
		}
		// Doing it again, for another class and fewer images of the same chunk, compiles nothing.
		before := model.Compilations()
		attribute(t, method, m, x, 0)
		if n := model.Compilations() - before; n != 0 {
			t.Errorf("%s: another class compiled %d programs", method.Name(), n)
		}
	}
	if len(names) != len(all) {
		t.Errorf("the methods are %v", names)
	}
}

func TestBadSettings(t *testing.T) {
	m, x := squares(t, 4), ramp(2, 4)
	for says, method := range map[string]Method{
		"positive number of steps":  IntegratedGradients{Steps: -1},
		"number of samples":         SmoothGrad{Samples: -1},
		"noise has the shape":       SmoothGrad{Samples: 2, Noise: tensors.FromScalarAndDimensions(float32(0), 2, 3, 3, 2)},
		"window within 4 x 4":       Occlusion{Window: 5},
		"not 2 and 3":               Occlusion{Window: 2, Stride: 3},
		"no layer":                  GradCAM{Layer: "squred"},
		"Grad-CAM++ needs a layer":  GradCAMPlusPlus{Layer: "flat"},
		"LayerCAM needs a layer":    LayerCAM{Layer: "flat"},
		"Score-CAM needs a layer":   ScoreCAM{Layer: "flat"},
		"noise level, not 50 and -": NoiseTunnel{Level: -1},
		"no smoothing 3":            NoiseTunnel{Of: 3},
		"baselines have the shape":  GradientSHAP{Baselines: tensors.FromScalarAndDimensions(float32(0), 2, 3, 3, 2)},
		"samples and a noise":       GradientSHAP{Samples: -1},
		"nothing to compare":        KernelSHAP{Samples: -1},
		"a side lies between":       KernelSHAP{Side: -1},
		"Keep has the shape":        KernelSHAP{Keep: tensors.FromScalarAndDimensions(float32(0), 2)},
	} {
		if _, err := method.Attribute(m, x, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: want an error that says %q, got %v", method, says, err)
		}
	}
	nan := ramp(1, 4)
	tensors.MustMutableFlatData(nan, func(f []float32) { f[3] = float32(math.NaN()) })
	for _, method := range append(Methods(), GradCAM{Layer: "own"}, ScoreCAM{Layer: "own"}, GuidedBackprop{}, DeepLIFT{},
		KernelSHAP{Side: 4}, NoiseTunnel{Samples: 2}, Toward{Gradient{}, Difference(0, 1)}) {
		for name, c := range map[string]struct {
			x       *tensors.Tensor
			classes []int
		}{"NaN": {nan, nil}, "class": {x, []int{2}}, "size": {ramp(1, 5), nil},
			"type": {tensors.FromShape(x.Shape()), []int{0, 0, 0}}} {
			if _, err := method.Attribute(m, c.x, c.classes); err == nil {
				t.Errorf("%s: bad %s is no error", method.Name(), name)
			}
		}
	}
	vector, err := model.FromFunc(model.Spec{Height: 2, Width: 2, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 4) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (GradCAM{}).Attribute(vector, tensors.FromScalarAndDimensions(float32(0), 1, 2, 2, 1), nil); err == nil ||
		!strings.Contains(err.Error(), "two spatial axes") {
		t.Errorf("Grad-CAM without a layer: %v", err)
	}
}

// Interrupted anywhere, every method returns the images that are done as a whole run has them.
func TestInterrupted(t *testing.T) {
	m, x := squares(t, 8), ramp(5, 8)
	m.BatchSize = 2
	noise := tensors.FromScalarAndDimensions(float32(0.5), 3, 8, 8, 2)
	for _, method := range []Method{Gradient{}, InputXGradient{}, IntegratedGradients{Steps: 4}, SmoothGrad{Samples: 4},
		SmoothGrad{Noise: noise}, GradCAM{Layer: "own"}, Occlusion{Window: 4, Stride: 4},
		GradCAMPlusPlus{Layer: "own"}, LayerCAM{Layer: "own"}, ScoreCAM{Layer: "own"}, DeepLIFT{}, GradientSHAP{Samples: 4},
		KernelSHAP{Side: 4},
		NoiseTunnel{Samples: 4, Of: Variance}, NoiseTunnel{Method: Occlusion{Window: 4, Stride: 4}, Samples: 3},
		Toward{Gradient{}, Difference(0, 1)}} {
		t.Run(method.Name(), func(t *testing.T) {
			whole, values := attribute(t, method, m, x, 0)
			testenv.Interrupt(t, func() (*Attribution, error) { return method.Attribute(m, x, []int{0}) },
				func(part *Attribution) int {
					if part == nil {
						return 0
					}
					n := part.Values.Shape().Dimensions[0]
					got := tensors.MustCopyFlatData[float32](part.Values)
					if !slices.Equal(got, values[:len(values)/5*n]) ||
						!slices.Equal(part.Delta, whole.Delta[:min(n, len(whole.Delta))]) || len(part.Classes) != n ||
						len(part.ClassNames) != n {
						t.Fatalf("of %d images there are %+v, which are not those of the whole", n, part)
					}
					return n
				})
		})
	}
}

// In single precision, what a person gets, a network's attributions are those in double precision but for rare kinks.
func TestSinglePrecisionIsCloseToDouble(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "smooth", Height: 6, Width: 6, Channels: 2},
		func(x *graph.Node) *graph.Node {
			w := graph.Sin(graph.IotaFull(x.Graph(), shapes.Make(x.DType(), 72, 3)))
			return graph.MatMul(graph.Tanh(graph.Reshape(x, -1, 72)), w)
		})
	if err != nil {
		t.Fatal(err)
	}
	double, err := m.Double()
	if err != nil {
		t.Fatal(err)
	}
	x := ramp(3, 6)
	for _, method := range []Method{Gradient{}, InputXGradient{}, IntegratedGradients{}, Occlusion{}} {
		_, single := attribute(t, method, m, x, 1)
		_, precise := attribute(t, method, double, x, 1)
		if e := relativeError(single, precise); !(e < 1e-4) {
			t.Errorf("%s: single precision is off by %.2g", method.Name(), e)
		}
	}
}
