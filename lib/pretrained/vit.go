package pretrained

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// timmViT are timm's vision transformers with a class token, also DeiT with its token for a teacher: Dosovitskiy et
// al., ICLR 2021; Touvron et al., ICML 2021 and ECCV 2022.
var timmViT = family{
	name: "ViT (timm)",
	marks: []string{
		"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.norm1.weight",
		"blocks.0.attn.qkv.weight", "blocks.0.mlp.fc2.weight", "norm.weight", "head.weight",
	},
	title: func(w shapes) string {
		name := "ViT"
		if w.has("dist_token") {
			name = "DeiT"
		}
		return vitTitle(name, w.dim("patch_embed.proj.weight", 0), w.dim("patch_embed.proj.weight", 2))
	},
	size: func(w shapes) int {
		return vitSize(w.dim("pos_embed", 1), w.dim("patch_embed.proj.weight", 2))
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		const epsilon = 1e-6
		first := []string{"cls_token"}
		if n.has("dist_token") {
			first = append(first, "dist_token")
		}
		x, attend := n.tokens("patch_embed.proj", x, first, "pos_embed")
		for i := range n.count(0, "blocks.%d.norm1.weight") {
			name := fmt.Sprintf("blocks.%d", i)
			y := n.linear(name+".attn.qkv", n.ln(name+".norm1", x, epsilon))
			y = n.linear(name+".attn.proj", n.attended(name+".attn.softmax", y, headsOf(n, channelsOf(x)), attend))
			x = n.b.Record(name+".attended", graph.Add(x, n.scaled(name+".ls1.gamma", y)))
			y = n.gelu(name+".mlp.act", n.linear(name+".mlp.fc1", n.ln(name+".norm2", x, epsilon)))
			x = n.b.Record(name, graph.Add(x, n.scaled(name+".ls2.gamma", n.linear(name+".mlp.fc2", y))))
		}
		x = n.ln("norm", x, epsilon)
		if n.has("head_dist.weight") { // what both tokens say, in equal parts
			class, teacher := n.linear("head", n.b.Features(token(x, 0))), n.linear("head_dist", token(x, 1))
			return graph.MulScalar(graph.Add(class, teacher), 0.5)
		}
		return n.linear("head", n.b.Features(token(x, 0)))
	},
}

// viT are torchvision's.
var viT = family{
	name: "ViT",
	marks: []string{
		"class_token", "conv_proj.weight", "encoder.pos_embedding",
		"encoder.layers.encoder_layer_0.self_attention.in_proj_weight", "encoder.ln.weight",
		"heads.head.weight",
	},
	title: func(w shapes) string {
		return vitTitle("ViT", w.dim("conv_proj.weight", 0), w.dim("conv_proj.weight", 2))
	},
	size: func(w shapes) int {
		return vitSize(w.dim("encoder.pos_embedding", 1), w.dim("conv_proj.weight", 2))
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		const epsilon = 1e-6
		x, attend := n.tokens("conv_proj", x, []string{"class_token"}, "encoder.pos_embedding")
		for i := range n.count(0, "encoder.layers.encoder_layer_%d.ln_1.weight") {
			name := fmt.Sprintf("encoder.layers.encoder_layer_%d", i)
			y := n.ln(name+".ln_1", x, epsilon)
			qkv := graph.Einsum("ntd,kd->ntk", y, n.b.Weight(name+".self_attention.in_proj_weight"))
			qkv = graph.Add(qkv, graph.ExpandLeftToRank(n.b.Weight(name+".self_attention.in_proj_bias"), 3))
			y = n.attended(name+".self_attention.softmax", qkv, headsOf(n, channelsOf(x)), attend)
			x = n.b.Record(name+".attended", graph.Add(x, n.linear(name+".self_attention.out_proj", y)))
			in, out := name+".mlp.0", name+".mlp.3"
			if n.has(name + ".mlp.linear_1.weight") { // until torchvision 0.12
				in, out = name+".mlp.linear_1", name+".mlp.linear_2"
			}
			y = n.gelu(name+".mlp.act", n.linear(in, n.ln(name+".ln_2", x, epsilon)))
			x = n.b.Record(name, graph.Add(x, n.linear(out, y)))
		}
		return n.linear("heads.head", n.b.Features(token(n.ln("encoder.ln", x, epsilon), 0)))
	},
}

func vitTitle(name string, width, patch int) string {
	size := map[int]string{192: "-Ti", 384: "-S", 768: "-B", 1024: "-L", 1280: "-H"}[width]
	return fmt.Sprintf("%s%s/%d", name, size, patch)
}

// vitSize is the side of square images that have so many positions: those of the patches, and of up to two tokens
// besides.
func vitSize(positions, patch int) int {
	for side := 1; side*side <= positions; side++ {
		if positions-side*side <= 2 {
			return side * patch
		}
	}
	return 0
}

// headsOf is the number of heads, which no weight tells: one for each 64 features, but for the largest networks.
func headsOf(n *net, width int) int {
	switch {
	case width == 1280 || width == 1408 || width == 1664:
		return 16
	case width%64 != 0 || width < 192 || width == 1152: // the least published one, and SoViT
		n.refuse("%d features do not tell how many heads share them", width)
	}
	return width / 64
}

// tokens turn an image into patches, with other tokens before them and positions added.
func (n *net) tokens(patches string, x *graph.Node, first []string, positions string) (tokens, attend *graph.Node) {
	patch := n.dims(patches + ".weight")[0]
	x = n.convAt(patches, x, patch, 0)
	d := x.Shape().Dimensions
	parts := []*graph.Node{}
	for _, name := range first {
		parts = append(parts, graph.BroadcastToDims(n.b.Weight(name), d[0], 1, d[3]))
	}
	x = graph.Reshape(x, d[0], d[1]*d[2], d[3])
	at := n.b.Weight(positions)
	switch at.Shape().Dimensions[1] {
	case d[1] * d[2]: // the other tokens have no positions, as in DeiT III
		x = graph.Concatenate(append(parts, graph.Add(x, at)), 1)
	case d[1]*d[2] + len(first):
		x = graph.Add(graph.Concatenate(append(parts, x), 1), at)
	default:
		n.refuse("%s has %d positions for %d patches: it is for images of another size", positions, at.Shape().Dimensions[1],
			d[1]*d[2])
	}
	return n.b.Tokens(x, d[1], d[2])
}

// attended is what queries, keys and values, one behind the other in qkv, [N, T, 3·D], become, before the last matrix.
func (n *net) attended(name string, qkv *graph.Node, heads int, attend *graph.Node) *graph.Node {
	d := qkv.Shape().Dimensions
	width := d[2] / 3
	parts := graph.Reshape(qkv, d[0], d[1], 3, heads, width/heads)
	part := func(i int) *graph.Node {
		one := graph.Slice(parts, graph.AxisRange(), graph.AxisRange(), graph.AxisElem(i))
		return graph.Reshape(one, d[0], d[1], heads, width/heads)
	}
	scores := graph.MulScalar(graph.Einsum("nqhd,nkhd->nhqk", part(0), part(1)), 1/math.Sqrt(float64(width/heads)))
	if attend != nil {
		scores = graph.Add(scores, attend)
	}
	mixed := graph.Einsum("nhqk,nkhd->nqhd", n.b.RecordAttention(name, graph.Softmax(scores, -1)), part(2))
	return graph.Reshape(mixed, d[0], d[1], width)
}

// scaled multiplies by a weight for each feature, if there is one.
func (n *net) scaled(name string, x *graph.Node) *graph.Node {
	if !n.has(name) {
		return x
	}
	return graph.Mul(x, graph.ExpandLeftToRank(n.b.Weight(name), x.Rank()))
}

func token(x *graph.Node, i int) *graph.Node {
	one := graph.Slice(x, graph.AxisRange(), graph.AxisElem(i), graph.AxisRange())
	return graph.Reshape(one, x.Shape().Dimensions[0], channelsOf(x))
}
