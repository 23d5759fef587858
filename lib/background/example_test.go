package background_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/background"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/parts"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// dots are n photos with the masks of their dots.
func dots(n int) background.Subjects {
	photos := yours.Photos(n)
	images := must(photos.All())
	return background.Subjects{Images: images, Masks: must(parts.Halves(images, photos.Labels(), 0.5)),
		Labels: photos.Labels()}
}

// grounds are two grey places, the second one brighter: that of the dots on the right.
func grounds() background.Places {
	return background.Places{Images: tensors.FromFlatDataAndDimensions(append(grey(0.2), grey(0.4)...), 2, yours.Side,
		yours.Side, 1), Kinds: []int{0, 1}}
}

func grey(level float32) []float32 {
	pixels := make([]float32, yours.Side*yours.Side)
	for i := range pixels {
		pixels[i] = level
	}
	return pixels
}

// Photos on backgrounds of which it is known what they tell: here always the class.
func ExampleCompose() {
	composed := must(background.Compose(dots(40), grounds(), 1, 1))
	fmt.Println(composed.Labels[:4], composed.Kinds[:4])
	// Output: [0 1 0 1] [0 1 0 1]
}

func ExampleComposed_Groups() {
	composed := must(background.Compose(dots(40), grounds(), 0.5, 1))
	groups := must(composed.Groups(composed.Kinds)) // of a classifier that goes by the background alone
	fmt.Println(groups.OnOwn().Share(), groups.OnOthers().Share())
	// Output: 1 0
}

func ExampleGapOf() {
	gap := must(background.GapOf(yours.Network().Predict, dots(10), 1))
	fmt.Println(gap.OnlyFG)
	// Output: 100.0% (69.2 to 100.0%), 10 of 10
}

func ExampleSubjects_MixedRand() {
	fmt.Println(must(dots(10).MixedRand(1)).Shape().Dimensions) // each dot on the background of another photo
	// Output: [10 8 8 1]
}

func ExampleTiled() {
	s := dots(10)
	empty := tensors.MustCopyFlatData[float32](must(background.Tiled(s.Images, s.Masks)))
	brightest := float32(0)
	for _, v := range empty {
		brightest = max(brightest, v)
	}
	fmt.Println(brightest < 0.1) // the dots, which are brighter than 0.8, are gone
	// Output: true
}

// Dots become smaller, and lie somewhere in a larger picture.
func ExamplePlacement() {
	place := background.Placement{Height: 16, Width: 16, Scale: [2]float64{0.5, 1}, Level: 0.5, Seed: 1}
	placed := must(place.Of(yours.Photos(10)))
	fmt.Println(placed.Images.Shape().Dimensions, placed.Masks.Shape().Dimensions)
	// Output: [10 16 16 1] [10 16 16]
}

func ExamplePieces() {
	places := must(background.Pieces(yours.Photos(2), 4, 4, 3, 1)) // three of 4 x 4 pixels of each photo
	fmt.Println(places.Images.Shape().Dimensions, places.Kinds)
	// Output: [6 4 4 1] [0 0 0 1 1 1]
}

func ExampleBinary() {
	soft := tensors.FromFlatDataAndDimensions([]float32{0.1, 0.5, 0.9}, 1, 1, 3)
	fmt.Println(tensors.MustCopyFlatData[int32](must(background.Binary(soft, 0.5))))
	// Output: [0 1 1]
}

// Photos as a run would learn from them, half of them on the background of another one.
func ExampleRandom() {
	composed := must(background.Compose(dots(10), grounds(), 0.5, 1))
	augmented := must(learn.Augmented(must(composed.Source()), []int{0, 1, 2, 3}, 1, background.Random{
		Probability: []float64{0.5}, Whole: true})) // the other one with its dot: not filled, as by default
	fmt.Println(augmented[learn.Images].Shape().Dimensions)
	// Output: [4 8 8 1]
}

func ExampleRemove() {
	composed := must(background.Compose(dots(10), grounds(), 0.5, 1))
	augmented := must(learn.Augmented(must(composed.Source()), []int{0}, 1, background.Remove{}))
	pixels := tensors.MustCopyFlatData[float32](augmented[learn.Images])
	shades := map[float32]bool{}
	for i, part := range tensors.MustCopyFlatData[int32](composed.Masks)[:len(pixels)] {
		if part == 0 {
			shades[pixels[i]] = true
		}
	}
	fmt.Println(len(shades), "grey behind the dot")
	// Output: 1 grey behind the dot
}
