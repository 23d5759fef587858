package issues_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/issues"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// twice are four photos, the first one again, and a black picture.
func twice() *data.Dataset {
	pixels := tensors.MustCopyFlatData[float32](must(yours.Photos(4).All()))
	size := yours.Side * yours.Side
	pixels = append(append(pixels, pixels[:size]...), make([]float32, size)...)
	return must(data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, 6, yours.Side, yours.Side, 1), nil, nil))
}

func ExampleFind() {
	found := must(issues.Find(twice(), issues.Options{Kinds: []issues.Kind{issues.Dark, issues.ExactDuplicates}}))
	for _, kind := range found.Kinds() {
		fmt.Println(kind, must(found.Of(kind)).Indices)
	}
	// Output:
	// dark [5]
	// exact_duplicates [0 4]
}

func ExampleFlagged() {
	found := must(issues.Find(twice(), issues.Options{Kinds: []issues.Kind{issues.ExactDuplicates}}))
	flagged := must(found.Of(issues.ExactDuplicates))
	fmt.Println(flagged.Sets, flagged.Scores) // the score is 1 over how many there are of it
	// Output: [[0 4]] [0.5 0.5]
}

func ExampleIssues_Clean() {
	found := must(issues.Find(twice(), issues.Options{Kinds: []issues.Kind{issues.Dark, issues.ExactDuplicates}}))
	fmt.Println(must(found.Clean())) // of a set of duplicates the first stays
	// Output: [0 1 2 3]
}
