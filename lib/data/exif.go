package data

import (
	"bytes"
	"encoding/binary"
)

// orientation is how a photograph lies in its file, 1 to 8, by EXIF's tag 0x0112; 1, upright, where the file says
// nothing.
func orientation(raw []byte, format string) int {
	var exif []byte
	switch format {
	case "jpeg":
		exif = bytes.TrimPrefix(jpegExif(raw), []byte("Exif\x00\x00"))
	case "png":
		exif = chunk(raw, 8, 4, 0, binary.BigEndian, "eXIf")
	case "webp":
		exif = bytes.TrimPrefix(chunk(raw, 12, 0, 4, binary.LittleEndian, "EXIF"), []byte("Exif\x00\x00"))
	}
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(exif, []byte("M")) {
		order = binary.BigEndian
	}
	// number is one of so many bytes, 0 where the file ends before.
	number := func(at, size int) int {
		if at+size > len(exif) {
			return 0
		}
		if size == 2 {
			return int(order.Uint16(exif[at:]))
		}
		return int(order.Uint32(exif[at:]))
	}
	directory := number(4, 4)
	for entry := range number(directory, 2) {
		at := directory + 2 + 12*entry
		if o := number(at+8, 2); number(at, 2) == 0x0112 && 0 < o && o <= 8 {
			return o
		}
	}
	return 1
}

// jpegExif is the first EXIF segment before a JPEG's pixels.
func jpegExif(raw []byte) []byte {
	for at := 2; at+4 <= len(raw) && raw[at] == 0xff && raw[at+1] != 0xda; {
		size := int(binary.BigEndian.Uint16(raw[at+2:]))
		end := at + 2 + size
		if size < 2 || end > len(raw) {
			break
		}
		if segment := raw[at+4 : end]; raw[at+1] == 0xe1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			return segment
		}
		at = end
	}
	return nil
}

// chunk is the content of the first chunk of that name in a file of chunks that start at a place, with their names
// and lengths, of four bytes each, at these places in a chunk. PNG has a sum of four bytes behind each, WebP even
// lengths.
func chunk(raw []byte, at, nameAt, lengthAt int, order binary.ByteOrder, name string) []byte {
	for at+8 <= len(raw) {
		length := int64(order.Uint32(raw[at+lengthAt:]))
		if int64(at)+8+length > int64(len(raw)) {
			return nil
		}
		content := raw[at+8 : at+8+int(length)]
		if string(raw[at+nameAt:at+nameAt+4]) == name {
			return content
		}
		at += 8 + int(length)
		if nameAt > 0 {
			at += 4
		} else {
			at += int(length & 1)
		}
	}
	return nil
}

// upright turns and mirrors an image that lies in the way of an EXIF orientation.
func (img Image) upright(orientation int) Image {
	if orientation == 1 {
		return img
	}
	h, w := img.Height, img.Width
	out := Image{Height: h, Width: w, Channels: img.Channels, Pix: make([]float32, len(img.Pix))}
	if orientation >= 5 {
		out.Height, out.Width = w, h
	}
	for y := range out.Height {
		for x := range out.Width {
			fy, fx := y, x // where the pixel lies in the file
			switch orientation {
			case 2:
				fx = w - 1 - x
			case 3:
				fy, fx = h-1-y, w-1-x
			case 4:
				fy = h - 1 - y
			case 5:
				fy, fx = x, y
			case 6:
				fy, fx = h-1-x, y
			case 7:
				fy, fx = h-1-x, w-1-y
			case 8:
				fy, fx = x, w-1-y
			}
			copy(out.Pix[(y*out.Width+x)*img.Channels:][:img.Channels], img.Pix[(fy*w+fx)*img.Channels:])
		}
	}
	return out
}
