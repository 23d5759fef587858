// Package neighbors finds the nearest among many features by their cosine.
package neighbors

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Neighbor is a row of the features that were searched.
type Neighbor struct {
	Index int
	// Euclidean is the distance of the two rows when both have the length 1, 0 to 2.
	Euclidean float64
	// Cosine is 1 less the cosine, 0 to 2; just 0 for equal rows, and 1 where one of two others is all zeros.
	Cosine float64
}

const (
	// asked is how many rows are compared with all others at once.
	asked = 128
	// spare is how many more candidates the device names than are wanted: it compares in single precision, and they are
	// compared again in double.
	spare = 16
)

// Nearest returns for each row of features, [M, D] float32, its k nearest rows among bank, [N, D] float32, the nearest
// first and of equally near ones that of the lowest number. others says that features are the bank's own rows, of which
// none is its own neighbour. work is what it says of itself. There have to be enough rows in the bank, and each value
// has to be a finite number.
//
// Interrupted, it returns the neighbours of the rows that are done beside the error.
func Nearest(work string, bank, features *tensors.Tensor, k int, others bool) ([][]Neighbor, error) {
	n, m := bank.Shape().Dimensions[0], features.Shape().Dimensions[0]
	among := n
	if others {
		among--
	}
	if k < 1 || k > among {
		return nil, fmt.Errorf("%d neighbours of each among %d images", k, among)
	}
	placed, err := model.PlaceRows(bank, 0, n, n)
	if err != nil {
		return nil, err
	}
	defer model.Free(placed)
	candidates := min(k+spare, n)
	exec, err := program(candidates)
	if err != nil {
		return nil, err
	}
	with, err := newUnits(bank)
	if err != nil {
		return nil, err
	}
	of := with
	if !others {
		if of, err = newUnits(features); err != nil {
			return nil, err
		}
	}
	bar := progress.New(work, m)
	defer bar.Close()
	found := make([][]Neighbor, m)
	size := min(asked, m)
	for lo := 0; lo < m; lo += size {
		if err := interrupt.Err(); err != nil {
			return found[:lo], interrupt.After(err, work, lo, m, "images")
		}
		hi := min(lo+size, m)
		part, err := rows.Take(features, lo, hi, size)
		if err != nil {
			return nil, err
		}
		at, err := exec.Call1(placed, part)
		if err != nil {
			return nil, err
		}
		numbers, err := tensors.CopyFlatData[int32](at)
		if err != nil {
			return nil, err
		}
		model.Free(at)
		parallel.Parts(hi-lo, 8, func(_, from, to int) {
			for i := from; i < to; i++ {
				not := -1
				if others {
					not = lo + i
				}
				found[lo+i] = with.nearest(of, lo+i, numbers[i*candidates:(i+1)*candidates], k, not)
			}
		})
		bar.Add(hi - lo)
	}
	return found, nil
}

// programs name so many nearest rows of features, [N, D], for others, [M, D].
var programs sync.Map // of a number to its *model.Program

func program(candidates int) (*model.Program, error) {
	if kept, ok := programs.Load(candidates); ok {
		return kept.(*model.Program), nil
	}
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		_, at := graph.TopK(graph.Einsum("md,nd->mn", graphops.Unit(in[1]), graphops.Unit(in[0])), candidates, 1)
		return []*graph.Node{at}
	})
	if err != nil {
		return nil, err
	}
	kept, _ := programs.LoadOrStore(candidates, exec)
	return kept.(*model.Program), nil
}

// units are rows with what they are divided by to have the length 1.
type units struct {
	flat []float32
	d    int
	norm []float64 // of each row, and never 0
}

func newUnits(t *tensors.Tensor) (units, error) {
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return units{}, err
	}
	n := t.Shape().Dimensions[0]
	u := units{flat: flat, d: len(flat) / n, norm: make([]float64, n)}
	for i := range u.norm {
		square := 0.0
		for _, v := range u.row(i) {
			square += float64(v) * float64(v)
		}
		u.norm[i] = max(math.Sqrt(square), 1e-12)
	}
	return u, nil
}

func (u units) row(i int) []float32 { return u.flat[i*u.d : (i+1)*u.d] }

// nearest are the k nearest of the candidates for row i of others, without the row of a number.
func (u units) nearest(of units, i int, candidates []int32, k, not int) []Neighbor {
	x, norm := of.row(i), of.norm[i]
	var all []Neighbor
	for _, c := range candidates {
		if int(c) == not {
			continue
		}
		var square, product float64
		for j, v := range u.row(int(c)) {
			a, b := float64(x[j])/norm, float64(v)/u.norm[c]
			square += (a - b) * (a - b)
			product += a * b
		}
		neighbor := Neighbor{Index: int(c), Euclidean: math.Sqrt(square)}
		if !slices.Equal(x, u.row(int(c))) {
			neighbor.Cosine = max(1-product, 0)
		}
		all = append(all, neighbor)
	}
	slices.SortFunc(all, func(a, b Neighbor) int {
		return cmp.Or(cmp.Compare(a.Cosine, b.Cosine), cmp.Compare(a.Index, b.Index))
	})
	return all[:k]
}
