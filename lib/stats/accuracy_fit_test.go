package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// goldenFit is a fit of bench/oracles/fits.py: SciPy's line, and bands drawn as the authors of imagenet-testbed draw
// them, 10,000 times.
type goldenFit struct {
	N                    int
	Slope, Intercept, R2 float64
	Grid, Predicted      []float64
	Band                 [][2]float64
	SlopeInterval        [2]float64 `json:"slope_interval"`
	InterceptInterval    [2]float64 `json:"intercept_interval"`
}

type goldenPiecewise struct {
	Pivot        float64
	Below, Above goldenFit
}

func goldenFits(t *testing.T) (pairs []AccuracyPair, fits map[string]goldenFit, piecewise goldenPiecewise) {
	t.Helper()
	text, err := os.ReadFile("testdata/fits.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		X, Y      []float64
		Fits      map[string]goldenFit
		Piecewise goldenPiecewise
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for i := range golden.X {
		pairs = append(pairs, AccuracyPair{fmt.Sprint("model ", i), golden.X[i], golden.Y[i]})
	}
	return pairs, golden.Fits, golden.Piecewise
}

func (want goldenFit) check(t *testing.T, name string, f *FitLine) {
	t.Helper()
	if len(f.Models) != want.N {
		t.Errorf("%s: the line rests on %d models, SciPy's on %d", name, len(f.Models), want.N)
	}
	if off := max(math.Abs(f.Slope-want.Slope), math.Abs(f.Intercept-want.Intercept),
		math.Abs(f.R2-want.R2)); !approx.Equal(off, 0, 1e-9) {
		t.Errorf("%s: %g + %g x, R² %g, SciPy says %g + %g x, R² %g", name, f.Intercept, f.Slope, f.R2, want.Intercept,
			want.Slope, want.R2)
	}
}

func TestAccuracyFitsAgreeWithSciPy(t *testing.T) {
	pairs, fits, _ := goldenFits(t)
	for scale, name := range map[AxisScale]string{Linear: "linear", Probit: "probit", Logit: "logit"} {
		want := fits[name]
		f, err := FitAccuracies(scale, pairs)
		if err != nil {
			t.Fatal(err)
		}
		want.check(t, name, f)
		var left []string
		for _, e := range f.Excluded {
			left = append(left, e.Model)
			if !strings.Contains(e.Reason, "which a "+name+" cannot show") {
				t.Errorf("%s is left out since %s", e.Model, e.Reason)
			}
		}
		infinite := []string{"model 0", "model 12", "model 39"} // 0 under x, 0 under y, 1 under y
		if scale == Linear {
			infinite = nil
		}
		if !slices.Equal(left, infinite) {
			t.Errorf("%s leaves out %v", name, left)
		}

		// The draws differ, and 10,000 of them tell the ends of an interval to a few hundredths of its width.
		near := func(what string, got Interval, want [2]float64) {
			if off := max(math.Abs(got.Low-want[0]), math.Abs(got.High-want[1])); !approx.Equal(off, 0, 0.05*(want[1]-want[0])) {
				t.Errorf("%s: the interval of %s is %v, NumPy's %v", name, what, got, want)
			}
		}
		band, err := f.Band(want.Grid, 10000, 0.05, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range want.Grid {
			if got := f.Predict(x); !approx.Equal(got, want.Predicted[i], 1e-9) {
				t.Errorf("%s predicts %g at %g, want %g", name, got, x, want.Predicted[i])
			}
			near(fmt.Sprint("the line at ", x), band[i], want.Band[i])
		}
		slope, intercept, err := f.Coefficients(10000, 0.05, 1)
		if err != nil {
			t.Fatal(err)
		}
		near("the slope", slope, want.SlopeInterval)
		near("the intercept", intercept, want.InterceptInterval)
		again, err := f.Band(want.Grid, 10000, 0.05, 1)
		if err != nil || !slices.Equal(again, band) {
			t.Errorf("%s: the same seed gives another band", name)
		}
	}
}

func TestPiecewiseFitIsTheAuthors(t *testing.T) {
	pairs, _, want := goldenFits(t)
	pivot, ok := ZeroPivot(pairs)
	if !ok || pivot != want.Pivot {
		t.Fatalf("the pivot is %g, want %g", pivot, want.Pivot)
	}
	f, err := FitPiecewise(Logit, pairs, pivot)
	if err != nil {
		t.Fatal(err)
	}
	want.Below.check(t, "below", f.Below)
	want.Above.check(t, "above", f.Above)
	if f.Predict(pivot) != f.Below.Predict(pivot) || f.Predict(pivot+0.01) != f.Above.Predict(pivot+0.01) {
		t.Error("the pivot belongs to the lower line, what is beyond to the upper one")
	}
	if len(f.Excluded) != 3 || !strings.Contains(f.Excluded[0].Reason, "is the pivot") {
		t.Errorf("left out are %v", f.Excluded)
	}
	xs := []float64{0.4, pivot + 0.1}
	band, err := f.Band(xs, 200, 0.05, 1)
	below, err2 := f.Below.Band(xs, 200, 0.05, 1)
	above, err3 := f.Above.Band(xs, 200, 0.05, 1)
	if err != nil || err2 != nil || err3 != nil || band[0] != below[0] || band[1] != above[1] {
		t.Errorf("the band is %v, and the pieces' are %v and %v (%v)", band, below, above, err)
	}
	if pivot, ok := ZeroPivot(pairs[20:30]); ok || pivot != 0 {
		t.Error("there is a pivot without a zero")
	}
}

func TestAxisScales(t *testing.T) {
	for _, s := range []AxisScale{Linear, Probit, Logit} {
		for _, a := range []float64{0.001, 0.3, 0.5, 0.77, 0.9999} {
			if back := s.Accuracy(s.Of(a)); !approx.Equal(back, a, 1e-12) {
				t.Errorf("%v takes %g to %g", s, a, back)
			}
		}
		if s != Linear && (s.Of(0.5) != 0 || !math.IsInf(s.Of(0), -1) || !math.IsInf(s.Of(1), 1) || !math.IsNaN(s.Of(1.2)) ||
			!math.IsNaN(s.Of(-0.2)) || s.Accuracy(s.Of(0)) != 0) {
			t.Errorf("%v is wrong at the ends", s)
		}
	}
	if got := Probit.Of(0.975); !approx.Equal(got, 1.959963984540054, 1e-12) {
		t.Errorf("the probit of 0.975 is %v", got)
	}
}

func TestRobustnessIsInPoints(t *testing.T) {
	f := &FitLine{Scale: Linear, Slope: 1, Intercept: -0.1}
	if got := EffectiveRobustness(f, AccuracyPair{"m", 0.8, 0.73}); !approx.Equal(got, 3, 1e-9) {
		t.Errorf("effective robustness is %g points", got)
	}
	if got := RelativeRobustness(0.45, 0.40); !approx.Equal(got, 5, 1e-9) {
		t.Errorf("relative robustness is %g points", got)
	}
}

func TestBadAccuracyFits(t *testing.T) {
	pairs := []AccuracyPair{{"a", 0.1, 0.2}, {"b", 0.2, 0.3}, {"c", 0.3, 0.5}}
	for want, do := range map[string]func() error{
		"of b are NaN":   func() error { _, err := FitAccuracies(Logit, []AccuracyPair{{"b", math.NaN(), 0}}); return err },
		"divided by 100": func() error { _, err := FitAccuracies(Linear, []AccuracyPair{{"b", 76.1, 63.3}}); return err },
		"of 2 models":    func() error { _, err := FitAccuracies(Linear, pairs[:2]); return err },
		"(1 left out)": func() error {
			_, err := FitAccuracies(Logit, []AccuracyPair{pairs[0], pairs[1], {"z", 0.3, 0}})
			return err
		},
		"different": func() error {
			_, err := FitAccuracies(Linear, []AccuracyPair{pairs[0], pairs[0], pairs[0]})
			return err
		},
		"no axis scale 7": func() error { _, err := FitAccuracies(7, pairs); return err },
		"below the pivot": func() error { _, err := FitPiecewise(Linear, pairs, 0.1); return err },
		"above the pivot": func() error { _, err := FitPiecewise(Linear, pairs, 0.9); return err },
		"alpha is 2": func() error {
			f, _ := FitAccuracies(Linear, pairs)
			_, err := f.Band([]float64{0.1}, 100, 2, 1)
			return err
		},
		"draws: it takes ": func() error {
			f, _ := FitAccuracies(Linear, pairs)
			_, _, err := f.Coefficients(1, 0.05, 1)
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}
