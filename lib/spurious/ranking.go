package spurious

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/model"
)

// Examples are labelled images as the last linear layer sees them.
type Examples struct {
	Features *mat.Dense // [N, D]
	Labels   []int      // [N]
}

// ExamplesOf computes the features of a labelled dataset. Images whose label is unknown are an error.
func ExamplesOf(m *model.Model, ds model.Labeled) (Examples, error) {
	features, err := Features(m, ds)
	if err != nil {
		return Examples{}, err
	}
	e := Examples{features, ds.Labels()}
	for i, l := range e.Labels {
		if l < 0 || l >= m.NumClasses() {
			return e, fmt.Errorf("spurious: image %d has the label %d, and the classes of %s are 0 to %d", i, l, m.Name(), m.NumClasses()-1)
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

// pick returns some of the examples.
func (e Examples) pick(indices []int) Examples {
	_, d := e.Features.Dims()
	out := Examples{mat.NewDense(max(len(indices), 1), d, nil), make([]int, len(indices))}
	for i, at := range indices {
		out.Features.SetRow(i, e.Features.RawRowView(at))
		out.Labels[i] = e.Labels[at]
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

// Accuracy is the share of examples that the head gets right, in 0..1.
func Accuracy(head *model.Head, e Examples) float64 {
	right := 0
	for i, k := range Predict(head, e.Features) {
		if k == e.Labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(e.Labels))
}

// Importance is what each feature adds to a class's logit on the average: the mean over the images of the class that are recognised,
// times the feature's weight, [D]. Moayeri et al., section 3 (Singla and Feizi, "Salient ImageNet").
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
		return nil, fmt.Errorf("spurious: no image of class %d is recognised: importance is a mean over those that are", class)
	}
	for j := range out {
		out[j] *= w[j] / float64(n)
	}
	return out, nil
}

// MostImportant returns the k features with the largest importance, largest first.
func MostImportant(importance []float64, k int) []int { return top(importance, k) }

// FeatureBias is how much the recognition of a class depends on a feature: the accuracy on the k images of the class that have most of it
// less that on the k that have least, in percentage points. The authors take k = 100, and 25 for pictures. It is an error unless the class
// has k images.
func FeatureBias(head *model.Head, e Examples, class, feature, k int) (float64, error) {
	if err := check(e.Features, head, class); err != nil {
		return 0, err
	}
	if _, d := e.Features.Dims(); feature < 0 || feature >= d {
		return 0, fmt.Errorf("spurious: feature %d does not exist: they are 0 to %d", feature, d-1)
	}
	images := e.of(class)
	if k < 1 || k > len(images) {
		return 0, fmt.Errorf("spurious: the %d images with most and least of a feature, of %d images of class %d: choose from 1 to %d", k, len(images), class, len(images))
	}
	values := make([]float64, len(images))
	for i, at := range images {
		values[i] = e.Features.At(at, feature)
	}
	order := top(values, len(values))
	predicted := Predict(head, e.pick(images).Features)
	var gap float64
	for i := range k {
		if predicted[order[i]] == class {
			gap++
		}
		if predicted[order[len(order)-1-i]] == class {
			gap--
		}
	}
	return 100 * gap / float64(k), nil
}

// Ranking sorts the images of a class by how much they have of its spurious features.
type Ranking struct {
	Class  int
	Images []int     // numbers in the examples, the least spurious first
	Scores []float64 // their spuriosity
}

// Rank ranks the images of a class by spuriosity: the mean over the class's spurious features of how many standard deviations of the
// class the image's feature is above the class's mean. Moayeri et al., section 4.
func Rank(e Examples, class int, spurious []int) (*Ranking, error) {
	images := e.of(class)
	if len(images) == 0 {
		return nil, fmt.Errorf("spurious: there is no image of class %d", class)
	}
	if len(spurious) == 0 {
		return nil, fmt.Errorf("spurious: a ranking needs at least one spurious feature of class %d", class)
	}
	_, d := e.Features.Dims()
	scores := make([]float64, len(images))
	for _, j := range spurious {
		if j < 0 || j >= d {
			return nil, fmt.Errorf("spurious: feature %d does not exist: they are 0 to %d", j, d-1)
		}
		values := make([]float64, len(images))
		for i, at := range images {
			values[i] = e.Features.At(at, j)
		}
		mean, std := stat.PopMeanStdDev(values, nil)
		if std == 0 || math.IsNaN(std) {
			return nil, fmt.Errorf("spurious: feature %d is the same in all images of class %d: it ranks none", j, class)
		}
		for i, v := range values {
			scores[i] += (v - mean) / std / float64(len(spurious))
		}
	}
	r := &Ranking{Class: class}
	order := top(scores, len(scores))
	for i := len(order) - 1; i >= 0; i-- {
		r.Images = append(r.Images, images[order[i]])
		r.Scores = append(r.Scores, scores[order[i]])
	}
	return r, nil
}

// Low returns the k least spurious images.
func (r *Ranking) Low(k int) []int { return r.Images[:min(k, len(r.Images))] }

// High returns the k most spurious images, the most spurious last.
func (r *Ranking) High(k int) []int { return r.Images[max(0, len(r.Images)-k):] }

// SpuriousGap is the accuracy on the k most spurious images of each ranking's class less that on the k least spurious ones, in percentage
// points: what a model loses with the spurious features. The authors take k = 100. Moayeri et al., section 5.
func SpuriousGap(head *model.Head, e Examples, rankings []*Ranking, k int) (float64, error) {
	if len(rankings) == 0 || k < 1 {
		return 0, fmt.Errorf("spurious: a gap needs rankings and at least one image at each end, not %d and %d", len(rankings), k)
	}
	var low, high []int
	for _, r := range rankings {
		if 2*k > len(r.Images) {
			return 0, fmt.Errorf("spurious: class %d has %d images, too few for the %d least and the %d most spurious ones", r.Class, len(r.Images), k, k)
		}
		low, high = append(low, r.Low(k)...), append(high, r.High(k)...)
	}
	return 100 * (Accuracy(head, e.pick(high)) - Accuracy(head, e.pick(low))), nil
}
