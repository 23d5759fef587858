package data

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"iter"
	"slices"
)

// decodeJPEG reads a JPEG as libjpeg-turbo does, which Pillow uses. Go's decoder gives the planes; those of fewer rows
// or columns it repeats, and libjpeg smooths them (jdsample.c), then come the colours (jdcolor.c).
// https://github.com/libjpeg-turbo/libjpeg-turbo/blob/main/src/jdsample.c
func decodeJPEG(raw []byte) (Image, error) {
	frame := jpegFrame(raw)
	if len(frame.components) == 4 {
		raw = withoutTransform(raw)
	}
	if frame.restartsApart(raw) {
		return Image{}, jpeg.UnsupportedError("restarts in scans of one component")
	}
	img, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil {
		return Image{}, err
	}
	height, width := img.Bounds().Dy(), img.Bounds().Dx()
	switch img := img.(type) {
	case *image.YCbCr:
		return fromYCbCr(img), nil
	case *image.RGBA: // colours that are stored as they are
		return joined(height, width, frame.planes(img.Pix, img.Stride, height, width, 3, 0), rgb), nil
	case *image.CMYK:
		planes := frame.planes(img.Pix, img.Stride, height, width, 4, 255) // as they are stored
		if frame.adobe > 0 {
			return joined(height, width, planes, ycck), nil
		}
		return joined(height, width, planes, cmyk), nil
	}
	return fromImage(img), nil
}

// fromYCbCr smooths what image has fewer colours of than pixels.
func fromYCbCr(img *image.YCbCr) Image {
	b := img.Rect
	if b.Min != (image.Point{}) && (b.Min.X%4 != 0 || b.Min.Y%4 != 0) { // a part that may begin amid a colour
		return fromImage(img)
	}
	across, down := sharing(img.SubsampleRatio)
	columns, rows := (b.Dx()+across-1)/across, (b.Dy()+down-1)/down
	y, c := img.YOffset(b.Min.X, b.Min.Y), img.COffset(b.Min.X, b.Min.Y)
	return joined(b.Dy(), b.Dx(), []plane{
		{img.Y[y:], img.YStride, b.Dx(), b.Dy(), 1, 1},
		{img.Cb[c:], img.CStride, columns, rows, across, down},
		{img.Cr[c:], img.CStride, columns, rows, across, down},
	}, ycc)
}

// frame is what a JPEG tells of its components: how much narrower and lower than the image each is, and the colours
// that Adobe's programs note: 0 as they are, 1 YCbCr, 2 YCCK; -1 where nothing is noted.
type frame struct {
	components []image.Point
	names      []byte // of the components
	blocks     []int  // of each component in a group of all
	adobe      int
}

// jpegFrame is the frame of a JPEG.
func jpegFrame(raw []byte) frame {
	f := frame{adobe: -1}
	for marker, content := range jpegSegments(raw) {
		switch {
		case marker == 0xee && len(content) >= 12 && bytes.HasPrefix(content, []byte("Adobe")):
			f.adobe = int(content[11])
		case isFrame(marker) && len(content) >= 6 && f.components == nil:
			var most image.Point
			for k := range int(content[5]) {
				if at := 6 + 3*k + 1; at < len(content) {
					c := image.Pt(int(content[at]>>4), int(content[at]&15))
					most = image.Pt(max(most.X, c.X), max(most.Y, c.Y))
					f.components = append(f.components, c)
					f.names, f.blocks = append(f.names, content[at-1]), append(f.blocks, c.X*c.Y)
				}
			}
			for k, c := range f.components {
				f.components[k] = image.Pt(max(most.X/max(c.X, 1), 1), max(most.Y/max(c.Y, 1), 1))
			}
		}
	}
	return f
}

// isFrame reports whether a marker is the start of a frame, SOF0 to SOF15, among which other markers have numbers.
func isFrame(marker byte) bool {
	return marker&0xf0 == 0xc0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
}

// restartsApart reports that a component with several blocks for another's one comes in a scan of its own that starts
// anew every so many blocks, as in some progressive files: Go's decoder counts groups of blocks there, and would look
// for the restarts in the wrong places.
func (f frame) restartsApart(raw []byte) bool {
	every := false // restarts, from here on
	for at := 2; at+4 <= len(raw); {
		marker := raw[at+1]
		switch {
		case raw[at] != 0xff || marker == 0 || marker == 0xff || 0xd0 <= marker && marker <= 0xd7:
			// in coded pixels, or filled up
			next := bytes.IndexByte(raw[at+1:], 0xff)
			if next < 0 {
				return false
			}
			at += 1 + next
			continue
		case marker == 0xd9: // the end
			return false
		}
		size := int(binary.BigEndian.Uint16(raw[at+2:]))
		content := raw[at+4 : max(min(at+2+size, len(raw)), at+4)]
		switch {
		case marker == 0xdd && len(content) >= 2:
			every = content[0] != 0 || content[1] != 0
		case marker == 0xda && every && len(content) > 1 && content[0] == 1 && len(f.components) > 1:
			if k := slices.Index(f.names, content[1]); k >= 0 && f.blocks[k] > 1 {
				return true
			}
		}
		at += 2 + max(size, 2)
	}
	return false
}

// jpegSegments are the markers before the first pixels of a JPEG, with their contents.
func jpegSegments(raw []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for at := 2; at+4 <= len(raw) && raw[at] == 0xff && raw[at+1] != 0xda; {
			if raw[at+1] == 0xff { // filled up
				at++
				continue
			}
			size := int(binary.BigEndian.Uint16(raw[at+2:]))
			if size < 2 || at+2+size > len(raw) || !yield(raw[at+1], raw[at+4:at+2+size]) {
				return
			}
			at += 2 + size
		}
	}
}

// withoutTransform is a JPEG of four components that says of its colours that they are as they are: Go's decoder then
// leaves them so. Where no program of Adobe's wrote it, libjpeg takes them so too.
func withoutTransform(raw []byte) []byte {
	raw = bytes.Clone(raw)
	for marker, content := range jpegSegments(raw) {
		if marker == 0xee && len(content) >= 12 && bytes.HasPrefix(content, []byte("Adobe")) {
			content[11] = 0
			return raw
		}
	}
	return slices.Concat(raw[:2], []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"), raw[2:])
}

// plane is a component of an image: a value for each across x down pixels.
type plane struct {
	pix           []uint8
	stride        int
	columns, rows int
	across, down  int
}

// planes takes apart what Go's decoder put together, four bytes a pixel, and takes out again what it repeated. The bits
// of turned are turned around.
func (f frame) planes(pix []uint8, stride, height, width, n int, turned uint8) []plane {
	planes := make([]plane, n)
	for k := range planes {
		c := image.Pt(1, 1)
		if len(f.components) == n {
			c = f.components[k]
		}
		p := plane{nil, 0, (width + c.X - 1) / c.X, (height + c.Y - 1) / c.Y, c.X, c.Y}
		p.stride, p.pix = p.columns, make([]uint8, 0, p.columns*p.rows)
		for y := range p.rows {
			for x := range p.columns {
				p.pix = append(p.pix, pix[y*c.Y*stride+4*x*c.X+k]^turned)
			}
		}
		planes[k] = p
	}
	return planes
}

// sharing is how many pixels share a colour, along rows and columns.
func sharing(ratio image.YCbCrSubsampleRatio) (across, down int) {
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// row returns row y of the plane made as wide as the image. Between two values it takes 3/4 of the nearer and 1/4 of
// the farther, along rows, columns or both; where one stands for more than two pixels, or a row has no three, it is
// repeated. buffer has room for a row, sums for one of the plane's.
func (p plane) row(y int, buffer []uint8, sums []int32) []uint8 {
	line := func(r int) []uint8 { return p.pix[r*p.stride:][:p.columns] }
	near := line(y / p.down)
	far := func() []uint8 { return line(min(max(y/2+y%2*2-1, 0), p.rows-1)) }
	last := p.columns - 1
	switch {
	case p.across == 1 && p.down == 1:
		return near
	case p.across == 1 && p.down == 2:
		bias := 1 + y%2
		for x, f := range far() {
			buffer[x] = uint8((3*int(near[x]) + int(f) + bias) >> 2)
		}
	case p.across == 2 && p.down == 1 && last > 1:
		buffer[0] = near[0]
		this := int32(near[0])
		for x, next := range near[1:] {
			buffer[2*x+1] = uint8((3*this + int32(next) + 2) >> 2)
			buffer[2*x+2] = uint8((3*int32(next) + this + 1) >> 2)
			this = int32(next)
		}
		buffer[2*last+1] = near[last]
	case p.across == 2 && p.down == 2 && last > 1:
		for x, f := range far() {
			sums[x] = 3*int32(near[x]) + int32(f)
		}
		buffer[0] = uint8((4*sums[0] + 8) >> 4)
		this := sums[0]
		for x, next := range sums[1:p.columns] {
			buffer[2*x+1] = uint8((3*this + next + 7) >> 4)
			buffer[2*x+2] = uint8((3*next + this + 8) >> 4)
			this = next
		}
		buffer[2*last+1] = uint8((4*this + 7) >> 4)
	default:
		for x := range buffer {
			buffer[x] = near[min(x/p.across, last)]
		}
	}
	return buffer
}

// joined is the image of these planes; colours turns a row of each into three values a pixel.
func joined(height, width int, planes []plane, colours func(rows [][]uint8, pix []float32)) Image {
	out := Image{Height: height, Width: width, Channels: 3, Pix: make([]float32, 3*height*width)}
	rows, buffers, sums := make([][]uint8, len(planes)), make([][]uint8, len(planes)), make([]int32, width)
	for k := range planes {
		buffers[k] = make([]uint8, 4*((width+3)/4))
	}
	for y := range height {
		for k, p := range planes {
			rows[k] = p.row(y, buffers[k], sums)[:width]
		}
		colours(rows, out.Pix[3*y*width:][:3*width])
	}
	return out
}

// unit is a byte in 0..1.
var unit = func() (u [256]float32) {
	for i := range u {
		u[i] = float32(i) / 255
	}
	return u
}()

// Of YCbCr in 65536ths, for each byte of Cr and Cb, rounded as libjpeg does.
var crRed, cbBlue, crGreen, cbGreen = func() (r, b [256]int32, rg, bg [256]int32) {
	const half = 1 << 15
	for i := range int32(256) {
		x := i - 128
		r[i], b[i] = (91881*x+half)>>16, (116130*x+half)>>16
		rg[i], bg[i] = -46802*x, -22554*x+half
	}
	return r, b, rg, bg
}()

func byteOf(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

func ycc(rows [][]uint8, pix []float32) {
	ys := rows[0]
	cbs, crs := rows[1][:len(ys)], rows[2][:len(ys)]
	for x, v := range ys {
		y, cb, cr := int32(v), cbs[x], crs[x]
		p := pix[3*x : 3*x+3 : 3*x+3]
		p[0] = unit[byteOf(y+crRed[cr])]
		p[1] = unit[byteOf(y+(crGreen[cr]+cbGreen[cb])>>16)]
		p[2] = unit[byteOf(y+cbBlue[cb])]
	}
}

func rgb(rows [][]uint8, pix []float32) {
	for k, row := range rows {
		for x, v := range row {
			pix[3*x+k] = unit[v]
		}
	}
}

// cmyk has less ink where a value is larger, as Adobe's programs write it and Pillow takes all files.
func cmyk(rows [][]uint8, pix []float32) {
	for x, light := range rows[3] {
		for c := range 3 {
			pix[3*x+c] = unit[paper(255-rows[c][x], light)]
		}
	}
}

// ycck is cmyk whose three inks are stored as YCbCr.
func ycck(rows [][]uint8, pix []float32) {
	for x, light := range rows[3] {
		y, cb, cr := int32(rows[0][x]), rows[1][x], rows[2][x]
		pix[3*x] = unit[paper(byteOf(y+crRed[cr]), light)]
		pix[3*x+1] = unit[paper(byteOf(y+(crGreen[cr]+cbGreen[cb])>>16), light)]
		pix[3*x+2] = unit[paper(byteOf(y+cbBlue[cb]), light)]
	}
}

// paper is what an ink leaves of the light that black leaves, rounded as Pillow's Convert.c does.
func paper(ink, light uint8) uint8 {
	t := int(ink)*int(light) + 128
	return light - uint8((t>>8+t)>>8)
}
