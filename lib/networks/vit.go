package networks

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/model"
)

// ViT is the vision transformer with a class token: Dosovitskiy et al., ICLR 2021, without dropout. Names,
// initialisation and parameters are those of timm's VisionTransformer. Its tokens can be dropped: see [model.Keep]. The
// one of package learn is smaller by default and has names of its own.
type ViT struct {
	Patch int // side of a patch in pixels, which must divide those of the images; 0 means 4
	Width int // features of a token; 0 means 192
	Depth int // blocks; 0 means 12
	Heads int // must divide Width; 0 means 3
}

// Make makes it with random weights.
func (n ViT) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n ViT) filled() ViT {
	return ViT{Patch: or(n.Patch, 4), Width: or(n.Width, 192), Depth: or(n.Depth, 12), Heads: or(n.Heads, 3)}
}

func (n ViT) name() string { return "ViT" }
func (n ViT) norm() Norm   { return Norm{} }

func (n ViT) init() initial {
	// timm cuts off at ±2, a hundred standard deviations.
	narrow := func(int) draw.Number { return draw.Normal(0.02) }
	all := plain
	all.linear, all.linearBias = narrow, zeros
	return all
}

func (n ViT) check(spec model.Spec) error {
	n = n.filled()
	switch {
	case n.Patch < 1 || n.Width < 1 || n.Depth < 1 || n.Heads < 1:
		return fmt.Errorf("one of %+v cannot be", n)
	case n.Width%n.Heads != 0:
		return fmt.Errorf("%d heads cannot share %d features: make Width a multiple of Heads", n.Heads, n.Width)
	case spec.Height%n.Patch != 0 || spec.Width%n.Patch != 0:
		return fmt.Errorf("patches of %d do not fill %d x %d pixels: take a divisor of both", n.Patch, spec.Height,
			spec.Width)
	}
	return nil
}

func (n ViT) forward(l *layers, x value, classes int) value {
	n = n.filled()
	x = l.conv("patch_embed.proj", x, n.Width, n.Patch, convolution{stride: n.Patch, bias: true})
	rows, columns := x.height, x.width
	var attend *graph.Node
	if l.b == nil {
		l.weight("cls_token", draw.Normal(1e-6), 1, 1, n.Width)
		l.weight("pos_embed", draw.Normal(0.02), 1, 1+rows*columns, n.Width)
	} else {
		images := x.node.Shape().Dimensions[0]
		class := graph.BroadcastToDims(l.b.Weight("cls_token"), images, 1, n.Width)
		tokens := graph.Concatenate([]*graph.Node{class, graph.Reshape(x.node, images, rows*columns, n.Width)}, 1)
		x.node, attend = l.b.Tokens(graph.Add(tokens, l.b.Weight("pos_embed")), rows, columns)
	}
	for i := range n.Depth {
		name := fmt.Sprintf("blocks.%d", i)
		out := l.in(name + ".")
		x = l.add("attended", x, l.attention("attn", l.layerNorm("norm1", x), n.Heads, attend))
		y := l.linear("mlp.fc1", l.layerNorm("norm2", x), 4*n.Width)
		if l.b != nil {
			y.node = l.b.GELU(l.prefix+"mlp.act", y.node)
		}
		x = l.add("mlp", x, l.linear("mlp.fc2", y, n.Width))
		out()
		x = l.record(name, x)
	}
	x = l.layerNorm("norm", x)
	if l.b != nil {
		class := graph.Slice(x.node, graph.AxisRange(), graph.AxisElem(0), graph.AxisRange())
		x.node = l.b.Features(graph.Reshape(class, -1, n.Width))
	}
	return l.linear("head", x, classes)
}

func (l *layers) layerNorm(name string, x value) value {
	if l.b == nil {
		l.weight(name+".weight", draw.Constant(1), x.channels)
		l.weight(name+".bias", draw.Constant(0), x.channels)
	} else {
		x.node = l.b.LayerNorm(l.prefix+name, x.node, 1e-6)
	}
	return x
}

// attention is multi-head self-attention whose queries, keys and values come from one linear layer.
func (l *layers) attention(name string, x value, heads int, attend *graph.Node) value {
	width := x.channels
	x = l.linear(name+".qkv", x, 3*width)
	if l.b != nil {
		d := x.node.Shape().Dimensions
		parts := graph.Reshape(x.node, d[0], d[1], 3, heads, width/heads)
		part := func(i int) *graph.Node {
			one := graph.Slice(parts, graph.AxisRange(), graph.AxisRange(), graph.AxisElem(i))
			return graph.Reshape(one, d[0], d[1], heads, width/heads)
		}
		scores := graph.MulScalar(graph.Einsum("nqhd,nkhd->nhqk", part(0), part(1)), 1/math.Sqrt(float64(width/heads)))
		if attend != nil {
			scores = graph.Add(scores, attend)
		}
		mixed := graph.Einsum("nhqk,nkhd->nqhd", l.b.RecordAttention(l.prefix+name+".softmax", graph.Softmax(scores, -1)),
			part(2))
		x.node = graph.Reshape(mixed, d[0], d[1], width)
	}
	x.channels = width
	return l.linear(name+".proj", x, width)
}
