package uncertainty

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/loupeml/loupe/internal/approx"
)

// unsure are predictions of k classes whose labels are drawn from probabilities that are not those said, n for each.
func unsure(t *testing.T, k, n int) *Predictions {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 5))
	logits, labels := make([]float32, k*n*k), make([]int, k*n)
	for i := range labels {
		row := logits[i*k : (i+1)*k]
		labels[i] = i % k
		for c := range row {
			row[c] = float32(2 * rng.NormFloat64())
		}
		row[(i+rng.IntN(2))%k] += 8 // about half of the labels are the likeliest class
	}
	p, err := FromLogits(tensors.FromFlatDataAndDimensions(logits, k*n, k), labels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Newton's steps alone find where no derivative is left, of hundreds of classes too.
func TestNewtonFindsTheLowestLoss(t *testing.T) {
	s, err := scalingOf(unsure(t, 200, 5))
	if err != nil {
		t.Fatal(err)
	}
	mean, deviation := s.standardize()
	x := make([]float64, 2*s.k)
	copy(x, deviation)
	copy(x[s.k:], mean)
	gradient, steps := make([]float64, len(x)), 0
	before := s.loss(x, gradient)
	s.newton(x, vectorTolerance, func() bool { steps++; return false })
	after := s.loss(x, gradient)
	if largest := floats.Norm(gradient, math.Inf(1)); !(largest <= vectorTolerance) || !(after < before) || steps > 30 {
		t.Errorf("after %d steps the loss is %v and was %v, with a derivative of %v", steps, after, before, largest)
	}
	// Interrupted before the first step, nothing has moved.
	y := append([]float64(nil), x...)
	y[3]++
	moved := append([]float64(nil), y...)
	s.newton(y, vectorTolerance, func() bool { return true })
	if floats.Distance(y, moved, 2) != 0 {
		t.Error("a step is taken after an interrupt")
	}
}

// The product with the curvature is the change of the gradient, by finite differences.
func TestCurvatureIsTheGradientsDerivative(t *testing.T) {
	s, err := scalingOf(unsure(t, 6, 20))
	if err != nil {
		t.Fatal(err)
	}
	s.standardize()
	rng := rand.New(rand.NewPCG(1, 2))
	n := 2 * s.k
	x, direction := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], direction[i] = 1+0.1*rng.NormFloat64(), rng.NormFloat64()
	}
	got, ahead, behind, at := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	c := s.curvature(x)
	c.times(got, direction)
	const h = 1e-5
	floats.AddScaledTo(at, x, h, direction)
	s.loss(at, ahead)
	floats.AddScaledTo(at, x, -h, direction)
	s.loss(at, behind)
	for i, v := range got {
		if want := (ahead[i] - behind[i]) / (2 * h); !approx.Equal(v, want, 1e-8) {
			t.Errorf("number %d is %v, the difference of gradients %v", i, v, want)
		}
	}
	// The blocks are the curvature's own entries.
	unit := make([]float64, n)
	unit[2] = 1
	c.times(got, unit)
	if b := c.blocks[2]; !approx.Equal(b[0], got[2], 1e-12) || !approx.Equal(b[1], got[s.k+2], 1e-12) {
		t.Errorf("the block is %v, the curvature %v and %v", b, got[2], got[s.k+2])
	}
}
