package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// labelDraws is how often labels are drawn to see how many look wrong where none is.
const labelDraws = 20

// mistaken is the weight of labels that look wrong to a network that is surer than it is right.
const mistaken = 0.25

// labelIssues is how many labels look wrong, beside how many would if each had been drawn from what the network says.
func labelIssues(r *run) error {
	if err := r.needLabels(); err != nil {
		return err
	}
	known, err := r.e.Answers.Labeled()
	if err != nil {
		return err
	}
	if len(r.left) > 0 {
		return errors.New("the network does not say a number of each image")
	}
	if known.NumClasses() > 4000 {
		return fmt.Errorf("the joint distribution of %s classes and as many labels has no room",
			plural.Thousands(known.NumClasses()))
	}
	const least = 20
	if known.Len() < least {
		return fmt.Errorf("it takes %d images with a label, and there are %d", least, known.Len())
	}
	issues, err := r.e.LabelIssues()
	if err != nil {
		return err
	}
	p, err := uncertainty.FromAnswers(known)
	if err != nil {
		return err
	}
	probabilities, err := known.Probabilities()
	if err != nil {
		return err
	}
	drawn := make([]int, 0, labelDraws)
	for i := range labelDraws {
		resampled, err := model.AnswersFromProbabilities(known.Model, probabilities, p.Resampled(r.seed+uint64(i)).Labels())
		if err != nil {
			return err
		}
		found, err := labels.Find(resampled, labels.Options{})
		if err != nil {
			return err
		}
		drawn = append(drawn, len(found.List))
	}
	slices.Sort(drawn)
	n, k := known.Len(), issues.Len()
	part, iv := share(k, n)
	r.measure("clean_labels", 1-part, 1-iv.High, 1-iv.Low)
	most := drawn[len(drawn)-1]
	usual := stats.Accuracy{Correct: most, Total: n}
	f := Finding{
		Value: part, Low: iv.Low, High: iv.High, Unit: "share", Cell: r.evaluation() + ".LabelIssues()",
		Sure: fmt.Sprintf("By confident learning. Of %d drawings of labels from the network's own probabilities, where "+
			"every label is right by its lights, %d to %d look wrong. "+
			"It takes a network that was not trained on these images; whether a label is wrong, only a look at the picture "+
			"says.", labelDraws, drawn[0], most),
	}
	if k > 0 {
		shown, err := r.ofImages("The labels most likely wrong", issues)
		if err != nil {
			return err
		}
		f.Evidence = append(f.Evidence, shown)
	}
	switch {
	case iv.Low <= usual.Share():
		f.Sentence = fmt.Sprintf("Labels: that more look wrong than would by chance is not shown: %d of %s (%s), and up "+
			"to %d where all are right.", k, plural.Thousands(n), percent(part), most)
		r.nothing(f)
		return nil
	default:
		f.Sentence = fmt.Sprintf("Labels: %s of %s look wrong, %s (%s); where all are right it would be up to %d.",
			plural.Thousands(k), plural.Thousands(n), percent(part), between(iv), most)
		f.Weight = iv.Low - usual.Share()
		if r.tooSure {
			f.Sentence = strings.TrimSuffix(f.Sentence, ".") + ". But the network is surer than it is right, so many of them " +
				"may be its own mistakes."
			f.Weight *= mistaken
		}
		r.found(f)
	}
	return nil
}
