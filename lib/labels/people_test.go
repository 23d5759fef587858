package labels

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// crowd are shares of people for five examples of three classes.
func crowd(t *testing.T) Probabilities {
	t.Helper()
	p, err := Float64s([]float64{
		0.9, 0.1, 0,
		0.4, 0.3, 0.3,
		0.2, 0.7, 0.1,
		0.4, 0.4, 0.2,
		0, 0, 1,
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// By hand, of the labels 0, 1, 0, 0, 2: most people see another class in the second and third, a majority in the third.
func TestMostVotesAndWhatTheyLeave(t *testing.T) {
	p, given := crowd(t), []int{0, 1, 0, 0, 2}
	for more, want := range map[float64][]int{0: {0, 0, 1, 0, 2}, 0.5: {0, 1, 1, 0, 2}} {
		if got, err := MostVotes(p, given, more); err != nil || !slices.Equal(got, want) {
			t.Errorf("of more than %g: %v, want %v (%v)", more, got, want, err)
		}
	}
	if got, err := LeastAgreed(p, given); err != nil || !slices.Equal(got, []int{3, 0, 4}) {
		t.Errorf("the least agreed are %v (%v)", got, err)
	}
	if got, err := LeastAgreed(p, given, 0, 1); err != nil || !slices.Equal(got, []int{3, 4}) {
		t.Errorf("without the first the least agreed are %v (%v)", got, err)
	}
	if got, err := Changed(given, []int{0, 2, 0, Unknown, 2}); err != nil || !slices.Equal(got, []int{1, 3}) {
		t.Errorf("changed are %v (%v)", got, err)
	}
	if _, err := Changed(given, given[:1]); err == nil {
		t.Error("labels of other examples are compared")
	}
	if !slices.Equal(given, []int{0, 1, 0, 0, 2}) {
		t.Error("the given labels were changed")
	}
}

// Over many draws each class comes as often as people see it, and of three answers a wrong one as often as not all
// three are right: 1 - 0.9³ of the first example. The tolerance is four standard deviations of 4,000 draws.
func TestDrawnLabelsAreThoseOfPeople(t *testing.T) {
	p, given := crowd(t), []int{0, 1, 0}
	const draws = 4000
	for answers, want := range map[int][3]float64{1: {0.1, 0.7, 0.8}, 3: {1 - math.Pow(0.9, 3), 1 - math.Pow(0.3, 3),
		1 - math.Pow(0.2, 3)}} {
		var wrong [3]float64
		for seed := range uint64(draws) {
			labels, err := DrawLabels(p, given, answers, seed)
			if err != nil {
				t.Fatal(err)
			}
			for i, y := range labels {
				if y != given[i] {
					wrong[i] += 1. / draws
				}
			}
		}
		for i, share := range want {
			if !(math.Abs(wrong[i]-share) <= 4*math.Sqrt(share*(1-share)/draws)) {
				t.Errorf("of %d answers example %d has a wrong one in %g, want %g", answers, i, wrong[i], share)
			}
		}
	}
	a, _ := DrawLabels(p, given, 1, 7)
	if b, _ := DrawLabels(p, given, 1, 7); !slices.Equal(a, b) {
		t.Error("one seed draws two sets of labels")
	}
	// A class that nobody sees is never drawn.
	for seed := range uint64(500) {
		if labels, err := DrawLabels(p, []int{0}, 1, seed); err != nil || labels[0] == 2 {
			t.Fatalf("drawn: %v (%v)", labels, err)
		}
	}
}

func TestPeopleWhoHaveNotAnswered(t *testing.T) {
	p := crowd(t)
	nobody, err := Float64s([]float64{0, 0, 0}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"about 5 examples, and 6": second(MostVotes(p, []int{0, 0, 0, 0, 0, 0}, 0)),
		"has the label 3":         second(LeastAgreed(p, []int{3})),
		"0 have labels":           second(DrawLabels(p, nil, 1, 1)),
		"of 0 answers":            second(DrawLabels(p, []int{0}, 0, 1)),
		"about example 0 are":     second(DrawLabels(nobody, []int{0}, 1, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
