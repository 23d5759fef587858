package data

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// orientation is how a photograph lies in its file, 1 to 8, by EXIF's tag 0x0112, or by XMP where there is no such tag;
// 1, upright, where the file says nothing.
func orientation(raw []byte, format string) int {
	var exif, xmp []byte
	switch format {
	case "JPEG":
		exif, xmp = jpegMetadata(raw, "Exif\x00\x00"), jpegMetadata(raw, "http://ns.adobe.com/xap/1.0/\x00")
	case "PNG":
		exif = chunk(raw, 8, 4, 0, binary.BigEndian, "eXIf")
	case "TIFF":
		exif = raw // EXIF is a TIFF without an image
	case "WebP":
		exif = bytes.TrimPrefix(chunk(raw, 12, 0, 4, binary.LittleEndian, "EXIF"), []byte("Exif\x00\x00"))
		xmp = chunk(raw, 12, 0, 4, binary.LittleEndian, "XMP ")
	}
	o := exifTag(exif, 0x0112)
	if found := xmpOrientation.FindSubmatch(xmp); o == 0 && found != nil {
		o = int(found[1][0] - '0')
	}
	if o < 1 || o > 8 {
		return 1
	}
	return o
}

// xmpOrientation is as Pillow looks for it.
var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// exifTag is the value of a tag of 16 bits in the first directory of EXIF or of a TIFF; 0 where it has none.
func exifTag(exif []byte, tag int) int {
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
		if number(at, 2) == tag {
			return number(at+8, 2)
		}
	}
	return 0
}

// jpegMetadata is the first segment of an application that starts so, before a JPEG's pixels, without that start.
func jpegMetadata(raw []byte, start string) []byte {
	for marker, segment := range jpegSegments(raw) {
		if content, ok := bytes.CutPrefix(segment, []byte(start)); ok && marker == 0xe1 {
			return content
		}
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
