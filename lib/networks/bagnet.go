package networks

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// BagNet is the bag of local features for photographs: a ResNet-50 most of whose 3x3 convolutions are 1x1, so that each
// of the features that are averaged sees a patch of the image only. Brendel and Bethge, ICLR 2019. Names,
// initialisation and parameters are those of wielandbrendel/bag-of-local-features-models, but that the running
// statistics of the first batch normalisation move by a tenth in training as all others, and there by a thousandth.
type BagNet struct {
	Field int // side of a patch in pixels, 9, 17 or 33; 0 means 17
	Norm  Norm
}

// Make makes it with random weights.
func (n BagNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n BagNet) name() string  { return fmt.Sprintf("BagNet-%d", or(n.Field, 17)) }
func (n BagNet) norm() Norm    { return n.Norm }
func (n BagNet) init() initial { return fanOut }

func (n BagNet) check(model.Spec) error {
	switch or(n.Field, 17) {
	case 9, 17, 33:
		return nil
	}
	return fmt.Errorf("its patches are 9, 17 or 33 pixels wide, not %d", n.Field)
}

func (n BagNet) forward(l *layers, x value, classes int) value {
	return l.linear("fc", l.meanPool("avgpool", n.trunk(l, x)), classes)
}

func (n BagNet) trunk(l *layers, x value) value {
	x = l.conv("conv1", x, 64, 1, convolution{})
	x = l.convNormReLU("conv2", "bn1", "relu", x, 64, 3, convolution{})
	looking := map[int]int{9: 2, 17: 3, 33: 4}[or(n.Field, 17)] // the stages that begin with a 3x3 convolution
	for stage, blocks := range [4]int{3, 4, 6, 3} {
		width := 64 << stage
		for i := range blocks {
			out := l.in(fmt.Sprintf("layer%d.%d.", stage+1, i))
			kernel, stride := 1, 1
			if i == 0 && stage < looking {
				kernel = 3
			}
			if i == 0 && stage < 3 {
				stride = 2
			}
			y := l.convNormReLU("conv1", "bn1", "relu1", x, width, 1, convolution{})
			y = l.convNormReLU("conv2", "bn2", "relu2", y, width, kernel, convolution{stride: stride})
			y = l.normalised("bn3", l.conv("conv3", y, 4*width, 1, convolution{}))
			x = l.relu("relu", l.add("add", y, l.cropped(shortcut(l, x, 4*width, stride), y.height, y.width)))
			out()
		}
		x = l.record(fmt.Sprintf("layer%d", stage+1), x)
	}
	return x
}

// cropped leaves out what is too much at the bottom and to the right.
func (l *layers) cropped(x value, height, width int) value {
	if x.node != nil && (x.height > height || x.width > width) {
		x.node = graph.Slice(x.node, graph.AxisRange(), graph.AxisRange(0, height), graph.AxisRange(0, width))
	}
	x.height, x.width = height, width
	return x
}

// SmallBagNet is the bag of local features for small images in Jain, Tsipras and Madry, "Combining Diverse Feature
// Priors", ICML 2022, where it has the prior of texture: convolutions that look at a few pixels, then max-pooling down
// to one place. Names, initialisation and parameters are those of MadryLab/copriors: BagnetCustom32, or if it is Thin
// BagnetCustom96Thin. The sides of images are 8 pixels or more, or 16.
type SmallBagNet struct {
	// Thin is the network for images of 96x96 or so: a pooling and a 3x3 convolution more, and half as many channels
	// before them. A place of its last 3x3 convolution sees 20x20 pixels, in the other network 10x10.
	Thin bool
	Norm Norm
}

// Make makes it with random weights.
func (n SmallBagNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n SmallBagNet) name() string {
	if n.Thin {
		return "thin BagNet"
	}
	return "small BagNet"
}

func (n SmallBagNet) norm() Norm    { return n.Norm }
func (n SmallBagNet) init() initial { return plain }

func (n SmallBagNet) check(spec model.Spec) error {
	if spec.Height != spec.Width {
		return fmt.Errorf("images are square, not %d x %d", spec.Height, spec.Width)
	}
	return nil
}

func (n SmallBagNet) forward(l *layers, x value, classes int) value {
	side := x.height
	unit := func(name string, x value, out, kernel int) value {
		return l.convNormReLU(name+".0", name+".1", name+".2", x, out, kernel, convolution{padding: kernel / 2, bias: true})
	}
	looking := func(name string, x value, out, kernel int) value {
		x = unit(name+".conv1", x, out, 1)
		return l.add(name, x, unit(name+".conv2", x, out, kernel))
	}
	pooled := func(name string, x value, out, window int) value {
		return l.maxPool(name+".pool", unit(name+".conv", x, out, 1), window, window, 0)
	}
	widths := []int{256, 512}
	if n.Thin {
		widths = []int{128, 256, 512}
	}
	for i, width := range widths {
		kernel := 5
		if i > 0 {
			kernel = 3
			x = pooled(fmt.Sprintf("pre_convs.%d", 2*i-1), x, widths[i-1], 2)
		}
		x = looking(fmt.Sprintf("pre_convs.%d", 2*i), x, width, kernel)
	}
	x = pooled("downsamples.0", x, 1024, 2)
	x = pooled("downsamples.1", x, 1024, 2)
	x = pooled("final_downsample", x, 1024, max(side>>(len(widths)+1), 1))
	for i, width := range [4]int{512, 512, 256, 128} {
		x = unit(fmt.Sprintf("post_convs.%d", i), x, width, 1)
	}
	return l.linear("fc", l.meanPool("features", x), classes)
}
