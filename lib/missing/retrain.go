package missing

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// DropPatches is an augmentation for a recipe of lib/learn: in each step, each image loses a random share of its
// patches of side pixels, uniform between 0 and most, to one colour, a value for each channel or one for all, in 0..1;
// black is 0. A network trained with it knows what missing looks like. After the retraining with missingness of Jain et
// al., ICLR 2022; the uniform share is this library's choice.
func DropPatches(side int, most float64, colour ...float64) (func(images *graph.Node,
	uniform func(dims ...int) *graph.Node) *graph.Node, error) {
	if side < 1 {
		return nil, fmt.Errorf("missing: patches of %d pixels", side)
	}
	if !(most > 0 && most <= 1) {
		return nil, fmt.Errorf("missing: the largest share of patches that go is %v, it lies between 0 and 1", most)
	}
	for _, v := range colour {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("missing: the colour %v is not in 0..1", colour)
		}
	}
	if len(colour) == 0 {
		colour = []float64{0}
	}
	return func(images *graph.Node, uniform func(dims ...int) *graph.Node) *graph.Node {
		g, d := images.Graph(), images.Shape().Dimensions
		if len(colour) != 1 && len(colour) != d[3] {
			panic(fmt.Errorf("missing: %d values are no colour for images of %d channels", len(colour), d[3]))
		}
		rows, columns := (d[1]+side-1)/side, (d[2]+side-1)/side
		share := graph.MulScalar(uniform(d[0], 1, 1), most)
		gone := graph.ConvertDType(graph.LessThan(uniform(d[0], rows, columns), graph.BroadcastToDims(share, d[0], rows,
			columns)), dtypes.Float32)
		gone = graph.BroadcastToDims(graph.Reshape(gone, d[0], rows, 1, columns, 1), d[0], rows, side, columns, side)
		gone = graph.Slice(graph.Reshape(gone, d[0], rows*side, columns*side), graph.AxisRange(), graph.AxisRange(0, d[1]),
			graph.AxisRange(0, d[2]))
		gone = graph.BroadcastToDims(graph.ExpandAxes(gone, -1), d...)
		with := graph.BroadcastToDims(graph.Reshape(graph.ConstAsDType(g, images.DType(), colour), 1, 1, 1, len(colour)),
			d...)
		return graph.Where(graph.GreaterThan(gone, graph.ZerosLike(gone)), with, images)
	}, nil
}
