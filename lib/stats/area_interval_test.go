package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// The oracle is the package confidenceinterval, bench/oracles/areas.py. It ranks in single precision and cuts nothing.
func TestDeLongAgreesWithConfidenceInterval(t *testing.T) {
	text, err := os.ReadFile("testdata/areas.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Positive, Negative     []float64
		Alpha, Area, Low, High float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	const single = 1e-6
	for _, c := range cases {
		area, err := AUROC(c.Positive, c.Negative)
		if err != nil || !approx.Equal(area, c.Area, single) {
			t.Errorf("the area of %d over %d is %v, %v, want %v", len(c.Positive), len(c.Negative), area, err, c.Area)
		}
		iv, err := DeLong(c.Positive, c.Negative, c.Alpha)
		if err != nil || !approx.Equal(iv.Low, max(c.Low, 0), single) || !approx.Equal(iv.High, min(c.High, 1), single) {
			t.Errorf("the interval of %d over %d is %v, %v, want %v to %v", len(c.Positive), len(c.Negative), iv, err,
				c.Low, c.High)
		}
	}
}

// Of 400 samples about 95 in 100 have an interval that the true area lies in: that of many scores of the same two
// normal distributions. A share of 0.95 is known to 0.011 (one standard deviation) of 400, and normal intervals of 40
// positives are known to be a little narrow.
func TestIntervalsOfAreasCoverTheTrueArea(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	draw := func(n int, mean float64) []float64 {
		scores := make([]float64, n)
		for i := range scores {
			scores[i] = mean + rng.NormFloat64()
		}
		return scores
	}
	const share, samples = 4, 400 // negatives for each positive
	many := [2][]float64{draw(100_000, 1), draw(share*100_000, 0)}
	trueArea, err := AUROC(many[0], many[1])
	if err != nil {
		t.Fatal(err)
	}
	truePrecision, err := AveragePrecision(many[0], many[1])
	if err != nil {
		t.Fatal(err)
	}
	area, precision := 0, 0
	for range samples {
		positive, negative := draw(40, 1), draw(share*40, 0)
		iv, err := DeLong(positive, negative, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		if iv.Low <= trueArea && trueArea <= iv.High {
			area++
		}
		average, err := AveragePrecision(positive, negative)
		if err != nil {
			t.Fatal(err)
		}
		if iv, err = AveragePrecisionInterval(average, len(positive), 0.05); err != nil {
			t.Fatal(err)
		}
		if iv.Low <= truePrecision && truePrecision <= iv.High {
			precision++
		}
	}
	for what, n := range map[string]int{"the area under the ROC curve": area, "the average precision": precision} {
		if covered := float64(n) / samples; !(covered >= 0.91 && covered <= 0.99) {
			t.Errorf("%.1f%% of the intervals of %s hold the true one (%v, %v)", 100*covered, what, trueArea, truePrecision)
		}
	}
}

// The figures are those of the formula by hand: logit 0, and τ = 1/√(16 · 0.25) = 0.5.
func TestAveragePrecisionIntervalByHand(t *testing.T) {
	iv, err := AveragePrecisionInterval(0.5, 16, 0.05)
	end := 1 / (1 + math.Exp(0.5*1.959963984540054))
	if err != nil || !approx.Equal(iv.Low, end, 1e-12) || !approx.Equal(iv.High, 1-end, 1e-12) {
		t.Errorf("the interval is %v, %v", iv, err)
	}
}

func TestAreasWithoutAnInterval(t *testing.T) {
	for what, of := range map[string]func() (Interval, error){
		"one positive":       func() (Interval, error) { return DeLong([]float64{1}, []float64{0, 2}, 0.05) },
		"one negative":       func() (Interval, error) { return DeLong([]float64{1, 2}, []float64{1.5}, 0.05) },
		"all above":          func() (Interval, error) { return DeLong([]float64{2, 3}, []float64{0, 1}, 0.05) },
		"all below":          func() (Interval, error) { return DeLong([]float64{0, 1}, []float64{2, 3}, 0.05) },
		"no number":          func() (Interval, error) { return DeLong([]float64{0, math.NaN()}, []float64{2, 3}, 0.05) },
		"alpha":              func() (Interval, error) { return DeLong([]float64{0, 3}, []float64{2, 3}, 1) },
		"precision of 1":     func() (Interval, error) { return AveragePrecisionInterval(1, 5, 0.05) },
		"precision of NaN":   func() (Interval, error) { return AveragePrecisionInterval(math.NaN(), 5, 0.05) },
		"no positives":       func() (Interval, error) { return AveragePrecisionInterval(0.5, 0, 0.05) },
		"alpha of precision": func() (Interval, error) { return AveragePrecisionInterval(0.5, 5, math.NaN()) },
	} {
		if iv, err := of(); err == nil {
			t.Errorf("%s: %v", what, iv)
		}
	}
}
