package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Answers are what a model says of the images of a dataset. They are computed once, by [Model.Answers], and then
// asked: packages labels, uncertainty, ood, shift, spurious and transfer take them. They are saved as .safetensors
// or .npz, which [ReadAnswers] reads.
//
// What somebody else has computed becomes answers by [AnswersFromLogits], [AnswersFromProbabilities] and
// [AnswersFromClasses], which know less.
type Answers struct {
	// Model is the name of the model.
	Model string
	// Classes are the names of the classes in the order of the logits; nil if they have none.
	Classes []string
	// Activation is how the logits become probabilities.
	Activation Activation
	// Labels are the images' labels in the model's numbering, [N], -1 where an image has none; nil where none has.
	Labels []int
	// Names are those of the images, such as their files' names, [N]; nil if they have none.
	Names []string

	n, k          int
	logits        *tensors.Tensor // [N, K] float32, of one output [N, 1]; nil if they are not known
	probabilities *tensors.Tensor // [N, K] float32; nil until they are asked for, or if they are not known
	ranked        [][]int         // [N][≥1], likeliest first, of answers that are no more than classes
}

// Answers asks the model about a dataset, a batch at a time. Labels meet the model's classes as [Model.LabelsOf]
// says; the images are to have the model's size: see [Model.Prepare].
//
// Interrupted, it returns the answers to the images that are done, if any are, beside the error.
func (m *Model) Answers(ds Dataset) (*Answers, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if err := CheckDataset(ds); err != nil {
		return nil, err
	}
	var labels []int
	if labeled, ok := ds.(Labeled); ok {
		var err error
		if labels, err = m.LabelsOf(labeled); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(labels, func(label int) bool { return label >= 0 }) {
			labels = nil
		}
	}
	a, stopped := m.said(ds)
	if a == nil {
		return nil, stopped
	}
	if labels != nil {
		a.Labels = labels[:a.n]
	}
	if named, ok := ds.(interface{ Name(i int) string }); ok {
		for i := range a.n {
			a.Names = append(a.Names, named.Name(i))
		}
	}
	return a, stopped
}

// AnswersTo is [Model.Answers] for images [N, H, W, C] in 0..1 and their labels in the model's numbering, [N] with -1
// for none, or nil.
func (m *Model) AnswersTo(images *tensors.Tensor, labels []int) (*Answers, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	if labels != nil {
		if err := CheckLabels(labels, batch{images}.Len(), m.classes); err != nil {
			return nil, err
		}
	}
	a, stopped := m.said(batch{images})
	if a != nil && labels != nil {
		a.Labels = slices.Clone(labels[:a.n])
	}
	return a, stopped
}

// AnswersFromLogits are the answers of a model that is not here: scores before softmax, [N, K] float32, and the
// labels, [N] with -1 for none, or nil.
func AnswersFromLogits(model string, logits *tensors.Tensor, labels []int) (*Answers, error) {
	a, err := answersOf(model, "logits", logits, labels)
	if err != nil {
		return nil, err
	}
	a.logits = logits
	return a, nil
}

// AnswersFromProbabilities are the answers of a model that is not here: probabilities, [N, K] float32 in 0..1, which
// sum to 1 for each image, and the labels, [N] with -1 for none, or nil.
func AnswersFromProbabilities(model string, probabilities *tensors.Tensor, labels []int) (*Answers, error) {
	a, err := answersOf(model, "probabilities", probabilities, labels)
	if err != nil {
		return nil, err
	}
	var bad error
	err = tensors.ConstFlatData(probabilities, func(flat []float32) {
		for i := range a.n {
			sum := 0.0
			for c, p := range flat[i*a.k : (i+1)*a.k] {
				if !(p >= 0 && p <= 1) {
					bad = fmt.Errorf("model: the probability of class %d for image %d is %v, it lies between 0 and 1: "+
						"AnswersFromLogits takes scores before softmax", c, i, p)
					return
				}
				sum += float64(p)
			}
			if math.Abs(sum-1) > 0.01 { // half precision loses as much in a thousand classes
				bad = fmt.Errorf(
					"model: the probabilities of image %d sum to %.3f, not 1: AnswersFromLogits takes scores before softmax", i, sum)
				return
			}
		}
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	a.probabilities = probabilities
	return a, nil
}

func answersOf(model, what string, t *tensors.Tensor, labels []int) (*Answers, error) {
	if t == nil || t.Rank() != 2 || t.DType() != dtypes.Float32 || t.Shape().Dimensions[0] == 0 ||
		t.Shape().Dimensions[1] < 2 {
		return nil, fmt.Errorf("model: %s are a tensor [N, K] float32, of one image and two classes at least", what)
	}
	d := t.Shape().Dimensions
	a := &Answers{Model: model, Activation: Softmax, n: d[0], k: d[1], Labels: slices.Clone(labels)}
	if labels != nil {
		if err := CheckLabels(labels, a.n, a.k); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// AnswersFromClasses are the answers of a model of which no more is known than the class of each image: published
// predictions, or people's.
func AnswersFromClasses(model string, classes []int) *Answers {
	ranked := make([][]int, len(classes))
	for i, class := range classes {
		ranked[i] = []int{class}
	}
	return AnswersFromRanked(model, ranked)
}

// AnswersFromRanked is [AnswersFromClasses] where the likeliest classes are known, [N][k], likeliest first.
func AnswersFromRanked(model string, ranked [][]int) *Answers {
	a := &Answers{Model: model, Activation: Softmax, n: len(ranked), ranked: ranked}
	for _, classes := range ranked {
		for _, class := range classes {
			a.k = max(a.k, class+1)
		}
	}
	return a
}

// Len is the number of images.
func (a *Answers) Len() int {
	if err := a.there(); err != nil {
		panic(err)
	}
	return a.n
}

// NumClasses is the number of classes; where no more than classes is known, one more than the largest.
func (a *Answers) NumClasses() int { return a.k }

// ClassName is the name of a class, or its number.
func (a *Answers) ClassName(class int) string {
	if class >= 0 && class < len(a.Classes) {
		return a.Classes[class]
	}
	return fmt.Sprint(class)
}

// Logits are the scores, [N, K] float32, of a network with one output [N, 1].
func (a *Answers) Logits() (*tensors.Tensor, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	if a.logits == nil {
		return nil, fmt.Errorf("model: the logits of %s are not known, only what it made of them", a.Model)
	}
	return a.logits, nil
}

// SoftmaxLogits are scores whose softmax the probabilities are, [N, K] float32: the logits; of one output with a
// sigmoid, 0 and the output. what is in the name of what needs them. It is an error where classes do not exclude each
// other, or no logits are known.
func (a *Answers) SoftmaxLogits(what string) (*tensors.Tensor, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	logits, err := a.Logits()
	if err != nil || a.Activation != Sigmoid {
		return logits, err
	}
	if logits.Shape().Dimensions[1] > 1 {
		return nil, needsSoftmax(what, a.Model)
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	pairs := make([]float32, 2*a.n)
	for i, z := range flat {
		pairs[2*i+1] = z
	}
	return tensors.FromFlatDataAndDimensions(pairs, a.n, 2), nil
}

// Probabilities are what the logits say, [N, K] float32.
func (a *Answers) Probabilities() (*tensors.Tensor, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	if a.probabilities == nil {
		if a.logits == nil {
			return nil, fmt.Errorf("model: the probabilities of %s are not known, only its classes", a.Model)
		}
		flat, err := tensors.CopyFlatData[float32](a.logits)
		if err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		a.probabilities = tensors.FromFlatDataAndDimensions(activate(a.Activation, flat, a.n), a.n, a.k)
	}
	return a.probabilities, nil
}

// scores are what the classes are ranked by, a row of width for each image.
func (a *Answers) scores() (flat []float32, width int, err error) {
	t := a.logits
	if t == nil || a.logits.Shape().Dimensions[1] != a.k {
		if t, err = a.Probabilities(); err != nil {
			return nil, 0, err
		}
	}
	flat, err = tensors.CopyFlatData[float32](t)
	return flat, a.k, err
}

// Predicted is the likeliest class of each image, the first of equal ones.
func (a *Answers) Predicted() ([]int, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	predicted := make([]int, a.n)
	if a.ranked != nil {
		for i, classes := range a.ranked {
			if len(classes) == 0 {
				return nil, fmt.Errorf("model: %s has no class for image %d", a.Model, i)
			}
			predicted[i] = classes[0]
		}
		return predicted, nil
	}
	flat, k, err := a.scores()
	if err != nil {
		return nil, err
	}
	for i := range predicted {
		row := flat[i*k : (i+1)*k]
		for c, v := range row {
			if v != v {
				return nil, fmt.Errorf("model: what %s says of image %d is not a number: the network overflows", a.Model, i)
			}
			if v > row[predicted[i]] {
				predicted[i] = c
			}
		}
	}
	return predicted, nil
}

// Ranked are the k likeliest classes of each image, likeliest first, [N][k].
func (a *Answers) Ranked(k int) ([][]int, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	ranked := make([][]int, a.n)
	if a.ranked != nil {
		for i, classes := range a.ranked {
			if k < 1 || k > len(classes) {
				return nil, fmt.Errorf("model: top-%d of %s, of which %d classes are known for image %d", k, a.Model,
					len(classes), i)
			}
			ranked[i] = classes[:k]
		}
		return ranked, nil
	}
	if k < 1 || k > a.k {
		return nil, fmt.Errorf("model: top-%d of %d classes: k lies between 1 and %d", k, a.k, a.k)
	}
	flat, width, err := a.scores()
	if err != nil {
		return nil, err
	}
	order := make([]int, width)
	for i := range ranked {
		row := flat[i*width : (i+1)*width]
		for c := range order {
			order[c] = c
		}
		sort.SliceStable(order, func(x, y int) bool { return row[order[x]] > row[order[y]] })
		ranked[i] = slices.Clone(order[:k])
	}
	return ranked, nil
}

// Top are the k likeliest classes of each image with their probabilities, likeliest first.
func (a *Answers) Top(k int) ([][]Prediction, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	ranked, err := a.Ranked(k)
	if err != nil {
		return nil, err
	}
	probabilities, err := a.Probabilities()
	if err != nil {
		return nil, err
	}
	top := make([][]Prediction, a.n)
	err = tensors.ConstFlatData(probabilities, func(flat []float32) {
		for i, classes := range ranked {
			for _, c := range classes {
				top[i] = append(top[i], Prediction{c, a.ClassName(c), float64(flat[i*a.k+c])})
			}
		}
	})
	return top, err
}

// OfClass is the probability of a class for each image, [N]; classes are one for each, or one for all.
func (a *Answers) OfClass(classes ...int) ([]float64, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	if len(classes) != 1 && len(classes) != a.n {
		return nil, fmt.Errorf("model: %d classes for %d images: give one for each, or one for all", len(classes), a.n)
	}
	probabilities, err := a.Probabilities()
	if err != nil {
		return nil, err
	}
	out := make([]float64, a.n)
	var bad error
	err = tensors.ConstFlatData(probabilities, func(flat []float32) {
		for i := range out {
			class := classes[i%len(classes)]
			if class < 0 || class >= a.k {
				bad = fmt.Errorf("model: class %d does not exist: %s has the classes 0 to %d", class, a.Model, a.k-1)
				return
			}
			out[i] = float64(flat[i*a.k+class])
		}
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Confidence is the probability of the predicted class of each image, [N].
func (a *Answers) Confidence() ([]float64, error) {
	predicted, err := a.Predicted()
	if err != nil {
		return nil, err
	}
	return a.OfClass(predicted...)
}

// Correct says for each image whether its label is predicted; not so where it has none.
func (a *Answers) Correct() ([]bool, error) { return a.correct(1) }

func (a *Answers) correct(k int) ([]bool, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	if a.Labels == nil {
		return nil, fmt.Errorf("model: none of the %d images that %s was asked about has a label", a.n, a.Model)
	}
	ranked, err := a.Ranked(k)
	if err != nil {
		return nil, err
	}
	correct := make([]bool, a.n)
	for i, label := range a.Labels {
		correct[i] = label >= 0 && slices.Contains(ranked[i], label)
	}
	return correct, nil
}

// Accuracy is the share of images whose label is predicted; images without a label do not count.
func (a *Answers) Accuracy() (stats.Accuracy, error) { return a.TopAccuracy(1) }

// TopAccuracy is the share of images whose label is among the k likeliest classes.
func (a *Answers) TopAccuracy(k int) (stats.Accuracy, error) {
	correct, err := a.correct(k)
	if err != nil {
		return stats.Accuracy{}, err
	}
	var count stats.Accuracy
	for i, label := range a.Labels {
		if label < 0 {
			continue
		}
		count.Total++
		if correct[i] {
			count.Correct++
		}
	}
	if count.Total == 0 {
		return count, fmt.Errorf("model: none of the %d images that %s was asked about has a label", a.n, a.Model)
	}
	return count, nil
}

// Labeled are the answers to the images that have a label.
func (a *Answers) Labeled() (*Answers, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	var at []int
	for i, label := range a.Labels {
		if label >= 0 {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("model: none of the %d images that %s was asked about has a label", a.n, a.Model)
	}
	return a.Subset(at)
}

// Subset are the answers to some of the images, by their numbers.
func (a *Answers) Subset(indices []int) (*Answers, error) {
	if err := a.there(); err != nil {
		return nil, err
	}
	if len(indices) == 0 {
		return nil, fmt.Errorf("model: the answers to no images")
	}
	for _, i := range indices {
		if i < 0 || i >= a.n {
			return nil, fmt.Errorf("model: there is no image %d: %s has answered about %d", i, a.Model, a.n)
		}
	}
	part := *a
	part.n = len(indices)
	part.Labels, part.Names, part.ranked = some(a.Labels, indices), some(a.Names, indices), some(a.ranked, indices)
	for _, t := range []**tensors.Tensor{&part.logits, &part.probabilities} {
		if *t == nil {
			continue
		}
		var err error
		if *t, err = rows.Pick(*t, indices); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	return &part, nil
}

// some are the values with these numbers, or nil of none.
func some[T any](values []T, indices []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(indices))
	for i, from := range indices {
		out[i] = values[from]
	}
	return out
}

func (a *Answers) String() string {
	text := fmt.Sprintf("%s on %s", a.Model, plural.Of(a.n, "image"))
	if accuracy, err := a.Accuracy(); err == nil {
		text += ": accuracy " + accuracy.String()
	}
	return text
}

// Table has a row for each image: its number, its file if that is known, its label if it has one, the likeliest class
// and the probability of that.
func (a *Answers) Table() (table.Table, error) {
	if err := a.there(); err != nil {
		return table.Table{}, err
	}
	t := table.Table{Title: a.String(), Header: []string{"index"}}
	if a.Names != nil {
		t.Header = append(t.Header, "file")
	}
	if a.Labels != nil {
		t.Header = append(t.Header, "label")
	}
	t.Header = append(t.Header, "predicted")
	predicted, err := a.Predicted()
	if err != nil {
		return t, err
	}
	var confidence []float64
	if a.ranked == nil {
		if confidence, err = a.Confidence(); err != nil {
			return t, err
		}
		t.Header = append(t.Header, "probability")
	}
	for i, class := range predicted {
		row := []any{i}
		if a.Names != nil {
			row = append(row, a.Names[i])
		}
		if a.Labels != nil {
			name := ""
			if a.Labels[i] >= 0 {
				name = a.ClassName(a.Labels[i])
			}
			row = append(row, name)
		}
		row = append(row, a.ClassName(class))
		if confidence != nil {
			row = append(row, table.Percent(confidence[i]))
		}
		t.Add(row...)
	}
	return t, nil
}

// Bundle shows how well the model does, and the first answers.
func (a *Answers) Bundle() mime.Bundle {
	t, err := a.Table()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	const most = 20
	if len(t.Rows) > most {
		t.Rows = t.Rows[:most]
		t.Title += fmt.Sprintf(" (the first %d; Table has all)", most)
	}
	return t.Bundle()
}

// answersKey is the metadata that answers are known by.
const answersKey = "loupe.answers"

// saidOf is what is saved besides the arrays.
type saidOf struct {
	Model      string     `json:"model"`
	Classes    []string   `json:"classes,omitempty"`
	Names      []string   `json:"names,omitempty"`
	Activation Activation `json:"activation"`
}

// Arrays are what answers are saved as: logits or probabilities or, of no more than classes, predicted, [N, k];
// labels; and as metadata the names.
func (a *Answers) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if err := a.there(); err != nil {
		return nil, nil, err
	}
	said, err := json.Marshal(saidOf{a.Model, a.Classes, a.Names, a.Activation})
	if err != nil {
		return nil, nil, fmt.Errorf("model: %w", err)
	}
	arrays := map[string]*tensors.Tensor{}
	switch {
	case a.logits != nil:
		arrays["logits"] = a.logits
	case a.probabilities != nil:
		arrays["probabilities"] = a.probabilities
	default:
		var flat []int64
		for i, classes := range a.ranked {
			if len(classes) != len(a.ranked[0]) {
				return nil, nil,
					fmt.Errorf("model: %s has %d classes for image %d and %d for image 0: only as many for each can be saved", a.Model,
						len(classes), i, len(a.ranked[0]))
			}
			for _, class := range classes {
				flat = append(flat, int64(class))
			}
		}
		if len(flat) == 0 {
			return nil, nil, fmt.Errorf("model: the answers of %s are empty", a.Model)
		}
		arrays["predicted"] = tensors.FromFlatDataAndDimensions(flat, a.n, len(flat)/a.n)
	}
	if a.Labels != nil {
		labels := make([]int64, a.n)
		for i, label := range a.Labels {
			labels[i] = int64(label)
		}
		arrays["labels"] = tensors.FromFlatDataAndDimensions(labels, a.n)
	}
	return arrays, map[string]string{answersKey: string(said)}, nil
}

// ReadAnswers reads answers that were saved as .safetensors or .npz.
func ReadAnswers(path string) (*Answers, error) {
	arrays, metadata, err := readSaved(path)
	if err != nil {
		return nil, err
	}
	if metadata[answersKey] == "" {
		return nil, fmt.Errorf("model: %s does not hold answers: it has no %s", path, answersKey)
	}
	return answersFrom(path, arrays, metadata)
}

func answersFrom(path string, arrays map[string]*tensors.Tensor, metadata map[string]string) (*Answers, error) {
	var said saidOf
	if err := json.Unmarshal([]byte(metadata[answersKey]), &said); err != nil {
		return nil, fmt.Errorf("model: %s: what it says of its answers cannot be read: %w", path, err)
	}
	if err := said.Activation.check(); err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	var labels []int
	if t := arrays["labels"]; t != nil {
		flat, err := tensors.CopyFlatData[int64](t)
		if err != nil {
			return nil, fmt.Errorf("model: %s: the labels: %w", path, err)
		}
		for _, label := range flat {
			labels = append(labels, int(label))
		}
	}
	var a *Answers
	var err error
	switch {
	case arrays["logits"] != nil && said.Activation == Sigmoid:
		t := arrays["logits"]
		if t.Rank() != 2 || t.DType() != dtypes.Float32 || t.Size() == 0 {
			return nil, fmt.Errorf("model: %s: logits are [N, K] float32, not %s", path, t.Shape())
		}
		a = &Answers{n: t.Shape().Dimensions[0], k: max(t.Shape().Dimensions[1], 2), logits: t, Labels: labels}
		if labels != nil {
			err = CheckLabels(labels, a.n, a.k)
		}
	case arrays["logits"] != nil:
		a, err = AnswersFromLogits(said.Model, arrays["logits"], labels)
	case arrays["probabilities"] != nil:
		a, err = AnswersFromProbabilities(said.Model, arrays["probabilities"], labels)
	case arrays["predicted"] != nil:
		var flat []int64
		if flat, err = tensors.CopyFlatData[int64](arrays["predicted"]); err == nil && arrays["predicted"].Rank() != 2 {
			err = fmt.Errorf("the predicted classes are [N, k], not %s", arrays["predicted"].Shape())
		}
		if err != nil {
			break
		}
		d := arrays["predicted"].Shape().Dimensions
		ranked := make([][]int, d[0])
		for i, class := range flat {
			ranked[i/d[1]] = append(ranked[i/d[1]], int(class))
		}
		a = AnswersFromRanked(said.Model, ranked)
		if a.Labels = labels; labels != nil && len(labels) != a.n {
			err = fmt.Errorf("%d labels for %d images", len(labels), a.n)
		}
	default:
		err = fmt.Errorf("it has none of logits, probabilities and predicted")
	}
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	if said.Classes != nil && len(said.Classes) < a.k || said.Names != nil && len(said.Names) != a.n {
		return nil, fmt.Errorf("model: %s: %d class names and %d image names for [%d, %d] answers", path, len(said.Classes),
			len(said.Names), a.n, a.k)
	}
	a.Model, a.Classes, a.Names, a.Activation = said.Model, said.Classes, said.Names, said.Activation
	return a, nil
}
