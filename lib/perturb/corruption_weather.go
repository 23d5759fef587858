package perturb

import "github.com/loupeml/loupe/lib/internal/pixels"

// flakes are Gaussian noise, enlarged and moved, of which what is below least is nothing; keep is how much of the
// image's colour stays.
type flakes struct {
	mean, deviation, zoom, least float64
	wind                         motion
	keep                         float32
}

// snow whitens the image and adds two layers of flakes, the second being the first turned by half a turn.
func snow(p picture, f flakes, r chance) {
	noise, release := scratchPicture(p.h, p.w, 1)
	defer release()
	r.normals(noise.pix)
	for i, v := range noise.pix {
		noise.pix[i] = float32(f.mean) + float32(float32(f.deviation)*v)
	}
	layer, release := scratchPicture(p.h, p.w, 1)
	defer release()
	enlarged(noise, f.zoom, func(y int, row []float32) {
		for i, v := range layer.row(y) {
			if v = row[i]; float64(v) < f.least {
				v = 0
			}
			row[i] = roundedDown(min(max(v, 0), 1))
		}
		copy(layer.row(y), row)
	})
	f.wind.blur(layer, between(r, -135, -45))
	for i, v := range layer.pix {
		layer.pix[i] = roundedDown(v)
	}
	whitened := func(v, luma, flakes float32) float32 {
		white := luma*1.5 + .5
		if v > white {
			white = v
		}
		return float32(f.keep*v) + float32((1-f.keep)*white) + flakes
	}
	for at, fallen := range layer.pix {
		flakes := fallen + layer.pix[len(layer.pix)-1-at]
		if p.c == 1 {
			p.pix[at] = whitened(p.pix[at], p.pix[at], flakes)
			continue
		}
		pixel := p.pix[3*at : 3*at+3]
		luma := grey(pixel[0], pixel[1], pixel[2])
		pixel[0], pixel[1], pixel[2] = whitened(pixel[0], luma, flakes), whitened(pixel[1], luma, flakes),
			whitened(pixel[2], luma, flakes)
	}
}

// ice is how much of the image and how much of the photograph of frost there is.
type ice struct{ image, frost float32 }

// mist is a layer of a strength, whose detail grows weaker by decay² from one scale to the next.
type mist struct{ strength, decay float64 }

// fog adds a plasma fractal and dims the whole to the brightness that it had.
func fog(p picture, m mist, r chance) {
	side := 1
	for side < max(p.h, p.w, p.c) {
		side *= 2
	}
	layer, release := pixels.Scratch[float32](side * side)
	defer release()
	plasma(layer, side, m.decay, r)
	_, brightest := pixels.Extremes(p.pix)
	brightest = max(brightest, 0)
	dim := brightest / (brightest + float32(m.strength))
	thick := float32(m.strength) * dim
	for y := range p.h {
		row, over := p.row(y), layer[y*side:(y+1)*side]
		for ch := range p.c {
			for x, v := range over[:p.w] {
				row[x*p.c+ch] = float32(row[x*p.c+ch]*dim) + float32(thick*v)
			}
		}
	}
}

// plasma makes a height map [side, side] in 0..1 by the diamond-square algorithm on a torus; side is a power of two.
func plasma(height []float32, side int, decay float64, r chance) {
	if side == 1 {
		height[0] = 0
		return
	}
	height[0] = 0 // the corner to begin from
	noise, release := pixels.Scratch[float32](side)
	defer release()
	around := side - 1 // x & around is x on the torus
	row := func(y int) []float32 { return height[(y&around)*side:][:side] }
	wibble := 100.0
	for step := side; step >= 2; step, wibble = step/2, wibble/decay {
		half, amount := step/2, float32(wibble*wibble)
		// fill sets the points of a grid to the mean of four neighbours and to noise of up to wibble². Two neighbours
		// lie before and behind in the rows half above and below, or, of a point between two others, in its own row and
		// one each in those.
		fill := func(y0, x0 int, diagonal bool) {
			for y := y0; y < side; y += step {
				noise := noise[:side/step]
				r.uniforms(noise)
				upper, middle, lower := row(y-half), row(y), row(y+half)
				last := (x0 - half) & around // of the columns, each is behind one point and before the next
				upperLast, middleLast, lowerLast := upper[last], middle[last], lower[last]
				x := x0
				for _, v := range noise {
					behind := (x + half) & around
					var sum float32
					if diagonal {
						sum = upperLast + upper[behind] + lowerLast + lower[behind]
						upperLast, lowerLast = upper[behind], lower[behind]
					} else {
						sum = upper[x] + lower[x] + middleLast + middle[behind]
						middleLast = middle[behind]
					}
					middle[x] = sum/4 + float32(amount*(2*v-1))
					x += step
				}
			}
		}
		fill(half, half, true)
		fill(0, half, false)
		fill(half, 0, false)
	}
	low, high := pixels.Extremes(height)
	if high > low {
		scale := 1 / (high - low)
		for i, v := range height {
			height[i] = (v - low) * scale
		}
	}
}
