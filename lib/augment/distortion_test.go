package augment

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// lcg is the oracle's generator.
type lcg struct{ state uint32 }

func (l *lcg) Float64() float64 {
	l.state = l.state*1664525 + 1013904223
	return float64(l.state) / (1 << 32)
}

func (l *lcg) IntN(n int) int { return int(l.Float64() * float64(n)) }

func sines(scale, start float64, n int) []float32 {
	return tensors.MustCopyFlatData[float32](oracle.Sines(scale, start, n))
}

// distorted reads what the authors' programs made: where a slip makes no difference there is one result.
func distorted(t *testing.T, kind string, option int, released bool) []float32 {
	t.Helper()
	slips := map[string]bool{"weights_0": true, "weights_4": true, "code_0": true}
	name := fmt.Sprintf("%s_%d", kind, option)
	if released && slips[name] {
		name += "_released"
	}
	return oracle.Read[float32](t, "testdata/distortions.npz", name)
}

// The oracle are the authors' programs on planted weights: bench/oracles/deepaugment.py. They agree but for what single
// precision rounds.
func TestWeightDistortionsAgreeWithTheAuthors(t *testing.T) {
	for _, released := range []bool{false, true} {
		for option, d := range WeightDistortions() {
			i := &layer{128, 3, 3, sines(1, 0, 128*27), sines(.5, 100, 128)}
			j := &layer{128, 3, 3, sines(1, 200, 128*27), sines(.5, 300, 128)}
			d.weights(i, j, &lcg{1}, released)
			got := slices.Concat(i.weights, i.bias, j.weights, j.bias)
			if worst, _ := oracle.Difference(got, distorted(t, "weights", option, released)); !approx.Equal(worst, 0, 1e-6) {
				t.Errorf("%s, released %v: weights differ by %g", d.Name, released, worst)
			}
		}
	}
}

func TestCodeDistortionsAgreeWithTheAuthors(t *testing.T) {
	for _, released := range []bool{false, true} {
		for option, d := range CodeDistortions() {
			planted := sines(.9, 0, 32*8*6)
			c := &code{make([]float32, len(planted)), 8, 6, 32}
			n := 0
			c.channelsFirst(func(at int) { c.v[at] = planted[n]; n++ })
			d.code(c, &lcg{1}, released)
			var got []float32
			c.channelsFirst(func(at int) { got = append(got, c.v[at]) })
			if worst, _ := oracle.Difference(got, distorted(t, "code", option, released)); !approx.Equal(worst, 0, 5e-6) {
				t.Errorf("%s, released %v: the code differs by %g", d.Name, released, worst)
			}
		}
	}
}

// A residual block of 64 channels, of whose convolution the oracle keeps every 37th weight.
func TestEDSRDistortionsAgreeWithTheAuthors(t *testing.T) {
	for i, option := range []int{1, 2, 4, 5, 8, 9, 11} {
		d, start := EDSRDistortions()[i], 0.
		if option == 11 {
			start = 500
		}
		l := &layer{64, 64, 3, sines(.5, start, 64*64*9), sines(.5, start+100, 64)}
		d.weights(l, l, &lcg{1}, false)
		var got []float32
		for n := 0; n < len(l.weights); n += 37 {
			got = append(got, l.weights[n])
		}
		want := distorted(t, "edsr", option, false)
		if worst, largest := oracle.Difference(append(got, l.bias...), want); !approx.Equal(worst, 0, 1e-5*max(largest, 1)) {
			t.Errorf("%s: weights differ by %g, the largest is %g", d.Name, worst, largest)
		}
	}
}

// What the slips do, in words: nothing to the second layer, and no weight becomes smaller.
func TestSlipsOfTheReleasedProgram(t *testing.T) {
	layers := func() (*layer, *layer) {
		return &layer{10, 2, 3, sines(1, 0, 180), sines(1, 9, 10)}, &layer{10, 2, 3, sines(1, 50, 180), sines(1, 90, 10)}
	}
	i, j := layers()
	_, was := layers()
	flipFilters(i, j, &lcg{1}, true)
	if !slices.Equal(j.weights, was.weights) || !slices.Equal(j.bias, was.bias) {
		t.Error("the second layer is flipped in the released program")
	}
	flipFilters(i, j, &lcg{1}, false)
	if slices.Equal(j.weights, was.weights) || slices.Equal(j.bias, was.bias) {
		t.Error("the second layer is not flipped")
	}
	for _, released := range []bool{true, false} {
		i, j := layers()
		was, _ := layers()
		multiplyWeights(i, j, &lcg{7}, released)
		smaller := 0
		for n, v := range i.weights {
			if math.Abs(float64(v)) < math.Abs(float64(was.weights[n])) {
				smaller++
			}
		}
		if (smaller == 0) != released {
			t.Errorf("released %v: %d weights become smaller", released, smaller)
		}
	}
}
