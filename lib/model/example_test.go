package model_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/model"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A network as a graph function, from images [N, H, W, C] in 0..1 to logits [N, K].
func ExampleFromFunc() {
	spec := model.Spec{Name: "brightness", Height: 8, Width: 8, Channels: 1, Classes: []string{"dark", "bright"}}
	net := must(model.FromFunc(spec, func(x *graph.Node) *graph.Node {
		bright := graph.MulScalar(graph.AddScalar(graph.ExpandAxes(graph.ReduceMean(x, 1, 2, 3), -1), -0.5), 10)
		return graph.Concatenate([]*graph.Node{graph.Neg(bright), bright}, -1)
	}))
	white := tensors.FromScalarAndDimensions(float32(1), 1, 8, 8, 1)
	fmt.Println(net.ClassName(must(net.Predict(white))[0]))
	// Output: bright
}

func ExampleModel_Answers() {
	answers := must(yours.Network().Answers(yours.Photos(4))) // asked once, and taken by labels, ood, evaluate and others
	fmt.Println(must(answers.Predicted()), must(answers.Accuracy()))
	// Output: [0 1 0 1] 100.0% (39.8 to 100.0%), 4 of 4
}

func ExampleModel_Predict() {
	fmt.Println(must(yours.Network().Predict(must(yours.Photos(4).All()))))
	// Output: [0 1 0 1]
}

func ExampleAnswersFromLogits() {
	logits := tensors.FromFlatDataAndDimensions([]float32{3, 0, 0, 2}, 2, 2) // of a network that is not here
	answers := must(model.AnswersFromLogits("theirs", logits, []int{0, 0}))
	fmt.Println(must(answers.Accuracy()))
	// Output: 50.0% (1.3 to 98.7%), 1 of 2
}

func ExampleAnswersFromProbabilities() {
	p := tensors.FromFlatDataAndDimensions([]float32{0.9, 0.1, 0.2, 0.8}, 2, 2)
	fmt.Println(must(must(model.AnswersFromProbabilities("theirs", p, nil)).Predicted()))
	// Output: [0 1]
}

func ExampleEnsemble() {
	photos := yours.Photos(40)
	both := must(model.Ensemble("both", yours.Network(), yours.CNN(photos)))
	fmt.Println(must(both.Accuracy(photos)))
	// Output: 100.0% (91.2 to 100.0%), 40 of 40
}

func ExampleFromONNX() {
	net := must(model.FromONNX("testdata/autopad.onnx", model.Spec{Name: "mine"})) // the file says the size
	fmt.Println(net.Name(), net.NumClasses(), "classes")
	// Output: mine 7 classes
}
