package perturb

import (
	"math"
)

// flakes are Gaussian noise, enlarged and moved, of which what is below least is nothing; keep is how much of the image's colour stays.
type flakes struct {
	mean, deviation, zoom, least float64
	wind                         motion
	keep                         float32
}

// snow whitens the image and adds two layers of flakes, the second being the first turned by half a turn.
func snow(all ...flakes) corrupter {
	return func(p picture, severity int, r chance) {
		f := all[severity]
		noise := picture{make([]float32, p.h*p.w), p.h, p.w, 1}
		for i := range noise.pix {
			noise.pix[i] = float32(f.mean + f.deviation*r.NormFloat64())
		}
		layer := picture{make([]float32, p.h*p.w), p.h, p.w, 1}
		enlarged(noise, f.zoom, func(y int, row []float32) { copy(layer.row(y), row) })
		for i, v := range layer.pix {
			if float64(v) < f.least {
				v = 0
			}
			layer.pix[i] = roundedDown(min(max(v, 0), 1))
		}
		f.wind.blur(layer, between(r, -135, -45))
		for at := range layer.pix {
			pixel := p.pix[at*p.c : (at+1)*p.c]
			luma := pixel[0]
			if p.c == 3 {
				luma = grey(pixel[0], pixel[1], pixel[2])
			}
			fallen := roundedDown(layer.pix[at])
			turned := roundedDown(layer.pix[len(layer.pix)-1-at])
			for i, v := range pixel {
				pixel[i] = f.keep*v + (1-f.keep)*max(v, luma*1.5+.5) + fallen + turned
			}
		}
	}
}

// ice is how much of the image and how much of the photograph of frost there is.
type ice struct{ image, frost float32 }

// mist is a layer of a strength, whose detail grows weaker by decay² from one scale to the next.
type mist struct{ strength, decay float64 }

// fog adds a plasma fractal and dims the whole to the brightness that it had.
func fog(mists ...mist) corrupter {
	return func(p picture, severity int, r chance) {
		m := mists[severity]
		side := 1
		for side < max(p.h, p.w, p.c) {
			side *= 2
		}
		layer := plasma(side, m.decay, r)
		var brightest float64
		for _, v := range p.pix {
			brightest = max(brightest, float64(v))
		}
		dim := brightest / (brightest + m.strength)
		for y := range p.h {
			row := p.row(y)
			for i, v := range row {
				row[i] = float32((float64(v) + m.strength*layer[y*side+i/p.c]) * dim)
			}
		}
	}
}

// plasma returns a height map [side, side] in 0..1 by the diamond-square algorithm on a torus; side is a power of two.
func plasma(side int, decay float64, r chance) []float64 {
	height := make([]float64, side*side)
	at := func(y, x int) float64 { return height[(y&(side-1))*side+x&(side-1)] }
	wibble := 100.0
	// fill sets the points of a grid to the mean of four neighbours, reach away, and to noise of up to wibble².
	fill := func(y0, x0, step int, neighbours func(y, x int) float64) {
		for y := y0; y < side; y += step {
			for x := x0; x < side; x += step {
				height[y*side+x] = neighbours(y, x)/4 + wibble*between(r, -wibble, wibble)
			}
		}
	}
	for step := side; step >= 2; step, wibble = step/2, wibble/decay {
		half := step / 2
		cross := func(y, x int) float64 { return at(y-half, x) + at(y+half, x) + at(y, x-half) + at(y, x+half) }
		fill(half, half, step, func(y, x int) float64 {
			return at(y-half, x-half) + at(y-half, x+half) + at(y+half, x-half) + at(y+half, x+half)
		})
		fill(0, half, step, cross)
		fill(half, 0, step, cross)
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range height {
		low, high = min(low, v), max(high, v)
	}
	for i, v := range height {
		if high > low {
			height[i] = (v - low) / (high - low)
		}
	}
	return height
}
