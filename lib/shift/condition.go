package shift

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
)

// Condition is what models are tried under: a test set, as it is or changed.
type Condition struct {
	Name string
	Data model.Labeled
	// Classes restricts the trial to these of the model's classes: images of others do not count, and the model chooses
	// among these alone, as Taori et al. do for ImageNet-A's and ImageNet-R's 200: see [ImageNetAClasses]. Nil is all.
	Classes []int
}

// Changed is a condition of images that change makes of others, such as a transformation or an attack. It gets images
// [N, H, W, C], float32 in 0..1, with their numbers in the dataset, and returns as many.
func Changed(name string, data model.Labeled, change func(images *tensors.Tensor, numbers []int) (*tensors.Tensor,
	error)) Condition {
	return Condition{Name: name, Data: changed{data, change}}
}

// Corrupted is a condition of images under a corruption at a severity from 1 to 5. seed decides what chance decides, as
// in [CorruptionSweep].
func Corrupted(data model.Labeled, c perturb.Corruption, severity int, seed uint64) Condition {
	return Changed(fmt.Sprintf("%s %d", c.Name, severity), data,
		func(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error) {
			return c.ApplyNumbered(images, numbers, severity, seed)
		})
}

type changed struct {
	model.Labeled
	change func(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error)
}

func (c changed) Images(numbers ...int) (*tensors.Tensor, error) {
	images, err := c.Labeled.Images(numbers...)
	if err != nil {
		return nil, err
	}
	return c.change(images, numbers)
}

// Classes are the names of the unchanged images' classes.
func (c changed) Classes() []string { return model.ClassesOf(c.Labeled) }

// counted are the images of a condition that count, and their labels in the data's own numbering.
type counted struct {
	model.Dataset
	numbers, labels []int
}

func (c counted) Len() int { return len(c.numbers) }

func (c counted) Images(of ...int) (*tensors.Tensor, error) {
	numbers := make([]int, len(of))
	for k, i := range of {
		numbers[k] = c.numbers[i]
	}
	return c.Dataset.Images(numbers...)
}

// count finds the images that count: those with a label, of the condition's classes, which are those of the models, one
// or more.
func (c Condition) count(models []*model.Model) (counted, error) {
	if c.Name == "" || c.Data == nil {
		return counted{}, fmt.Errorf("shift: a condition takes a name and data, and %q lacks one", c.Name)
	}
	labels := c.Data.Labels()
	if len(labels) != c.Data.Len() {
		return counted{}, fmt.Errorf("shift: %s has %d labels for %d images", c.Name, len(labels), c.Data.Len())
	}
	theirs := labels
	if c.Classes != nil {
		var err error
		if theirs, err = models[0].LabelsOf(c.Data); err != nil {
			return counted{}, fmt.Errorf("shift: %s: %w", c.Name, err)
		}
	}
	of := counted{Dataset: c.Data}
	for i, label := range theirs {
		if label >= 0 && (c.Classes == nil || slices.Contains(c.Classes, label)) {
			of.numbers, of.labels = append(of.numbers, i), append(of.labels, labels[i])
		}
	}
	if len(of.numbers) == 0 {
		return of, fmt.Errorf(
			"shift: none of the %d images of %s counts: they have no labels, or none of the condition's classes",
			len(labels), c.Name)
	}
	return of, nil
}

// try counts the images that a model recognises.
func (c Condition) try(m *model.Model, of counted) (accuracy stats.Accuracy, err error) {
	highest := m.NumClasses() - 1
	for _, class := range c.Classes {
		if class < 0 || class > highest {
			return accuracy, fmt.Errorf("shift: %s has the class %d, and %s has the classes 0 to %d", c.Name, class,
				m.Name(), highest)
		}
	}
	labels, err := m.LabelsOf(c.Data)
	if err != nil {
		return accuracy, fmt.Errorf("shift: %s: %w", c.Name, err)
	}
	var predicted []int
	if c.Classes == nil {
		predicted, err = m.PredictOf(of)
	} else {
		predicted, err = c.predictAmong(m, of)
	}
	if err != nil { // a part of a cell is no cell
		return accuracy, err
	}
	accuracy.Total = of.Len()
	for i, class := range predicted {
		label := labels[of.numbers[i]]
		if c.Classes != nil && !slices.Contains(c.Classes, label) {
			return accuracy, fmt.Errorf("shift: %s: image %d is of class %d of %s, which is none of the condition's: the "+
				"models number their classes differently", c.Name, of.numbers[i], label, m.Name())
		}
		if class == label {
			accuracy.Correct++
		}
	}
	return accuracy, nil
}

// predictAmong is the likeliest of the condition's classes for each image.
func (c Condition) predictAmong(m *model.Model, of counted) ([]int, error) {
	logits, err := m.LogitsOf(of)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return nil, fmt.Errorf("shift: %w", err)
	}
	k := m.NumClasses()
	best := make([]int, of.Len())
	for i := range best {
		row := flat[i*k : (i+1)*k]
		best[i] = c.Classes[0]
		for _, class := range c.Classes {
			if row[class] > row[best[i]] {
				best[i] = class
			}
		}
	}
	return best, nil
}

// looked is how many images of a condition tell it from another.
const looked = 16

// identity tells conditions apart: by labels and classes, and the pixels of some images.
func (c Condition) identity(of counted) (string, error) {
	h := sha256.New()
	hashInts(h, of.numbers)
	hashInts(h, of.labels)
	hashInts(h, c.Classes)
	var some []int
	for k := range min(looked, of.Len()) {
		some = append(some, k*of.Len()/min(looked, of.Len()))
	}
	images, err := of.Images(some...)
	if err != nil {
		return "", err
	}
	if err := hashTensor(h, images); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// modelIdentity tells models apart: by their weights, and how images go in. Models without weights of their own
// (written as functions) differ by their names alone.
func modelIdentity(m *model.Model) (string, error) {
	spec := m.Spec()
	h := sha256.New()
	fmt.Fprintln(h, spec.Height, spec.Width, spec.Channels, spec.Mean, spec.Std, m.NumClasses())
	for _, l := range m.Layers() {
		fmt.Fprintln(h, l.Name)
	}
	weights := m.Weights()
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		fmt.Fprintln(h, name)
		if err := hashTensor(h, weights[name]); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashInts(h hash.Hash, values []int) {
	for _, v := range append([]int{len(values)}, values...) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(int64(v))))
	}
}

func hashTensor(h hash.Hash, t *tensors.Tensor) error {
	fmt.Fprintln(h, t.Shape())
	if err := t.ConstBytes(func(bytes []byte) { h.Write(bytes) }); err != nil {
		return fmt.Errorf("shift: %w", err)
	}
	return nil
}
