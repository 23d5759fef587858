package pretrained

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// convNeXt are torchvision's: Liu et al., CVPR 2022.
var convNeXt = family{
	name: "ConvNeXt",
	marks: []string{
		"features.0.0.weight", "features.1.0.layer_scale", "features.1.0.block.0.weight",
		"features.2.1.weight", "classifier.2.weight",
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.ln("features.0.1", n.convAt("features.0.0", x, 4, 0), 1e-6)
		for stage := 1; n.has(fmt.Sprintf("features.%d.0.block.0.weight", stage)); stage += 2 {
			if stage > 1 {
				name := fmt.Sprintf("features.%d", stage-1)
				x = n.convAt(name+".1", n.ln(name+".0", x, 1e-6), 2, 0)
			}
			for i := range n.count(0, "features.%d.%d.block.0.weight", stage) {
				name := fmt.Sprintf("features.%d.%d", stage, i)
				y := n.ln(name+".block.2", n.conv(name+".block.0", x, 1), 1e-6)
				y = n.linear(name+".block.5", n.gelu(name+".block.4", n.linear(name+".block.3", y)))
				scale := n.b.Weight(name + ".layer_scale")
				y = graph.Mul(y, graph.Reshape(scale, 1, 1, 1, scale.Shape().Size()))
				x = n.b.Record(name, graph.Add(x, y))
			}
		}
		x = n.b.Record("avgpool", graph.ReduceMean(x, 1, 2))
		return n.linear("classifier.2", n.b.Features(n.ln("classifier.0", x, 1e-6)))
	},
}

// timmConvNeXt are timm's, also those with a response normalisation: Woo et al., CVPR 2023.
var timmConvNeXt = family{
	name: "ConvNeXt (timm)",
	marks: []string{
		"stem.0.weight", "stem.1.weight", "stages.0.blocks.0.conv_dw.weight",
		"stages.0.blocks.0.mlp.fc1.weight", "head.norm.weight", "head.fc.weight",
	},
	title: func(w shapes) string {
		if w.has("stages.0.blocks.0.mlp.grn.weight") {
			return "ConvNeXt V2"
		}
		return "ConvNeXt"
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		if k := n.dims("stem.0.weight"); k[0] != 4 || k[1] != 4 {
			n.refuse("the stem has a kernel of %d x %d and not of 4 x 4", k[0], k[1])
		}
		epsilon := 1e-6
		switch n.dims("stem.0.weight")[3] {
		case 384: // XXLarge
			epsilon = 1e-5
		case 24, 32: // timm's networks for tests
			n.refuse("a stem of %d channels belongs to no published one", n.dims("stem.0.weight")[3])
		}
		x = n.ln("stem.1", n.convAt("stem.0", x, 4, 0), epsilon)
		for stage := range n.count(0, "stages.%d.blocks.0.conv_dw.weight") {
			if name := fmt.Sprintf("stages.%d.downsample", stage); n.has(name + ".1.weight") {
				x = n.convAt(name+".1", n.ln(name+".0", x, epsilon), 2, 0)
			}
			for i := range n.count(0, "stages.%d.blocks.%d.conv_dw.weight", stage) {
				name := fmt.Sprintf("stages.%d.blocks.%d", stage, i)
				y := n.ln(name+".norm", n.conv(name+".conv_dw", x, 1), epsilon)
				y = n.gelu(name+".mlp.act", n.pointwise(name+".mlp.fc1", y))
				if n.has(name + ".mlp.grn.weight") {
					y = n.responses(name+".mlp.grn", y)
				}
				y = n.pointwise(name+".mlp.fc2", y)
				if n.has(name + ".gamma") {
					y = graph.Mul(y, graph.ExpandLeftToRank(n.b.Weight(name+".gamma"), 4))
				}
				x = n.b.Record(name, graph.Add(x, y))
			}
		}
		x = n.b.Record("head.global_pool", graph.ReduceMean(x, 1, 2))
		return n.linear("head.fc", n.b.Features(n.ln("head.norm", x, epsilon)))
	},
}

// pointwise is a linear layer at each place, which some of the networks have as a convolution of 1x1.
func (n *net) pointwise(name string, x *graph.Node) *graph.Node {
	if len(n.dims(name+".weight")) == 4 {
		return n.convAt(name, x, 1, 0)
	}
	return n.linear(name, x)
}

// responses is global response normalisation: how strong a channel is beside the others.
func (n *net) responses(name string, x *graph.Node) *graph.Node {
	g := graph.Sqrt(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, 1, 2))
	share := graph.Div(g, graph.AddScalar(graph.ReduceAndKeep(g, graph.ReduceMean, -1), 1e-6))
	weight, bias := graph.ExpandLeftToRank(n.b.Weight(name+".weight"), 4),
		graph.ExpandLeftToRank(n.b.Weight(name+".bias"), 4)
	return n.b.Record(name, graph.Add(x, graph.Add(bias, graph.Mul(weight, graph.Mul(x, share)))))
}
