package attrib_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/yours"
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

// hits says of photos whether the pixel that speaks most for the class lies on the side where the dot is.
func hits(a *attrib.Attribution) []bool { return loupe.Inside(a, yours.Boxes(len(a.Classes))...).Hit }

func ExampleGradient() {
	net, photos := yours.Network(), must(yours.Photos(2).All())
	a := must(attrib.Gradient{}.Attribute(net, photos, []int{0, 1})) // why left, why right
	fmt.Println(a.Values.Shape().Dimensions)
	fmt.Println(must(a.Heatmap()).Shape().Dimensions)
	// Output:
	// [2 8 8 1]
	// [2 8 8]
}

func ExampleInputXGradient() {
	a := must(attrib.InputXGradient{}.Attribute(yours.Network(), must(yours.Photos(2).All()), []int{0, 1}))
	fmt.Println(hits(a))
	// Output: [true true]
}

func ExampleIntegratedGradients() {
	photos := yours.Photos(2)
	// In a cell loupe.Attribute takes the photos as they were opened, and explains the predicted classes.
	a := loupe.Attribute(yours.Network(), photos, attrib.IntegratedGradients{Steps: 20})
	fmt.Println(a.Classes, hits(a))
	// Output: [0 1] [true true]
}

func ExampleSmoothGrad() {
	a := loupe.Attribute(yours.Network(), yours.Photos(2), attrib.SmoothGrad{Samples: 10, Level: 0.1})
	fmt.Println(a.Method)
	// Output: SmoothGrad
}

func ExampleNoiseTunnel() {
	method := attrib.NoiseTunnel{Method: attrib.InputXGradient{}, Samples: 10, Level: 0.1}
	fmt.Println(hits(loupe.Attribute(yours.Network(), yours.Photos(2), method)))
	// Output: [true true]
}

func ExampleGradientSHAP() {
	a := loupe.Attribute(yours.Network(), yours.Photos(2), attrib.GradientSHAP{Samples: 20, Seed: 1})
	fmt.Println(hits(a))
	// Output: [true true]
}

func ExampleKernelSHAP() {
	photos := yours.Photos(2)
	cells := must(missing.PatchesOf(loupe.Images(yours.Network(), photos), 4)) // 4 x 4 pixels appear and go together
	a := loupe.Attribute(yours.Network(), photos, attrib.KernelSHAP{Segments: cells, Samples: 64})
	fmt.Println(hits(a))
	// Output: [true true]
}

func ExampleDeepLIFT() {
	photos := yours.Photos(40)
	a := loupe.Attribute(yours.CNN(photos), photos.Take(2), attrib.DeepLIFT{})
	fmt.Println(a.Values.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleGuidedBackprop() {
	photos := yours.Photos(40)
	a := loupe.Attribute(yours.CNN(photos), photos.Take(2), attrib.GuidedBackprop{})
	fmt.Println(a.Values.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleOcclusion() {
	a := loupe.Attribute(yours.Network(), yours.Photos(2), attrib.Occlusion{Window: 2, Stride: 1})
	fmt.Println(hits(a))
	// Output: [true true]
}

func ExampleGradCAM() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.Attribute(m, photos, attrib.GradCAM{}))
}

// The class activation maps are as large as the last convolution's output, and are brought to the image's size.
func ExampleGradCAMPlusPlus() {
	photos := yours.Photos(40)
	a := loupe.Attribute(yours.CNN(photos), photos.Take(2), attrib.GradCAMPlusPlus{})
	fmt.Println(must(a.Heatmap()).Shape().Dimensions)
	// Output: [2 8 8]
}

func ExampleLayerCAM() {
	photos := yours.Photos(40)
	a := loupe.Attribute(yours.CNN(photos), photos.Take(2), attrib.LayerCAM{})
	fmt.Println(must(a.Heatmap()).Shape().Dimensions)
	// Output: [2 8 8]
}

func ExampleScoreCAM() {
	photos := yours.Photos(40)
	a := loupe.Attribute(yours.CNN(photos), photos.Take(2), attrib.ScoreCAM{})
	fmt.Println(must(a.Heatmap()).Shape().Dimensions)
	// Output: [2 8 8]
}

func ExampleToward() {
	why := attrib.Toward{Method: attrib.InputXGradient{}, Target: attrib.Difference(0, 1)} // left and not right
	a := loupe.Attribute(yours.Network(), yours.Photos(1), why)
	fmt.Println(a.Method)
	// Output: input x gradient of class 0 less class 1
}

func ExampleDifference() {
	a := loupe.Attribute(yours.Network(), yours.Photos(1), attrib.Toward{Method: attrib.Gradient{},
		Target: attrib.Difference(0, 1)})
	left, right := a.Values.Value().([][][][]float32)[0][0][0][0], a.Values.Value().([][][][]float32)[0][0][7][0]
	fmt.Println(left, right) // a pixel on the left speaks for left, one on the right against it
	// Output: 1 -1
}

func ExampleProbability() {
	a := loupe.Attribute(yours.Network(), yours.Photos(1), attrib.Toward{Method: attrib.Gradient{},
		Target: attrib.Probability()})
	fmt.Println(a.Method)
	// Output: gradient of probability
}

// A method of one's own: any type with a name that attributes.
type bright struct{}

func (bright) Name() string { return "brightness" }

func (bright) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*attrib.Attribution, error) {
	if classes == nil { // the predicted ones are meant
		classes = must(m.Predict(images))
	}
	return attrib.NewAttribution(bright{}, m, loupe.Exec(graph.Square, images)[0], classes), nil
}

func ExampleMethod() {
	fmt.Println(hits(loupe.Attribute(yours.Network(), yours.Photos(2), bright{})))
	// Output: [true true]
}

func ExampleMethods() {
	for _, method := range attrib.Methods()[:3] {
		fmt.Println(method.Name())
	}
	// Output:
	// gradient
	// input x gradient
	// integrated gradients
}
