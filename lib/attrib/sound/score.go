package sound

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Score is how complete and how sound maps are over images, each with its 95% interval (Student's, over images).
type Score struct {
	// Method is what made the maps, of as many Images.
	Method string
	Images int
	// Completeness is that at the predicted label.
	Completeness         float64
	CompletenessInterval stats.Interval
	// Soundness is the mean over the other labels of an image, and Worst the least of them.
	Soundness         float64
	SoundnessInterval stats.Interval
	Worst             float64
	WorstInterval     stats.Interval
}

// AuthorsOthers is by how many the authors' program divides the sum of the soundness over the other labels, however
// many there are: for [Evaluation.Score]. It is right for ten labels.
const AuthorsOthers = 9

// PerImage returns for each image the completeness at the predicted label, and over the other labels the sum of the
// soundness divided by others, or by their number where others is 0, and the least of them. It is an error if an
// image's predicted label is not among its labels, or is the only one.
func (e *Evaluation) PerImage(others int) (completeness, soundness, worst []float64, err error) {
	if others < 0 {
		return nil, nil, nil, fmt.Errorf("sound: a mean over %d other labels; 0 means as many as there are", others)
	}
	for i, of := range e.Maps.Labels {
		at := slices.Index(of, e.Predicted[i])
		switch {
		case at < 0:
			return nil, nil, nil, fmt.Errorf("sound: image %d is predicted as class %d, which is not among its labels %v: "+
				"Likeliest names it, and Among makes a model of the labels alone", i, e.Predicted[i], of)
		case len(of) < 2:
			return nil, nil, nil,
				fmt.Errorf("sound: soundness is about labels that are not predicted, and image %d has no other label", i)
		}
		var sum float64
		least := 1.0
		for l, beta := range e.Soundness[i] {
			if l != at {
				sum += beta
				least = min(least, beta)
			}
		}
		count := others
		if count == 0 {
			count = len(of) - 1
		}
		completeness, soundness, worst = append(completeness, e.Completeness[i][at]), append(soundness, sum/float64(count)),
			append(worst, least)
	}
	return completeness, soundness, worst, nil
}

// Score returns the means over images, of which there are at least two. others is 0 for the mean over the labels that
// there are, or [AuthorsOthers]: see [Evaluation.PerImage].
func (e *Evaluation) Score(others int) (Score, error) {
	s := Score{Method: e.Maps.Method, Images: len(e.Predicted)}
	completeness, soundness, worst, err := e.PerImage(others)
	if err != nil {
		return s, err
	}
	if s.Completeness, s.CompletenessInterval, err = stats.MeanInterval(completeness, 0.05); err != nil {
		return s, err
	}
	if s.Soundness, s.SoundnessInterval, err = stats.MeanInterval(soundness, 0.05); err != nil {
		return s, err
	}
	s.Worst, s.WorstInterval, err = stats.MeanInterval(worst, 0.05)
	return s, err
}

// First is the evaluation of the first n images, such as for a [Evaluation.Sheet] that is not too long; of all where
// there are fewer.
func (e *Evaluation) First(n int) *Evaluation {
	n = min(max(n, 0), len(e.Predicted))
	some := *e
	maps := *e.Maps
	maps.Labels, maps.ClassNames = maps.Labels[:n], maps.ClassNames[:n]
	d := maps.Values.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](maps.Values)
	maps.Values = tensors.FromFlatDataAndDimensions(flat[:n*d[1]*d[2]*d[3]], n, d[1], d[2], d[3])
	some.Maps, some.Predicted, some.Probability = &maps, e.Predicted[:n], e.Probability[:n]
	some.Curve, some.AUC, some.Completeness, some.Soundness = e.Curve[:n], e.AUC[:n], e.Completeness[:n], e.Soundness[:n]
	return &some
}

func (s Score) String() string {
	return fmt.Sprintf("%s: completeness %s, soundness %s, worst %s, %d images", s.Method,
		with(s.Completeness, s.CompletenessInterval),
		with(s.Soundness, s.SoundnessInterval), with(s.Worst, s.WorstInterval), s.Images)
}

func with(v float64, i stats.Interval) string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", v, i.Low, i.High)
}

// Table is the scores of evaluations, a row each.
func Table(evaluations ...*Evaluation) (display.Table, error) {
	t := display.Table{Header: []string{"method", "completeness, predicted label", "soundness, other labels",
		"soundness, worst label"}}
	for _, e := range evaluations {
		s, err := e.Score(0)
		if err != nil {
			return t, err
		}
		estimate := func(v float64, i stats.Interval) table.Estimate {
			return table.Estimate{Value: v, Low: i.Low, High: i.High}
		}
		t.Add(s.Method, estimate(s.Completeness, s.CompletenessInterval), estimate(s.Soundness, s.SoundnessInterval),
			estimate(s.Worst, s.WorstInterval))
	}
	return t, nil
}
