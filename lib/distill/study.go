package distill

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

// Study is a student with a teacher, the same network that learnt alone on the same budget, and both compared with the
// teacher.
type Study struct {
	Student, WithoutTeacher *learn.Trained
	*Comparison             // nil of a study that an error has ended

	teacher *model.Model
}

// Study trains a student by [Distillation.Of] and one by [WithoutTeacher], from the same start, and compares both with
// the teacher on a labelled dataset that none of them has learnt from. A Checkpoint of the run is the student's; the
// other has one beside it with " alone" in its name.
//
// Interrupted, or ended by another error once something is trained, such as a loss that is no number, it returns what
// is trained beside the error, without the comparison.
func (d Distillation) Study(run learn.Run, test model.Labeled) (*Study, error) {
	if err := model.CheckDataset(test); err != nil {
		return nil, err
	}
	with, err := d.Of(run)
	if err != nil {
		return nil, err
	}
	without, err := WithoutTeacher(run)
	if err != nil {
		return nil, err
	}
	if file := run.Checkpoint; file != "" {
		ending := filepath.Ext(file)
		without.Checkpoint = strings.TrimSuffix(file, ending) + " alone" + ending
	}
	teacher := run.Nets[Teacher]
	if cached, ok := run.Data.(*TeacherOutputs); ok {
		teacher = cached.teacher
	}
	// What the teacher says is asked first: labels that do not fit are known before anything is trained.
	says, err := teacher.Answers(test)
	if err != nil {
		return nil, err
	}
	study := &Study{teacher: teacher}
	if study.Student, err = with.Do(); err != nil {
		return study.part(err)
	}
	if study.WithoutTeacher, err = without.Do(); err != nil {
		return study.part(err)
	}
	var of []*model.Answers
	for _, one := range []struct {
		trained *learn.Trained
		called  string
	}{{study.Student, "student"}, {study.WithoutTeacher, "student without a teacher"}} {
		m, err := one.trained.Nets[Student].Renamed(one.called)
		if err != nil {
			return study.part(err)
		}
		answers, err := m.Answers(test)
		if err != nil {
			return study.part(err)
		}
		of = append(of, answers)
	}
	if study.Comparison, err = Compare(says, of...); err != nil {
		return study.part(err)
	}
	return study, nil
}

// part is what there is of a study that an error has ended; nil if nothing is trained.
func (s *Study) part(err error) (*Study, error) {
	if s.Student == nil {
		return nil, err
	}
	return left.Beside(s, err)
}

// Align plots how alike the teacher and each of the two networks represent images, [N, H, W, C] float32 in 0..1, from
// layer to layer: see [Align].
func (s *Study) Align(images *tensors.Tensor, layers ...string) (display.Lines, error) {
	all := display.Lines{Title: "How alike the networks represent images", Y: "linear CKA with the teacher",
		YMin: 0, YMax: 1}
	if s == nil || s.Student == nil || s.WithoutTeacher == nil {
		return all, fmt.Errorf("distill: layers of a study that was not done to its end")
	}
	for _, one := range []struct {
		name    string
		trained *learn.Trained
	}{{"student", s.Student}, {"without a teacher", s.WithoutTeacher}} {
		alignment, err := Align(s.teacher, one.trained.Nets[Student], images, layers...)
		if err != nil {
			return all, err
		}
		line := alignment.Plot()
		line.Series[0].Name, all.Names = one.name, line.Names
		all.Series = append(all.Series, line.Series...)
	}
	return all, nil
}

// Bundle shows the comparison.
func (s *Study) Bundle() mime.Bundle {
	if s.Comparison == nil {
		return mime.TextOf("a study that ended before the comparison")
	}
	return s.Comparison.Bundle()
}
