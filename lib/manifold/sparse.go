package manifold

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Affinity is a symmetric matrix [N, N] of which only what is not zero is kept: how near points are to each other.
type Affinity struct {
	n       int
	start   []int // of row i in the following two, [N+1]
	columns []int
	values  []float64
}

// Len is the number of points.
func (a *Affinity) Len() int { return a.n }

// Each calls visit for every entry that is kept, row by row, columns rising.
func (a *Affinity) Each(visit func(i, j int, value float64)) {
	for i := range a.n {
		for e := a.start[i]; e < a.start[i+1]; e++ {
			visit(i, a.columns[e], a.values[e])
		}
	}
}

// entry is one value of a matrix.
type entry struct {
	row, column int
	value       float64
}

// symmetric makes (A + Aᵀ)/2, or what join makes of A's value and Aᵀ's, of entries that stand once each.
func symmetric(n int, entries []entry, join func(there, back float64) float64) *Affinity {
	values := make(map[[2]int]float64, len(entries))
	places := make([][2]int, 0, 2*len(entries))
	for _, e := range entries {
		values[[2]int{e.row, e.column}] = e.value
		places = append(places, [2]int{e.row, e.column}, [2]int{e.column, e.row})
	}
	slices.SortFunc(places, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) })
	a := &Affinity{n: n, start: make([]int, n+1)}
	for _, at := range slices.Compact(places) {
		value := join(values[at], values[[2]int{at[1], at[0]}])
		if value == 0 {
			continue
		}
		a.columns, a.values = append(a.columns, at[1]), append(a.values, value)
		a.start[at[0]+1]++
	}
	for i := range n {
		a.start[i+1] += a.start[i]
	}
	return a
}

// BinaryAffinity is 1 for points that are among each other's neighbours, and ½ where only one is among the other's: (A
// + Aᵀ)/2 of the graph of neighbours (Lapuschkin et al. 2019, Methods; corelay's SparseKNN).
func (nn *Neighbors) BinaryAffinity() *Affinity {
	var entries []entry
	for i, row := range nn.Indices {
		for _, j := range row {
			entries = append(entries, entry{i, j, 1})
		}
	}
	return symmetric(len(nn.Indices), entries, func(there, back float64) float64 { return (there + back) / 2 })
}

// normalized returns D^-½ A D^-½ and the degrees D.
func (a *Affinity) normalized() (*Affinity, []float64, error) {
	degrees := make([]float64, a.n)
	a.Each(func(i, _ int, v float64) { degrees[i] += v })
	for i, d := range degrees {
		if !(d > 0) || math.IsInf(d, 0) {
			return nil, nil,
				fmt.Errorf("manifold: point %d has the degree %v, which must be a positive number: give every point a neighbour", i,
					d)
		}
	}
	scaled := &Affinity{n: a.n, start: a.start, columns: a.columns, values: make([]float64, len(a.values))}
	for i := range a.n {
		for e := a.start[i]; e < a.start[i+1]; e++ {
			scaled.values[e] = a.values[e] / math.Sqrt(degrees[i]*degrees[a.columns[e]])
		}
	}
	return scaled, degrees, nil
}

// mul sets out to A·x; both are [N, k].
func (a *Affinity) mul(out, x *mat.Dense) {
	const rows = 256
	each((a.n+rows-1)/rows, func(block int) {
		for i := block * rows; i < min(a.n, (block+1)*rows); i++ {
			to := out.RawRowView(i)
			clear(to)
			for e := a.start[i]; e < a.start[i+1]; e++ {
				v := a.values[e]
				for c, x := range x.RawRowView(a.columns[e]) {
					to[c] += v * x
				}
			}
		}
	})
}

// dense writes the matrix out.
func (a *Affinity) dense() *mat.SymDense {
	out := mat.NewSymDense(a.n, nil)
	a.Each(func(i, j int, v float64) { out.SetSym(i, j, v) })
	return out
}
