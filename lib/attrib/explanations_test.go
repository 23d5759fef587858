package attrib

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

const explanations = "testdata/explanations.npz"

// hashedNet is one of the networks of bench/oracles/explanations.py, in double precision.
func hashedNet(t testing.TB, name string, shapes map[string][]int,
	forward func(b *model.Builder, x *graph.Node) *graph.Node) *model.Model {
	t.Helper()
	weights := oracle.HashedWeights(shapes, func(name string, shape []int, size int, u float64) float64 {
		sees := shape[len(shape)-1]
		if len(shape) == 4 {
			sees = size / sees
		}
		u = float64(float32(u / math.Sqrt(float64(sees)/3)))
		switch {
		case name == "bn1.weight" || name == "bn1.running_var":
			return 1 + 0.5*u
		case name == "bn1.bias":
			return 0.2 * u
		case name == "bn1.running_mean":
			return 0.3 * u
		}
		return u
	})
	m, err := model.FromTensors(weights, model.Spec{Name: name, Height: 12, Width: 12, Channels: 3}, forward)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	return m
}

func reluNet(t testing.TB) *model.Model {
	return hashedNet(t, "relu", map[string][]int{
		"conv1.weight": {3, 3, 3, 6}, "conv1.bias": {6}, "bn1.weight": {6}, "bn1.bias": {6}, "bn1.running_mean": {6},
		"bn1.running_var": {6},
		"conv2.weight":    {3, 3, 6, 8}, "conv2.bias": {8}, "conv3.weight": {3, 3, 8, 8}, "conv3.bias": {8},
		"fc.weight": {5, 8}, "fc.bias": {5},
	}, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu1", b.BatchNorm("bn1", b.Conv2D("conv1", x, 1, 1), 1e-5))
		x = graph.MaxPool(x).Window(2).Strides(2).Done()
		x = b.ReLU("relu2", b.Conv2D("conv2", x, 1, 1))
		x = b.ReLU("relu3", graph.Add(x, b.Conv2D("conv3", x, 1, 1)))
		return graph.MulScalar(b.Linear("fc", b.Features(graph.ReduceMean(x, 1, 2))), 4)
	})
}

func smoothNet(t testing.TB) *model.Model {
	return hashedNet(t, "smooth", map[string][]int{
		"sconv1.weight": {3, 3, 3, 6}, "sconv1.bias": {6}, "sconv2.weight": {3, 3, 6, 8}, "sconv2.bias": {8},
		"sfc1.weight": {7, 8}, "sfc1.bias": {7}, "sfc2.weight": {5, 7}, "sfc2.bias": {5},
	}, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = model.Softplus(b.Conv2D("sconv1", x, 1, 1))
		x = graph.MaxPool(x).Window(2).Strides(2).Done()
		x = b.Conv2D("sconv2", x, 1, 1)
		x = graph.Where(graph.GreaterThan(x, graph.ZerosLike(x)), x, graph.Expm1(x)) // ELU
		x = graph.Tanh(b.Linear("sfc1", graph.MulScalar(graph.ReduceMean(x, 1, 2), 4)))
		return b.Linear("sfc2", x)
	})
}

// hashedImages are n images of 12 x 12.
func hashedImages(name string, n int) *tensors.Tensor {
	pixels := make([]float32, n*12*12*3)
	for i, v := range oracle.Hashed(name, len(pixels)) {
		pixels[i] = float32(v)
	}
	return tensors.FromFlatDataAndDimensions(pixels, n, 12, 12, 3)
}

// The oracle is captum and pytorch-grad-cam on PyTorch: bench/oracles/explanations.py.
func TestMethodsAgreeWithTheirPackages(t *testing.T) {
	nets := map[string]*model.Model{"relu": reluNet(t), "smooth": smoothNet(t)}
	x, classes := hashedImages("images", 2), []int{1, 3}
	for name, m := range nets {
		logits, err := m.Logits(x)
		if err != nil {
			t.Fatal(err)
		}
		if e := relativeError(tensors.MustCopyFlatData[float32](logits),
			oracle.Read[float32](t, explanations, name+"_logits")); !(e < 1e-6) {
			t.Fatalf("%s: the logits differ by %.2g: it is another network", name, e)
		}
	}
	grey := mask.Constant(0.5)
	noise := oracle.Sines(1.5, 0, 4, 12, 12, 3)
	tunnel := func(method Method, of Smoothing) Method {
		return NoiseTunnel{Method: method, Of: of, Noise: noise}
	}
	keep := make([]float32, 40*9)
	for i, v := range oracle.Hashed("masks", len(keep)) {
		if v < 0.5 {
			keep[i] = 1
		}
	}
	shap := KernelSHAP{Side: 4, Keep: tensors.FromFlatDataAndDimensions(keep, 40, 9)}
	within := 1e-5
	for _, c := range []struct {
		golden, net string
		method      Method
		within      float64
	}{
		{"gradcam++_relu3", "relu", GradCAMPlusPlus{}, within},
		{"gradcam++_relu1", "relu", GradCAMPlusPlus{Layer: "relu1"}, within},
		{"layercam_relu3", "relu", LayerCAM{}, within},
		{"layercam_relu1", "relu", LayerCAM{Layer: "relu1"}, within},
		{"scorecam_relu3", "relu", ScoreCAM{}, within},
		{"scorecam_relu1", "relu", ScoreCAM{Layer: "relu1"}, within},
		{"guided", "relu", GuidedBackprop{}, within},
		{"deeplift_relu_black", "relu", DeepLIFT{}, within},
		{"deeplift_relu_grey", "relu", DeepLIFT{Baseline: grey}, within},
		{"tunnel_ixg_mean", "relu", tunnel(InputXGradient{}, Mean), within},
		{"tunnel_ixg_square", "relu", tunnel(InputXGradient{}, MeanSquare), within},
		{"tunnel_ixg_variance", "relu", tunnel(InputXGradient{}, Variance), within},
		{"tunnel_gradcam_mean", "relu", tunnel(GradCAM{}, Mean), within},
		{"tunnel_gradcam_square", "relu", tunnel(GradCAM{}, MeanSquare), within},
		{"tunnel_gradcam_variance", "relu", tunnel(GradCAM{}, Variance), within},
		{"tunnel_deeplift_mean", "relu", tunnel(DeepLIFT{}, Mean), within},
		{"tunnel_deeplift_square", "relu", tunnel(DeepLIFT{}, MeanSquare), within},
		{"tunnel_deeplift_variance", "relu", tunnel(DeepLIFT{}, Variance), within},
		{"target_probability", "relu", Toward{Gradient{}, Probability()}, within},
		{"target_log_probability", "relu", Toward{Gradient{}, LogProbability()}, within},
		{"target_difference", "relu", Toward{Gradient{}, Difference(2, 4)}, within},
		// captum's masks of weight 1e6 are as ours, its numbers in between are single.
		{"kernel_shap_relu", "relu", shap, 1e-4},
		{"kernel_shap_smooth", "smooth", shap, 1e-4},
	} {
		t.Run(c.golden, func(t *testing.T) {
			a, got := attribute(t, c.method, nets[c.net], x, classes...)
			want := oracle.Read[float32](t, explanations, c.golden)
			if e := relativeError(got, want); !(e < c.within) {
				t.Errorf("it differs by %.2g of its largest value", e)
			} else {
				t.Logf("relative error %.2g", e)
			}
			for i, d := range a.Delta {
				if !approx.Equal(d, 0, 1e-5) {
					t.Errorf("completeness of image %d fails by %v", i, d)
				}
			}
		})
	}
	t.Run("deeplift_smooth_picture", func(t *testing.T) {
		picture := tensors.MustCopyFlatData[float32](hashedImages("baseline", 1))
		a, err := DeepLIFT{}.attribute(nets["smooth"], x, tensors.FromFlatDataAndDimensions(append(picture, picture...), 2,
			12, 12, 3), classes)
		if err != nil {
			t.Fatal(err)
		}
		if e := relativeError(tensors.MustCopyFlatData[float32](a.Values),
			oracle.Read[float32](t, explanations, "deeplift_smooth_picture")); !(e < within) {
			t.Errorf("it differs by %.2g of its largest value", e)
		} else {
			t.Logf("relative error %.2g", e)
		}
	})
	for golden, level := range map[string]float64{"gradient_shap": 0, "gradient_shap_noise": 0.1} {
		t.Run(golden, func(t *testing.T) {
			draws := shapDraws{baselines: []int{0, 2, 1, 1, 0, 2}, alphas: oracle.Read[float64](t, explanations, "alphas")}
			if level > 0 {
				draws.noise = oracle.Sines(1.5, 0, 6, 12, 12, 3)
			}
			a, err := GradientSHAP{Baselines: hashedImages("baselines", 3), Level: level}.attribute(nets["relu"], x,
				classes, draws)
			if err != nil {
				t.Fatal(err)
			}
			want := oracle.Read[float32](t, explanations, golden)
			if e := relativeError(tensors.MustCopyFlatData[float32](a.Values), want); !(e < within) {
				t.Errorf("it differs by %.2g of its largest value", e)
			} else {
				t.Logf("relative error %.2g", e)
			}
		})
	}
}

// What is no ReLU, or a product of two values that depend on the image, is refused by its name.
func TestRulesRefuseWhatTheyAreNotFor(t *testing.T) {
	x := ramp(2, 4)
	net := func(name string, part func(x *graph.Node) *graph.Node) *model.Model {
		m, err := model.FromFunc(model.Spec{Name: name, Height: 4, Width: 4, Channels: 2}, func(x *graph.Node) *graph.Node {
			h := part(graph.AddScalar(graph.MulScalar(x, 3), -1))
			return graph.Stack([]*graph.Node{graph.ReduceSum(h, 1, 2, 3), graph.ReduceMean(h, 1, 2, 3)}, 1)
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	zero := func(x *graph.Node) *graph.Node { return graph.ZerosLike(x) }
	other := func(x *graph.Node) *graph.Node { return graph.Reverse(x, 1) }
	for name, c := range map[string]struct {
		part             func(x *graph.Node) *graph.Node
		guided, deepLIFT string // what the error names; "" for none
	}{
		"ReLU":       {func(x *graph.Node) *graph.Node { return graph.Max(x, zero(x)) }, "", ""},
		"ReLU6":      {func(x *graph.Node) *graph.Node { return graph.ClipScalar(x, 0, 6) }, "", ""},
		"linear":     {other, "", ""},
		"clipped":    {func(x *graph.Node) *graph.Node { return graph.ClipScalar(x, -1, 1) }, "Min", ""},
		"least":      {func(x *graph.Node) *graph.Node { return graph.MinScalar(x, 1) }, "Min", ""},
		"threshold":  {func(x *graph.Node) *graph.Node { return graph.MaxScalar(x, 0.5) }, "Max", ""},
		"sigmoid":    {graph.Sigmoid, "Logistic", ""},
		"tanh":       {graph.Tanh, "Tanh", ""},
		"softplus":   {model.Softplus, "Log1p", ""},
		"SiLU":       {func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(x)) }, "Mul", ""},
		"square":     {graph.Square, "Mul", ""},
		"leaky ReLU": {func(x *graph.Node) *graph.Node { return graph.Max(x, graph.MulScalar(x, 0.1)) }, "Max", ""},
		"where": {func(x *graph.Node) *graph.Node { return graph.Where(graph.GreaterThan(x, zero(x)), x, zero(x)) },
			"Where", ""},
		"switch": {func(x *graph.Node) *graph.Node { return graph.Where(graph.GreaterThan(other(x), zero(x)), x, zero(x)) },
			"Where", "Where"},
		"held": {func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.StopGradient(graph.Sigmoid(other(x)))) },
			"Mul", "Mul"},
		"gate":   {func(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(other(x))) }, "Mul", "Mul"},
		"maxout": {func(x *graph.Node) *graph.Node { return graph.Max(x, other(x)) }, "Max", "Max"},
		"products": {func(x *graph.Node) *graph.Node { return graph.Einsum("nabc,nabd->ncd", x, other(x)) }, "DotGeneral",
			"DotGeneral"},
		"softmax": {func(x *graph.Node) *graph.Node { return graph.Softmax(x, -1) }, "attrib:", "attrib:"},
		"layer norm": {func(x *graph.Node) *graph.Node {
			return graph.Div(x, graph.ReduceAndKeep(graph.Exp(x), graph.ReduceSum, -1))
		}, "Div", "Div"},
		"global max":  {func(x *graph.Node) *graph.Node { return graph.ReduceAndKeep(x, graph.ReduceMax, 1, 2) }, "", ""},
		"overlapping": {func(x *graph.Node) *graph.Node { return graph.MaxPool(x).Window(3).Strides(1).Done() }, "", ""},
		"min pooling": {func(x *graph.Node) *graph.Node { return graph.MinPool(x).Window(2).Done() }, "", ""},
	} {
		if name == "products" {
			part := c.part
			c.part = func(x *graph.Node) *graph.Node { return graph.ExpandAxes(part(x), 1) }
		}
		m := net(name, c.part)
		for _, of := range []struct {
			method Method
			says   string
		}{{GuidedBackprop{}, c.guided}, {DeepLIFT{Baseline: mask.Constant(0.3)}, c.deepLIFT}} {
			a, err := of.method.Attribute(m, x, []int{0})
			switch {
			case of.says == "" && err != nil:
				t.Errorf("%s of %s: %v", of.method.Name(), name, err)
			case of.says == "":
				for i, d := range a.Delta {
					if !approx.Equal(d, 0, 1e-4) {
						t.Errorf("%s of %s: completeness of image %d fails by %v", of.method.Name(), name, i, d)
					}
				}
			case err == nil || !strings.HasPrefix(err.Error(), "attrib: ") || !strings.Contains(err.Error(), of.says):
				t.Errorf("%s of %s: want an error that names %s, got %v", of.method.Name(), name, of.says, err)
			}
		}
	}
}

// Guided backpropagation of a ReLU6 lets through what is positive where the ReLU6 rises: worked out by hand.
func TestGuidedBackpropOfReLU6(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Height: 1, Width: 1, Channels: 4},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			h := b.ReLU6("relu6", graph.AddScalar(graph.MulScalar(x, 10), -1)) // 0, 1, 9 and 4 of the image below
			signs := graph.Const(x.Graph(), [][]float32{{1}, {1}, {1}, {-1}})
			return graph.MatMul(graph.Reshape(h, -1, 4), graph.ConvertDType(signs, x.DType()))
		})
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromFlatDataAndDimensions([]float32{0.05, 0.2, 1, 0.5}, 1, 1, 1, 4)
	_, got := attribute(t, GuidedBackprop{}, m, x, 0)
	if err := approx.All(got, []float64{0, 10, 0, 0}, 1e-5); err != nil {
		t.Error(err)
	}
}

// Exact Shapley values, by their definition: the mean over all orders of what a segment adds when it comes.
func TestKernelSHAPOfAllMasks(t *testing.T) {
	m := reluNet(t)
	x := hashedImages("images", 2)
	segments, err := missing.Patches(2, 12, 12, 6) // four
	if err != nil {
		t.Fatal(err)
	}
	classes := []int{1, 3}
	a, got := attribute(t, KernelSHAP{Side: 6}, m, x, classes...)
	pixels := tensors.MustCopyFlatData[float32](x)
	labels := tensors.MustCopyFlatData[int32](segments.Labels)
	worth := make([][]float64, 16) // of each set of segments, for each image
	for set := range worth {
		some := append([]float32(nil), pixels...)
		for i := range some {
			if set>>labels[i/3]&1 == 0 {
				some[i] = 0
			}
		}
		logits, err := classLogits(m, tensors.FromFlatDataAndDimensions(some, 2, 12, 12, 3), classes)
		if err != nil {
			t.Fatal(err)
		}
		worth[set] = []float64{float64(logits[0]), float64(logits[1])}
	}
	want := make([][4]float64, 2)
	var orders func(done int)
	count := 0
	orders = func(done int) {
		if done == 15 {
			count++
			return
		}
		for s := range 4 {
			if done>>s&1 == 0 {
				before := count
				orders(done | 1<<s)
				for i := range want { // once for each order that goes on from here
					want[i][s] += float64(count-before) * (worth[done|1<<s][i] - worth[done][i])
				}
			}
		}
	}
	orders(0)
	if count != 24 {
		t.Fatalf("%d orders", count)
	}
	for i := range got {
		image, s := i/144, labels[i]
		if w := want[image][s] / 24 / 36; !approx.Equal(got[i], w, 1e-5*math.Abs(w)+1e-8) {
			t.Fatalf("image %d, segment %d: %v, want %v", image, s, got[i], w)
		}
	}
	for i, d := range a.Delta {
		if !approx.Equal(d, 0, 1e-5) {
			t.Errorf("completeness of image %d fails by %v", i, d)
		}
	}
	// Drawn masks come near them.
	_, drawn := attribute(t, KernelSHAP{Side: 4, Samples: 300}, m, x, classes...)
	_, all := attribute(t, KernelSHAP{Side: 4, Samples: 510}, m, x, classes...)
	if e := relativeError(drawn, all); !(e < 0.2) || e == 0 {
		t.Errorf("300 drawn masks of 510 are off by %.2g", e)
	}
}

// With many draws GradientSHAP from one baseline is integrated gradients.
func TestGradientSHAPOfSquares(t *testing.T) {
	m, x := squares(t, 3), ramp(2, 3)
	pixels := tensors.MustCopyFlatData[float32](x)
	a, got := attribute(t, GradientSHAP{Samples: 4000, Seed: 3}, m, x, 0)
	for i, v := range got {
		// x² times twice the mean of 4000 uniform numbers, whose standard deviation is 0.0046.
		if want := pixels[i] * pixels[i]; !approx.Equal(v, want, float64(want)*5*2*0.0046) {
			t.Fatalf("value %d is %v, want about %v", i, v, want)
		}
	}
	sums, err := a.Sums()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range a.Delta {
		var logit float64
		for _, v := range pixels[i*18 : (i+1)*18] {
			logit += float64(v) * float64(v)
		}
		if !approx.Equal(d, sums[i]-logit, 1e-4) {
			t.Errorf("completeness of image %d fails by %v, it is said by %v", i, sums[i]-logit, d)
		}
	}
	_, noisy := attribute(t, GradientSHAP{Samples: 10, Level: 0.3}, m, x, 0)
	_, plain := attribute(t, GradientSHAP{Samples: 10}, m, x, 0)
	if e := relativeError(noisy, plain); !(e > 1e-3) {
		t.Errorf("noise moves nothing: %g", e)
	}
}

// Targets that are no class's logit, worked out by hand: of a layer of squares, the gradient of a channel's mean, and
// of a feature.
func TestTargets(t *testing.T) {
	m, x := squares(t, 3), ramp(2, 3)
	pixels := tensors.MustCopyFlatData[float32](x)
	a, got := attribute(t, Toward{Gradient{}, Channel("squared", 1)}, m, x, 0)
	if a.Method != "gradient of channel 1 of squared" || len(a.ClassNames) != 2 {
		t.Errorf("%+v", a)
	}
	for i, v := range got {
		want := 0.0
		if i%2 == 1 {
			want = 2 * float64(pixels[i]) / 9
		}
		if !approx.Equal(v, want, 1e-6) {
			t.Fatalf("value %d is %v, want %v", i, v, want)
		}
	}
	_, difference := attribute(t, Toward{InputXGradient{}, Difference(0, 1)}, m, x)
	for i, v := range difference {
		p := float64(pixels[i])
		if want := p * (2*p - 1); !approx.Equal(v, want, 1e-5) {
			t.Fatalf("value %d of the difference is %v, want %v", i, v, want)
		}
	}
	// A tunnel around it is the same as one within, and any method will do.
	noise := tensors.FromScalarAndDimensions(float32(1), 2, 3, 3, 2)
	_, around := attribute(t, NoiseTunnel{Method: Toward{Gradient{}, Difference(0, 1)}, Noise: noise}, m, x)
	_, within := attribute(t, Toward{NoiseTunnel{Noise: noise}, Difference(0, 1)}, m, x)
	if err := approx.All(around, within, 0); err != nil {
		t.Error(err)
	}
	attribute(t, Toward{Occlusion{Window: 1}, Probability()}, m, x)

	net := reluNet(t)
	_, feature := attribute(t, Toward{Gradient{}, Feature(3)}, net, hashedImages("images", 2))
	_, channel := attribute(t, Toward{Gradient{}, Channel("relu3", 3)}, net, hashedImages("images", 2))
	if err := approx.All(feature, channel, 1e-7); err != nil { // features are the means of the channels
		t.Error(err)
	}
	for says, bad := range map[string]Toward{
		"takes a method and a target": {Method: Gradient{}},
		"names no features":           {Gradient{}, Feature(0)},
		"channels 0 to 1":             {Gradient{}, Channel("own", 2)},
		"no layer":                    {Gradient{}, Channel("owm", 2)},
		"the classes 0 to 1":          {Gradient{}, Difference(0, 2)},
		"[N, 1] or [N, 2]": {Gradient{}, Target{"wide", func(_ *model.Model, out model.Outputs) *graph.Node {
			return graph.Concatenate([]*graph.Node{out.Logits, out.Logits}, -1)
		}}},
		"the target \"nothing\" is nil": {Gradient{}, Target{"nothing",
			func(*model.Model, model.Outputs) *graph.Node { return nil }}},
	} {
		if _, err := bad.Attribute(m, x, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}
