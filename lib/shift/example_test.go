package shift_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/stats"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleSweepDataset() {
	c := must(perturb.CorruptionsNamed("contrast"))
	sweep := must(shift.SweepDataset(yours.Network(), yours.Photos(10), 1, c...))
	fmt.Println(sweep.Accuracy[0][0], "without")
	// Output: 100.0% (69.2 to 100.0%), 10 of 10 without
}

// Networks are tried under conditions, and what is done stays in a file.
func ExampleNewTestbed() {
	dir := must(os.MkdirTemp("", "testbed"))
	defer os.RemoveAll(dir)
	bed := must(shift.NewTestbed(filepath.Join(dir, "results.csv")))
	photos := yours.Photos(10)
	worse := shift.Corrupted(photos, must(perturb.CorruptionNamed("contrast")), 3, 1)
	results := must(bed.Run([]*model.Model{yours.Network()}, shift.Condition{Name: "photos", Data: photos}, worse))
	fmt.Println(must(results.Accuracy("balance", "photos")))
	// Output: 100.0% (69.2 to 100.0%), 10 of 10
}

func ExampleResults_Fit() {
	r := shift.NewResults()
	for i, model := range []string{"one", "two", "three", "four"} {
		for condition, lower := range map[string]int{"before": 0, "after": 10} {
			cell := shift.Cell{Model: model, Condition: condition, Accuracy: stats.Accuracy{Correct: 60 + 5*i - lower,
				Total: 100}}
			if err := r.Add(cell); err != nil {
				panic(err)
			}
		}
	}
	line := must(r.Fit(stats.Linear, "before", "after", nil))
	fmt.Printf("%.2f\n", line.Predict(0.7)) // ten points less
	// Output: 0.60
}

// What fools a network is kept: how ImageNet-A was made.
func ExampleFilter() {
	photos := yours.Photos(40)
	answers := must(yours.Network().Answers(photos))
	kept := must(shift.Filter{LabelBelow: 1}.Keep([]*model.Answers{answers}))
	fmt.Println(len(kept.Kept), "are kept of a network that is right about all")
	// Output: 0 are kept of a network that is right about all
}

func ExampleCorrupted() {
	worse := shift.Corrupted(yours.Photos(10), must(perturb.CorruptionNamed("contrast")), 3, 1)
	fmt.Println(worse.Name)
	// Output: contrast 3
}

func ExampleImageNetAClasses() {
	fmt.Println(len(shift.ImageNetAClasses()), len(shift.ImageNetRClasses()), "of ImageNet's 1,000 classes")
	// Output: 200 200 of ImageNet's 1,000 classes
}

func ExampleNewResults() {
	r := shift.NewResults()
	if err := r.Add(shift.Cell{Model: "mine", Condition: "photos",
		Accuracy: stats.Accuracy{Correct: 9, Total: 10}}); err != nil {
		panic(err)
	}
	fmt.Println(r.Conditions())
	// Output: [photos]
}
