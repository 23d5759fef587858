package priors

import (
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Overlap is how far two networks fail on the same images.
type Overlap struct {
	A, B string
	// Both, OnlyA, OnlyB and Neither are in how many images both are right, one is, and none is.
	Both, OnlyA, OnlyB, Neither int
}

// Correlation is that of being right, the Pearson correlation of two variables that are 1 for a right answer and 0 for
// a wrong one: 1 where they fail on the same images, 0 where the failures of one tell nothing of the other's. It is NaN
// where one is always right or always wrong.
func (o Overlap) Correlation() float64 {
	a, b, c, d := float64(o.Both), float64(o.OnlyA), float64(o.OnlyB), float64(o.Neither)
	return (a*d - b*c) / math.Sqrt((a+b)*(c+d)*(a+c)*(b+d))
}

// Consistency is how much more often both are right or both are wrong than two with their accuracies are by chance,
// over how much more often they could be: Cohen's kappa, the error consistency of Geirhos, Meding and Wichmann, NeurIPS
// 2020. It is NaN where both are always right, or always wrong.
func (o Overlap) Consistency() float64 {
	n := float64(o.Both + o.OnlyA + o.OnlyB + o.Neither)
	a, b := float64(o.Both+o.OnlyA)/n, float64(o.Both+o.OnlyB)/n
	alike, chance := float64(o.Both+o.Neither)/n, a*b+(1-a)*(1-b)
	return (alike - chance) / (1 - chance)
}

// Shared is how many of the failures, images in which one of the two is wrong at least, are both's.
func (o Overlap) Shared() stats.Accuracy {
	return stats.Accuracy{Correct: o.Neither, Total: o.Neither + o.OnlyA + o.OnlyB}
}

// Either is in how many images one of the two is right at least: what no combination of their answers that picks one of
// them can do better than.
func (o Overlap) Either() stats.Accuracy {
	wrong := o.Neither
	right := o.Both + o.OnlyA + o.OnlyB
	return stats.Accuracy{Correct: right, Total: right + wrong}
}

// Failures are the overlaps of the failures of each pair of networks.
type Failures struct {
	Accuracies []stats.Accuracy
	Names      []string
	Pairs      []Overlap
}

// FailureModes compares where networks fail, on the same images with the same labels; images without a label do not
// count. The paper finds that networks with different priors have less in common than two with the same prior and
// different seeds.
func FailureModes(answers ...*model.Answers) (*Failures, error) {
	if err := alike(answers); err != nil {
		return nil, err
	}
	f := &Failures{}
	var right [][]bool
	for _, a := range answers {
		labelled, err := a.Labeled()
		if err != nil {
			return nil, err
		}
		of, err := labelled.Correct()
		if err != nil {
			return nil, err
		}
		accuracy, err := labelled.Accuracy()
		if err != nil {
			return nil, err
		}
		f.Names, f.Accuracies, right = append(f.Names, a.Model), append(f.Accuracies, accuracy), append(right, of)
	}
	for i := range answers {
		for k := i + 1; k < len(answers); k++ {
			o := Overlap{A: f.Names[i], B: f.Names[k]}
			for at, a := range right[i] {
				switch b := right[k][at]; {
				case a && b:
					o.Both++
				case a:
					o.OnlyA++
				case b:
					o.OnlyB++
				default:
					o.Neither++
				}
			}
			f.Pairs = append(f.Pairs, o)
		}
	}
	return f, nil
}

// alike is an error unless these are two or more answers to the same images, as far as labels and names tell.
func alike(answers []*model.Answers) error {
	if len(answers) < 2 {
		return fmt.Errorf("priors: answers of %d networks: it takes two to compare or combine", len(answers))
	}
	for _, a := range answers {
		if a == nil {
			return fmt.Errorf("priors: the answers of a network are nil")
		}
	}
	first := answers[0]
	for _, a := range answers[1:] {
		if a.Len() != first.Len() || a.NumClasses() != first.NumClasses() {
			return fmt.Errorf("priors: %s answers to %d images of %d classes and %s to %d of %d", first.Model, first.Len(),
				first.NumClasses(), a.Model, a.Len(), a.NumClasses())
		}
		if len(a.Labels) != len(first.Labels) {
			return fmt.Errorf("priors: the images of %s have labels, and those of %s have not, or the other way round",
				first.Model, a.Model)
		}
		for i := range a.Labels {
			if a.Labels[i] != first.Labels[i] {
				return fmt.Errorf("priors: image %d has the label %d of %s and %d of %s: these are not the same images", i,
					first.Labels[i], first.Model, a.Labels[i], a.Model)
			}
		}
		for i := range min(len(a.Names), len(first.Names)) {
			if a.Names[i] != first.Names[i] {
				return fmt.Errorf("priors: image %d is %s of %s and %s of %s", i, first.Names[i], first.Model, a.Names[i], a.Model)
			}
		}
	}
	return nil
}

// Table has a row for each pair.
func (f *Failures) Table() (table.Table, error) {
	t := table.Table{Header: []string{"network", "and", "correlation", "consistency", "shared failures",
		"either is right"}}
	if f == nil {
		return t, fmt.Errorf("priors: no failures were compared")
	}
	number := func(x float64) any {
		if math.IsNaN(x) {
			return nil
		}
		return x
	}
	for _, o := range f.Pairs {
		t.Add(o.A, o.B, number(o.Correlation()), number(o.Consistency()), o.Shared().Rate(), o.Either().Rate())
	}
	return t, nil
}

// Bundle shows the table.
func (f *Failures) Bundle() mime.Bundle { return table.Shown(f.Table()) }
