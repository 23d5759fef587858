package labels

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/model"
)

// By hand: most others miss the images 0, 3 and 4. The model misses 0 and 3; the images after these three in their
// labels are 2, 4 and 5, of which it misses 5 alone.
func TestImagesThatAreHardForAll(t *testing.T) {
	given := []int{0, 1, 0, 1, 1, 1, 0}
	predicted := []int{1, 1, 0, 0, 1, 0, 0}
	others := []*model.Answers{
		model.AnswersFromClasses("a", []int{1, 1, 0, 0, 0, 1, 0}),
		model.AnswersFromClasses("b", []int{1, 1, 0, 0, 0, 1, 1}),
		model.AnswersFromClasses("c", []int{0, 0, 0, 0, 0, 1, 0}),
	}
	c, err := Alignment("misses", predicted, given, others...)
	if err != nil {
		t.Fatal(err)
	}
	if c.N != 3 || c.Value != 2./3 || c.Control != "one image further on" || c.ControlValue != 1./3 {
		t.Errorf("%+v", c)
	}
	// Of the first four images alone two are hard, and the one after the last of a label is its first.
	if c, err = Alignment("misses", predicted[:4], given, others...); err != nil || c.N != 2 || c.Value != 1 ||
		c.ControlValue != 0 {
		t.Errorf("%+v (%v)", c, err)
	}
	for want, err := range map[string]error{
		"0 other models":    second(Alignment("x", predicted, given)),
		"0 answers about 7": second(Alignment("x", nil, given, others...)),
		"1 answers of d":    second(Alignment("x", predicted, given, model.AnswersFromClasses("d", []int{0}))),
		"no image is one":   second(Alignment("x", predicted, given, model.AnswersFromClasses("d", given))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}
