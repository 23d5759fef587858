package labels

import (
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/mime"
)

// By hand: of eight labels two are wrong. The classifier contradicts three, of which one is wrong: a precision of 1/3
// and a recall of 1/2.
func TestFiltersOnLabelsWhoseErrorsAreKnown(t *testing.T) {
	p, err := Float64s([]float64{
		0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6,
		0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6, 0.4,
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	given, truth := []int{0, 0, 0, 0, 1, 1, 1, 1}, []int{1, 0, 1, 0, 1, 1, 1, 1}
	trial, err := TryFilters(p, given, truth, PredictedNotGiven, Both)
	if err != nil {
		t.Fatal(err)
	}
	joint, err := EstimateJoint(p, given)
	if err != nil {
		t.Fatal(err)
	}
	if trial.Wrong != 2 || trial.Examples != 8 || trial.Joint != joint.Errors() {
		t.Errorf("%+v", trial)
	}
	all := FilterTrials{trial, trial}
	for name, of := range map[string]struct {
		got  []float64
		err  error
		want float64
	}{
		"taken":     of(all.Taken(PredictedNotGiven))(37.5),
		"precision": of(all.Precision(PredictedNotGiven))(100. / 3),
		"recall":    of(all.Recall(PredictedNotGiven))(50),
		"noise":     of(all.Noise(), nil)(25),
	} {
		if of.err != nil || len(of.got) != 2 || !approx.Equal(of.got[0], of.want, 1e-9) || of.got[1] != of.got[0] {
			t.Errorf("%s: %v, want %g (%v)", name, of.got, of.want, of.err)
		}
	}
	found, err := trial.Issues(PredictedNotGiven)
	if err != nil || len(found.List) != 3 || !slices.Contains(found.Indices(), 7) {
		t.Errorf("the issues are %v (%v)", found, err)
	}
	if text := all.Bundle().Data[mime.Text]; !strings.Contains(text, "37.5%") || !strings.Contains(text, "33.3%") ||
		!strings.Contains(text, Both.String()) {
		t.Error(text)
	}
	for want, err := range map[string]error{
		"8 labels, 7 true": second(TryFilters(p, given, truth[:7], Both)),
		"and 0 filters":    second(TryFilters(p, given, truth)),
		"all 8 labels are": second(TryFilters(p, given, given, Both)),
		"was not tried":    second(trial.Issues(PruneByClass)),
		"not tried: there": second(all.Recall(PruneByClass)),
		"no trials of":     second(FilterTrials{}.Table()),
		"takes no label": second(FilterTrials{{filters: []Filter{Both}, issues: []*Issues{{}}, right: []int{0}}}.Precision(
			Both)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

type measured = struct {
	got  []float64
	err  error
	want float64
}

func of(got []float64, err error) func(want float64) measured {
	return func(want float64) measured { return measured{got, err, want} }
}
