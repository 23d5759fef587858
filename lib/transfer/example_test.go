package transfer_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/transfer"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleLinearProbe() {
	photos := yours.Photos(80)
	r := must(transfer.LinearProbe{Lambdas: []float64{0.01}}.Of(yours.CNN(photos.Take(40)), photos.Take(40),
		photos.Skip(40)))
	fmt.Println(r.Accuracy.Total, "test images")
	// Output: 40 test images
}

func ExampleProbe() {
	photos := yours.Photos(40)
	probe := must(transfer.Probe("probe", yours.CNN(photos), photos, learn.LogisticRegression{Lambda: 0.01}))
	fmt.Println(probe.Name(), probe.NumClasses())
	// Output: probe 2
}

func ExampleKNN() {
	photos := yours.Photos(40)
	near := transfer.KNN{Neighbors: 3, Temperature: 0.1}
	answers := must(near.Of(yours.CNN(photos), photos.Take(30), photos.Skip(30)))
	fmt.Println(must(answers.Accuracy()).Total, "test images")
	// Output: 10 test images
}

func ExampleCompare() {
	source := map[string]stats.Accuracy{} // of four networks, or more, on what they were trained for
	var results []*transfer.Result        // such as those of a LinearProbe
	for i, name := range []string{"one", "two", "three", "four"} {
		source[name] = stats.Accuracy{Correct: 60 + 5*i, Total: 100}
		results = append(results, &transfer.Result{Model: name, Task: "dots", Accuracy: stats.Accuracy{Correct: 70 + 5*i,
			Total: 100}})
	}
	fmt.Printf("correlation %.2f\n", must(transfer.Compare(results, source)).R)
	// Output: correlation 1.00
}

func ExampleExemplars() {
	ds := must(transfer.Exemplars(must(yours.Photos(3).All()), 4, 1)) // each image a class of its own, of four crops
	fmt.Println(ds.Len(), "images")
	// Output: 12 images
}

// The network that two others began from stands beside both.
func ExampleNamed() {
	start := &transfer.Result{Model: "start", Task: "dots", Accuracy: stats.Accuracy{Correct: 7, Total: 10}}
	for _, name := range []string{"with labels", "without"} {
		fmt.Println(transfer.Named(name, start)[0].Model, start.Accuracy.Correct)
	}
	// Output:
	// with labels 7
	// without 7
}
