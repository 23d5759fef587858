package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/mime"
)

// edges are the figures of bench/oracles/edges.py.
func edges(t *testing.T, name string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, "testdata/edges.npz", name)
}

// scikit-learn's roc_curve; of 20 positives 19 are a recall of just 0.95.
func TestFalsePositiveRatesAgreeWithScikitLearn(t *testing.T) {
	want, nearest := edges(t, "fpr"), edges(t, "nearest")
	for i, recall := range edges(t, "recalls") {
		if got, err := FalsePositiveRate(edges(t, "positive"), edges(t, "negative"), recall); err != nil ||
			!approx.Equal(got, want[i], 1e-12) {
			t.Errorf("at the recall %v it is %v (%v), want %v", recall, got, err, want[i])
		}
		if got, err := FalsePositiveRateNearest(edges(t, "positive"), edges(t, "negative"), recall); err != nil ||
			!approx.Equal(got, nearest[i], 1e-12) {
			t.Errorf("at the recall nearest to %v it is %v (%v), want %v", recall, got, err, nearest[i])
		}
	}
}

func TestMeanIntervalsAgreeWithSciPy(t *testing.T) {
	values, want := edges(t, "values"), edges(t, "t_intervals")
	for _, n := range []int{2, 3, 12} {
		for _, alpha := range []float64{0.05, 0.32} {
			_, iv, err := MeanInterval(values[:n], alpha)
			if err != nil || !approx.Equal(iv.Low, want[0], 1e-9) || !approx.Equal(iv.High, want[1], 1e-9) {
				t.Errorf("of %d values at alpha %v: %v (%v), want %v", n, alpha, iv, err, want[:2])
			}
			want = want[2:]
		}
	}
}

func TestPearsonsIntervalsAgreeWithSciPy(t *testing.T) {
	x, y, want := edges(t, "x"), edges(t, "y"), edges(t, "pearson")
	for _, n := range []int{4, 9} {
		for _, alpha := range []float64{0.05, 0.32} {
			r, iv, err := Pearson(x[:n], y[:n], alpha)
			if got := []float64{r, iv.Low, iv.High}; err != nil || approx.All(got, want[:3], 1e-12) != nil {
				t.Errorf("of %d pairs at alpha %v: %v (%v), want %v", n, alpha, got, err, want[:3])
			}
			want = want[3:]
		}
	}
}

// SciPy's binomtest(8, 10).proportion_ci() is 0.4439045 to 0.9747893, and binomtest(9, 20)'s 0.2305779 to 0.6847219.
func TestAnAccuracyIsToldWithItsInterval(t *testing.T) {
	a := Accuracy{Correct: 8, Total: 10}
	for want, got := range map[string]string{
		"80.0% (44.4 to 97.5%), 8 of 10": a.String(),
		"45.0% (23.1 to 68.5%), 9 of 20": a.Add(Accuracy{1, 10}).String(),
		"no examples":                    Accuracy{}.String(),
		"accuracy no examples":           Accuracy{}.Bundle().Data[mime.Text],
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	text, err := json.Marshal([]Accuracy{a, {}})
	var told []map[string]float64
	if err != nil || json.Unmarshal(text, &told) != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if m := told[0]; m["accuracy"] != 0.8 || m["correct"] != 8 || m["total"] != 10 ||
		!approx.Equal(m["low"], 0.4439045, 1e-7) || !approx.Equal(m["high"], 0.9747893, 1e-7) {
		t.Errorf("%v", m)
	}
	if m := told[1]; len(m) != 4 || m["low"] != 0 || m["high"] != 1 {
		t.Errorf("of no examples: %v", m)
	}
	if row := a.Table().Rows[0]; row[1] != 8 || row[2] != 10 {
		t.Errorf("the table has %v", row)
	}
}

func TestAccuraciesOutsideOfTheirRangeAreRefused(t *testing.T) {
	fine := []AccuracyPair{{"a", 0.1, 0.2}, {"b", 0.2, 0.3}, {"c", 0.3, 0.5}}
	for _, bad := range []AccuracyPair{{"bad", -0.01, 0.5}, {"bad", 1.01, 0.5}, {"bad", 0.5, -0.01}, {"bad", 0.5, 1.01}} {
		if _, err := FitAccuracies(Linear, append(slices.Clone(fine), bad)); err == nil ||
			!strings.Contains(err.Error(), "of bad are") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := FitAccuracies(Linear, append(slices.Clone(fine), AccuracyPair{"none", 0, 0},
		AccuracyPair{"all", 1, 1})); err != nil {
		t.Errorf("0 and 1: %v", err)
	}
	for recall, fine := range map[float64]bool{-0.01: false, 0: true, 1: true, 1.01: false} {
		if _, err := FalsePositiveRate([]float64{1}, []float64{0}, recall); (err == nil) != fine {
			t.Errorf("a recall of %v: %v", recall, err)
		}
	}
}

// Where a positive has the lowest score of all, all negatives are wrong before it is found.
func TestAPositiveBelowAllNegatives(t *testing.T) {
	for recall, want := range map[float64]float64{0.5: 0.5, 0.6: 1, 0.8: 1, 1: 1} {
		if got, err := FalsePositiveRate([]float64{3, 0}, []float64{1, 5}, recall); err != nil || got != want {
			t.Errorf("at the recall %v it is %v (%v), want %v", recall, got, err, want)
		}
	}
	if got, err := FalsePositiveRateNearest([]float64{2}, []float64{2}, 0.5); err != nil || got != 1 {
		// of one score alone
		t.Errorf("of one threshold it is %v (%v)", got, err)
	}
	if got, err := FalsePositiveRateNearest([]float64{3, 0}, []float64{1, 5}, 1); err != nil || got != 1 {
		t.Errorf("at the recall nearest to 1 it is %v (%v)", got, err)
	}
}

// What is just enough is taken, and one less is not.
func TestTheLeastThatABootstrapTakes(t *testing.T) {
	of := func(n, draws int, alpha float64, undefined int) error {
		calls := 0
		_, err := Bootstrap(n, draws, alpha, 1, func([]int) float64 {
			if calls++; calls <= undefined {
				return math.NaN()
			}
			return 1
		})
		return err
	}
	for name, err := range map[string]error{"two things": of(2, 100, 0.05, 0), "ten draws": of(5, 10, 0.05, 0),
		"one in ten undefined": of(5, 20, 0.05, 2)} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, err := range map[string]error{
		"of 1 things": of(1, 100, 0.05, 0), "in 9 draws": of(5, 9, 0.05, 0), "alpha is 0,": of(5, 100, 0, 0),
		"alpha is 1,":                    of(5, 100, 1, 0),
		"not defined in 3 of 20 samples": of(5, 20, 0.05, 3),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// A seed draws the same in every version: the samples are those of Go's PCG with the seed and 0.
func TestABootstrapsDrawsStayTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	if _, err := Bootstrap(5, 20, 0.05, 7, func(sample []int) float64 {
		for _, i := range sample {
			if want := rng.IntN(5); i != want {
				t.Fatalf("%d was drawn, want %d", i, want)
			}
		}
		return 1
	}); err != nil {
		t.Fatal(err)
	}
}

func TestThreeModelsAreALine(t *testing.T) {
	f, err := FitAccuracies(Linear, []AccuracyPair{{"a", 0.1, 0.3}, {"b", 0.2, 0.4}, {"c", 0.5, 0.7}})
	if err != nil || !approx.Equal(f.Slope, 1, 1e-12) || !approx.Equal(f.Intercept, 0.2, 1e-12) ||
		!approx.Equal(f.R2, 1, 1e-12) {
		t.Errorf("%+v (%v)", f, err)
	}
}

func TestNoIntervalsNameWhatIsWrong(t *testing.T) {
	four, bad := []float64{1, 3, 2, 5}, []float64{1, 2, 3, math.Inf(1)}
	mean := func(values []float64, alpha float64) error { _, _, err := MeanInterval(values, alpha); return err }
	pearson := func(x, y []float64, alpha float64) error { _, _, err := Pearson(x, y, alpha); return err }
	for want, err := range map[string]error{
		"from 1 values": mean(four[:1], 0.05), "alpha is 0,": mean(four, 0), "alpha is 1,": mean(four, 1),
		"value 3 is +Inf":     mean(bad, 0.05),
		"from 3 and 3 values": pearson(four[:3], four[:3], 0.05), "from 4 and 3 values": pearson(four, four[:3], 0.05),
		"is -0.01,": pearson(four, four, -0.01), "is 1,": pearson(four, four, 1), "is 0,": pearson(four, four, 0),
		"pair 3 is 5, +Inf": pearson(four, bad, 0.05), "pair 3 is +Inf, 5": pearson(bad, four, 0.05),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

func TestFitsAndIntervalsAsTheyAreShown(t *testing.T) {
	line := func(intercept float64) *FitLine {
		return &FitLine{Scale: Probit, Slope: 1.25, Intercept: intercept, R2: 0.5, Models: []string{"a", "b"}}
	}
	for want, got := range map[string]string{
		"up to 62.5%: probit(y) = 1.250·probit(x) -0.125, R² 0.500, 2 models\nabove: probit(y) = 1.250·probit(x) +0.500, " +
			"R² 0.500, 2 models": (&PiecewiseLine{Pivot: 0.625, Below: line(-0.125), Above: line(0.5)}).String(),
		"0.125 to 0.3333": Interval{0.125, 1. / 3}.String(), "linear": Linear.String(), "logit": Logit.String(),
		"AxisScale(3)": AxisScale(3).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
