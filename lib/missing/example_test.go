package missing_test

import (
	"fmt"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExamplePatchesOf() {
	patches := must(missing.PatchesOf(must(yours.Photos(3).All()), 2)) // 2 x 2 pixels each
	fmt.Println(patches.Len(), "images of", patches.Most(), "patches")
	// Output: 3 images of 16 patches
}

func ExampleTenths() {
	patches, counts, err := missing.Tenths(must(yours.Photos(3).All()))
	fmt.Println(patches.Most(), counts, err)
	// Output: 64 [0 6 12 19 25 32 38 44 51 57 64] <nil>
}

func ExampleSLIC() {
	segments := must(missing.SLIC{Segments: 4}.Segment(must(yours.Photos(1).All()))) // superpixels
	fmt.Println(segments.Most() >= 2)
	// Output: true
}

func ExampleAblation() {
	net, photos := yours.Network(), must(yours.Photos(4).All())
	patches := must(missing.PatchesOf(photos, 4))
	taken := missing.Ablation{Counts: []int{0, 2, 4}, How: missing.Fill{With: mask.Mean()}}
	curve := must(taken.Run(net, photos, patches, patches.RandomOrders(1)))
	same, _, err := curve.Agreement(0) // with its interval
	fmt.Println("the share that is taken for the same with nothing gone:", same, err)
	// Output: the share that is taken for the same with nothing gone: 1 <nil>
}

func ExampleFill() {
	fmt.Println(missing.Fill{With: mask.Constant(0)}.Name())
	fmt.Println(missing.Fill{With: mask.Blur()}.Name())
	// Output:
	// black
	// blur
}

// Tokens are left out of a transformer, which then does not see the patches at all.
func ExampleDropTokens() {
	photos := yours.Photos(4)
	vit := loupe.SmallViT(photos, 1, learn.ViT{Patch: 4, Width: 8, Depth: 1, Heads: 2})
	images := must(photos.All())
	patches := must(missing.PatchesOf(images, 4))
	curve := must(missing.Ablation{Counts: []int{0, 2}, How: missing.DropTokens{}}.Run(vit, images, patches,
		patches.RandomOrders(1)))
	fmt.Println(curve.How, curve.Len(), "images")
	// Output: tokens dropped 4 images
}

func ExampleLIME() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	halves := must(missing.PatchesOf(photos, 4))
	explained := must(missing.LIME{Masks: 64}.Explain(net, photos, halves))
	for i, c := range explained.Coefficients {
		fmt.Println(explained.ClassNames[i], c[0]+c[2] > c[1]+c[3]) // the patches on the left speak for it
	}
	// Output:
	// left true
	// right false
}

func ExampleKernelSHAP() {
	net, photos := yours.Network(), must(yours.Photos(1).All())
	explained := must(missing.KernelSHAP{}.Explain(net, photos, must(missing.PatchesOf(photos, 4))))
	fmt.Println(explained.Classes, len(explained.Coefficients[0]), "patches")
	// Output: [0] 4 patches
}

func ExampleSideBySide() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	patches := must(missing.PatchesOf(photos, 4))
	black := must(missing.LIME{Masks: 64}.Explain(net, photos, patches))
	grey := must(missing.LIME{Masks: 64, How: missing.Fill{With: mask.Mean()}}.Explain(net, photos, patches))
	fmt.Println(len(must(missing.SideBySide(photos, black, grey)).Rows), "rows")
	// Output: 2 rows
}

// Several networks of a kind, one for each seed: the result is about a way to train.
func ExampleAblation_Across() {
	photos := yours.Photos(40)
	images := must(photos.Take(4).All())
	patches := must(missing.PatchesOf(images, 4))
	black := []missing.Approximation{missing.Fill{With: mask.Constant(0)}}
	curves := must(missing.Ablation{Counts: []int{0, 2}}.Across(images, patches, missing.ByChance,
		missing.NetworkGroup{Name: "balance", Nets: []*model.Model{yours.Network()}, Hows: black},
		missing.NetworkGroup{Name: "small CNN", Nets: []*model.Model{yours.CNN(photos)}, Hows: black}))
	fmt.Println(must(curves.Values("balance, black", missing.AgreementPercent, 0)))
	// Output: [100]
}

func ExampleLeastSalient() {
	net, photos := yours.Network(), must(yours.Photos(1).All())
	order := missing.LeastSalient(attrib.InputXGradient{})
	patches := must(missing.PatchesOf(photos, 4))
	orders := must(order(net, photos, patches, missing.Fill{With: mask.Constant(0)}, 1))
	fmt.Println(len(orders[0]), "patches")
	// Output: 4 patches
}

// A network that is trained so knows what missing looks like.
func ExampleDropPatches() {
	photos := yours.Photos(40)
	recipe := learn.Recipe{Epochs: 2, BatchSize: 10, LearningRate: 0.02, Adam: true, Seed: 1}
	recipe.Augment = must(missing.DropPatches(4, 0.5))
	fmt.Println(loupe.Train(loupe.SmallCNN(photos, 1, 4), photos, recipe).NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleByChance() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	patches := must(missing.PatchesOf(photos, 4))
	orders := must(missing.ByChance(net, photos, patches, missing.Fill{With: mask.Mean()}, 1)) // whatever the network is
	fmt.Println(len(orders), "orders of", len(orders[0]), "patches")
	// Output: 2 orders of 4 patches
}
