package background

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/transfer"
)

// Protocol tells what features are worth that were learnt without labels, and how far a linear classifier on them rests
// on backgrounds. The classifier learns from composed images as they come, with their backgrounds; the features stay as
// they are.
type Protocol struct {
	// Train is fitted to, Validation chooses the penalty, Test measures. They have the same classes, 0 to Classes-1.
	Train, Validation, Test *Composed
	Classes                 int
	// Fit and Lambdas are those of transfer.FixedFeatures.
	Fit     learn.LogisticRegression
	Lambdas []float64
	// Few is the share of the labels that a second classifier learns from, of Train; as many images of Validation choose
	// its penalty. Seed is that of which images, and of corruptions and donors of backgrounds.
	Few  float64
	Seed uint64
	// Attacked is how many of the test images, the first, are attacked by PGD and corrupted, at all severities alike.
	Attacked    int
	PGD         attack.PGD
	Corruptions []perturb.Corruption
}

// Findings is what a [Protocol] finds.
type Findings struct {
	// Linear is the accuracy of the classifier on the test images, FewLabels that of the one with few labels.
	Linear, FewLabels stats.Accuracy
	Gap               *Gap
	Groups            Groups
	// Clean is the accuracy on those test images that are corrupted, with the answers counted in Corrupted, and attacked.
	Clean, Corrupted, Robust stats.Accuracy
}

// Of measures the features of a network. The network has as many outputs as there are classes, whatever they say: they
// are replaced by the classifier. Interrupted, it returns nil and the error.
func (p Protocol) Of(m *model.Model) (*Findings, error) {
	if m == nil {
		return nil, fmt.Errorf("background: there is no network whose features are measured: it is nil")
	}
	var sets [3]*data.Dataset
	for i, c := range []*Composed{p.Train, p.Validation, p.Test} {
		var err error
		if sets[i], err = c.Dataset(); err != nil {
			return nil, fmt.Errorf("background: a protocol has images to train with, to choose by and to test on: %w", err)
		}
	}
	if p.Attacked < 1 || p.Attacked > len(p.Test.Labels) {
		return nil, fmt.Errorf("background: %d of %d test images are to be attacked: it is 1 or more, and at most all",
			p.Attacked, len(p.Test.Labels))
	}
	if len(p.Corruptions) == 0 {
		return nil, fmt.Errorf("background: no corruptions: perturb.Corruptions has those of the benchmark")
	}
	task := transfer.Task{Name: "composed images", Classes: p.Classes, Train: sets[0], Validation: sets[1], Test: sets[2]}
	few, err := task.Limited(p.Few, p.Seed)
	if err != nil {
		return nil, err
	}
	few.Name = fmt.Sprintf("%s, %d labels", task.Name, few.Train.Len())
	few.Validation = sets[1].Take(min(few.Train.Len(), sets[1].Len()))
	linear, err := transfer.FixedFeatures(m, task, p.Fit, p.Lambdas)
	if err != nil {
		return nil, err
	}
	limited, err := transfer.FixedFeatures(m, few, p.Fit, p.Lambdas)
	if err != nil {
		return nil, err
	}
	f := &Findings{Linear: linear.Accuracy, FewLabels: limited.Accuracy}
	whole, err := spurious.WithHead(m, linear.Head)
	if err != nil {
		return nil, err
	}
	if f.Gap, err = GapOf(whole.Predict, p.Test.Subjects(), p.Seed); err != nil {
		return nil, err
	}
	predicted, err := whole.Predict(p.Test.Images)
	if err != nil {
		return nil, err
	}
	if f.Groups, err = p.Test.Groups(predicted); err != nil {
		return nil, err
	}
	part, err := rows.Take(p.Test.Images, 0, p.Attacked, p.Attacked)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	if err := f.shifts(p, whole, part); err != nil {
		return nil, err
	}
	return f, nil
}

// shifts measures the classifier under corruptions and attack.
func (f *Findings) shifts(p Protocol, m *model.Model, images *tensors.Tensor) error {
	labels := p.Test.Labels[:p.Attacked]
	sweep, err := shift.CorruptionSweep(m, images, labels, p.Seed, p.Corruptions...)
	if err != nil {
		return err
	}
	f.Clean = sweep.Accuracy[0][0]
	for _, by := range sweep.Accuracy {
		for _, a := range by[1:] {
			f.Corrupted = f.Corrupted.Add(a)
		}
	}
	robust, err := p.PGD.Robustness(m, images, labels)
	if err != nil {
		if interrupt.Is(err) {
			return interrupt.After(err, "background: the protocol of "+m.Name(), 4, 5, "measures")
		}
		return err
	}
	f.Robust = robust.Robust
	return nil
}

// Table has a row for each measure.
func (f *Findings) Table() table.Table {
	t := table.Table{Header: []string{"measure", "accuracy"}}
	t.Add("test images", f.Linear.Rate())
	t.Add("the same, few labels", f.FewLabels.Rate())
	t.Add("on places of their own class", f.Groups.OnOwn().Rate())
	t.Add("on places of other classes", f.Groups.OnOthers().Rate())
	t.Rows = append(t.Rows, f.Gap.Table().Rows[1:]...)
	t.Add(fmt.Sprintf("%d of the test images", f.Clean.Total), f.Clean.Rate())
	t.Add("these under corruptions", f.Corrupted.Rate())
	t.Add("these under attack", f.Robust.Rate())
	return t
}

// Bundle shows the table.
func (f *Findings) Bundle() mime.Bundle { return f.Table().Bundle() }
