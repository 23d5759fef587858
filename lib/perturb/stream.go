package perturb

import (
	"math"
	"math/rand/v2"
)

// chance is where a corruption's random numbers come from, singly or many at once. Tests put the oracle's own numbers
// in its place.
type chance interface {
	Float64() float64
	IntN(n int) int
	Uint64() uint64
	normals(to []float32)  // of mean 0 and deviation 1
	uniforms(to []float32) // from 0 to 1
	halves(to []uint32)    // of 32 random bits
}

// stream is PCG-DXSM, of whose every draw of 64 bits two numbers in single precision are made.
type stream struct {
	*rand.Rand
	pcg *rand.PCG // the same
}

func newStream(seed uint64, number int) stream {
	pcg := rand.NewPCG(seed, uint64(number))
	return stream{rand.New(pcg), pcg}
}

func (s stream) halves(to []uint32) {
	for ; len(to) >= 2; to = to[2:] {
		u := s.pcg.Uint64()
		to[0], to[1] = uint32(u), uint32(u>>32)
	}
	if len(to) > 0 {
		to[0] = uint32(s.pcg.Uint64())
	}
}

func (s stream) uniforms(to []float32) {
	for ; len(to) >= 2; to = to[2:] {
		u := s.pcg.Uint64()
		to[0], to[1] = float32(uint32(u)>>8)/(1<<24), float32(u>>40)/(1<<24)
	}
	if len(to) > 0 {
		to[0] = float32(s.pcg.Uint64()>>40) / (1 << 24)
	}
}

func (s stream) normals(to []float32) {
	for ; len(to) >= 2; to = to[2:] {
		u := s.pcg.Uint64()
		a, b := uint32(u), uint32(u>>32)
		if x, layer := int32(a)>>strips, a%(1<<strips); uint32(max(x, -x)) < zigguratInside[layer] {
			to[0] = float32(x) * zigguratUnit[layer]
		} else {
			to[0] = s.normal(a)
		}
		if x, layer := int32(b)>>strips, b%(1<<strips); uint32(max(x, -x)) < zigguratInside[layer] {
			to[1] = float32(x) * zigguratUnit[layer]
		} else {
			to[1] = s.normal(b)
		}
	}
	if len(to) > 0 {
		to[0] = s.normal(uint32(s.pcg.Uint64()))
	}
}

// The ziggurat of Marsaglia and Tsang, "The ziggurat method for generating random variables", Journal of Statistical
// Software 5 (2000), lays 128 strips of one area under the normal density, the lowest with the tail beyond
// zigguratTail. Of 32 random bits, 7 choose the strip here and the other 25 the place in it, so that they have nothing
// to do with each other.
const (
	strips       = 7
	zigguratTail = 3.442619855899
	zigguratArea = 9.91256303526217e-3
)

var (
	zigguratInside  [1 << strips]uint32    // places nearer to the middle than this lie under the density
	zigguratUnit    [1 << strips]float32   // what a place is to be multiplied by
	zigguratDensity [1<<strips + 1]float64 // at the strips' right ends, from the lowest
)

func init() {
	density := func(x float64) float64 { return math.Exp(-x * x / 2) }
	const places = 1 << (31 - strips)
	var right [1<<strips + 1]float64 // the strips' right ends; the last is 0
	right[0], right[1] = zigguratArea/density(zigguratTail), zigguratTail
	for i := 2; i < len(right)-1; i++ {
		right[i] = math.Sqrt(-2 * math.Log(zigguratArea/right[i-1]+density(right[i-1])))
	}
	for i := range zigguratInside {
		zigguratInside[i], zigguratUnit[i] = uint32(right[i+1]/right[i]*places), float32(right[i]/places)
	}
	for i, x := range right {
		zigguratDensity[i] = density(x)
	}
}

// normal makes of 32 random bits a normal number, with more of them where these lie outside of what is surely under the
// density.
func (s stream) normal(bits uint32) float32 {
	for {
		x, layer := int32(bits)>>strips, bits%(1<<strips)
		v := float32(x) * zigguratUnit[layer]
		if uint32(max(x, -x)) < zigguratInside[layer] {
			return v
		}
		if layer == 0 {
			for {
				// Marsaglia's method for the tail.
				beyond := -math.Log(1-s.Float64()) / zigguratTail
				if -2*math.Log(1-s.Float64()) >= beyond*beyond {
					return float32(math.Copysign(zigguratTail+beyond, float64(x)))
				}
			}
		}
		low, high := zigguratDensity[layer], zigguratDensity[layer+1]
		if low+s.Float64()*(high-low) < math.Exp(-float64(v)*float64(v)/2) {
			return v
		}
		bits = uint32(s.pcg.Uint64())
	}
}
