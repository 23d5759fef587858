// Package picture has what tables and plots both do with images: bring them to a size and encode them.
package picture

import (
	"bytes"
	"image"
	"image/png"
	"math"

	"golang.org/x/image/draw"
)

// PixelRatio is how many pixels of a picture stand for one of the screen.
const PixelRatio = 2

// PNG encodes an image, as small as PNG can be.
func PNG(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&buf, img); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
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
	var scaler draw.Scaler = draw.CatmullRom
	if max(size.X, size.Y) <= MaxPixelArt && width > size.X {
		scaler = draw.NearestNeighbor
	}
	scaler.Scale(dst, dst.Bounds(), img, img.Bounds(), draw.Src, nil)
	return dst
}
