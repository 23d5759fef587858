// Package picture has what tables and plots both do with images: bring them to a size and encode them.
package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"reflect"

	"golang.org/x/image/draw"

	"github.com/loupeml/loupe/lib/mime"
)

// PixelRatio is how many pixels of a picture stand for one of the screen.
const PixelRatio = 2

// Of returns what is meant to be seen of a value: an image. For the sake of package draw, rectangles and images of one
// colour without end are images as well, and so is what a rectangle is embedded in; they are no pictures.
func Of(v any) (img image.Image, ok bool) {
	if img, ok = v.(image.Image); !ok || reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil() {
		return nil, false
	}
	switch img.(type) {
	case image.Rectangle, *image.Rectangle, *image.Uniform:
		return nil, false
	}
	if r := reflect.Indirect(reflect.ValueOf(v)); r.Kind() == reflect.Struct && hasRectangle(r.Type()) &&
		img.ColorModel() == rectangles {
		return nil, false
	}
	return img, img.Bounds().Dx() < endless
}

// rectangles is the colour model of rectangles, which hardly any picture has.
var rectangles = image.Rectangle{}.ColorModel()

// endless is how wide images of one colour are that fit all that they are drawn on.
const endless = 2e9

// hasRectangle reports whether a rectangle is embedded in a struct.
func hasRectangle(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && (f.Type == reflect.TypeFor[image.Rectangle]() || f.Type.Kind() == reflect.Struct &&
			hasRectangle(f.Type)) {
			return true
		}
	}
	return false
}

// PNG encodes an image, as small as PNG can be.
func PNG(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&buf, img); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// JPEG encodes a photograph, in a tenth of a PNG's bytes. At two pixels for one of the screen nobody sees what is lost.
func JPEG(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 80}); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Smallest encodes an image as JPEG where that takes less than half of a PNG's bytes, as of a photograph, and where
// nothing is transparent; otherwise as PNG. kind is the MIME type.
func Smallest(img image.Image) (data []byte, kind string, err error) {
	data, err = PNG(img)
	if err != nil {
		return nil, "", err
	}
	if o, ok := img.(interface{ Opaque() bool }); ok && o.Opaque() {
		if photograph, err := JPEG(img); err == nil && len(photograph) < len(data)/2 {
			return photograph, mime.JPEG, nil
		}
	}
	return data, mime.PNG, nil
}

// MaxPixelArt is the size up to which an image that is enlarged keeps its pixels visible.
const MaxPixelArt = 64

// Resized fits an image into side x side pixels.
func Resized(img image.Image, side int) image.Image {
	size := img.Bounds().Size()
	factor := min(float64(side)/float64(max(size.X, 1)), float64(side)/float64(max(size.Y, 1)))
	scaled := func(n int) int { return max(1, int(math.Round(float64(n)*factor))) }
	return ResizedTo(img, scaled(size.X), scaled(size.Y))
}

// ResizedTo makes an image width x height pixels large; one without pixels becomes white.
func ResizedTo(img image.Image, width, height int) image.Image {
	size := img.Bounds().Size()
	if size == image.Pt(width, height) {
		return img
	}
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	if size.X == 0 || size.Y == 0 {
		draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
		return dst
	}
	if size.X > mostPixels/max(size.Y, 1) {
		img = thinned(img, width, height)
		size = img.Bounds().Size()
	}
	var scaler draw.Scaler = draw.CatmullRom
	if max(size.X, size.Y) <= MaxPixelArt && width > size.X {
		scaler = draw.NearestNeighbor
	}
	scaler.Scale(dst, dst.Bounds(), img, img.Bounds(), draw.Src, nil)
	return dst
}

// mostPixels is how many pixels of an image are all looked at.
const mostPixels = 1 << 25

// thinned is an image with a few of a large one's pixels, evenly chosen: some for each pixel of what it is resized to.
func thinned(img image.Image, width, height int) image.Image {
	const each = 4
	from := img.Bounds()
	w, h := min(from.Dx(), each*width), min(from.Dy(), each*height)
	out := image.NewRGBA64(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			out.Set(x, y, img.At(from.Min.X+(2*x+1)*from.Dx()/(2*w), from.Min.Y+(2*y+1)*from.Dy()/(2*h)))
		}
	}
	return out
}
