package shift

import (
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
)

// By hand: the plain networks err in 50% and 60% of corrupted images in the mean, the others in 35% and 45%; the fog
// alone is better by 30 and 30 points.
func TestRecipesAreComparedSeedBySeed(t *testing.T) {
	rates := func(clean, fog, snow float64) ErrorRates {
		return ErrorRates{Clean: clean, Corrupted: map[string]float64{"fog": fog, "snow": snow}}
	}
	r := Recipes{
		"plain": {rates(0.2, 0.6, 0.4), rates(0.2, 0.7, 0.5)},
		"mixed": {rates(0.3, 0.3, 0.4), rates(0.1, 0.4, 0.5)},
		"one":   {rates(0.3, 0.3, 0.4)},
		"other": {{Corrupted: map[string]float64{"fog": 1}}},
	}
	claims := ok[claim.Claims](t)(r.Compared("mixed", "plain"))
	if c := claims[0]; c.Name != "mean corruption error mixed and plain, %" || !approx.Equal(c.Value, 40, 1e-9) ||
		!approx.Equal(c.ControlValue, 55, 1e-9) || !approx.Equal(c.DifferenceLow, -15, 1e-9) ||
		!approx.Equal(c.DifferenceHigh, -15, 1e-9) || c.Seeds != 2 {
		t.Errorf("%+v", c)
	}
	if c := claims[1]; c.Name != "error on clean images mixed and plain, %" || !approx.Equal(c.Value, 20, 1e-9) ||
		!approx.Equal(c.Difference, 0, 1e-9) || c.DifferenceHigh <= 0 {
		t.Errorf("%+v", c)
	}
	b := ok[display.Bars](t)(r.Off("off", "mixed", "plain"))
	if !slices.Equal(b.Names, []string{"fog", "snow"}) || !approx.Equal(b.Values[0], 30, 1e-9) ||
		!approx.Equal(b.Values[1], 0, 1e-9) || b.Title != "off" {
		t.Errorf("%+v", b)
	}
	for want, err := range map[string]error{
		`0 networks "none"`:    second(r.Off("", "none", "plain")),
		"the same corruptions": second(r.Off("", "plain", "other")),
		"claim: mean":          second(r.Compared("mixed", "one")),
		"claim: mean corrupt":  second(r.Compared("one", "mixed")),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
	if text := r.Bundle().Data[mime.Text]; !strings.Contains(text, "mixed") || !strings.Contains(text, "55") {
		t.Error(text)
	}
}

func TestTwoAccuraciesOfTheTable(t *testing.T) {
	r := three(t)
	c := ok[claim.Claim](t)(r.Compared("there", "a", "y", "before", "b", "x"))
	if c.Name != "there" || c.Value != 0.4 || c.N != 100 || c.Control != "before" || c.ControlValue != 0.6 {
		t.Errorf("%+v", c)
	}
	for _, err := range []error{second(r.Compared("there", "d", "y", "before", "b", "x")),
		second(r.Compared("there", "a", "y", "before", "e", "x"))} {
		if err == nil || !strings.Contains(err.Error(), "there is no result of") {
			t.Errorf("a model that was not tried: %v", err)
		}
	}
}
