package manifold_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/manifold"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleTSNE() {
	layout := must(manifold.TSNE{Perplexity: 5, Iterations: 20}.Embed(must(yours.Photos(20).All())))
	fmt.Println(layout.Points.Dims())
	// Output: 20 2
}

func ExampleUMAP() {
	layout := must(manifold.UMAP{Neighbors: 5, Epochs: 20}.Embed(must(yours.Photos(20).All())))
	fmt.Println(layout.Points.Dims())
	// Output: 20 2
}

// pairs are four points on a line, of which the first two and the last two lie near each other.
func pairs() *tensors.Tensor { return tensors.FromFlatDataAndDimensions([]float32{0, 1, 10, 12}, 4, 1) }

func ExampleNearestNeighbors() {
	near := must(manifold.NearestNeighbors(pairs(), 1))
	fmt.Println(near.Indices, near.Distances)
	// Output: [[1] [0] [3] [2]] [[1] [1] [2] [2]]
}

// As many eigenvalues are 0 as the graph of neighbours has parts.
func ExampleAffinity_Laplacian() {
	near := must(manifold.NearestNeighbors(pairs(), 1))
	spectrum := must(near.BinaryAffinity().Laplacian(3))
	parts := 0
	for _, value := range spectrum.Values {
		if value < 1e-8 {
			parts++
		}
	}
	fmt.Println(parts, "parts")
	// Output: 2 parts
}
