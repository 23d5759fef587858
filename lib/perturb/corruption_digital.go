package perturb

import (
	"math"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// pixelate shrinks the image and enlarges it again. Both are Pillow's box filter, which lets a pixel count wholly or
// not at all.
func pixelate(p picture, scale float64, _ chance) {
	h, w := max(int(float64(p.h)*scale), 1), max(int(float64(p.w)*scale), 1)
	columns := boxes(p.w, w)
	// Means of this many pixels to the right of each, of which there are one or two numbers; they are taken for all
	// pixels, for vectors skip none.
	narrow, broad := columns[0].to-columns[0].from, columns[0].to-columns[0].from
	for _, c := range columns {
		narrow, broad = min(narrow, c.to-c.from), max(broad, c.to-c.from)
	}
	size := p.w * p.c
	means, release := pixels.Scratch[float32]((broad - narrow + 1) * size)
	defer release()
	nearest := make([]int, p.w) // where a pixel's value lies among the means
	for x := range nearest {
		c := columns[int((float64(x)+.5)*float64(w)/float64(p.w))]
		nearest[x] = (c.to-c.from-narrow)*size + c.from*p.c
	}
	row, release := pixels.Scratch[float32](size)
	defer release()
	wide, release := scratchPicture(h, p.w, p.c) // each row of the small image, enlarged
	defer release()
	at, weights := make([]int, max(p.h, p.w)), make([]float32, max(p.h, p.w))
	mean := func(to, from []float32, first, step, n int) {
		for k := range n {
			at[k], weights[k] = first+k*step, 1/float32(n)
		}
		pixels.WeightedSum(to, from, at[:n], weights[:n])
	}
	for y, ys := range boxes(p.h, h) {
		mean(row, p.pix, ys.from*size, size, ys.to-ys.from)
		for n := narrow; n <= broad; n++ {
			to := means[(n-narrow)*size:][:size-(n-1)*p.c]
			mean(to, row, 0, p.c, n)
			pixels.Clamp(to)
		}
		to := wide.row(y)
		if p.c == 3 {
			for x, at := range nearest {
				to, from := to[3*x:3*x+3], means[at:at+3]
				to[0], to[1], to[2] = from[0], from[1], from[2]
			}
			continue
		}
		for x, at := range nearest {
			copy(to[x*p.c:(x+1)*p.c], means[at:])
		}
	}
	for y := range p.h {
		copy(p.row(y), wide.row(int((float64(y)+.5)*float64(h)/float64(p.h))))
	}
}

type box struct{ from, to int }

// boxes says which of n pixels each of m pixels covers.
func boxes(n, m int) []box {
	list := make([]box, m)
	scale := float64(n) / float64(m)
	for i := range list {
		centre := (float64(i) + .5) * scale
		// A pixel counts when its centre is inside.
		list[i] = box{max(int(centre-scale/2+.5), 0), min(int(centre+scale/2+.5), n)}
	}
	return list
}

// rubber pulls the image by a field of noise, smoothed by sigma and times strength, after an affine map that moves
// three points by up to shift; all in pixels.
type rubber struct{ strength, sigma, shift float64 }

func elastic(p picture, e rubber, r chance) {
	e.affine(p, r)
	dx, release := smoothField(p, r, 1, e.sigma, e.sigma, e.strength)
	defer release()
	dy, release := smoothField(p, r, 1, e.sigma, e.sigma, e.strength)
	defer release()
	p.move(dy, dx)
}

// elasticInProportion has noise of up to 0.5% of the height, smoothed by 1% of each side.
func elasticInProportion(p picture, strength float64, r chance) {
	most := .005 * float64(p.h)
	dx, release := smoothField(p, r, most, .01*float64(p.h), .01*float64(p.w), strength)
	defer release()
	dy, release := smoothField(p, r, most, .01*float64(p.h), .01*float64(p.w), strength)
	defer release()
	p.move(dy, dx)
}

// smoothField is a field of uniform noise of up to most in size, blurred by a Gaussian that is cut off at three
// standard deviations, times strength. It is lent until release is called.
func smoothField(p picture, r chance, most, sigmaY, sigmaX, strength float64) (field []float32, release func()) {
	field, release = pixels.Scratch[float32](p.h * p.w)
	r.uniforms(field)
	for i, v := range field {
		field[i] = 2*v - 1
	}
	pixels.GaussianBlurAlong(field, p.h, p.w, 1, sigmaY, int(3*sigmaY+.5), sigmaX, int(3*sigmaX+.5), pixels.Mirror)
	scale := float32(most * strength)
	for i := range field {
		field[i] *= scale
	}
	return field, release
}

// move takes each pixel from the place that is dy and dx away.
func (p picture) move(dy, dx []float32) {
	from, release := p.clone()
	defer release()
	for y := range p.h {
		for x := range p.w {
			at := y*p.w + x
			from.sample(float64(y)+float64(dy[at]), float64(x)+float64(dx[at]), pixels.Mirror, p.pix[at*p.c:(at+1)*p.c])
		}
	}
}

// sample is the bilinear value at a place.
func (p picture) sample(y, x float64, edge pixels.Edge, to []float32) {
	top, left := math.Floor(y), math.Floor(x)
	down, right := float32(y-top), float32(x-left)
	y0, x0 := int(top), int(left)
	y1, x1 := y0+1, x0+1
	if y0 < 0 || y1 >= p.h || x0 < 0 || x1 >= p.w {
		y0, y1, x0, x1 = edge(y0, p.h), edge(y1, p.h), edge(x0, p.w), edge(x1, p.w)
	}
	for ch := range to {
		a, b := p.pix[(y0*p.w+x0)*p.c+ch], p.pix[(y0*p.w+x1)*p.c+ch]
		c, d := p.pix[(y1*p.w+x0)*p.c+ch], p.pix[(y1*p.w+x1)*p.c+ch]
		upper, lower := a+right*(b-a), c+right*(d-c)
		to[ch] = upper + down*(lower-upper)
	}
}

// affine moves three corners of a square in the middle of the image, and everything with them.
func (e rubber) affine(p picture, r chance) {
	cx, cy, half := float64(p.h/2), float64(p.w/2), float64(max(min(p.h, p.w)/3, 1)) // the authors' x is half the height
	at := [3][2]float64{{cx + half, cy + half}, {cx + half, cy - half}, {cx - half, cy - half}}
	to := at
	for i := range to {
		for j := range to[i] {
			to[i][j] += between(r, -e.shift, e.shift)
		}
	}
	// The map back takes to[0] to at[0] and the sides of the triangle to each other.
	a, b := to[1][0]-to[0][0], to[2][0]-to[0][0]
	c, d := to[1][1]-to[0][1], to[2][1]-to[0][1]
	det := a*d - b*c
	if math.Abs(det) < 1e-6 {
		return // three points on a line, which only shifts beyond the image's size can make, have no map back
	}
	from, release := p.clone()
	defer release()
	for y := range p.h {
		for x := range p.w {
			u, v := float64(x)-to[0][0], float64(y)-to[0][1]
			s, t := (d*u-b*v)/det, (a*v-c*u)/det
			fromX := at[0][0] + s*(at[1][0]-at[0][0]) + t*(at[2][0]-at[0][0])
			fromY := at[0][1] + s*(at[1][1]-at[0][1]) + t*(at[2][1]-at[0][1])
			from.sample(fromY, fromX, pixels.Reflect, p.pix[(y*p.w+x)*p.c:(y*p.w+x+1)*p.c])
		}
	}
}
