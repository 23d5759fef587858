package augment

import "math"

// picture is one image of 8 bits, row-major [h, w, c].
type picture struct {
	pix     []uint8
	h, w, c int
}

// eightBits rounds an image in 0..1 to 8 bits.
func eightBits(pix []float32, h, w, c int) picture {
	p := picture{make([]uint8, len(pix)), h, w, c}
	for i, v := range pix {
		p.pix[i] = uint8(min(max(v, 0), 1)*255 + .5)
	}
	return p
}

// look puts what table says of each channel's values in their place.
func (p picture) look(channel int, table *[256]uint8) {
	for at := channel; at < len(p.pix); at += p.c {
		p.pix[at] = table[p.pix[at]]
	}
}

// histogram counts the values of a channel.
func (p picture) histogram(channel int) (counts [256]int) {
	for at := channel; at < len(p.pix); at += p.c {
		counts[p.pix[at]]++
	}
	return counts
}

// affine takes the pixel at column x and row y from a·x+b·y+c and d·x+e·y+f, where a pixel's middle has half
// coordinates, bilinearly and without rounding up, as Pillow; what lies outside the image is 0.
func (p picture) affine(a, b, c, d, e, f float64) picture {
	out := picture{make([]uint8, len(p.pix)), p.h, p.w, p.c}
	for y := range p.h {
		for x := range p.w {
			// The conversions keep the compiler from fusing the products into the sums.
			fromX := float64(a*(float64(x)+.5)) + float64(b*(float64(y)+.5)) + c
			fromY := float64(d*(float64(x)+.5)) + float64(e*(float64(y)+.5)) + f
			if fromX < 0 || fromX >= float64(p.w) || fromY < 0 || fromY >= float64(p.h) {
				continue
			}
			fromX, fromY = fromX-.5, fromY-.5
			left, top := math.Floor(fromX), math.Floor(fromY)
			dx, dy := fromX-left, fromY-top
			x0, x1 := max(int(left), 0), min(int(left)+1, p.w-1)
			y0, y1 := max(int(top), 0), min(int(top)+1, p.h-1)
			for ch := range p.c {
				v := between(p.at(y0, x0, ch), p.at(y0, x1, ch), dx)
				v = between(v, between(p.at(y1, x0, ch), p.at(y1, x1, ch), dx), dy)
				out.pix[(y*p.w+x)*p.c+ch] = uint8(v)
			}
		}
	}
	return out
}

func (p picture) at(y, x, ch int) float64 { return float64(p.pix[(y*p.w+x)*p.c+ch]) }

func between(from, to, share float64) float64 { return from + float64((to-from)*share) }

// grey is the luma of a pixel.
func (p picture) grey(pixel int) uint8 {
	if p.c == 1 {
		return p.pix[pixel]
	}
	rgb := p.pix[pixel*3 : pixel*3+3]
	return uint8((19595*int(rgb[0]) + 38470*int(rgb[1]) + 7471*int(rgb[2]) + 1<<15) >> 16)
}

// blend goes from another image to p by a factor, beyond p where it is above 1. other gives the values of the other
// image.
func (p picture) blend(factor float64, other func(at int) uint8) picture {
	out := picture{make([]uint8, len(p.pix)), p.h, p.w, p.c}
	for at, v := range p.pix {
		from := float32(other(at))
		out.pix[at] = uint8(min(max(from+float32(float32(factor)*(float32(v)-from)), 0), 255))
	}
	return out
}
