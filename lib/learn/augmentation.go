package learn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Augmentation changes the examples of a step on the device: [Views], [Crop], [ResizedCrop], [Flip],
// [ColorJitter], [Grayscale], [Solarize], [GaussianBlur], [CutOut], [Changed]. One that has a method CheckData(data
// Source) error is asked by it what is wrong with the data, before a run trains.
type Augmentation interface {
	// Augment builds the change. It panics on what does not fit.
	Augment(b *Batch)
}

// Mixing is an [Augmentation] that puts several examples of a batch into one. That voids the privacy of [DP], which
// refuses it.
type Mixing interface {
	Augmentation
	// MixesExamples does nothing.
	MixesExamples()
}

// checkData asks the augmentations that look at the data.
func checkData(data Source, augment []Augmentation) error {
	for _, a := range augment {
		if c, checks := a.(interface{ CheckData(data Source) error }); checks {
			if err := c.CheckData(data); err != nil {
				return err
			}
		}
	}
	return nil
}

// Changed is an augmentation by a function of the images, [B·V, H, W, C] in 0..1, that returns others of that shape.
// uniform draws numbers from 0 to less than 1, float32, of a shape, new ones in each step.
type Changed func(images *graph.Node, uniform func(dims ...int) *graph.Node) *graph.Node

// Augment implements [Augmentation].
func (c Changed) Augment(b *Batch) {
	if c == nil {
		panic(fmt.Errorf("learn: an augmentation by a function that is nil"))
	}
	x := b.Images()
	now := c(x, b.Uniform)
	if now == nil || !now.Shape().Equal(x.Shape()) {
		panic(fmt.Errorf("learn: Augment must return images of the shape that it gets, %v", x.Shape().Dimensions))
	}
	b.Set(Images, now)
}

// Views repeats every example so many times, for the augmentations that follow to change each view otherwise. The loss
// of an example is the mean over its views (augmentation multiplicity: Hoffer et al., CVPR 2020; De et al., 2022).
type Views int

// Augment implements [Augmentation].
func (v Views) Augment(b *Batch) {
	if v < 1 {
		panic(fmt.Errorf("learn: %d views of an example: there is at least one", int(v)))
	}
	repeated := func(x *graph.Node) *graph.Node {
		d := x.Shape().Dimensions
		many := append([]int{d[0], int(v)}, d[1:]...)
		return graph.Reshape(graph.BroadcastToDims(graph.ExpandAxes(x, 1), many...),
			append([]int{d[0] * int(v)}, d[1:]...)...)
	}
	for _, name := range slices.Sorted(maps.Keys(b.columns)) { // one order, one program
		b.columns[name] = repeated(b.columns[name])
	}
	b.numbers = repeated(b.numbers)
	b.views *= int(v)
}

// Crop moves every image by up to Padding pixels each way: it is padded by its mirror image, without the edge twice as
// NumPy's reflect, or by black, and a piece of its own size is cut out anywhere.
type Crop struct {
	Padding int
	// Black pads with 0 in place of the mirror image.
	Black bool
	// Also are other columns, [B, H, W, ...], that are moved alike, such as masks.
	Also []string
}

// Augment implements [Augmentation].
func (c Crop) Augment(b *Batch) {
	x := b.Images()
	g, d := b.g, x.Shape().Dimensions
	if c.Padding < 0 || !c.Black && c.Padding >= min(d[1], d[2]) {
		panic(fmt.Errorf("learn: images of %dx%d cannot be padded by the mirror image of %d pixels", d[1], d[2], c.Padding))
	}
	shift := func() *graph.Node { // -Padding to Padding, [N]
		u := graph.Floor(graph.MulScalar(b.Uniform(d[0]), 2*c.Padding+1))
		return graph.AddScalar(graph.ConvertDType(u, dtypes.Int32), -c.Padding)
	}
	// place is where each pixel along an axis comes from, [N, length], and whether that is outside of the image.
	place := func(length int) (at, outside *graph.Node) {
		at = graph.Add(graph.Iota(g, shapes.Make(dtypes.Int32, d[0], length), 1),
			graph.BroadcastToDims(graph.ExpandAxes(shift(), 1), d[0], length))
		last := graph.Scalar(g, dtypes.Int32, length-1)
		inside := graph.Abs(at)
		inside = graph.Sub(last, graph.Abs(graph.Sub(last, inside)))
		return inside, graph.NotEqual(inside, at)
	}
	rows, above := place(d[1])
	columns, beside := place(d[2])
	full := func(n *graph.Node, axis int) *graph.Node {
		return graph.BroadcastToDims(graph.ExpandAxes(n, axis), d[0], d[1], d[2])
	}
	image := graph.Iota(g, shapes.Make(dtypes.Int32, d[0], d[1], d[2]), 0)
	at := graph.Add(graph.MulScalar(graph.Add(graph.MulScalar(image, d[1]), full(rows, 2)), d[2]), full(columns, 1))
	outside := graph.LogicalOr(full(above, 2), full(beside, 1))
	for _, name := range append([]string{Images}, c.Also...) {
		x := b.Column(name)
		dims := spatial(name, x, d)
		width := x.Shape().Size() / (d[0] * d[1] * d[2])
		moved := graph.Gather(graph.Reshape(x, d[0]*d[1]*d[2], width), graph.Reshape(at, d[0]*d[1]*d[2], 1))
		moved = graph.Reshape(moved, dims...)
		if c.Black {
			moved = graph.Where(outside, graph.ZerosLike(moved), moved)
		}
		b.Set(name, moved)
	}
}

// spatial are a column's dimensions, which must begin as the images' do.
func spatial(name string, x *graph.Node, images []int) []int {
	d := x.Shape().Dimensions
	if len(d) < 3 || !slices.Equal(d[:3], images[:3]) {
		panic(fmt.Errorf("learn: the column %q has the shape %s, and the images are %dx%d", name, x.Shape(), images[1],
			images[2]))
	}
	return d
}

// Flip turns every image left to right with probability 1/2.
type Flip struct {
	// Also are other columns, [B, H, W, ...], that are turned alike, such as masks.
	Also []string
}

// Augment implements [Augmentation].
func (f Flip) Augment(b *Batch) {
	d := b.Images().Shape().Dimensions
	u := b.Uniform(d[0])
	turn := graph.LessThan(u, graph.Scalar(b.g, floatType, 0.5))
	for _, name := range append([]string{Images}, f.Also...) {
		x := b.Column(name)
		spatial(name, x, d)
		b.Set(name, graph.Where(turn, graph.Reverse(x, 2), x))
	}
}

// ColorJitter changes the colours of every image: brightness, then contrast, then saturation, each by a factor drawn
// from 1-v to 1+v, and cut to 0..1 after each, and then the hue, as torchvision's ColorJitter does in that order. Grey
// images have no saturation and no hue.
type ColorJitter struct {
	Brightness, Contrast, Saturation float64
	// Hue is how far around the circle of hues, 0 to 1/2, an image's are turned at most, either way.
	Hue float64
	// Probability is that with which an image is changed: see [Batch.Chosen]. Nil means 1.
	Probability []float64
}

// Augment implements [Augmentation].
func (c ColorJitter) Augment(b *Batch) {
	x := b.Images()
	factor := func(v float64) *graph.Node {
		if !(v >= 0 && v <= 1) {
			panic(fmt.Errorf("learn: colours change by factors from 1-v to 1+v, with v from 0 to 1, not %v", v))
		}
		if v == 0 {
			return nil
		}
		return graph.AddScalar(graph.MulScalar(b.Uniform(x.Shape().Dimensions[0], 1, 1, 1), 2*v), 1-v)
	}
	now := recoloured(x, factor(c.Brightness), factor(c.Contrast), factor(c.Saturation))
	switch {
	case !(c.Hue >= 0 && c.Hue <= 0.5):
		panic(fmt.Errorf("learn: hues turn by up to a part of the circle, 0 to 1/2, not %v", c.Hue))
	case c.Hue > 0 && x.Shape().Dimensions[3] == 3:
		turn := graph.MulScalar(graph.AddScalar(b.Uniform(x.Shape().Dimensions[0], 1, 1), -0.5), 2*c.Hue)
		now = turned(now, turn)
	}
	b.Set(Images, b.sometimes(c.Probability, now, x))
}

// recoloured changes colours by factors, [N, 1, 1, 1]; nil changes nothing.
func recoloured(x, brightness, contrast, saturation *graph.Node) *graph.Node {
	g, colours := x.Graph(), x.Shape().Dimensions[3] == 3
	grey := func() *graph.Node { return luminance(x) }
	blend := func(with, factor *graph.Node) {
		x = graph.ClipScalar(graph.Add(graph.Mul(x, factor), graph.Mul(with, graph.OneMinus(factor))), 0, 1)
	}
	if brightness != nil {
		blend(graph.ScalarZero(g, x.DType()), brightness)
	}
	if contrast != nil {
		blend(graph.ReduceAndKeep(grey(), graph.ReduceMean, 1, 2), contrast)
	}
	if saturation != nil && colours {
		blend(grey(), saturation)
	}
	return x
}

// luminance is what is bright in images, [N, H, W, 1]: ITU-R 601-2 of colours, and the mean of other channels.
func luminance(x *graph.Node) *graph.Node {
	if x.Shape().Dimensions[3] != 3 {
		return graph.ReduceAndKeep(x, graph.ReduceMean, 3)
	}
	weights := graph.Reshape(graph.Const(x.Graph(), []float32{0.2989, 0.587, 0.114}), 1, 1, 1, 3)
	return graph.ReduceAndKeep(graph.Mul(x, weights), graph.ReduceSum, 3)
}

// CutOut blacks out a square of every image, whose middle lies anywhere in it, so that part of the square may lie
// outside. DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
type CutOut struct{ Side int }

// Augment implements [Augmentation].
func (c CutOut) Augment(b *Batch) {
	x := b.Images()
	d := x.Shape().Dimensions
	if c.Side < 1 || c.Side > max(d[1], d[2]) {
		panic(fmt.Errorf("learn: a square of %d pixels cannot be cut out of images of %dx%d", c.Side, d[1], d[2]))
	}
	within := func(axis int) *graph.Node { // [N, H, W]
		middle := graph.Floor(graph.MulScalar(b.Uniform(d[0], 1, 1), d[axis]))
		from := graph.Iota(b.g, shapes.Make(floatType, d[0], d[1], d[2]), axis)
		off := graph.Sub(from, graph.BroadcastToDims(middle, d[0], d[1], d[2]))
		low, high := graph.Scalar(b.g, floatType, -c.Side/2), graph.Scalar(b.g, floatType, c.Side-c.Side/2)
		return graph.LogicalAnd(graph.GreaterOrEqual(off, low), graph.LessThan(off, high))
	}
	b.Set(Images, graph.Where(graph.LogicalAnd(within(1), within(2)), graph.ZerosLike(x), x))
}
