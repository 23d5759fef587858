package perturb

import (
	"math"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

func gaussianBlur(sigmas ...float64) corrupter {
	return func(p picture, severity int, _ chance) {
		blur(p.pix, p.h, p.w, p.c, sigmas[severity])
	}
}

// blur is scikit-image's gaussian with its defaults: cut off at four standard deviations, the image continued by its edge.
func blur[T float32 | float64](pix []T, h, w, c int, sigma float64) {
	pixels.GaussianBlur(pix, h, w, c, sigma, int(4*sigma+.5), pixels.Repeat)
}

// lens is a disk of a radius in pixels, its edge smoothed by a Gaussian of standard deviation smooth.
type lens struct{ radius, smooth float64 }

func defocusBlur(lenses ...lens) corrupter {
	return func(p picture, severity int, _ chance) {
		correlate(p, lenses[severity].kernel())
	}
}

// kernel is the disk on a grid of 17 x 17 pixels, or of its own size when that is larger.
func (l lens) kernel() [][]float64 {
	half, edge := 8, 1 // the Gaussian reaches edge pixels
	if l.radius > 8 {
		half, edge = int(l.radius), 2
	}
	n := 2*half + 1
	disk := make([]float64, n*n)
	var sum float64
	for i := range disk {
		if x, y := float64(i%n-half), float64(i/n-half); x*x+y*y <= l.radius*l.radius {
			disk[i] = 1
			sum++
		}
	}
	for i := range disk {
		disk[i] /= sum
	}
	pixels.GaussianBlur(disk, n, n, 1, l.smooth, edge, pixels.Reflect)
	kernel := make([][]float64, n)
	for y := range kernel {
		kernel[y] = disk[y*n : (y+1)*n]
	}
	return kernel
}

// correlate replaces the image by its correlation with a kernel of odd sides; beyond its edge is its mirror image about the last pixel.
// Runs of equal weights, of which a disk consists, cost two look-ups in a running sum and not one a pixel.
func correlate(p picture, kernel [][]float64) {
	rows, columns := len(kernel), len(kernel[0])
	top, left := rows/2, columns/2
	wide := (p.w + columns - 1) * p.c
	padded := make([]float32, (p.h+rows-1)*wide)
	sums := make([]float32, (p.h+rows-1)*(wide+p.c))
	for y := range p.h + rows - 1 {
		from, to, sum := p.row(pixels.Reflect(y-top, p.h)), padded[y*wide:(y+1)*wide], sums[y*(wide+p.c):(y+1)*(wide+p.c)]
		for x := range p.w + columns - 1 {
			copy(to[x*p.c:(x+1)*p.c], from[pixels.Reflect(x-left, p.w)*p.c:])
		}
		for i, v := range to {
			sum[i+p.c] = sum[i] + v
		}
	}
	for y := range p.h {
		out := p.row(y)
		clear(out)
		for ky, weights := range kernel {
			for start := 0; start < columns; {
				end := start + 1
				for end < columns && math.Abs(weights[end]-weights[start]) < 1e-9 {
					end++
				}
				if weight := float32(weights[start]); weight > 1e-12 {
					if end-start < 3 {
						for k := start; k < end; k++ {
							add(out, padded[(y+ky)*wide+k*p.c:], weight)
						}
					} else {
						sum := sums[(y+ky)*(wide+p.c):]
						add(out, sum[end*p.c:], weight)
						add(out, sum[start*p.c:], -weight)
					}
				}
				start = end
			}
		}
	}
}

// add adds weight times as many values of from as to has.
func add(to, from []float32, weight float32) {
	if len(to) > 8 {
		pixels.AddScaled(to, weight, from)
		return
	}
	for i, v := range from[:len(to)] {
		to[i] += weight * v
	}
}

// glass moves pixels by up to delta, times over, between two Gaussian blurs.
type glass struct {
	sigma        float64
	delta, times int
}

// glassBlur means to exchange each pixel with one beside it. In the authors' program, NumPy's views make of the exchange a copy: the other
// pixel stays what it is. The published images are made so, and so are these. Pixels are rounded down to 8 bits before they move.
func glassBlur(panes ...glass) corrupter {
	return func(p picture, severity int, r chance) {
		g := panes[severity]
		blur(p.pix, p.h, p.w, p.c, g.sigma)
		for i, v := range p.pix {
			p.pix[i] = roundedDown(v)
		}
		for range g.times {
			for y := p.h - g.delta; y > g.delta; y-- {
				for x := p.w - g.delta; x > g.delta; x-- {
					fromX, fromY := x+r.IntN(2*g.delta)-g.delta, y+r.IntN(2*g.delta)-g.delta
					copy(p.pix[(y*p.w+x)*p.c:][:p.c], p.pix[(fromY*p.w+fromX)*p.c:])
				}
			}
		}
		blur(p.pix, p.h, p.w, p.c, g.sigma)
	}
}

// roundedDown is a value in 8 bits; one that has them already stays in spite of float32's last place.
func roundedDown(v float32) float32 { return float32(math.Floor(float64(v)*255+1e-3)) / 255 }

// motion is half a Gaussian of standard deviation sigma, cut off at twice the radius, both in pixels.
type motion struct{ radius, sigma float64 }

// motionBlur moves the camera in a direction of -45 to 45 degrees.
func motionBlur(motions ...motion) corrupter {
	return func(p picture, severity int, r chance) {
		motions[severity].blur(p, between(r, -45, 45))
	}
}

func between(r chance, low, high float64) float64 { return low + (high-low)*r.Float64() }

// blur is ImageMagick's MotionBlurImage: each step along the line goes to the nearest pixel, the image is continued by its edge.
func (m motion) blur(p picture, degrees float64) {
	steps := 2*int(m.radius) + 1
	weights := make([]float64, steps)
	var sum float64
	for i := range weights {
		weights[i] = math.Exp(-float64(i*i) / (2 * m.sigma * m.sigma))
		sum += weights[i]
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	from := picture{append([]float32(nil), p.pix...), p.h, p.w, p.c}
	clear(p.pix)
	for i, weight := range weights {
		dx, dy := int(math.Ceil(float64(i)*cos-.5)), int(math.Ceil(float64(i)*sin-.5))
		weight := float32(weight / sum)
		// Columns start to end have their pixel inside of the image.
		start, end := min(max(-dx, 0), p.w), max(min(p.w-dx, p.w), 0)
		for y := range p.h {
			to, row := p.row(y), from.row(pixels.Repeat(y+dy, p.h))
			for x := range start {
				add(to[x*p.c:(x+1)*p.c], row, weight)
			}
			if start < end {
				add(to[start*p.c:end*p.c], row[(start+dx)*p.c:], weight)
			}
			for x := max(end, start); x < p.w; x++ {
				add(to[x*p.c:(x+1)*p.c], row[(p.w-1)*p.c:], weight)
			}
		}
	}
}

// zooms are the factors 1, 1+step and so on.
type zooms struct {
	step  float64
	count int
}

// zoomBlur is the mean of the image and of its enlargements.
func zoomBlur(all ...zooms) corrupter {
	return func(p picture, severity int, _ chance) {
		z := all[severity]
		sum := append([]float32(nil), p.pix...)
		one := 1.0 // a variable: the step is rounded as NumPy's arange rounds it
		step := one + z.step - one
		for i := range z.count {
			enlarged(p, 1+float64(i)*step, func(y int, row []float32) { add(sum[y*p.w*p.c:(y+1)*p.w*p.c], row, 1) })
		}
		for i, v := range sum {
			p.pix[i] = v / float32(z.count+1)
		}
	}
}

// enlarged hands out the rows of the image's middle, enlarged to the image's size. The corners of what is cut out come to lie on those
// of the enlargement, as in SciPy's zoom of order 1, which may be a few pixels larger; its middle is taken.
func enlarged(p picture, zoom float64, use func(y int, row []float32)) {
	ys, xs := enlargement(p.h, zoom), enlargement(p.w, zoom)
	row, out := make([]float32, p.w*p.c), make([]float32, p.w*p.c)
	for y, at := range ys {
		upper, lower := p.row(at.low), p.row(at.high)
		for i, v := range upper {
			row[i] = v + at.share*(lower[i]-v)
		}
		for x, at := range xs {
			for ch := range p.c {
				v := row[at.low*p.c+ch]
				out[x*p.c+ch] = v + at.share*(row[at.high*p.c+ch]-v)
			}
		}
		use(y, out)
	}
}

// place is a point between two pixels of a line; share is how much of the higher one it has.
type place struct {
	low, high int
	share     float32
}

func enlargement(n int, zoom float64) []place {
	cut := int(math.Ceil(float64(n) / zoom))
	first := (n - cut) / 2
	size := max(int(math.RoundToEven(float64(cut)*zoom)), n)
	trim := (size - n) / 2
	places := make([]place, n)
	for i := range places {
		at := float64(i+trim) * float64(cut-1) / float64(max(size-1, 1))
		low := min(int(at), cut-1)
		places[i] = place{first + low, first + min(low+1, cut-1), float32(at - float64(low))}
	}
	return places
}
