package data

import (
	"fmt"
	"image"
	"math"

	"golang.org/x/image/draw"
)

// Transform changes an image.
type Transform struct {
	Name  string
	Apply func(Image) (Image, error)
	For   string // the model whose preparation it is a part of; "" if none
}

// Interpolation is a way to compute pixels between pixels. Where an image gets smaller, all of them
// average over the area that falls on a pixel, as Pillow does and torchvision with antialias.
type Interpolation struct {
	name   string
	kernel *draw.Kernel
}

// The interpolations. Bicubic has the parameter a = -1/2, as in Pillow.
var (
	Bilinear = Interpolation{"bilinear", draw.BiLinear}
	Bicubic  = Interpolation{"bicubic", draw.CatmullRom}
)

// Resize brings images to height x width pixels, bilinearly.
func Resize(height, width int) Transform { return ResizeBy(height, width, Bilinear) }

// ResizeBy is [Resize] with another interpolation.
func ResizeBy(height, width int, by Interpolation) Transform {
	return Transform{Name: fmt.Sprintf("resize to %d x %d", height, width), Apply: func(img Image) (Image, error) {
		return resize(img, height, width, by)
	}}
}

// ResizeShorter brings the shorter side to a length and keeps the shape, bilinearly; the longer side is cut down to
// whole pixels.
func ResizeShorter(length int) Transform { return ResizeShorterBy(length, Bilinear) }

// ResizeShorterBy is [ResizeShorter] with another interpolation.
func ResizeShorterBy(length int, by Interpolation) Transform {
	return Transform{Name: fmt.Sprintf("shorter side to %d", length), Apply: func(img Image) (Image, error) {
		if img.Height <= img.Width {
			return resize(img, length, length*img.Width/img.Height, by)
		}
		return resize(img, length*img.Height/img.Width, length, by)
	}}
}

// CenterCrop cuts height x width pixels out of the middle; it is an error if the image is smaller.
func CenterCrop(height, width int) Transform {
	return Transform{Name: fmt.Sprintf("centre %d x %d", height, width), Apply: func(img Image) (Image, error) {
		if img.Height < height || img.Width < width {
			return img, fmt.Errorf("an image of %d x %d is too small", img.Height, img.Width)
		}
		top, left := int(math.RoundToEven(float64(img.Height-height)/2)), int(math.RoundToEven(float64(img.Width-width)/2))
		out := Image{Height: height, Width: width, Channels: img.Channels, Pix: make([]float32, 0, height*width*img.Channels)}
		for y := range height {
			from := ((top+y)*img.Width + left) * img.Channels
			out.Pix = append(out.Pix, img.Pix[from:from+width*img.Channels]...)
		}
		return out, nil
	}}
}

// Grayscale makes images of one channel, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, as Pillow).
func Grayscale() Transform {
	return Transform{Name: "grey", Apply: func(img Image) (Image, error) {
		if img.Channels == 1 {
			return img, nil
		}
		if img.Channels != 3 {
			return img, fmt.Errorf("an image of %d channels has no grey", img.Channels)
		}
		out := Image{Height: img.Height, Width: img.Width, Channels: 1, Pix: make([]float32, img.Height*img.Width)}
		for i := range out.Pix {
			out.Pix[i] = 0.299*img.Pix[3*i] + 0.587*img.Pix[3*i+1] + 0.114*img.Pix[3*i+2]
		}
		return out, nil
	}}
}

// RGB makes images of three channels, grey ones by repetition.
func RGB() Transform {
	return Transform{Name: "RGB", Apply: func(img Image) (Image, error) {
		if img.Channels == 3 {
			return img, nil
		}
		if img.Channels != 1 {
			return img, fmt.Errorf("an image of %d channels is neither grey nor RGB", img.Channels)
		}
		out := Image{Height: img.Height, Width: img.Width, Channels: 3}
		for _, v := range img.Pix {
			out.Pix = append(out.Pix, v, v, v)
		}
		return out, nil
	}}
}

// resize works in 16 bits, which is finer than the 8 bits of the files.
func resize(img Image, height, width int, by Interpolation) (Image, error) {
	if height < 1 || width < 1 {
		return img, fmt.Errorf("an image of %d x %d pixels cannot be", height, width)
	}
	if img.Channels != 1 && img.Channels != 3 {
		return img, fmt.Errorf("an image of %d channels is neither grey nor RGB", img.Channels)
	}
	if height == img.Height && width == img.Width {
		return img, nil
	}
	from := image.NewRGBA64(image.Rect(0, 0, img.Width, img.Height))
	for i := range img.Height * img.Width {
		for ch := range 3 {
			v := uint16(math.Round(65535 * float64(img.Pix[i*img.Channels+ch*(img.Channels-1)/2])))
			from.Pix[8*i+2*ch], from.Pix[8*i+2*ch+1] = uint8(v>>8), uint8(v)
		}
		from.Pix[8*i+6], from.Pix[8*i+7] = 0xff, 0xff
	}
	// First along the rows, then along the columns: what bicubic weights overshoot is cut off in between, as in Pillow.
	wide := image.NewRGBA64(image.Rect(0, 0, width, img.Height))
	by.kernel.Scale(wide, wide.Bounds(), from, from.Bounds(), draw.Src, nil)
	to := image.NewRGBA64(image.Rect(0, 0, width, height))
	by.kernel.Scale(to, to.Bounds(), wide, wide.Bounds(), draw.Src, nil)
	out := Image{Height: height, Width: width, Channels: img.Channels, Pix: make([]float32, height*width*img.Channels)}
	for i := range height * width {
		for ch := range img.Channels {
			out.Pix[i*img.Channels+ch] = float32(uint16(to.Pix[8*i+2*ch])<<8|uint16(to.Pix[8*i+2*ch+1])) / 65535
		}
	}
	return out, nil
}
