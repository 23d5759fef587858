package augment

import (
	"math"
	"slices"
)

// Distortion is something that DeepAugment does to a network: to the weights of one or two of its layers, or to the
// code in its middle.
type Distortion struct {
	// Name says what is done, such as "flip filters".
	Name string

	// weights changes one layer or two, which may be the same; residual are those within residual blocks, the only ones
	// for some. code changes the code of an image.
	weights  func(i, j *layer, r chance, released bool)
	residual bool
	code     func(c *code, r chance, released bool)
}

// OfWeights says whether it is the weights that are distorted, and not the code.
func (d Distortion) OfWeights() bool { return d.weights != nil }

// chance is what a *rand.Rand gives. Tests put the oracle's own numbers in its place.
type chance interface {
	Float64() float64
	IntN(n int) int
}

// layer is a convolution: weights [out, in, k, k] and a bias for each filter out.
type layer struct {
	out, in, k    int
	weights, bias []float32
}

// filter returns the weights of a filter.
func (l *layer) filter(o int) []float32 {
	n := l.in * l.k * l.k
	return l.weights[o*n : (o+1)*n]
}

// some draws a share of the filters, each time from all: the authors draw 12 or 25 of 128.
func (l *layer) some(share float64, r chance, do func(o int)) {
	for range max(1, int(share*float64(l.out)+.5)) {
		do(r.IntN(l.out))
	}
}

// code is what the encoder makes of an image, row-major [h, w, c], in -1..1.
type code struct {
	v       []float32
	h, w, c int
}

// WeightDistortions returns what the released CAE_distort_imagenet.py does to weights. The last is in the program, but
// is never drawn there.
func WeightDistortions() []Distortion {
	return []Distortion{
		{Name: "flip filters", weights: flipFilters, residual: true},
		{Name: "negate filters", weights: func(l, _ *layer, r chance, _ bool) {
			l.some(12./128, r, func(o int) { scale(l.filter(o), -1); scale(l.bias[o:o+1], -1) })
		}},
		{Name: "zero filters", weights: func(l, _ *layer, r chance, _ bool) {
			l.some(25./128, r, func(o int) { scale(l.filter(o), 0); scale(l.bias[o:o+1], 0) })
		}},
		{Name: "negative GELU of filters", weights: func(l, _ *layer, r chance, _ bool) {
			l.some(25./128, r, func(o int) { negativeGELU(l.filter(o)); negativeGELU(l.bias[o : o+1]) })
		}},
		{Name: "multiply weights", weights: multiplyWeights},
		{Name: "mask weights", weights: func(l, _ *layer, r chance, _ bool) {
			signs := r.Float64() >= .5
			for n := range l.weights {
				one := r.Float64() > .5
				switch {
				case one:
				case signs:
					l.weights[n] = -l.weights[n]
				default:
					l.weights[n] = 0
				}
			}
		}},
		{Name: "turn kernels", weights: func(l, _ *layer, r chance, _ bool) {
			for range 1 + r.IntN(3) {
				l.turn()
			}
		}},
		{Name: "negate weights of filters", weights: func(l, _ *layer, r chance, _ bool) {
			drawn := map[int]bool{}
			for range l.out / 5 {
				drawn[r.IntN(l.out)] = true
			}
			for o := range drawn {
				scale(l.filter(o), -1)
			}
		}},
		{Name: "keep the largest weight", weights: func(l, _ *layer, _ chance, _ bool) {
			for kernel := range slices.Chunk(l.weights, l.k*l.k) {
				largest := 0
				for n, v := range kernel {
					if v > kernel[largest] {
						largest = n
					}
				}
				v := kernel[largest]
				clear(kernel)
				kernel[largest] = v
			}
		}},
	}
}

// CodeDistortions returns what the released cae_32x32x32_zero_pad_bin.py does to the code.
func CodeDistortions() []Distortion {
	return []Distortion{
		{Name: "multiply code", code: multiplyCode},
		{Name: "zero places", code: func(c *code, r chance, _ bool) {
			c.places(func() float32 {
				if r.Float64() > .2 {
					return 1
				}
				return 0
			})
		}},
		{Name: "negate places", code: func(c *code, r chance, _ bool) {
			c.places(func() float32 {
				if r.Float64() > .1 {
					return 1
				}
				return -1
			})
		}},
		{Name: "permute channels", code: permuteChannels},
		{Name: "flip channels", code: func(c *code, r chance, _ bool) {
			rows, columns := axes(r)
			for range max(1, int(5./32*float64(c.c)+.5)) {
				c.flip(r.IntN(c.c), rows, columns)
			}
		}},
		{Name: "flip code", code: func(c *code, r chance, _ bool) {
			rows, columns := axes(r)
			for ch := range c.c {
				c.flip(ch, rows, columns)
			}
		}},
		{Name: "convolve with noise", code: func(c *code, r chance, _ bool) {
			z := identity(c.c)
			for n := range z {
				z[n] += float32(r.Float64()-.5) * .2
			}
			c.convolve(z)
		}},
		{Name: "mix channels", code: func(c *code, r chance, _ bool) {
			z := identity(c.c)
			for j := range c.c {
				if r.Float64() < .5 {
					from := r.IntN(c.c)
					// The authors count places from -1 to 1, and -1 is Python's last.
					y, x := (r.IntN(3)+2)%3, (r.IntN(3)+2)%3
					z[((j*c.c+from)*3+y)*3+x] = 1
				}
			}
			c.convolve(z)
		}},
		{Name: "shift channels", code: func(c *code, r chance, _ bool) {
			z := make([]float32, c.c*c.c*9)
			y, x := r.IntN(3), r.IntN(3)
			for j := range c.c {
				if r.Float64() < .2 {
					y, x = r.IntN(3), r.IntN(3)
				}
				z[((j*c.c+j)*3+y)*3+x] = 1
			}
			c.convolve(z)
		}},
	}
}

func scale(values []float32, by float32) {
	for i := range values {
		values[i] *= by
	}
}

// flipFilters reverses the order of the filters, and of their biases, of both layers. The released program takes the
// second layer's weights for its biases: they are reversed twice, and its biases not at all.
func flipFilters(i, j *layer, _ chance, released bool) {
	i.reverse()
	slices.Reverse(i.bias)
	if released {
		return
	}
	j.reverse()
	slices.Reverse(j.bias)
}

func (l *layer) reverse() {
	kept := slices.Clone(l.weights)
	n := len(l.weights) / l.out
	for o := range l.out {
		copy(l.filter(l.out-1-o), kept[o*n:(o+1)*n])
	}
}

// negativeGELU puts -x·Φ(x) in the place of values.
func negativeGELU(values []float32) {
	for i, x := range values {
		values[i] = -x * float32(.5*(1+math.Erf(float64(x)/math.Sqrt2)))
	}
}

// multiplyWeights multiplies each weight of both layers by 1 + 2u(4v - 1), where u is one number from 0 to 1 for a
// layer and v another for each weight. In the released program a bracket stands elsewhere, and it is 1 + 8uv: no weight
// becomes smaller.
func multiplyWeights(i, j *layer, r chance, released bool) {
	for _, l := range []*layer{i, j} {
		u := float32(r.Float64())
		for n := range l.weights {
			l.weights[n] *= 1 + 2*u*lessOne(4*float32(r.Float64()), released)
		}
	}
}

// multiplyCode is 3 + 2u(2v - 1) times the code, which for that is brought to 0..1; in the released program 3 + 4uv.
func multiplyCode(c *code, r chance, released bool) {
	u := float32(r.Float64())
	c.channelsFirst(func(at int) {
		c.v[at] = (c.v[at]+1)*(3+2*u*lessOne(2*float32(r.Float64()), released)) - 1
	})
}

func lessOne(v float32, released bool) float32 {
	if released {
		return v
	}
	return v - 1
}

// turn turns each kernel a quarter counter-clockwise.
func (l *layer) turn() {
	kept := make([]float32, l.k*l.k)
	for kernel := range slices.Chunk(l.weights, l.k*l.k) {
		copy(kept, kernel)
		for y := range l.k {
			for x := range l.k {
				kernel[y*l.k+x] = kept[x*l.k+l.k-1-y]
			}
		}
	}
}

// channelsFirst visits the values channel by channel, in the authors' order.
func (c *code) channelsFirst(visit func(at int)) {
	for ch := range c.c {
		for at := ch; at < len(c.v); at += c.c {
			visit(at)
		}
	}
}

// places multiplies all channels of each place by a factor.
func (c *code) places(factor func() float32) {
	for at := 0; at < len(c.v); at += c.c {
		scale(c.v[at:at+c.c], factor())
	}
}

// permuteChannels permutes the first of the channels, 10 of 32.
func permuteChannels(c *code, r chance, _ bool) {
	order := make([]int, int(10./32*float64(c.c)+.5))
	for i := range order {
		order[i] = i
	}
	for i := len(order) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	kept := make([]float32, len(order))
	for at := 0; at < len(c.v); at += c.c {
		copy(kept, c.v[at:])
		for i, from := range order {
			c.v[at+i] = kept[from]
		}
	}
}

// axes draws what is turned round: the rows, the columns or both.
func axes(r chance) (rows, columns bool) {
	n := r.IntN(3)
	return n != 1, n != 0
}

// flip turns a channel round: the order of its rows, and of its columns.
func (c *code) flip(ch int, rows, columns bool) {
	kept := slices.Clone(c.v)
	for y := range c.h {
		for x := range c.w {
			fromY, fromX := y, x
			if rows {
				fromY = c.h - 1 - y
			}
			if columns {
				fromX = c.w - 1 - x
			}
			c.v[(y*c.w+x)*c.c+ch] = kept[(fromY*c.w+fromX)*c.c+ch]
		}
	}
}

// identity is the convolution [c, c, 3, 3] that changes nothing.
func identity(c int) []float32 {
	z := make([]float32, c*c*9)
	for j := range c {
		z[(j*c+j)*9+4] = 1
	}
	return z
}

// convolve convolves with z, [c, c, 3, 3], with a border of zeros.
func (c *code) convolve(z []float32) {
	from := slices.Clone(c.v)
	clear(c.v)
	for y := range c.h {
		for x := range c.w {
			to := c.v[(y*c.w+x)*c.c : (y*c.w+x+1)*c.c]
			for ky := range 3 {
				for kx := range 3 {
					fy, fx := y+ky-1, x+kx-1
					if fy < 0 || fy >= c.h || fx < 0 || fx >= c.w {
						continue
					}
					in := from[(fy*c.w+fx)*c.c : (fy*c.w+fx+1)*c.c]
					for o := range to {
						row := z[o*c.c*9+ky*3+kx:]
						for i, v := range in {
							to[o] += v * row[i*9]
						}
					}
				}
			}
		}
	}
}
