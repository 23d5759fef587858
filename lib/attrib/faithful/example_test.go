package faithful_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/mask"
)

func Example() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet").Take(20)
	loupe.Show(loupe.Faithfulness(m, photos, attrib.GradCAM{}, attrib.IntegratedGradients{}))
	loupe.Show(loupe.Randomisation(m, photos, attrib.GradCAM{},
		faithful.Randomisation{Layers: []string{"_fc", "_conv_head"}}))
}

// A network that sums two pixels of four: the first one, and twice the last.
func ExampleDeletion() {
	m := loupe.Function("two pixels", 2, 2, 1, func(x *graph.Node) *graph.Node {
		flat := graph.Reshape(x, -1, 4)
		first, last := graph.Slice(flat, graph.AxisRange(), graph.AxisRange(0, 1)),
			graph.Slice(flat, graph.AxisRange(), graph.AxisRange(3, 4))
		sum := graph.Add(first, graph.MulScalar(last, 2))
		return graph.Concatenate([]*graph.Node{sum, graph.Neg(sum)}, -1)
	})
	white := tensors.FromScalarAndDimensions(float32(1), 1, 2, 2, 1)
	c, err := faithful.Deletion{Filler: mask.Constant(0), Logit: true}.Run(m, white, []int{0}, attrib.InputXGradient{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("shares of pixels taken away:", c.Fractions)
	fmt.Println("logit:", c.Values[0])
	fmt.Println("area:", c.Areas[0])
	// Output:
	// shares of pixels taken away: [0 0.25 0.5 0.75 1]
	// logit: [3 1 0 0 0]
	// area: 0.625
}
