package distill

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// answers is the column of the teacher's logits, [K].
const answers = "teacher logits"

// TeacherOutputs is examples with what a teacher says of them: see [Cache].
type TeacherOutputs struct {
	source  learn.Source
	teacher *model.Model
}

// Cache asks a teacher once about every example of a source, and returns the same examples with its logits, from which
// any number of students can learn without the teacher being asked again. What is in memory stays there, and what is
// streamed goes on being read as it is needed.
//
// Interrupted, it returns the examples that the teacher has answered to, if there are any, beside the error.
func Cache(teacher *model.Model, data learn.Source) (*TeacherOutputs, error) {
	if teacher == nil {
		return nil, fmt.Errorf("distill: there is no teacher to ask: it is nil")
	}
	images, err := imagesOf(data)
	if err != nil {
		return nil, err
	}
	for _, c := range data.Columns() {
		if c.Name == answers {
			return nil, fmt.Errorf("distill: the data has a column %q already", answers)
		}
	}
	if err := sameClasses(teacher, teacher); err != nil {
		return nil, err
	}
	logits, stopped := teacher.LogitsOf(images)
	if logits == nil {
		return nil, stopped
	}
	if err := finite(logits, teacher.Name()); err != nil {
		return nil, err
	}
	if n := logits.Shape().Dimensions[0]; n < data.Len() {
		if data, err = part(data, firsts(n)); err != nil {
			return nil, err
		}
	}
	taught := &TeacherOutputs{teacher: teacher}
	if taught.source, err = learn.WithColumn(data, answers, logits); err != nil {
		return nil, err
	}
	return taught, stopped
}

// Len implements [learn.Source].
func (t *TeacherOutputs) Len() int { return t.source.Len() }

// Columns implements [learn.Source].
func (t *TeacherOutputs) Columns() []learn.Column { return t.source.Columns() }

// Read implements [learn.Source].
func (t *TeacherOutputs) Read(numbers []int, epoch int) ([]*tensors.Tensor, error) {
	if t == nil || t.source == nil {
		return nil, fmt.Errorf("distill: there are no examples to read: Cache makes them")
	}
	return t.source.Read(numbers, epoch)
}

// Labels are the labels of all examples; nil if there are none.
func (t *TeacherOutputs) Labels() []int { return labelsOf(t.source) }

func (t *TeacherOutputs) String() string {
	return fmt.Sprintf("%s with what %s says of them", plural.Of(t.Len(), "example"), t.teacher.Name())
}

// imageColumn is a source's images as a dataset, float32 in 0..1.
type imageColumn struct {
	source learn.Source
	at     int
}

func imagesOf(data learn.Source) (*imageColumn, error) {
	if data == nil || table.IsNil(data) {
		return nil, fmt.Errorf("distill: there are no examples: they are nil")
	}
	if data.Len() == 0 {
		return nil, fmt.Errorf("distill: there are no examples")
	}
	for i, c := range data.Columns() {
		if c.Name == learn.Images {
			return &imageColumn{data, i}, nil
		}
	}
	return nil, fmt.Errorf("distill: the data has no column %q", learn.Images)
}

func (c *imageColumn) Len() int { return c.source.Len() }

func (c *imageColumn) Images(indices ...int) (*tensors.Tensor, error) {
	batch, err := c.source.Read(indices, 0)
	if err != nil {
		return nil, err
	}
	return unit(batch[c.at])
}

// unit are images as float32 in 0..1.
func unit(images *tensors.Tensor) (*tensors.Tensor, error) {
	if images.DType() != dtypes.Uint8 {
		return images, nil
	}
	bytes, err := tensors.CopyFlatData[uint8](images)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	flat := make([]float32, len(bytes))
	for i, v := range bytes {
		flat[i] = float32(v) / 255
	}
	return tensors.FromFlatDataAndDimensions(flat, images.Shape().Dimensions...), nil
}

// finite is an error that names the first image of which a model says something that is no number.
func finite(logits *tensors.Tensor, whose string) error {
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	k := logits.Shape().Dimensions[1]
	for i, v := range flat {
		if v-v != 0 {
			return fmt.Errorf("distill: image %d: the logit of class %d is %v in %s", i/k, i%k, v, whose)
		}
	}
	return nil
}
