package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// mostPixels is how many pixels an image may have unless somebody says otherwise, as Pillow's MAX_IMAGE_PIXELS.
const mostPixels = 1024 * 1024 * 1024 / 4 / 3

// decoder reads images of one format.
type decoder struct {
	// config tells of the size and reads no pixels.
	config func(raw []byte) (image.Config, error)
	// mostPerByte is how many pixels a byte of a file can at most become, as far as that is known: a decoder makes room
	// for what a header says before it looks whether there is as much.
	mostPerByte int
	// pixels may change the bytes.
	pixels func(raw []byte) (Image, error)
}

// decoders are by the names of [formatOf].
var decoders = map[string]decoder{
	// A bit for each 8 x 8 block of three colours, of which two have half the rows and columns.
	"JPEG": {configBy(jpeg.DecodeConfig), 1024, decodeJPEG},
	"PNG":  {configBy(png.DecodeConfig), 8 * 1032, pixelsBy(png.Decode)},
	"GIF":  {configBy(gif.DecodeConfig), 8 * 4096, decodeGIF},
	"WebP": {configOfWebP, 0, decodeWebP},
	"BMP":  {configBy(bmp.DecodeConfig), 8, pixelsBy(bmp.Decode)}, // not compressed, and a pixel may have one bit
	// A white line of a telefax has one bit.
	"TIFF":   {configOfTIFF, 1 << 16, decodeTIFF},
	"Netpbm": {configOfNetpbm, 8, decodeNetpbm},
}

func configBy(read func(io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(raw []byte) (image.Config, error) { return read(bytes.NewReader(raw)) }
}

func pixelsBy(read func(io.Reader) (image.Image, error)) func([]byte) (Image, error) {
	return func(raw []byte) (Image, error) {
		img, err := read(bytes.NewReader(raw))
		if err != nil {
			return Image{}, err
		}
		return fromImage(img), nil
	}
}

// checkSize refuses an image that is larger than most pixels, or than its file can be. most is as in Options.
func checkSize(config image.Config, mostPerByte, bytes, most int) error {
	if most == 0 {
		most = mostPixels
	}
	if config.Width < 1 || config.Height < 1 {
		return fmt.Errorf("it has %d x %d pixels", config.Height, config.Width)
	}
	if most > 0 && config.Width > most/config.Height {
		return fmt.Errorf("it has %d x %d pixels, more than %d: Options.MostPixels lifts that",
			config.Height, config.Width, most)
	}
	if mostPerByte > 0 && config.Width > (bytes*mostPerByte)/config.Height {
		return fmt.Errorf("the file is cut short: it tells of %d x %d pixels and has %d bytes",
			config.Height, config.Width, bytes)
	}
	return nil
}

// decode reads an image file as Pillow's convert("RGB") does, turned upright unless it is to be as stored. It may
// change the bytes. most is as in Options. What the file is, its bytes say, whatever its name.
func decode(raw []byte, asStored bool, most int) (img Image, err error) {
	defer func() { // of a decoder that a damaged file brought down
		if p := recover(); p != nil {
			img, err = Image{}, fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	format := formatOf(raw)
	d, known := decoders[format]
	if !known {
		return Image{}, unreadable(raw, format)
	}
	config, err := d.config(raw)
	if err != nil {
		return Image{}, refused(format, err)
	}
	if err := checkSize(config, d.mostPerByte, len(raw), most); err != nil {
		return Image{}, err
	}
	if img, err = d.pixels(raw); err != nil {
		return Image{}, refused(format, err)
	}
	if asStored {
		return img, nil
	}
	return img.upright(orientation(raw, format)), nil
}

// refused says why a decoder gave no image.
func refused(format string, err error) error {
	var ofJPEG jpeg.UnsupportedError
	var ofPNG png.UnsupportedError
	var ofTIFF tiff.UnsupportedError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		strings.HasSuffix(err.Error(), "unexpected EOF"): // of GIF it is text alone
		return errors.New("the file is cut short")
	case errors.As(err, &ofJPEG), errors.As(err, &ofPNG), errors.As(err, &ofTIFF), errors.Is(err, bmp.ErrUnsupported):
		return fmt.Errorf("loupe does not read this kind of %s (%w): convert it to PNG", format, err)
	}
	return fmt.Errorf("the file is damaged: %w", err)
}

// FromImage turns an image of the standard library into one of three channels, as [Folder] does.
func FromImage(img image.Image) Image {
	if img, ok := img.(*image.YCbCr); ok {
		return fromYCbCr(img)
	}
	return fromImage(img)
}

func fromImage(img image.Image) Image {
	b := img.Bounds()
	out := Image{Height: b.Dy(), Width: b.Dx(), Channels: 3, Pix: make([]float32, 3*b.Dx()*b.Dy())}
	at := 0
	switch img := img.(type) {
	case *image.Gray:
		for y := range b.Dy() {
			for _, v := range img.Pix[y*img.Stride:][:b.Dx()] {
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = unit[v], unit[v], unit[v]
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
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = unit[c.R], unit[c.G], unit[c.B]
				at += 3
			}
		}
	}
	return out
}
