package ood

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

func randomLogits(n int, scale float64, seed uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat := make([]float32, 5*n)
	for i := range flat {
		flat[i] = float32(scale * rng.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 5)
}

// What a trial says is what Of, Detect and a bootstrap of the same draws say of each score by itself.
func TestATrialOfScores(t *testing.T) {
	unknown, known := randomLogits(30, 1, 1), randomLogits(20, 2, 2)
	trial, err := Evaluate("noise", unknown, known, MaxSoftmax{}, MaxLogit{})
	if err != nil {
		t.Fatal(err)
	}
	scores := func(s Score) (u, k []float64) {
		u, err := Of(s, unknown)
		if err != nil {
			t.Fatal(err)
		}
		if k, err = Of(s, known); err != nil {
			t.Fatal(err)
		}
		return u, k
	}
	softU, softK := scores(MaxSoftmax{})
	logitU, logitK := scores(MaxLogit{})
	want, err := Detect(logitU, logitK)
	if got, err2 := trial.Detection("max logit"); err != nil || err2 != nil || got != want {
		t.Errorf("%+v, want %+v (%v, %v)", got, want, err, err2)
	}
	claims, err := trial.Compared("max softmax", 200, "max logit")
	if err != nil {
		t.Fatal(err)
	}
	area := func(u, k []float64, sample []int) float64 {
		var of [2][]float64
		for _, i := range sample {
			if i < len(u) {
				of[0] = append(of[0], u[i])
			} else {
				of[1] = append(of[1], k[i-len(u)])
			}
		}
		a, err := stats.AUROC(of[0], of[1])
		if err != nil {
			return math.NaN()
		}
		return a
	}
	c := claims[0]
	if c.Name != "AUROC of max logit: noise" || c.Value != want.AUROC || c.Control != "max softmax" || c.N != 50 ||
		!c.Paired || c.Difference != c.Value-c.ControlValue {
		t.Errorf("%+v", c)
	}
	i, err := stats.Bootstrap(50, 200, 0.05, 1, func(sample []int) float64 {
		return area(logitU, logitK,
			sample) - area(softU, softK, sample)
	})
	if err != nil || !approx.Equal(c.DifferenceLow, i.Low, 1e-12) || !approx.Equal(c.DifferenceHigh, i.High, 1e-12) {
		t.Errorf("the difference is %g to %g, want %v (%v)", c.DifferenceLow, c.DifferenceHigh, i, err)
	}
	same, err := trial.Compared("max softmax", 200, "max softmax")
	if err != nil || same[0].DifferenceLow != 0 || same[0].DifferenceHigh != 0 {
		t.Errorf("a score beside itself: %+v (%v)", same, err)
	}
	if text := trial.Bundle().Data[mime.Text]; !strings.Contains(text, "max logit") || !strings.Contains(text, "noise") {
		t.Error(text)
	}
}

// All values are in the bins, the least in the first and the largest in the last.
func TestHowAScoreLies(t *testing.T) {
	trial := &Evaluation{Name: "a trial", scores: []string{"s", "same"}, unknown: [][]float64{{0, 1, 1, 1}, {7}},
		known: [][]float64{{0, 0.5}, {7}}}
	l, err := trial.Plot("s")
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := l.Series[0], l.Series[1]
	if known.Y[0] != 50 || known.Y[12] != 50 || unknown.Y[0] != 25 || unknown.Y[24] != 75 ||
		!approx.Equal(known.X[0], 0.02, 1e-12) || len(known.X) != 25 {
		t.Errorf("known %v, unknown %v at %v", known.Y, unknown.Y, known.X)
	}
	if l, err = trial.Plot("same"); err != nil || l.Series[0].Y[0] != 100 {
		t.Errorf("where all scores are the same: %+v (%v)", l, err)
	}
}

func TestTrialsThatCannotBe(t *testing.T) {
	x := randomLogits(4, 1, 1)
	trial, err := Evaluate("t", x, x, Energy{})
	if err != nil {
		t.Fatal(err)
	}
	for want, call := range map[string]func() error{
		"no score to try":     func() error { _, err := Evaluate("t", x, x); return err },
		`are called "energy"`: func() error { _, err := Evaluate("t", x, x, Energy{}, Energy{Temperature: 1}); return err },
		`"entropy" was not`:   func() error { _, err := trial.Detection("entropy"); return err },
		`"max logit" was not`: func() error { _, err := trial.Plot("max logit"); return err },
		`"x" was not tried`:   func() error { _, err := trial.Compared("x", 100, "energy"); return err },
		`"y" was not tried`:   func() error { _, err := trial.Compared("energy", 100, "y"); return err },
		"in 3 draws":          func() error { _, err := trial.Compared("energy", 3, "energy"); return err },
		"nil":                 func() error { _, err := Evaluate("t", x, x, nil); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
	if !slices.Equal(trial.scores, []string{"energy"}) {
		t.Error(trial.scores)
	}
}

// Over networks the claim is of the mean of their areas.
func TestTrialsOfSeveralNetworks(t *testing.T) {
	var all Evaluations
	var want float64
	for seed := range uint64(3) {
		trial, err := Evaluate("digits", randomLogits(20, 1, 10+seed), randomLogits(20, 2, 20+seed), MaxSoftmax{}, Energy{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := trial.Detection("energy")
		if err != nil {
			t.Fatal(err)
		}
		all, want = append(all, trial), want+d.AUROC/3
	}
	claims, err := all.Compared("max softmax", "energy")
	if err != nil {
		t.Fatal(err)
	}
	if c := claims[0]; c.Name != "AUROC of energy: digits" || !approx.Equal(c.Value, want, 1e-12) ||
		c.Unit != "networks" || c.N != 3 || c.Seeds != 3 || c.Control != "max softmax" || !c.Paired {
		t.Errorf("%+v, want %g", c, want)
	}
	other := *all[0]
	other.Name = "clothes"
	for want, of := range map[string]Evaluations{"have no mean": {all[0], &other}, "claim": all[:1], "no trials": nil} {
		if _, err := of.Compared("max softmax", "energy"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
	if _, err := all.Compared("max softmax", "entropy"); err == nil {
		t.Error("a score that was not tried is compared")
	}
}
