package priors

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/loupeml/loupe/lib/model"
)

// PseudoLabel is a label that a network has given an image: a pseudo-label.
type PseudoLabel struct {
	Image      int     `display:"image"` // its number among the unlabelled ones
	Class      int     `display:"class"`
	Confidence float64 `display:"confidence"` // the class's probability
}

// Share is the share of the unlabelled images that an era takes, counted from 0: fraction·(era+1), at most 1.
func Share(fraction float64, era int) float64 { return min(fraction*float64(era+1), 1) }

// PerClass is how many images of each predicted class a share of n images is for so many classes: share·n/classes,
// rounded, a half to the even number.
func PerClass(share float64, n, classes int) int {
	return int(math.RoundToEven(share * float64(n) / float64(classes)))
}

// Surest are the guesses of a network that it is surest of: of each class that it predicts as many as perClass, or all
// that there are. They come class by class, the surest first; of equal ones the first image.
func Surest(answers *model.Answers, perClass int) ([]PseudoLabel, error) {
	if answers == nil {
		return nil, fmt.Errorf("priors: there are no answers to choose from: they are nil")
	}
	if perClass < 0 {
		return nil, fmt.Errorf("priors: %d guesses for each class", perClass)
	}
	predicted, err := answers.Predicted()
	if err != nil {
		return nil, err
	}
	confidence, err := answers.Confidence()
	if err != nil {
		return nil, err
	}
	of := make([][]PseudoLabel, answers.NumClasses())
	for i, class := range predicted {
		if math.IsNaN(confidence[i]) {
			return nil, fmt.Errorf("priors: the confidence of %s in image %d is no number", answers.Model, i)
		}
		of[class] = append(of[class], PseudoLabel{i, class, confidence[i]})
	}
	var all []PseudoLabel
	for _, guesses := range of {
		slices.SortStableFunc(guesses, surer)
		all = append(all, guesses[:min(perClass, len(guesses))]...)
	}
	return all, nil
}

func surer(a, b PseudoLabel) int { return cmp.Compare(b.Confidence, a.Confidence) }

// Merge brings the guesses of several networks together, as [Surest] gives them: class by class the networks take
// turns, each with the image that it is surest of next, until a class has as many different images as the first network
// has guesses, divided by the classes and rounded down. An image comes once for each network that has it in its turn,
// with the label that this one gives: two networks that agree count it twice, and two that do not leave it with both
// labels. They lie where the image came first.
func Merge(classes int, sets ...[]PseudoLabel) []PseudoLabel {
	if len(sets) == 0 || classes < 1 {
		return nil
	}
	most := len(sets[0]) / classes
	place := map[int]int{} // of an image in merged
	var merged [][]PseudoLabel
	for class := range classes {
		turns := make([][]PseudoLabel, len(sets))
		for s, set := range sets {
			for _, g := range set {
				if g.Class == class {
					turns[s] = append(turns[s], g)
				}
			}
			slices.SortStableFunc(turns[s], surer)
		}
		images := map[int]bool{}
		for turn := 0; turn < most && len(images) < most; turn++ {
			for _, guesses := range turns {
				if turn >= len(guesses) {
					continue
				}
				g := guesses[turn]
				at, known := place[g.Image]
				if !known {
					at = len(merged)
					place[g.Image], merged = at, append(merged, nil)
				}
				merged[at] = append(merged[at], g)
				if images[g.Image] = true; len(images) == most {
					break
				}
			}
		}
	}
	return slices.Concat(merged...)
}
