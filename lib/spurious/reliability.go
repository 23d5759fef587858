package spurious

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/stats"
)

// Reliability is how well a feature alone tells the images of a class from all other images: as [Score], the area under
// the ROC curve (0.5 is chance) and the average precision (chance is the class's share of the images). A feature that
// other classes have too is unreliable, however high its importance.
//
// The first preprint of Moayeri et al. (arXiv 2212.02648v1) announces a measure of "feature reliability", by which
// spurious features are less reliable than core ones in general and more reliable for some classes; the published paper
// and the authors' code have none, so this definition is ours.
func Reliability(e Examples, class, feature int) (Score, error) {
	images, with, err := e.values(class, feature)
	if err != nil {
		return Score{}, err
	}
	if len(images) == len(e.Labels) {
		return Score{}, fmt.Errorf("spurious: all %d images are of class %d: reliability is about telling it from others",
			len(images), class)
	}
	var without []float64
	for i, l := range e.Labels {
		if l != class {
			without = append(without, e.Features.At(i, feature))
		}
	}
	var s Score
	if s.AUC, err = stats.AUROC(with, without); err != nil {
		return s, fmt.Errorf("spurious: feature %d: %w", feature, err)
	}
	s.AP, err = stats.AveragePrecision(with, without)
	return s, err
}

// MistakenFor counts what the k most spurious images of a ranking's class are taken for instead: how many for which
// class, most first. Where a class's gap is negative, its spurious feature is that of another class, a spurious feature
// collision, and this is the other class. Moayeri et al., section 5.
func (r *Ranking) MistakenFor(predicted []int, k int) ([]Mistake, error) {
	if _, _, err := r.ends(predicted, k); err != nil {
		return nil, err
	}
	counts := map[int]int{}
	for _, i := range r.High(k) {
		if predicted[i] != r.Class {
			counts[predicted[i]]++
		}
	}
	var all []Mistake
	for class, n := range counts {
		all = append(all, Mistake{class, n})
	}
	slices.SortFunc(all, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(b.Images, a.Images),
			cmp.Compare(a.Class, b.Class))
	})
	return all, nil
}

// Mistake is a class that images are taken for which are not of it.
type Mistake struct {
	Class  int `display:"class"`
	Images int `display:"images"`
}
