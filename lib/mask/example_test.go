package mask_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleBatchedGradientSIS() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	order := must(mask.BatchedGradientSIS{K: 4}.BackSelect(net, photos))
	enough := must(order.Sufficient(0.9)) // the last pixels that keep the class at 0.9
	fmt.Println(order.Classes, "of", order.Pixels(), "pixels", enough.Sizes, "are enough")
	// Output: [0 1] of 64 pixels [4 4] are enough
}

func ExampleSIS() {
	net, photos := yours.Network(), must(yours.Photos(1).All())
	subsets := must(mask.SIS{Threshold: 0.9, Most: 1}.Collection(net, photos))
	fmt.Println(len(subsets[0].Positions), "pixels are enough for", subsets[0].Value >= 0.9)
	// Output: 3 pixels are enough for true
}

func ExampleVectorSIS() {
	sum := func(x *graph.Node) *graph.Node { return graph.ReduceSum(x, -1) }
	subsets := must(mask.VectorSIS(sum, 5, []float32{4, 1, 3, 2}, make([]float32, 4)))
	for _, s := range subsets {
		fmt.Println(s.Positions, s.Value)
	}
	// Output: [0 2] 7
}

func ExampleOrdering_Last() {
	order := must(mask.BatchedGradientSIS{K: 4}.BackSelect(yours.Network(), must(yours.Photos(1).All())))
	kept := must(order.Last(0.125)) // 1 at an eighth of the pixels, those masked last
	fmt.Println(kept.Shape().Dimensions, tensorSum(kept))
	// Output: [1 8 8] 8
}

func tensorSum(t *tensors.Tensor) (sum float32) {
	for _, v := range tensors.MustCopyFlatData[float32](t) {
		sum += v
	}
	return sum
}

func ExampleCompareSizes() {
	photos := yours.Photos(40)
	images := must(photos.Take(4).All())
	order := func(m *model.Model) []*mask.Ordering {
		return []*mask.Ordering{must(mask.BatchedGradientSIS{K: 4}.BackSelect(m, images))}
	}
	sizes := must(mask.CompareSizes([]float64{0.9},
		mask.OrderingGroup{Name: "balance", Orderings: order(yours.Network())},
		mask.OrderingGroup{Name: "small CNN", Orderings: order(yours.CNN(photos))}))
	fmt.Println(sizes.Table().Header)
	// Output: [threshold balance small CNN all of these]
}

func ExampleTransfer() {
	net, photos := yours.Network(), yours.Photos(4)
	images := must(photos.All())
	order := must(mask.BatchedGradientSIS{K: 4}.BackSelect(net, images))
	subset := must(mask.Keep(images, must(order.Last(0.125)), mask.Constant(0), 1))
	scores := must(mask.Transfer([]*model.Model{net}, []*tensors.Tensor{subset}, photos.Labels()))
	fmt.Println(scores[0][0].Accuracy)
	// Output: 100.0% (39.8 to 100.0%), 4 of 4
}

func ExampleEvaluate() {
	photos := yours.Photos(4)
	score := must(mask.Evaluate(yours.Network(), must(photos.All()), photos.Labels(), photos.Labels()))
	fmt.Println(score.Accuracy)
	// Output: 100.0% (39.8 to 100.0%), 4 of 4
}

func ExampleTop() {
	net, photos := yours.Network(), yours.Photos(1)
	heat := must(loupe.Attribute(net, photos, attrib.InputXGradient{}).Heatmap())
	top := must(mask.Top(heat, 0.125)) // 1 at an eighth of the pixels, the highest
	fmt.Println(tensorSum(top), "pixels")
	// Output: 8 pixels
}

func ExampleRandom() {
	masked := must(mask.Random(2, 8, 8, 0.25, 1)) // two masks of a fourth of 8 x 8 pixels, by seed 1
	fmt.Println(masked.Shape().Dimensions, tensorSum(masked))
	// Output: [2 8 8] 32
}

func ExampleAsImages() {
	fmt.Println(must(mask.AsImages(must(mask.Random(2, 8, 8, 0.25, 1)))).Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleApply() {
	photos := must(yours.Photos(1).All())
	half := must(mask.Random(1, 8, 8, 0.5, 1))
	dark := must(mask.Apply(photos, half, mask.Constant(0), 1)) // or mask.Mean(), mask.Blur(), mask.Noise()
	fmt.Println(tensorSum(dark) < tensorSum(photos))
	// Output: true
}

func ExampleKeep() {
	photos := must(yours.Photos(1).All())
	few := must(mask.Random(1, 8, 8, 0.1, 1))
	fmt.Println(tensorSum(must(mask.Keep(photos, few, mask.Constant(0), 1))) < tensorSum(photos)/2)
	// Output: true
}

// A filler is what stands in the place of pixels that are masked.
func ExampleFiller() {
	net := yours.Network()
	for _, f := range []mask.Filler{mask.Constant(0), mask.Mean(), mask.DatasetMean(net), mask.Blur(), mask.Noise()} {
		fmt.Println(f)
	}
	// Output:
	// constant 0
	// mean
	// dataset mean
	// blur
	// noise
}

func ExampleBrightening() {
	before := must(yours.Photos(1).All())
	after := loupe.Exec(func(x *graph.Node) *graph.Node { // the left half becomes brighter
		left, right := graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(0, 4)),
			graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(4, 8))
		return graph.Concatenate([]*graph.Node{graph.AddScalar(left, 0.1), right}, 2)
	}, before)[0]
	fmt.Printf("%.2f\n", must(mask.Brightening(before, after, mask.Box{Height: 8, Width: 4})))
	// Output: [0.10]
}

func ExampleInside() {
	heat := must(loupe.Attribute(yours.Network(), yours.Photos(2), attrib.InputXGradient{}).Heatmap())
	inside := must(mask.Inside(heat, mask.Box{Height: 8, Width: 4}, mask.Box{Column: 4, Height: 8, Width: 4}))
	fmt.Println(inside.Hits())
	// Output: 100.0% (15.8 to 100.0%), 2 of 2
}

func ExampleConstant() {
	white := must(mask.Apply(must(yours.Photos(1).All()), must(mask.Random(1, 8, 8, 1, 1)), mask.Constant(1), 1))
	fmt.Println(tensorSum(white), "of 64")
	// Output: 64 of 64
}

func ExampleMean() {
	photos := must(yours.Photos(1).All())
	grey := must(mask.Apply(photos, must(mask.Random(1, 8, 8, 1, 1)), mask.Mean(), 1)) // all in the picture's mean
	fmt.Printf("%.3f\n", tensorSum(grey)-tensorSum(photos))
	// Output: 0.000
}

func ExampleBlur() {
	photos := must(yours.Photos(1).All())
	blurred := must(mask.Apply(photos, must(mask.Random(1, 8, 8, 1, 1)), mask.Blur(), 1))
	fmt.Println(blurred.Shape().Dimensions)
	// Output: [1 8 8 1]
}

func ExampleDatasetMean() {
	net := yours.Network() // which does not normalise: its mean is black
	black := must(mask.Apply(must(yours.Photos(1).All()), must(mask.Random(1, 8, 8, 1, 1)), mask.DatasetMean(net), 1))
	fmt.Println(tensorSum(black))
	// Output: 0
}

func ExampleNoise() {
	gone := must(mask.Random(1, 8, 8, 1, 1)) // all of one photo
	first := must(mask.Apply(must(yours.Photos(1).All()), gone, mask.Noise(), 1))
	again := must(mask.Apply(must(yours.Photos(1).All()), gone, mask.Noise(), 1))
	fmt.Println(tensorSum(first) > 0, tensorSum(first) == tensorSum(again)) // the same seed gives the same noise
	// Output: true true
}
