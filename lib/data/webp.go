package data

import "image"

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
