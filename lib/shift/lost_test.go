package shift

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/stats"
)

// By hand: of 100 images one model loses 20 points and one wins 5; the third was tried under x alone.
func TestPointsLost(t *testing.T) {
	r := NewResults()
	for _, c := range []Cell{
		{"a", "x", of(90, 100)}, {"b", "x", of(60, 100)}, {"c", "x", of(50, 100)}, {"b", "y", of(65, 100)},
		{"a", "y", of(70, 100)},
	} {
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	points := ok[[]float64](t)(r.Lost("x", "y", nil))
	if len(points) != 2 || !approx.Equal(points[0], 20, 1e-9) || !approx.Equal(points[1], -5, 1e-9) {
		t.Errorf("the models lose %v points, want 20 and -5", points)
	}
	some := ok[[]float64](t)(r.Lost("x", "y", func(model string) bool { return model == "b" }))
	if len(some) != 1 || !approx.Equal(some[0], -5, 1e-9) {
		t.Errorf("one of them loses %v points, want -5", some)
	}
	if _, err := r.Lost("x", "z", nil); err == nil || !strings.Contains(err.Error(), `under "z"`) {
		t.Errorf("a condition that nothing was tried under: %v", err)
	}
	if _, err := r.Lost("x", "y", func(model string) bool { return model == "c" }); err == nil ||
		!strings.Contains(err.Error(), "both x and y") {
		t.Errorf("a model that was tried under one alone: %v", err)
	}
}

// On linear axes accuracies x that become x/2 + 0.05 lie on that line, and names say the scale.
func TestALineOnLinearAxes(t *testing.T) {
	r := NewResults()
	for i := range 8 {
		for _, c := range []Cell{{string(rune('a' + i)), "x", of(20+10*i, 100)},
			{string(rune('a' + i)), "y", of(15+5*i, 100)}} {
			if err := r.Add(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := ok[*Line](t)(r.LineOn(stats.Linear, "shift", "x", "y", nil))
	fit := l.Fit.(*stats.FitLine)
	if !approx.Equal(fit.Slope, 0.5, 1e-9) || !approx.Equal(fit.Intercept, 0.05, 1e-9) {
		t.Errorf("the line is %v x + %v, want 0.5 x + 0.05", fit.Slope, fit.Intercept)
	}
	slope, err := l.Slope()
	if err != nil || slope.Name != "shift, "+stats.Linear.String()+": slope" || !approx.Equal(slope.Value, 0.5, 1e-9) {
		t.Errorf("the slope is %+v (%v)", slope, err)
	}
	if row := (Lines{l}).Fits().Rows[0]; row[0] != "shift, "+stats.Linear.String() {
		t.Errorf("the row of the line is %v", row)
	}
}
