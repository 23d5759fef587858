package perturb_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/perturb"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleCorruption() {
	c := must(perturb.CorruptionNamed("contrast"))
	worse := must(c.Apply(must(yours.Photos(2).All()), 5, 1)) // the severity, 1 to 5, and the seed
	fmt.Println(c, worse.Shape().Dimensions)
	// Output: contrast [2 8 8 1]
}

func ExampleCorruptionNamed() {
	fmt.Println(must(perturb.CorruptionNamed("fog")))
	// Output: fog
}

func ExampleCorruptionsNamed() {
	fmt.Println(must(perturb.CorruptionsNamed("fog", "jpeg_compression")))
	// Output: [fog jpeg_compression]
}

func ExampleCommon() {
	fmt.Println(len(perturb.Common()), "corruptions of ImageNet-C, and", len(perturb.Ovadia()), "of Ovadia et al.")
	// Output: 15 corruptions of ImageNet-C, and 16 of Ovadia et al.
}

func ExamplePatch() {
	mark := perturb.Patch{Row: 0, Column: 3, Side: 2, Value: 1}
	marked := must(mark.Apply(must(yours.Photos(3).All()), []int{0, 2})) // on the first and on the third
	fmt.Println(marked.Value().([][][][]float32)[0][0][3][0])
	// Output: 1
}

func ExamplePatch_Plant() {
	mark := perturb.Patch{Side: 2, Value: 1}
	planted, has, err := mark.Plant(yours.Photos(40), 0.25, 1) // on a fourth of class 1
	fmt.Println(planted.Len(), "photos,", len(has), "with the mark", err)
	// Output: 40 photos, 5 with the mark <nil>
}

func ExampleRotate() {
	turned := must(perturb.Rotate(must(yours.Photos(2).All()), 90))
	fmt.Println(turned.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleRoll() {
	photos := must(yours.Photos(1).All())
	back := must(perturb.Roll(must(perturb.Roll(photos, 3)), -3)) // to the right, and back
	fmt.Println(back.Equal(photos))
	// Output: true
}

func ExampleCorruptions() {
	for _, c := range perturb.Corruptions()[:3] {
		fmt.Println(c)
	}
	// Output:
	// gaussian_noise
	// shot_noise
	// impulse_noise
}

func ExampleOvadia() {
	fmt.Println(len(perturb.Ovadia()), "corruptions")
	// Output: 16 corruptions
}
