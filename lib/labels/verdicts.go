package labels

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Majority is how many of the five people who were asked have to agree. Northcutt, Athalye and Mueller 2021, section 3.
const Majority = 3

// Verdict is what people said of an example whose label was thought to be wrong.
type Verdict struct {
	Index   int // of the example in its set
	Given   int // its label
	Guessed int // the class that was suggested instead
	// What the classes are called.
	GivenName, GuessedName string
	Votes                  Votes
}

// Votes are how many of five people saw which of the two classes in an example. Where both classes are the same one, a
// vote counts for both.
type Votes struct {
	Given   int `json:"given"`
	Guessed int `json:"guessed"`
	Both    int `json:"both"`
	Neither int `json:"neither"`
}

// Outcome is what the votes come to.
type Outcome int

const (
	// NotAnError means that a majority chose the given label.
	NotAnError Outcome = iota
	// Correctable means that a majority chose the suggested class.
	Correctable
	// MultiLabel means that a majority saw both classes.
	MultiLabel
	// Neither means that a majority saw neither.
	Neither
	// NoAgreement means that there was no majority.
	NoAgreement
)

var outcomeNames = [...]string{"not an error", "correctable", "multi-label", "neither", "no agreement"}

func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomeNames[o]
}

// Outcome is what the votes come to.
func (v Verdict) Outcome() Outcome {
	switch {
	case v.Votes.Given >= Majority:
		return NotAnError
	case v.Votes.Guessed >= Majority:
		return Correctable
	case v.Votes.Both >= Majority:
		return MultiLabel
	case v.Votes.Neither >= Majority:
		return Neither
	}
	return NoAgreement
}

// IsError reports whether the label is wrong: no majority chose it.
func (v Verdict) IsError() bool { return v.Outcome() != NotAnError }

// Verdicts are those on a set's candidates.
type Verdicts []Verdict

// ReadVerdicts reads the verdicts of a file of github.com/cleanlab/label-errors, folder mturk: those on MNIST,
// CIFAR-10, CIFAR-100, Caltech-256, ImageNet, QuickDraw or 20news.
func ReadVerdicts(file string) (Verdicts, error) {
	raw, err := regular.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	var records []struct {
		ID          *int   `json:"id"`
		Given       *int   `json:"given_original_label"`
		Guessed     *int   `json:"our_guessed_label"`
		GivenName   string `json:"given_original_label_name"`
		GuessedName string `json:"our_guessed_label_name"`
		Votes       *Votes `json:"mturk"`
	}
	if err := json.Unmarshal(raw, &records); err != nil {
		return nil, fmt.Errorf("labels: %s holds no verdicts: %w", file, err)
	}
	out := make(Verdicts, len(records))
	seen := map[int]int{}
	for i, r := range records {
		switch {
		case r.ID == nil || r.Given == nil || r.Guessed == nil || r.Votes == nil:
			return nil, fmt.Errorf(
				"labels: record %d of %s is no verdict: it has an id, given_original_label, our_guessed_label and mturk", i, file)
		case *r.ID < 0 || *r.Given < 0 || *r.Guessed < 0:
			return nil, fmt.Errorf("labels: record %d of %s is of example %d, labels %d and %d: they are counted from 0", i,
				file, *r.ID, *r.Given, *r.Guessed)
		case min(r.Votes.Given, r.Votes.Guessed, r.Votes.Both, r.Votes.Neither) < 0:
			return nil, fmt.Errorf("labels: record %d of %s has fewer votes than none: %+v", i, file, *r.Votes)
		case *r.Votes == Votes{}:
			return nil, fmt.Errorf(
				"labels: record %d of %s has no votes; the sets of texts other than 20news ask other questions", i, file)
		}
		if first, twice := seen[*r.ID]; twice {
			return nil, fmt.Errorf("labels: records %d and %d of %s are of the same example, %d", first, i, file, *r.ID)
		}
		seen[*r.ID] = i
		out[i] = Verdict{*r.ID, *r.Given, *r.Guessed, r.GivenName, r.GuessedName, *r.Votes}
	}
	return out, nil
}

// Count is how many verdicts come to an outcome.
func (v Verdicts) Count(o Outcome) int {
	n := 0
	for _, one := range v {
		if one.Outcome() == o {
			n++
		}
	}
	return n
}

// Errors are the verdicts on the examples whose label is wrong.
func (v Verdicts) Errors() Verdicts {
	var out Verdicts
	for _, one := range v {
		if one.IsError() {
			out = append(out, one)
		}
	}
	return out
}

// With are the verdicts of an outcome.
func (v Verdicts) With(o Outcome) Verdicts {
	var out Verdicts
	for _, one := range v {
		if one.Outcome() == o {
			out = append(out, one)
		}
	}
	return out
}

// Among are the verdicts on some of the examples, by their numbers.
func (v Verdicts) Among(examples []int) Verdicts {
	var out Verdicts
	for _, one := range v {
		if slices.Contains(examples, one.Index) {
			out = append(out, one)
		}
	}
	return out
}

// Grid shows the examples, which are images of a dataset in its order, with the given and the suggested class and how
// many of five people saw each.
func (v Verdicts) Grid(images model.Dataset) (display.Grid, error) {
	for _, one := range v {
		if one.Index >= images.Len() {
			return display.Grid{}, fmt.Errorf("labels: there is a verdict on image %d of %d", one.Index, images.Len())
		}
	}
	if len(v) == 0 {
		return display.Grid{}, fmt.Errorf("labels: there are no verdicts to show")
	}
	pictures, err := images.Images(v.Indices()...)
	if err != nil {
		return display.Grid{}, err
	}
	titles := make([]string, len(v))
	for k, one := range v {
		titles[k] = fmt.Sprintf("given %s (%d)\nsuggested %s (%d)", one.GivenName, one.Votes.Given, one.GuessedName,
			one.Votes.Guessed)
	}
	return display.Gallery(pictures, titles...), nil
}

// Indices are the numbers of the examples.
func (v Verdicts) Indices() []int {
	out := make([]int, len(v))
	for i, one := range v {
		out[i] = one.Index
	}
	return out
}

// ErrorRate is the share of the candidates whose label is wrong, with its interval of Clopper and Pearson at confidence
// level 1-alpha.
func (v Verdicts) ErrorRate(alpha float64) (float64, stats.Interval, error) {
	if len(v) == 0 {
		return 0, stats.Interval{}, fmt.Errorf("labels: there are no verdicts")
	}
	wrong := len(v.Errors())
	interval, err := stats.ClopperPearson(wrong, len(v), alpha)
	if err != nil {
		return 0, interval, fmt.Errorf("labels: %w", err)
	}
	return float64(wrong) / float64(len(v)), interval, nil
}

// Unknown stands in corrected labels for one that nobody knows.
const Unknown = -1

// Claims claims the share of the candidates whose label is wrong, and that share of the whole set of so many examples,
// which is at least as large: nobody was asked about the rest. Claims are named "NAME: wrong of the candidates" and
// "NAME: wrong of the test set, at least"; the intervals are Clopper and Pearson's.
func (v Verdicts) Claims(name string, examples int) (claim.Claims, error) {
	if examples < len(v) {
		return nil, fmt.Errorf("labels: %s: %d verdicts on %d examples", name, len(v), examples)
	}
	wrong := len(v.Errors())
	of, err := claim.Share(name+": wrong of the candidates", "images", 1, wrong, len(v))
	if err != nil {
		return nil, err
	}
	all, err := claim.Share(name+": wrong of the test set, at least", "images", 1, wrong, examples)
	return claim.Claims{of, all}, err
}

// Correct returns the labels with those that people agreed on in the place of the wrong ones: the suggested class where
// that is correctable, [Unknown] for the other errors. The labels of examples that nobody was asked about are taken to
// be right. given is not changed.
func (v Verdicts) Correct(given []int) ([]int, error) {
	out := append([]int(nil), given...)
	for _, one := range v {
		if one.Index >= len(given) {
			return nil, fmt.Errorf(
				"labels: there is a verdict on example %d, and there are %d labels: give those of the same set", one.Index,
				len(given))
		}
		if given[one.Index] != one.Given {
			return nil, fmt.Errorf("labels: example %d has the label %d, and had %d when people were asked: give the labels "+
				"of the same set, in its order", one.Index, given[one.Index], one.Given)
		}
		switch one.Outcome() {
		case NotAnError:
		case Correctable:
			out[one.Index] = one.Guessed
		default:
			out[one.Index] = Unknown
		}
	}
	return out, nil
}

// Table counts the outcomes, with their shares of the candidates and the shares' 95% intervals of Clopper and Pearson.
func (v Verdicts) Table() (display.Table, error) {
	t := display.Table{Title: fmt.Sprintf("What people said of %s", plural.Of(len(v), "label")),
		Header: []string{"outcome", "examples", "share, 95% interval"}}
	add := func(what string, n int) error {
		interval, err := stats.ClopperPearson(n, len(v), 0.05)
		if err != nil {
			return fmt.Errorf("labels: %w", err)
		}
		t.Add(what, n, table.Rate{Value: float64(n) / float64(len(v)), Low: interval.Low, High: interval.High})
		return nil
	}
	if err := add("errors", len(v.Errors())); err != nil {
		return t, err
	}
	for o := range outcomeNames {
		if err := add(Outcome(o).String(), v.Count(Outcome(o))); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Bundle shows the table.
func (v Verdicts) Bundle() mime.Bundle { return table.Shown(v.Table()) }
