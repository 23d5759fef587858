package data

import (
	"fmt"
	"image"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

func (t Transform) String() string { return t.Name }

// picture is the image as one of the standard library. Values are in 0..1; those outside are cut off.
func (img Image) picture() image.Image {
	out := image.NewRGBA(image.Rect(0, 0, img.Width, img.Height))
	for p := range img.Height * img.Width {
		for c := range 3 {
			v := float64(img.Pix[p*img.Channels+c*(img.Channels-1)/2])
			out.Pix[4*p+c] = uint8(math.Round(255 * min(max(v, 0), 1)))
		}
		out.Pix[4*p+3] = 255
	}
	return out
}

// Pictures is the image, for showing it.
func (img Image) Pictures(int) ([]image.Image, []string, error) {
	if img.Channels != 1 && img.Channels != 3 || len(img.Pix) != img.Height*img.Width*img.Channels {
		return nil, nil, fmt.Errorf("data: an image of %d x %d with %d channels and %d values cannot be shown", img.Height,
			img.Width, img.Channels, len(img.Pix))
	}
	return []image.Image{img.picture()}, nil, nil
}

// Pictures are the first images, at most so many, with the names of their classes, or of their files where they have
// none: for showing the dataset.
func (d *Dataset) Pictures(most int) (pictures []image.Image, titles []string, err error) {
	for i := range min(most, d.Len()) {
		img, err := d.Image(i)
		if err != nil {
			return nil, nil, err
		}
		one, _, err := img.Pictures(1)
		if err != nil {
			return nil, nil, err
		}
		title := d.ClassName(i)
		if title == "" {
			title = d.Name(i)
		}
		pictures, titles = append(pictures, one...), append(titles, title)
	}
	return pictures, titles, nil
}

// Pictures are the first images, at most so many, with their names, or their numbers where they have none: for showing
// the batch.
func (b Batch) Pictures(most int) (pictures []image.Image, titles []string, err error) {
	if b.Images == nil || b.Images.Rank() != 4 {
		return nil, nil, fmt.Errorf("data: the batch has no images")
	}
	flat, err := tensors.CopyFlatData[float32](b.Images)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	dims := b.Images.Shape().Dimensions
	size := dims[1] * dims[2] * dims[3]
	for i := range min(most, dims[0]) {
		one, _, err := Image{flat[i*size : (i+1)*size], dims[1], dims[2], dims[3]}.Pictures(1)
		if err != nil {
			return nil, nil, err
		}
		title := fmt.Sprint(b.Indices[i])
		if i < len(b.Names) {
			title = b.Names[i]
		}
		pictures, titles = append(pictures, one...), append(titles, title)
	}
	return pictures, titles, nil
}
