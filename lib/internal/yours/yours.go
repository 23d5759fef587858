// Package yours stands in examples for what a person brings: photographs, and a network that tells them apart. They are
// so small that an example takes no time.
package yours

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Side is that of a picture in pixels, and dot that of its dot.
const (
	Side = 8
	dot  = 3
)

// Photos are n pictures of 8 x 8 grey pixels with a bright dot of 3 x 3, by turns on the left and on the right.
func Photos(n int) *data.Dataset {
	rng := rand.New(rand.NewPCG(1, 1))
	pixels, labels := make([]float32, n*Side*Side), make([]int, n)
	for i := range labels {
		labels[i] = i % 2
		row, column := rng.IntN(Side-dot+1), (Side-dot)*labels[i]
		for p := range Side * Side {
			v := 0.1 * rng.Float32()
			if y, x := p/Side, p%Side; y >= row && y < row+dot && x >= column && x < column+dot {
				v += 0.8
			}
			pixels[i*Side*Side+p] = v
		}
	}
	return must(data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, n, Side, Side, 1), labels,
		[]string{"left", "right"}))
}

// Boxes are the sides that the dots of the first n photos are on.
func Boxes(n int) []mask.Box {
	boxes := make([]mask.Box, n)
	for i := range boxes {
		boxes[i] = mask.Box{Column: Side / 2 * (i % 2), Height: Side, Width: Side / 2}
	}
	return boxes
}

// Network tells the photos apart by which half is brighter, and is never wrong.
func Network() *model.Model {
	m := must(model.FromFunc(model.Spec{Name: "balance", Height: Side, Width: Side, Channels: 1,
		Classes: []string{"left", "right"}}, func(x *graph.Node) *graph.Node {
		half := func(from, to int) *graph.Node {
			part := graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(from, to), graph.AxisRange())
			return graph.ExpandAxes(graph.ReduceSum(part, 1, 2, 3), -1)
		}
		return graph.Concatenate([]*graph.Node{half(0, Side/2), half(Side/2, Side)}, -1)
	}))
	return m
}

// CNN is a small convolutional network that has learnt photos.
func CNN(photos *data.Dataset) *model.Model {
	m := must(learn.SmallCNN(Spec(), 2, 1, 4))
	images := must(photos.All())
	recipe := learn.Recipe{Epochs: 8, BatchSize: 10, LearningRate: 0.02, Adam: true, Seed: 1}
	trained, _, err := recipe.Train(m, images, photos.Labels())
	return must(trained, err)
}

// Spec is that of a network of such photos.
func Spec() model.Spec {
	return model.Spec{Name: "small", Height: Side, Width: Side, Channels: 1, Classes: []string{"left", "right"}}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Errorf("yours: %w", err))
	}
	return v
}
