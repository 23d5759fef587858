package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/model"
)

// ViT is the size of a small vision transformer. Zero fields mean the defaults.
type ViT struct {
	Patch int // side of a patch in pixels; 0 means 4
	Width int // features of a token; 0 means 64
	Depth int // blocks; 0 means 3
	Heads int // 0 means 4
}

// Make makes a vision transformer with random weights: patches become tokens by a linear map, a class token goes before
// them, learnt positions are added; each block adds multi-head attention and two linear layers with GELU in between,
// four times as wide, both after a layer normalisation; a linear layer reads the class token. Dosovitskiy et al., ICLR
// 2021, section 3.1, without the dropout. Its tokens can be dropped: see [model.Keep].
//
// Weights are normal, of linear layers with variance 1/fan-in and of the positions and the class token with standard
// deviation 0.02; biases are 0. The same seed gives the same weights. Patches must fill the spec's Height and Width.
func (v ViT) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return v.make(newInitial(seed), spec, classes)
}

func (v ViT) make(initial *initial, spec model.Spec, classes int) (*model.Model, error) {
	for field, otherwise := range map[*int]int{&v.Patch: 4, &v.Width: 64, &v.Depth: 3, &v.Heads: 4} {
		if *field == 0 {
			*field = otherwise
		}
	}
	switch {
	case classes < 2:
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	case v.Patch < 1 || v.Width < 1 || v.Depth < 1 || v.Heads < 1:
		return nil, fmt.Errorf("learn: a vision transformer of %+v cannot be", v)
	case v.Width%v.Heads != 0:
		return nil, fmt.Errorf("learn: %d heads cannot share %d features: make Width a multiple of Heads", v.Heads, v.Width)
	case spec.Height%v.Patch != 0 || spec.Width%v.Patch != 0:
		return nil, fmt.Errorf("learn: patches of %d do not fill %d x %d pixels: take a divisor of both", v.Patch,
			spec.Height, spec.Width)
	}
	if spec.Name == "" {
		spec.Name = "small ViT"
	}
	rows, columns := spec.Height/v.Patch, spec.Width/v.Patch
	linear := func(name string, from, to int) {
		initial.weight(name+".weight", draw.Normal(1/math.Sqrt(float64(from))), to, from)
		initial.weight(name+".bias", draw.Constant(0), to)
	}
	norm := func(name string) {
		initial.weight(name+".weight", draw.Constant(1), v.Width)
		initial.weight(name+".bias", draw.Constant(0), v.Width)
	}
	linear("patches", v.Patch*v.Patch*spec.Channels, v.Width)
	initial.weight("class", draw.Normal(0.02), 1, 1, v.Width)
	initial.weight("positions", draw.Normal(0.02), 1, 1+rows*columns, v.Width)
	for i := range v.Depth {
		block := fmt.Sprintf("block%d", i+1)
		norm(block + ".norm1")
		for _, part := range []string{"query", "key", "value", "out"} {
			linear(block+".attention."+part, v.Width, v.Width)
		}
		norm(block + ".norm2")
		linear(block+".wide", v.Width, 4*v.Width)
		linear(block+".narrow", 4*v.Width, v.Width)
	}
	norm("norm")
	linear("linear", v.Width, classes)
	if initial.err != nil {
		return nil, initial.err
	}
	return model.FromArchitecture(v, initial.weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		n := x.Shape().Dimensions[0]
		x = graph.Reshape(x, n, rows, v.Patch, columns, v.Patch, spec.Channels)
		x = b.Linear("patches", graph.Reshape(graph.TransposeAllAxes(x, 0, 1, 3, 2, 4, 5), n, rows*columns,
			v.Patch*v.Patch*spec.Channels))
		x = graph.Concatenate([]*graph.Node{graph.BroadcastToDims(b.Weight("class"), n, 1, v.Width), x}, 1)
		x, attend := b.Tokens(graph.Add(x, b.Weight("positions")), rows, columns)
		for i := range v.Depth {
			block := fmt.Sprintf("block%d", i+1)
			x = graph.Add(x, b.Attention(block+".attention", b.LayerNorm(block+".norm1", x, layerNormEpsilon), v.Heads, attend))
			wide := b.GELU(block+".gelu", b.Linear(block+".wide", b.LayerNorm(block+".norm2", x, layerNormEpsilon)))
			x = b.Record(block, graph.Add(x, b.Linear(block+".narrow", wide)))
		}
		class := graph.Slice(b.LayerNorm("norm", x, layerNormEpsilon), graph.AxisRange(), graph.AxisElem(0),
			graph.AxisRange())
		return b.Linear("linear", b.Features(graph.Reshape(class, n, v.Width)))
	})
}

// layerNormEpsilon is that of the ViTs of Dosovitskiy et al.
const layerNormEpsilon = 1e-6
