package mask

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Score is how a model does on images, such as images of which little is left.
type Score struct {
	// Accuracy is of all images.
	Accuracy stats.Accuracy `display:"accuracy"`
	// Confidence is the mean probability of the classes asked about, and ConfidenceInterval its 95% interval
	// (Student's).
	Confidence         float64        `display:"confidence,percent"`
	ConfidenceInterval stats.Interval `display:"confidence, 95% interval"`
}

func (s Score) String() string {
	return fmt.Sprintf("accuracy %s, confidence %.3f (%.3f to %.3f)", s.Accuracy, s.Confidence, s.ConfidenceInterval.Low,
		s.ConfidenceInterval.High)
}

// Evaluate measures a model on at least two images, [N, H, W, C] float32 in 0..1, with a label for each. Confidence is
// the mean probability of classes, one for each image, such as an [Ordering]'s; nil means the class predicted for the
// images as they are.
//
// Interrupted, it returns the score on the images that are done beside the error, if they are two at least: see the
// accuracy's Total.
func Evaluate(m *model.Model, images *tensors.Tensor, labels, classes []int) (Score, error) {
	if len(classes) > 0 { // checked before the network runs
		var err error
		if classes, err = m.TargetClasses(images, classes); err != nil {
			return Score{}, err
		}
	}
	answers, stopped := m.AnswersTo(images, labels)
	if answers == nil || stopped != nil && answers.Len() < 2 {
		return Score{}, stopped
	}
	if len(classes) == 0 {
		var err error
		if classes, err = answers.Predicted(); err != nil {
			return Score{}, err
		}
	}
	confidences, err := answers.OfClass(classes[:answers.Len()]...)
	if err != nil {
		return Score{}, err
	}
	var s Score
	if s.Accuracy, err = answers.Accuracy(); err != nil {
		return s, err
	}
	if s.Confidence, s.ConfidenceInterval, err = stats.MeanInterval(confidences, 0.05); err != nil {
		return s, err
	}
	return s, stopped
}
