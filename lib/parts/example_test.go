package parts_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
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

// Dots get pieces of photographs behind them and in them, always those of another class.
func ExampleScenes() {
	photographs := yours.Photos(4) // two for each class
	scene := must(parts.Scenes{Photos: photographs, Level: 0.5, Seed: 1}.Of(yours.Photos(4)))
	fmt.Println(scene.Labels, scene.Behind, scene.Fills)
	// Output: [0 1 0 1] [1 0 1 0] [1 0 1 0]
}

// segmenter is a part model of two parts a class that has learnt nothing yet.
func segmenter() *model.Model {
	spec := yours.Spec()
	spec.Classes = nil
	return must(parts.BoundingBox{}.Make(must(networks.UNet{Width: 2, Downs: 1}.Make(spec, 5, 1)), 2, 1))
}

func ExampleSegment() {
	seen := must(parts.Segment(segmenter(), must(yours.Photos(2).All()))) // the likeliest part of each pixel
	fmt.Println(seen.Shape().Dimensions)
	// Output: [2 8 8]
}

func ExampleSegmentationGrid() {
	images := must(yours.Photos(2).All())
	grid := must(parts.SegmentationGrid(segmenter(), images, images, 4)) // the second would be attacked
	fmt.Println(len(grid.Rows), "rows")
	// Output: 4 rows
}

func ExampleEvaluate() {
	photos := yours.Photos(2)
	attacks := attack.AutoAttack{Norm: attack.LInf, Eps: 0.01, Steps: 2, Targets: 1, Queries: 2}
	stood := must(parts.Evaluate(attacks, yours.Network(), must(photos.All()), photos.Labels(), masks(), masks(),
		photos.Labels(), 0)) // of a network without parts it is AutoAttack alone
	fmt.Println(stood.Robust.Correct, "of 2 stand")
	// Output: 2 of 2 stand
}
