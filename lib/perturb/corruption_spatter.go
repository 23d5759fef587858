package perturb

import (
	"math"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// drops are Gaussian noise blurred by sigma, of which what is below least is nothing. strength is that of water, or the
// standard deviation that blurs mud.
type drops struct {
	mean, deviation, sigma, least, strength float64
	mud                                     bool
}

// spatter throws water, which is bright at one side of each drop, or mud on the lens.
func spatter(all ...drops) corrupter {
	return func(p picture, severity int, r chance) {
		d := all[severity]
		liquid := make([]float64, p.h*p.w)
		for i := range liquid {
			liquid[i] = d.mean + d.deviation*r.NormFloat64()
		}
		blur(liquid, p.h, p.w, 1, d.sigma)
		if d.mud {
			for i, v := range liquid {
				liquid[i] = 0
				if v > d.least {
					liquid[i] = 1
				}
			}
			blur(liquid, p.h, p.w, 1, d.strength)
			for i, v := range liquid {
				if v >= .8 {
					p.tint(i, float32(1-v), float32(v), 63./255, 42./255, 20./255)
				}
			}
			return
		}
		layer := make([]uint8, len(liquid))
		for i, v := range liquid {
			if v >= d.least {
				layer[i] = uint8(int(v * 255)) // 256 and more start again at 0, as in NumPy
			}
		}
		light := relief(layer, p.h, p.w)
		var most float64
		for i, v := range light {
			light[i] = float64(layer[i]) * v
			most = max(most, light[i])
		}
		if most == 0 {
			return // no drop at all, where the authors divide by zero
		}
		for i, v := range light {
			p.tint(i, 1, float32(v/most*d.strength), 175./255, 238./255, 238./255)
		}
	}
}

// tint adds a colour to what is kept of pixel i.
func (p picture) tint(i int, keep, amount, red, green, blue float32) {
	pixel := p.pix[i*p.c : (i+1)*p.c]
	if p.c == 1 {
		pixel[0] = keep*pixel[0] + amount*grey(red, green, blue)
		return
	}
	for ch, v := range [3]float32{red, green, blue} {
		pixel[ch] = keep*pixel[ch] + amount*v
	}
}

// relief lights the drops' edges from one side: the distance to them, equalised, through a slanted filter. Each step is that of the OpenCV
// function that it names.
func relief(layer []uint8, h, w int) []float64 {
	distance := distanceTransform(canny(layer, h, w, 50, 150), h, w)
	for i, v := range distance {
		distance[i] = min(v, 20) // threshold
	}
	smooth := boxBlur(distance, h, w)
	bytes := make([]uint8, len(smooth))
	for i, v := range smooth {
		bytes[i] = uint8(v)
	}
	equalizeHist(bytes)
	slanted := make([]float64, len(bytes))
	weights := [3][3]int{{-2, -1, 0}, {-1, 1, 1}, {0, 1, 2}}
	for y := range h {
		for x := range w {
			var sum int
			for i := range 3 {
				row := pixels.Reflect(y+i-1, h) * w
				for j := range 3 {
					sum += weights[i][j] * int(bytes[row+pixels.Reflect(x+j-1, w)])
				}
			}
			slanted[y*w+x] = float64(min(max(sum, 0), 255)) // filter2D to 8 bits
		}
	}
	light := boxBlur(slanted, h, w)
	for i, v := range light {
		light[i] = math.RoundToEven(v) // blur of 8 bits
	}
	return light
}

// boxBlur is blur with a window of 3 x 3.
func boxBlur(image []float64, h, w int) []float64 {
	out := make([]float64, len(image))
	for y := range h {
		for x := range w {
			var sum float64
			for i := -1; i <= 1; i++ {
				row := pixels.Reflect(y+i, h) * w
				sum += image[row+pixels.Reflect(x-1, w)] + image[row+x] + image[row+pixels.Reflect(x+1, w)]
			}
			out[y*w+x] = sum / 9
		}
	}
	return out
}

// equalizeHist spreads values so that their distribution is even.
func equalizeHist(image []uint8) {
	var counts [256]int
	for _, v := range image {
		counts[v]++
	}
	least := 0
	for counts[least] == 0 {
		least++
	}
	if counts[least] == len(image) {
		return
	}
	scale := 255 / float32(len(image)-counts[least])
	var to [256]uint8
	sum := 0
	for v := least + 1; v < 256; v++ {
		sum += counts[v]
		to[v] = uint8(math.RoundToEven(float64(float32(sum) * scale)))
	}
	for i, v := range image {
		image[i] = to[v]
	}
}

// canny says which pixels are edges: ridges of the Sobel gradient |dx| + |dy| above high, and those above low that hang together with them.
func canny(image []uint8, h, w, low, high int) []bool {
	dx, dy, size := make([]int, len(image)), make([]int, len(image)), make([]int, (h+2)*(w+2))
	at := func(y, x int) int { return int(image[pixels.Repeat(y, h)*w+pixels.Repeat(x, w)]) }
	for y := range h {
		for x := range w {
			i := y*w + x
			dx[i] = at(y-1, x+1) + 2*at(y, x+1) + at(y+1, x+1) - at(y-1, x-1) - 2*at(y, x-1) - at(y+1, x-1)
			dy[i] = at(y+1, x-1) + 2*at(y+1, x) + at(y+1, x+1) - at(y-1, x-1) - 2*at(y-1, x) - at(y-1, x+1)
			size[(y+1)*(w+2)+x+1] = abs(dx[i]) + abs(dy[i])
		}
	}
	edge, ridge := make([]bool, len(image)), make([]bool, len(image))
	var found []int
	for y := range h {
		for x := range w {
			i, j := y*w+x, (y+1)*(w+2)+x+1
			if size[j] <= low {
				continue
			}
			// The gradient's direction in steps of 45 degrees, by tan 22.5° and tan 67.5° in 15 binary places.
			flat := abs(dx[i]) * 13573
			steep := flat + abs(dx[i])<<16
			var is bool
			switch rise := abs(dy[i]) << 15; {
			case rise < flat:
				is = size[j] > size[j-1] && size[j] >= size[j+1]
			case rise > steep:
				is = size[j] > size[j-(w+2)] && size[j] >= size[j+(w+2)]
			default:
				s := 1
				if (dx[i] ^ dy[i]) < 0 {
					s = -1
				}
				is = size[j] > size[j-(w+2)-s] && size[j] > size[j+(w+2)+s]
			}
			if ridge[i] = is; is && size[j] > high {
				edge[i] = true
				found = append(found, i)
			}
		}
	}
	for len(found) > 0 {
		i := found[len(found)-1]
		found = found[:len(found)-1]
		for y := max(i/w-1, 0); y <= min(i/w+1, h-1); y++ {
			for x := max(i%w-1, 0); x <= min(i%w+1, w-1); x++ {
				if j := y*w + x; ridge[j] && !edge[j] {
					edge[j] = true
					found = append(found, j)
				}
			}
		}
	}
	return edge
}

func abs(v int) int { return max(v, -v) }

// distanceTransform is the distance to the nearest true pixel in steps of a pixel, a diagonal and a knight's move (DIST_L2 with a mask
// of 5); far beyond the image where there is none.
func distanceTransform(zero []bool, h, w int) []float64 {
	const far = 1e4
	distance := make([]float64, len(zero))
	for i, z := range zero {
		if !z {
			distance[i] = far
		}
	}
	const straight, diagonal, knight = 1, 1.4, 2.1969
	steps := []struct {
		dy, dx int
		length float64
	}{{0, -1, straight}, {-1, 0, straight}, {-1, -1, diagonal}, {-1, 1, diagonal}, {-1, -2, knight}, {-1, 2, knight}, {-2, -1, knight}, {-2, 1, knight}}
	for _, way := range []int{1, -1} {
		for n := range distance {
			i := n
			if way < 0 {
				i = len(distance) - 1 - n
			}
			for _, s := range steps {
				if y, x := i/w+way*s.dy, i%w+way*s.dx; y >= 0 && y < h && x >= 0 && x < w {
					distance[i] = min(distance[i], distance[y*w+x]+s.length)
				}
			}
		}
	}
	return distance
}
