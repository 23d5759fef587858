package evaluate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/table"
)

// Mistakes are up to k images whose label is not predicted, those first of which the model is surest; of equal ones the
// first. Their number in all is in the title. It is an error where no image has a label, and where only predicted
// classes are known.
func (e *Evaluation) Mistakes(k int) (*Images, error) {
	if err := checkCount("mistakes", k); err != nil {
		return nil, err
	}
	l, err := e.needLabels("the mistakes")
	if err != nil {
		return nil, err
	}
	confidence, err := l.OfClass(l.predicted...)
	if err != nil {
		return nil, fmt.Errorf("evaluate: the most confident mistakes of %s: %w", e.Title, err)
	}
	ofLabel, err := l.OfClass(l.Labels...)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	var wrong []int // by place among the labelled
	for i, label := range l.Labels {
		if l.predicted[i] != label {
			wrong = append(wrong, i)
		}
	}
	all := len(wrong)
	slices.SortStableFunc(wrong, func(a, b int) int { return cmp.Compare(confidence[b], confidence[a]) })
	wrong = wrong[:min(k, all)]
	title := fmt.Sprintf("%s: the most confident of %s among %s", e.Title, plural.Of(all, "mistake"),
		plural.Of(l.Len(), "image"))
	p := e.pick(title, places(l.at, wrong))
	p.columns = []table.Column{
		{Name: "label", At: func(i int) any { return l.ClassName(l.Labels[wrong[i]]) }},
		{Name: "predicted", At: func(i int) any { return l.ClassName(l.predicted[wrong[i]]) }},
		{Name: "confidence", At: func(i int) any { return table.Percent(confidence[wrong[i]]) }},
		{Name: "probability of the label", At: func(i int) any { return table.Percent(ofLabel[wrong[i]]) }},
	}
	for _, i := range wrong {
		p.captions = append(p.captions, fmt.Sprintf("%s %.1f%%\nlabel %s %.1f%%", l.ClassName(l.predicted[i]),
			100*confidence[i], l.ClassName(l.Labels[i]), 100*ofLabel[i]))
	}
	return p, nil
}

func checkCount(what string, k int) error {
	if k < 1 {
		return fmt.Errorf("evaluate: %d %s: it takes one at least", k, what)
	}
	return nil
}

// places are the numbers in the dataset of images by their places among some.
func places(at, among []int) []int {
	index := make([]int, len(among))
	for k, i := range among {
		index[k] = at[i]
	}
	return index
}
