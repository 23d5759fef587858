package evaluate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/table"
)

// Unlike are the k images that look least like what the model was trained on, the least first; of equal ones the first.
// by is a score of package ood, at most one; without one it is the max logit (Hendrycks et al., ICML 2022), which needs
// no images that the model was trained on, and of a network with one output the highest probability. Labels are not
// needed. It is an error where classes do not exclude each other, and where only predicted classes are known.
func (e *Evaluation) Unlike(k int, by ...ood.Score) (*Images, error) {
	if err := checkCount("images", k); err != nil {
		return nil, err
	}
	if err := e.there(); err != nil {
		return nil, err
	}
	var score ood.Score = ood.MaxLogit{}
	switch {
	case len(by) > 1:
		return nil, fmt.Errorf("evaluate: %d scores: images are put in order by one", len(by))
	case len(by) == 1:
		score = by[0]
	case e.known.Activation == model.Sigmoid:
		score = ood.MaxSoftmax{}
	}
	scores, err := ood.OfAnswers(score, e.known)
	if err != nil {
		return nil, fmt.Errorf("evaluate: images unlike those that %s was trained on: %w", e.known.Model, err)
	}
	predicted, err := e.known.Predicted()
	if err != nil {
		return nil, err
	}
	order := make([]int, len(scores)) // by place among the known
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	order = order[:min(k, len(order))]
	p := e.pick(fmt.Sprintf("%s: most unlike what it was trained on, by %s", e.Title, score.Name()), places(e.at, order))
	p.Note = "These are the images of the highest score, whether any is unlike or none: ood.Detect says how well a score tells known images from unknown ones."
	label := func(i int) string {
		if e.known.Labels == nil || e.known.Labels[order[i]] < 0 {
			return ""
		}
		return e.known.ClassName(e.known.Labels[order[i]])
	}
	if e.known.Labels != nil {
		p.columns = append(p.columns, table.Column{Name: "label", At: func(i int) any { return label(i) }})
	}
	p.columns = append(p.columns,
		table.Column{Name: "predicted", At: func(i int) any { return e.known.ClassName(predicted[order[i]]) }},
		table.Column{Name: score.Name(), At: func(i int) any { return scores[order[i]] }})
	for i := range order {
		caption := fmt.Sprintf("%s\n%s %.3g", e.known.ClassName(predicted[order[i]]), score.Name(), scores[order[i]])
		if label(i) != "" {
			caption += "\nlabel " + label(i)
		}
		p.captions = append(p.captions, caption)
	}
	return p, nil
}
