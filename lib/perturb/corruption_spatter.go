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
		layer, release := pixels.Scratch[uint8](p.h * p.w)
		defer release()
		for i, v := range liquid {
			layer[i] = 0
			if v >= float32(d.least) {
				layer[i] = uint8(int32(v * 255)) // 256 and more start again at 0, as in NumPy
			}
		}
		light, release := pixels.Scratch[uint8](p.h * p.w)
		defer release()
		relief(light, layer, p.h, p.w)
		most := int32(0)
		for i, v := range light {
			most = max(most, int32(layer[i])*int32(v))
		}
		if most == 0 {
			return // no drop at all, where the authors divide by zero
		}
		strength := float32(d.strength) / float32(most)
		for i, v := range light {
			if v > 0 && layer[i] > 0 {
				p.tint(i, 1, float32(int32(layer[i])*int32(v))*strength, 175./255, 238./255, 238./255)
			}
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
func relief(light, layer []uint8, h, w int) {
	distance, release := pixels.Scratch[int32](h * w)
	defer release()
	edge, release := pixels.Scratch[bool](h * w)
	defer release()
	canny(edge, layer, h, w, 50, 150)
	distanceTransform(distance, edge, h, w)
	for i, v := range distance {
		distance[i] = min(v, 20<<distancePlaces) // threshold
	}
	boxSums(distance, distance, h, w)
	for i, v := range distance {
		light[i] = uint8(v / (9 << distancePlaces)) // blur, and to 8 bits
	}
	equalizeHist(light)
	slanted := distance
	around, wide, release := framed(light, h, w, pixels.Reflect)
	defer release()
	for y := range h {
		upper, middle, lower := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		to := slanted[y*w : (y+1)*w]
		upper, middle, lower = upper[:len(to)+2], middle[:len(to)+2], lower[:len(to)+2]
		for x := range to {
			sum := int32(middle[x+1]) + int32(middle[x+2]) + int32(lower[x+1]) + 2*int32(lower[x+2]) - 2*int32(upper[x]) - int32(upper[x+1]) - int32(middle[x])
			to[x] = min(max(sum, 0), 255) // filter2D to 8 bits
		}
	}
	boxSums(slanted, slanted, h, w)
	for i, v := range slanted {
		light[i] = uint8((2*v + 9) / 18) // blur of 8 bits; a ninth is never half of a level
	}
}

// framed is the image with a margin of a pixel, which edge fills, and the width that this gives it. It is lent until release is called.
func framed[T any](image []T, h, w int, edge pixels.Edge) (out []T, wide int, release func()) {
	wide = w + 2
	out, release = pixels.Scratch[T]((h + 2) * wide)
	for y := range h + 2 {
		pixels.Frame(out[y*wide:(y+1)*wide], image[edge(y-1, h)*w:], w, 1, 1, edge)
	}
	return out, wide, release
}

// boxSums are the sums over windows of 3 x 3 pixels. to may be the image.
func boxSums(to, image []int32, h, w int) {
	around, wide, release := framed(image, h, w, pixels.Reflect)
	defer release()
	columns, release := pixels.Scratch[int32](wide)
	defer release()
	for y := range h {
		a, b, c := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		columns := columns[:len(a)]
		for x, v := range a {
			columns[x] = v + b[x] + c[x]
		}
		out := to[y*w : (y+1)*w]
		columns = columns[:len(out)+2]
		for x := range out {
			out[x] = columns[x] + columns[x+1] + columns[x+2]
		}
	}
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
func canny(edge []bool, image []uint8, h, w int, low, high int32) {
	slope, release := pixels.Scratch[struct{ dx, dy int16 }](h * w)
	defer release()
	size, release := pixels.Scratch[int32]((h + 2) * (w + 2)) // with a margin of zeros
	defer release()
	clear(size)
	around, wide, release := framed(image, h, w, pixels.Repeat)
	defer release()
	for y := range h {
		a, b, c := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		to, sizes := slope[y*w:(y+1)*w], size[(y+1)*wide+1:][:w]
		a, b, c, sizes = a[:len(to)+2], b[:len(to)+2], c[:len(to)+2], sizes[:len(to)]
		for x := range to {
			left, right := int32(a[x])+2*int32(b[x])+int32(c[x]), int32(a[x+2])+2*int32(b[x+2])+int32(c[x+2])
			upper, lower := int32(a[x])+2*int32(a[x+1])+int32(a[x+2]), int32(c[x])+2*int32(c[x+1])+int32(c[x+2])
			dx, dy := right-left, lower-upper
			to[x].dx, to[x].dy = int16(dx), int16(dy)
			sizes[x] = max(dx, -dx) + max(dy, -dy)
		}
	}
	ridge, release := pixels.Scratch[bool](h * w)
	defer release()
	clear(edge)
	clear(ridge)
	found, release := pixels.Scratch[int32](h * w) // each pixel is found once
	defer release()
	top := 0
	for y := range h {
		sizes := size[(y+1)*wide+1:][:w]
		for x, s := range sizes {
			if s <= low {
				continue
			}
			i, j := y*w+x, (y+1)*wide+x+1
			dx, dy := int64(slope[i].dx), int64(slope[i].dy)
			// The gradient's direction in steps of 45 degrees, by tan 22.5° and tan 67.5° in 15 binary places.
			flat := max(dx, -dx) * 13573
			steep := flat + max(dx, -dx)<<16
			var is bool
			switch rise := max(dy, -dy) << 15; {
			case rise < flat:
				is = s > size[j-1] && s >= size[j+1]
			case rise > steep:
				is = s > size[j-wide] && s >= size[j+wide]
			default:
				across := 1
				if dx^dy < 0 {
					across = -1
				}
				is = s > size[j-wide-across] && s > size[j+wide+across]
			}
			if ridge[i] = is; is && s > high {
				edge[i] = true
				found[top] = int32(i)
				top++
			}
		}
	}
	for top > 0 {
		top--
		i := int(found[top])
		for y := max(i/w-1, 0); y <= min(i/w+1, h-1); y++ {
			for x := max(i%w-1, 0); x <= min(i%w+1, w-1); x++ {
				if j := y*w + x; ridge[j] && !edge[j] {
					edge[j] = true
					found[top] = int32(j)
					top++
				}
			}
		}
	}
}

// distancePlaces are the binary places of a distance.
const distancePlaces = 16

// distanceTransform is the distance to the nearest true pixel in steps of a pixel, a diagonal and a knight's move (DIST_L2 with a mask
// of 5); far beyond the image where there is none.
func distanceTransform(distance []int32, zero []bool, h, w int) {
	const far, margin = 1e4 << distancePlaces, 2
	const straight, diagonal, knight = 1 << distancePlaces, 91750, 143976 // 1.4 and 2.1969
	wide := w + 2*margin
	around, release := pixels.Scratch[int32]((h + 2*margin) * wide)
	defer release()
	for i := range around {
		around[i] = far
	}
	for y := range h {
		row := around[(y+margin)*wide+margin:][:w]
		for x, z := range zero[y*w : (y+1)*w] {
			if z {
				row[x] = 0
			}
		}
	}
	// Forward from the upper left, then back from the lower right: last is the pixel beside, before and two are the rows above and two above, which are done.
	step := func(i int, last int32, before, two int) int32 {
		b, t := around[before-2:before+3:before+3], around[two-1:two+2:two+2]
		return min(around[i], min(last, b[2])+straight, min(b[1], b[3])+diagonal, min(b[0], b[4], t[0], t[2])+knight)
	}
	for y := range h {
		last := int32(far)
		for i := (y+margin)*wide + margin; i < (y+margin)*wide+margin+w; i++ {
			last = step(i, last, i-wide, i-2*wide)
			around[i] = last
		}
	}
	for y := h - 1; y >= 0; y-- {
		last := int32(far)
		for i := (y+margin)*wide + margin + w - 1; i >= (y+margin)*wide+margin; i-- {
			last = step(i, last, i+wide, i+2*wide)
			around[i] = last
		}
	}
	for y := range h {
		copy(distance[y*w:(y+1)*w], around[(y+margin)*wide+margin:])
	}
}
