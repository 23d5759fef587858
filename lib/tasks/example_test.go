package tasks_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/data"
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

// sides is the task of telling photos with the dot on the right.
func sides(photos *data.Dataset) tasks.Task {
	return tasks.Task{Name: "right", Labels: photos.Labels()}
}

func ExampleRestrict() {
	held := must(tasks.Restrict([]int{0, 3}, tasks.Task{Name: "right", Labels: []int{0, 1, 0, 1}}))
	fmt.Println(held[0].Labels)
	// Output: [0 1]
}

func ExampleSplit() {
	asked, other := tasks.Task{Name: "asked", Labels: []int{0, 0, 1, 1}}, tasks.Task{Name: "other",
		Labels: []int{0, 1, 0, 1}}
	fmt.Println(tasks.Split(asked, other)) // learnt from where both agree, asked about where they do not
	// Output: [0 3] [1 2] <nil>
}

// The control of a split: as many labels of each class are 1, on other images.
func ExamplePermuteLabels() {
	task := tasks.Task{Name: "bright", Labels: []int{1, 1, 0, 0, 0, 0}}
	dealt := must(tasks.PermuteLabels(task, []int{0, 0, 0, 1, 1, 1}, 1))
	fmt.Println(dealt.Labels[0]+dealt.Labels[1]+dealt.Labels[2], dealt.Labels[3:])
	// Output: 2 [0 0 0]
}

func ExampleNearness() {
	task := tasks.Task{Name: "found", Labels: []int{0, 0, 1, 0}}
	all := must(tasks.Real([]int{0, 1, 2, 3}, 4))
	fmt.Println(must(tasks.Nearness(all, task))) // three of four labels are those of the nearest, or their opposites
	// Output: 0.75
}

func ExampleByClass() {
	photos := yours.Photos(10)
	counts := must(tasks.ByClass(photos.Labels(), photos.Classes(), sides(photos)))
	fmt.Println(counts.Rows[0]) // none of the first class, and all of the second
	// Output: [right 0 1]
}

func ExampleSides() {
	photos := yours.Photos(10)
	grid := must(tasks.Sides(must(photos.All()), 3, 1, sides(photos)))
	fmt.Println(grid.Columns)
	// Output: [mean of 0 0 0 0 mean of 1 1 1 1]
}

func ExampleSplitSides() {
	photos := yours.Photos(12)
	grid := must(tasks.SplitSides(must(photos.All()), 2, 1, sides(photos), tasks.Random(12, 1)))
	for _, row := range grid.Labels {
		fmt.Println(row)
	}
	// Output:
	// learnt from, label 0
	// learnt from, label 1
	// asked about, label 0
	// asked about, label 1
}

func ExamplePatchCNN() {
	net := must(tasks.PatchCNN(yours.Spec(), 2, 1, 4)) // one convolution of four filters
	fmt.Println(must(net.AnswersTo(must(yours.Photos(2).All()), nil)).Len(), "answers")
	// Output: 2 answers
}

// An encoder comes to sort photos in ways that two networks learn alike. The paper has far more steps.
func ExampleDiscovery() {
	photos := yours.Photos(60)
	d := tasks.Discovery{Steps: 1, BatchSize: 10, Test: 20, Rate: 1}
	net := func(outputs int, seed uint64) *model.Model { return must(learn.MLP(yours.Spec(), outputs, seed)) }
	trained := must(must(d.Of(learn.Run{
		Nets:      map[string]*model.Model{tasks.Encoder: net(2, 1), tasks.First: net(2, 2), tasks.Second: net(2, 3)},
		Data:      must(learn.FromTensors(must(photos.All()), nil)),
		Sampler:   learn.Shuffled(d.Images()),
		Optimizer: learn.Adam{LearningRate: 0.003},
		Steps:     5,
	})).Do())
	for _, task := range must(tasks.Discovered(trained, photos)) {
		fmt.Println(task.Name, "has labels of", len(task.Labels), "photos")
	}
	// Output:
	// discovered 0 has labels of 60 photos
	// discovered 1 has labels of 60 photos
}
