package perturb

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

func gaussianBlur(p picture, sigma float64, _ chance) {
	blur(p.pix, p.h, p.w, p.c, sigma)
}

// blur is scikit-image's gaussian with its defaults: cut off at four standard deviations, the image continued by its
// edge.
func blur[T float32 | float64](pix []T, h, w, c int, sigma float64) {
	pixels.GaussianBlur(pix, h, w, c, sigma, int(4*sigma+.5), pixels.Repeat)
}

// lens is a disk of a radius in pixels, its edge smoothed by a Gaussian of standard deviation smooth.
type lens struct{ radius, smooth float64 }

// ground are lenses that are made when they are first looked through.
func ground(lenses ...lens) []func() *spans {
	list := make([]func() *spans, len(lenses))
	for i, l := range lenses {
		list[i] = sync.OnceValue(l.spans)
	}
	return list
}

func defocusBlur(p picture, lens func() *spans, _ chance) { lens().correlate(p) }

// grid is half the side of the square that the disk lies on, 17 x 17 pixels or its own size when that is larger, and
// how many pixels the Gaussian reaches.
func (l lens) grid() (half, edge int) {
	if l.radius > 8 {
		return int(l.radius), 2
	}
	return 8, 1
}

// reach is half the length of the disk's row y, -1 outside of it.
func (l lens) reach(y int) int {
	x := -1
	for float64((x+1)*(x+1)+y*y) <= l.radius*l.radius {
		x++
	}
	return x
}

// kernel is the disk on its grid of n x n pixels. At the edge of the grid the Gaussian finds the disk's mirror image,
// and what it spreads beyond is lost.
func (l lens) kernel() (kernel []float64, n int) {
	half, edge := l.grid()
	n = 2*half + 1
	kernel = make([]float64, n*n)
	var sum float64
	for i := range kernel {
		if x := i%n - half; max(x, -x) <= l.reach(i/n-half) {
			kernel[i] = 1
			sum++
		}
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	pixels.GaussianBlur(kernel, n, n, 1, l.smooth, edge, pixels.Reflect)
	return kernel, n
}

// spans is a lens taken apart: the disk's rows, each of which is the difference of two running sums, a Gaussian after
// it, and the weights in which the kernel, due to the edge of its grid, is not the one smoothed by the other.
type spans struct {
	reach  []int // of the rows from -radius to radius
	smooth []float64
	rest   []weight
}

// weight is that of the pixel y rows down and x columns to the right.
type weight struct {
	y, x int
	w    float64
}

func (l lens) spans() *spans {
	var s spans
	count := 0
	for y := -int(l.radius); y <= int(l.radius); y++ {
		s.reach = append(s.reach, l.reach(y))
		count += 2*l.reach(y) + 1
	}
	half, edge := l.grid()
	s.smooth = pixels.Gaussian(l.smooth, edge)
	for i := range s.smooth {
		s.smooth[i] /= math.Sqrt(float64(count)) // once down and once across
	}
	kernel, n := l.kernel()
	for y := -half - edge; y <= half+edge; y++ {
		for x := -half - edge; x <= half+edge; x++ {
			var w float64
			if max(y, -y, x, -x) <= half {
				w = kernel[(y+half)*n+x+half]
			}
			for i, a := range s.smooth {
				for j, b := range s.smooth {
					if x := x + j - edge; max(x, -x) <= l.reach(y+i-edge) {
						w -= a * b
					}
				}
			}
			if math.Abs(w) > 1e-9 {
				s.rest = append(s.rest, weight{y, x, w})
			}
		}
	}
	return &s
}

// correlate replaces the image by its correlation with the kernel; beyond its edge is its mirror image about the last
// pixel. Rows are at hand only as long as they are needed.
func (s *spans) correlate(p picture) {
	radius, edge := len(s.reach)/2, len(s.smooth)/2
	margin := radius + edge
	for _, w := range s.rest {
		margin = max(margin, w.y, -w.y, w.x, -w.x)
	}
	image, release := p.clone()
	defer release()
	wide, inner := (p.w+2*margin)*p.c, (p.w+2*edge)*p.c
	framed, release := newRing(2*margin+1, wide)
	defer release()
	sums, release := newRing(len(s.reach), wide+p.c)
	defer release()
	disks, release := newRing(len(s.smooth), inner) // the disk's own sums, as far beyond the image as the Gaussian reaches
	defer release()
	down, release := pixels.Scratch[float32](inner)
	defer release()
	var ends, smooth []float32
	for range s.reach {
		ends = append(ends, 1, -1)
	}
	for _, w := range s.smooth {
		smooth = append(smooth, float32(w))
	}
	starts, before, across := make([]int, len(ends)), make([]int, len(smooth)), make([]int, len(smooth))
	for k := range across {
		across[k] = k * p.c
	}
	for last := -margin; last < p.h+margin; last++ {
		row := framed.row(last)
		pixels.Frame(row, image.row(pixels.Reflect(last, p.h)), p.w, p.c, margin, pixels.Reflect)
		if at := last - margin + edge + radius; at >= -edge-radius { // rows farther out matter to the rest only
			runningSums(sums.row(at), framed.row(at), p.c)
		}
		if at := last - margin + edge; at >= -edge {
			for k, reach := range s.reach {
				row := sums.start(at - radius + k)
				starts[2*k], starts[2*k+1] = row+(margin-edge+reach+1)*p.c, row+(margin-edge-reach)*p.c
			}
			pixels.WeightedSum(disks.row(at), sums.rows, starts, ends)
		}
		if at := last - margin; at >= 0 {
			for k := range before {
				before[k] = disks.start(at - edge + k)
			}
			pixels.WeightedSum(down, disks.rows, before, smooth)
			out := p.row(at)
			pixels.WeightedSum(out, down, across, smooth)
			for _, w := range s.rest {
				add(out, framed.row(at + w.y)[(margin+w.x)*p.c:], float32(w.w))
			}
		}
	}
}

// runningSums are those of a row's pixels of c channels before each, one more than it has.
func runningSums(to, row []float32, c int) {
	clear(to[:c])
	if c != 3 {
		for i, v := range row {
			to[i+c] = to[i] + v
		}
		return
	}
	// The same, not by way of memory, in which each sum would wait for the last.
	var red, green, blue float32
	for to = to[3:]; len(to) >= 3 && len(row) >= 3; to, row = to[3:], row[3:] {
		red, green, blue = red+row[0], green+row[1], blue+row[2]
		to[0], to[1], to[2] = red, green, blue
	}
}

// ring holds the last few rows of an image, which may begin above 0.
type ring struct {
	rows       []float32
	size, wide int
}

func newRing(size, wide int) (r ring, release func()) {
	r = ring{size: size, wide: wide}
	r.rows, release = pixels.Scratch[float32](size * wide)
	return r, release
}

func (r ring) row(y int) []float32 { return r.rows[r.start(y):][:r.wide] }

// start is where row y begins in rows.
func (r ring) start(y int) int { return (y%r.size + r.size) % r.size * r.wide }

// add adds weight times as many values of from as to has.
func add(to, from []float32, weight float32) {
	if len(to) > 8 {
		blas32.Axpy(weight, blas32.Vector{N: len(to), Inc: 1, Data: from}, blas32.Vector{N: len(to), Inc: 1, Data: to})
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

// glassBlur means to exchange each pixel with one beside it. In the authors' program, NumPy's views make of the
// exchange a copy: the other pixel stays what it is. The published images are made so, and so are these. Pixels are
// rounded down to 8 bits before they move.
func glassBlur(p picture, g glass, r chance) {
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

// roundedDown is a value, 0 or more, in 8 bits; one that has them already stays in spite of float32's last place.
func roundedDown(v float32) float32 { return float32(int32(v*255+1e-3)) * (1. / 255) }

// motion is half a Gaussian of standard deviation sigma, cut off at twice the radius, both in pixels.
type motion struct{ radius, sigma float64 }

// motionBlur moves the camera in a direction of -45 to 45 degrees.
func motionBlur(p picture, m motion, r chance) {
	m.blur(p, between(r, -45, 45))
}

func between(r chance, low, high float64) float64 { return low + (high-low)*r.Float64() }

// blur is ImageMagick's MotionBlurImage: each step along the line goes to the nearest pixel, the image is continued by
// its edge.
func (m motion) blur(p picture, degrees float64) {
	steps := 2*int(m.radius) + 1
	weights := make([]float64, steps)
	var sum float64
	for i := range weights {
		weights[i] = math.Exp(-float64(i*i) / (2 * m.sigma * m.sigma))
		sum += weights[i]
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	list, dx, dy, margin := make([]float32, steps), make([]int, steps), make([]int, steps), 0
	for i, weight := range weights {
		list[i], dx[i], dy[i] = float32(weight/sum), int(math.Ceil(float64(i)*cos-.5)), int(math.Ceil(float64(i)*sin-.5))
		margin = max(margin, dx[i], -dx[i])
	}
	wide := (p.w + 2*margin) * p.c
	framed, release := pixels.Scratch[float32](p.h * wide)
	defer release()
	for y := range p.h {
		pixels.Frame(framed[y*wide:(y+1)*wide], p.row(y), p.w, p.c, margin, pixels.Repeat)
	}
	at := make([]int, steps)
	for y := range p.h {
		for i := range at {
			at[i] = pixels.Repeat(y+dy[i], p.h)*wide + (margin+dx[i])*p.c
		}
		pixels.WeightedSum(p.row(y), framed, at, list)
	}
}

// zooms are the factors 1, 1+step and so on.
type zooms struct {
	step  float64
	count int
}

// zoomBlur is the mean of the image and of its enlargements.
func zoomBlur(p picture, z zooms, _ chance) {
	sum, release := pixels.Scratch[float32](len(p.pix))
	defer release()
	copy(sum, p.pix)
	one := 1.0 // a variable: the step is rounded as NumPy's arange rounds it
	step := one + z.step - one
	for i := range z.count {
		enlarged(p, 1+float64(i)*step, func(y int, row []float32) { add(sum[y*p.w*p.c:(y+1)*p.w*p.c], row, 1) })
	}
	for i, v := range sum {
		p.pix[i] = v / float32(z.count+1)
	}
}

// enlarged hands out the rows of the image's middle, enlarged to the image's size. The corners of what is cut out come
// to lie on those of the enlargement, as in SciPy's zoom of order 1, which may be a few pixels larger; its middle is
// taken.
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
