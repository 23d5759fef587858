package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Rotate turns every image about its middle by an angle drawn from -Degrees to Degrees. A pixel is the nearest one of
// where it comes from, and black outside of the image, as torchvision's RandomRotation has it.
type Rotate struct {
	Degrees float64
	// Also are other columns, [B, H, W, ...], that are turned alike, such as masks.
	Also []string
}

// Augment implements [Augmentation].
func (r Rotate) Augment(b *Batch) {
	if !(r.Degrees >= 0 && r.Degrees <= 180) {
		panic(fmt.Errorf("learn: images are turned by 0 to 180 degrees each way, not %v", r.Degrees))
	}
	g, d := b.g, b.Images().Shape().Dimensions
	angle := graph.MulScalar(graph.AddScalar(graph.MulScalar(b.Uniform(d[0], 1, 1), 2), -1), r.Degrees*math.Pi/180)
	from := func(axis int) *graph.Node { // the middle, [N, H, W]
		return graph.AddScalar(graph.Iota(g, shapes.Make(floatType, d[0], d[1], d[2]), axis), -float64(d[axis]-1)/2)
	}
	down, right := from(1), from(2)
	wide := func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(x, d[0], d[1], d[2]) }
	cos, sin := wide(graph.Cos(angle)), wide(graph.Sin(angle))
	nearest := func(x *graph.Node, length int) *graph.Node {
		return graph.Round(graph.AddScalar(x, float64(length-1)/2))
	}
	row := nearest(graph.Add(graph.Mul(down, cos), graph.Mul(right, sin)), d[1])
	column := nearest(graph.Sub(graph.Mul(right, cos), graph.Mul(down, sin)), d[2])
	within := func(x *graph.Node, length int) *graph.Node {
		return graph.LogicalAnd(graph.GreaterOrEqual(x, graph.ZerosLike(x)),
			graph.LessThan(x, graph.Scalar(g, floatType, length)))
	}
	inside := graph.LogicalAnd(within(row, d[1]), within(column, d[2]))
	whole := func(x *graph.Node, length int) *graph.Node {
		return graph.ConvertDType(graph.ClipScalar(x, 0, float64(length-1)), dtypes.Int32)
	}
	image := graph.Iota(g, shapes.Make(dtypes.Int32, d[0], d[1], d[2]), 0)
	at := graph.Add(graph.MulScalar(graph.Add(graph.MulScalar(image, d[1]), whole(row, d[1])), d[2]), whole(column, d[2]))
	for _, name := range append([]string{Images}, r.Also...) {
		x := b.Column(name)
		dims := spatial(name, x, d)
		width := x.Shape().Size() / (d[0] * d[1] * d[2])
		turned := graph.Gather(graph.Reshape(x, d[0]*d[1]*d[2], width), graph.Reshape(at, d[0]*d[1]*d[2], 1))
		outside := graph.BroadcastToDims(graph.Reshape(graph.LogicalNot(inside), d[0]*d[1]*d[2], 1), d[0]*d[1]*d[2], width)
		b.Set(name, graph.Reshape(graph.Where(outside, graph.ZerosLike(turned), turned), dims...))
	}
}
