// Package shift asks what a model does when the data is not what it was trained on: under corruptions, on new test sets and under natural shifts, alone or beside
// hundreds of published models.
package shift

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

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
	Images      int
	Corruptions []string
	// Correct[c][s] counts the images that are classified as their label under corruption c at severity s; severity 0 is no corruption.
	Correct [][]int
	// Confidence[c][s] is the mean probability that the model gives to the labels.
	Confidence [][]float64
}

// CorruptionSweep classifies images [N, H, W, C], float32 in 0..1, with known labels under each of the corruptions at
// severities 0 to 5. seed decides what chance decides. No corruptions means all of perturb.Corruptions. It returns an error at once when a corruption needs
// files that are not here (frost's photographs).
//
// Interrupted, it returns the corruptions that are done, and the one under way up to the severity that is done, beside the error; nil if none is.
func CorruptionSweep(m *model.Model, images *tensors.Tensor, labels []int, seed uint64, corruptions ...perturb.Corruption) (*Sweep, error) {
	if len(corruptions) == 0 {
		corruptions = perturb.Corruptions()
	}
	for _, c := range corruptions {
		if err := c.Ready(); err != nil {
			return nil, err
		}
	}
	s := &Sweep{Model: m.Name(), Images: len(labels)}
	correct, confidence, err := score(m, images, labels)
	if err != nil {
		return nil, err
	}
	all := len(corruptions) * perturb.Severities
	bar := progress.New(m.Name()+": corruptions", all)
	defer bar.Close()
	for step := range all {
		c, severity := corruptions[step/perturb.Severities], step%perturb.Severities+1
		n, p, err := under(c, severity, seed, m, images, labels)
		err = interrupt.After(err, "shift: corruptions", step, all, "severities")
		if interrupt.Is(err) && step > 0 {
			return s, err
		}
		if err != nil {
			return nil, err
		}
		if severity == 1 {
			s.Corruptions = append(s.Corruptions, c.Name)
			s.Correct, s.Confidence = append(s.Correct, []int{correct}), append(s.Confidence, []float64{confidence})
		}
		last := len(s.Corruptions) - 1
		s.Correct[last], s.Confidence[last] = append(s.Correct[last], n), append(s.Confidence[last], p)
		bar.Add(1)
	}
	return s, nil
}

// under is the score on corrupted images.
func under(c perturb.Corruption, severity int, seed uint64, m *model.Model, images *tensors.Tensor, labels []int) (correct int, confidence float64, err error) {
	if err := interrupt.Err(); err != nil {
		return 0, 0, err
	}
	corrupted, err := c.Apply(images, severity, seed)
	if err != nil {
		return 0, 0, err
	}
	return score(m, corrupted, labels)
}

// score counts the images whose label has the highest probability, and averages the labels' probabilities.
func score(m *model.Model, images *tensors.Tensor, labels []int) (correct int, confidence float64, err error) {
	probabilities, err := m.Probabilities(images)
	if err != nil {
		return 0, 0, err
	}
	n, k := probabilities.Shape().Dimensions[0], probabilities.Shape().Dimensions[1]
	if n != len(labels) {
		return 0, 0, fmt.Errorf("shift: %d images have %d labels", n, len(labels))
	}
	flat, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return 0, 0, fmt.Errorf("shift: %w", err)
	}
	for i, label := range labels {
		if label < 0 || label >= k {
			return 0, 0, fmt.Errorf("shift: image %d has the label %d; %s has the classes 0 to %d", i, label, m.Name(), k-1)
		}
		row := flat[i*k : (i+1)*k]
		right := true
		for _, p := range row {
			right = right && p <= row[label]
		}
		if right {
			correct++
		}
		confidence += float64(row[label]) / float64(n)
	}
	return correct, confidence, nil
}

// Accuracy returns the accuracy under corruption c at a severity with its 95% interval of Clopper and Pearson.
func (s *Sweep) Accuracy(c, severity int) (accuracy float64, interval stats.Interval, err error) {
	if c < 0 || c >= len(s.Correct) || severity < 0 || severity >= len(s.Correct[c]) {
		return 0, interval, fmt.Errorf("shift: the sweep has corruptions 0 to %d and severities 0 to %d", len(s.Correct)-1, perturb.Severities)
	}
	interval, err = stats.ClopperPearson(s.Correct[c][severity], s.Images, 0.05)
	return float64(s.Correct[c][severity]) / float64(s.Images), interval, err
}

// Plot draws accuracy against severity, a line for each corruption, with bands of the 95% interval.
func (s *Sweep) Plot() (display.Lines, error) {
	lines := display.Lines{
		Title: fmt.Sprintf("Accuracy of %s on %d images under corruption", s.Model, s.Images),
		X:     "severity", Y: "accuracy, with 95% interval", YMin: 0, YMax: 1,
	}
	for c, name := range s.Corruptions {
		series := display.Series{Name: name}
		for severity := range s.Correct[c] {
			accuracy, interval, err := s.Accuracy(c, severity)
			if err != nil {
				return lines, err
			}
			series.X, series.Y = append(series.X, float64(severity)), append(series.Y, accuracy)
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
