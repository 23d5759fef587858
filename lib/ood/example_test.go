package ood_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/ood"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// noDots are four pictures without a dot, which the network knows nothing of.
func noDots() *data.Dataset {
	grey := tensors.FromScalarAndDimensions(float32(0.05), 4, 8, 8, 1)
	return must(data.FromTensor(grey, nil, nil))
}

// logits are a network's of photos like those that it was trained on, and of pictures that are not.
func logits() (known, unknown *tensors.Tensor) {
	net := yours.Network()
	return must(net.LogitsOf(yours.Photos(40))), must(net.LogitsOf(noDots()))
}

func ExampleOf() {
	known, unknown := logits()
	energy := func(t *tensors.Tensor) float64 { return must(ood.Of(ood.Energy{}, t))[0] } // or MaxLogit, MaxSoftmax, …
	// The higher, the less it is known.
	fmt.Println(energy(unknown) > energy(known))
	// Output: true
}

func ExampleOfAnswers() {
	answers := must(yours.Network().Answers(yours.Photos(3)))
	fmt.Println(len(must(ood.OfAnswers(ood.MaxSoftmax{}, answers))), "scores")
	// Output: 3 scores
}

func ExampleDetect() {
	known, unknown := logits()
	d := must(ood.Detect(must(ood.Of(ood.MaxLogit{}, unknown)), must(ood.Of(ood.MaxLogit{}, known))))
	fmt.Println(d.AUROC, d.FPR95)
	// Output: 1 0
}

func ExampleEvaluate() {
	known, unknown := logits()
	compared := must(ood.Evaluate("no dots", unknown, known, ood.MaxSoftmax{}, ood.Energy{}, ood.Entropy{}))
	fmt.Println(must(compared.Detection("energy")).AUROC)
	// Output: 1
}

func ExampleSplit() {
	answers := must(yours.Network().Answers(yours.Photos(40)))
	unknown, known, err := ood.Split(answers, []int{0}) // as if the network knew the first class alone
	fmt.Println(unknown.Shape().Dimensions, known.Shape().Dimensions, err)
	// Output: [20 1] [20 1] <nil>
}

func ExampleFitKNN() {
	photos := yours.Photos(40)
	by := must(ood.FitKNN(yours.CNN(photos), photos, 1)) // the distance from the nearest photo
	known, unknown := must(by.Scores(photos)), must(by.Scores(noDots()))
	fmt.Println(must(ood.Detect(unknown, known)).AUROC)
	// Output: 1
}

func ExampleFitMahalanobis() {
	photos := yours.Photos(40)
	by := must(ood.FitMahalanobis(yours.CNN(photos), photos))
	fmt.Println(len(must(by.Scores(noDots()))), "scores by", by.Name())
	// Output: 4 scores by Mahalanobis
}

func ExampleFitViM() {
	photos := yours.Photos(40)
	by := must(ood.FitViM(yours.CNN(photos), photos, 2)) // 2 dimensions, 0 lets the number of features say
	fmt.Println(len(must(by.Scores(noDots()))), "scores by", by.Name())
	// Output: 4 scores by ViM
}

func ExampleFitReAct() {
	photos := yours.Photos(40)
	by := must(ood.FitReAct(yours.CNN(photos), photos, 90)) // features are cut at the 90th percentile
	fmt.Println(len(must(by.Scores(noDots()))), "scores by", by.Name())
	// Output: 4 scores by ReAct
}

func ExampleODIN() {
	by := ood.ODIN{Model: yours.CNN(yours.Photos(40))}
	fmt.Println(len(must(by.Scores(noDots()))), "scores by", by.Name())
	// Output: 4 scores by ODIN
}

func ExampleFitKLMatching() {
	known, unknown := logits()
	by := must(ood.FitKLMatching(known))
	fmt.Println(len(must(ood.Of(by, unknown))), "scores by", by.Name())
	// Output: 4 scores by KL matching
}

func ExampleHighConfidence() {
	known, _ := logits()
	fmt.Println(len(must(ood.HighConfidence(known, 0.99))), "photos of which it is so sure")
	// Output: 40 photos of which it is so sure
}

func ExampleAUROCInterval() {
	iv := must(ood.AUROCInterval([]float64{3, 4, 5, 6}, []float64{1, 2, 3, 4}, 1))
	fmt.Println(iv.Low > 0.4 && iv.High <= 1)
	// Output: true
}
