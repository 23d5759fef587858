package shift

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

// onLine are models whose logits after the shift are half of those before it, and two that are above that line: one of
// a kind with three models on it, and a model that has been tried before the shift alone.
func onLine(t *testing.T) *Results {
	t.Helper()
	r := NewResults()
	add := func(model, condition, kind string, share float64) {
		t.Helper()
		if err := r.Add(Cell{model, condition, of(int(math.Round(share*1e6)), 1e6)}); err != nil {
			t.Fatal(err)
		}
		if err := r.SetKind(model, ModelInfo{Type: kind}); err != nil {
			t.Fatal(err)
		}
	}
	half := func(x float64) float64 { return stats.Logit.Accuracy(stats.Logit.Of(x) / 2) }
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		x := 0.5 + 0.08*float64(i)
		add(name, "x", "plain", x)
		add(name, "y", "plain", half(x))
	}
	for i, name := range []string{"f", "g", "h", "i"} {
		x, above := 0.55+0.08*float64(i), []float64{0, 0, 0, 0.08}[i]
		add(name, "x", "more", x)
		add(name, "y", "more", half(x)+above)
	}
	add("j", "x", "more", 0.9)
	return r
}

// By construction: the slope is 1/2, models of the line are on it, and of four others one is 8 points above it. The
// tolerance is that of accuracies rounded to a millionth, by what they are stretched near 0.5.
func TestALineOfHalfTheLogit(t *testing.T) {
	r := onLine(t)
	l := ok[*Line](t)(r.Line("shift", "x", "y", r.OfType("plain")))
	if c := ok[claim.Claim](t)(l.Slope()); c.Name != "shift: slope" || !approx.Equal(c.Value, 0.5, 1e-4) || c.N != 5 ||
		c.Unit != "models" {
		t.Errorf("the slope is %+v", c)
	}
	types := ok[claim.Claims](t)(l.OfTypes("", "more", "plain"))
	if c := types[0]; c.Name != "shift: more, points" || !approx.Equal(c.Value, 2, 1e-3) || c.N != 4 ||
		c.Control != "on the line" || c.ControlValue != 0 {
		t.Errorf("the mean of the others is %+v", c)
	}
	if c := types[1]; !approx.Equal(c.Value, 0, 1e-3) || c.N != 5 {
		t.Errorf("the mean of the line's models is %+v", c)
	}
	if c := ok[claim.Claims](t)(l.OfTypes("plain", "more"))[0]; c.Control != "plain alone" ||
		c.ControlValue != types[1].Value || c.ControlLow != types[1].Low || c.ControlHigh != types[1].High {
		t.Errorf("beside the line's models the others are %+v, want as control %+v", c, types[1])
	}
	cell, _ := r.Cell("i", "y")
	above := cell.Accuracy
	c := ok[claim.Claim](t)(l.OfModel("i there", "i"))
	if !approx.Equal(c.Value, 8, 1e-3) || c.N != 1e6 || c.Unit != "images" ||
		!approx.Equal(c.High-c.Value, 100*(above.Interval().High-above.Share()), 1e-9) {
		t.Errorf("one model is %+v", c)
	}
	// From an accuracy of a half, whose logit is 0, a half is to be expected.
	if c := ok[claim.Claim](t)(l.OfModelFrom("i there", "i", 0.5)); !approx.Equal(c.Value, 100*(above.Share()-0.5), 1e-2) {
		t.Errorf("from another accuracy it is %+v", c)
	}
	if p, err := l.Scatter("A title", 0.6, "i"); err != nil || len(p.Points) != 6 {
		t.Errorf("the plot of models with 60%% or more has %d points (%v)", len(p.Points), err)
	}
	if p, err := l.Scatter("A title", 0, "i"); err != nil || p.Title != "A title" || len(p.Points) != 9 || p.Fit != l.Fit {
		t.Errorf("the plot has %d points, title %q (%v)", len(p.Points), p.Title, err)
	}
}

// Two lines of the same models, of which one has all accuracies of the other: what is above one is above the other.
func TestModelsOnTwoLines(t *testing.T) {
	r := onLine(t)
	l := ok[*Line](t)(r.Line("shift", "x", "y", r.OfType("plain")))
	again := ok[*Line](t)(onLine(t).Line("again", "x", "y", r.OfType("plain")))
	here, there, err := l.Both(again, "more")
	if err != nil || len(here) != 4 || !slices.Equal(here, there) || !approx.Equal(slices.Max(here), 8, 1e-3) {
		t.Errorf("effective robustness is %v and %v (%v)", here, there, err)
	}
	if both, _, err := l.Both(again, "more", "plain"); err != nil || len(both) != 9 {
		t.Errorf("of both types there are %d (%v)", len(both), err)
	}
	if _, _, err := l.Both(again, "none"); err == nil {
		t.Error("there are models of a type that none has")
	}
}

func TestLinesAndWhatTheyDoNotKnow(t *testing.T) {
	r := onLine(t)
	l := ok[*Line](t)(r.Line("shift", "x", "y", r.OfType("plain")))
	parted := ok[*Line](t)(r.LineParted("in two", "x", "y", "c", nil))
	fit, is := parted.Fit.(*stats.PiecewiseLine)
	if cell, _ := r.Cell("c", "x"); !is || fit.Pivot != cell.Accuracy.Share() {
		t.Fatalf("the line parts by %+v", parted.Fit)
	}
	for want, err := range map[string]error{
		"no single slope":                 second(parted.Slope()),
		`the type "none"`:                 second(l.OfTypes("", "none")),
		`the type "no"`:                   second(l.OfTypes("no", "plain")),
		`"j" has not been tried under "y`: second(l.OfModel("j there", "j")),
		`"k" has not been tried under "x`: second(l.OfModel("k there", "k")),
		"between 0 and 1":                 second(l.OfModelFrom("i there", "i", 85)),
		"cannot part at \"k\"":            second(r.LineParted("in two", "x", "y", "k", nil)),
		`shift: `:                         second(r.Line("shift", "x", "z", nil)),
		"in two: a fit in":                second(Lines{l, parted}.Slopes()),
		`in two: no model of the type`:    second(Lines{parted, l}.OfTypes("", "none")),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	all := Lines{l, parted}
	if rows := all.Fits().Rows; len(rows) != 3 || rows[0][2] != "0.5000" || rows[1][0] != "in two, below 66.0%" ||
		rows[2][0] != "in two, above 66.0%" {
		t.Errorf("the fits are %v", rows)
	}
	text := all.Bundle().Data[mime.Text]
	for _, want := range []string{"in two", "+2.00 (", "+8.0", "0.5000"} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables do not have %q:\n%s", want, text)
		}
	}
	if c := ok[claim.Claims](t)(all[:1].Slopes()); len(c) != 1 || !approx.Equal(c[0].Value, 0.5, 1e-4) {
		t.Errorf("the slopes are %+v", c)
	}
}

func second[T any](_ T, err error) error { return err }

// The claims of published results are those that pandas and SciPy compute: see golden.
func TestLinesOfTheTestbed(t *testing.T) {
	r := readTestbed(t)
	g := readGolden(t)
	for y, x := range map[string]string{
		matchedV2: "val", "objectnet-1.0-beta": "val-on-objectnet-classes", "imagenet-r": "val-on-imagenet-r-classes",
	} {
		of := g.Effective[y]
		if len(of) == 0 {
			t.Errorf("pandas has nothing of %s", y)
		}
		l := ok[*Line](t)(r.Line(y, x, y, r.TestbedFit))
		for m, want := range of {
			if c := ok[claim.Claim](t)(l.OfModel(m, m)); !approx.Equal(c.Value, want, 1e-4) {
				// the table has float32 percentages, these are whole counts
				t.Errorf("%s is %g points above the line of %s, want %g", m, c.Value, y, want)
			}
		}
	}
}

func TestAccuraciesThatThereAreAndAreNot(t *testing.T) {
	r := three(t)
	if a := ok[stats.Accuracy](t)(r.Accuracy("a", "y")); a != of(40, 100) {
		t.Errorf("the accuracy is %v", a)
	}
	if _, err := r.Accuracy("d", "y"); err == nil || !strings.Contains(err.Error(), `"d" under "y"`) {
		t.Errorf("a model that was not tried: %v", err)
	}
	strong := r.AtLeast(0.6, "x")
	for model, want := range map[string]bool{"a": false, "b": true, "c": true, "e": false} {
		if strong(model) != want {
			t.Errorf("%s has 60%% or more: %v", model, !want)
		}
	}
}

func TestSomeOfTheModels(t *testing.T) {
	r := three(t)
	if err := r.SetKind("b", ModelInfo{Type: "mine"}); err != nil {
		t.Fatal(err)
	}
	some := ok[*Results](t)(r.Only("e", "b"))
	if !slices.Equal(some.Models(), []string{"e", "b"}) || some.Kind("b").Type != "mine" {
		t.Errorf("they are %v, b of the type %q", some.Models(), some.Kind("b").Type)
	}
	if c, tried := some.Cell("b", "y"); !tried || c.Accuracy != of(55, 100) {
		t.Errorf("b has %v", c)
	}
	if _, tried := some.Cell("a", "y"); tried {
		t.Error("a is among them")
	}
	if _, err := r.Only("b", "z"); err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("a model that is not there: %v", err)
	}
}
