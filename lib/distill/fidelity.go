package distill

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// Fidelity is how closely a model answers as its teacher does, and how well it answers.
type Fidelity struct {
	Model string `display:"model"`
	// Agreement is on how many images the two have one likeliest class (the first of equal ones): the paper's top-1
	// agreement.
	Agreement stats.Accuracy `display:"agreement"`
	// KL is the mean over the images of KL(teacher ‖ model) = Σ_k p_k (log p_k - log q_k), in nats, at temperature 1: the
	// paper's predictive KL. 0 is the same distribution.
	KL float64 `display:"KL, nats"`
	// Accuracy, NLL (the negative log-likelihood of the label, nats) and ECE (the expected calibration error over ten
	// bins of equal width, (lo, hi]) are over the images with a label. Without any, Accuracy is of none, and the others
	// are NaN.
	Accuracy stats.Accuracy `display:"accuracy"`
	NLL      float64        `display:"NLL, nats"`
	ECE      float64        `display:"ECE,percent"`
}

// Comparison is a teacher and models beside it. It shows itself as a table, the teacher first.
type Comparison struct {
	Teacher Fidelity
	Models  []Fidelity
}

// Compare measures models by their answers to the images that their teacher has answered to. Models that never had a
// teacher belong beside students: how far a network agrees with another of its kind by itself. The answers are logits
// of the same images, labels and classes, in one order. Stanton et al., section 3.
func Compare(teacher *model.Answers, models ...*model.Answers) (*Comparison, error) {
	for _, a := range append([]*model.Answers{teacher}, models...) {
		if a == nil {
			return nil, fmt.Errorf("distill: there are no answers: they are nil")
		}
	}
	if len(models) == 0 {
		return nil, fmt.Errorf("distill: there is no model to compare with the teacher")
	}
	t, err := distributions(teacher)
	if err != nil {
		return nil, err
	}
	c := &Comparison{}
	if c.Teacher, err = fidelity(t, t); err != nil {
		return nil, err
	}
	for _, a := range models {
		if err := alike(teacher, a); err != nil {
			return nil, err
		}
		m, err := distributions(a)
		if err != nil {
			return nil, err
		}
		f, err := fidelity(t, m)
		if err != nil {
			return nil, err
		}
		c.Models = append(c.Models, f)
	}
	return c, nil
}

// alike is an error unless answers are to the same images, with the same classes.
func alike(teacher, other *model.Answers) error {
	switch {
	case other.Len() != teacher.Len():
		return fmt.Errorf("distill: %s has answered to %d images and %s to %d", teacher.Model, teacher.Len(), other.Model,
			other.Len())
	case teacher.Names != nil && other.Names != nil && !slices.Equal(teacher.Names, other.Names):
		return fmt.Errorf("distill: %s and %s have answered to other images", teacher.Model, other.Model)
	case !slices.Equal(teacher.Labels, other.Labels):
		return fmt.Errorf("distill: the labels of %s and %s differ", teacher.Model, other.Model)
	}
	return sameNames(teacher.NumClasses(), other.NumClasses(), teacher.Classes, other.Classes)
}

// said is what a model says of N images.
type said struct {
	answers *model.Answers
	k       int
	logs    []float64 // of the probabilities, [N, K]
	classes []int     // the likeliest, [N]
}

func distributions(a *model.Answers) (*said, error) {
	logits, err := a.SoftmaxLogits("distill: fidelity")
	if err != nil {
		return nil, err
	}
	if err := finite(logits, a.Model); err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	d := logits.Shape().Dimensions
	s := &said{answers: a, k: d[1], logs: make([]float64, len(flat)), classes: make([]int, d[0])}
	for i := range d[0] {
		row := flat[i*s.k : (i+1)*s.k]
		top := slices.Max(row)
		s.classes[i] = slices.Index(row, top)
		sum := 0.0
		for _, z := range row {
			sum += math.Exp(float64(z - top))
		}
		for c, z := range row {
			s.logs[i*s.k+c] = float64(z) - float64(top) - math.Log(sum)
		}
	}
	return s, nil
}

// fidelity measures a model against its teacher.
func fidelity(teacher, of *said) (Fidelity, error) {
	f := Fidelity{Model: of.answers.Model, NLL: math.NaN(), ECE: math.NaN()}
	var err error
	if f.Agreement, err = stats.AccuracyOf(of.classes, teacher.classes); err != nil {
		return f, fmt.Errorf("distill: %w", err)
	}
	f.KL = stat.Mean(divergences(teacher, of), nil)
	if !slices.ContainsFunc(of.answers.Labels, func(label int) bool { return label >= 0 }) {
		return f, nil
	}
	p, err := uncertainty.FromAnswers(of.answers)
	if err != nil {
		return f, err
	}
	f.Accuracy, f.NLL = p.Accuracy(), p.NegativeLogLikelihood()
	f.ECE, err = p.ExpectedCalibrationError(uncertainty.EqualWidth(10))
	return f, err
}

// divergences are KL(teacher ‖ model) of each image.
func divergences(teacher, of *said) []float64 {
	kl := make([]float64, len(of.classes))
	for i, log := range teacher.logs {
		kl[i/of.k] += math.Exp(log) * (log - of.logs[i])
	}
	return kl
}

// Table has a row for the teacher and one for each model.
func (c *Comparison) Table() table.Table {
	t := table.Table{Header: []string{"model", "accuracy, 95% over images", "agrees with the teacher, 95%",
		"KL from the teacher, nats", "NLL, nats", "ECE"}}
	if c == nil {
		return t
	}
	for _, f := range append([]Fidelity{c.Teacher}, c.Models...) {
		t.Add(f.Model, f.Accuracy.Rate(), f.Agreement.Rate(), f.KL, f.NLL, table.Percent(f.ECE))
	}
	return t
}

// Bundle shows the table.
func (c *Comparison) Bundle() mime.Bundle { return c.Table().Bundle() }
