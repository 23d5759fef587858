package augment_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/augment"
	"github.com/loupeml/loupe/lib/internal/yours"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleAugMix() {
	images := must(yours.Photos(4).All())
	mixed := must(augment.AugMix{}.Apply(images, 1)) // the paper's settings; another seed gives other mixtures
	fmt.Println(mixed.Shape().Dimensions)
	// Output: [4 8 8 1]
}

func ExampleOperations() {
	for _, o := range augment.Operations()[:3] {
		fmt.Println(o)
	}
	// Output:
	// autocontrast
	// equalize
	// posterize
}

func ExampleTrainAutoencoder() {
	images := must(yours.Photos(16).All())
	net := must(augment.TrainAutoencoder(images, 5, 1)) // 0 steps would be 800
	fmt.Println(must(net.Reconstruct(images)).Shape().Dimensions)
	// Output: [16 8 8 1]
}

// An autoencoder that is put out of order makes photos that look like none it has seen.
func ExampleDeepAugment() {
	images := must(yours.Photos(16).All())
	deep := augment.DeepAugment{Network: must(augment.TrainAutoencoder(images, 5, 1)),
		Distortions: augment.CodeDistortions()[:1]}
	fmt.Println(must(deep.Apply(images, 1)).Shape().Dimensions)
	// Output: [16 8 8 1]
}

func ExampleDifference() {
	black, grey := tensors.FromScalarAndDimensions(float32(0), 2, 8, 8, 1), tensors.FromScalarAndDimensions(
		float32(0.5), 2, 8, 8, 1)
	fmt.Println(must(augment.Difference(black, grey))) // for each image
	// Output: [0.5 0.5]
}
