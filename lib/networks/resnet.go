package networks

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"
)

// ResNet is the residual network for photographs, with names, initialisation and parameters as torchvision has them: He
// et al., CVPR 2016, with the stride in the 3x3 convolution of the bottlenecks.
type ResNet struct {
	Depth int // 18, 34, 50, 101 or 152; 0 means 18
	// CIFAR has a 3x3 convolution and no pooling at the beginning, for images of 32x32 or so.
	CIFAR bool
	// Stride is what the image is made smaller by at the end: 32, or 16 or 8, where the last one or two stages of
	// bottlenecks have dilated convolutions in place of strides, as segmentation wants it; 0 means 32. With CIFAR it is a
	// quarter of that.
	Stride int
	Norm   Norm
}

// Make makes it with random weights.
func (n ResNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

var resNetBlocks = map[int][4]int{18: {2, 2, 2, 2}, 34: {3, 4, 6, 3}, 50: {3, 4, 6, 3}, 101: {3, 4, 23, 3},
	152: {3, 8, 36, 3}}

func (n ResNet) name() string  { return fmt.Sprintf("ResNet-%d", or(n.Depth, 18)) }
func (n ResNet) norm() Norm    { return n.Norm }
func (n ResNet) init() initial { return fanOut }

func (n ResNet) check(model.Spec) error {
	if resNetBlocks[or(n.Depth, 18)] == [4]int{} {
		return fmt.Errorf("there is none of depth %d: take 18, 34, 50, 101 or 152", n.Depth)
	}
	switch or(n.Stride, 32) {
	case 32:
		return nil
	case 16, 8:
		if or(n.Depth, 18) >= 50 {
			return nil
		}
		return fmt.Errorf("a stride of %d takes bottlenecks: depth 50, 101 or 152", n.Stride)
	}
	return fmt.Errorf("its stride is 32, 16 or 8, not %d", n.Stride)
}

func (n ResNet) forward(l *layers, x value, classes int) value {
	return l.linear("fc", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

// trunk is the network without its last two layers.
func (n ResNet) trunk(l *layers, x value) value {
	if n.CIFAR {
		x = l.convNormReLU("conv1", "bn1", "relu", x, 64, 3, convolution{padding: 1})
	} else {
		x = l.convNormReLU("conv1", "bn1", "relu", x, 64, 7, convolution{stride: 2, padding: 3})
		x = l.maxPool("maxpool", x, 3, 2, 1)
	}
	at, dilation := 4, 1 // how much smaller the image is
	for stage, blocks := range resNetBlocks[or(n.Depth, 18)] {
		width, stride, first := 64<<stage, 1, dilation
		if stage > 0 {
			if at < or(n.Stride, 32) {
				stride, at = 2, at*2
			} else {
				dilation *= 2
			}
		}
		for i := range blocks {
			out := l.in(fmt.Sprintf("layer%d.%d.", stage+1, i))
			if or(n.Depth, 18) < 50 {
				x = basicBlock(l, x, width, stride)
			} else {
				x = bottleneck(l, x, width, stride, first)
			}
			stride, first = 1, dilation
			out()
		}
		x = l.record(fmt.Sprintf("layer%d", stage+1), x)
	}
	return x
}

// shortcut is what is added to a block's output.
func shortcut(l *layers, x value, channels, stride int) value {
	if x.channels == channels && stride == 1 {
		return x
	}
	return l.normalised("downsample.1", l.conv("downsample.0", x, channels, 1, convolution{stride: stride}))
}

func basicBlock(l *layers, x value, width, stride int) value {
	y := l.convNormReLU("conv1", "bn1", "relu1", x, width, 3, convolution{stride: stride, padding: 1})
	y = l.normalised("bn2", l.conv("conv2", y, width, 3, convolution{padding: 1}))
	return l.relu("relu", l.add("add", y, shortcut(l, x, width, stride)))
}

func bottleneck(l *layers, x value, width, stride, dilation int) value {
	y := l.convNormReLU("conv1", "bn1", "relu1", x, width, 1, convolution{})
	y = l.convNormReLU("conv2", "bn2", "relu2", y, width, 3, convolution{stride: stride, padding: dilation,
		dilation: dilation})
	y = l.normalised("bn3", l.conv("conv3", y, 4*width, 1, convolution{}))
	return l.relu("relu", l.add("add", y, shortcut(l, x, 4*width, stride)))
}

// CIFARResNet is the residual network for 32x32 images, 16, 32 and 64 channels wide, whose shortcuts take every second
// pixel and fill new channels with zeros: He et al., CVPR 2016, section 4.2. Names, initialisation and parameters are
// those of akamaster/pytorch_resnet_cifar10.
type CIFARResNet struct {
	Depth int // 6n+2, such as 20 or 56; 0 means 20
	Norm  Norm
}

// Make makes it with random weights.
func (n CIFARResNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n CIFARResNet) name() string { return fmt.Sprintf("ResNet-%d", or(n.Depth, 20)) }
func (n CIFARResNet) norm() Norm   { return n.Norm }

// init is variance 2/fan-in for all kernels and matrices.
func (n CIFARResNet) init() initial {
	fanIn := func(fanIn int) draw.Number { return draw.Normal(math.Sqrt(2 / float64(fanIn))) }
	return initial{conv: func(in, _ int) draw.Number { return fanIn(in) }, linear: fanIn, bias: draw.Uniform,
		linearBias: draw.Uniform}
}

func (n CIFARResNet) check(model.Spec) error {
	if d := or(n.Depth, 20); d < 8 || (d-2)%6 != 0 {
		return fmt.Errorf("its depth is 6n+2, such as 20, 32, 44, 56 or 110, not %d", d)
	}
	return nil
}

func (n CIFARResNet) forward(l *layers, x value, classes int) value {
	return l.linear("linear", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

func (n CIFARResNet) trunk(l *layers, x value) value {
	x = l.convNormReLU("conv1", "bn1", "relu", x, 16, 3, convolution{padding: 1})
	for stage := range 3 {
		width := 16 << stage
		for i := range (or(n.Depth, 20) - 2) / 6 {
			out := l.in(fmt.Sprintf("layer%d.%d.", stage+1, i))
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			y := l.convNormReLU("conv1", "bn1", "relu1", x, width, 3, convolution{stride: stride, padding: 1})
			y = l.normalised("bn2", l.conv("conv2", y, width, 3, convolution{padding: 1}))
			x = l.relu("relu", l.add("add", y, l.everySecond(x, stride, width)))
			out()
		}
		x = l.record(fmt.Sprintf("layer%d", stage+1), x)
	}
	return x
}

// everySecond takes every stride-th pixel and puts channels of zeros before and after.
func (l *layers) everySecond(x value, stride, channels int) value {
	if x.node != nil {
		if stride > 1 {
			x.node = graph.Slice(x.node, graph.AxisRange(), graph.AxisRange().Stride(stride), graph.AxisRange().Stride(stride))
		}
		more := channels - x.channels
		x.node = gradients.ZeroPad(x.node, 3, [2]int{more / 2, more - more/2})
	}
	x.channels, x.height, x.width = channels, (x.height+stride-1)/stride, (x.width+stride-1)/stride
	return x
}

// PreResNet is the residual network for 32x32 images that normalises before it convolves: He et al., ECCV 2016. From
// depth 44 on its blocks are bottlenecks, four times as wide at their ends. Names, initialisation and parameters are
// those of bearpaw/pytorch-classification and of samuelstanton/gnosis (Stanton et al., NeurIPS 2021).
type PreResNet struct {
	Depth int // 6n+2 below 44, such as 20, and 9n+2 from there on, such as 56; 0 means 20
	Norm  Norm
}

// Make makes it with random weights.
func (n PreResNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n PreResNet) name() string  { return fmt.Sprintf("PreResNet-%d", or(n.Depth, 20)) }
func (n PreResNet) norm() Norm    { return n.Norm }
func (n PreResNet) init() initial { return fanOut }

func (n PreResNet) check(model.Spec) error {
	d := or(n.Depth, 20)
	if d < 8 || d < 44 && (d-2)%6 != 0 || d >= 44 && (d-2)%9 != 0 {
		return fmt.Errorf("its depth is 6n+2 below 44, such as 20, and 9n+2 from there on, such as 56, not %d", d)
	}
	return nil
}

func (n PreResNet) forward(l *layers, x value, classes int) value {
	return l.linear("fc", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

func (n PreResNet) trunk(l *layers, x value) value {
	depth, wide := or(n.Depth, 20), 1
	blocks := (depth - 2) / 6
	if depth >= 44 {
		blocks, wide = (depth-2)/9, 4
	}
	x = l.conv("conv1", x, 16, 3, convolution{padding: 1})
	for stage := range 3 {
		width := 16 << stage
		for i := range blocks {
			out := l.in(fmt.Sprintf("layer%d.%d.", stage+1, i))
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			y := l.relu("relu1", l.normalised("bn1", x))
			if wide == 1 {
				y = l.convNormReLU("conv1", "bn2", "relu2", y, width, 3, convolution{stride: stride, padding: 1})
				y = l.conv("conv2", y, width, 3, convolution{padding: 1})
			} else {
				y = l.convNormReLU("conv1", "bn2", "relu2", y, width, 1, convolution{})
				y = l.convNormReLU("conv2", "bn3", "relu3", y, width, 3, convolution{stride: stride, padding: 1})
				y = l.conv("conv3", y, wide*width, 1, convolution{})
			}
			if stride != 1 || x.channels != wide*width {
				x = l.conv("downsample.0", x, wide*width, 1, convolution{stride: stride})
			}
			x = l.add("add", y, x)
			out()
		}
		x = l.record(fmt.Sprintf("layer%d", stage+1), x)
	}
	return l.relu("relu", l.normalised("bn", x))
}
