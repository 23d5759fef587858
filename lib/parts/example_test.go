package parts_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/parts"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// masks are those of two photos: the upper and the lower half of each dot.
func masks() *tensors.Tensor {
	photos := yours.Photos(2)
	return must(parts.Halves(must(photos.All()), photos.Labels(), 0.5))
}

func ExampleHalves() {
	fmt.Println(masks().Shape().Dimensions)
	// Output: [2 8 8]
}

func ExampleScattered() {
	fmt.Println(must(parts.Scattered(masks(), 1)).Shape().Dimensions) // as many pixels of each part, anywhere
	// Output: [2 8 8]
}

func ExamplePixelAccuracy() {
	fmt.Println(must(parts.PixelAccuracy(masks(), masks()))) // of the pixels of parts
	// Output: 100.0% (81.5 to 100.0%), 18 of 18
}

func ExampleData() {
	photos := yours.Photos(2)
	source := must(parts.Data(must(photos.All()), photos.Labels(), masks(), 5)) // two parts a class, and the background
	fmt.Println(source.Len(), "examples")
	// Output: 2 examples
}

func ExampleShapeBias() {
	fmt.Println(must(parts.ShapeBias([]int{0, 1, 1}, []int{0, 0, 1}, []int{1, 1, 0}))) // predicted, shape, texture
	// Output: 66.7% (9.4 to 99.2%), 2 of 3
}
