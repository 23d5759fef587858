package pixels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
)

// plainly calls do on a processor that is said to have no vector instructions.
func plainly(do func()) {
	defer func(has bool) { cpu.X86.HasAVX2 = has }(cpu.X86.HasAVX2)
	cpu.X86.HasAVX2 = false
	do()
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// Of every length, so that all ends of the loops are taken, and with numbers that few images have.
func TestVectorsAreThePlainLoopsToTheBit(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("skipped: needs AVX2")
	}
	r := rand.New(rand.NewPCG(1, 2))
	odd := []float32{0, float32(math.Copysign(0, -1)), 1, math.Nextafter32(1, 2), -1e-45, 1e-45, math.MaxFloat32,
		-math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1))}
	for n := 1; n < 150; n++ {
		from := make([]float32, n+40)
		for i := range from {
			from[i] = float32(r.NormFloat64())
			if r.IntN(20) == 0 {
				from[i] = odd[r.IntN(len(odd)-2)]
			}
		}
		for _, terms := range []int{0, 1, 7} {
			at, weights := make([]int, terms), make([]float32, terms)
			for k := range at {
				at[k], weights[k] = r.IntN(40), float32(r.NormFloat64())
			}
			// A margin on both sides shows what is written beyond.
			got, want := make([]float32, n+16), make([]float32, n+16)
			for i := range got {
				got[i], want[i] = 7, 7
			}
			WeightedSum(got[8:8+n], from, at, weights)
			plainly(func() { WeightedSum(want[8:8+n], from, at, weights) })
			if !same(got, want) {
				t.Fatalf("sum of %d terms of %d values: %v, plainly %v", terms, n, got, want)
			}
		}
		distances := make([]int32, 3*n+6)
		for i := range distances {
			distances[i] = int32(r.Uint32() >> 2)
		}
		row, plain := slices.Clone(distances[:n]), slices.Clone(distances[:n])
		Chamfer(row, distances[n:2*n+4], distances[2*n+4:], 5, 7<<20, 11<<20)
		plainly(func() { Chamfer(plain, distances[n:2*n+4], distances[2*n+4:], 5, 7<<20, 11<<20) })
		if !slices.Equal(row, plain) || slices.Equal(row, distances[:n]) && n > 10 {
			t.Fatalf("distances %v: lowered to %v, plainly %v", distances, row, plain)
		}
		eight := make([]uint8, n)
		for i := range eight {
			eight[i] = uint8(r.Uint32())
		}
		unit, levels := make([]float32, n), make([]float32, n)
		FromUint8(unit, eight)
		plainly(func() { FromUint8(levels, eight) })
		if !same(unit, levels) {
			t.Fatalf("%v in 0..1: %v, plainly %v", eight, unit, levels)
		}
		values := from[:n]
		for i := range values {
			if r.IntN(10) == 0 {
				values[i] = odd[r.IntN(len(odd))]
			}
		}
		low, high := Extremes(values)
		plainly(func() {
			if l, h := Extremes(values); l != low || h != high {
				t.Fatalf("extremes of %v: %v and %v, plainly %v and %v", values, low, high, l, h)
			}
		})
		got, want := slices.Clone(from), slices.Clone(from)
		Clamp(got[:n])
		plainly(func() { Clamp(want[:n]) })
		if !same(got, want) || !(slices.Max(got[:n]) <= 1) || !(slices.Min(got[:n]) >= 0) || !same(got[n:], from[n:]) {
			t.Fatalf("clamped: %v, plainly %v", got, want)
		}
	}
}

func TestWeightedSumRefusesWhatIsOutside(t *testing.T) {
	for _, at := range []int{-1, 3} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("values from %d on of 10: 8 were read", at)
				}
			}()
			WeightedSum(make([]float32, 8), make([]float32, 10), []int{at}, []float32{1})
		}()
	}
}
