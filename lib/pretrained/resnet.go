package pretrained

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// resNet are torchvision's and timm's residual networks, with the stride in the 3x3 convolution of the bottlenecks,
// also ResNeXt and the wide ones; and those for images of 32x32 with a 3x3 convolution at the beginning, whose
// shortcuts are convolutions (He et al., CVPR 2016; Xie et al., CVPR 2017; Zagoruyko and Komodakis, BMVC 2016).
var resNet = family{
	name: "ResNet",
	marks: []string{
		"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.bn1.running_mean",
		"layer2.0.conv2.weight", "layer4.0.conv1.weight",
	},
	title: func(w shapes) string {
		per, blocks := 2, 0
		if w.has("layer1.0.conv3.weight") {
			per = 3
		}
		for stage := 1; stage <= 4; stage++ {
			blocks += w.count(0, "layer%d.%d.conv1.weight", stage)
		}
		width, in := w.dim("layer1.0.conv2.weight", 0), w.dim("layer1.0.conv2.weight", 1)
		switch {
		case in > 0 && width > in:
			return fmt.Sprintf("ResNeXt-%d %dx%dd", per*blocks+2, width/in, in)
		case per == 3 && width > 64:
			return fmt.Sprintf("Wide ResNet-%d-%d", per*blocks+2, width/64)
		}
		return fmt.Sprintf("ResNet-%d", per*blocks+2)
	},
	size: func(w shapes) int {
		if w.dim("conv1.weight", 2) == 3 {
			return 32
		}
		return 224
	},
	ambiguous: func(w shapes, hint string) error {
		for _, other := range []string{"resnetblur", "resnetaa"} { // which take means before every second place
			if strings.Contains(plainHint(hint), other) {
				return fmt.Errorf("the file's name says that it is a %s, whose weights have a ResNet's names and shapes and which is computed otherwise: export it to ONNX", other)
			}
		}
		return nil
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		if n.dims("conv1.weight")[0] == 3 { // for small images
			x = n.relu("relu", n.bn("bn1", n.conv("conv1", x, 1), 1e-5))
		} else {
			x = n.relu("relu", n.bn("bn1", n.conv("conv1", x, 2), 1e-5))
			x = n.maxPool("maxpool", x, 3, 2, 1, false)
		}
		for stage := 1; stage <= 4; stage++ {
			for i := range n.count(0, "layer%d.%d.conv1.weight", stage) {
				stride := 1
				if stage > 1 && i == 0 {
					stride = 2
				}
				x = resBlock(n, fmt.Sprintf("layer%d.%d", stage, i), x, stride)
			}
			x = n.b.Record(fmt.Sprintf("layer%d", stage), x)
		}
		x = n.meanPool("avgpool", x)
		if n.has("linear.weight") {
			return n.linear("linear", x)
		}
		return n.linear("fc", x)
	},
}

func resBlock(n *net, name string, x *graph.Node, stride int) *graph.Node {
	const epsilon = 1e-5
	var y *graph.Node
	if n.has(name + ".conv3.weight") {
		y = n.relu(name+".relu1", n.bn(name+".bn1", n.conv(name+".conv1", x, 1), epsilon))
		y = n.relu(name+".relu2", n.bn(name+".bn2", n.conv(name+".conv2", y, stride), epsilon))
		y = n.bn(name+".bn3", n.conv(name+".conv3", y, 1), epsilon)
	} else {
		y = n.relu(name+".relu1", n.bn(name+".bn1", n.conv(name+".conv1", x, stride), epsilon))
		y = n.bn(name+".bn2", n.conv(name+".conv2", y, 1), epsilon)
	}
	for _, shortcut := range []string{name + ".downsample", name + ".shortcut"} {
		if n.has(shortcut + ".0.weight") {
			x = n.bn(shortcut+".1", n.conv(shortcut+".0", x, stride), epsilon)
		}
	}
	if !x.Shape().Equal(y.Shape()) {
		n.refuse("%s has no convolution on its shortcut, from %s to %s", name, x.Shape(), y.Shape())
	}
	return n.relu(name+".relu", n.b.Record(name+".add", graph.Add(y, x)))
}
