package labels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"

	"gonum.org/v1/gonum/floats"

	"github.com/loupeml/loupe/lib/table"
)

// Some test sets have answers of many people for each example, such as CIFAR-10H (Peterson et al., "Human uncertainty
// makes classification more robust", ICCV 2019): the share of them that sees each class. Such shares are Probabilities.

// checkPeople returns an error unless people have answered about each example, with shares of which one is positive.
func checkPeople(people Probabilities, given []int) (k int, err error) {
	if table.IsNil(people) {
		return 0, fmt.Errorf("labels: there are no answers of people: they are nil")
	}
	n, k := people.Dims()
	if n < len(given) || len(given) == 0 {
		return 0, fmt.Errorf("labels: people have answered about %d examples, and %d have labels: give an answer for each", n,
			len(given))
	}
	row := make([]float64, k)
	for i, y := range given {
		if y < 0 || y >= k {
			return 0, fmt.Errorf("labels: example %d has the label %d, and people have chosen among %d classes",
				i, y, k)
		}
		of := people.Row(i, row)
		if !(floats.Sum(of) > 0) || floats.Min(of) < 0 {
			return 0, fmt.Errorf("labels: the shares of the people who answered about example %d are %v", i, of)
		}
	}
	return k, nil
}

// MostVotes are the labels with the class that most people see in the place of the given one, where more than that
// share of them sees it: 0.5 takes majorities only, 0 all; of equal classes the first. people are shares, a row for
// each example, and there may be more rows than labels. given is not changed.
func MostVotes(people Probabilities, given []int, more float64) ([]int, error) {
	k, err := checkPeople(people, given)
	if err != nil {
		return nil, err
	}
	labels, row := slices.Clone(given), make([]float64, k)
	for i := range given {
		if of := people.Row(i, row); floats.Max(of) > more {
			labels[i] = floats.MaxIdx(of)
		}
	}
	return labels, nil
}

// LeastAgreed are the examples whose label has the most votes, those first that the fewest people see so; of equal ones
// the first. They are hard, and yet their label stands. Examples whose label somebody else contradicts may be left out
// besides, by their numbers.
func LeastAgreed(people Probabilities, given []int, besides ...int) ([]int, error) {
	most, err := MostVotes(people, given, 0)
	if err != nil {
		return nil, err
	}
	_, k := people.Dims()
	var standing []int
	share, row := make([]float64, len(given)), make([]float64, k)
	for i, y := range given {
		if share[i] = people.Row(i, row)[y]; most[i] == y && !slices.Contains(besides, i) {
			standing = append(standing, i)
		}
	}
	sort.SliceStable(standing, func(a, b int) bool { return share[standing[a]] < share[standing[b]] })
	return standing, nil
}

// Changed are the examples whose label is another one in corrected, also [Unknown].
func Changed(given, corrected []int) ([]int, error) {
	if len(given) != len(corrected) {
		return nil, fmt.Errorf("labels: %d labels and %d corrected ones: there is one of each for every example",
			len(given), len(corrected))
	}
	var changed []int
	for i, y := range corrected {
		if y != given[i] {
			changed = append(changed, i)
		}
	}
	return changed, nil
}

// DrawLabels draws for each example the answer of one person as its label; of several answers a wrong one where there
// is any (the last of them), as the labels "worse" of CIFAR-10N are chosen: Wei et al., "Learning with Noisy Labels
// Revisited", ICLR 2022. What is wrong is said by given. The same seed draws the same labels.
func DrawLabels(people Probabilities, given []int, answers int, seed uint64) ([]int, error) {
	k, err := checkPeople(people, given)
	if err != nil {
		return nil, err
	}
	if answers < 1 {
		return nil, fmt.Errorf("labels: a label of %d answers: it takes one", answers)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	labels, row, upTo := slices.Clone(given), make([]float64, k), make([]float64, k)
	for i := range labels {
		floats.CumSum(upTo, people.Row(i, row))
		for range answers {
			at := rng.Float64() * upTo[k-1]
			if y := sort.Search(k, func(c int) bool { return upTo[c] > at }); y != given[i] {
				labels[i] = y
			}
		}
	}
	return labels, nil
}
