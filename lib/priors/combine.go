package priors

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Combination is how the answers of networks become one.
type Combination int

// The combinations.
const (
	// MeanProbability has the mean of their probabilities.
	MeanProbability Combination = iota
	// MostConfident has for each image the probabilities of the network whose largest is the largest; of equals the
	// first's.
	MostConfident
)

func (c Combination) String() string {
	switch c {
	case MeanProbability:
		return "mean probability"
	case MostConfident:
		return "most confident"
	}
	return fmt.Sprintf("combination %d", int(c))
}

// Combine makes the answers of an ensemble of those of its networks, to the same images.
func Combine(how Combination, answers ...*model.Answers) (*model.Answers, error) {
	if err := alike(answers); err != nil {
		return nil, err
	}
	if how != MeanProbability && how != MostConfident {
		return nil, fmt.Errorf("priors: there is no %s", how)
	}
	n, k := answers[0].Len(), answers[0].NumClasses()
	out := make([]float32, n*k)
	sure := make([]float32, n)
	for _, a := range answers {
		flat, err := probabilitiesOf(a)
		if err != nil {
			return nil, err
		}
		for i := range n {
			row, to := flat[i*k:(i+1)*k], out[i*k:(i+1)*k]
			if how == MeanProbability {
				for c, p := range row {
					to[c] += p / float32(len(answers))
				}
				continue
			}
			most := float32(0)
			for _, p := range row {
				most = max(most, p)
			}
			if most > sure[i] {
				sure[i] = most
				copy(to, row)
			}
		}
	}
	return answered(how.String()+" of ", answers, func(name string) (*model.Answers, error) {
		return model.AnswersFromProbabilities(name, tensors.FromFlatDataAndDimensions(out, n, k), answers[0].Labels)
	})
}

// answered are the ensemble's answers with what the first network's know of the images and the classes.
func answered(how string, answers []*model.Answers, of func(name string) (*model.Answers, error)) (*model.Answers,
	error) {
	var names []string
	for _, a := range answers {
		names = append(names, a.Model)
	}
	combined, err := of(how + strings.Join(names, ", "))
	if err != nil {
		return nil, err
	}
	combined.Classes, combined.Names = answers[0].Classes, answers[0].Names
	return combined, nil
}

// probabilitiesOf are the probabilities of answers, which are all numbers.
func probabilitiesOf(a *model.Answers) ([]float32, error) {
	probabilities, err := a.Probabilities()
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return nil, fmt.Errorf("priors: %w", err)
	}
	for i, p := range flat {
		if p != p {
			return nil, fmt.Errorf("priors: a probability of image %d is no number in %s", i/a.NumClasses(), a.Model)
		}
	}
	return flat, nil
}

// Stacked is a linear classifier of what several networks say: Wolpert, Neural Networks 5 (1992).
type Stacked struct {
	Fit *learn.Fit

	networks, classes int
}

// Stack fits a stacked ensemble to the answers of networks to images that they have not learnt from, which all have
// labels: a logistic regression on the logarithms of their probabilities, of all networks side by side.
func Stack(l learn.LogisticRegression, answers ...*model.Answers) (*Stacked, error) {
	if err := alike(answers); err != nil {
		return nil, err
	}
	if answers[0].Labels == nil {
		return nil, fmt.Errorf("priors: a stacked ensemble is fitted to images with labels, and these have none")
	}
	features, err := sideBySide(answers)
	if err != nil {
		return nil, err
	}
	k := answers[0].NumClasses()
	fit, err := l.Fit(features, answers[0].Labels, k)
	if fit == nil {
		return nil, err
	}
	return &Stacked{fit, len(answers), k}, err
}

// Of are the stacked ensemble's answers, of those of the same networks in the same order to any images.
func (s *Stacked) Of(answers ...*model.Answers) (*model.Answers, error) {
	if s == nil || s.Fit == nil {
		return nil, fmt.Errorf("priors: there is no stacked ensemble: Stack fits it")
	}
	if err := alike(answers); err != nil {
		return nil, err
	}
	if len(answers) != s.networks || answers[0].NumClasses() != s.classes {
		return nil, fmt.Errorf("priors: an ensemble of %d networks and %d classes, and answers of %d with %d", s.networks,
			s.classes, len(answers), answers[0].NumClasses())
	}
	features, err := sideBySide(answers)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](features)
	if err != nil {
		return nil, fmt.Errorf("priors: %w", err)
	}
	n, d := answers[0].Len(), s.networks*s.classes
	logits := make([]float32, n*s.classes)
	for i := range n {
		for class := range s.classes {
			sum := s.Fit.Head.Bias[class]
			for at, w := range s.Fit.Head.Weights.RawRowView(class) {
				sum += w * float64(flat[i*d+at])
			}
			logits[i*s.classes+class] = float32(sum)
		}
	}
	return answered("stacked ensemble of ", answers, func(name string) (*model.Answers, error) {
		return model.AnswersFromLogits(name, tensors.FromFlatDataAndDimensions(logits, n, s.classes), answers[0].Labels)
	})
}

func (s *Stacked) String() string {
	if s == nil {
		return "no stacked ensemble"
	}
	return fmt.Sprintf("a stacked ensemble of %d networks, of %d classes", s.networks, s.classes)
}

// leastProbability is what probabilities are raised to before their logarithm is taken.
const leastProbability = 1e-12

// sideBySide are the logarithms of the probabilities of networks, [N, networks·K].
func sideBySide(answers []*model.Answers) (*tensors.Tensor, error) {
	n, k := answers[0].Len(), answers[0].NumClasses()
	wide := make([]float32, n*k*len(answers))
	var failed error
	for a, of := range answers {
		flat, err := probabilitiesOf(of)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for i := range n {
			for c := range k {
				wide[(i*len(answers)+a)*k+c] = float32(math.Log(max(float64(flat[i*k+c]), leastProbability)))
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return tensors.FromFlatDataAndDimensions(wide, n, k*len(answers)), nil
}
