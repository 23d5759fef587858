package distill

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// WithUnlabelled puts images without labels behind labelled ones: more for a student to ask its teacher about. All
// images are [N, H, W, C] of one size and type, float32 in 0..1 or uint8; labels has one for each of the first.
func WithUnlabelled(images *tensors.Tensor, labels []int, unlabelled ...*tensors.Tensor) (*learn.Tensors, error) {
	all := append([]*tensors.Tensor{images}, unlabelled...)
	n := 0
	for i, t := range all {
		if t == nil || t.CheckValid() != nil || t.Rank() != 4 {
			return nil, fmt.Errorf("distill: images are a tensor [N, H, W, C]")
		}
		if i > 0 && (t.DType() != images.DType() ||
			fmt.Sprint(t.Shape().Dimensions[1:]) != fmt.Sprint(images.Shape().Dimensions[1:])) {
			return nil, fmt.Errorf("distill: %s without labels do not go with %s", t.Shape(), images.Shape())
		}
		n += t.Shape().Dimensions[0]
	}
	if have := images.Shape().Dimensions[0]; len(labels) != have {
		return nil, fmt.Errorf("distill: %d labels for %d images", len(labels), have)
	}
	join := rows.NewJoin(n)
	for _, t := range all {
		if m := t.Shape().Dimensions[0]; m > 0 {
			copied, err := rows.Pick(t, firsts(m)) // a join uses up what it is given
			if err == nil {
				err = join.Add(copied, m)
			}
			if err != nil {
				return nil, fmt.Errorf("distill: %w", err)
			}
		}
	}
	joined, err := join.Tensor()
	if err != nil || joined == nil {
		return nil, fmt.Errorf("distill: there are no images: %w", err)
	}
	known := append(make([]int, 0, n), labels...)
	for len(known) < n {
		known = append(known, -1)
	}
	return learn.FromTensors(joined, known)
}

// KeepLabels is a dataset's images of which the first so many keep their labels and the others lose them: those that a
// student can only learn from its teacher. Labels meet the model's classes as model.LabelsOf says.
func KeepLabels(m *model.Model, ds model.Labeled, first int) (*learn.Tensors, error) {
	if m == nil {
		return nil, fmt.Errorf("distill: there is no model whose classes the labels are to be: it is nil")
	}
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if first < 0 || first > ds.Len() {
		return nil, fmt.Errorf("distill: %d of %d images cannot keep their labels", first, ds.Len())
	}
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, err
	}
	images, err := ds.Images(firsts(ds.Len())...)
	if err != nil {
		return nil, err
	}
	known := slices.Clone(labels)
	for i := first; i < len(known); i++ {
		known[i] = -1
	}
	return learn.FromTensors(images, known)
}

// firsts are the numbers 0 to n-1.
func firsts(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// part is some of a source's examples, by their numbers. What is in memory stays in memory.
func part(data learn.Source, numbers []int) (learn.Source, error) {
	whole, ok := data.(*learn.Tensors)
	if !ok {
		return &subset{data, numbers}, nil
	}
	values, err := whole.Read(numbers, 0)
	if err != nil {
		return nil, err
	}
	some := &learn.Tensors{}
	for i, c := range whole.Columns() {
		if some, err = some.With(c.Name, values[i]); err != nil {
			return nil, err
		}
	}
	return some, nil
}

// subset is some examples of a source that is read as it is needed.
type subset struct {
	learn.Source
	numbers []int
}

func (s *subset) Len() int { return len(s.numbers) }

func (s *subset) Read(numbers []int, epoch int) ([]*tensors.Tensor, error) {
	at := make([]int, len(numbers))
	for i, k := range numbers {
		if k < 0 || k >= len(s.numbers) {
			return nil, fmt.Errorf("distill: there is no example %d of %d", k, len(s.numbers))
		}
		at[i] = s.numbers[k]
	}
	return s.Source.Read(at, epoch)
}

func (s *subset) Labels() []int {
	all := labelsOf(s.Source)
	if all == nil {
		return nil
	}
	labels := make([]int, len(s.numbers))
	for i, k := range s.numbers {
		labels[i] = all[k]
	}
	return labels
}
