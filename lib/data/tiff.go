package data

import (
	"bytes"
	"image"

	"golang.org/x/image/tiff"
)

// Tags of TIFF 6.0, and their values that matter here.
const (
	tiffCompression, telefax4, telefax2 = 259, 4, 2
	tiffColours, blackIsZero            = 262, 1
	tiffPlanes, apart                   = 284, 2
)

// configOfTIFF refuses what the decoder would read wrongly.
func configOfTIFF(raw []byte) (image.Config, error) {
	if exifTag(raw, tiffPlanes) == apart && exifTag(raw, tiffColours) > blackIsZero {
		return image.Config{}, tiff.UnsupportedError("each colour in a plane of its own")
	}
	return tiff.DecodeConfig(bytes.NewReader(raw))
}

// decodeTIFF reads the first page. The values of a telefax are 0 for white whatever the file says of 0 and black, as
// libtiff has it; Go's decoder takes them as 1 where black is 0.
func decodeTIFF(raw []byte) (Image, error) {
	img, err := tiff.Decode(bytes.NewReader(raw))
	if err != nil {
		return Image{}, err
	}
	out := fromImage(img)
	if c := exifTag(raw, tiffCompression); telefax2 <= c && c <= telefax4 && exifTag(raw, tiffColours) == blackIsZero {
		for i, v := range out.Pix {
			out.Pix[i] = 1 - v
		}
	}
	return out, nil
}
