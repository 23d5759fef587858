package loupe_test

import (
	"fmt"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
)

func ExampleLoad() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.TopK(m, photos, 5))
}

func ExampleOpen() {
	digits := loupe.Open("mnist")
	loupe.Show(digits)
}

func ExampleExplain() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.Explain(m, photos, attrib.GradCAM{}, attrib.Occlusion{}))
}

func ExampleEvaluate() {
	m := loupe.Load("efficientnet-lite0")
	e := loupe.Evaluate(m, loupe.Open("sample-imagenet"))
	loupe.Show(e)
	mistakes, err := e.Mistakes(20) // in a cell e.Mistakes(20) alone shows them, and an error stops the cell
	if err != nil {
		fmt.Println(err)
		return
	}
	loupe.Show(mistakes)
	loupe.Save("mistakes.csv", mistakes)
}

func ExampleCompare() {
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.Compare(loupe.Load("squeezenet"), loupe.Load("efficientnet-lite0"), photos))
}

func ExampleMissing() {
	m := loupe.Load("efficientnet-lite0")
	loupe.Show(loupe.Missing(m, loupe.Open("sample-imagenet").Take(4), 1))
}

func ExampleOverSeeds() {
	accuracies := []float64{0.91, 0.89, 0.93}
	fmt.Println(loupe.OverSeeds("accuracy", 3, func(seed uint64) float64 { return accuracies[seed-1] }).Value)
	// Output: 0.91
}

func ExampleCorruptionSweep() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.CorruptionSweep(m, photos, "gaussian_noise", "weather"))
}

func ExampleCorrupt() {
	images := loupe.Images(loupe.Load("squeezenet"), loupe.Open("sample-imagenet"))
	for severity := 1; severity <= 5; severity++ {
		loupe.Show(loupe.Gallery(loupe.Corrupt(images, "fog", severity, 1)))
	}
}

func ExampleMean() {
	fmt.Println(loupe.Mean([]float64{1, 2, 6}))
	// Output: 3
}
