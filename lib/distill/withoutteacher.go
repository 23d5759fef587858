package distill

import (
	"fmt"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// WithoutTeacher returns the run in which the same student learns without a teacher, for [Distillation.Of] to be
// compared with: from the labels of the same data by the cross entropy, with the same sampler, augmentation, optimizer
// and seed, and in as many steps. Images without a label are left out, so that the labelled ones are seen more often.
// run is what Of takes; images cannot be mixed without a teacher, and WithoutTeacher leaves [Mixup] out.
func WithoutTeacher(run learn.Run) (learn.Run, error) {
	cached, _ := run.Data.(*TeacherOutputs)
	student, _, err := pair(run, cached)
	if err != nil {
		return run, err
	}
	if run.Step != nil {
		return run, fmt.Errorf("distill: the run has a Step already: to learn without a teacher is another")
	}
	if run.Sampler == nil {
		return run, fmt.Errorf("distill: a run without a Sampler, such as learn.Shuffled(128)")
	}
	if cached != nil {
		run.Data = cached.source
	}
	labels := labelsOf(run.Data)
	if err := checkLabels(labels, student.NumClasses()); err != nil {
		return run, err
	}
	var known []int
	for i, label := range labels {
		if label >= 0 {
			known = append(known, i)
		}
	}
	n := run.Data.Len()
	if err := run.Sampler.Check(n); err != nil {
		return run, err
	}
	switch {
	case len(known) == 0:
		return run, fmt.Errorf("distill: without a teacher a student learns from labels, and the data has none")
	case len(known) < n:
		if _, exact := run.Sampler.Size(n); !exact {
			return run, fmt.Errorf("distill: of the labelled examples alone this sampler would draw smaller batches: take " +
				"one of a fixed size, such as learn.Shuffled")
		}
		if run.Epochs > 0 {
			run.Steps, run.Epochs = run.Epochs*run.Sampler.Epoch(n), 0
		}
		if run.Data, err = part(run.Data, known); err != nil {
			return run, err
		}
	}
	var augment []learn.Augmentation
	for _, a := range run.Augment {
		if _, mixes := a.(Mixup); !mixes {
			augment = append(augment, a)
		}
	}
	run.Augment = augment
	run.Nets = map[string]*model.Model{Student: student}
	run.Step = func(s *learn.Step) learn.Loss { return s.Classification(s.Call(Student, s.Images()).Logits) }
	return run, nil
}
