package learn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// linear is a network of one linear layer over two pixels.
func linear(t *testing.T, weights ...float32) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions(weights, 2, 2),
		"linear.bias":   tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2),
	}, model.Spec{Name: "linear", Height: 1, Width: 2, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", b.Features(graph.Reshape(x, x.Shape().Dimensions[0], 2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pixels(t *testing.T, values ...float32) *tensors.Tensor {
	t.Helper()
	return tensors.FromFlatDataAndDimensions(values, len(values)/2, 1, 2, 1)
}

func TestWeightsThatAreDistributions(t *testing.T) {
	m, err := Variational(linear(t, 1, -1, 0.5, 2), 0.8, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := pixels(t, 0.5, 1)
	// The model itself uses the means.
	logits, err := m.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	if z := tensors.MustCopyFlatData[float32](logits); z[0] != -0.5 || z[1] != 2.25 {
		t.Errorf("the means give %v", z)
	}
	// The difference of a draw's logits is normal with the variance 2·0.8²·(0.5² + 1²); its sigmoid's mean is the
	// second class's probability.
	sampled, err := m.Sampled(50, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sampled.Probabilities(x)
	if err != nil {
		t.Fatal(err)
	}
	difference := distuv.Normal{Mu: 2.75, Sigma: 0.8 * math.Sqrt(2.5)}
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	var want, square float64
	const steps = 1000
	for i := range steps {
		v := sigmoid(difference.Quantile((float64(i) + 0.5) / steps))
		want += v / steps
		square += v * v / steps
	}
	error := math.Sqrt((square - want*want) / 50)
	got := float64(tensors.MustCopyFlatData[float32](p)[1])
	if !approx.Equal(got, want, 4*error) || !(math.Abs(want-sigmoid(2.75)) >= error) {
		t.Errorf("the probability is %v, want %v ± %v; at the means it is %v", got, want, error, sigmoid(2.75))
	}
}

// Where the images say nothing, the weights come to their prior.
func TestWithoutEvidenceTheWeightsComeToTheirPrior(t *testing.T) {
	m, err := Variational(linear(t, 1, -1, 0.5, 2), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	black, labels := pixels(t, make([]float32, 16)...), []int{0, 1, 0, 1, 0, 1, 0, 1}
	trained, _, err := Recipe{Epochs: 1500, BatchSize: 8, LearningRate: 0.01, Adam: true}.Train(m, black, labels)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range trained.Weights() {
		for _, v := range tensors.MustCopyFlatData[float32](w) {
			want := 0.0
			if strings.HasSuffix(name, ".spread") {
				want = math.Log(math.Expm1(1))
			}
			if !approx.Equal(v, want, 0.01) {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	}
	decays := Default
	decays.BatchSize = 8
	_, _, err = decays.Train(m, black, labels)
	if err == nil || !strings.Contains(err.Error(), "WeightDecay to 0") {
		t.Errorf("with weight decay the error is %v", err)
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 1}, 2, 2),
		"linear.bias":   tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2),
	}, model.Spec{Name: "dropping", Height: 1, Width: 2, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", b.Dropout(graph.Reshape(x, x.Shape().Dimensions[0], 2), 0.3))
	})
	if err != nil {
		t.Fatal(err)
	}
	m.BatchSize = 4000 // each batch has the same noise
	x := make([]float32, 8000)
	for i := range x {
		x[i] = 0.7
	}
	one, err := m.Sampled(1, 5)
	if err != nil {
		t.Fatal(err)
	}
	p, err := one.Probabilities(pixels(t, x...))
	if err != nil {
		t.Fatal(err)
	}
	// A logit is 0 with probability 0.3, else 1: the first class has the probability 1/2, or σ(±1) where one of the two
	// is dropped.
	var counts [3]float64
	for i, v := range tensors.MustCopyFlatData[float32](p) {
		if i%2 == 0 {
			switch {
			case math.Abs(float64(v)-0.5) < 1e-5:
				counts[0]++
			case math.Abs(float64(v)-1/(1+math.Exp(-1))) < 1e-5:
				counts[1]++
			case math.Abs(float64(v)-1/(1+math.E)) < 1e-5:
				counts[2]++
			}
		}
	}
	if counts[0]+counts[1]+counts[2] != 4000 || !approx.Equal(counts[1]/4000, 0.21, 0.03) ||
		!approx.Equal(counts[2]/4000, 0.21, 0.03) {
		t.Errorf("of 4,000 images %v have none or both dropped, the second, the first", counts)
	}
	// Of many members the mean probability: 0.58·0.5 + 0.21·(σ(1) + σ(-1)) = 0.5 for equal pixels, and the same again
	// by the same seed.
	many, err := m.Sampled(400, 5)
	if err != nil {
		t.Fatal(err)
	}
	var before []float32
	for range 2 {
		p, err := many.Probabilities(pixels(t, 0.7, 0.7))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](p)
		if !approx.Equal(flat[0], 0.5, 0.03) || before != nil && before[0] != flat[0] {
			t.Errorf("the probabilities are %v, before %v", flat, before)
		}
		before = flat
	}
	if _, err := linear(t, 1, 2, 3, 4).Sampled(3, 0); err == nil || !strings.Contains(err.Error(), "neither dropout nor") {
		t.Errorf("without dropout the error is %v", err)
	}
}

// Flipout: in one draw of the weights, images have draws of their own, around what the means give. A weight's sign and
// with it the sum's change from image to image, not the size.
func TestImagesHaveDrawsOfTheirOwn(t *testing.T) {
	const n = 4000
	x := make([]float32, 0, 2*n)
	for range n {
		x = append(x, 0.5, 1)
	}
	for name, build := range map[string]struct {
		weights map[string]*tensors.Tensor
		fn      func(b *model.Builder, x *graph.Node) *graph.Node
	}{
		"linear": {
			map[string]*tensors.Tensor{"a.weight": tensors.FromFlatDataAndDimensions([]float32{1, -1, 0.5, 2}, 2, 2),
				"a.bias": tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2)},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				return b.Linear("a", graph.Reshape(x, x.Shape().Dimensions[0], 2))
			},
		},
		"convolution": { // of the two pixels as two channels
			map[string]*tensors.Tensor{"a.weight": tensors.FromFlatDataAndDimensions([]float32{1, 0.5, -1, 2}, 1, 1, 2, 2)},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				n := x.Shape().Dimensions[0]
				return graph.Reshape(b.Conv2D("a", graph.Reshape(x, n, 1, 1, 2), 1, 0), n, 2)
			},
		},
		"tokens": { // of which an image has two that are alike
			map[string]*tensors.Tensor{"a.weight": tensors.FromFlatDataAndDimensions([]float32{1, -1, 0.5, 2}, 2, 2)},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				token := graph.Reshape(x, x.Shape().Dimensions[0], 1, 2)
				y := b.Linear("a", graph.Concatenate([]*graph.Node{token, token}, 1))
				first, second := graph.Slice(y, graph.AxisRange(), graph.AxisElem(0)),
					graph.Slice(y, graph.AxisRange(), graph.AxisElem(1))
				// Tokens of an image share its draw: were they apart, the logits would show it a thousandfold.
				apart := graph.MulScalar(graph.Sub(first, second), 1000)
				return graph.Reshape(graph.Add(first, apart), x.Shape().Dimensions[0], 2)
			},
		},
	} {
		m, err := model.FromTensors(build.weights, model.Spec{Name: name, Height: 1, Width: 2, Channels: 1}, build.fn)
		if err != nil {
			t.Fatal(err)
		}
		m, err = Variational(m, 0.8, nil)
		if err != nil {
			t.Fatal(err)
		}
		one, err := m.Sampled(1, 3)
		if err != nil {
			t.Fatal(err)
		}
		one.BatchSize = n
		logs, err := one.Logits(pixels(t, x...))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](logs)
		differences, distinct := make([]float64, n), map[int]bool{}
		for i := range differences {
			differences[i] = float64(flat[2*i+1] - flat[2*i])
			distinct[int(math.Round(differences[i]*1e3))] = true
		}
		mean, deviation := stat.MeanStdDev(differences, nil)
		// Two weights for each of two logits have four signs each, so that there are sixteen differences at the most.
		if !approx.Equal(mean, 2.75, 4*deviation/math.Sqrt(n)) || !(deviation >= 0.1) || !(deviation <= 3) ||
			len(distinct) < 4 || len(distinct) > 16 {
			t.Errorf("%s: %d values around %v ± %v, want 4 to 16 around 2.75", name, len(distinct), mean, deviation)
		}
	}
}

// Where only the last layer is noisy, the network up to it is computed once for all members, which changes nothing but
// the time.
func TestMembersShareWhatIsBeforeTheNoise(t *testing.T) {
	x := noisyPixels(6)
	var want []float32
	for _, named := range []bool{false, true} {
		reached := 0
		m, err := model.FromTensors(map[string]*tensors.Tensor{
			"a.weight": tensors.FromFlatDataAndDimensions([]float32{1, -1, 0.5, 2, 0.3, -0.7}, 3, 2),
			"b.weight": tensors.FromFlatDataAndDimensions([]float32{1, 0.5, -1, 2, 0.1, 1}, 2, 3),
		}, model.Spec{Name: "last layer", Height: 1, Width: 2, Channels: 1},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				reached = x.Shape().Dimensions[0]
				y := b.Linear("a", graph.Reshape(x, reached, 2))
				if named {
					y = b.Features(y)
				}
				return b.Linear("b", b.Dropout(y, 0.5))
			})
		if err != nil {
			t.Fatal(err)
		}
		many, err := m.Sampled(20, 4)
		if err != nil {
			t.Fatal(err)
		}
		many.BatchSize = 6
		logits, err := many.Logits(x)
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](logits)
		if wantImages := map[bool]int{false: 120, true: 6}[named]; reached != wantImages {
			t.Errorf("the first layer sees %d images, want %d", reached, wantImages)
		}
		if !named {
			want = got
			continue
		}
		if worst, _ := oracle.Difference(got, want); !approx.Equal(worst, 0, 1e-6) {
			t.Errorf("shared and not, logits differ by %v", worst)
		}
	}
}

func noisyPixels(n int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 2*n)
	for i := range values {
		values[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(values, n, 1, 2, 1)
}
