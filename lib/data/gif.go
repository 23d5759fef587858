package data

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
)

// decodeGIF reads the first frame of a GIF as Pillow does: it lies on the screen that the file tells of, which has the
// transparent colour if there is one, or the palette's first.
func decodeGIF(raw []byte) (Image, error) {
	ground := makeOpaque(raw)
	config, err := gif.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return Image{}, err
	}
	img, err := gif.Decode(bytes.NewReader(raw))
	if err != nil {
		return Image{}, err
	}
	frame, ok := img.(*image.Paletted)
	screen := image.Rect(0, 0, config.Width, config.Height)
	if !ok || frame.Rect == screen {
		return fromImage(img), nil
	}
	whole := image.NewPaletted(screen, frame.Palette)
	for i := range whole.Pix {
		whole.Pix[i] = uint8(min(ground, max(len(frame.Palette)-1, 0)))
	}
	for y := frame.Rect.Min.Y; y < frame.Rect.Max.Y; y++ {
		from := frame.PixOffset(frame.Rect.Min.X, y)
		copy(whole.Pix[whole.PixOffset(frame.Rect.Min.X, y):], frame.Pix[from:from+frame.Rect.Dx()])
	}
	return fromImage(whole), nil
}

// makeOpaque takes the mark of a transparent colour out of a GIF file, and returns the colour's number, 0 if there is
// none. Go's decoder would put black for this colour, and Pillow's convert("RGB") has the palette's.
func makeOpaque(raw []byte) (transparent int) {
	gifBlocks(raw, func(kind byte, content []byte) bool {
		if kind == 0xf9 && len(content) >= 5 && content[1]&1 != 0 {
			content[1] &^= 1
			transparent = int(content[4])
		}
		return kind != gifFrame // extensions before the first frame
	})
	return transparent
}

// gifFrame is the kind of a block that is a frame; those of others are their extensions' labels.
const gifFrame = 0x2c

// gifBlocks goes through the blocks of a GIF while go on says so: frames, and extensions with their first sub-block and
// its length before it.
func gifBlocks(raw []byte, goOn func(kind byte, content []byte) bool) {
	colours := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	if len(raw) < 13 {
		return
	}
	for at := 13 + colours(raw[10]); at+1 < len(raw); {
		kind := raw[at]
		switch {
		case kind == 0x21:
			at += 2
			if at >= len(raw) || !goOn(raw[at-1], raw[at:min(at+1+int(raw[at]), len(raw))]) {
				return
			}
		case kind == gifFrame && at+10 < len(raw):
			if !goOn(kind, raw[at+1:at+10]) {
				return
			}
			at += 11 + colours(raw[at+9]) // and the byte of LZW's first width
		default:
			return
		}
		for at < len(raw) && raw[at] != 0 { // sub-blocks
			at += int(raw[at]) + 1
		}
		at++
	}
}

// isAnimated reports that a file has more images than the first, and what it calls them. It does not change the bytes.
func isAnimated(raw []byte) (frames string, animated bool) {
	switch formatOf(raw) {
	case "GIF":
		n := 0
		gifBlocks(raw, func(kind byte, _ []byte) bool {
			if kind == gifFrame {
				n++
			}
			return n < 2
		})
		return "frame", n > 1
	case "PNG":
		control := chunk(raw, 8, 4, 0, binary.BigEndian, "acTL")
		return "frame", len(control) >= 4 && binary.BigEndian.Uint32(control) > 1
	case "WebP":
		f, err := webpFrame(raw)
		return "frame", err == nil && f.frames > 1
	case "TIFF":
		return "page", hasNextPage(raw)
	}
	return "", false
}

// hasNextPage reports that behind the first directory of a TIFF there is another.
func hasNextPage(raw []byte) bool {
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(raw, []byte("M")) {
		order = binary.BigEndian
	}
	if len(raw) < 8 {
		return false
	}
	at := int64(order.Uint32(raw[4:]))
	if at+2 > int64(len(raw)) {
		return false
	}
	at += 2 + 12*int64(order.Uint16(raw[at:]))
	return at+4 <= int64(len(raw)) && order.Uint32(raw[at:]) != 0
}
