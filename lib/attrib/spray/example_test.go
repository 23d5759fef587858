package spray_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/attrib/spray"
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

// Is there a group of images that a class is recognised in by something else?
func ExampleSpRAy() {
	photos := yours.Photos(60)
	all := must(spray.SpRAy{Neighbors: 5}.Classes(yours.CNN(photos), photos)) // the most suspicious class first
	fmt.Println(len(all), "classes of", len(all[0].Images), "images")
	// Output: 2 classes of 30 images
}

// Does the part that a group goes by decide? It is put onto images of other classes.
func ExampleTransplant() {
	mark := perturb.Patch{Row: 0, Column: 6, Side: 2, Value: 1}
	photos, _, err := mark.Plant(yours.Photos(80), 0.3, 0) // a mark on a third of the lefts
	if err != nil {
		panic(err)
	}
	net := yours.CNN(photos)
	all := must(spray.SpRAy{Neighbors: 5}.Classes(net, photos, 0))
	tried := must(spray.Transplant{Images: 30}.Of(net, photos, all[0], 0))
	fmt.Println(len(tried.Onto), "images of other classes got a part of", tried.Height, "x", tried.Width, "pixels")
	// Output: 30 images of other classes got a part of 2 x 2 pixels
}

func ExampleRecoveryOf() {
	mark := perturb.Patch{Row: 0, Column: 6, Side: 2, Value: 1}
	photos, has, err := mark.Plant(yours.Photos(80), 0.3, 0)
	if err != nil {
		panic(err)
	}
	found := must(spray.RecoveryOf(must(spray.SpRAy{Neighbors: 5}.Classes(yours.CNN(photos), photos)), 0, has))
	fmt.Println(found.Place >= 1 && found.RandIndex <= 1)
	// Output: true
}
