package learn

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// What a field of 0 stands for is what its comment says.
func TestZeroFieldsStandForWhatIsSaid(t *testing.T) {
	if tolerance, most := (LogisticRegression{}).limits(); tolerance != 1e-4 || most != 1000 {
		// scikit-learn's tol; its max_iter is 100
		t.Errorf("the tolerance is %v, in %d iterations", tolerance, most)
	}
	if tolerance, most := (LogisticRegression{Tolerance: 0.5, Iterations: 7}).limits(); tolerance != 0.5 || most != 7 {
		t.Errorf("the tolerance is %v, in %d iterations", tolerance, most)
	}
	if (&AugMix{}).weight() != 12 || (&AugMix{Weight: 3}).weight() != 3 { // Hendrycks et al., ICLR 2020, section 4
		t.Error("the weight of AugMix's consistency loss is another")
	}
	lambdas := Lambdas()
	if len(lambdas) != 45 || !approx.Equal(lambdas[0], 1e-6, 1e-12) || !approx.Equal(lambdas[44], 1e5, 1e-4) ||
		!approx.Equal(lambdas[4]/lambdas[0], 10, 1e-9) {
		t.Errorf("%v", lambdas)
	}
	m, err := ViT{}.Make(model.Spec{Height: 8, Width: 12, Channels: 1}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	w := m.Weights()
	if got := w["positions"].Shape().Dimensions; !slices.Equal(got, []int{1, 7, 64}) || w["block3.wide.weight"] == nil ||
		w["block4.wide.weight"] != nil || m.Grid() != (model.Grid{Rows: 2, Columns: 3}) {
		t.Errorf("positions %v, a grid of %v", got, m.Grid())
	}
	four, err := ViT{Patch: 4, Width: 64, Depth: 3, Heads: 4}.Make(model.Spec{Height: 8, Width: 12, Channels: 1}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 96)
	for i := range pixels {
		pixels[i] = float32(i%7) / 7
	}
	x := tensors.FromFlatDataAndDimensions(pixels, 1, 8, 12, 1)
	a, err1 := m.Logits(x)
	b, err2 := four.Logits(x)
	if err1 != nil || err2 != nil || !a.Equal(b) {
		t.Errorf("the default and four heads give %v and %v (%v, %v)", a, b, err1, err2)
	}
	widths, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1}, 2, 1)
	if err != nil || !slices.Equal(widths.Weights()["conv2.weight"].Shape().Dimensions, []int{3, 3, 16, 32}) {
		t.Errorf("%v", err)
	}
	variational, err := Variational(linear(t, 1, 2, 3, 4), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	spread, _ := variational.Spread("linear.weight")
	if got := tensors.MustCopyFlatData[float32](variational.Weights()[spread])[0]; !approx.Equal(
		math.Log1p(math.Exp(float64(got))), 0.05, 1e-6) || variational.Weights()["linear.bias.spread"] != nil {
		t.Errorf("the deviation is softplus(%v)", got)
	}
}

// The seeds of mixtures are those of every version: SplitMix64's step for each seed, and one more for each view.
func TestSeedsOfMixturesStayTheSame(t *testing.T) {
	for _, c := range []struct {
		seed        uint64
		epoch, view int
		want        uint64
	}{{0, 0, 0, 1}, {0, 0, 1, 2}, {0, 1, 0, 3}, {0, 5, 1, 12}, {1, 0, 0, 0x9e3779b97f4a7c16},
		{2, 0, 1, 0x3c6ef372fe94f82c}} {
		if got := mixSeed(c.seed, c.epoch, c.view); got != c.want {
			t.Errorf("%+v: %#x", c, got)
		}
	}
}

// Weights are drawn with the variance that is said: 2/fan-in where ReLUs follow, 1/fan-in in a ViT, and 0.02 squared
// for its positions. A sample of n has an error of 2/n of the variance's square. Normalisations begin at 1, biases at
// 0, and the draws of a seed are those of every version.
func TestVariancesOfWeights(t *testing.T) {
	spec := model.Spec{Height: 16, Width: 16, Channels: 3}
	for name, c := range map[string]struct {
		make func() (*model.Model, error)
		want map[string]float64
	}{
		"CNN": {func() (*model.Model, error) { return SmallCNN(spec, 10, 1) }, map[string]float64{"conv1.weight": 2. / 27,
			"conv2.weight": 2. / 144, "hidden.weight": 2. / 512, "linear.weight": 2. / 64}},
		"MLP": {func() (*model.Model, error) { return MLP(spec, 10, 1, 100, 50) },
			map[string]float64{"hidden1.weight": 2. / 768, "hidden2.weight": 2. / 100, "linear.weight": 2. / 50}},
		"LeNet": {func() (*model.Model, error) { return LeNet{}.Make(spec, 10, 1) },
			map[string]float64{"conv1.weight": 2. / 27, "conv2.weight": 2. / 288, "hidden.weight": 2. / 2304,
				"linear.weight": 2. / 128}},
		"ViT": {func() (*model.Model, error) { return ViT{Depth: 1}.Make(spec, 10, 1) }, map[string]float64{
			"patches.weight": 1. / 48, "positions": 0.0004, "class": 0.0004, "linear.weight": 1. / 64,
			"block1.attention.query.weight": 1. / 64, "block1.attention.key.weight": 1. / 64,
			"block1.attention.value.weight": 1. / 64, "block1.attention.out.weight": 1. / 64, "block1.wide.weight": 1. / 64,
			"block1.narrow.weight": 1. / 256,
		}},
	} {
		m, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		for weight, w := range m.Weights() {
			flat := tensors.MustCopyFlatData[float32](w)
			if !slices.Equal(flat, tensors.MustCopyFlatData[float32](again.Weights()[weight])) {
				t.Errorf("%s: %s is another by the same seed", name, weight)
			}
			n, squares := float64(len(flat)), 0.0
			for _, v := range flat {
				squares += float64(v) * float64(v)
			}
			switch want := c.want[weight]; {
			case want > 0:
				if !approx.Equal(squares/n/want, 1, 4*math.Sqrt(2/n)) {
					t.Errorf("%s: %s has the variance %v, want %v", name, weight, squares/n, want)
				}
			case strings.HasSuffix(weight, ".bias"):
				if squares != 0 {
					t.Errorf("%s: %s is not 0", name, weight)
				}
			default:
				if squares != n || flat[0] != 1 {
					t.Errorf("%s: %s is not 1", name, weight)
				}
			}
		}
	}
}

// The weights of a seed are those of every version: Go's normal numbers by PCG with the seed and 0, layer after layer,
// times the root of 2/fan-in.
func TestWeightsOfASeedStayTheSame(t *testing.T) {
	spec := model.Spec{Height: 6, Width: 8, Channels: 2}
	type layer struct {
		name  string
		fanIn float64
	}
	for name, c := range map[string]struct {
		make   func() (*model.Model, error)
		layers []layer
	}{
		"CNN": {func() (*model.Model, error) { return SmallCNN(spec, 3, 5, 4, 7) },
			[]layer{{"conv1", 9 * 2}, {"conv2", 9 * 4}, {"hidden", 1 * 2 * 7}, {"linear", 64}}},
		"MLP": {func() (*model.Model, error) { return MLP(spec, 3, 5, 4, 7) },
			[]layer{{"hidden1", 6 * 8 * 2}, {"hidden2", 4}, {"linear", 7}}},
		"LeNet": {func() (*model.Model, error) { return LeNet{}.Make(spec, 3, 5) },
			[]layer{{"conv1", 9 * 2}, {"conv2", 9 * 32}, {"hidden", 1 * 2 * 64}, {"linear", 128}}},
	} {
		m, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(5, 0))
		for _, l := range c.layers {
			for i, v := range tensors.MustCopyFlatData[float32](m.Weights()[l.name+".weight"]) {
				if want := float32(rng.NormFloat64() * math.Sqrt(2/l.fanIn)); v != want {
					t.Fatalf("%s: weight %d of %s is %v, want %v", name, i, l.name, v, want)
				}
			}
		}
	}
	v, err := ViT{Patch: 2, Width: 4, Depth: 2, Heads: 2}.Make(spec, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 0))
	order := []layer{{"patches.weight", 8}, {"class", 2500}, {"positions", 2500}}
	for _, block := range []string{"block1.", "block2."} {
		for _, part := range []string{"attention.query.weight", "attention.key.weight", "attention.value.weight",
			"attention.out.weight", "wide.weight"} {
			order = append(order, layer{block + part, 4})
		}
		order = append(order, layer{block + "narrow.weight", 16})
	}
	for _, l := range append(order, layer{"linear.weight", 4}) {
		for i, v := range tensors.MustCopyFlatData[float32](v.Weights()[l.name]) {
			if want := rng.NormFloat64() / math.Sqrt(l.fanIn); !approx.Equal(v, want, 1e-6) {
				t.Fatalf("weight %d of %s is %v, want %v", i, l.name, v, want)
			}
		}
	}
}

func TestNetworksAtTheirBounds(t *testing.T) {
	spec := func(h, w int) model.Spec { return model.Spec{Height: h, Width: w, Channels: 1} }
	cnn := func(h, w int, widths ...int) func() (*model.Model, error) {
		return func() (*model.Model, error) { return SmallCNN(spec(h, w), 2, 1, widths...) }
	}
	vit := func(v ViT, h, w int) func() (*model.Model, error) {
		return func() (*model.Model, error) { return v.Make(spec(h, w), 2, 1) }
	}
	lenet := func(dropout float64) func() (*model.Model, error) {
		return func() (*model.Model, error) { return LeNet{Dropout: dropout}.Make(spec(6, 6), 2, 1) }
	}
	for name, c := range map[string]struct {
		make func() (*model.Model, error)
		want string // of the error
	}{
		"two poolings":      {cnn(4, 5, 1, 1), ""},
		"too low":           {cnn(3, 4, 1, 1), "leave nothing of 3 x 4"},
		"too narrow":        {cnn(4, 3, 1, 1), "leave nothing of 4 x 3"},
		"no channels":       {cnn(4, 4, 1, 0), "convolution 2 has 0"},
		"one channel":       {cnn(4, 4, 1), ""},
		"no features":       {func() (*model.Model, error) { return MLP(spec(1, 1), 2, 1, 3, 0) }, "hidden layer 2 has 0"},
		"one feature":       {func() (*model.Model, error) { return MLP(spec(1, 1), 2, 1, 1) }, ""},
		"no dropout":        {lenet(0), ""},
		"less than none":    {lenet(-0.01), "the dropout is -0.01"},
		"nearly all":        {lenet(0.99), ""},
		"all":               {lenet(1), "the dropout is 1"},
		"no number":         {lenet(math.NaN()), "the dropout is NaN"},
		"one of all":        {vit(ViT{Patch: 1, Width: 1, Depth: 1, Heads: 1}, 1, 1), ""},
		"less than a patch": {vit(ViT{Patch: -1}, 4, 4), "cannot be"},
		"less than a width": {vit(ViT{Width: -4}, 4, 4), "cannot be"},
		"less than a block": {vit(ViT{Depth: -1}, 4, 4), "cannot be"},
		"less than a head":  {vit(ViT{Heads: -1}, 4, 4), "cannot be"},
		"heads that share":  {vit(ViT{Width: 6, Heads: 4}, 4, 4), "4 heads cannot share 6 features"},
		"a row too many":    {vit(ViT{Width: 4, Patch: 2}, 5, 4), "patches of 2 do not fill 5 x 4"},
		"a column too many": {vit(ViT{Width: 4, Patch: 2}, 4, 5), "patches of 2 do not fill 4 x 5"},
	} {
		if _, err := c.make(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, images := range map[string]*tensors.Tensor{"none": nil,
		"three axes": tensors.FromFlatDataAndDimensions([]float32{1}, 1, 1, 1),
		"no image":   tensors.FromFlatDataAndDimensions([]float32{}, 0, 1, 1, 1)} {
		if _, _, err := Statistics(images); err == nil {
			t.Errorf("%s: there are statistics", name)
		}
	}
	if linear, err := MLP(spec(1, 1), 2, 1); err != nil || linear.Name() != "linear" {
		t.Errorf("%v", err)
	}
	for _, bad := range []float64{-0.01, math.NaN(), math.Inf(1)} {
		if _, err := Variational(linear(t, 1, 2, 3, 4), bad, nil); err == nil ||
			!strings.Contains(err.Error(), "it is positive") {
			t.Errorf("the deviation %v: %v", bad, err)
		}
	}
	if _, err := Variational(linear(t, 1, 2, 3, 4), 1, func(string) bool { return false }); err == nil ||
		!strings.Contains(err.Error(), "none of the weights of linear") {
		t.Errorf("%v", err)
	}
	once, err := Variational(linear(t, 1, 2, 3, 4), 1, func(weight string) bool { return weight == "linear.bias" })
	if err != nil || once.Weights()["linear.bias.spread"] == nil || once.Weights()["linear.weight.spread"] != nil {
		t.Errorf("%v", err)
	}
	if _, err := Variational(once, 1, func(weight string) bool { return weight == "linear.bias" }); err == nil {
		t.Error("a distribution becomes one again")
	}
}

func TestAttacksAndMixturesAtTheirBounds(t *testing.T) {
	for _, a := range []Adversarial{{}, {Epsilon: 1}, {Epsilon: 1, Steps: 1, StepSize: 0.1, RandomStart: true}} {
		if err := a.check(); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
	inf, nan := math.Inf(1), math.NaN()
	for want, bad := range map[string][]Adversarial{
		"set Adversarial.Epsilon": {{Steps: 1}, {StepSize: 1}, {RandomStart: true}},
		"the radius":              {{Epsilon: -0.01}, {Epsilon: inf}, {Epsilon: nan}},
		"of -1 steps":             {{Epsilon: 1, Steps: -1}},
		"step size":               {{Epsilon: 1, StepSize: -0.01}, {Epsilon: 1, StepSize: inf}, {Epsilon: 1, StepSize: nan}},
	} {
		for _, a := range bad {
			if err := a.check(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", a, err, want)
			}
		}
	}
	if err := (*AugMix)(nil).check(Recipe{}, 3); err != nil {
		t.Error(err)
	}
	for _, a := range []AugMix{{}, {Weight: 0.1}, {Alone: true}} {
		if err := a.check(Recipe{}, 3); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
	for _, a := range []AugMix{{Weight: -0.01}, {Weight: inf}, {Weight: nan}, {Alone: true, Weight: 0.1}} {
		if err := a.check(Recipe{}, 3); err == nil || !strings.HasPrefix(err.Error(), "learn: ") {
			t.Errorf("%+v: %v", a, err)
		}
	}
	if err := (&AugMix{}).check(Recipe{Adversarial: Adversarial{Epsilon: 0.1}}, 3); err == nil {
		t.Error("mixtures are attacked")
	}
}

// By hand: the loss of a linear network of two classes grows along one direction, so that each step of the attack goes
// its whole length there, up to the radius, and no pixel leaves 0..1. Seven steps of 2.5 ε/7 are the default.
func TestAnAttackOnALinearNetwork(t *testing.T) {
	attack := func(a Adversarial, x ...float32) []float32 {
		t.Helper()
		exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
			logits := func(x *graph.Node) *graph.Node {
				score := graph.Sub(graph.MulScalar(graph.Slice(graph.Reshape(x, -1, 2), graph.AxisRange(), graph.AxisElem(0)), 3),
					graph.MulScalar(graph.Slice(graph.Reshape(x, -1, 2), graph.AxisRange(), graph.AxisElem(1)), 4))
				return graph.Concatenate([]*graph.Node{score, graph.Neg(score)}, 1)
			}
			return []*graph.Node{a.Attack(nil, in[0], in[1], logits)}
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, len(x)/2, 1, 2, 1),
			tensors.FromFlatDataAndDimensions(make([]int32, len(x)/2), len(x)/2))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out[0])
	}
	// Away from class 0 is along (-3, 4)/5.
	for name, c := range map[string]struct {
		a    Adversarial
		x    []float32
		want []float64
	}{
		"one step": {Adversarial{Epsilon: 0.5, Steps: 1, StepSize: 0.1},
			[]float32{0.5, 0.5, 0.25, 0.25}, []float64{0.44, 0.58, 0.19, 0.33}},
		"three steps": {Adversarial{Epsilon: 0.5, Steps: 3, StepSize: 0.05}, []float32{0.5, 0.5},
			[]float64{0.41, 0.62}},
		"to the border": {Adversarial{Epsilon: 0.25, Steps: 3, StepSize: 0.2}, []float32{0.5, 0.5},
			[]float64{0.35, 0.7}},
		"by default": {Adversarial{Epsilon: 0.25}, []float32{0.5, 0.5}, []float64{0.35, 0.7}},
		"two steps, each 1.25 times the radius": {Adversarial{Epsilon: 0.1, Steps: 2}, []float32{0.5, 0.5},
			[]float64{0.44, 0.58}},
		"cut": {Adversarial{Epsilon: 0.5, Steps: 1, StepSize: 0.5}, []float32{0.1, 0.9}, []float64{0, 1}},
	} {
		if err := approx.All(attack(c.a, c.x...), c.want, 1e-5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Of 2.5 radii in seven steps two are 0.714 of one, three are more.
	for _, c := range []struct {
		a      Adversarial
		of     float64
		within float64
	}{{Adversarial{Epsilon: 0.1, Steps: 7, StepSize: 0.01}, 0.07, 1e-6},
		{Adversarial{Epsilon: 0.1, Steps: 6, StepSize: 0.01}, 0.06, 1e-6}, {Adversarial{Epsilon: 0.1, StepSize: 0.01},
			0.07, 1e-6}} {
		x := attack(c.a, 0.5, 0.5)
		if far := math.Hypot(float64(x[0])-0.5, float64(x[1])-0.5); !approx.Equal(far, c.of, c.within) {
			t.Errorf("%+v goes %v, want %v", c.a, far, c.of)
		}
	}
	if got := (Adversarial{}).steps(); got != 7 {
		t.Errorf("%d steps", got)
	}
}

func TestViewsThatCannotBeCompared(t *testing.T) {
	logits := func(dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		return tensors.FromFlatDataAndDimensions(make([]float32, size), dims...)
	}
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node { return []*graph.Node{JensenShannon(in...)} })
	if err != nil {
		t.Fatal(err)
	}
	for name, views := range map[string][]any{"three axes": {logits(1, 1, 2), logits(1, 1, 2)},
		"one axis": {logits(2), logits(2)}, "another shape": {logits(1, 2), logits(2, 2)},
		"another width": {logits(1, 2), logits(1, 3)}} {
		if _, err := exec.Call(views...); err == nil || !strings.Contains(err.Error(), "[B, K] of one shape") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// As far apart as can be, the answers of V views to one image have the divergence log V, but for the cut.
	for _, v := range []int{2, 3} {
		var views []any
		for i := range v {
			flat := make([]float32, v)
			flat[i] = 100
			views = append(views, tensors.FromFlatDataAndDimensions(flat, 1, v))
		}
		out, err := exec.Call(views...)
		if err != nil || !approx.Equal(tensors.ToScalar[float32](out[0]), math.Log(float64(v)), 1e-5) {
			t.Errorf("%d views: %v (%v)", v, out, err)
		}
	}
}

// The best is that of the highest accuracy, of equal ones that of the largest λ, wherever it stands.
func TestTheBestOfSeveral(t *testing.T) {
	of := func(correct int, lambda float64) LambdaScore {
		return LambdaScore{Lambda: lambda, Accuracy: stats.Accuracy{Correct: correct, Total: 10}}
	}
	for _, c := range []struct {
		all  []LambdaScore
		want float64
	}{
		{[]LambdaScore{of(5, 1), of(7, 0.1), of(6, 10)}, 0.1},
		{[]LambdaScore{of(7, 0.1), of(7, 1), of(7, 0.01)}, 1},
		{[]LambdaScore{of(0, 0.1)}, 0.1},
		{[]LambdaScore{of(7, 1), of(6, 5)}, 1},
	} {
		if got := BestLambda(c.all).Lambda; got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
}

// A head's logits are by hand {1, 0.5} and {-1, 2.5}; the first of equal ones is predicted.
func TestWhatAHeadSays(t *testing.T) {
	head := &model.Head{Weights: mat.NewDense(2, 2, []float64{1, 0, 0, 1}), Bias: []float64{0, 0.5}}
	x := tensors.FromFlatDataAndDimensions([]float32{1, 0, -1, 2, 0.5, 0}, 3, 2)
	predicted, err := HeadPredictions(head, x)
	if err != nil || !slices.Equal(predicted, []int{0, 1, 0}) {
		t.Errorf("%v (%v)", predicted, err)
	}
	p, err := HeadProbabilities(head, x)
	if err != nil {
		t.Fatal(err)
	}
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	if err := approx.All(tensors.MustCopyFlatData[float32](p), []float64{sigmoid(0.5), sigmoid(-0.5), sigmoid(-3.5),
		sigmoid(3.5), 0.5, 0.5}, 1e-6); err != nil {
		t.Error(err)
	}
	if a, err := HeadAccuracy(head, x, []int{0, 0, -1}); err != nil || a != (stats.Accuracy{Correct: 1, Total: 2}) {
		t.Errorf("%v (%v)", a, err)
	}
	for name, bad := range map[string]*tensors.Tensor{"none": nil,
		"another width":    tensors.FromFlatDataAndDimensions([]float32{1, 0, 0}, 1, 3),
		"one axis":         tensors.FromFlatDataAndDimensions([]float32{1, 0}, 2),
		"double precision": tensors.FromFlatDataAndDimensions([]float64{1, 0}, 1, 2)} {
		if _, err := HeadPredictions(head, bad); err == nil || !strings.Contains(err.Error(), "features [N, 2] float32") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, labels := range [][]int{{0, 0}, {0, 0, 2}} {
		if _, err := HeadAccuracy(head, x, labels); err == nil || !strings.HasPrefix(err.Error(), "learn: ") {
			t.Errorf("%v: %v", labels, err)
		}
	}
	if _, err := HeadPredictions(&model.Head{}, x); err == nil {
		t.Error("an empty head says something")
	}
}

func TestProblemsThatAreNone(t *testing.T) {
	x := func(values ...float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, len(values)/2, 2)
	}
	two := x(0, 1, 1, 0)
	for want, c := range map[string]struct {
		l       LogisticRegression
		x       *tensors.Tensor
		labels  []int
		classes int
	}{
		"features [N, D] float32": {LogisticRegression{}, tensors.FromFlatDataAndDimensions([]float32{0, 1}, 2),
			[]int{0, 1}, 2},
		"a classifier of 1 classes": {LogisticRegression{}, two, []int{0, 0}, 1},
		"image 1 has the label -1":  {LogisticRegression{}, two, []int{0, -1}, 2},
		"image 1 has the label 2":   {LogisticRegression{}, two, []int{0, 2}, 2},
		"2 images and 3 labels":     {LogisticRegression{}, two, []int{0, 1, 1}, 2},
		"λ is -0.01":                {LogisticRegression{Lambda: -0.01}, two, []int{0, 1}, 2},
		"λ is +Inf":                 {LogisticRegression{Lambda: math.Inf(1)}, two, []int{0, 1}, 2},
		"to -1 in 0":                {LogisticRegression{Tolerance: -1}, two, []int{0, 1}, 2},
		"to 0 in -1":                {LogisticRegression{Iterations: -1}, two, []int{0, 1}, 2},
		"feature 0 of image 1 is":   {LogisticRegression{}, x(0, 1, float32(math.Inf(1)), 0), []int{0, 1}, 2},
		"is [1, 2], the fit [2, 2]": {LogisticRegression{Start: &model.Head{Weights: mat.NewDense(1, 2, nil),
			Bias: []float64{0}}}, two, []int{0, 1}, 2},
		"is [2, 1], the fit [2, 2]": {LogisticRegression{Start: &model.Head{Weights: mat.NewDense(2, 1, nil),
			Bias: []float64{0, 0}}}, two, []int{0, 1}, 2},
		"no image has the label 2 of": {LogisticRegression{}, two, []int{0, 1}, 3},
	} {
		if _, err := c.l.Fit(c.x, c.labels, c.classes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	if _, err := (LogisticRegression{}).Choose(two, []int{0, 1}, 2, two, []int{0, 1}, []float64{}); err == nil ||
		!strings.Contains(err.Error(), "no λ") {
		t.Errorf("%v", err)
	}
	if _, err := (LogisticRegression{}).Choose(two, []int{0, 1}, 2, two, []int{0, 1}, []float64{1, -1}); err == nil ||
		!strings.Contains(err.Error(), "λ is -1") {
		t.Errorf("%v", err)
	}
}

// By hand: of two images ±1 on one axis with λ = 1 the weights are ∓u on it with u = 2/(1+exp(2u)), and the biases are
// alike. From the solution on no iteration is needed, and one iteration is one.
func TestARegressionByHand(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{-1, 1}, 2, 1)
	fit, err := LogisticRegression{Lambda: 1, Tolerance: 1e-9}.Fit(x, []int{0, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	u := 0.5
	for range 100 {
		u -= (u - 2/(1+math.Exp(2*u))) / (1 + 4*math.Exp(2*u)/math.Pow(1+math.Exp(2*u), 2))
	}
	w, loss := fit.Head.Weights, 2*math.Log1p(math.Exp(-2*u))
	if err := approx.All([]float64{w.At(0, 0), w.At(1, 0), fit.Head.Bias[0] - fit.Head.Bias[1], fit.Loss, fit.Objective},
		[]float64{-u, u, 0, loss, loss + u*u}, 1e-6); err != nil {
		t.Error(err)
	}
	again, err := LogisticRegression{Lambda: 1, Tolerance: 1e-6, Start: fit.Head}.Fit(x, []int{0, 1}, 2)
	if err != nil || again.Iterations != 0 || !approx.Equal(again.Objective, fit.Objective, 1e-6) {
		t.Errorf("%+v (%v)", again, err)
	}
}

// A second view gets the first one's draws in their order, and has to ask for the same shapes.
func TestDrawsAreReplayed(t *testing.T) {
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		drawn := 0
		r := &replay{draw: func(dims ...int) *graph.Node {
			drawn++
			return graph.BroadcastToDims(graph.MulScalar(in[0], float64(drawn)), dims...)
		}}
		a, b := r.uniform(2), r.uniform(3)
		r.again()
		if r.uniform(2) != a || r.uniform(3) != b || drawn != 2 {
			t.Errorf("a second view has other draws: there are %d", drawn)
		}
		c := r.uniform(4)
		if drawn != 3 {
			t.Errorf("what only the second view draws is no draw of its own: there are %d", drawn)
		}
		r.again()
		r.uniform(2)
		r.uniform(5)
		return []*graph.Node{c}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.Call(tensors.FromScalar(float32(1))); err == nil ||
		!strings.Contains(err.Error(), "the shape [3] for one view and [5] for another") {
		t.Errorf("%v", err)
	}
}

// Which network a file's weights are those of is told by their names, and the number of a ViT's heads, which they do
// not tell, is any that divides its width.
func TestWhoseWeightsThoseAre(t *testing.T) {
	spec := model.Spec{Height: 4, Width: 4, Channels: 1}
	weights := func(m *model.Model, err error) func(without ...string) map[string]*tensors.Tensor {
		if err != nil {
			t.Fatal(err)
		}
		return func(without ...string) map[string]*tensors.Tensor {
			left := m.Weights()
			for _, name := range without {
				if left[name] == nil {
					t.Fatalf("there is no %s", name)
				}
				delete(left, name)
			}
			return left
		}
	}
	cnn, mlp := weights(SmallCNN(spec, 2, 1, 3, 2)), weights(MLP(spec, 2, 1, 3))
	vit := weights(ViT{Patch: 2, Width: 6, Depth: 1, Heads: 3}.Make(spec, 2, 1))
	for name, c := range map[string]struct {
		of      model.Architecture
		weights map[string]*tensors.Tensor
		want    []string
	}{
		"CNN": {savedCNN, cnn(), []string{""}}, "no convolution": {savedCNN, cnn("conv1.weight"), nil},
		"nothing hidden": {savedCNN, cnn("hidden.weight"), nil}, "a CNN without end": {savedCNN, cnn("linear.weight"), nil},
		"MLP": {savedMLP, mlp(), []string{""}}, "an MLP without end": {savedMLP, mlp("linear.weight"), nil},
		"a weight less": {savedMLP, mlp("hidden1.bias"), nil}, "no MLP": {savedMLP, cnn(), nil},
		"ViT": {savedViT, vit(), []string{"1", "2", "3", "6"}}, "no patches": {savedViT, vit("patches.weight"), nil},
		"no positions": {savedViT, vit("positions"), nil}, "no blocks": {savedViT, vit("block1.norm1.weight"), nil},
	} {
		if got := c.of.Settings(c.weights); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, make := range map[string]func() (*model.Model, error){
		"no number":     func() (*model.Model, error) { return savedViT.Make(spec, vit(), "many") },
		"a weight less": func() (*model.Model, error) { return savedViT.Make(spec, vit("norm.bias"), "2") },
		"an axis less": func() (*model.Model, error) {
			return savedCNN.Make(spec, map[string]*tensors.Tensor{"conv1.weight": tensors.FromScalar(float32(1)),
				"linear.weight": nil}, "")
		},
		"heads for more": func() (*model.Model, error) { return savedViT.Make(spec, vit(), "4") },
		"another picture": func() (*model.Model, error) {
			return savedMLP.Make(model.Spec{Height: 5, Width: 4, Channels: 1}, mlp(), "")
		},
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: there is a network", name)
		}
	}
	if _, err := savedViT.Make(spec, vit("norm.bias"), "2"); err == nil ||
		!strings.Contains(err.Error(), `no weight "norm.bias"`) {
		t.Errorf("%v", err)
	}
}

// What is no distribution, or is one whose deviation is not learnt, has no part in the divergence.
func TestTheDivergenceIsOfWhatIsLearnt(t *testing.T) {
	m, err := Variational(linear(t, 1, 2, 3, 4), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		if Divergence(m, map[string]*graph.Node{"linear.weight": in[0], "linear.bias": in[0]}) != nil {
			t.Error("a weight whose deviation is not learnt has a divergence")
		}
		return []*graph.Node{Divergence(m, map[string]*graph.Node{"linear.weight": in[0], "linear.weight.spread": in[1]})}
	})
	if err != nil {
		t.Fatal(err)
	}
	// Of the deviation 1 it is half the mean's square: (1 + 4)/2.
	out, err := exec.Call(tensors.FromFlatDataAndDimensions([]float32{1, 2}, 2),
		tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{float32(math.Log(math.Expm1(1)))}, 2), 2))
	if err != nil || !approx.Equal(tensors.ToScalar[float32](out[0]), 2.5, 1e-5) {
		t.Errorf("%v (%v)", out, err)
	}
}
