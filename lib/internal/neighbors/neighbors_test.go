package neighbors

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
)

// Every distance, written out, sorted; with rows that are equal, or all zeros.
func TestNearestAreThoseOfAllDistances(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, m, d, k = 300, 140, 7, 9
	draw := func(n int) []float32 {
		flat := make([]float32, n*d)
		for i := range flat {
			flat[i] = float32(rng.NormFloat64())
		}
		return flat
	}
	bank, asked := draw(n), draw(m)
	for copied := range 5 {
		copy(bank[(20+copied)*d:(21+copied)*d], bank[:d])
	}
	copy(asked[:d], bank[:d])
	clear(asked[d : 2*d])
	row := func(flat []float32, i int) []float64 {
		norm, out := 0.0, make([]float64, d)
		for j, v := range flat[i*d : (i+1)*d] {
			out[j] = float64(v)
			norm += out[j] * out[j]
		}
		for j := range out {
			out[j] /= max(math.Sqrt(norm), 1e-12)
		}
		return out
	}
	for _, others := range []bool{false, true} {
		of := asked
		if others {
			of = bank
		}
		count := len(of) / d
		features := tensors.FromFlatDataAndDimensions(of, count, d)
		got, err := Nearest("test", tensors.FromFlatDataAndDimensions(bank, n, d), features, k, others)
		if err != nil || len(got) != count {
			t.Fatalf("%d rows (%v)", len(got), err)
		}
		for i := range count {
			var want []Neighbor
			x := row(of, i)
			for c := range n {
				if others && c == i {
					continue
				}
				var square, product float64
				for j, v := range row(bank, c) {
					square += (x[j] - v) * (x[j] - v)
					product += x[j] * v
				}
				if square == 0 {
					product = 1
				}
				want = append(want, Neighbor{c, math.Sqrt(square), 1 - product})
			}
			slices.SortStableFunc(want, func(a, b Neighbor) int { return cmp.Compare(a.Cosine, b.Cosine) })
			for j, w := range want[:k] {
				if g := got[i][j]; !approx.Equal(g.Euclidean, w.Euclidean, 1e-12) || !approx.Equal(g.Cosine, w.Cosine, 1e-12) ||
					i != 1 && w.Cosine > 1e-9 && g.Index != w.Index {
					t.Fatalf("others %v, row %d: neighbour %d is %+v, want %+v", others, i, j, g, w)
				}
			}
		}
	}
}

func TestNearestOfTooFew(t *testing.T) {
	bank := tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 1}, 2, 2)
	for k, others := range map[int]bool{3: false, 0: false, 2: true} {
		if got, err := Nearest("test", bank, bank, k, others); err == nil {
			t.Errorf("%d neighbours: %v", k, got)
		}
	}
	if got, err := Nearest("test", bank, bank, 1, true); err != nil || got[0][0].Index != 1 || got[0][0].Cosine != 1 {
		t.Errorf("%v (%v)", got, err)
	}
}

func TestNearestIsInterrupted(t *testing.T) {
	flat := make([]float32, 600*3)
	for i := range flat {
		flat[i] = float32(math.Sin(float64(i)))
	}
	bank := tensors.FromFlatDataAndDimensions(flat, 600, 3)
	testenv.Interrupt(t, func() ([][]Neighbor, error) { return Nearest("test", bank, bank, 2, true) },
		func(part [][]Neighbor) int { return len(part) })
}
