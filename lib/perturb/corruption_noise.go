package perturb

import (
	"math"
	"math/rand/v2"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// drawn is how many random numbers are drawn at once.
const drawn = 1024

// withNormals hands out an image's values part by part, each with as many standard normal numbers.
func withNormals(p picture, r chance, do func(part, noise []float32)) {
	noise, release := pixels.Scratch[float32](drawn)
	defer release()
	for at := 0; at < len(p.pix); at += drawn {
		part := p.pix[at:min(at+drawn, len(p.pix))]
		noise := noise[:len(part)]
		r.normals(noise)
		do(part, noise)
	}
}

func gaussianNoise(p picture, sigma float32, r chance) {
	withNormals(p, r, func(part, noise []float32) {
		for i, v := range noise {
			part[i] += float32(sigma * v) // the conversion keeps a processor from rounding once where others round twice
		}
	})
}

// speckleNoise is Gaussian noise in proportion to the pixel.
func speckleNoise(p picture, sigma float32, r chance) {
	withNormals(p, r, func(part, noise []float32) {
		for i, v := range noise {
			part[i] *= 1 + float32(sigma*v)
		}
	})
}

// shotNoise is the noise of counting photons: a pixel of value v receives Poisson(photons·v) of them. The number is the
// sum of that for the next lower level of 8 bits, which a table gives, and, where the value is between two levels, of
// that for the rest.
func shotNoise(p picture, of photons, r chance) {
	n, levels := of.n, of.levels()
	bits, release := pixels.Scratch[uint32](drawn)
	defer release()
	for at := 0; at < len(p.pix); at += drawn / 2 {
		part := p.pix[at:min(at+drawn/2, len(p.pix))]
		bits := bits[:2*len(part)]
		r.halves(bits)
		for i, v := range part {
			if v <= 0 {
				part[i] = 0
				continue
			}
			level := min(int(v*255+.5), 255)
			if pixels.Unit8[level] > v {
				level--
			}
			count := float64(levels[level].draw(bits[2*i], bits[2*i+1]))
			if rest := n * float64(v-pixels.Unit8[level]); rest > 0 {
				count += distuv.Poisson{Lambda: rest, Src: rand.Source(r)}.Rand()
			}
			part[i] = float32(count / n)
		}
	}
}

// photons is how many a white pixel receives, and how they are distributed at each level of 8 bits.
type photons struct {
	n      float64
	levels func() *[256]poisson
}

// counting has tables that are made when they are first needed.
func counting(numbers ...float64) []photons {
	list := make([]photons, len(numbers))
	for i, n := range numbers {
		list[i] = photons{n, sync.OnceValue(func() *[256]poisson {
			var levels [256]poisson
			for level := range levels {
				levels[level] = newPoisson(n * float64(level) / 255)
			}
			return &levels
		})}
	}
	return list
}

// poisson is a Poisson distribution as Walker's table: of equally likely columns, each holds one number up to a height
// and another above. Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE
// Transactions on Software Engineering 17 (1991).
type poisson struct {
	least   int
	columns []column
}

type column struct {
	upTo  uint32 // of 2³²; what is drawn below this is the column's own number
	above uint32 // the column whose number it is otherwise
}

// newPoisson leaves out numbers in the tails that are less likely than 1e-12, of which 32 bits know nothing.
func newPoisson(mean float64) poisson {
	if mean == 0 {
		return poisson{columns: []column{{upTo: math.MaxUint32}}}
	}
	d := distuv.Poisson{Lambda: mean}
	least := int(mean)
	for least > 0 && d.Prob(float64(least-1)) > 1e-12 {
		least--
	}
	var likely []float64
	var sum float64
	for k := least; ; k++ {
		prob := d.Prob(float64(k))
		if float64(k) > mean && prob < 1e-12 {
			break
		}
		likely, sum = append(likely, prob), sum+prob
	}
	n := len(likely)
	t := poisson{least, make([]column, n)}
	var short, long []int // columns of less and of more than the mean height
	for k := range likely {
		likely[k] *= float64(n) / sum
		if likely[k] < 1 {
			short = append(short, k)
		} else {
			long = append(long, k)
		}
	}
	for len(short) > 0 && len(long) > 0 {
		s, l := short[len(short)-1], long[len(long)-1]
		short = short[:len(short)-1]
		t.columns[s] = column{uint32(likely[s] * (1 << 32)), uint32(l)}
		if likely[l] -= 1 - likely[s]; likely[l] < 1 {
			long = long[:len(long)-1]
			short = append(short, l)
		}
	}
	for _, k := range append(short, long...) { // full, but for rounding
		t.columns[k] = column{math.MaxUint32, uint32(k)}
	}
	return t
}

// draw makes a number of 64 random bits.
func (t *poisson) draw(which, height uint32) int {
	k := uint32(uint64(which) * uint64(len(t.columns)) >> 32)
	if c := t.columns[k]; height >= c.upTo {
		k = c.above
	}
	return t.least + int(k)
}

// impulseNoise is salt and pepper: each value alone becomes 0 or 1, as likely as each other.
func impulseNoise(p picture, amount float64, r chance) {
	bits, release := pixels.Scratch[uint32](drawn)
	defer release()
	pepper, either := uint32(amount*(1<<31)), uint32(amount*(1<<32))
	var hit [drawn]uint16
	for at := 0; at < len(p.pix); at += drawn {
		part := p.pix[at:min(at+drawn, len(p.pix))]
		bits := bits[:len(part)]
		r.halves(bits)
		// No branch by chance, which a processor would guess wrongly: each place is written down, and the next over it
		// unless it is hit.
		n := uint(0)
		for i, u := range bits {
			hit[n%drawn] = uint16(i)
			n += below(u, either)
		}
		for _, i := range hit[:n] {
			part[i] = float32(1 - below(bits[i], pepper))
		}
	}
}

// below is 1 where u is less than limit, and 0 otherwise.
func below(u, limit uint32) uint { return uint(uint64(int64(u)-int64(limit)) >> 63) }
