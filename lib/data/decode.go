package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // a format that people have
	_ "image/jpeg"
	_ "image/png"
	"io"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"
)

// mostPixels is how many pixels an image may have unless somebody says otherwise, as Pillow's MAX_IMAGE_PIXELS.
const mostPixels = 1024 * 1024 * 1024 / 4 / 3

// mostPerByte is how many pixels a byte of a file can at most become: a decoder makes room for what a header says
// before it looks whether there is as much.
var mostPerByte = map[string]int{
	"bmp":  8,    // not compressed, and a pixel may have one bit
	"jpeg": 1024, // a bit for each 8 x 8 block of three colours, of which two have half the rows and columns
	"png":  8 * 1032,
	"gif":  8 * 4096,
}

// checkSize refuses an image that is larger than most pixels, or than its file can be. most is as in Options.
func checkSize(config image.Config, format string, bytes, most int) error {
	if most == 0 {
		most = mostPixels
	}
	if config.Width < 1 || config.Height < 1 {
		return fmt.Errorf("it has %d x %d pixels", config.Height, config.Width)
	}
	if most > 0 && config.Width > most/config.Height {
		return fmt.Errorf("it has %d x %d pixels, more than %d: Options.MostPixels lifts that", config.Height, config.Width, most)
	}
	if per := mostPerByte[format]; per > 0 && config.Width > (bytes*per)/config.Height {
		return fmt.Errorf("the file is cut short: it tells of %d x %d pixels and has %d bytes", config.Height, config.Width, bytes)
	}
	return nil
}

// decode reads an image file as Pillow's convert("RGB") does, turned upright unless it is to be as stored. It may
// change the bytes. most is as in Options.
func decode(raw []byte, asStored bool, most int) (Image, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err == nil {
		if err := checkSize(config, format, len(raw), most); err != nil {
			return Image{}, err
		}
		if format == "gif" {
			makeOpaque(raw)
		}
	}
	img, _, err := image.Decode(bytes.NewReader(raw))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return Image{}, errors.New("the file is cut short")
	case errors.Is(err, image.ErrFormat):
		return Image{}, errors.New("the file is not an image of a format that loupe reads (JPEG, PNG, WebP, GIF, BMP)")
	case err != nil:
		return Image{}, fmt.Errorf("the file is damaged: %w", err)
	}
	var out Image
	if format == "webp" {
		out = fromWebP(img)
	} else {
		out = fromImage(img)
	}
	if asStored {
		return out, nil
	}
	return out.upright(orientation(raw, format)), nil
}

// makeOpaque takes the mark of a transparent colour out of a GIF file with a whole header. Go's decoder would put black
// for this colour, and Pillow's convert("RGB") has the palette's.
func makeOpaque(raw []byte) {
	at := 13
	if flags := raw[10]; flags&0x80 != 0 {
		at += 3 << (flags&7 + 1)
	}
	for at+3 < len(raw) && raw[at] == 0x21 { // extensions before the first frame
		if raw[at+1] == 0xf9 {
			raw[at+3] &^= 1
		}
		for at += 2; at < len(raw) && raw[at] != 0; {
			at += int(raw[at]) + 1
		}
		at++
	}
}

// FromImage turns an image of the standard library into one of three channels, as [Folder] does.
func FromImage(img image.Image) Image { return fromImage(img) }

func fromImage(img image.Image) Image {
	b := img.Bounds()
	out := Image{Height: b.Dy(), Width: b.Dx(), Channels: 3, Pix: make([]float32, 3*b.Dx()*b.Dy())}
	at := 0
	switch img := img.(type) {
	case *image.YCbCr: // most photographs
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				c, o := img.COffset(x, y), img.YOffset(x, y)
				r, g, bl := color.YCbCrToRGB(img.Y[o], img.Cb[c], img.Cr[c])
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = float32(r)/255, float32(g)/255, float32(bl)/255
				at += 3
			}
		}
	case *image.Gray16, *image.RGBA64, *image.NRGBA64: // 16 bits, which Pillow would cut to 8
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				c := color.NRGBA64Model.Convert(img.At(x, y)).(color.NRGBA64)
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = float32(c.R)/65535, float32(c.G)/65535, float32(c.B)/65535
				at += 3
			}
		}
	default:
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = float32(c.R)/255, float32(c.G)/255, float32(c.B)/255
				at += 3
			}
		}
	}
	return out
}
