package stats_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/stats"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleAccuracyOf() {
	fmt.Println(must(stats.AccuracyOf([]int{0, 1, 1, 0}, []int{0, 1, 0, 0}))) // predicted, labels
	// Output: 75.0% (19.4 to 99.4%), 3 of 4
}

func ExampleAUROC() {
	fmt.Println(must(stats.AUROC([]float64{0.9, 0.8, 0.4}, []float64{0.1, 0.5}))) // those that are to be higher first
	// Output: 0.8333333333333334
}

func ExamplePairedOf() {
	first, second := []bool{true, true, false, false}, []bool{true, true, true, false}
	p := must(stats.PairedOf(first, second))
	fmt.Println(p.Difference())
	// Output: 0.25
}
