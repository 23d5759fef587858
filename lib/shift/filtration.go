package shift

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Filter is adversarial filtration: it takes away the examples of a labelled set that a model gets right, and keeps
// those that fool it. That is how ImageNet-A was made, by a ResNet-50 from photographs of the internet (Hendrycks et
// al., "Natural Adversarial Examples", CVPR 2021, section 3). What the authors did besides, look whether the label is
// beyond doubt, a program cannot: the most sure mistakes of a model are often mistakes of the label.
//
// What is kept is hard for the model that chose by construction, and its own accuracy there is 0. What it says of
// others is the interesting thing, and it depends on how good the model that chose is: a weak one leaves an easy set.
type Filter struct {
	// LabelBelow is what the probability of the label must be below for an example to be kept; 0 means 0.15. 1 keeps
	// all that are wrong.
	LabelBelow float64
}

// Filtration is what a [Filter] has kept.
type Filtration struct {
	// Kept are the numbers of the kept examples, in the set's order: for data.Dataset.Subset.
	Kept []int
	// Total is the number of examples there were, Right how many of them a model that chose gets right, and Likely how
	// many are gone only because their label is too likely.
	Total, Right, Likely int
	// Classes are the classes that the set has examples of, by their numbers.
	Classes []FilteredClass
	// Cells are the accuracies on the whole set, under the condition "all", and on what is kept, "kept": of the models
	// that chose and then of the others, two each.
	Cells []Cell
	// Filters is how many of the models chose.
	Filters int

	labels         []int    // of the whole set
	files, classes []string // of its images, and of its classes by number; nil where they are unknown
}

// FilteredClass is what has become of a class.
type FilteredClass struct{ Class, Total, Kept int }

// Keep keeps the examples that fool all of the filters: that each of them gets wrong, with a probability of the label
// below f.LabelBelow. others are models that have no part in the choice, and whose accuracies are measured. All have
// answered about the same set. An empty Kept is no error; the cells of what is kept then have no images.
func (f Filter) Keep(filters []*model.Answers, others ...*model.Answers) (*Filtration, error) {
	below := f.LabelBelow
	if below == 0 {
		below = .15
	}
	if !(below > 0 && below <= 1) {
		return nil, fmt.Errorf(
			"shift: examples are kept whose label's probability is below %v: LabelBelow lies between 0 and 1, and 0 means 0.15",
			f.LabelBelow)
	}
	if len(filters) == 0 {
		return nil, fmt.Errorf("shift: adversarial filtration needs the answers of a model that chooses")
	}
	all := slices.Concat(filters, others)
	var labels []int
	for _, a := range all {
		switch {
		case a == nil:
			return nil, fmt.Errorf("shift: the answers of a model are missing")
		case a.Labels == nil || slices.Contains(a.Labels, -1):
			return nil, fmt.Errorf("shift: %s was asked about images without a label: its Labeled leaves them out", a.Model)
		case labels == nil:
			labels = a.Labels
		case !slices.Equal(labels, a.Labels):
			return nil, fmt.Errorf("shift: %s and %s have not answered about the same set: their labels differ",
				all[0].Model, a.Model)
		}
	}
	right, likely := make([]bool, len(labels)), make([]bool, len(labels))
	for _, a := range filters {
		correct, err := a.Correct()
		if err != nil {
			return nil, fmt.Errorf("shift: %w", err)
		}
		p, err := a.OfClass(labels...)
		if err != nil {
			return nil, fmt.Errorf("shift: %w", err)
		}
		for i := range labels {
			right[i] = right[i] || correct[i]
			likely[i] = likely[i] || p[i] >= below && below < 1
		}
	}
	r := &Filtration{Total: len(labels), Filters: len(filters), labels: labels, files: all[0].Names,
		classes: all[0].Classes}
	classes := make([]FilteredClass, slices.Max(labels)+1)
	for i, label := range labels {
		classes[label].Class = label
		classes[label].Total++
		switch {
		case right[i]:
			r.Right++
		case likely[i]:
			r.Likely++
		default:
			r.Kept = append(r.Kept, i)
			classes[label].Kept++
		}
	}
	r.Classes = slices.DeleteFunc(classes, func(c FilteredClass) bool { return c.Total == 0 })
	for _, a := range all {
		correct, err := a.Correct()
		if err != nil {
			return nil, fmt.Errorf("shift: %w", err)
		}
		before, err := a.Accuracy()
		if err != nil {
			return nil, fmt.Errorf("shift: %w", err)
		}
		after := stats.Accuracy{Total: len(r.Kept)}
		for _, i := range r.Kept {
			if correct[i] {
				after.Correct++
			}
		}
		r.Cells = append(r.Cells, Cell{a.Model, "all", before}, Cell{a.Model, "kept", after})
	}
	return r, nil
}

// Bundle shows what is kept and the accuracies before and after, with their intervals of Clopper and Pearson at 95%.
func (r *Filtration) Bundle() mime.Bundle {
	table := display.Table{Header: []string{"model", fmt.Sprintf("accuracy on all %d, %%", r.Total),
		fmt.Sprintf("on the %d kept, %%", len(r.Kept)), "part"}}
	for i := 0; i < len(r.Cells); i += 2 {
		part := "none"
		if i/2 < r.Filters {
			part = "chose"
		}
		table.Add(r.Cells[i].Model, percent(r.Cells[i].Accuracy), percent(r.Cells[i+1].Accuracy), part)
	}
	kept := 0
	for _, c := range r.Classes {
		if c.Kept > 0 {
			kept++
		}
	}
	table.Title = fmt.Sprintf("kept: %d of %d, of %d of %d classes; right: %d; label too likely: %d", len(r.Kept), r.Total,
		kept, len(r.Classes), r.Right, r.Likely)
	return table.Bundle()
}

// percent is an accuracy with its interval at 95%; nothing of no images.
func percent(a stats.Accuracy) string {
	if a.Total == 0 {
		return ""
	}
	of := a.Interval()
	return fmt.Sprintf("%.1f (%.1f to %.1f)", 100*a.Share(), 100*of.Low, 100*of.High)
}
