package distill_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/distill"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A teacher is asked once, and a student learns from what it said.
func ExampleDistillation() {
	photos := yours.Photos(40)
	teacher := yours.CNN(photos)
	run := learn.Run{
		Nets:      map[string]*model.Model{"student": must(learn.MLP(yours.Spec(), 2, 1, 16))},
		Data:      must(distill.Cache(teacher, must(learn.FromTensors(must(photos.All()), photos.Labels())))),
		Sampler:   learn.Shuffled(10),
		Optimizer: learn.Adam{LearningRate: 0.02},
		Epochs:    8,
	}
	trained := must(must(distill.Default.Of(run)).Do())
	fmt.Println(must(trained.Nets["student"].Accuracy(photos)).Correct, "of 40")
	// Output: 40 of 40
}

func ExampleCache() {
	photos := yours.Photos(40)
	source := must(learn.FromTensors(must(photos.All()), photos.Labels()))
	fmt.Println(must(distill.Cache(yours.Network(), source)).Len(), "examples with the teacher's logits")
	// Output: 40 examples with the teacher's logits
}

func ExampleCompare() {
	photos := yours.Photos(40)
	teacher, student := must(yours.Network().Answers(photos)), must(yours.CNN(photos).Answers(photos))
	compared := must(distill.Compare(teacher, student))
	fmt.Println(distill.AgreementPercent.Of(compared.Models[0]), "percent of their answers agree")
	// Output: 100 percent of their answers agree
}

func ExampleKeepLabels() {
	kept := must(distill.KeepLabels(yours.Network(), yours.Photos(40), 10)) // the others have the teacher alone
	fmt.Println(kept.Len(), "examples")
	// Output: 40 examples
}

// A student that begins near its teacher: r is 0 at the teacher and 1 at the student.
func ExampleInterpolate() {
	photos := yours.Photos(40)
	teacher, student := yours.CNN(photos), must(learn.SmallCNN(yours.Spec(), 2, 2, 4))
	near := must(distill.Interpolate(teacher, student, 0.05, nil, 0)) // nothing is normalised by batches, so no data
	fmt.Println(must(near.Accuracy(photos)).Correct, "of 40")
	// Output: 40 of 40
}

func ExampleWithUnlabelled() {
	photos, more := yours.Photos(10), must(yours.Photos(40).All())
	source := must(distill.WithUnlabelled(must(photos.All()), photos.Labels(), more))
	fmt.Println(source.Len(), "examples to ask the teacher about")
	// Output: 50 examples to ask the teacher about
}

// The same student learns from labels alone, for a comparison: from the photos that have one, in as many steps.
func ExampleWithoutTeacher() {
	kept := must(distill.KeepLabels(yours.Network(), yours.Photos(40), 10))
	run := learn.Run{
		Nets:      map[string]*model.Model{"student": must(learn.MLP(yours.Spec(), 2, 1, 16))},
		Data:      must(distill.Cache(yours.Network(), kept)),
		Sampler:   learn.Shuffled(10),
		Optimizer: learn.Adam{LearningRate: 0.02},
		Epochs:    8,
	}
	alone := must(distill.WithoutTeacher(run)) // Do it as distill.Default.Of(run)
	fmt.Println(alone.Data.Len(), "photos,", alone.Steps, "steps")
	// Output: 10 photos, 32 steps
}
