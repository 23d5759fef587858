package issues

import (
	"math"

	"github.com/loupeml/loupe/lib/internal/parallel"
)

// kernel weighs pixels by their distance, up to support.
type kernel struct {
	support float64
	weight  func(x float64) float64
}

var (
	bicubic = kernel{2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}}
	lanczos = kernel{3, func(x float64) float64 {
		if x <= -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}}
)

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// fixed is how many bits Pillow's weights have behind the point.
const fixed = 22

// taps are the weights that make one pixel, those of the pixels from first on.
type taps struct {
	first   int
	weights []int32
}

// taps are those of a line of from pixels that becomes one of to.
func (k kernel) taps(from, to int) []taps {
	scale := float64(from) / float64(to)
	wide := max(scale, 1)
	support := k.support * wide
	all := make([]taps, to)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first, last := max(int(centre-support+0.5), 0), min(int(centre+support+0.5), from)
		weights, sum := make([]float64, last-first), 0.0
		for j := range weights {
			weights[j] = k.weight((float64(first+j) - centre + 0.5) * (1 / wide))
			sum += weights[j]
		}
		all[i] = taps{first, make([]int32, len(weights))}
		for j, w := range weights {
			all[i].weights[j] = int32(math.Round(w / sum * (1 << fixed)))
		}
	}
	return all
}

// resized is the picture at another size, as of Pillow's resize: along the rows first and then along the columns,
// rounded to 8 bits after each.
func (b picture) resized(height, width int, by kernel) picture {
	out := b
	if width != b.width {
		out = picture{make([]uint8, b.height*width*b.channels), b.height, width, b.channels}
		along := by.taps(b.width, width)
		parallel.Parts(b.height, 64, func(_, lo, hi int) {
			for y := lo; y < hi; y++ {
				row := b.pix[y*b.width*b.channels : (y+1)*b.width*b.channels]
				for x, t := range along {
					for c := range b.channels {
						sum := int32(1 << (fixed - 1))
						for j, w := range t.weights {
							sum += w * int32(row[(t.first+j)*b.channels+c])
						}
						out.pix[(y*width+x)*b.channels+c] = uint8(min(max(sum>>fixed, 0), 255))
					}
				}
			}
		})
	}
	if height == out.height {
		return out
	}
	from, line := out, out.width*out.channels
	out = picture{make([]uint8, height*line), height, width, b.channels}
	for y, t := range by.taps(from.height, height) {
		for x := range line {
			sum := int32(1 << (fixed - 1))
			for j, w := range t.weights {
				sum += w * int32(from.pix[(t.first+j)*line+x])
			}
			out.pix[y*line+x] = uint8(min(max(sum>>fixed, 0), 255))
		}
	}
	return out
}
