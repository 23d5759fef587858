package display

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"sort"

	"golang.org/x/image/font"
)

// ColorMap gives a colour for a value in 0..1. Both maps can be told apart by people who are
// colour-blind, and grow evenly in what the eye sees.
type ColorMap []color.RGBA

// Sequential is for values that have a sign of their own, from dark blue to yellow (viridis).
var Sequential = ColorMap{{68, 1, 84, 255}, {72, 40, 120, 255}, {62, 74, 137, 255}, {49, 104, 142, 255}, {38, 130, 142, 255},
	{31, 158, 137, 255}, {53, 183, 121, 255}, {110, 206, 88, 255}, {181, 222, 43, 255}, {253, 231, 37, 255}}

// Diverging is for values on both sides of zero, which is 0.5: blue is below, red above, white is zero.
var Diverging = ColorMap{{5, 48, 97, 255}, {33, 102, 172, 255}, {67, 147, 195, 255}, {146, 197, 222, 255}, {209, 229, 240, 255},
	{247, 247, 247, 255}, {253, 219, 199, 255}, {244, 165, 130, 255}, {214, 96, 77, 255}, {178, 24, 43, 255}, {103, 0, 31, 255}}

// At returns the colour of a value; those outside 0..1 have the colour of the nearest end.
func (m ColorMap) At(v float64) color.RGBA {
	if math.IsNaN(v) {
		return color.RGBA{0x80, 0x80, 0x80, 0xff}
	}
	v = min(max(v, 0), 1) * float64(len(m)-1)
	i := min(int(v), len(m)-2)
	f := v - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-f) + float64(b)*f)) }
	a, b := m[i], m[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// ColorBar explains the colours of a heatmap.
type ColorBar struct {
	Map               ColorMap
	Low, Middle, High string // labels at the ends and, if not empty, in the middle
}

// SignedBar and UnsignedBar explain heatmaps that are each scaled to their own largest value.
var (
	SignedBar   = &ColorBar{Diverging, "against", "0", "for"}
	UnsignedBar = &ColorBar{Sequential, "0", "", "most"}
)

func (b *ColorBar) draw(dst *image.RGBA, at image.Rectangle, f font.Face) {
	for y := at.Min.Y; y < at.Max.Y; y++ {
		c := b.Map.At(1 - float64(y-at.Min.Y)/float64(at.Dy()-1))
		draw.Draw(dst, image.Rect(at.Min.X, y, at.Max.X, y+1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	x, w := at.Max.X+4*pixelRatio, 48*pixelRatio
	label(dst, f, b.High, x, at.Min.Y+9*pixelRatio, w, -1)
	label(dst, f, b.Middle, x, (at.Min.Y+at.Max.Y)/2+4*pixelRatio, w, -1)
	label(dst, f, b.Low, x, at.Max.Y, w, -1)
}

// Heatmap lays a heatmap of height x width values over a faint grey copy of an image of any size. Signed heatmaps
// are coloured by [Diverging], symmetric about zero; others by [Sequential]. The colours reach
// their end at the 99th percentile of the absolute values, so that a single pixel does not make the rest vanish. img may be nil.
func Heatmap(img image.Image, values []float32, height, width int, signed bool) (image.Image, error) {
	if height < 1 || width < 1 || len(values) != height*width {
		return nil, fmt.Errorf("display: a heatmap of %d x %d has %d values", height, width, len(values))
	}
	magnitudes := make([]float64, len(values))
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("display: the heatmap has the value %v at row %d, column %d", v, i/width, i%width)
		}
		magnitudes[i] = math.Abs(float64(v))
	}
	sort.Float64s(magnitudes)
	scale := magnitudes[int(0.99*float64(len(magnitudes)-1))]
	if scale == 0 {
		scale = max(magnitudes[len(magnitudes)-1], 1e-30)
	}
	var under image.Image
	if img != nil {
		under = resizedTo(img, width, height)
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for i, v := range values {
		x, y := i%width, i/width
		s := float64(v) / scale
		strength := min(math.Abs(s), 1)
		c := Sequential.At(s)
		if signed {
			c = Diverging.At(0.5 + s/2)
		}
		grey := 247.0
		if under != nil {
			g := color.GrayModel.Convert(under.At(x, y)).(color.Gray)
			grey = 255 - 0.45*float64(255-g.Y)
		}
		alpha := 0.15 + 0.85*math.Sqrt(strength)
		if !signed {
			alpha = 0.7
		}
		mix := func(a uint8) uint8 { return uint8(math.Round(alpha*float64(a) + (1-alpha)*grey)) }
		out.SetRGBA(x, y, color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255})
	}
	return out, nil
}

func resizedTo(img image.Image, width, height int) image.Image {
	if size := img.Bounds().Size(); size.X == width && size.Y == height && img.Bounds().Min == (image.Point{}) {
		return img
	}
	square := resized(img, max(width, height))
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(dst, dst.Bounds(), square, square.Bounds().Min, draw.Src)
	return dst
}
