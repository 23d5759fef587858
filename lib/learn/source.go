package learn

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Column is one thing that a [Source] knows of every example, such as its image.
type Column struct {
	Name string
	// Shape is that of one example, without the batch axis.
	Shape shapes.Shape
}

// The names of the columns that [Step.Images] and [Step.Labels] give.
const (
	Images = "images" // [H, W, C], float32 in 0..1 or uint8
	Labels = "labels" // a class, int32; -1 is unknown
)

func (c Column) String() string { return fmt.Sprintf("%s %s", c.Name, c.Shape) }

// described says in words what a source is.
func described(s Source) string {
	text := plural.Of(s.Len(), "example")
	for i, c := range s.Columns() {
		if i == 0 {
			text += ": " + c.String()
		} else {
			text += ", " + c.String()
		}
	}
	return text
}

// Source is what a [Run] learns from: numbered examples. [Tensors] are whole in memory and lie on the device, a
// [Stream] is read a batch at a time, ahead of the steps.
type Source interface {
	// Len is the number of examples.
	Len() int
	// Columns are what is known of each of them.
	Columns() []Column
	// Read returns the examples with these numbers, a tensor [len(numbers), ...] for each column, for an epoch counted
	// from 0. It is called from another goroutine, one call at a time.
	Read(numbers []int, epoch int) ([]*tensors.Tensor, error)
}

// Tensors is a [Source] in memory.
type Tensors struct {
	columns []Column
	values  []*tensors.Tensor
}

// FromTensors is a source of images, [N, H, W, C] float32 in 0..1 or uint8, and labels, one for each or nil.
func FromTensors(images *tensors.Tensor, labels []int) (*Tensors, error) {
	t, err := (&Tensors{}).With(Images, images)
	if err != nil || labels == nil {
		return t, err
	}
	classes := make([]int32, len(labels))
	for i, label := range labels {
		classes[i] = int32(label)
	}
	return t.With(Labels, tensors.FromFlatDataAndDimensions(classes, len(classes)))
}

// With is the same source with one more column, [N, ...], such as masks, a teacher's logits or weights of examples.
func (t *Tensors) With(name string, values *tensors.Tensor) (*Tensors, error) {
	if t == nil {
		t = &Tensors{}
	}
	if values == nil || values.CheckValid() != nil || values.Rank() == 0 {
		return nil, fmt.Errorf("learn: the column %q is a tensor with one row for each example", name)
	}
	if n := values.Shape().Dimensions[0]; len(t.values) > 0 && n != t.Len() {
		return nil, fmt.Errorf("learn: %d %s for %d %s", n, name, t.Len(), t.columns[0].Name)
	}
	for _, c := range t.columns {
		if c.Name == name {
			return nil, fmt.Errorf("learn: there is a column %q already", name)
		}
	}
	column := Column{name, shapes.Make(values.DType(), values.Shape().Dimensions[1:]...)}
	return &Tensors{append(slices.Clip(t.columns), column), append(slices.Clip(t.values), values)}, nil
}

// Len implements [Source].
func (t *Tensors) Len() int {
	if len(t.values) == 0 {
		return 0
	}
	return t.values[0].Shape().Dimensions[0]
}

// Columns implements [Source].
func (t *Tensors) Columns() []Column { return t.columns }

// Read implements [Source].
func (t *Tensors) Read(numbers []int, _ int) ([]*tensors.Tensor, error) {
	if t == nil {
		return nil, fmt.Errorf("learn: there are no examples to read")
	}
	batch := make([]*tensors.Tensor, len(t.values))
	for i, values := range t.values {
		var err error
		if batch[i], err = rows.Pick(values, numbers); err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
	}
	return batch, nil
}

// Labels are the labels of all examples; nil if there are none.
func (t *Tensors) Labels() []int {
	for i, c := range t.columns {
		if c.Name == Labels && c.Shape.DType == dtypes.Int32 && c.Shape.Rank() == 0 {
			flat, err := tensors.CopyFlatData[int32](t.values[i])
			if err != nil {
				return nil
			}
			labels := make([]int, len(flat))
			for k, v := range flat {
				labels[k] = int(v)
			}
			return labels
		}
	}
	return nil
}

// Stream is a [Source] that is read from a dataset, which may be larger than memory: while a step runs, the images of
// the next ones are decoded.
type Stream struct {
	ds     model.Dataset
	labels []int
	image  shapes.Shape
}

// FromDataset streams a dataset's images, all of one size, and labels, one for each or nil, such as those that a
// model's LabelsOf gives. One image is read at once, to know its size.
func FromDataset(ds model.Dataset, labels []int) (*Stream, error) {
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if labels != nil && len(labels) != ds.Len() {
		return nil, fmt.Errorf("learn: %d labels for %d images", len(labels), ds.Len())
	}
	first, err := ds.Images(0)
	if err != nil {
		return nil, err
	}
	return &Stream{ds, labels, shapes.Make(first.DType(), first.Shape().Dimensions[1:]...)}, nil
}

// Len implements [Source].
func (s *Stream) Len() int { return s.ds.Len() }

// Columns implements [Source].
func (s *Stream) Columns() []Column {
	columns := []Column{{Images, s.image}}
	if s.labels != nil {
		columns = append(columns, Column{Labels, shapes.Make(dtypes.Int32)})
	}
	return columns
}

// Labels are the labels of all examples; nil if there are none.
func (s *Stream) Labels() []int { return s.labels }

// Read implements [Source].
func (s *Stream) Read(numbers []int, _ int) ([]*tensors.Tensor, error) {
	if s == nil || s.ds == nil {
		return nil, fmt.Errorf("learn: there is no dataset to stream: FromDataset makes a stream of one")
	}
	images, err := s.ds.Images(numbers...)
	if err != nil {
		return nil, err
	}
	batch := []*tensors.Tensor{images}
	if s.labels != nil {
		classes := make([]int32, len(numbers))
		for i, k := range numbers {
			classes[i] = int32(s.labels[k])
		}
		batch = append(batch, tensors.FromFlatDataAndDimensions(classes, len(classes)))
	}
	return batch, nil
}

// WithColumn is a source with one more column, [N, ...], which lies in memory whole: masks, say, of images that are
// streamed. Of [Tensors] it is what With gives.
func WithColumn(s Source, name string, values *tensors.Tensor) (Source, error) {
	if whole, ok := s.(*Tensors); ok {
		with, err := whole.With(name, values)
		if err != nil {
			return nil, err
		}
		return with, nil
	}
	if s == nil || table.IsNil(s) {
		return nil, fmt.Errorf("learn: there are no examples that could have a column %q: they are nil", name)
	}
	column, err := (*Tensors)(nil).With(name, values)
	if err != nil {
		return nil, err
	}
	if n := column.Len(); n != s.Len() {
		return nil, fmt.Errorf("learn: %d %s for %d examples", n, name, s.Len())
	}
	for _, c := range s.Columns() {
		if c.Name == name {
			return nil, fmt.Errorf("learn: there is a column %q already", name)
		}
	}
	return &extended{s, column}, nil
}

// Resident are the values of a column, [N, ...], of data that has it in memory: of [Tensors], of those that a
// [Selection] is of, or what [WithColumn] put beside a stream. It is nil where the column is read as it is needed, or
// there is none.
func Resident(data Source, column string) *tensors.Tensor {
	switch s := data.(type) {
	case *Tensors:
		return s.column(column)
	case *Selection:
		return s.of.column(column)
	case *extended:
		if values := s.column.column(column); values != nil {
			return values
		}
		return Resident(s.Source, column)
	}
	return nil
}

// extended is a source with one more column.
type extended struct {
	Source
	column *Tensors
}

func (e *extended) Columns() []Column {
	return append(slices.Clip(e.Source.Columns()), e.column.columns...)
}

func (e *extended) Read(numbers []int, epoch int) ([]*tensors.Tensor, error) {
	batch, err := e.Source.Read(numbers, epoch)
	if err != nil {
		return nil, err
	}
	more, err := e.column.Read(numbers, epoch)
	if err != nil {
		return nil, err
	}
	return append(batch, more...), nil
}

// Labels are the labels of all examples; nil if there are none.
func (e *extended) Labels() []int {
	if known, ok := e.Source.(interface{ Labels() []int }); ok {
		return known.Labels()
	}
	return nil
}

func (e *extended) String() string { return described(e) }

func (t *Tensors) String() string { return described(t) }

func (s *Stream) String() string { return described(s) + ", read as they are needed" }
