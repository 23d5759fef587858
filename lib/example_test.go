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

func ExampleCorruptionSweep() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.CorruptionSweep(m, photos, "gaussian_noise", "fog"))
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
