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
		liquid, release := pixels.Scratch[float32](p.h * p.w)
		defer release()
		r.normals(liquid)
		for i, v := range liquid {
			liquid[i] = float32(d.mean) + float32(float32(d.deviation)*v)
		}
		blur(liquid, p.h, p.w, 1, d.sigma)
		if d.mud {
			for i, v := range liquid {
				liquid[i] = 0
				if v > float32(d.least) {
					liquid[i] = 1
				}
			}
			blur(liquid, p.h, p.w, 1, d.strength)
			for i, v := range liquid {
				if v >= .8 {
					p.tint(i, 1-v, v, 63./255, 42./255, 20./255)
				}
			}
			return
		}
		layer := make([]uint8, len(liquid))
		for i, v := range liquid {
			if v >= float32(d.least) {
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
	around, wide := framed(bytes, h, w, 1, pixels.Reflect)
	for y := range h {
		for x := range w {
			i := (y+1)*wide + x + 1
			upper, middle, lower := around[i-wide-1:i-wide+1], around[i-1:i+2], around[i+wide:i+wide+2]
			sum := -2*int(upper[0]) - int(upper[1]) - int(middle[0]) + int(middle[1]) + int(middle[2]) + int(lower[0]) + 2*int(lower[1])
			slanted[y*w+x] = float64(min(max(sum, 0), 255)) // filter2D to 8 bits
		}
	}
	light := boxBlur(slanted, h, w)
	for i, v := range light {
		light[i] = math.RoundToEven(v) // blur of 8 bits
	}
	return light
}

// framed is the image with a margin, which edge fills, and the width that this gives it.
func framed[T any](image []T, h, w, margin int, edge pixels.Edge) ([]T, int) {
	wide := w + 2*margin
	out := make([]T, (h+2*margin)*wide)
	for y := range h + 2*margin {
		from, to := image[edge(y-margin, h)*w:], out[y*wide:(y+1)*wide]
		copy(to[margin:], from[:w])
		for i := range margin {
			to[i], to[w+margin+i] = from[edge(i-margin, w)], from[edge(w+i, w)]
		}
	}
	return out, wide
}

// boxBlur is blur with a window of 3 x 3.
func boxBlur(image []float64, h, w int) []float64 {
	around, wide := framed(image, h, w, 1, pixels.Reflect)
	out := make([]float64, len(image))
	for y := range h {
		for x := range w {
			i := y*wide + x
			a, b, c := around[i:i+3], around[i+wide:i+wide+3], around[i+2*wide:i+2*wide+3]
			out[y*w+x] = (a[0] + a[1] + a[2] + b[0] + b[1] + b[2] + c[0] + c[1] + c[2]) / 9
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
	around, wide := framed(image, h, w, 1, pixels.Repeat)
	for y := range h {
		for x := range w {
			i, j := y*w+x, y*wide+x
			a, b, c := around[j:j+3], around[j+wide:j+wide+3], around[j+2*wide:j+2*wide+3]
			dx[i] = int(a[2]) + 2*int(b[2]) + int(c[2]) - int(a[0]) - 2*int(b[0]) - int(c[0])
			dy[i] = int(c[0]) + 2*int(c[1]) + int(c[2]) - int(a[0]) - 2*int(a[1]) - int(a[2])
			size[j+wide+1] = abs(dx[i]) + abs(dy[i])
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
	const far, margin = 1e4, 2
	const straight, diagonal, knight = 1, 1.4, 2.1969
	wide := w + 2*margin
	around := make([]float64, (h+2*margin)*wide)
	for i := range around {
		around[i] = far
	}
	for i, z := range zero {
		if z {
			around[(i/w+margin)*wide+i%w+margin] = 0
		}
	}
	// Forward from the upper left, then back from the lower right.
	for _, way := range []int{1, -1} {
		for n := range h {
			y := n
			if way < 0 {
				y = h - 1 - n
			}
			for m := range w {
				x := m
				if way < 0 {
					x = w - 1 - m
				}
				i := (y+margin)*wide + x + margin
				before, two := i-way*wide, i-way*2*wide
				around[i] = min(around[i], min(around[i-way], around[before])+straight, min(around[before-1], around[before+1])+diagonal,
					min(around[before-2], around[before+2], around[two-1], around[two+1])+knight)
			}
		}
	}
	distance := make([]float64, 0, len(zero))
	for y := range h {
		distance = append(distance, around[(y+margin)*wide+margin:][:w]...)
	}
	return distance
}
