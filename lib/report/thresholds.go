package report

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
)

// measures are what thresholds can be set for: the larger, the better.
var measures = []struct{ name, what string }{
	{"accuracy", "share of the labelled images whose label is predicted"},
	{"top5_accuracy", "share of the labelled images whose label is among the five likeliest classes; of ten classes " +
		"or more"},
	{"balanced_accuracy", "mean over the classes of the share of their images that are recognised"},
	{"calibration", "1 less the expected calibration error in 15 bins"},
	{"confidence_auroc", "how well confidence tells right from wrong: 1 wholly, 0.5 by chance"},
	{"clean_labels", "share of the labels that do not look wrong"},
	{"clean_pictures", "share of the pictures with no issue of their own"},
	{"like_training", "how often an image of the training lies further from the others of the training than one of " +
		"these does: 0.5 where they are alike; with the images of the training only"},
	{"missing_agreement", "share of a sample that is taken for the same with half of it black"},
	{"corrupted_accuracy", "mean accuracy on a sample under corruptions of severity 3 of 5"},
	{"attacked_accuracy", "share of a sample that is recognised under a small attack"},
}

// MeasureNames are the measures that thresholds can be set for.
func MeasureNames() []string {
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.name
	}
	return names
}

// CheckMeasure returns an error, with all names, unless there is a measure of that name.
func CheckMeasure(name string) error {
	for _, m := range measures {
		if m.name == name {
			return nil
		}
	}
	var list strings.Builder
	for _, m := range measures {
		fmt.Fprintf(&list, "\n  %-20s %s", m.name, m.what)
	}
	return fmt.Errorf("report: there is no measure %q%s; there are:%s", name, nearest.DidYouMean(name, MeasureNames()),
		list.String())
}

// Below says in a sentence by how much a measure is below what it is to be at least, or that it could not be measured;
// "" where it is not below. The estimate is compared, not its interval.
func (r *Report) Below(name string, least float64) (string, error) {
	if err := CheckMeasure(name); err != nil {
		return "", err
	}
	for _, m := range r.Measures {
		switch {
		case m.Name != name:
		case m.Value >= least:
			return "", nil
		case m.Low == m.Low:
			return fmt.Sprintf("%s is %.4g (95%% interval %.4g to %.4g), below %g", name, m.Value, m.Low, m.High, least), nil
		default:
			return fmt.Sprintf("%s is %.4g, below %g", name, m.Value, least), nil
		}
	}
	return fmt.Sprintf("%s could not be measured, so it is not known to be at least %g", name, least), nil
}
