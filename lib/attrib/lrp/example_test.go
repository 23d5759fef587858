package lrp_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/internal/yours"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleLRP() {
	photos := yours.Photos(40)
	by := lrp.LRP{Composite: lrp.EpsilonPlusFlat()}
	a := must(by.Attribute(yours.CNN(photos), must(photos.Take(2).All()), []int{0, 1}))
	fmt.Println(a.Values.Shape().Dimensions)
	// Output: [2 8 8 1]
}

// Which channels of a layer the class is recognised by, and which photos show best what each sees.
func ExampleCRP() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	relevance := must(lrp.CRP{}.Relevance(net, must(photos.Take(1).All()), []int{0}, net.SpatialLayer()))
	fmt.Println(len(must(lrp.RankChannels(relevance))), "channels")
	// Output: 4 channels
}

func ExampleEach() {
	net := yours.CNN(yours.Photos(40))
	fmt.Println(len(must(lrp.Each(net, net.SpatialLayer(), 0, 2))), "conditions, one for each channel")
	// Output: 2 conditions, one for each channel
}

func ExampleMaximization() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	found := must(lrp.Maximization{Count: 3}.Search(net, photos, net.SpatialLayer()))
	fmt.Println(len(found), "layer")
	// Output: 1 layer
}

func ExampleAtlasOptions() {
	photos := yours.Photos(40)
	all := must(lrp.AtlasOptions{Count: 2}.Of(yours.CNN(photos), must(photos.Take(2).All())))
	fmt.Println(len(all.Atlases), "images")
	// Output: 2 images
}

func ExampleEpsilonGammaBox() {
	fmt.Println(lrp.EpsilonGammaBox().Name, lrp.EpsilonPlusFlat().Name)
	// Output: epsilon-gamma-box epsilon-plus-flat
}
