package priors_test

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/priors"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleApply() {
	edges := must(priors.Apply(priors.Sobel{}, must(yours.Photos(2).All()))) // or priors.Canny{}
	fmt.Println(edges.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleCombine() {
	photos := yours.Photos(40)
	one, other := must(yours.Network().Answers(photos)), must(yours.CNN(photos).Answers(photos))
	both := must(priors.Combine(priors.MeanProbability, one, other))
	fmt.Println(must(both.Accuracy()))
	// Output: 100.0% (91.2 to 100.0%), 40 of 40
}

func ExampleStack() {
	photos := yours.Photos(40)
	one, other := must(yours.Network().Answers(photos)), must(yours.CNN(photos).Answers(photos))
	stacked := must(priors.Stack(learn.LogisticRegression{Lambda: 0.1}, one, other))
	fmt.Println(must(must(stacked.Of(one, other)).Accuracy()).Correct, "of 40")
	// Output: 40 of 40
}

func ExampleFailureModes() {
	photos := yours.Photos(40)
	untrained := must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	failures := must(priors.FailureModes(must(yours.Network().Answers(photos)), must(untrained.Answers(photos))))
	fmt.Println(len(must(failures.Table()).Rows) > 0)
	// Output: true
}

func ExampleTinted() {
	grey := tensors.FromScalarAndDimensions(float32(0.5), 4, 8, 8, 3)
	fmt.Println(must(priors.Tinted(grey, []int{0, 1, 0, 1})).Shape().Dimensions) // each class has its tint
	// Output: [4 8 8 3]
}

func ExampleCanny() {
	edges := must(priors.Apply(priors.Canny{}, must(yours.Photos(2).All()))) // 0 or 1 at each pixel
	fmt.Println(edges.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleSobel() {
	steep := must(priors.Apply(priors.Sobel{}, must(yours.Photos(2).All())))
	fmt.Println(steep.Shape().Dimensions)
	// Output: [2 8 8 1]
}

// A network that sees edges labels more photos for itself; a second learner would label them for it too.
func ExampleCoTraining() {
	labelled, more := yours.Photos(10), yours.Photos(40)
	alone := priors.CoTraining{Eras: 2, Fraction: 0.5, WholeEras: true, Learners: []priors.Learner{{Name: "edges",
		Net: must(learn.MLP(yours.Spec(), 2, 1)), Prior: priors.Sobel{},
		Run: learn.Run{Sampler: learn.Shuffled(10), Optimizer: learn.Adam{LearningRate: 0.02}, Epochs: 8}}}}
	taught := must(alone.Do(must(labelled.All()), labelled.Labels(), must(more.All()), nil))
	fmt.Println(must(taught.Nets[0].Accuracy(more)).Correct, "of 40")
	// Output: 40 of 40
}

// The names of the images tell what has which shape and which texture.
func ExampleCueConflict() {
	dir := must(os.MkdirTemp("", "cues"))
	defer os.RemoveAll(dir)
	file := must(os.Create(filepath.Join(dir, "cat7-elephant1.png")))
	if err := png.Encode(file, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		panic(err)
	}
	file.Close()
	fmt.Println(must(priors.CueConflict(dir)).Len(), "image")
	// Output: 1 image
}

// A network of ImageNet's classes is asked about two cats with the texture of an elephant.
func ExampleShapeBias() {
	probabilities := make([]float32, 2*1000)
	probabilities[281], probabilities[1000+386] = 1, 1 // tabby cat, African elephant
	answers := must(model.AnswersFromProbabilities("net", tensors.FromFlatDataAndDimensions(probabilities, 2, 1000),
		nil))
	answers.Names = []string{"cat7-elephant1.png", "cat7-elephant2.png"} // as those of CueConflict's images
	for _, c := range must(priors.ShapeBias(answers)).Categories {
		if c.ByShape+c.ByTexture > 0 {
			fmt.Println(c.Shape, "by shape:", c.ByShape, "by texture:", c.ByTexture)
		}
	}
	// Output: cat by shape: 1 by texture: 1
}
