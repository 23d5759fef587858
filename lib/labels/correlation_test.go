package labels

import (
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/model"
)

// Ten models on 60 examples of class 0, of which ten were labelled 1. Model m is right about the first 20+3m others,
// and repeats the wrong label of m of the ten: by construction r is 1 by the given labels, and -1 by the corrected
// ones; the examples that stand are those it is right about as often as it is good.
func TestLeadsOnMislabelledExamples(t *testing.T) {
	given, corrected := make([]int, 60), make([]int, 60)
	for i := range 10 {
		given[i] = 1
	}
	var models []*model.Answers
	for m := range 10 {
		predicted := make([]int, 60)
		for i := range predicted {
			switch {
			case i < 10 && i < m:
				predicted[i] = 1
			case i >= 10 && i >= 10+20+3*m:
				predicted[i] = 2
			}
		}
		models = append(models, model.AnswersFromClasses(string(rune('a'+m)), predicted))
	}
	var standing []int // about the last of which only the better models are right
	for i := 30; i < 57; i += 2 {
		standing = append(standing, i)
	}
	l := AccuracyCorrelation{Models: models, Given: given, Draws: 300}
	claims, err := l.Of("corrections", corrected, standing)
	if err != nil {
		t.Fatal(err)
	}
	byGiven, byCorrected := claims[0], claims[1]
	if byGiven.Name != "r, corrections, by the given labels" || !(byGiven.Value > 0.999999) || byGiven.N != 10 ||
		byGiven.Control != "10 hard images whose label stands" {
		t.Errorf("%+v", byGiven)
	}
	if byCorrected.Name != "r, corrections, by the corrected labels" || !(byCorrected.Value < -0.999999) ||
		!(byCorrected.ControlValue > 0.9) || !(byCorrected.DifferenceHigh < -1) || !(byCorrected.High < 0) ||
		byGiven.ControlLow != byCorrected.ControlLow {
		t.Errorf("%+v", byCorrected)
	}
	same := models[:1]
	for want, err := range map[string]error{
		"it takes three models":  second(AccuracyCorrelation{Models: models[:2], Given: given}.Of("x", corrected, standing)),
		"0 labels are changed":   second(l.Of("x", given, standing)),
		"and 9 examples stand":   second(l.Of("x", corrected, standing[:9])),
		"there is no example 60": second(l.Of("x", corrected, slices.Repeat([]int{60}, 10))),
		"there is no corr": second(AccuracyCorrelation{Models: slices.Repeat(same, 3), Given: given}.Of("x",
			corrected, standing)),
		"for 60 examples": second(
			AccuracyCorrelation{Models: slices.Repeat([]*model.Answers{model.AnswersFromClasses("m", []int{0})}, 3),
				Given: given}.Of("x",
				corrected, standing)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}
