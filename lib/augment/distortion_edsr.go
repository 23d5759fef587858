package augment

// EDSRDistortions returns what the released EDSR_distort_imagenet.py does to weights and CAE_distort_imagenet.py does
// not: for a [DeepAugment] that is more like the authors' second network. Left out are its convolution with kernels of
// Dirichlet's distribution and what it does to inner values. It distorts three times in a row, here it is once.
func EDSRDistortions() []Distortion {
	of := func(change func(l *layer, r chance)) func(i, j *layer, r chance, released bool) {
		return func(l, _ *layer, r chance, _ bool) { change(l, r) }
	}
	return []Distortion{
		{Name: "negate layer", residual: true,
			weights: of(func(l *layer, _ chance) { scale(l.weights, -1); scale(l.bias, -1) })},
		{Name: "zero layer", residual: true, weights: of(func(l *layer, _ chance) { scale(l.weights, 0); scale(l.bias, 0) })},
		{Name: "Laplace's weights", residual: true,
			weights: of(func(l *layer, _ chance) { l.times(0, 1, 0, 1, -4, 1, 0, 1, 0) })},
		{Name: "edges' weights", residual: true,
			weights: of(func(l *layer, _ chance) { l.times(-1, -1, -1, -1, 8, -1, -1, -1, -1) })},
		{Name: "shift and add weights", residual: true, weights: of(func(l *layer, r chance) {
			z := make([]float32, l.in*l.in*9)
			for j := range l.in {
				y, x := r.IntN(3), r.IntN(3)
				// All kernels get the same; the program draws the sign once for each channel.
				sign := float32(1 - 2*r.IntN(2))
				for o := range l.in {
					z[((o*l.in+j)*3+y)*3+x] = sign
				}
			}
			l.convolve(z)
		})},
		{Name: "convolve weights with noise", residual: true, weights: of(func(l *layer, r chance) {
			z := make([]float32, l.in*l.in*9)
			for n := range z {
				z[n] = 2 * float32(r.Float64())
			}
			u := float32(r.Float64())
			for n := range z {
				z[n] = (z[n]*u - 1) / 6
			}
			l.convolve(z)
		})},
		{Name: "add noise", residual: true, weights: of(func(l *layer, r chance) {
			for n := range l.weights {
				l.weights[n] += float32(r.Float64()) - .5
			}
		})},
	}
}

// times multiplies each kernel of 3 x 3 by these.
func (l *layer) times(kernel ...float32) {
	for n := range l.weights {
		l.weights[n] *= kernel[n%9]
	}
}

// convolve takes each filter for a small image whose channels are the layer's inputs, and convolves it with z, [in, in,
// 3, 3], with a border of zeros.
func (l *layer) convolve(z []float32) {
	for o := range l.out {
		c := &code{make([]float32, l.in*9), 3, 3, l.in}
		filter, n := l.filter(o), 0
		c.channelsFirst(func(at int) { c.v[at] = filter[n]; n++ })
		c.convolve(z)
		n = 0
		c.channelsFirst(func(at int) { filter[n] = c.v[at]; n++ })
	}
}
