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
func spatter(p picture, d drops, r chance) {
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
			if v < .8 {
				liquid[i] = 0
			}
		}
		p.tint(liquid, 1, 63./255, 42./255, 20./255)
		return
	}
	layer, release := pixels.Scratch[uint8](p.h * p.w)
	defer release()
	// Whether a drop lies here is chance, of which a processor guesses wrongly: in place of a branch a mask, of numbers
	// whose bits as integers have their order.
	least := int32(math.Float32bits(float32(d.least)))
	for i, v := range liquid {
		dry := (int32(math.Float32bits(v)) - least) >> 31
		layer[i] = uint8(int32(v*255) &^ dry) // 256 and more start again at 0, as in NumPy
	}
	light, release := pixels.Scratch[uint8](p.h * p.w)
	defer release()
	relief(light, layer, p.h, p.w)
	wet := liquid
	for i, v := range light {
		wet[i] = float32(int32(layer[i]) * int32(v))
	}
	_, most := pixels.Extremes(wet)
	if most == 0 {
		return // no drop at all, where the authors divide by zero
	}
	strength := float32(d.strength) / most
	for i := range wet {
		wet[i] *= strength
	}
	p.tint(wet, 0, 175./255, 238./255, 238./255)
}

// tint adds to each pixel its amount of a colour, under which hides, of 0 to 1, of that amount of the pixel goes.
func (p picture) tint(amounts []float32, hides, red, green, blue float32) {
	if p.c == 1 {
		luma := grey(red, green, blue)
		for i, v := range amounts {
			p.pix[i] = float32((1-hides*v)*p.pix[i]) + v*luma
		}
		return
	}
	for i, v := range amounts {
		keep, pixel := 1-hides*v, p.pix[3*i:][:3]
		pixel[0] = float32(keep*pixel[0]) + float32(v*red)
		pixel[1] = float32(keep*pixel[1]) + float32(v*green)
		pixel[2] = float32(keep*pixel[2]) + float32(v*blue)
	}
}

// relief lights the drops' edges from one side: the distance to them, equalised, through a slanted filter. Each step is
// that of the OpenCV function that it names.
func relief(light, layer []uint8, h, w int) {
	distance, release := pixels.Scratch[int32](h * w)
	defer release()
	edge, release := pixels.Scratch[uint8](h * w)
	defer release()
	canny(edge, layer, h, w, 50, 150)
	distanceTransform(distance, edge, h, w, 20<<distancePlaces) // and threshold
	blurNine(light, distance, h, w, distancePlaces, 0)          // blur, and rounded down to 8 bits
	equalizeHist(light)
	slanted := distance
	around, wide, release := framed(light, h, w, pixels.Reflect)
	defer release()
	for y := range h {
		upper, middle, lower := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		to := slanted[y*w : (y+1)*w]
		upper, middle, lower = upper[:len(to)+2], middle[:len(to)+2], lower[:len(to)+2]
		for x := range to {
			sum := int32(middle[x+1]) + int32(middle[x+2]) + int32(lower[x+1]) +
				2*int32(lower[x+2]) - 2*int32(upper[x]) - int32(upper[x+1]) - int32(middle[x])
			to[x] = min(max(sum, 0), 255) // filter2D to 8 bits
		}
	}
	blurNine(light, slanted, h, w, 0, 4) // blur of 8 bits; a ninth is never half of a level
}

// framed is the image with a margin of a pixel, which edge fills, and the width that this gives it. It is lent until
// release is called.
func framed[T any](image []T, h, w int, edge pixels.Edge) (out []T, wide int, release func()) {
	wide = w + 2
	out, release = pixels.Scratch[T]((h + 2) * wide)
	for y := range h + 2 {
		pixels.Frame(out[y*wide:(y+1)*wide], image[edge(y-1, h)*w:], w, 1, 1, edge)
	}
	return out, wide, release
}

// blurNine has the means of windows of 3 x 3 pixels, which have binary places; before it is divided, the sum has a
// number of levels added, 4 to round.
func blurNine(to []uint8, image []int32, h, w, places int, plus uint32) {
	shift := uint(places) % 32 // of which the compiler knows that it is possible
	around, wide, release := framed(image, h, w, pixels.Reflect)
	defer release()
	for y := range h {
		a, b, c := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		out := to[y*w : (y+1)*w]
		a, b, c = a[:len(out)+2], b[:len(out)+2], c[:len(out)+2]
		first, second := a[0]+b[0]+c[0], a[1]+b[1]+c[1]
		for x := range out {
			third := a[x+2] + b[x+2] + c[x+2]
			out[x] = uint8((uint32(first+second+third)>>shift + plus) / 9)
			first, second = second, third
		}
	}
}

// equalizeHist spreads values so that their distribution is even.
func equalizeHist(image []uint8) {
	var counts, others [256]int // in turns, for neighbours are often alike and would wait for each other
	for i := 0; i+1 < len(image); i += 2 {
		counts[image[i]]++
		others[image[i+1]]++
	}
	if len(image)%2 == 1 {
		counts[image[len(image)-1]]++
	}
	for v, n := range others {
		counts[v] += n
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

// canny says which pixels are edges, 1 or 0: ridges of the Sobel gradient |dx| + |dy| above high, and those above low
// that hang together with them.
func canny(edge, image []uint8, h, w int, low, high int32) {
	wide := w + 2 // there is a margin of a pixel
	slope, release := pixels.Scratch[struct{ dx, dy int16 }]((h + 2) * wide)
	defer release()
	size, release := pixels.Scratch[int32]((h + 2) * wide)
	defer release()
	clear(size)
	around, _, release := framed(image, h, w, pixels.Repeat)
	defer release()
	for y := range h {
		a, b, c := around[y*wide:(y+1)*wide], around[(y+1)*wide:(y+2)*wide], around[(y+2)*wide:(y+3)*wide]
		to, sizes := slope[(y+1)*wide+1:][:w], size[(y+1)*wide+1:][:w]
		a, b, c, sizes = a[:len(to)+2], b[:len(to)+2], c[:len(to)+2], sizes[:len(to)]
		// Of a column the weighted sum and the difference, of this one and the two before.
		sum0, sum1 := int32(a[0])+2*int32(b[0])+int32(c[0]), int32(a[1])+2*int32(b[1])+int32(c[1])
		rise0, rise1 := int32(c[0])-int32(a[0]), int32(c[1])-int32(a[1])
		for x := range to {
			upper, lower := int32(a[x+2]), int32(c[x+2])
			sum, rise := upper+2*int32(b[x+2])+lower, lower-upper
			dx, dy := sum-sum0, rise0+2*rise1+rise
			to[x].dx, to[x].dy = int16(dx), int16(dy)
			sizes[x] = max(dx, -dx) + max(dy, -dy)
			sum0, sum1, rise0, rise1 = sum1, sum, rise1, rise
		}
	}
	const ridge, found = 1, 2
	state, release := pixels.Scratch[uint8]((h + 2) * wide)
	defer release()
	clear(state)
	list, release := pixels.Scratch[int32](h * w) // each pixel is found once
	defer release()
	top := 0
	for y := range h {
		for x, s := range size[(y+1)*wide+1:][:w] {
			if s <= low {
				continue
			}
			i := (y+1)*wide + x + 1
			dx, dy := int64(slope[i].dx), int64(slope[i].dy)
			// The neighbours to compare with lie in the gradient's direction in steps of 45 degrees, by tan 22.5° and
			// tan 67.5° in 15 binary places. Which one that is and what comes of it, a processor would guess wrongly:
			// both are computed.
			rise, flat := max(dy, -dy)<<15, max(dx, -dx)*13573
			steep := flat + max(dx, -dx)<<16
			next, equal := wide+1+2*int((dx^dy)>>63), int32(0) // equal is 1 where the second may be as large
			if rise > steep {
				next, equal = wide, 1
			}
			if rise < flat {
				next, equal = 1, 1
			}
			is := (uint32(size[i-next]-s) & uint32(size[i+next]-s-equal)) >> 31 // the sign bit of both
			strong := is & (uint32(high-s) >> 31)
			state[i] = uint8(is*ridge + strong)
			list[top] = int32(i)
			top += int(strong)
		}
	}
	for top > 0 {
		top--
		i := int(list[top])
		for _, row := range [3]int{i - wide, i, i + wide} {
			for j := row - 1; j <= row+1; j++ {
				if state[j] == ridge {
					state[j] = found
					list[top] = int32(j)
					top++
				}
			}
		}
	}
	for y := range h {
		to := edge[y*w : (y+1)*w]
		for x, v := range state[(y+1)*wide+1:][:len(to)] {
			to[x] = v / found
		}
	}
}

// distancePlaces are the binary places of a distance.
const distancePlaces = 16

// distanceTransform is the distance to the nearest pixel of an edge, which is 1 and not 0, in steps of a pixel, a
// diagonal and a knight's move (DIST_L2 with a mask of 5), and most where none is so near.
func distanceTransform(distance []int32, edge []uint8, h, w int, most int32) {
	const far, margin = 1e4 << distancePlaces, 2
	const straight, diagonal, knight = 1 << distancePlaces, 91750, 143976 // 1.4 and 2.1969
	wide := w + 2*margin
	around, release := pixels.Scratch[int32]((h + 2*margin) * wide)
	defer release()
	for i := range margin * wide {
		around[i], around[len(around)-1-i] = far, far
	}
	for y := range h {
		row := around[(y+margin)*wide:][:wide]
		row[0], row[1], row[w+margin], row[w+margin+1] = far, far, far, far
		row = row[margin:]
		for x, v := range edge[y*w : (y+1)*w] {
			row[x] = (int32(v) - 1) & far
		}
	}
	// Forward from the upper left, and back from the lower right: first from the two rows that are done, then along the
	// row.
	for y := range h {
		row := around[(y+margin)*wide+margin:][:w]
		pixels.Chamfer(row, around[(y+margin-1)*wide:], around[(y+margin-2)*wide+1:], straight, diagonal, knight)
		last := int32(far)
		for x, v := range row {
			last = min(v, last+straight)
			row[x] = last
		}
	}
	for y := h - 1; y >= 0; y-- {
		row := around[(y+margin)*wide+margin:][:w]
		pixels.Chamfer(row, around[(y+margin+1)*wide:], around[(y+margin+2)*wide+1:], straight, diagonal, knight)
		last := int32(far)
		for x := w - 1; x >= 0; x-- {
			last = min(row[x], last+straight)
			row[x] = last
		}
	}
	for y := range h {
		to := distance[y*w : (y+1)*w]
		for x, v := range around[(y+margin)*wide+margin:][:len(to)] {
			to[x] = min(v, most)
		}
	}
}
