package distill

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// The names of a run's networks.
const (
	Student = "student"
	Teacher = "teacher"
)

// Distillation is how a student learns from a teacher. The loss of an example is
//
//	Alpha · cross entropy with its label + (1-Alpha) · Loss
//
// in which an example without a label has a cross entropy of 0. (The released program divides the labels' part by the
// examples with a label, and the other by all.) The zero Distillation is not valid: start from [Default].
type Distillation struct {
	// Loss is the distance from the teacher; nil means [SoftCrossEntropy].
	Loss Loss
	// Temperature T divides both networks' logits in Loss; it is positive.
	Temperature float64
	// Unlabelled, unless 0, is the temperature of the examples without a label, such as images that were added.
	Unlabelled float64
	// Alpha is the share of the labels in the loss, from 0, the teacher alone, to 1.
	Alpha float64
}

// Default is the released program's: the soft cross entropy at temperature 4, and no labels.
var Default = Distillation{Temperature: 4}

// Check tells what is wrong with the settings.
func (d Distillation) Check() error {
	if !positive(d.Temperature) {
		return fmt.Errorf("distill: the temperature is %v: it is a positive number", d.Temperature)
	}
	if d.Unlabelled != 0 && !positive(d.Unlabelled) {
		return fmt.Errorf(
			"distill: the temperature of examples without a label is %v: it is a positive number, or 0 for that of all",
			d.Unlabelled)
	}
	if !(d.Alpha >= 0 && d.Alpha <= 1) {
		return fmt.Errorf("distill: the share of the labels in the loss is %v: it lies between 0 and 1", d.Alpha)
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// Of returns the run in which a network learns from another by d: its Nets are a "student" and a "teacher", which may
// be an ensemble (model.Ensemble, whose logits are the logarithms of the mean probabilities), and it has no Step yet.
// All else is the caller's: data, optimizer, steps. Labels may be missing or -1; they count where Alpha is not 0.
//
// The teacher answers to the very images that the student sees, after what Augment does to them. It need not be asked
// anew in every step where nothing is done to them: then Data is what [Cache] makes, and Nets has the student alone.
//
// The history has the metrics "agreement", on how many of a batch's images both have one likeliest class, and
// "accuracy" where every example has a label and none is mixed.
//
// It is an error if the two do not have the same classes in the same order, if labels are to count and there are none
// or images are mixed, or if answers of [Cache] are to stand for augmented images.
func (d Distillation) Of(run learn.Run) (learn.Run, error) {
	if err := d.Check(); err != nil {
		return run, err
	}
	cached, _ := run.Data.(*TeacherOutputs)
	student, teacher, err := pair(run, cached)
	if err != nil {
		return run, err
	}
	if err := sameClasses(teacher, student); err != nil {
		return run, err
	}
	if cached != nil {
		if len(run.Augment) > 0 {
			return run, fmt.Errorf("distill: what the teacher says was computed of the images as they are: a run with " +
				"Augment takes the teacher itself, in Nets")
		}
		run.Data = cached.source
	}
	labels := labelsOf(run.Data)
	if err := checkLabels(labels, student.NumClasses()); err != nil {
		return run, err
	}
	known := 0
	for _, label := range labels {
		if label >= 0 {
			known++
		}
	}
	mixed, err := checkMixup(run)
	if err != nil {
		return run, err
	}
	switch {
	case d.Alpha > 0 && known == 0:
		return run, fmt.Errorf("distill: labels are to have a share of %v in the loss, and the data has none", d.Alpha)
	case d.Alpha > 0 && mixed:
		return run, fmt.Errorf("distill: an image that is mixed of two has no label: Alpha is 0 with Mixup, not %v", d.Alpha)
	case run.Step != nil:
		return run, fmt.Errorf("distill: the run has a Step already: distillation is one")
	}
	rightness := known > 0 && known == len(labels) && !mixed
	run.Step = func(s *learn.Step) learn.Loss {
		var said *graph.Node
		if cached != nil {
			said = s.Column(answers)
		} else {
			said = s.Fixed(Teacher, s.Images()).Logits
		}
		return d.loss(s, s.Call(Student, s.Images()).Logits, said, known > 0, rightness)
	}
	return run, nil
}

// loss builds the loss of a batch from both networks' logits, [B, K].
func (d Distillation) loss(s *learn.Step, student, teacher *graph.Node, labelled, rightness bool) learn.Loss {
	teacher = graph.ConvertDType(teacher, student.DType())
	rows := student.Shape().Dimensions[0]
	temperature := graph.BroadcastToDims(graph.Scalar(s.Graph(), student.DType(), d.Temperature), rows, 1)
	if d.Unlabelled != 0 {
		other := graph.BroadcastToDims(graph.Scalar(s.Graph(), student.DType(), d.Unlabelled), rows, 1)
		if labelled {
			known := graph.GreaterOrEqual(s.Labels(), graph.ZerosLike(s.Labels()))
			temperature = graph.Where(graph.ExpandAxes(known, -1), temperature, other)
		} else {
			temperature = other
		}
	}
	far := d.Loss
	if far == nil {
		far = SoftCrossEntropy
	}
	loss := learn.Loss{Each: far(teacher, student, temperature), Metrics: map[string]*graph.Node{
		"agreement": learn.Correct(student, graph.ArgMax(teacher, -1)),
	}}
	if d.Alpha > 0 {
		hard := graph.MulScalar(learn.CrossEntropy(student, s.Labels()), d.Alpha)
		loss.Each = graph.Add(hard, graph.MulScalar(loss.Each, 1-d.Alpha))
	}
	if rightness {
		loss.Metrics["accuracy"] = learn.Correct(student, s.Labels())
	}
	return loss
}

// pair are the two networks of a run.
func pair(run learn.Run, cached *TeacherOutputs) (student, teacher *model.Model, err error) {
	if run.Data == nil || table.IsNil(run.Data) {
		return nil, nil, fmt.Errorf("distill: a run without Data")
	}
	for _, name := range slices.Sorted(maps.Keys(run.Nets)) {
		if name != Student && name != Teacher {
			return nil, nil, fmt.Errorf("distill: a run's networks are %q and %q, and not %q", Student, Teacher, name)
		}
	}
	student, teacher = run.Nets[Student], run.Nets[Teacher]
	switch {
	case student == nil:
		return nil, nil, fmt.Errorf("distill: the run has no network %q", Student)
	case cached != nil && teacher != nil:
		return nil, nil, fmt.Errorf("distill: the data has what %s says, and the run a %q besides: give one of them",
			cached.teacher.Name(), Teacher)
	case cached != nil:
		return student, cached.teacher, nil
	case teacher == nil:
		return nil, nil, fmt.Errorf("distill: the run has no network %q, and its data not what Cache makes", Teacher)
	}
	return student, teacher, nil
}

// labelsOf are the labels of a source that knows them; nil if it has none.
func labelsOf(s learn.Source) []int {
	if known, ok := s.(interface{ Labels() []int }); ok {
		return known.Labels()
	}
	return nil
}

func checkLabels(labels []int, classes int) error {
	for i, label := range labels {
		if label < -1 || label >= classes {
			return fmt.Errorf("distill: image %d has the label %d: the classes are 0 to %d, and -1 is none", i, label, classes-1)
		}
	}
	return nil
}
