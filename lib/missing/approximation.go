package missing

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Approximation is a way to make segments of an image miss. A network cannot leave out what it has no notion of leaving
// out, so each is an approximation, and what is taken for the effect of missing may be that of the approximation. They
// are [Fill] and [DropTokens].
type Approximation interface {
	// Name is what tables and plots call it.
	Name() string
	// apply makes it ready for a model and images.
	apply(m *model.Model, images *tensors.Tensor) (applied, error)
}

// applied is an approximation on a model and images.
type applied struct {
	// fill has what stands where something misses, [N, H, W, C]; nil where nothing does.
	fill *tensors.Tensor
	// patches is the grid of tokens that can be dropped; zero if none are.
	patches model.Grid
	// logits are those of images x, [B, H, W, C], in which the pixels where stay, [B, H, W], is 0 miss. fill is a row
	// for each; capacity is the largest number of patches that any row keeps.
	logits func(x, stay, fill *graph.Node, capacity int) *graph.Node
}

// Fill paints over what is missing.
type Fill struct {
	// With is the colour or picture painted; the zero Filler is black, as in most of the paper.
	With mask.Filler
	// Seed is for fillers that draw numbers. They draw once for an image; the authors' program draws anew at each step.
	Seed uint64
}

// Name is the filler's.
func (f Fill) Name() string {
	if f.With.Name == "" || f.With.Name == mask.Constant(0).Name {
		return "black"
	}
	return f.With.Name
}

func (f Fill) apply(m *model.Model, images *tensors.Tensor) (applied, error) {
	with := f.With
	if with.Name == "" {
		with = mask.Constant(0)
	}
	d := images.Shape().Dimensions
	fill, err := mask.Apply(images, tensors.FromScalarAndDimensions(float32(1), d[0], d[1], d[2]), with, f.Seed)
	if err != nil {
		return applied{}, err
	}
	return applied{fill: fill, logits: func(x, stay, fill *graph.Node, _ int) *graph.Node {
		stay = graph.BroadcastToDims(graph.ExpandAxes(stay, -1), x.Shape().Dimensions...)
		return m.Call(graph.Where(graph.GreaterThan(stay, graph.ZerosLike(stay)), x, fill)).Logits
	}}, nil
}

// DropTokens leaves the tokens of missing patches out of a vision transformer, after their positions have been added. A
// patch of which only a part misses is left out too, as in the authors' program. The model must have a grid: see
// [model.Keep].
type DropTokens struct{}

// Name is "tokens dropped".
func (DropTokens) Name() string { return "tokens dropped" }

func (DropTokens) apply(m *model.Model, images *tensors.Tensor) (applied, error) {
	grid := m.Grid()
	if grid.Patches() == 0 {
		return applied{},
			fmt.Errorf("missing: %s has no tokens that could be dropped: only vision transformers have; for others take Fill",
				m.Name())
	}
	d := images.Shape().Dimensions
	if d[1]%grid.Rows != 0 || d[2]%grid.Columns != 0 {
		return applied{}, fmt.Errorf("missing: %s has %d x %d tokens, which are no whole pixels in images of %d x %d",
			m.Name(), grid.Rows, grid.Columns, d[1], d[2])
	}
	return applied{patches: grid, logits: func(x, stay, _ *graph.Node, capacity int) *graph.Node {
		b := x.Shape().Dimensions[0]
		cells := graph.Reshape(stay, b, grid.Rows, d[1]/grid.Rows, grid.Columns, d[2]/grid.Columns)
		keep := graph.Reshape(graph.ReduceMin(cells, 2, 4), b, grid.Patches())
		return m.CallAs(x, model.CallOptions{Keep: &model.Keep{Patches: keep, Capacity: capacity}}).Logits
	}}, nil
}
