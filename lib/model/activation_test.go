package model

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// outputsOf is a network whose outputs are the first pixels of an image, [N, k], so that a test can choose them.
func outputsOf(t *testing.T, k int, activation Activation) *Model {
	t.Helper()
	m, err := FromFunc(Spec{Name: "pixels", Height: 2, Width: 2, Channels: 1, Activation: activation},
		func(x *graph.Node) *graph.Node {
			return graph.Slice(graph.Reshape(x, -1, 4), graph.AxisRange(), graph.AxisRange(0, k))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What a network answers goes by its activation, in Go and on the device alike.
func TestProbabilitiesGoByTheActivation(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{2, -1, 0.5, 0, -3, 4, 1, 0}, 2, 2, 2, 1)
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	softmax := func(v ...float64) (p []float64) {
		sum := 0.0
		for _, v := range v {
			sum += math.Exp(v)
		}
		for _, v := range v {
			p = append(p, math.Exp(v)/sum)
		}
		return p
	}
	for _, c := range []struct {
		name       string
		outputs    int
		activation Activation
		want       []float64
		predicted  []int
	}{
		{"softmax", 3, Softmax, append(softmax(2, -1, 0.5), softmax(-3, 4, 1)...), []int{0, 1}},
		{"found", 3, AutoActivation, append(softmax(2, -1, 0.5), softmax(-3, 4, 1)...), []int{0, 1}},
		{"three sigmoids", 3, Sigmoid, []float64{sigmoid(2), sigmoid(-1), sigmoid(0.5), sigmoid(-3), sigmoid(4), sigmoid(1)},
			[]int{0, 1}},
		{"one sigmoid", 1, Sigmoid, []float64{sigmoid(-2), sigmoid(2), sigmoid(3), sigmoid(-3)}, []int{1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := outputsOf(t, c.outputs, c.activation)
			k := m.NumClasses()
			if k != len(c.want)/2 {
				t.Fatalf("%d classes, want %d", k, len(c.want)/2)
			}
			probabilities, err := m.Probabilities(x)
			if err != nil {
				t.Fatal(err)
			}
			predicted, err := m.Predict(x)
			if err != nil {
				t.Fatal(err)
			}
			device, err := NewExec(func(x, classes *graph.Node) []*graph.Node {
				out := m.Call(x)
				return []*graph.Node{out.Probabilities(), graph.Exp(m.LogProbabilitiesFrom(out.Logits)), m.Likeliest(out.Logits),
					m.ClassProbabilities(out.Logits, classes), m.ClassLogits(out.Logits, classes)}
			})
			if err != nil {
				t.Fatal(err)
			}
			classes := []int32{int32(k - 1), 0}
			results, err := device.Call(x, classes)
			if err != nil {
				t.Fatal(err)
			}
			for what, got := range map[string][]float32{
				"in Go":         tensors.MustCopyFlatData[float32](probabilities),
				"on the device": tensors.MustCopyFlatData[float32](results[0]),
				"by logarithms": tensors.MustCopyFlatData[float32](results[1]),
			} {
				for i, want := range c.want {
					if !approx.Equal(got[i], want, 1e-5) {
						t.Errorf("%s: probabilities %v, want %v", what, got, c.want)
						break
					}
				}
			}
			likeliest := tensors.MustCopyFlatData[int32](results[2])
			ofClass, logit := tensors.MustCopyFlatData[float32](results[3]), tensors.MustCopyFlatData[float32](results[4])
			for i, want := range c.predicted {
				if predicted[i] != want || int(likeliest[i]) != want {
					t.Errorf("image %d: predicted %d, on the device %d, want %d", i, predicted[i], likeliest[i], want)
				}
				p := c.want[i*k+int(classes[i])]
				if !approx.Equal(ofClass[i], p, 1e-5) {
					t.Errorf("image %d: class %d has the probability %v, want %v", i, classes[i], ofClass[i], p)
				}
				if c.activation == Sigmoid && !approx.Equal(sigmoid(float64(logit[i])), p, 1e-5) {
					t.Errorf("image %d: class %d has the logit %v and the probability %v", i, classes[i], logit[i], p)
				}
			}
			top, err := m.TopK(x, 1)
			if err != nil {
				t.Fatal(err)
			}
			if top[0][0].Class != c.predicted[0] {
				t.Errorf("the likeliest class is %v", top[0][0])
			}
		})
	}
}

// Probabilities are taken as they are, and their gradients are those of their logarithms.
func TestProbabilitiesAlready(t *testing.T) {
	m := outputsOf(t, 3, NoActivation)
	want := []float32{0.7, 0.3, 0, 0.25, 0.25, 0.5}
	x := tensors.FromFlatDataAndDimensions([]float32{0.7, 0.3, 0, 9, 0.25, 0.25, 0.5, 9}, 2, 2, 2, 1)
	p, err := m.Probabilities(x)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](p); !same(got, want, 1e-6) {
		t.Errorf("probabilities %v, want %v", got, want)
	}
	extended, err := m.Extend("the same", nil, nil, func(_ *Builder, out Outputs) *graph.Node { return out.Logits })
	if err != nil {
		t.Fatal(err)
	}
	if p, err = extended.Probabilities(x); err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](p); !same(got, want, 1e-6) {
		t.Errorf("extended: probabilities %v, want %v", got, want)
	}
	gradient, err := m.InputGradient(tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5, 0, 0}, 1, 2, 2, 1), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](gradient); !same(got, []float32{2, 0, 0, 0}, 1e-5) {
		t.Errorf("the gradient of log p is %v, want 1/p", got)
	}
}

func TestWhatNeedsASoftmaxRefusesSigmoids(t *testing.T) {
	for _, k := range []int{1, 3} {
		m := outputsOf(t, k, Sigmoid)
		if _, err := Ensemble("", m, m); err == nil || !strings.Contains(err.Error(), "exclude each other") {
			t.Errorf("an ensemble of %d sigmoids: %v", k, err)
		}
	}
	if _, err := FromFunc(Spec{Height: 1, Width: 1, Channels: 1, Activation: 7},
		func(x *graph.Node) *graph.Node { return x }); err == nil || !strings.Contains(err.Error(), "no activation 7") {
		t.Errorf("activation 7: %v", err)
	}
}

// A one-output network has no linear layer with a row for each of its two classes.
func TestTheHeadOfOneSigmoidIsRefused(t *testing.T) {
	m, err := FromFunc(Spec{Height: 2, Width: 2, Channels: 1, Activation: Sigmoid},
		func(b *Builder, x *graph.Node) *graph.Node {
			return graph.Slice(b.Features(graph.Reshape(x, -1, 4)), graph.AxisRange(), graph.AxisRange(0, 1))
		})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Head(); err == nil || strings.Contains(err.Error(), "index out of range") {
		t.Errorf("the head is %v", err)
	}
}

// A network that makes probabilities itself is asked to say so, instead of a second softmax in silence.
func TestProbabilitiesAreNotTakenForLogits(t *testing.T) {
	outputs := func(activation Activation, fn func(x *graph.Node) *graph.Node) *Model {
		m, err := FromFunc(Spec{Name: "net", Height: 1, Width: 1, Channels: 3, Activation: activation},
			func(x *graph.Node) *graph.Node {
				return fn(graph.Reshape(x, -1, 3))
			})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	byHand := func(x *graph.Node) *graph.Node {
		e := graph.Exp(x)
		return graph.Div(e, graph.ReduceAndKeep(e, graph.ReduceSum, -1))
	}
	x := tensors.FromFlatDataAndDimensions([]float32{1, 0.5, 0.25, 0, 1, 0}, 2, 1, 1, 3)
	m := outputs(AutoActivation, byHand)
	for name, ask := range map[string]func() error{
		"Logits":  func() error { _, err := m.Logits(x); return err },
		"Predict": func() error { _, err := m.Predict(x); return err },
		"classes": func() error { _, err := m.TargetClasses(x, nil); return err },
		"answers": func() error { _, err := m.AnswersTo(x, []int{0, 1}); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "Activation: model.NoActivation") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	p, err := outputs(NoActivation, byHand).Probabilities(x)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tensors.MustCopyFlatData[float32](p)[0],
		math.E/(math.E+math.Exp(0.5)+math.Exp(0.25)); math.Abs(float64(got)-want) > 1e-6 {
		t.Errorf("the probability is %v, want %v", got, want)
	}
	for name, m := range map[string]*Model{
		"said to be logits": outputs(Softmax, byHand),
		"sums are not 1": outputs(AutoActivation, func(x *graph.Node) *graph.Node {
			return graph.MulScalar(byHand(x), 0.999)
		}),
		"one is below 0":       outputs(AutoActivation, func(x *graph.Node) *graph.Node { return graph.SubScalar(x, 0.5) }),
		"only one row is such": outputs(AutoActivation, func(x *graph.Node) *graph.Node { return x }),
	} {
		if _, err := m.Logits(x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
