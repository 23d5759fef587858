package distill

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// sameClasses is an error unless two classifiers have the same classes in the same order. Where both have names, these
// meet as labels meet a model's classes; see model.LabelsOf.
func sameClasses(teacher, student *model.Model) error {
	for _, m := range []*model.Model{teacher, student} {
		if m == nil {
			return fmt.Errorf("distill: a teacher or a student is missing: it is nil")
		}
		if m.NumClasses() < 2 {
			return fmt.Errorf("distill: %s is no classifier of two classes or more", m.Name())
		}
		if err := m.NeedsSoftmax("distill: a distance of distributions"); err != nil {
			return err
		}
	}
	return sameNames(teacher.NumClasses(), student.NumClasses(), teacher.Spec().Classes, student.Spec().Classes)
}

func sameNames(teachers, students int, teacher, student []string) error {
	if teachers != students {
		return fmt.Errorf("distill: the teacher has %d classes, and the student %d", teachers, students)
	}
	if teacher == nil || student == nil {
		return nil
	}
	order, err := model.Relabel(named(teacher), student, "the student")
	if err != nil {
		return err
	}
	for class, at := range order {
		if at != class {
			return fmt.Errorf("distill: the classes are not in one order: class %d is %q of the teacher and %q of the student",
				class, teacher[class], student[class])
		}
	}
	return nil
}

// named is a dataset with one image of each class, whose labels alone are asked for.
type named []string

func (n named) Len() int { return len(n) }

func (n named) Images(...int) (*tensors.Tensor, error) {
	return nil, fmt.Errorf("distill: the names of classes have no images")
}

func (n named) Classes() []string { return n }

func (n named) Title() string { return "the teacher" }

func (n named) Labels() []int {
	labels := make([]int, len(n))
	for i := range labels {
		labels[i] = i
	}
	return labels
}
