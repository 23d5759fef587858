package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/table"
)

// outOfSample is what label suspects rest on.
const outOfSample = "This takes a model that was not trained on these images: one that has learnt them agrees with " +
	"their labels, right or wrong. " +
	"For images that it was trained on, labels.CrossValidate makes probabilities of models that have not seen them."

// mostJointClasses is up to how many classes the joint distribution of given and true labels is counted, whose tables
// have the square of it.
const mostJointClasses = 4000

// LabelIssues are the images whose labels are likely wrong, the most likely first, by confident learning with
// cleanlab's defaults: see [labels.Find], whose numbers these are. The model must not have been trained on these
// images.
//
// Of more than 4,000 classes the joint distribution of labels has no room. The suspects are then all images that are
// taken for another class than their label, the lowest probability of the label first, and the note says so.
func (e *Evaluation) LabelIssues() (*Images, error) {
	l, err := e.needLabels("label issues")
	if err != nil {
		return nil, err
	}
	if _, err := l.Probabilities(); err != nil {
		return nil, fmt.Errorf("evaluate: label issues of %s: %w", e.Title, err)
	}
	var issues []labels.Issue
	note := outOfSample
	if l.NumClasses() <= mostJointClasses {
		found, err := labels.Find(l.Answers, labels.Options{})
		if err != nil {
			return nil, err
		}
		issues = found.List
	} else {
		if issues, err = l.unlikelyLabels(); err != nil {
			return nil, err
		}
		note = fmt.Sprintf("Of %d classes the joint distribution of given and true labels is not counted: these are all "+
			"images that are taken for another class than their label. %s", l.NumClasses(), outOfSample)
	}
	index := make([]int, len(issues))
	for i, issue := range issues {
		index[i] = l.at[issue.Index]
	}
	p := e.pick(fmt.Sprintf("%s: %d of %d labels look wrong", e.Title, len(issues), l.Len()), index)
	p.Note = note
	p.columns = []table.Column{
		{Name: "label", At: func(i int) any { return l.ClassName(issues[i].Given) }},
		{Name: "suggested", At: func(i int) any { return l.ClassName(issues[i].Suggested) }},
		{Name: "score", At: func(i int) any { return issues[i].Score }},
	}
	for _, issue := range issues {
		p.captions = append(p.captions, fmt.Sprintf("label %s\nrather %s?", l.ClassName(issue.Given),
			l.ClassName(issue.Suggested)))
	}
	return p, nil
}

// unlikelyLabels are the images that are taken for another class than their label.
func (l *labeled) unlikelyLabels() ([]labels.Issue, error) {
	self, err := l.OfClass(l.Labels...)
	if err != nil {
		return nil, errors.Join(errors.New("evaluate: label issues"), err)
	}
	var issues []labels.Issue
	for i, label := range l.Labels {
		if l.predicted[i] != label {
			issues = append(issues, labels.Issue{Index: i, Given: label, Suggested: l.predicted[i], Score: self[i]})
		}
	}
	slices.SortStableFunc(issues, func(a, b labels.Issue) int { return cmp.Compare(a.Score, b.Score) })
	return issues, nil
}
