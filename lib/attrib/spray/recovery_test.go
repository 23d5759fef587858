package spray

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// Half of the group is found: scikit-learn's adjusted_rand_score([1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]) is -1/14.
func TestRecovery(t *testing.T) {
	analysis := func(class int, conductance float64, members ...bool) *Analysis {
		a := &Analysis{Class: class, ClassName: "coat", Images: []int{10, 11, 12, 13, 14, 15}}
		if members != nil {
			a.Strategies = []Strategy{{Members: members, Conductance: conductance}}
		}
		return a
	}
	marked := map[int]bool{10: true, 11: true, 3: true}
	right := analysis(4, 0.2, true, true, false, false, false, false)
	half := analysis(4, 0.2, true, false, true, false, false, false)
	before, after := analysis(1, 0.1, false, true, false, false, false, false), analysis(2, 0.3, true, false, false, false,
		false, false)
	for name, c := range map[string]struct {
		all   []*Analysis
		want  Recovery
		found bool
	}{
		"first and right":  {[]*Analysis{right, after}, Recovery{1, 1}, true},
		"right but second": {[]*Analysis{before, right, after}, Recovery{2, 1}, false},
		"half of it":       {[]*Analysis{half, after}, Recovery{1, -1. / 14}, false},
		"no group":         {[]*Analysis{analysis(4, 1), after}, Recovery{2, 0}, false},
		"the first of two": {[]*Analysis{right, half}, Recovery{1, 1}, true},
		"others as much so": {[]*Analysis{right, analysis(7, 0.2, true, true, false, false, false, false)},
			Recovery{1, 1}, true},
		"the class alone, half": {[]*Analysis{half}, Recovery{1, -1. / 14}, false},
	} {
		got, err := RecoveryOf(c.all, 4, marked)
		if err != nil || got.Place != c.want.Place || got.Found(0.9) != c.found {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if !approx.Equal(got.RandIndex, c.want.RandIndex, 1e-12) {
			t.Errorf("%s: a Rand index of %v, want %v", name, got.RandIndex, c.want.RandIndex)
		}
	}
	for want, members := range map[string]map[int]bool{
		"0 of the 6 images of coat": {3: true}, "6 of the 6 images of coat": {10: true, 11: true, 12: true, 13: true,
			14: true, 15: true},
	} {
		if _, err := RecoveryOf([]*Analysis{right}, 4, members); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	if _, err := RecoveryOf([]*Analysis{before}, 4, marked); err == nil ||
		!strings.Contains(err.Error(), "class 4 is not among the 1 analyses") {
		t.Errorf("want an error for a class that was not analysed, got %v", err)
	}
	if _, err := RecoveryOf([]*Analysis{right, nil}, 4, marked); err == nil ||
		!strings.Contains(err.Error(), "analysis 2 of 2 is nil") {
		t.Errorf("want an error for an analysis that is nil, got %v", err)
	}
}
