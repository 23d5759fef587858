package pretrained

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// vgg are torchvision's: Simonyan and Zisserman, ICLR 2015, also with batch normalisation.
var vgg = family{
	name: "VGG",
	marks: []string{
		"features.0.weight", "features.0.bias", "classifier.0.weight", "classifier.3.weight",
		"classifier.6.weight",
	},
	title: vggTitle,
	build: func(n *net, x *graph.Node) *graph.Node {
		x = vggFeatures(n, x)
		// The first matrix is for channels before rows and columns.
		x = graph.TransposeAllAxes(n.adaptive(x, 7), 0, 3, 1, 2)
		x = graph.Reshape(x, x.Shape().Dimensions[0], -1)
		x = n.relu("classifier.1", n.linear("classifier.0", x))
		x = n.relu("classifier.4", n.linear("classifier.3", x))
		return n.linear("classifier.6", n.b.Features(x))
	},
}

// timmVGG are timm's, whose first matrices are convolutions.
var timmVGG = family{
	name: "VGG (timm)",
	marks: []string{
		"features.0.weight", "features.0.bias", "pre_logits.fc1.weight", "pre_logits.fc2.weight",
		"head.fc.weight",
	},
	title: vggTitle,
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.adaptive(vggFeatures(n, x), 7)
		x = n.relu("pre_logits.act1", n.convAt("pre_logits.fc1", x, 1, 0))
		x = n.relu("pre_logits.act2", n.convAt("pre_logits.fc2", x, 1, 0))
		return n.linear("head.fc", n.meanPool("head.global_pool", x))
	},
}

func vggTitle(w shapes) string {
	layers := 3
	for i := range 64 {
		if len(w[fmt.Sprintf("features.%d.weight", i)]) == 4 {
			layers++
		}
	}
	if w.has("features.1.running_mean") {
		return fmt.Sprintf("VGG-%d-BN", layers)
	}
	return fmt.Sprintf("VGG-%d", layers)
}

// vggFeatures are convolutions of 3x3 with pooling wherever a number is left out between them.
func vggFeatures(n *net, x *graph.Node) *graph.Node {
	at := 0
	for n.has(fmt.Sprintf("features.%d.weight", at)) {
		name := fmt.Sprintf("features.%d", at)
		x = n.conv(name, x, 1)
		at++
		if n.has(fmt.Sprintf("features.%d.running_mean", at)) {
			x = n.bn(fmt.Sprintf("features.%d", at), x, 1e-5)
			at++
		}
		x = n.relu(fmt.Sprintf("features.%d", at), x)
		at++
		if !n.has(fmt.Sprintf("features.%d.weight", at)) {
			x = n.maxPool(fmt.Sprintf("features.%d", at), x, 2, 2, 0, false)
			at++
		}
	}
	return x
}

// alexNet is torchvision's: Krizhevsky, arXiv 1404.5997.
var alexNet = family{
	name: "AlexNet",
	marks: []string{
		"features.0.weight", "features.3.weight", "features.6.weight", "features.8.weight",
		"features.10.weight", "classifier.1.weight", "classifier.4.weight", "classifier.6.weight",
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.relu("features.1", n.convAt("features.0", x, 4, 2))
		x = n.maxPool("features.2", x, 3, 2, 0, false)
		x = n.relu("features.4", n.convAt("features.3", x, 1, 2))
		x = n.maxPool("features.5", x, 3, 2, 0, false)
		for i := 6; i <= 10; i += 2 {
			x = n.relu(fmt.Sprintf("features.%d", i+1), n.convAt(fmt.Sprintf("features.%d", i), x, 1, 1))
		}
		x = n.maxPool("features.12", x, 3, 2, 0, false)
		x = graph.TransposeAllAxes(n.adaptive(x, 6), 0, 3, 1, 2)
		x = graph.Reshape(x, x.Shape().Dimensions[0], -1)
		x = n.relu("classifier.2", n.linear("classifier.1", x))
		x = n.relu("classifier.5", n.linear("classifier.4", x))
		return n.linear("classifier.6", n.b.Features(x))
	},
}

// squeezeNet are torchvision's 1.0 and 1.1: Iandola et al., arXiv 1602.07360. Pooling stands wherever a number is left
// out.
var squeezeNet = family{
	name: "SqueezeNet",
	marks: []string{
		"features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.weight",
		"classifier.1.weight",
	},
	title: func(w shapes) string {
		if w.dim("features.0.weight", 2) == 7 {
			return "SqueezeNet 1.0"
		}
		return "SqueezeNet 1.1"
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.relu("features.1", n.convAt("features.0", x, 2, 0))
		for i := 2; i <= 12; i++ {
			name := fmt.Sprintf("features.%d", i)
			if !n.has(name + ".squeeze.weight") {
				x = n.maxPool(name, x, 3, 2, 0, true)
				continue
			}
			s := n.relu(name+".squeeze_activation", n.convAt(name+".squeeze", x, 1, 0))
			one := n.relu(name+".expand1x1_activation", n.convAt(name+".expand1x1", s, 1, 0))
			three := n.relu(name+".expand3x3_activation", n.convAt(name+".expand3x3", s, 1, 1))
			x = n.b.Record(name, graph.Concatenate([]*graph.Node{one, three}, -1))
		}
		n.b.Features(graph.ReduceMean(x, 1, 2))
		x = n.relu("classifier.2", n.convAt("classifier.1", x, 1, 0))
		return n.b.Record("classifier.3", graph.ReduceMean(x, 1, 2))
	},
}

// denseNet are torchvision's and timm's: Huang et al., CVPR 2017.
var denseNet = family{
	name: "DenseNet",
	marks: []string{
		"features.conv0.weight", "features.norm0.weight", "features.denseblock1.denselayer1.conv2.weight",
		"features.norm5.weight", "classifier.weight",
	},
	title: func(w shapes) string {
		layers := 5
		for block := 1; block <= 4; block++ {
			layers += 2 * w.count(1, "features.denseblock%d.denselayer%d.conv1.weight", block)
		}
		return fmt.Sprintf("DenseNet-%d", layers)
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		const epsilon = 1e-5
		normReLU := func(name string, x *graph.Node) *graph.Node { return n.relu(name+".relu", n.bn(name, x, epsilon)) }
		x = normReLU("features.norm0", n.conv("features.conv0", x, 2))
		x = n.maxPool("features.pool0", x, 3, 2, 1, false)
		for block := 1; n.has(fmt.Sprintf("features.denseblock%d.denselayer1.conv1.weight", block)); block++ {
			for i := range n.count(1, "features.denseblock%d.denselayer%d.conv1.weight", block) {
				name := fmt.Sprintf("features.denseblock%d.denselayer%d", block, 1+i)
				y := n.conv(name+".conv1", normReLU(name+".norm1", x), 1)
				y = n.conv(name+".conv2", normReLU(name+".norm2", y), 1)
				x = graph.Concatenate([]*graph.Node{x, y}, -1)
			}
			x = n.b.Record(fmt.Sprintf("features.denseblock%d", block), x)
			if name := fmt.Sprintf("features.transition%d", block); n.has(name + ".conv.weight") {
				x = n.conv(name+".conv", normReLU(name+".norm", x), 1)
				x = n.b.Record(name, graph.MeanPool(x).Window(2).Strides(2).NoPadding().Done())
			}
		}
		return n.linear("classifier", n.meanPool("avgpool", normReLU("features.norm5", x)))
	},
}
