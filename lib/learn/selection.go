package learn

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Selection is a [Source] of some examples of others in memory, by their numbers, any of them several times and with
// other labels each time: what a network is surest of, folds, samples. The examples themselves stay where they are, on
// the device once, so that the step that learns from another selection is no other program: see [Rounds].
type Selection struct {
	of      *Tensors
	numbers []int
	labels  []int32 // nil for those of the examples
}

// Select selects examples by their numbers, with a label for each in the place of their own, or nil.
func (t *Tensors) Select(numbers, labels []int) (*Selection, error) {
	if t == nil || t.Len() == 0 {
		return nil, fmt.Errorf("learn: there are no examples to select from")
	}
	if labels != nil && len(labels) != len(numbers) {
		return nil, fmt.Errorf("learn: %d labels for %d examples", len(labels), len(numbers))
	}
	for _, k := range numbers {
		if k < 0 || k >= t.Len() {
			return nil, fmt.Errorf("learn: there is no example %d of %d", k, t.Len())
		}
	}
	s := &Selection{of: t, numbers: slices.Clone(numbers)}
	if labels != nil {
		s.labels = make([]int32, len(labels))
		for i, label := range labels {
			s.labels[i] = int32(label)
		}
	}
	return s, nil
}

// Len implements [Source].
func (s *Selection) Len() int { return len(s.numbers) }

// Columns implements [Source].
func (s *Selection) Columns() []Column {
	columns := slices.Clone(s.of.columns)
	if s.labels == nil {
		return columns
	}
	own := Column{Labels, shapes.Make(dtypes.Int32)}
	for i, c := range columns {
		if c.Name == Labels {
			columns[i] = own
			return columns
		}
	}
	return append(columns, own)
}

// Read implements [Source].
func (s *Selection) Read(numbers []int, epoch int) ([]*tensors.Tensor, error) {
	if s == nil || s.of == nil {
		return nil, fmt.Errorf("learn: there are no examples to read: Select makes a selection")
	}
	at, small := make([]int, len(numbers)), make([]int32, len(numbers))
	for i, k := range numbers {
		if k < 0 || k >= len(s.numbers) {
			return nil, fmt.Errorf("learn: there is no example %d of %d", k, len(s.numbers))
		}
		at[i], small[i] = s.numbers[k], int32(k)
	}
	read, err := s.of.Read(at, epoch)
	if err != nil || s.labels == nil {
		return read, err
	}
	labels := tensors.FromFlatDataAndDimensions(s.labelsOf(small), len(small))
	for i, c := range s.of.columns {
		if c.Name == Labels {
			read[i] = labels
			return read, nil
		}
	}
	return append(read, labels), nil
}

// Labels are the labels of all examples; nil if there are none.
func (s *Selection) Labels() []int {
	var labels []int
	if s.labels == nil {
		all := s.of.Labels()
		if all == nil {
			return nil
		}
		for _, k := range s.numbers {
			labels = append(labels, all[k])
		}
		return labels
	}
	for _, label := range s.labels {
		labels = append(labels, int(label))
	}
	return labels
}

func (s *Selection) String() string { return described(s) + fmt.Sprintf(", of %d", s.of.Len()) }

// numbersOf are the numbers of a batch in what is selected from, and labelsOf its labels.
func (s *Selection) numbersOf(batch []int32) []int32 {
	out := make([]int32, len(batch))
	for i, k := range batch {
		out[i] = int32(s.numbers[k])
	}
	return out
}

func (s *Selection) labelsOf(batch []int32) []int32 {
	out := make([]int32, len(batch))
	for i, k := range batch {
		out[i] = s.labels[k]
	}
	return out
}

// column are the values of a column; nil if there is none of that name.
func (t *Tensors) column(name string) *tensors.Tensor {
	for i, c := range t.columns {
		if c.Name == name {
			return t.values[i]
		}
	}
	return nil
}
