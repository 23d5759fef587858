package spray

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// kMeans divides rows into k clusters, numbered by size, the largest first: Lloyd's iteration from k-means++ (Arthur
// and Vassilvitskii 2007), the best of ten starts.
func kMeans(rows *mat.Dense, k int, seed uint64) []int {
	const starts, rounds = 10, 100
	n, _ := rows.Dims()
	rng := rand.New(rand.NewPCG(seed, 0x5a4))
	best, least := make([]int, n), math.Inf(1)
	for range starts {
		centres := plusPlus(rows, k, rng)
		assigned := make([]int, n)
		var inertia float64
		for round := range rounds {
			moved := round == 0
			inertia = 0
			for i := range n {
				nearest, d := 0, math.Inf(1)
				for c, centre := range centres {
					if to := floats.Distance(rows.RawRowView(i), centre, 2); to < d {
						nearest, d = c, to
					}
				}
				moved = moved || assigned[i] != nearest
				assigned[i] = nearest
				inertia += d * d
			}
			if !moved {
				break
			}
			counts := make([]float64, k)
			sums := make([][]float64, k)
			for c := range sums {
				sums[c] = make([]float64, len(centres[c]))
			}
			for i, c := range assigned {
				counts[c]++
				floats.Add(sums[c], rows.RawRowView(i))
			}
			for c := range centres {
				if counts[c] > 0 { // a cluster that lost all stays where it is
					floats.ScaleTo(centres[c], 1/counts[c], sums[c])
				}
			}
		}
		if inertia < least {
			least = inertia
			copy(best, assigned)
		}
	}
	return bySize(best, k)
}

// plusPlus chooses centres among the rows, each with a probability that grows with the square of its distance from
// those before it.
func plusPlus(rows *mat.Dense, k int, rng *rand.Rand) [][]float64 {
	n, _ := rows.Dims()
	centres := [][]float64{slices.Clone(rows.RawRowView(rng.IntN(n)))}
	far := make([]float64, n)
	for len(centres) < k {
		var sum float64
		for i := range n {
			far[i] = math.Inf(1)
			for _, c := range centres {
				far[i] = min(far[i], floats.Distance(rows.RawRowView(i), c, 2))
			}
			far[i] *= far[i]
			sum += far[i]
		}
		at, chosen := rng.Float64()*sum, n-1
		for i, f := range far {
			if at -= f; at < 0 {
				chosen = i
				break
			}
		}
		centres = append(centres, slices.Clone(rows.RawRowView(chosen)))
	}
	return centres
}

// bySize numbers clusters anew, the largest first.
func bySize(assigned []int, k int) []int {
	sizes, order, place := make([]int, k), make([]int, k), make([]int, k)
	for c := range order {
		order[c] = c
	}
	for _, c := range assigned {
		sizes[c]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	for at, c := range order {
		place[c] = at
	}
	numbered := make([]int, len(assigned))
	for i, c := range assigned {
		numbered[i] = place[c]
	}
	return numbered
}
