package pretrained

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// mobileNetV2 is torchvision's: Sandler et al., CVPR 2018.
var mobileNetV2 = family{
	name: "MobileNetV2",
	marks: []string{
		"features.0.0.weight", "features.1.conv.0.0.weight", "features.1.conv.1.weight",
		"features.17.conv.2.weight", "features.18.0.weight", "classifier.1.weight",
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		const epsilon = 1e-5
		layer := func(name, conv, bn string, x *graph.Node, stride int) *graph.Node {
			return n.relu6(name+".relu", n.bn(bn, n.conv(conv, x, stride), epsilon))
		}
		x = layer("features.0", "features.0.0", "features.0.1", x, 2)
		for i := 1; i <= 17; i++ {
			stride := 1
			if i == 2 || i == 4 || i == 7 || i == 14 {
				stride = 2
			}
			name, in, k := fmt.Sprintf("features.%d", i), x, 0
			if n.has(name + ".conv.1.0.weight") { // it widens first
				x = layer(name+".conv.0", name+".conv.0.0", name+".conv.0.1", x, 1)
				k = 1
			}
			at := func(j int) string { return fmt.Sprintf("%s.conv.%d", name, j) }
			x = layer(at(k), at(k)+".0", at(k)+".1", x, stride)
			x = n.residual(name, in, n.bn(at(k+2), n.conv(at(k+1), x, 1), epsilon), stride)
		}
		x = layer("features.18", "features.18.0", "features.18.1", x, 1)
		return n.linear("classifier.1", n.meanPool("avgpool", x))
	},
}

// residual adds what a block began with where that has the same shape.
func (n *net) residual(name string, in, out *graph.Node, stride int) *graph.Node {
	if stride == 1 && in.Shape().Equal(out.Shape()) {
		out = graph.Add(out, in)
	}
	return n.b.Record(name, out)
}

// mobileNetV3 are torchvision's, large and small: Howard et al., ICCV 2019.
var mobileNetV3 = family{
	name: "MobileNetV3",
	marks: []string{
		"features.0.0.weight", "features.1.block.0.0.weight", "features.4.block.2.fc1.weight",
		"classifier.0.weight", "classifier.3.weight",
	},
	title: func(w shapes) string {
		if w.has("features.16.0.weight") {
			return "MobileNetV3 large"
		}
		return "MobileNetV3 small"
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		const epsilon = 1e-3
		large := n.has("features.16.0.weight")
		halves, swishFrom, last := []int{1, 2, 4, 9}, 4, 12
		if large {
			halves, swishFrom, last = []int{2, 4, 7, 13}, 7, 16
		}
		x = n.hardSwish("features.0.act", n.bn("features.0.1", n.conv("features.0.0", x, 2), epsilon))
		for i := 1; i < last; i++ {
			name, in, stride, act := fmt.Sprintf("features.%d", i), x, 1, n.relu
			if slices.Contains(halves, i) {
				stride = 2
			}
			if i >= swishFrom {
				act = n.hardSwish
			}
			parts := n.count(0, "features.%d.block.%d.0.weight", i) // up to squeeze and excitation
			squeezed := n.has(fmt.Sprintf("%s.block.%d.fc1.weight", name, parts))
			wide := parts
			if !squeezed {
				wide-- // the last one narrows
			}
			for k := range wide {
				at := fmt.Sprintf("%s.block.%d", name, k)
				s := 1
				if k == wide-1 { // the depthwise one
					s = stride
				}
				x = act(at+".act", n.bn(at+".1", n.conv(at+".0", x, s), epsilon))
			}
			end := wide
			if squeezed {
				x = n.squeeze(fmt.Sprintf("%s.block.%d", name, wide), x, "fc1", "fc2", n.relu, hardSigmoid)
				end++
			}
			at := fmt.Sprintf("%s.block.%d", name, end)
			x = n.residual(name, in, n.bn(at+".1", n.conv(at+".0", x, 1), epsilon), stride)
		}
		at := fmt.Sprintf("features.%d", last)
		x = n.hardSwish(at+".act", n.bn(at+".1", n.conv(at+".0", x, 1), epsilon))
		x = n.b.Record("avgpool", graph.ReduceMean(x, 1, 2))
		x = n.hardSwish("classifier.1", n.linear("classifier.0", x))
		return n.linear("classifier.3", n.b.Features(x))
	},
}

// efficientNet are torchvision's B0 to B7 and V2: Tan and Le, ICML 2019 and 2021.
var efficientNet = family{
	name: "EfficientNet",
	marks: []string{
		"features.0.0.weight", "features.1.0.block.0.0.weight", "features.2.0.block.1.0.weight",
		"classifier.1.weight",
	},
	title: func(w shapes) string {
		if w.dim("features.1.0.block.0.0.weight", 1) > 1 { // a dense kernel at the beginning
			return "EfficientNetV2-" + map[int]string{2: "S", 3: "M", 4: "L"}[w.count(0, "features.1.%d.block.0.0.weight")]
		}
		if b, ok := torchvisionB(w); ok {
			return fmt.Sprintf("EfficientNet-B%d", b)
		}
		return "EfficientNet"
	},
	size: func(w shapes) int {
		switch b, ok := torchvisionB(w); {
		case ok:
			return efficientNetSizes[b]
		case w.has("features.8.0.weight"): // V2 M and L have a stage more
			return 480
		}
		return 384
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		second := n.dims("features.1.0.block.0.0.weight")[2] > 1
		strides, epsilon := []int{0, 1, 2, 2, 2, 1, 2, 1}, 1e-5
		if second {
			epsilon = 1e-3
		} else if n.count(0, "features.2.%d.block.0.0.weight") >= 5 { // from B5 on
			epsilon = 1e-3
		}
		layer := func(name string, x *graph.Node, stride int) *graph.Node {
			return n.silu(name+".act", n.bn(name+".1", n.conv(name+".0", x, stride), epsilon))
		}
		x = layer("features.0", x, 2)
		stage := 1
		for ; n.has(fmt.Sprintf("features.%d.0.block.0.0.weight", stage)); stage++ {
			for i := range n.count(0, "features.%d.%d.block.0.0.weight", stage) {
				name, in, stride := fmt.Sprintf("features.%d.%d", stage, i), x, 1
				if i == 0 {
					stride = strides[stage]
				}
				at := func(k int) string { return fmt.Sprintf("%s.block.%d", name, k) }
				parts := n.count(0, "features.%d.%d.block.%d.0.weight", stage, i)
				if n.has(at(parts) + ".fc1.weight") { // the depthwise one stands before squeeze and excitation
					for k := range parts {
						s := 1
						if k == parts-1 {
							s = stride
						}
						x = layer(at(k), x, s)
					}
					x = n.squeeze(at(parts), x, "fc1", "fc2", n.silu, graph.Sigmoid)
					x = n.bn(at(parts+1)+".1", n.conv(at(parts+1)+".0", x, 1), epsilon)
				} else { // widening and the rows and columns at once
					x = layer(at(0), x, stride)
					if parts > 1 {
						x = n.bn(at(1)+".1", n.conv(at(1)+".0", x, 1), epsilon)
					}
				}
				x = n.residual(name, in, x, stride)
			}
		}
		x = layer(fmt.Sprintf("features.%d", stage), x, 1)
		return n.linear("classifier.1", n.meanPool("avgpool", x))
	},
}

// efficientNetSizes are the sides of the images that B0 to B7 are made for.
var efficientNetSizes = []int{224, 240, 288, 300, 380, 456, 528, 600}

// efficientNetB tells which of B0 to B7 has so many channels in its first layer and its last, and so many blocks in its
// second stage.
func efficientNetB(stem, blocks, head int) (int, bool) {
	for b, of := range [][3]int{
		{32, 2, 1280}, {32, 3, 1280}, {32, 3, 1408}, {40, 3, 1536}, {48, 4, 1792}, {48, 5, 2048}, {56, 6, 2304},
		{64, 7, 2560},
	} {
		if of == [3]int{stem, blocks, head} {
			return b, true
		}
	}
	return 0, false
}

func torchvisionB(w shapes) (int, bool) {
	return efficientNetB(w.dim("features.0.0.weight", 0), w.count(0, "features.2.%d.block.0.0.weight"),
		w.dim("features.8.0.weight", 0))
}

// mobile is one of the networks that timm gives the names of its EfficientNet.
type mobile struct {
	title, timm string // how it is called, and by timm
	size        int
	relu        int                             // so many stages have ReLU
	act         func(n *net) activation         // of the others, and of the ends
	gate        func(x *graph.Node) *graph.Node // of squeeze and excitation
	reduce      func(n *net) activation         // within it
	strides     []int
}

var mobileStrides = []int{1, 2, 2, 2, 1, 2, 1}

// mobileOf tells which one it is by the channels and the numbers of blocks; nil if none.
func mobileOf(channels, blocks []int, stem, head int, squeezed bool) *mobile {
	scaled := func(base []int, width float64) bool {
		return slices.EqualFunc(channels, base, func(c, of int) bool { return c == wide(of, width) })
	}
	silu, relu := func(n *net) activation { return n.silu }, func(n *net) activation { return n.relu }
	relu6, hardSwish := func(n *net) activation { return n.relu6 }, func(n *net) activation { return n.hardSwish }
	third := mobile{act: hardSwish, gate: hardSigmoid, reduce: relu, size: 224}
	second, efficient := []int{16, 24, 32, 64, 96, 160, 320}, []int{16, 24, 40, 80, 112, 192, 320}
	switch {
	case squeezed && slices.Equal(channels, []int{16, 24, 40, 80, 112, 160, 960}) &&
		slices.Equal(blocks, []int{1, 2, 3, 4, 2, 3, 1}):
		third.title, third.timm, third.relu, third.strides = "MobileNetV3 large", "mobilenetv3_large_100", 3, mobileStrides
		return &third
	case squeezed && slices.Equal(channels, []int{16, 24, 40, 48, 96, 576}) &&
		slices.Equal(blocks, []int{1, 2, 3, 2, 3, 1}):
		third.title, third.timm, third.relu, third.strides = "MobileNetV3 small", "mobilenetv3_small_100", 2,
			[]int{2, 2, 2, 1, 2, 1}
		return &third
	case !squeezed && slices.Equal(blocks, []int{1, 2, 3, 4, 3, 3, 1}):
		for _, width := range []float64{0.35, 0.5, 0.75, 1, 1.4} {
			if scaled(second, width) && stem == wide(32, width) {
				return &mobile{title: "MobileNetV2", timm: fmt.Sprintf("mobilenetv2_%03.0f", 100*width), size: 224, act: relu6,
					strides: mobileStrides}
			}
		}
	}
	for b, of := range [][2]float64{{1, 1}, {1, 1.1}, {1.1, 1.2}, {1.2, 1.4}, {1.4, 1.8}, {1.6, 2.2}, {1.8, 2.6},
		{2, 3.1}} {
		repeated := func(ends bool) bool { // Lite leaves the first and the last stage as they are
			return slices.EqualFunc(blocks, []int{1, 2, 2, 3, 3, 4, 1}, func(n, of7 int) bool {
				if of7 == 1 && !ends {
					return n == 1
				}
				return n == int(math.Ceil(of[1]*float64(of7)))
			})
		}
		switch {
		case !scaled(efficient, of[0]):
		case squeezed && repeated(true) && stem == wide(32, of[0]) && head == wide(1280, of[0]):
			return &mobile{title: fmt.Sprintf("EfficientNet-B%d", b), timm: fmt.Sprintf("efficientnet_b%d", b),
				size: efficientNetSizes[b], act: silu, gate: graph.Sigmoid,
				reduce: silu, strides: mobileStrides}
		case !squeezed && b < 5 && repeated(false) && stem == 32 && head == 1280:
			return &mobile{title: fmt.Sprintf("EfficientNet-Lite%d", b), timm: fmt.Sprintf("efficientnet_lite%d", b),
				size: []int{224, 240, 260, 280, 300}[b], act: relu6,
				strides: mobileStrides}
		}
	}
	return nil
}

// wide is a number of channels at another width: a multiple of 8 that is at most a tenth smaller.
func wide(channels int, width float64) int {
	exact := width * float64(channels)
	n := max(8, int(exact+4)/8*8)
	if float64(n) < 0.9*exact {
		n += 8
	}
	return n
}

func (w shapes) mobile() *mobile {
	var channels, blocks []int
	squeezed := false
	for stage := 0; ; stage++ {
		last := 0
		for _, end := range []string{"conv_pwl", "conv_pw", "conv"} {
			if last == 0 {
				last = w.dim(fmt.Sprintf("blocks.%d.0.%s.weight", stage, end), 0)
			}
			squeezed = squeezed || w.has(fmt.Sprintf("blocks.%d.0.se.conv_reduce.weight", stage))
		}
		if last == 0 {
			return mobileOf(channels, blocks, w.dim("conv_stem.weight", 0), w.dim("conv_head.weight", 0), squeezed)
		}
		channels = append(channels, last)
		blocks = append(blocks, max(w.count(0, "blocks.%d.%d.conv_dw.weight", stage),
			w.count(0, "blocks.%d.%d.conv.weight", stage)))
	}
}

// timmMobile are timm's MobileNetV2 and V3, EfficientNet B0 to B7 and Lite.
var timmMobile = family{
	name: "EfficientNet or MobileNet (timm)",
	marks: []string{
		"conv_stem.weight", "bn1.running_mean", "blocks.0.0.conv_dw.weight", "blocks.1.0.conv_pw.weight",
		"blocks.1.0.conv_dw.weight", "conv_head.weight", "classifier.weight",
	},
	title: func(w shapes) string {
		if m := w.mobile(); m != nil {
			return m.title
		}
		return ""
	},
	size:   func(w shapes) int { return w.mobile().size },
	fromTF: true,
	ambiguous: func(w shapes, hint string) error {
		m := w.mobile()
		if m == nil {
			return fmt.Errorf("the weights have the names of timm's EfficientNet and the numbers of channels and blocks of " +
				"none that is known here: export the network to ONNX")
		}
		said := strings.Contains(plainHint(hint), m.timm)
		if strings.HasPrefix(m.timm, "mobilenetv2") || said || saysTF(hint) {
			return nil
		}
		return fmt.Errorf("timm's %s and tf_%s have weights of the same names and shapes and treat the edges of images "+
			"otherwise: give the file the name of the one that it is, such as tf_%s.pth, or put timm's config.json beside it",
			m.timm, m.timm, m.timm)
	},
	build: buildMobile,
}

func plainHint(hint string) string { return strings.ReplaceAll(strings.ToLower(hint), "-", "_") }

// saysTF tells whether a hint is of one of the networks that came from TensorFlow.
func saysTF(hint string) bool { return strings.Contains(plainHint(hint), "tf_") }

func buildMobile(n *net, x *graph.Node) *graph.Node {
	w := shapes{}
	for _, name := range n.b.Weights() {
		d := n.dims(name)
		if len(d) == 4 {
			d = []int{d[3], d[2], d[0], d[1]}
		}
		w[name] = d
	}
	m := w.mobile()
	if m == nil {
		n.refuse("these channels and blocks are of no network that is known")
	}
	epsilon := 1e-5
	if n.same {
		epsilon = 1e-3
	}
	act := m.act(n)
	x = act("bn1.act", n.bn("bn1", n.conv("conv_stem", x, 2), epsilon))
	for stage, stride := range m.strides {
		act := act
		if stage < m.relu {
			act = n.relu
		}
		for i := 0; ; i++ {
			name, in := fmt.Sprintf("blocks.%d.%d", stage, i), x
			if i > 0 {
				stride = 1
			}
			layer := func(conv, bn string, x *graph.Node, stride int) *graph.Node {
				return act(name+"."+bn+".act", n.bn(name+"."+bn, n.conv(name+"."+conv, x, stride), epsilon))
			}
			squeezed := func(x *graph.Node) *graph.Node {
				if !n.has(name + ".se.conv_reduce.weight") {
					return x
				}
				return n.squeeze(name+".se", x, "conv_reduce", "conv_expand", m.reduce(n), m.gate)
			}
			switch {
			case n.has(name + ".conv_pwl.weight"):
				x = squeezed(layer("conv_dw", "bn2", layer("conv_pw", "bn1", x, 1), stride))
				x = n.bn(name+".bn3", n.conv(name+".conv_pwl", x, 1), epsilon)
			case n.has(name + ".conv_dw.weight"):
				x = squeezed(layer("conv_dw", "bn1", x, stride))
				x = n.bn(name+".bn2", n.conv(name+".conv_pw", x, 1), epsilon)
			case n.has(name + ".conv.weight"):
				x = n.b.Record(name, layer("conv", "bn1", x, stride))
				continue
			}
			if x == in {
				break
			}
			x = n.residual(name, in, x, stride)
		}
	}
	if n.has("conv_head.bias") { // after the means
		x = graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2)
		x = act("conv_head.act", n.convAt("conv_head", x, 1, 0))
		return n.linear("classifier", n.b.Features(graph.Reshape(x, x.Shape().Dimensions[0], -1)))
	}
	x = act("bn2.act", n.bn("bn2", n.conv("conv_head", x, 1), epsilon))
	return n.linear("classifier", n.meanPool("global_pool", x))
}
