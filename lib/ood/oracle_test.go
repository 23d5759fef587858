package ood

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle's figures are by bench/oracles/ood.py.
func golden[T float32 | float64](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/ood.npz", name)
}

func logits(t *testing.T, name string) *tensors.Tensor {
	t.Helper()
	flat := golden[float32](t, name)
	return tensors.FromFlatDataAndDimensions(flat, len(flat)/6, 6)
}

func TestScoresAgreeWithPytorchOOD(t *testing.T) {
	matching, err := FitKLMatching(logits(t, "fit"))
	if err != nil {
		t.Fatal(err)
	}
	if typical, err := matching.Typical(5); err != nil || typical != nil {
		t.Errorf("class 5 is never predicted, and has the typical probabilities %v (%v)", typical, err)
	}
	for name, s := range map[string]Score{
		"max_softmax": MaxSoftmax{}, "max_logit": MaxLogit{}, "energy": Energy{}, "energy2": Energy{Temperature: 2},
		"entropy": Entropy{}, "kl_matching": matching,
	} {
		unknown, err := Of(s, logits(t, "unknown"))
		if err != nil {
			t.Fatal(err)
		}
		known, err := Of(s, logits(t, "known"))
		if err != nil {
			t.Fatal(err)
		}
		want := golden[float64](t, name)
		for i, got := range append(unknown[:len(unknown):len(unknown)], known...) {
			if !approx.Equal(got, want[i], 2e-6*max(1, math.Abs(want[i]))) {
				t.Fatalf("%s of image %d is %v, pytorch-ood has %v", name, i, got, want[i])
			}
		}
		// The measures are of the oracle's own scores: they were rounded to single precision, which makes ties.
		d, err := Detect(want[:len(unknown)], want[len(unknown):])
		if err != nil {
			t.Fatal(err)
		}
		measures := golden[float64](t, name+"_measures")
		for i, got := range []float64{d.AUROC, d.AUPR, d.FPR95Nearest, d.AUROC, d.FPR95} {
			what := []string{"AUROC (released)", "AUPR (released)", "FPR95 (released)", "AUROC (pytorch-ood)",
				"FPR95 (pytorch-ood)"}[i]
			if !approx.Equal(got, measures[i], 1e-6) {
				t.Errorf("%s: %s is %v, want %v", name, what, got, measures[i])
			}
		}
		iv, err := AUROCInterval(unknown, known, 1)
		if err != nil {
			t.Fatal(err)
		}
		// Hanley and McNeil's standard error of an area of 0.7 with these numbers is 0.043.
		if width := iv.High - iv.Low; !(iv.Low < d.AUROC && d.AUROC < iv.High) || !(width >= 0.1) || !(width <= 0.25) {
			t.Errorf("%s: the area %v has the interval %v", name, d.AUROC, iv)
		}
	}
}

func TestPixelsArePooledOrAveraged(t *testing.T) {
	// In the first picture the unknown pixel scores highest, in the second lowest; the third has none.
	scores := []float64{9, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0}
	unknown := []bool{true, false, false, false, true, false, false, false, false, false, false, false}
	s, err := DetectPixels(scores, unknown, 4)
	if err != nil {
		t.Fatal(err)
	}
	if s.Pictures != 2 || s.Left != 1 || s.Mean.AUROC != 0.5 || s.Mean.FPR95 != 0.5 || s.Mean.Unknown != 2 ||
		s.Mean.Known != 6 {
		t.Errorf("the mean is %+v of %d pictures, %d left out", s.Mean, s.Pictures, s.Left)
	}
	if want := (6.0 + 3.0) / 12; s.Pooled.AUROC != want || s.Pooled.Prevalence != 0.25 {
		t.Errorf("pooled it is %+v, want the area %v", s.Pooled, want)
	}
	// Logits of pixels become scores in the same order.
	logits := tensors.FromFlatDataAndDimensions([]float32{0, 1, 5, 0, 0, 2, 7, 0}, 1, 2, 2, 2)
	got, err := Of(MaxLogit{}, logits)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{-1, -5, -2, -7} {
		if got[i] != want {
			t.Errorf("the scores are %v", got)
		}
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	matrix := func(values ...float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, len(values)/3, 3)
	}
	of := func(s Score, logits *tensors.Tensor) error { _, err := Of(s, logits); return err }
	detect := func(unknown, known []float64) error { _, err := Detect(unknown, known); return err }
	pixels := func(scores []float64, unknown []bool, n int) error {
		_, err := DetectPixels(scores, unknown, n)
		return err
	}
	matching, err := FitKLMatching(tensors.FromFlatDataAndDimensions([]float32{1, 2}, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	_, class := matching.Typical(2)
	for _, c := range []struct {
		err  error
		want string
	}{
		{of(MaxLogit{}, matrix(1, 2, float32(math.Inf(1)))), "logit 2 of row 0 is +Inf"},
		{of(MaxLogit{}, nil), "[N, K]"},
		{of(Energy{Temperature: -1}, matrix(1, 2, 3)), "temperature"},
		{of(matching, matrix(1, 2, 3)), "fitted for 2 classes and gets logits of 3"},
		{class, "class 2 does not exist"},
		{detect(nil, []float64{1}), "0 unknown and 1 known"},
		{detect([]float64{math.NaN()}, []float64{1}), "not a number"},
		{pixels([]float64{1, 2, 3}, []bool{true, false, true}, 2), "do not go together"},
		{pixels([]float64{1, 2}, []bool{false, false}, 2), "none of 1 pictures"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("the error is %v, want one that says %q", c.err, c.want)
		}
	}
}
