package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// turned turns the hues of colour images, [N, H, W, 3] in 0..1, by a part of the circle, [N, 1, 1]: by way of hue,
// saturation and value, as torchvision's adjust_hue.
func turned(x, by *graph.Node) *graph.Node {
	channel := func(c int) *graph.Node {
		return graph.Squeeze(graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisElem(c)), 3)
	}
	red, green, blue := channel(0), channel(1), channel(2)
	value := graph.Max(red, graph.Max(green, blue))
	chroma := graph.Sub(value, graph.Min(red, graph.Min(green, blue)))
	some := graph.GreaterThan(chroma, graph.ZerosLike(chroma))
	safe := graph.Where(some, chroma, graph.OnesLike(chroma))
	sixth := func(a, b *graph.Node, at float64) *graph.Node {
		return graph.AddScalar(graph.Div(graph.Sub(a, b), safe), at)
	}
	hue := graph.Where(graph.Equal(value, red), sixth(green, blue, 0),
		graph.Where(graph.Equal(value, green), sixth(blue, red, 2), sixth(red, green, 4)))
	hue = graph.Add(graph.DivScalar(graph.Where(some, hue, graph.ZerosLike(hue)), 6), by)
	// The channels of a pure hue: red is largest around 0, green around 1/3 and blue around 2/3 of the circle.
	pure := func(at float64) *graph.Node {
		h := graph.AddScalar(hue, -at)
		h = graph.Sub(h, graph.Floor(h))
		near := graph.Min(h, graph.OneMinus(h)) // distance on the circle, up to 1/2
		return graph.ClipScalar(graph.AddScalar(graph.MulScalar(near, -6), 2), 0, 1)
	}
	var out []*graph.Node
	for _, at := range []float64{0, 1. / 3, 2. / 3} {
		out = append(out, graph.Sub(value, graph.Mul(chroma, graph.OneMinus(pure(at)))))
	}
	return graph.Stack(out, 3)
}

// Grayscale takes the colours of images away, with their number of channels kept. Grey images stay.
type Grayscale struct {
	// Probability is that with which an image is changed: see [Batch.Chosen]. Nil means 1.
	Probability []float64
}

// Augment implements [Augmentation].
func (g Grayscale) Augment(b *Batch) {
	x := b.Images()
	if x.Shape().Dimensions[3] == 3 {
		grey := graph.BroadcastToDims(luminance(x), x.Shape().Dimensions...)
		b.Set(Images, b.sometimes(g.Probability, grey, x))
	}
}

// Solarize turns what is at least as bright as a level upside down: v becomes 1-v.
type Solarize struct {
	// Level is in 0..1; 0 means 1/2.
	Level float64
	// Probability is that with which an image is changed: see [Batch.Chosen]. Nil means 1.
	Probability []float64
}

// Augment implements [Augmentation].
func (s Solarize) Augment(b *Batch) {
	if s.Level == 0 {
		s.Level = 0.5
	}
	if !(s.Level > 0 && s.Level <= 1) {
		panic(fmt.Errorf("learn: images are turned upside down from a level in 0..1 on, not %v", s.Level))
	}
	x := b.Images()
	bright := graph.GreaterOrEqual(x, graph.Scalar(b.g, x.DType(), s.Level))
	b.Set(Images, b.sometimes(s.Probability, graph.Where(bright, graph.OneMinus(x), x), x))
}
