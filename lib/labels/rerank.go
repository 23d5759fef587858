package labels

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// ModelAccuracy counts what a model has right.
type ModelAccuracy struct {
	Model     string
	Benign    int // of the examples whose label is right
	Given     int // of the examples whose label was corrected, by the labels as they were given
	Corrected int // of these, by the corrected labels
}

// Benchmark compares models on a test set whose wrong labels were corrected, as the noise prevalence changes: the share
// of the examples that were mislabelled. Where it is to be higher than in the test set, examples whose label is right
// are left out at random until it is; the accuracies are the expected ones. Northcutt, Athalye and Mueller 2021,
// section 5.
type Benchmark struct {
	Models []ModelAccuracy
	// Benign, Mislabelled and Unknown are how many examples have a right label, a label that was corrected, and a wrong
	// one that nobody knows the right one of. The last are left out.
	Benign, Mislabelled, Unknown int
}

// Rerank counts what each model has right. given are the labels of the test set and corrected the same with the right
// ones in the place of the wrong ones, [Unknown] where nobody knows it, as [Verdicts.Correct] makes them.
func Rerank(models []*model.Answers, given, corrected []int) (*Benchmark, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("labels: there are no models to rank")
	}
	if len(given) == 0 || len(given) != len(corrected) {
		return nil, fmt.Errorf("labels: %d given labels and %d corrected ones: there is one of each for every example",
			len(given), len(corrected))
	}
	b := &Benchmark{}
	for i, y := range corrected {
		switch {
		case y == Unknown:
			b.Unknown++
		case y < 0 || given[i] < 0:
			return nil, fmt.Errorf(
				"labels: example %d has the labels %d and, corrected, %d: they are counted from 0, and Unknown is %d", i, given[i],
				y, Unknown)
		case y == given[i]:
			b.Benign++
		default:
			b.Mislabelled++
		}
	}
	if b.Benign == 0 || b.Mislabelled == 0 {
		return nil, fmt.Errorf("labels: %d examples have the right label and %d one that was corrected: it takes some of "+
			"both for the prevalence to change", b.Benign, b.Mislabelled)
	}
	names := map[string]bool{}
	for _, m := range models {
		if m.Len() != len(given) {
			return nil, fmt.Errorf("labels: %d predictions of %s for %d examples: give one for each, in their order", m.Len(),
				m.Model, len(given))
		}
		if names[m.Model] {
			return nil, fmt.Errorf("labels: two models are called %q", m.Model)
		}
		names[m.Model] = true
		a := ModelAccuracy{Model: m.Model}
		predicted, err := m.Predicted()
		if err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
		for i, class := range predicted {
			switch y := corrected[i]; {
			case y == Unknown:
			case y == given[i]:
				if class == y {
					a.Benign++
				}
			case class == y:
				a.Corrected++
			case class == given[i]:
				a.Given++
			}
		}
		b.Models = append(b.Models, a)
	}
	return b, nil
}

// Prevalence is the noise prevalence of the test set as it is: the share of the mislabelled among the examples whose
// right label is known.
func (b *Benchmark) Prevalence() float64 {
	return float64(b.Mislabelled) / float64(b.Mislabelled+b.Benign)
}

// Accuracy is a model's expected accuracy at a noise prevalence, 0 to 1, by the given labels and by the corrected ones:
// (1-q)·acc_benign + q·acc_mislabelled.
func (b *Benchmark) Accuracy(model int, prevalence float64) (given, corrected float64) {
	m := b.Models[model]
	benign := (1 - prevalence) * float64(m.Benign) / float64(b.Benign)
	share := prevalence / float64(b.Mislabelled)
	return benign + share*float64(m.Given), benign + share*float64(m.Corrected)
}

// Ranking are the models by their accuracy at a noise prevalence, the best one first, by the corrected labels or else
// by the given ones; of equal ones the first.
func (b *Benchmark) Ranking(prevalence float64, corrected bool) []int {
	order := make([]int, len(b.Models))
	accuracy := make([]float64, len(b.Models))
	for i := range order {
		order[i] = i
		byGiven, byCorrected := b.Accuracy(i, prevalence)
		accuracy[i] = byGiven
		if corrected {
			accuracy[i] = byCorrected
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(accuracy[y], accuracy[x]) })
	return order
}

// RankReversal is where a model overtakes another one as the noise prevalence rises.
type RankReversal struct {
	Leader    int `display:"leader"` // models: the better one below the prevalence, and above it
	Overtaker int `display:"overtaken by"`
	// Prevalence is where both have the same expected accuracy, and Rise how far that is above the test set's own.
	Prevalence float64 `display:"at a share of wrong labels of,percent"`
	Rise       float64 `display:"above the test set by,percent"`
	// Left is how many of the examples with right labels are left there. It is no whole number where the accuracies are
	// equal between two.
	Left float64 `display:"right labels left"`
}

// RankReversals finds where models change places in accuracy by the corrected labels, or else by the given ones,
// between the test set's own noise prevalence and 1: the lowest prevalence first. Models that are equal on the test set
// itself and part then cross there, with a Rise of 0; where they are equal at 1 only, they do not cross.
//
// Expected accuracies are straight lines, so the point is exact: with Δ the lead in examples that are right,
//
//	q = Δ_benign·M / (Δ_benign·M + Δ_mislabelled·B)
//
// for B benign and M mislabelled examples, Δ_benign that of the leader and Δ_mislabelled that of the overtaker.
func (b *Benchmark) RankReversals(corrected bool) []RankReversal {
	var out []RankReversal
	for i := range b.Models {
		for j := range b.Models {
			benign := b.Models[i].Benign - b.Models[j].Benign
			mislabelled := b.Models[j].Given - b.Models[i].Given
			if corrected {
				mislabelled = b.Models[j].Corrected - b.Models[i].Corrected
			}
			// i leads below and j above; at the set's own prevalence, where all benign examples are left, i is no
			// worse.
			if benign <= 0 || mislabelled <= 0 || mislabelled > benign {
				continue
			}
			q := float64(benign*b.Mislabelled) / float64(benign*b.Mislabelled+mislabelled*b.Benign)
			out = append(out, RankReversal{Leader: i, Overtaker: j, Prevalence: q, Rise: q - b.Prevalence(),
				Left: float64(mislabelled*b.Benign) / float64(benign)})
		}
	}
	slices.SortStableFunc(out, func(x, y RankReversal) int { return cmp.Compare(x.Prevalence, y.Prevalence) })
	return out
}

// Overtaken is the first crossing, by the corrected labels, at which the best model of the test set as it is loses its
// place. It is an error where it keeps it at every prevalence.
func (b *Benchmark) Overtaken() (RankReversal, error) {
	best := b.Ranking(b.Prevalence(), true)[0]
	for _, c := range b.RankReversals(true) {
		if c.Leader == best {
			return c, nil
		}
	}
	return RankReversal{}, fmt.Errorf("labels: %s is the best at every noise prevalence", b.Models[best].Model)
}

// Named are the models of these names, by their numbers.
func (b *Benchmark) Named(models ...string) ([]int, error) {
	var numbers []int
	for _, name := range models {
		i := slices.IndexFunc(b.Models, func(m ModelAccuracy) bool { return m.Model == name })
		if i < 0 {
			return nil, fmt.Errorf("labels: there is no model %q in the benchmark", name)
		}
		numbers = append(numbers, i)
	}
	return numbers, nil
}

// plotSteps is how many prevalences a plot has from the test set's own to 1: lines are straight.
const plotSteps = 20

// Plot draws the models' accuracies by the corrected labels against the noise prevalence, from the test set's own up to
// most. No models means all.
func (b *Benchmark) Plot(most float64, models ...int) (display.Lines, error) {
	if !(most > b.Prevalence() && most <= 1) {
		return display.Lines{},
			fmt.Errorf("labels: a plot up to the noise prevalence %v: take more than the test set's own, %.4g, and at most 1",
				most, b.Prevalence())
	}
	if len(models) == 0 {
		for i := range b.Models {
			models = append(models, i)
		}
	}
	lines := display.Lines{Title: "Accuracy by corrected labels", X: "noise prevalence", Y: "expected accuracy"}
	for _, m := range models {
		if m < 0 || m >= len(b.Models) {
			return lines, fmt.Errorf("labels: there is no model %d: they are 0 to %d", m, len(b.Models)-1)
		}
		s := display.Series{Name: b.Models[m].Model}
		for step := range plotSteps + 1 {
			q := b.Prevalence() + (most-b.Prevalence())*float64(step)/plotSteps
			_, accuracy := b.Accuracy(m, q)
			s.X, s.Y = append(s.X, q), append(s.Y, accuracy)
		}
		lines.Series = append(lines.Series, s)
	}
	return lines, nil
}

// Table ranks the models on the test set as it is, by the given labels and by the corrected ones, and on the
// mislabelled examples alone, with the intervals of Clopper and Pearson.
func (b *Benchmark) Table() display.Table {
	own := b.Prevalence()
	t := display.Table{
		Title: fmt.Sprintf("%d models on %d examples, of which %d were mislabelled (%.2f%%)", len(b.Models),
			b.Benign+b.Mislabelled, b.Mislabelled, 100*own),
		Header: []string{"model", "rank", "accuracy, 95% interval", "rank, corrected", "accuracy, corrected",
			"rank on the mislabelled", "accuracy there"},
	}
	byGiven, byCorrected, onErrors := places(b.Ranking(own, false)), places(b.Ranking(own, true)),
		places(b.Ranking(1, true))
	for _, m := range b.Ranking(own, false) {
		c := b.Models[m]
		all := b.Benign + b.Mislabelled
		of := func(right, of int) any { return stats.Accuracy{Correct: right, Total: of}.Rate() }
		t.Add(c.Model, byGiven[m], of(c.Benign+c.Given, all), byCorrected[m], of(c.Benign+c.Corrected, all), onErrors[m],
			of(c.Corrected, b.Mislabelled))
	}
	return t
}

// places turns an order into each one's place, from 1.
func places(order []int) []int {
	out := make([]int, len(order))
	for place, i := range order {
		out[i] = place + 1
	}
	return out
}

// Scatter plots the models: the accuracy on the mislabelled examples, by the given labels and by the corrected ones,
// against that on the others.
func (b *Benchmark) Scatter() display.Scatter {
	s := display.Scatter{Title: fmt.Sprintf("%d models on the %d examples whose label is corrected", len(b.Models),
		b.Mislabelled),
		X: "accuracy on the rest, percent", Y: "accuracy there, percent",
		Names: []string{"by the given labels", "by the corrected labels"}}
	for group := range s.Names {
		for _, m := range b.Models {
			right := m.Given
			if group == 1 {
				right = m.Corrected
			}
			s.Xs, s.Groups = append(s.Xs, share(m.Benign, b.Benign)), append(s.Groups, group)
			s.Ys = append(s.Ys, share(right, b.Mislabelled))
		}
	}
	return s
}

// Bundle shows the table.
func (b *Benchmark) Bundle() mime.Bundle { return b.Table().Bundle() }
