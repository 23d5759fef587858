// Package uncertainty asks whether a model knows when it is wrong: how far its confidence agrees with how often it is
// right, on the data it knows and on data that has shifted.
//
// The measures are those of Ovadia et al., "Can You Trust Your Model's Uncertainty? Evaluating Predictive Uncertainty
// Under Dataset Shift", NeurIPS 2019, section 3, and of Hendrycks et al., "Natural Adversarial Examples", CVPR 2021.
package uncertainty

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Predictions are what a model says of images whose labels are known: a probability for each class.
type Predictions struct {
	n, classes    int
	probabilities []float32 // [N, K]
	labels        []int
	// of each image: the class of the highest probability (the first of equal ones), that probability, and the
	// logarithm of the label's.
	predicted  []int32
	confidence []float64
	logLabel   []float64
	// what the table names: the images' numbers and files, and the classes; nil where they are unknown.
	index          []int
	files, classOf []string
}

// sumTolerance is how far the probabilities of an image may be from summing to 1: half precision loses as much in a
// thousand classes.
const sumTolerance = 0.01

// FromProbabilities takes probabilities [N, K], float32, and the N labels. It is an error if a probability lies outside
// 0..1, an image's do not sum to 1, a label is no class, or there are no images.
func FromProbabilities(probabilities *tensors.Tensor, labels []int) (*Predictions, error) {
	k, err := classesOf("probabilities", probabilities, labels)
	if err != nil {
		return nil, err
	}
	p := newPredictions(k, labels)
	if p.probabilities, err = tensors.CopyFlatData[float32](probabilities); err != nil {
		return nil, fmt.Errorf("uncertainty: %w", err)
	}
	for i, label := range labels {
		row := p.row(i)
		if err := checkRow(i, row); err != nil {
			return nil, err
		}
		p.logLabel[i] = math.Log(float64(row[label]))
		p.confidence[i] = float64(slices.Max(row))
		p.predicted[i] = int32(slices.Index(row, float32(p.confidence[i])))
	}
	return p, nil
}

// checkRow returns an error unless an image's probabilities are such.
func checkRow(i int, row []float32) error {
	sum := 0.0
	for c, v := range row {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("uncertainty: the probability of class %d for image %d is %v, it lies between 0 and 1: "+
				"FromLogits takes scores before softmax", c, i, v)
		}
		sum += float64(v)
	}
	if math.Abs(sum-1) > sumTolerance {
		return fmt.Errorf(
			"uncertainty: the probabilities of image %d sum to %.3f, not 1: FromLogits takes scores before softmax", i, sum)
	}
	return nil
}

// FromLogits takes scores before softmax, [N, K] float32, and the N labels. Unlike probabilities, which may be rounded
// to 0, they always give a finite [Predictions.NegativeLogLikelihood].
func FromLogits(logits *tensors.Tensor, labels []int) (*Predictions, error) {
	k, err := classesOf("logits", logits, labels)
	if err != nil {
		return nil, err
	}
	p := newPredictions(k, labels)
	p.probabilities = make([]float32, p.n*k)
	var bad error
	if err := tensors.ConstFlatData(logits, func(flat []float32) {
		var infinite atomic.Bool
		parallel.Parts(p.n, partRows, func(_, lo, hi int) {
			if !p.softmax(flat, lo, hi) {
				infinite.Store(true)
			}
		})
		if infinite.Load() {
			bad = finite(flat, k)
		}
	}); err != nil {
		return nil, fmt.Errorf("uncertainty: %w", err)
	}
	if bad != nil {
		return nil, bad
	}
	return p, nil
}

// softmax fills in what is known of the images lo to hi (excluded), at most partRows, from their logits, unless one of
// these is no finite number.
func (p *Predictions) softmax(logits []float32, lo, hi int) bool {
	k, n := p.classes, hi-lo
	var tops, sums [partRows]float64
	explog.Softmax(p.probabilities[lo*k:hi*k], logits[lo*k:hi*k], k, tops[:n], sums[:n])
	for j, sum := range sums[:n] {
		if sum == 0 {
			return false
		}
		i := lo + j
		p.logLabel[i] = float64(logits[i*k+p.labels[i]]) - tops[j] - explog.Log(sum)
	}
	for j, sum := range sums[:n] {
		highest := float32(1 / sum)
		p.confidence[lo+j], p.predicted[lo+j] = float64(highest), int32(slices.Index(p.row(lo+j), highest))
	}
	return true
}

// Of asks a model about a labelled dataset: [FromAnswers] of its answers.
//
// Interrupted, it returns what the model says of the images that are done, if any are, beside the error.
func Of(m *model.Model, ds model.Labeled) (*Predictions, error) {
	answers, stopped := m.Answers(ds)
	if answers == nil {
		return nil, stopped
	}
	p, err := FromAnswers(answers)
	if err != nil {
		return nil, err
	}
	return p, stopped
}

// FromAnswers takes what a model has answered. Images without a label do not count; it is an error if none has one, and
// where classes do not exclude each other.
func FromAnswers(a *model.Answers) (*Predictions, error) {
	if a == nil {
		return nil, fmt.Errorf("uncertainty: there are no answers: they are nil")
	}
	var index []int
	for i, label := range a.Labels {
		if label >= 0 {
			index = append(index, i)
		}
	}
	a, err := a.Labeled()
	if err != nil {
		return nil, fmt.Errorf("uncertainty: %w", err)
	}
	p, err := fromLabeled(a)
	if err != nil {
		return nil, err
	}
	p.index, p.files, p.classOf = index, a.Names, a.Classes
	return p, nil
}

func fromLabeled(a *model.Answers) (*Predictions, error) {
	if _, err := a.Logits(); err != nil {
		p, err := a.Probabilities()
		if err != nil {
			return nil, fmt.Errorf("uncertainty: %w", err)
		}
		return FromProbabilities(p, a.Labels)
	}
	logits, err := a.SoftmaxLogits("uncertainty: a measure of calibration")
	if err != nil {
		return nil, err
	}
	return FromLogits(logits, a.Labels)
}

// classesOf returns how many classes a tensor [N, K] has, a row for each label.
func classesOf(what string, t *tensors.Tensor, labels []int) (int, error) {
	if t == nil || t.Rank() != 2 || t.DType() != dtypes.Float32 {
		return 0, fmt.Errorf("uncertainty: %s are a tensor [N, K] float32", what)
	}
	n, k := t.Shape().Dimensions[0], t.Shape().Dimensions[1]
	switch {
	case n != len(labels):
		return 0, fmt.Errorf("uncertainty: %s of %d images and %d labels", what, n, len(labels))
	case n == 0 || k < 2:
		return 0, fmt.Errorf("uncertainty: %s of %d images and %d classes: there have to be one image and two classes",
			what, n, k)
	}
	for i, label := range labels {
		if label < 0 || label >= k {
			return 0, fmt.Errorf("uncertainty: image %d has the label %d: the classes are 0 to %d", i, label, k-1)
		}
	}
	return k, nil
}

// finite returns an error that names the first of N rows of k logits that has one which is no finite number.
func finite(logits []float32, k int) error {
	for i, v := range logits {
		if v-v != 0 {
			return fmt.Errorf("uncertainty: image %d: the logit of class %d is %v", i/k, i%k, v)
		}
	}
	return nil
}

// partRows is how many rows are looked at in one go.
const partRows = 256

func (p *Predictions) row(i int) []float32 { return p.probabilities[i*p.classes : (i+1)*p.classes] }

// newPredictions has room for what is known of each image.
func newPredictions(classes int, labels []int) *Predictions {
	n := len(labels)
	return &Predictions{n: n, classes: classes, labels: labels, predicted: make([]int32, n),
		confidence: make([]float64, n), logLabel: make([]float64, n)}
}

// Len is the number of images.
func (p *Predictions) Len() int { return p.n }

// Predicted is the class with the highest probability for each image, the first of equal ones.
func (p *Predictions) Predicted() []int {
	predicted := make([]int, p.n)
	for i, c := range p.predicted {
		predicted[i] = int(c)
	}
	return predicted
}

// Confidence is the probability of the predicted class for each image.
func (p *Predictions) Confidence() []float64 { return append([]float64(nil), p.confidence...) }

// LabelProbability is the probability of each image's label.
func (p *Predictions) LabelProbability() []float64 {
	out := make([]float64, p.n)
	for i, log := range p.logLabel {
		out[i] = math.Exp(log)
	}
	return out
}

// Labels are the images' labels.
func (p *Predictions) Labels() []int { return append([]int(nil), p.labels...) }

// Correct says for each image whether the predicted class is its label.
func (p *Predictions) Correct() []bool {
	correct := make([]bool, p.n)
	for i := range correct {
		correct[i] = p.right(i) == 1
	}
	return correct
}

// right is 1 where the prediction is the label, else 0.
func (p *Predictions) right(i int) float64 {
	if int(p.predicted[i]) == p.labels[i] {
		return 1
	}
	return 0
}

// Accuracy is the share of images whose label is predicted, with its interval.
func (p *Predictions) Accuracy() stats.Accuracy {
	a := stats.Accuracy{Total: p.n}
	for i := range p.n {
		a.Correct += int(p.right(i))
	}
	return a
}

// Resampled are the same probabilities with labels drawn from them: what a calibrated model of this confidence would
// show. Its calibration error is what so few images and such bins make by themselves, the value to compare with. The
// same seed draws the same labels. Consistency resampling: Bröcker and Smith, "Increasing the Reliability of
// Reliability Diagrams", Weather and Forecasting 22 (2007).
func (p *Predictions) Resampled(seed uint64) *Predictions {
	rng := rand.New(rand.NewPCG(seed, 0))
	drawn := *p
	drawn.labels, drawn.logLabel = make([]int, p.n), make([]float64, p.n)
	for i := range p.n {
		row := p.row(i)
		sum := 0.0
		for _, v := range row {
			sum += float64(v)
		}
		// Rounding may leave some of it over, which falls to the likeliest class.
		label, left := int(p.predicted[i]), rng.Float64()*sum
		for c, v := range row {
			if left -= float64(v); left < 0 {
				label = c
				break
			}
		}
		drawn.labels[i], drawn.logLabel[i] = label, math.Log(float64(row[label]))
	}
	return &drawn
}
