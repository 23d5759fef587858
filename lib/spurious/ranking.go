package spurious

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Examples are labelled images as the last linear layer sees them.
type Examples struct {
	Features *mat.Dense // [N, D]
	Labels   []int      // [N]
	// Names are those of the images, such as their files' names, [N], and Classes those of the classes by label; nil if
	// they have none.
	Names, Classes []string
}

// ExamplesOf computes the features of a labelled dataset. Images whose label is unknown are an error.
func ExamplesOf(m *model.Model, ds model.Labeled) (Examples, error) {
	labels, err := m.KnownLabelsOf(ds)
	if err != nil {
		return Examples{}, fmt.Errorf("spurious: %w", err)
	}
	features, err := Features(m, ds)
	if err != nil {
		return Examples{}, err
	}
	e := Examples{Features: features, Labels: labels, Classes: m.Spec().Classes}
	if named, ok := ds.(interface{ Name(i int) string }); ok {
		for i := range labels {
			e.Names = append(e.Names, named.Name(i))
		}
	}
	return e, nil
}

// of returns the numbers of the images of a class.
func (e Examples) of(class int) []int {
	var out []int
	for i, l := range e.Labels {
		if l == class {
			out = append(out, i)
		}
	}
	return out
}

// Pick returns some of the examples, by their numbers, in that order.
func (e Examples) Pick(indices ...int) Examples {
	_, d := e.Features.Dims()
	out := Examples{Features: mat.NewDense(max(len(indices), 1), d, nil), Labels: make([]int, len(indices)),
		Classes: e.Classes}
	for i, at := range indices {
		out.Features.SetRow(i, e.Features.RawRowView(at))
		out.Labels[i] = e.Labels[at]
		if e.Names != nil {
			out.Names = append(out.Names, e.Names[at])
		}
	}
	return out
}

// Predict returns the class with the highest logit for each row of features; of equal ones the first.
func Predict(head *model.Head, features *mat.Dense) []int {
	n, _ := features.Dims()
	var logits mat.Dense
	logits.Mul(features, head.Weights.T())
	out := make([]int, n)
	for i := range out {
		row := logits.RawRowView(i)
		for k, v := range row {
			if v+head.Bias[k] > row[out[i]]+head.Bias[out[i]] {
				out[i] = k
			}
		}
	}
	return out
}

func checkPredicted(predicted []int, n int) error {
	if len(predicted) != n || n == 0 {
		return fmt.Errorf("spurious: %d predictions for %d examples: give the predicted class of each, in their order",
			len(predicted), n)
	}
	return nil
}

// Importance is what each feature adds to a class's logit on the average: the mean over the images of the class that
// are recognised, times the feature's weight, [D]. Moayeri et al., section 3 (Singla and Feizi, "Salient ImageNet").
func Importance(head *model.Head, e Examples, class int) ([]float64, error) {
	if err := check(e.Features, head, class); err != nil {
		return nil, err
	}
	predicted := Predict(head, e.Features)
	w := head.Weights.RawRowView(class)
	out := make([]float64, len(w))
	n := 0
	for _, i := range e.of(class) {
		if predicted[i] == class {
			n++
			for j, v := range e.Features.RawRowView(i) {
				out[j] += v
			}
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("spurious: no image of class %d is recognised: importance is a mean over those that are",
			class)
	}
	for j := range out {
		out[j] *= w[j] / float64(n)
	}
	return out, nil
}

// MostImportant returns the k features with the largest importance, largest first.
func MostImportant(importance []float64, k int) []int { return top(importance, k) }

// FeatureBias is how much a model's recognition of a class depends on a feature: its accuracy on the k images of the
// class that have most of the feature less that on the k that have least, in percentage points. predicted are the
// classes that the model predicts for the examples, one for each; it need not be the model whose features they are. The
// authors take k = 100, and 25 for pictures. It is an error unless the class has k images.
func FeatureBias(predicted []int, e Examples, class, feature, k int) (float64, error) {
	if err := checkPredicted(predicted, len(e.Labels)); err != nil {
		return 0, err
	}
	images, values, err := e.values(class, feature)
	if err != nil {
		return 0, err
	}
	if k < 1 || k > len(images) {
		return 0, fmt.Errorf(
			"spurious: the %d images with most and least of a feature, of %d images of class %d: choose from 1 to %d", k,
			len(images), class, len(images))
	}
	order := top(values, len(values))
	var gap float64
	for i := range k {
		if predicted[images[order[i]]] == class {
			gap++
		}
		if predicted[images[order[len(order)-1-i]]] == class {
			gap--
		}
	}
	return 100 * gap / float64(k), nil
}

// MostBiased returns the k of some features on which a model's recognition of a class depends most, the most first:
// those of the largest [FeatureBias] between ends images. It stands in for the people who say in the paper which of the
// important features are spurious. Give it images that are neither for training nor for the test.
func MostBiased(predicted []int, e Examples, class int, features []int, ends, k int) ([]int, error) {
	if k < 1 || k > len(features) {
		return nil, fmt.Errorf("spurious: the %d most biased of %d features", k, len(features))
	}
	biases := make([]float64, len(features))
	for i, j := range features {
		var err error
		if biases[i], err = FeatureBias(predicted, e, class, j, ends); err != nil {
			return nil, err
		}
	}
	var most []int
	for _, i := range top(biases, k) {
		most = append(most, features[i])
	}
	return most, nil
}

// values returns the images of a class and how much each has of a feature.
func (e Examples) values(class, feature int) (images []int, values []float64, err error) {
	images = e.of(class)
	if len(images) == 0 {
		return nil, nil, fmt.Errorf("spurious: there is no image of class %d", class)
	}
	if n, d := e.Features.Dims(); feature < 0 || feature >= d {
		return nil, nil, fmt.Errorf("spurious: feature %d does not exist: they are 0 to %d", feature, d-1)
	} else if n != len(e.Labels) {
		return nil, nil, fmt.Errorf("spurious: features of %d images and labels of %d", n, len(e.Labels))
	}
	values = make([]float64, len(images))
	for i, at := range images {
		if values[i] = e.Features.At(at, feature); values[i]-values[i] != 0 { // no finite number
			return nil, nil, fmt.Errorf("spurious: feature %d of image %d is %v", feature, at, values[i])
		}
	}
	return images, values, nil
}

// Ranking sorts the images of a class by how much they have of its spurious features.
type Ranking struct {
	Class    int
	Features []int     // the spurious ones
	Images   []int     // numbers in the examples, the least spurious first
	Scores   []float64 // their spuriosity

	name  string   // of the class
	files []string // of the examples; nil where they are unknown
}

// Rank ranks the images of a class by spuriosity: the mean over the class's spurious features of how many standard
// deviations of the class the image's feature is above the class's mean. Moayeri et al., section 4.
func Rank(e Examples, class int, spurious []int) (*Ranking, error) {
	if len(spurious) == 0 {
		return nil, fmt.Errorf("spurious: a ranking needs at least one spurious feature of class %d", class)
	}
	images := e.of(class)
	scores := make([]float64, len(images))
	for _, j := range spurious {
		_, values, err := e.values(class, j)
		if err != nil {
			return nil, err
		}
		mean, std := stat.PopMeanStdDev(values, nil)
		if std == 0 {
			return nil, fmt.Errorf("spurious: feature %d is the same in all images of class %d: it ranks none", j, class)
		}
		for i, v := range values {
			scores[i] += (v - mean) / std / float64(len(spurious))
		}
	}
	r := &Ranking{Class: class, Features: append([]int(nil), spurious...), files: e.Names}
	if class < len(e.Classes) {
		r.name = e.Classes[class]
	}
	order := top(scores, len(scores))
	for i := len(order) - 1; i >= 0; i-- {
		r.Images = append(r.Images, images[order[i]])
		r.Scores = append(r.Scores, scores[order[i]])
	}
	return r, nil
}

// Low returns the k least spurious images.
func (r *Ranking) Low(k int) []int { return slices.Clip(r.Images[:min(k, len(r.Images))]) }

// High returns the k most spurious images, the most spurious last.
func (r *Ranking) High(k int) []int { return slices.Clip(r.Images[max(0, len(r.Images)-k):]) }

// AUC says how well the ranking tells images that have something, such as a mark that was planted, from those that have
// not: the probability that one with it is the more spurious of two, with ties as one half. 0.5 is chance. It is an
// error where all images of the class have it, or none.
func (r *Ranking) AUC(has map[int]bool) (float64, error) {
	var with, without []float64
	for i, at := range r.Images {
		if has[at] {
			with = append(with, r.Scores[i])
		} else {
			without = append(without, r.Scores[i])
		}
	}
	return stats.AUROC(with, without)
}

// SpuriousGap is a model's accuracy on the k most spurious images of each ranking's class less that on the k least
// spurious ones, in percentage points: what the model loses without the spurious features. predicted are the classes
// that it predicts for the examples that were ranked, one for each. The authors' code takes k = 100, their study of 89
// models 10. Moayeri et al., section 4.2.
func SpuriousGap(predicted []int, rankings []*Ranking, k int) (float64, error) {
	if len(rankings) == 0 {
		return 0, fmt.Errorf("spurious: a gap needs at least one ranking")
	}
	var gap float64
	for _, r := range rankings {
		high, low, err := r.ends(predicted, k)
		if err != nil {
			return 0, err
		}
		gap += 100 * (high.Share() - low.Share()) / float64(len(rankings))
	}
	return gap, nil
}

// ends is the accuracy on the k most and the k least spurious images.
func (r *Ranking) ends(predicted []int, k int) (high, low stats.Accuracy, err error) {
	if k < 1 || 2*k > len(r.Images) {
		return high, low, fmt.Errorf("spurious: class %d has %d images: the %d least and the %d most spurious ones are to "+
			"be 1 or more and no image twice", r.Class, len(r.Images), k, k)
	}
	if last := slices.Max(r.Images); last >= len(predicted) {
		return high, low,
			fmt.Errorf("spurious: %d predictions, and image %d is ranked: give the predicted class of each of the examples, "+
				"in their order", len(predicted), last)
	}
	right := func(images []int) stats.Accuracy {
		a := stats.Accuracy{Total: k}
		for _, i := range images {
			if predicted[i] == r.Class {
				a.Correct++
			}
		}
		return a
	}
	return right(r.High(k)), right(r.Low(k)), nil
}
