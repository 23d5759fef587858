package explog

import (
	"math"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

func TestExpIsThatOfTheStandardLibrary(t *testing.T) {
	worst, at := 0.0, 0.0
	check := func(x float64) {
		if e := math.Abs(Exp(x)/math.Exp(x) - 1); !(e <= worst) {
			worst, at = e, x
		}
	}
	for x := -707.9; x <= 700; x += 1. / 1024 / 3 {
		check(x)
	}
	for x := 700.; x > 1e-20; x /= 1.0001 { // near 0 as well, and on either side of where n changes
		check(x)
		check(-x)
	}
	for n := -700. * expSteps; n < 700*expSteps; n++ {
		x := (n + 0.5) * math.Ln2 / expSteps
		if x > -708 && x < 700 {
			check(math.Nextafter(x, x-1))
			check(math.Nextafter(x, x+1))
		}
	}
	if !(worst < 1e-11) {
		t.Errorf("Exp(%v) is %v, math.Exp has %v, %.2g of it away", at, Exp(at), math.Exp(at), worst)
	}
	t.Logf("%.2g at most, at %v", worst, at)
	for x, want := range map[float64]float64{0: 1, -709: 0, math.Inf(-1): 0} {
		if Exp(x) != want {
			t.Errorf("Exp(%v) is %v, want %v", x, Exp(x), want)
		}
	}
	if Exp(math.NaN()) != 0 {
		t.Errorf("Exp(NaN) is %v", Exp(math.NaN()))
	}
	// No logit below the largest gets more than the largest one.
	for x := -1e-3; x < -1e-300; x /= 1.01 {
		if !(Exp(x) <= 1) {
			t.Errorf("Exp(%v) is %v", x, Exp(x))
		}
	}
}

func TestLogIsThatOfTheStandardLibrary(t *testing.T) {
	worst, at := 0.0, 0.0
	check := func(x float64) {
		want := math.Log(x)
		if e := math.Abs(Log(x)-want) - 4e-16*math.Abs(want); !(e <= worst) {
			worst, at = e, x
		}
	}
	for x := 1e-300; x < 1e300; x *= 1.001 {
		check(x)
	}
	for x := 0.5; x < 5; x += 1e-5 / 3 {
		check(x)
	}
	for i := range 1000 { // on either side of where another number of the table is the nearest
		x := 1 + (float64(i)+0.5)/logSteps
		check(math.Nextafter(x, 0))
		check(x)
	}
	if !(worst < 1e-15) {
		t.Errorf("Log(%v) is %v, math.Log has %v, %.2g away", at, Log(at), math.Log(at), worst)
	}
	if Log(1) != 0 {
		t.Errorf("Log(1) is %v", Log(1))
	}
}

func TestSoftmax(t *testing.T) {
	for _, logits := range [][]float32{{0}, {3, 3}, {-1e30, 2, 1e30, 5}, {-7, -7.5, -90, -300},
		{math.MaxFloat32, -math.MaxFloat32, 0}, {float32(math.Copysign(0, -1)), 0, -1e-30}} {
		largest := math.Inf(-1)
		for _, v := range logits {
			largest = math.Max(largest, float64(v))
		}
		norm := 0.0
		for _, v := range logits {
			norm += math.Exp(float64(v) - largest)
		}
		got := make([]float32, len(logits))
		var tops, sums [1]float64
		Softmax(got, logits, len(logits), tops[:], sums[:])
		top, sum := tops[0], sums[0]
		if top != largest || !approx.Equal(sum/norm, 1, 1e-11) {
			t.Errorf("%v: the largest is %v and the sum %v, want %v and %v", logits, top, sum, largest, norm)
		}
		for c, v := range logits {
			if want := math.Exp(float64(v)-largest) / norm; !approx.Equal(got[c], want, 2e-7*want+1e-45) {
				t.Errorf("%v: the probability of %d is %v, want %v", logits, c, got[c], want)
			}
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, logits := range [][]float32{{1, inf}, {-inf, 1}, {nan, 1}, {1, -nan}, {0, math.Float32frombits(0xffc00000)}} {
		var tops, sums [2]float64
		Softmax(make([]float32, 4), append([]float32{0, 0}, logits...), 2, tops[:], sums[:])
		if sums[0] != 2 || sums[1] != 0 {
			t.Errorf("%v: the sums are %v", logits, sums)
		}
	}
}
