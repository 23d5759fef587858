package perturb

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/approx"
)

// A million numbers, against the distribution function, which no fault of a strip or of the tail leaves.
func TestNormalsAreNormal(t *testing.T) {
	const n = 1_000_001 // odd: the last has a draw of its own
	drawn := make([]float32, n)
	newStream(1, 2).normals(drawn)
	counts := map[int]int{}
	for _, v := range drawn {
		counts[int(math.Floor(float64(v)*8))]++
	}
	normal := distuv.UnitNormal
	for at := -28; at < 28; at++ {
		want := n * (normal.CDF(float64(at+1)/8) - normal.CDF(float64(at)/8))
		if got := float64(counts[at]); !approx.Equal(got, want, 5*math.Sqrt(want)) {
			t.Errorf("%g to %g: %g numbers, want %.1f", float64(at)/8, float64(at+1)/8, got, want)
		}
	}
	beyond := 0
	for _, v := range drawn {
		if math.Abs(float64(v)) > 3.5 {
			beyond++
		}
	}
	if want := 2 * n * normal.CDF(-3.5); !approx.Equal(beyond, want, 5*math.Sqrt(want)) {
		t.Errorf("%d numbers beyond 3.5, want %.1f", beyond, want)
	}
	wide := make([]float64, n)
	for i, v := range drawn {
		wide[i] = float64(v)
	}
	mean, deviation := stat.MeanStdDev(wide, nil)
	if !approx.Equal(mean, 0, 5/math.Sqrt(n)) || !approx.Equal(deviation, 1, 5/math.Sqrt(2*n)) {
		t.Errorf("mean %g, deviation %g", mean, deviation)
	}
	if r := stat.Correlation(wide[1:], wide[:n-1], nil); !approx.Equal(r, 0, 5/math.Sqrt(n)) {
		t.Errorf("neighbours correlate by %g", r)
	}
}

func TestUniformsAreUniform(t *testing.T) {
	const n = 1_000_001
	drawn, bits := make([]float32, n), make([]uint32, n)
	newStream(1, 2).uniforms(drawn)
	newStream(3, 4).halves(bits)
	for _, at := range []func(int) float64{func(i int) float64 { return float64(drawn[i]) },
		func(i int) float64 { return float64(bits[i]) / (1 << 32) }} {
		var counts [64]int
		for i := range n {
			counts[int(at(i)*64)]++
		}
		for k, c := range counts {
			if want := n / 64.; !approx.Equal(c, want, 5*math.Sqrt(want)) {
				t.Errorf("part %d of 64: %d numbers, want %.1f", k, c, want)
			}
		}
	}
	if v := slices.Max(drawn); !(v < 1) {
		t.Errorf("there is a %v", v)
	}
}

func TestPoissonIsPoisson(t *testing.T) {
	const n = 300_000
	bits := make([]uint32, 2*n)
	newStream(1, 2).halves(bits)
	for _, mean := range []float64{0, .002, 1, 7.3, 60, 500} {
		table, counts := newPoisson(mean), map[int]int{}
		for i := range n {
			counts[table.draw(bits[2*i], bits[2*i+1])]++
		}
		if mean == 0 {
			if counts[0] != n {
				t.Errorf("of mean 0: %v", counts)
			}
			continue
		}
		d := distuv.Poisson{Lambda: mean}
		for k := range int(mean+8*math.Sqrt(mean)) + 8 {
			want := n * d.Prob(float64(k))
			if got := float64(counts[k]); !approx.Equal(got, want, 5*math.Sqrt(want)+1) {
				t.Errorf("mean %g: %d came %g times, want %.1f", mean, k, got, want)
			}
		}
	}
}
