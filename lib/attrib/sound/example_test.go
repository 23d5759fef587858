package sound_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/sound"
	"github.com/loupeml/loupe/lib/internal/yours"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Are maps complete, so that what they show makes the label, and sound, so that they do not make another?
func ExampleInsertion() {
	net, photos := yours.Network(), must(yours.Photos(4).All())
	maps := must(sound.Of(net, photos, sound.All(net, 4), attrib.InputXGradient{}))
	e := must(sound.Insertion{Points: 8}.Evaluate(net, photos, maps))
	score := must(e.Score(1)) // the right label and one other
	fmt.Println(score.Completeness > 0.9, score.Soundness < score.Completeness)
	// Output: true true
}

func ExampleLikeliest() {
	fmt.Println(must(sound.Likeliest(yours.Network(), must(yours.Photos(2).All()), 2)))
	// Output: [[0 1] [1 0]]
}

func ExampleMasks() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	by := sound.PaperMasks(net, must(yours.Photos(10).All())) // what stands in for hidden pixels
	by.Steps = 20
	fmt.Println(must(by.Attribute(net, photos, []int{0, 1})).Values.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleAll() {
	fmt.Println(sound.All(yours.Network(), 2)) // every label of two images
	// Output: [[0 1] [0 1]]
}
