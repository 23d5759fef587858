package tasks_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/tasks"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleReal() {
	all := must(tasks.Real([]int{0, 1, 2, 3}, 4)) // two classes against two
	for _, task := range all {
		fmt.Println(task.Labels)
	}
	// Output:
	// [1 1 0 0]
	// [1 0 1 0]
	// [1 0 0 1]
}

func ExampleRandom() {
	fmt.Println(len(tasks.Random(40, 1).Labels), "coins")
	// Output: 40 coins
}

func ExampleMeanSimilarity() {
	all := must(tasks.Real([]int{0, 1, 2, 3}, 4))
	fmt.Println(must(tasks.MeanSimilarity(all...)))
	// Output: 0.5
}

func ExampleHalves() {
	first, second, err := tasks.Halves(40, 0.75, 1)
	fmt.Println(len(first), len(second), err)
	// Output: 30 10 <nil>
}

// Two networks learn a task from the same images, and are asked about others: do they agree?
func ExampleAgreement() {
	photos := yours.Photos(60)
	first, second, err := tasks.Halves(60, 0.66, 1)
	if err != nil {
		panic(err)
	}
	asked := tasks.Agreement{
		Make: func(seed uint64) (*model.Model, error) { return learn.SmallCNN(yours.Spec(), 2, seed, 4) },
		Run:  learn.Run{Sampler: learn.Shuffled(10), Optimizer: learn.Adam{LearningRate: 0.02}, Epochs: 8},
		Seed: 1,
	}
	scores := must(asked.Of(must(photos.All()), first, second, tasks.Task{Name: "side", Labels: photos.Labels()}))
	fmt.Println(scores.Agreement())
	// Output: 1
}
