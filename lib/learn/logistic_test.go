package learn

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
)

// digits are scikit-learn's, with what its LogisticRegression makes of them: bench/oracles/logistic.py.
func digits(t *testing.T) (features *tensors.Tensor, labels []int, golden func(name string) []float64) {
	t.Helper()
	const file = "testdata/logistic.npz"
	var flat []float32
	for _, v := range oracle.Read[uint8](t, file, "x") {
		flat = append(flat, float32(v)/16)
	}
	for _, label := range oracle.Read[int64](t, file, "y") {
		labels = append(labels, int(label))
	}
	return tensors.FromFlatDataAndDimensions(flat, len(labels), 64), labels,
		func(name string) []float64 { return oracle.Read[float64](t, file, name) }
}

func TestLogisticRegressionAgreesWithScikitLearn(t *testing.T) {
	features, labels, golden := digits(t)
	var last *Fit
	for _, c := range []struct {
		name string
		// how far these may be off, as a share of the norm and as they are: two to ten times what was measured
		weights, biases float64
	}{{"large", 1e-5, 1e-5}, {"one", 1e-4, 1e-3}, {"small", 1e-3, 2e-2}} {
		name := c.name
		want, weights, bias := golden(name), golden(name+"_weights"), golden(name+"_bias")
		fit, err := LogisticRegression{Lambda: want[0], Tolerance: 2e-7, Iterations: 5000}.Fit(features, labels, 10)
		if err != nil {
			t.Fatal(err)
		}
		if !approx.Equal(fit.Objective/want[1], 1, 1e-6) {
			t.Errorf("λ %v: the objective is %v, scikit-learn has %v", want[0], fit.Objective, want[1])
		}
		difference := mat.NewDense(10, 64, nil)
		difference.Sub(fit.Head.Weights, mat.NewDense(10, 64, weights))
		if d := mat.Norm(difference, 2) / mat.Norm(fit.Head.Weights, 2); !(d <= c.weights) {
			t.Errorf("λ %v: the weights differ by %v", want[0], d)
		} else {
			t.Logf("λ %v: the weights differ by %.2g", want[0], d)
		}
		mean := stat.Mean(fit.Head.Bias, nil)
		centred := slices.Clone(fit.Head.Bias)
		floats.AddConst(-mean, centred)
		if err := approx.All(centred, bias, c.biases); err != nil {
			t.Errorf("λ %v: the biases: %v", want[0], err)
		}
		floats.Sub(centred, bias)
		t.Logf("λ %v: the biases differ by %.2g", want[0], floats.Norm(centred, math.Inf(1)))
		if last != nil {
			// Begun at the solution of a larger λ, the same one is found.
			again, err := LogisticRegression{Lambda: want[0], Tolerance: 2e-7, Iterations: 5000, Start: last.Head}.Fit(features,
				labels, 10)
			if err != nil {
				t.Fatal(err)
			}
			if !approx.Equal(again.Objective/want[1], 1, 1e-6) {
				t.Errorf("λ %v, begun elsewhere: the objective is %v, scikit-learn has %v", want[0], again.Objective, want[1])
			}
		}
		last = fit
	}
}

func TestLogisticRegressionSaysWhatIsWrong(t *testing.T) {
	features, labels, _ := digits(t)
	fit, err := LogisticRegression{Lambda: 1, Iterations: 3}.Fit(features, labels, 10)
	if fit == nil || !errors.Is(err, ErrNotConverged) || fit.Iterations != 3 {
		t.Errorf("after three iterations there is %+v and the error %v", fit, err)
	}
	fails := func(want string, l LogisticRegression, features *tensors.Tensor, labels []int, classes int) {
		t.Helper()
		if _, err := l.Fit(features, labels, classes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	fails("no image has the label 10", LogisticRegression{}, features, labels, 11)
	fails("the label 9, and the classes are 0 to 8", LogisticRegression{}, features, labels, 9)
	fails("1 labels", LogisticRegression{}, features, labels[:1], 10)
	fails("λ is -1", LogisticRegression{Lambda: -1}, features, labels, 10)
	fails("feature 1 of image 1 is NaN", LogisticRegression{},
		tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, float32(math.NaN())}, 2, 2), []int{0, 1}, 2)
	fails("[N, D]", LogisticRegression{}, nil, labels, 10)
	fails("the head to start from is [10, 64]", LogisticRegression{Start: fit.Head},
		tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 2, 2), []int{0, 1}, 2)
}

func TestAnInterruptedLogisticRegressionReturnsWhatItHas(t *testing.T) {
	features, labels, _ := digits(t)
	testenv.Interrupt(t, func() (*Fit, error) {
		fit, err := LogisticRegression{Lambda: 1e4, Tolerance: 3e-3}.Fit(features, labels, 10)
		return fit, err
	}, func(part *Fit) int {
		if part == nil {
			return 0
		}
		return part.Iterations
	})
	l := LogisticRegression{Lambda: 1, Tolerance: 1e-5}
	whole, err := l.Fit(features, labels, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, questions := range []int{0, 8} {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		part, err := l.Fit(features, labels, 10)
		release()
		if !errors.Is(err, context.Canceled) || (part == nil) != (questions == 0) || part != nil &&
			(part.Iterations < 1 || part.Iterations >= whole.Iterations) {
			t.Errorf("interrupted at question %d: %+v of %+v (%v)", questions, part, whole, err)
		}
	}
}

// On a scale, fits come to the same place as without, and where features are of different sizes in fewer steps. Some of
// the digits' pixels are always 0.
func TestTheScaleChangesNothingButTheNumberOfSteps(t *testing.T) {
	features, labels, _ := digits(t)
	flat, err := tensors.CopyFlatData[float32](features)
	if err != nil {
		t.Fatal(err)
	}
	for i := range flat {
		flat[i] *= float32(math.Pow(2, float64(i%64%6)))
	}
	features = tensors.FromFlatDataAndDimensions(flat, len(labels), 64)
	l := LogisticRegression{Tolerance: 1e-5, Iterations: 5000}
	lambdas := []float64{1e5, 1e4, 1000, 100, 10}
	chosen, err := l.Choose(features, labels, 10, features, labels, lambdas)
	if err != nil {
		t.Fatal(err)
	}
	scaled, without := 0, 0
	for i, lambda := range lambdas {
		p, err := newLogisticProblem(features, labels, 10)
		if err != nil {
			t.Fatal(err)
		}
		l.Lambda = lambda
		plain, err := p.fit(l)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(chosen[i].Objective/plain.Objective - 1); !approx.Equal(d, 0, 1e-5) {
			t.Errorf("λ %v: the objective is %v on a scale and %v without", lambda, chosen[i].Objective, plain.Objective)
		}
		t.Logf("λ %v: %d iterations on a scale from the last λ, %d without", lambda, chosen[i].Iterations, plain.Iterations)
		scaled, without = scaled+chosen[i].Iterations, without+plain.Iterations
		l.Start = plain.Head
	}
	// A single fit of 64 features in ten classes makes a scale as well.
	l = LogisticRegression{Lambda: 10, Tolerance: 1e-5, Iterations: 5000}
	p, err := newLogisticProblem(features, labels, 10)
	if err != nil {
		t.Fatal(err)
	}
	plain, err1 := p.fit(l)
	one, err2 := l.Fit(features, labels, 10)
	if err1 != nil || err2 != nil || one.Iterations*2 > plain.Iterations {
		t.Errorf("alone: %+v on a scale, %+v without (%v, %v)", one, plain, err1, err2)
	}
	if scaled*2 > without {
		t.Errorf("%d iterations on a scale and %d without", scaled, without)
	}
}
