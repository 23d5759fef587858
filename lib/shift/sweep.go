// Package shift asks what a model does when the data is not what it was trained on: under corruptions, on new test sets
// and under natural shifts, alone or beside hundreds of published models.
package shift

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Sweep is a model's accuracy under corruptions of growing severity.
type Sweep struct {
	Model       string
	Corruptions []string
	// Accuracy[c][s] is that under corruption c at severity s; severity 0 is no corruption.
	Accuracy [][]stats.Accuracy
	// Confidence[c][s] is the mean probability that the model gives to the labels.
	Confidence [][]float64
}

// CorruptionSweep classifies images [N, H, W, C], float32 in 0..1, with known labels under each of the corruptions at
// severities 0 to 5. seed decides what chance decides. No corruptions means all of perturb.Corruptions. It returns an
// error at once when a corruption needs files that are not here (frost's photographs).
//
// Interrupted, it returns the corruptions that are done, and the one under way up to the severity that is done, beside
// the error; nil if none is.
func CorruptionSweep(m *model.Model, images *tensors.Tensor, labels []int, seed uint64,
	corruptions ...perturb.Corruption) (*Sweep, error) {
	return sweep(m, corruptions, func(c perturb.Corruption, severity int) (*model.Answers, error) {
		seen := images
		if severity > 0 {
			var err error
			if seen, err = c.Apply(images, severity, seed); err != nil {
				return nil, err
			}
		}
		return m.AnswersTo(seen, labels)
	})
}

// held is up to how many bytes of images a sweep of a dataset keeps in memory, so that they are read once.
var held = 256 << 20

// SweepDataset is [CorruptionSweep] for a dataset, whose images have the model's size. Up to 256 MB of them are read
// once; more are read and corrupted a batch at a time, for each severity again. Labels meet the model's classes as
// [model.Model.LabelsOf] says; images without one do not count.
func SweepDataset(m *model.Model, ds model.Labeled, seed uint64, corruptions ...perturb.Corruption) (*Sweep, error) {
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, err
	}
	if spec := m.Spec(); ds.Len() > 0 && 4*ds.Len()*spec.Height*spec.Width*spec.Channels <= held {
		all := make([]int, ds.Len())
		for i := range all {
			all[i] = i
		}
		images, err := ds.Images(all...)
		if err != nil {
			return nil, interrupt.After(err, "shift: corruptions", 0, 0, "severities")
		}
		return CorruptionSweep(m, images, labels, seed, corruptions...)
	}
	return sweep(m, corruptions, func(c perturb.Corruption, severity int) (*model.Answers, error) {
		seen := ds
		if severity > 0 {
			seen = Corrupted(ds, c, severity, seed).Data
		}
		answers, err := m.Answers(seen)
		if err != nil { // the answers to a part are not those of a severity
			return nil, err
		}
		return answers, nil
	})
}

// sweep asks for what the model says under each corruption at each severity; 0, without a corruption, comes first.
func sweep(m *model.Model, corruptions []perturb.Corruption,
	ask func(c perturb.Corruption, severity int) (*model.Answers, error)) (*Sweep, error) {
	if len(corruptions) == 0 {
		corruptions = perturb.Corruptions()
	}
	for _, c := range corruptions {
		if err := c.Ready(); err != nil {
			return nil, err
		}
	}
	accuracy, confidence, err := score(ask(perturb.Corruption{}, 0))
	if err != nil {
		return nil, err
	}
	s := &Sweep{Model: m.Name()}
	all := len(corruptions) * perturb.Severities
	bar := progress.New(m.Name()+": corruptions", all)
	defer bar.Close()
	for step := range all {
		c, severity := corruptions[step/perturb.Severities], step%perturb.Severities+1
		err := interrupt.Err()
		var a stats.Accuracy
		var p float64
		if err == nil {
			a, p, err = score(ask(c, severity))
		}
		err = interrupt.After(err, "shift: corruptions", step, all, "severities")
		if interrupt.Is(err) && step > 0 {
			return s, err
		}
		if err != nil {
			return nil, err
		}
		if severity == 1 {
			s.Corruptions = append(s.Corruptions, c.Name)
			s.Accuracy, s.Confidence = append(s.Accuracy, []stats.Accuracy{accuracy}),
				append(s.Confidence, []float64{confidence})
		}
		last := len(s.Corruptions) - 1
		s.Accuracy[last], s.Confidence[last] = append(s.Accuracy[last], a), append(s.Confidence[last], p)
		bar.Add(1)
	}
	return s, nil
}

// score is the accuracy of answers, and the mean probability of the labels. Images without a label do not count.
func score(answers *model.Answers, err error) (accuracy stats.Accuracy, confidence float64, _ error) {
	if err == nil {
		answers, err = answers.Labeled()
	}
	if err != nil {
		return accuracy, 0, err
	}
	probabilities, err := answers.OfClass(answers.Labels...)
	if err != nil {
		return accuracy, 0, err
	}
	for _, p := range probabilities {
		confidence += p / float64(len(probabilities))
	}
	accuracy, err = answers.Accuracy()
	return accuracy, confidence, err
}

// Plot draws accuracy against severity, a line for each corruption, with bands of the 95% interval.
func (s *Sweep) Plot() (display.Lines, error) {
	if len(s.Accuracy) == 0 {
		return display.Lines{}, fmt.Errorf("shift: the sweep has no corruptions")
	}
	lines := display.Lines{
		Title: fmt.Sprintf("Accuracy of %s on %s under corruption", s.Model, plural.Of(s.Accuracy[0][0].Total, "image")),
		X:     "severity", Y: "accuracy, with 95% interval", YMin: 0, YMax: 1,
	}
	for c, name := range s.Corruptions {
		series := display.Series{Name: name}
		for severity, a := range s.Accuracy[c] {
			interval := a.Interval()
			series.X, series.Y = append(series.X, float64(severity)), append(series.Y, a.Share())
			series.Low, series.High = append(series.Low, interval.Low), append(series.High, interval.High)
		}
		lines.Series = append(lines.Series, series)
	}
	return lines, nil
}

// Bundle shows the plot.
func (s *Sweep) Bundle() mime.Bundle {
	lines, err := s.Plot()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return lines.Bundle()
}
