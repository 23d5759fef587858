package pretrained

import (
	"fmt"
	"regexp"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
)

// resNet are torchvision's and timm's residual networks, with the stride in the 3x3 convolution of the bottlenecks,
// also ResNeXt and the wide ones, and those that weigh channels; and those for images of 32x32 with a 3x3 convolution
// at the beginning, whose shortcuts are convolutions (He et al., CVPR 2016; Xie et al., CVPR 2017; Zagoruyko and
// Komodakis, BMVC 2016; Hu et al., CVPR 2018).
var resNet = family{
	name: "ResNet",
	marks: []string{
		"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.bn1.running_mean",
		"layer2.0.conv2.weight", "layer4.0.conv1.weight",
	},
	title: resNetTitle,
	size: func(w shapes) int {
		if w.dim("conv1.weight", 2) == 3 {
			return 32
		}
		return 224
	},
	ambiguous: averages,
	build: func(n *net, x *graph.Node) *graph.Node {
		if n.dims("conv1.weight")[0] == 3 { // for small images
			x = n.relu("relu", n.bn("bn1", n.conv("conv1", x, 1), resNetEpsilon))
		} else {
			x = n.relu("relu", n.bn("bn1", n.conv("conv1", x, 2), resNetEpsilon))
			x = n.maxPool("maxpool", x, 3, 2, 1, false)
		}
		return resStages(n, x)
	},
}

// resNetD are timm's that begin with three convolutions of 3x3; most take means before the convolution on a shortcut
// (He et al., CVPR 2019, figure 2).
var resNetD = family{
	name: "ResNet-D (timm)",
	marks: []string{
		"conv1.0.weight", "conv1.1.running_mean", "conv1.3.weight", "conv1.6.weight", "bn1.running_mean",
		"layer1.0.conv1.weight",
		"layer1.0.bn1.running_mean", "layer2.0.conv2.weight", "layer4.0.conv1.weight",
	},
	title:     func(w shapes) string { return resNetTitle(w) + "-D" },
	ambiguous: averages,
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.relu("conv1.2", n.bn("conv1.1", n.conv("conv1.0", x, 2), resNetEpsilon))
		x = n.relu("conv1.5", n.bn("conv1.4", n.conv("conv1.3", x, 1), resNetEpsilon))
		x = n.relu("act1", n.bn("bn1", n.conv("conv1.6", x, 1), resNetEpsilon))
		return resStages(n, n.maxPool("maxpool", x, 3, 2, 1, false))
	},
}

const resNetEpsilon = 1e-5

// averaging are timm's names of those that take means before every second place, which no weight tells.
var averaging = regexp.MustCompile(`res(?:net|next)(?:blur|aa)`)

func averages(_ shapes, hint string) error {
	if other := averaging.FindString(plainHint(hint)); other != "" {
		return fmt.Errorf("the file's name says that it is a %s, whose weights have a ResNet's names and shapes and which "+
			"is computed otherwise: export it to ONNX", other)
	}
	return nil
}

func resNetTitle(w shapes) string {
	per, blocks := 2, 0
	if w.has("layer1.0.conv3.weight") {
		per = 3
	}
	for stage := 1; stage <= 4; stage++ {
		blocks += w.count(0, "layer%d.%d.conv1.weight", stage)
	}
	weighed := ""
	switch {
	case w.has("layer1.0.se.fc1.weight"):
		weighed = "SE-"
	case w.has("layer1.0.se.conv.weight"):
		weighed = "ECA-"
	}
	width, in := w.dim("layer1.0.conv2.weight", 0), w.dim("layer1.0.conv2.weight", 1)
	switch {
	case in > 0 && width > in:
		return fmt.Sprintf("%sResNeXt-%d %dx%dd", weighed, per*blocks+2, width/in, in)
	case per == 3 && width > 64:
		return fmt.Sprintf("%sWide ResNet-%d-%d", weighed, per*blocks+2, width/64)
	}
	return fmt.Sprintf("%sResNet-%d", weighed, per*blocks+2)
}

// resStages are the four stages of blocks and the head.
func resStages(n *net, x *graph.Node) *graph.Node {
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
}

func resBlock(n *net, name string, x *graph.Node, stride int) *graph.Node {
	const epsilon = resNetEpsilon
	var y *graph.Node
	if n.has(name + ".conv3.weight") {
		y = n.relu(name+".relu1", n.bn(name+".bn1", n.conv(name+".conv1", x, 1), epsilon))
		y = n.relu(name+".relu2", n.bn(name+".bn2", n.conv(name+".conv2", y, stride), epsilon))
		y = n.bn(name+".bn3", n.conv(name+".conv3", y, 1), epsilon)
	} else {
		y = n.relu(name+".relu1", n.bn(name+".bn1", n.conv(name+".conv1", x, stride), epsilon))
		y = n.bn(name+".bn2", n.conv(name+".conv2", y, 1), epsilon)
	}
	switch {
	case n.has(name + ".se.fc1.weight"):
		y = n.squeeze(name+".se", y, "fc1", "fc2", n.relu, graph.Sigmoid)
	case n.has(name + ".se.conv.weight"):
		y = n.neighbours(name+".se", y)
	}
	if down := name + ".downsample"; !n.has(down+".0.weight") && n.has(down+".1.weight") {
		if stride > 1 {
			x = n.meansOfFour(down+".0", x)
		}
		x = n.bn(down+".2", n.conv(down+".1", x, 1), epsilon)
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

// neighbours weighs channels by what their means and those of the channels next to them say: Wang et al., CVPR 2020
// (ECA), equation 9.
func (n *net) neighbours(name string, x *graph.Node) *graph.Node {
	d, k := x.Shape().Dimensions, n.dims(name+".conv.weight")
	if len(k) != 3 || k[0] != 1 || k[1] != 1 || k[2]%2 == 0 {
		n.refuse("%s.conv.weight has the shape %v", name, k)
	}
	means := gradients.ZeroPad(graph.ReduceMean(x, 1, 2), 1, [2]int{k[2] / 2, k[2] / 2})
	kernel := n.b.Weight(name + ".conv.weight")
	var sum *graph.Node
	for i := range k[2] {
		part := graph.Mul(graph.SliceAxis(means, 1, graph.AxisRange(i, i+d[3])),
			graph.Reshape(graph.SliceAxis(kernel, 2, graph.AxisElem(i)), 1, 1))
		if sum == nil {
			sum = part
		} else {
			sum = graph.Add(sum, part)
		}
	}
	return n.b.Record(name, graph.Mul(x, graph.Reshape(graph.Sigmoid(sum), d[0], 1, 1, d[3])))
}

// meansOfFour halves the size by means of 2x2 places, of fewer at an odd end.
func (n *net) meansOfFour(name string, x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	sum := func(x *graph.Node) *graph.Node {
		return graph.SumPool(x).Window(2).Strides(2).PaddingPerDim([][2]int{{0, d[1] % 2}, {0, d[2] % 2}}).Done()
	}
	if d[1]%2+d[2]%2 == 0 {
		return n.b.Record(name, graph.MulScalar(sum(x), 0.25))
	}
	one := graph.Slice(x, graph.AxisElem(0), graph.AxisRange(), graph.AxisRange(), graph.AxisElem(0))
	return n.b.Record(name, graph.Div(sum(x), sum(graph.OnesLike(one))))
}
