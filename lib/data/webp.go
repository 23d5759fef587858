package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"slices"

	"golang.org/x/image/webp"
)

// stillWebP is the first image of a WebP file.
type stillWebP struct {
	file   []byte          // a WebP file of these pixels alone
	canvas image.Rectangle // of the whole, at 0, 0
	at     image.Point     // where the pixels lie in it
	frames int
}

// webpFrame finds the first image of a WebP file, animated or not, without its transparency.
// https://developers.google.com/speed/webp/docs/riff_container
func webpFrame(raw []byte) (still stillWebP, err error) {
	if len(raw) < 12 {
		return still, errors.New("webp: the file has no pixels")
	}
	within := func(chunks []byte) []byte { // the chunk of pixels among these
		for _, name := range []string{"VP8 ", "VP8L"} {
			if pixels := chunk(chunks, 0, 0, 4, binary.LittleEndian, name); pixels != nil {
				size := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(pixels)))
				body := slices.Concat([]byte("WEBP"), size, pixels, make([]byte, len(pixels)%2))
				return slices.Concat([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body)
			}
		}
		return nil
	}
	number := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	chunks := raw[12:]
	if frame := chunk(chunks, 0, 0, 4, binary.LittleEndian, "ANMF"); len(frame) >= 16 {
		head := chunk(chunks, 0, 0, 4, binary.LittleEndian, "VP8X")
		if len(head) < 10 {
			return still, errors.New("webp: the file has frames and no size")
		}
		still.canvas = image.Rect(0, 0, number(head[4:])+1, number(head[7:])+1)
		still.at = image.Pt(2*number(frame), 2*number(frame[3:]))
		still.file = within(frame[16:])
		for at := 0; at+8 <= len(chunks); {
			if string(chunks[at:at+4]) == "ANMF" {
				still.frames++
			}
			length := int64(binary.LittleEndian.Uint32(chunks[at+4:]))
			if length += length & 1; length > int64(len(chunks)) {
				break
			}
			at += 8 + int(length)
		}
	} else if still.file = within(chunks); still.file != nil {
		still.frames = 1
	}
	if still.file == nil {
		return still, errors.New("the file is cut short or has no pixels")
	}
	return still, nil
}

func configOfWebP(raw []byte) (image.Config, error) {
	still, err := webpFrame(raw)
	if err != nil {
		return image.Config{}, err
	}
	config, err := webp.DecodeConfig(bytes.NewReader(still.file))
	if err != nil || still.canvas.Empty() {
		return config, err
	}
	if frame := image.Rect(0, 0, config.Width, config.Height).Add(still.at); !frame.In(still.canvas) {
		return config, errors.New("webp: a frame lies beside the image")
	}
	config.Width, config.Height = still.canvas.Dx(), still.canvas.Dy()
	return config, nil
}

// decodeWebP reads the first image of a WebP file whose size was checked. Where it covers a part of an animated file,
// the rest is black, as in Pillow.
func decodeWebP(raw []byte) (Image, error) {
	still, err := webpFrame(raw)
	if err != nil {
		return Image{}, err
	}
	img, err := webp.Decode(bytes.NewReader(still.file))
	if err != nil {
		return Image{}, err
	}
	frame := fromWebP(img)
	if still.canvas.Empty() || still.canvas == img.Bounds() {
		return frame, nil
	}
	out := Image{Height: still.canvas.Dy(), Width: still.canvas.Dx(), Channels: 3}
	out.Pix = make([]float32, 3*out.Height*out.Width)
	for y := range frame.Height {
		copy(out.Pix[3*((still.at.Y+y)*out.Width+still.at.X):], frame.Pix[3*y*frame.Width:3*(y+1)*frame.Width])
	}
	return out, nil
}

// fromWebP turns a decoded WebP image into one of three channels as libwebp does, which Pillow uses. Lossy WebP has
// brightness in 16..235, as television does, and one colour for four pixels; Go's decoder takes both as a JPEG's.
// https://chromium.googlesource.com/webm/libwebp/+/refs/heads/main/src/dsp/yuv.h and upsampling.c
func fromWebP(img image.Image) Image {
	var lossy *image.YCbCr
	switch img := img.(type) {
	case *image.YCbCr:
		lossy = img
	case *image.NYCbCrA:
		lossy = &img.YCbCr
	default:
		return fromImage(img) // lossless
	}
	b := lossy.Bounds()
	out := Image{Height: b.Dy(), Width: b.Dx(), Channels: 3, Pix: make([]float32, 0, 3*b.Dx()*b.Dy())}
	rows, columns := (b.Dy()+1)/2, (b.Dx()+1)/2
	// Pixel 2i of an axis lies by the colour i and next to i-1, pixel 2i+1 by i and next to i+1.
	other := func(at, size int) int { return min(max(at/2+at%2*2-1, 0), size-1) }
	for y := range b.Dy() {
		near, far := y/2*lossy.CStride, other(y, rows)*lossy.CStride
		for x := range b.Dx() {
			nx, fx := x/2, other(x, columns)
			smooth := func(c []uint8) int {
				nn, nf, fn, ff := int(c[near+nx]), int(c[near+fx]), int(c[far+nx]), int(c[far+fx])
				return ((nn+3*nf+3*fn+ff+8)>>3 + nn) >> 1
			}
			bright := int(lossy.Y[y*lossy.YStride+x]) * 19077 >> 8
			u, v := smooth(lossy.Cb), smooth(lossy.Cr)
			out.Pix = append(out.Pix,
				clipped(bright+v*26149>>8-14234),
				clipped(bright-u*6419>>8-v*13320>>8+8708),
				clipped(bright+u*33050>>8-17685))
		}
	}
	return out
}

// clipped is a value in 64ths of 0..255 as 0..1.
func clipped(v int) float32 { return float32(min(max(v>>6, 0), 255)) / 255 }
