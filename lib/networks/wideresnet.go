package networks

import (
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/model"
)

// WideResNet is the wide residual network for 32x32 images, without dropout: Zagoruyko and Komodakis, BMVC 2016. Names,
// initialisation and parameters are those of xternalz/WideResNet-pytorch. See [PrivateWideResNet] for the one that is
// trained with differential privacy.
type WideResNet struct {
	Depth int // 6n+4, such as 16, 28 or 40; 0 means 16
	Widen int // how many times as wide as 16, 32 and 64 channels; 0 means 4
	Norm  Norm
}

// Make makes it with random weights.
func (n WideResNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n WideResNet) name() string { return fmt.Sprintf("WRN-%d-%d", or(n.Depth, 16), or(n.Widen, 4)) }
func (n WideResNet) norm() Norm   { return n.Norm }

func (n WideResNet) init() initial {
	all := fanOut
	all.linearBias = zeros
	return all
}

func (n WideResNet) check(model.Spec) error { return checkWide(or(n.Depth, 16), or(n.Widen, 4)) }

func checkWide(depth, widen int) error {
	if depth < 10 || (depth-4)%6 != 0 {
		return fmt.Errorf("its depth is 6n+4, such as 16, 28 or 40, not %d", depth)
	}
	if widen < 1 {
		return fmt.Errorf("%d times as wide cannot be", widen)
	}
	return nil
}

func (n WideResNet) forward(l *layers, x value, classes int) value {
	return l.linear("fc", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

func (n WideResNet) trunk(l *layers, x value) value {
	x = l.conv("conv1", x, 16, 3, convolution{padding: 1})
	x = wideStages(l, x, n.Depth, n.Widen, func(x value, width, stride int, _ bool) value {
		normalised := l.relu("relu1", l.normalised("bn1", x))
		if x.channels != width {
			x = l.conv("convShortcut", normalised, width, 1, convolution{stride: stride})
		}
		y := l.convNormReLU("conv1", "bn2", "relu2", normalised, width, 3, convolution{stride: stride, padding: 1})
		return l.add("add", l.conv("conv2", y, width, 3, convolution{padding: 1}), x)
	})
	return l.relu("relu", l.normalised("bn1", x))
}

// wideStages are the three stages of a wide residual network, each of (depth-4)/6 blocks: of 16, 32 and 64 channels,
// and widen times as many. The first block of the second and of the third stage has a stride of 2.
func wideStages(l *layers, x value, depth, widen int, block func(x value, width, stride int, first bool) value) value {
	for stage := range 3 {
		for i := range (or(depth, 16) - 4) / 6 {
			out := l.in(fmt.Sprintf("block%d.layer.%d.", stage+1, i))
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			x = block(x, or(widen, 4)*16<<stage, stride, i == 0)
			out()
		}
		x = l.record(fmt.Sprintf("block%d", stage+1), x)
	}
	return x
}

// PrivateWideResNet is the wide residual network of De et al., "Unlocking High-Accuracy Differentially Private Image
// Classification through Scale", 2022, as their code has it: each convolution takes a group normalisation of a ReLU, in
// this order, its kernel is standardised and has a gain and a bias, and a stage's first shortcut has a normalisation of
// its own. No batch normalisation: what an image is normalised by is its own. Names are those of [WideResNet], with
// .gain besides, and normShortcut.
type PrivateWideResNet struct {
	Depth  int // 6n+4, such as 16 or 40; 0 means 16
	Widen  int // how many times as wide as 16, 32 and 64 channels; 0 means 4
	Groups int // 0 means 16
}

// Make makes it with random weights.
func (n PrivateWideResNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n PrivateWideResNet) name() string {
	return fmt.Sprintf("private WRN-%d-%d", or(n.Depth, 16), or(n.Widen, 4))
}
func (n PrivateWideResNet) norm() Norm { return Norm{Groups: or(n.Groups, 16)} }

// init is haiku's VarianceScaling(1, fan-in): normal, cut off at two standard deviations and made as wide again as that
// takes from it. The code of De et al. draws kernels without the cut, which their standardisation hides.
func (n PrivateWideResNet) init() initial {
	cut := func(fanIn int) draw.Number {
		return truncated(math.Sqrt(1/float64(fanIn))/.87962566103423978, 2)
	}
	return initial{
		conv:   func(fanIn, _ int) draw.Number { return draw.Normal(math.Sqrt(1 / float64(fanIn))) },
		linear: cut, bias: zeros, linearBias: zeros,
	}
}

func (n PrivateWideResNet) check(model.Spec) error {
	return checkWide(or(n.Depth, 16), or(n.Widen, 4))
}

func (n PrivateWideResNet) forward(l *layers, x value, classes int) value {
	return l.linear("fc", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

func (n PrivateWideResNet) trunk(l *layers, x value) value {
	x = l.conv("conv1", x, 16, 3, convolution{bias: true, scaled: true})
	x = wideStages(l, x, n.Depth, n.Widen, func(x value, width, stride int, first bool) value {
		active := l.relu("relu1", x)
		if first {
			x = l.conv("convShortcut", l.normalised("normShortcut", active), width, 1,
				convolution{stride: stride, bias: true, scaled: true})
		}
		y := l.conv("conv1", l.normalised("bn1", active), width, 3, convolution{stride: stride, bias: true, scaled: true})
		y = l.conv("conv2", l.normalised("bn2", l.relu("relu2", y)), width, 3, convolution{bias: true, scaled: true})
		return l.add("add", y, x)
	})
	return l.normalised("bn1", l.relu("relu", x))
}
