package manifold

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Neighbors says which k points lie nearest to each point, itself apart, the nearest first; of equally near ones the
// earlier.
type Neighbors struct {
	Indices   [][]int     // [N][k]
	Distances [][]float64 // [N][k], Euclidean
}

// NearestNeighbors finds the k nearest neighbours of each point, exactly: every pair is compared. Points that are the
// same are neighbours at distance 0. k is at least 1 and less than N.
func NearestNeighbors(points *tensors.Tensor, k int) (*Neighbors, error) {
	flat, n, d, err := coordinates(points)
	if err != nil {
		return nil, err
	}
	if k < 1 || k >= n {
		return nil, fmt.Errorf("manifold: of %d points each has 1 to %d neighbours, not %d", n, n-1, k)
	}
	found := &Neighbors{Indices: make([][]int, n), Distances: make([][]float64, n)}
	// The device's distances are products in single precision: good enough to choose candidates, of which a few more
	// than k are taken and measured exactly.
	candidates := min(k+16, n-1)
	err = squaredDistances(flat, n, d, func(i int, row []float32) {
		near := smallest(row, i, candidates)
		exact := make([]float64, n)
		for _, j := range near {
			exact[j] = distance(flat[i*d:(i+1)*d], flat[j*d:(j+1)*d])
		}
		slices.SortFunc(near, func(a, b int) int {
			return cmp.Or(cmp.Compare(exact[a], exact[b]), a-b)
		})
		found.Indices[i] = near[:k]
		for _, j := range near[:k] {
			found.Distances[i] = append(found.Distances[i], exact[j])
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func distance(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		d := float64(v) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// smallest returns the places of the count smallest values of row but for its own place, in no order.
func smallest(row []float32, own, count int) []int {
	// A heap with the largest on top holds the best so far.
	heap := make([]int, 0, count)
	down := func(at int) {
		for {
			child := 2*at + 1
			if child >= len(heap) {
				return
			}
			if child+1 < len(heap) && row[heap[child+1]] > row[heap[child]] {
				child++
			}
			if row[heap[at]] >= row[heap[child]] {
				return
			}
			heap[at], heap[child] = heap[child], heap[at]
			at = child
		}
	}
	for j, v := range row {
		switch {
		case j == own:
		case len(heap) < count:
			heap = append(heap, j)
			if len(heap) == count {
				for at := count/2 - 1; at >= 0; at-- {
					down(at)
				}
			}
		case v < row[heap[0]]:
			heap[0] = j
			down(0)
		}
	}
	return heap
}

// blockBytes is how much of the matrix of distances is on the host at once.
const blockBytes = 64 << 20

// squaredDistances computes the matrix of squared distances on the device, some rows at a time, and gives each row to
// visit, several at once.
func squaredDistances(flat []float32, n, d int, visit func(i int, row []float32)) error {
	// Near the origin the products lose less.
	centred := centre(flat, n, d)
	block := max(1, min(n, blockBytes/4/n))
	exec, err := model.NewExec(func(rows, all *graph.Node) *graph.Node {
		squares := func(x *graph.Node) *graph.Node { return graph.ReduceSum(graph.Square(x), 1) }
		products := graph.Einsum("nd,md->nm", rows, all)
		sums := graph.Add(graph.ExpandAxes(squares(rows), 1), graph.ExpandAxes(squares(all), 0))
		return graph.Max(graph.Sub(sums, graph.MulScalar(products, 2)), graph.ZerosLike(products))
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	all := tensors.FromFlatDataAndDimensions(centred, n, d)
	p := progress.New("distances", n)
	defer p.Close()
	for lo := 0; lo < n; lo += block {
		if err := interrupt.Err(); err != nil {
			return fmt.Errorf("manifold: interrupted: %w", err)
		}
		// The last block begins earlier, so that one program does for all.
		first := min(lo, n-block)
		results, err := exec.Call(tensors.FromFlatDataAndDimensions(centred[first*d:(first+block)*d], block, d), all)
		if err != nil {
			return fmt.Errorf("manifold: %w", err)
		}
		if err := results[0].ConstFlatData(func(data any) {
			rows := data.([]float32)
			each(block, func(i int) {
				if first+i >= lo {
					visit(first+i, rows[i*n:(i+1)*n])
				}
			})
		}); err != nil {
			return fmt.Errorf("manifold: %w", err)
		}
		p.Add(first + block - lo)
	}
	return nil
}

// centre subtracts the mean of the points.
func centre(flat []float32, n, d int) []float32 {
	mean := make([]float64, d)
	for i, v := range flat {
		mean[i%d] += float64(v) / float64(n)
	}
	centred := make([]float32, len(flat))
	for i, v := range flat {
		centred[i] = float32(float64(v) - mean[i%d])
	}
	return centred
}

// each calls do for 0 to n-1, several at a time.
func each(n int, do func(i int)) { parallel.Parts(n, 1, func(_, i, _ int) { do(i) }) }
