package data

import "fmt"

// MeanPool makes images smaller by a whole number: each pixel is the mean of side x side pixels, channel by channel. An
// image whose height or width is not a multiple of side is an error. [Resize] takes other sizes, and weighs the pixels
// around too.
func MeanPool(side int) Transform {
	return Transform{Name: fmt.Sprintf("mean of %d x %d", side, side), Apply: func(img Image) (Image, error) {
		if side < 1 || img.Height < side || img.Width < side || img.Height%side != 0 || img.Width%side != 0 {
			return img, fmt.Errorf("an image of %d x %d is not made of squares of %d x %d pixels", img.Height, img.Width,
				side, side)
		}
		out := Image{Height: img.Height / side, Width: img.Width / side, Channels: img.Channels}
		out.Pix = make([]float32, out.Height*out.Width*out.Channels)
		of := float32(side * side)
		for i, v := range img.Pix {
			y, x, channel := i/img.Channels/img.Width, i/img.Channels%img.Width, i%img.Channels
			out.Pix[(y/side*out.Width+x/side)*img.Channels+channel] += v / of
		}
		return out, nil
	}}
}
