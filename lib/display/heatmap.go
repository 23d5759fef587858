package display

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/image/font"

	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
)

// ColorMap gives a colour for a value in 0..1. Both maps can be told apart by people who are
// colour-blind, and grow evenly in what the eye sees.
type ColorMap []color.RGBA

// Sequential is for values that are all of one sign, from dark blue to yellow (viridis).
var Sequential = ColorMap{{68, 1, 84, 255}, {72, 40, 120, 255}, {62, 74, 137, 255}, {49, 104, 142, 255},
	{38, 130, 142, 255},
	{31, 158, 137, 255}, {53, 183, 121, 255}, {110, 206, 88, 255}, {181, 222, 43, 255}, {253, 231, 37, 255}}

// Diverging is for values on both sides of zero, which is 0.5: blue is below, red above, white is zero.
var Diverging = ColorMap{{5, 48, 97, 255}, {33, 102, 172, 255}, {67, 147, 195, 255}, {146, 197, 222, 255},
	{209, 229, 240, 255},
	{247, 247, 247, 255}, {253, 219, 199, 255}, {244, 165, 130, 255}, {214, 96, 77, 255}, {178, 24, 43, 255},
	{103, 0, 31, 255}}

// At returns the colour of a value; those outside 0..1 have the colour of the nearest end. What has no
// colour, NaN or any value of an empty map, is grey.
func (m ColorMap) At(v float64) color.RGBA {
	switch {
	case math.IsNaN(v) || len(m) == 0:
		return color.RGBA{0x80, 0x80, 0x80, 0xff}
	case len(m) == 1:
		return m[0]
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
	drawLine(dst, f, b.High, x, at.Min.Y+9*pixelRatio, w, -1)
	drawLine(dst, f, b.Middle, x, (at.Min.Y+at.Max.Y)/2+4*pixelRatio, w, -1)
	drawLine(dst, f, b.Low, x, at.Max.Y, w, -1)
}

// Overlays lays heatmaps, [..., H, W] float32, over pictures, as [Heatmap] does each: an equal number, in their order,
// over each picture. Those of one picture are [K, H, W] for example, one for each of N pictures [N, H, W], and K for
// each [N, K, H, W].
func Overlays(pictures []image.Image, heatmaps *tensors.Tensor, signed bool) ([]image.Image, error) {
	if heatmaps == nil || heatmaps.Rank() < 3 || heatmaps.DType() != dtypes.Float32 {
		return nil, fmt.Errorf(
			"display: heatmaps have the shape [N, H, W] float32; sum an attribution over its channels first")
	}
	d := heatmaps.Shape().Dimensions
	height, width := d[len(d)-2], d[len(d)-1]
	size := height * width
	if len(pictures) == 0 || size == 0 || heatmaps.Size()/size%len(pictures) != 0 {
		return nil, fmt.Errorf("display: heatmaps %v are not as many for each of %d pictures", d, len(pictures))
	}
	values, err := tensors.CopyFlatData[float32](heatmaps)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	all := make([]image.Image, len(values)/size)
	for i := range all {
		if all[i], err = Heatmap(pictures[i*len(pictures)/len(all)], values[i*size:(i+1)*size], height, width,
			signed); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Heatmap lays a heatmap of height x width values over a faint grey copy of an image of any size; what
// comes out is as large as the larger of the two. Signed heatmaps are coloured by [Diverging], symmetric about zero;
// others, from zero on, by [Sequential]. The colours reach their end at the 99th percentile of
// the absolute values, so that a single pixel does not make the rest vanish. Where img is nil the colours alone are
// seen.
func Heatmap(img image.Image, values []float32, height, width int, signed bool) (image.Image, error) {
	if height < 1 || width < 1 || len(values) != height*width {
		return nil, fmt.Errorf("display: a heatmap of %d x %d has %d values", height, width, len(values))
	}
	scale, err := heatScale(values, width, 99)
	if err != nil {
		return nil, err
	}
	return blend(img, values, height, width, signed, scale), nil
}

// heatScale is the given percentile of the absolute values, or the largest where that is zero.
func heatScale(values []float32, width int, percentile float64) (float64, error) {
	magnitudes := make([]float64, len(values))
	for i, v := range values {
		if !finite(float64(v)) {
			return 0, fmt.Errorf("display: the heatmap has the value %v at row %d, column %d", v, i/width, i%width)
		}
		magnitudes[i] = math.Abs(float64(v))
	}
	slices.Sort(magnitudes)
	// The nearest rank, so that fewer than a hundred values lose none.
	scale := magnitudes[int(math.Ceil(percentile/100*float64(len(magnitudes))))-1]
	if scale == 0 {
		scale = magnitudes[len(magnitudes)-1]
	}
	return scale, nil
}

// blend draws the heatmap, whose colours end at scale, over the image.
func blend(img image.Image, values []float32, height, width int, signed bool, scale float64) image.Image {
	outH, outW := height, width
	var under image.Image
	if img != nil {
		size := img.Bounds().Size()
		outH, outW = max(outH, size.Y), max(outW, size.X)
		under = picture.ResizedTo(img, outW, outH)
	}
	out := image.NewRGBA(image.Rect(0, 0, outW, outH))
	for y := range outH {
		for x := range outW {
			s := 0.0
			if scale > 0 {
				s = bilinear(values, height, width, (float64(y)+0.5)/float64(outH), (float64(x)+0.5)/float64(outW)) / scale
			}
			c := Sequential.At(s)
			if signed {
				c = Diverging.At(0.5 + s/2)
			}
			// Where nothing is, the image is seen; where much is, the colour.
			strength := min(math.Abs(s), 1)
			alpha := 0.15 + 0.85*math.Sqrt(strength)
			if !signed {
				alpha = 0.45 + 0.45*strength
			}
			grey := 247.0
			if under == nil { // there is nothing to be seen below, and the colours are those of the bar
				alpha = 1
			} else {
				at := under.Bounds().Min
				g := color.GrayModel.Convert(under.At(at.X+x, at.Y+y)).(color.Gray)
				grey = 255 - 0.5*float64(255-g.Y)
			}
			mix := func(a uint8) uint8 { return uint8(math.Round(alpha*float64(a) + (1-alpha)*grey)) }
			out.SetRGBA(x, y, color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255})
		}
	}
	return out
}

// bilinear reads a map of height x width values at a place in 0..1, between the centres of its cells.
func bilinear(values []float32, height, width int, y, x float64) float64 {
	place := func(at float64, n int) (low, high int, f float64) {
		at = min(max(at*float64(n)-0.5, 0), float64(n-1))
		low = int(at)
		return low, min(low+1, n-1), at - float64(low)
	}
	top, bottom, fy := place(y, height)
	left, right, fx := place(x, width)
	at := func(row, column int) float64 { return float64(values[row*width+column]) }
	return (1-fy)*((1-fx)*at(top, left)+fx*at(top, right)) + fy*((1-fx)*at(bottom, left)+fx*at(bottom, right))
}

// Overlay is a heatmap over its image with a colour bar that tells its values.
// [Overlay.Picture] is the same without the bar, for a [Tile].
type Overlay struct {
	Title string
	Over  any             // the image: image.Image, or a tensor [H, W, C] or [1, H, W, C] in 0..1; nil for none
	Heat  *tensors.Tensor // float32 [H, W], [1, H, W], [H, W, 1] or [1, H, W, 1]; of any size
	// Unsigned colours by [Sequential] from zero on; it is an error if values are below.
	Unsigned bool
	// Percentile of the absolute values at which the colours end; 0 means 99.
	Percentile float64
}

// Picture draws the heatmap over the image.
func (o Overlay) Picture() (image.Image, error) {
	img, _, err := o.picture()
	return img, err
}

func (o Overlay) picture() (img image.Image, scale float64, err error) {
	percentile := o.Percentile
	if percentile == 0 {
		percentile = 99
	}
	if !(percentile > 0 && percentile <= 100) {
		return nil, 0, fmt.Errorf("display: the percentile %v of a heatmap does not lie between 0 and 100", percentile)
	}
	if o.Heat == nil {
		return nil, 0, errors.New("display: an overlay has no heatmap")
	}
	if err := o.Heat.CheckValid(); err != nil {
		return nil, 0, fmt.Errorf("display: the heatmap holds nothing: %w", err)
	}
	dims := slices.Clone(o.Heat.Shape().Dimensions)
	if len(dims) > 2 && dims[0] == 1 {
		dims = dims[1:]
	}
	if len(dims) == 3 && dims[2] == 1 {
		dims = dims[:2]
	}
	if len(dims) != 2 || dims[0] < 1 || dims[1] < 1 || o.Heat.DType() != dtypes.Float32 {
		return nil, 0, fmt.Errorf("display: a heatmap is [H, W] float32, one for each image, not %s", o.Heat.Shape())
	}
	values, err := tensors.CopyFlatData[float32](o.Heat)
	if err != nil {
		return nil, 0, fmt.Errorf("display: %w", err)
	}
	if scale, err = heatScale(values, dims[1], percentile); err != nil {
		return nil, 0, err
	}
	if low := slices.Min(values); o.Unsigned && low < 0 {
		return nil, 0, fmt.Errorf("display: an unsigned heatmap has the value %v", low)
	}
	var under image.Image
	if o.Over != nil {
		pictures, err := asImages(o.Over)
		if err != nil {
			return nil, 0, err
		}
		if len(pictures) != 1 {
			return nil, 0, fmt.Errorf("display: an overlay has %d images", len(pictures))
		}
		under = pictures[0]
	}
	return blend(under, values, dims[0], dims[1], !o.Unsigned, scale), scale, nil
}

// Image draws the overlay with its colour bar at twice the size of the screen's pixels.
func (o Overlay) Image() (image.Image, error) {
	img, scale, err := o.picture()
	if err != nil {
		return nil, err
	}
	end := fmt.Sprintf("%.2g", scale)
	bar := &ColorBar{Diverging, "−" + end, "0", end}
	if o.Unsigned {
		bar = &ColorBar{Sequential, "0", "", end}
	}
	return Grid{Title: o.Title, Rows: [][]Tile{{{Image: img}}}, Side: 224, Bar: bar}.Draw(), nil
}

// Bundle shows the overlay as PNG.
func (o Overlay) Bundle() mime.Bundle {
	img, err := o.Image()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return pictureBundle(img, pixelRatio, "heatmap "+o.Title)
}
