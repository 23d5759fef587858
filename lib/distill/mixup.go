package distill

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/mathext"

	"github.com/loupeml/loupe/lib/learn"
)

// Mixup mixes the images of a batch by twos, for a run's Augment: image i becomes λ·image i + (1-λ)·image j, with j
// from a random order of the same images and one λ from a Beta(Beta, Beta) distribution for the whole step. The
// teacher of a [Distillation] answers to the mixture. Zhang et al., "mixup", ICLR 2018, with one λ for a batch as
// their program and that of Stanton et al. have.
//
// λ is drawn by the distribution's quantiles, which are exact at 4,096 places and lie on lines in between.
type Mixup struct {
	// Beta is positive: 1 draws λ uniformly, less draws it near 0 and 1.
	Beta float64
	// Portion is the share of a batch that is mixed, its first images, rounded up; 0 means 1, all.
	Portion float64
}

func (m Mixup) check() error {
	if !positive(m.Beta) {
		return fmt.Errorf("distill: Mixup's Beta is %v: it is a positive number", m.Beta)
	}
	if !(m.Portion >= 0 && m.Portion <= 1) {
		return fmt.Errorf("distill: Mixup's Portion is %v: it lies between 0 and 1", m.Portion)
	}
	return nil
}

// quantiles is how many steps the table of λ has.
const quantiles = 4096

// Augment implements [learn.Augmentation].
func (m Mixup) Augment(b *learn.Batch) {
	if err := m.check(); err != nil {
		panic(err)
	}
	x := b.Images()
	rows := x.Shape().Dimensions[0]
	mixed := rows
	if m.Portion > 0 {
		mixed = int(math.Ceil(m.Portion * float64(rows)))
	}
	first := graph.Slice(x, graph.AxisRange(0, mixed))
	others := graph.Gather(first, graph.ExpandAxes(shuffled(b.Uniform(mixed)), -1))
	lambda := graph.Reshape(m.lambda(b.Uniform(1)), 1, 1, 1, 1)
	now := graph.Add(graph.Mul(lambda, first), graph.Mul(graph.OneMinus(lambda), others))
	if mixed < rows {
		now = graph.Concatenate([]*graph.Node{now, graph.Slice(x, graph.AxisRange(mixed))}, 0)
	}
	b.Set(learn.Images, now)
}

// MixesExamples implements [learn.Mixing].
func (Mixup) MixesExamples() {}

// lambda is the quantile of u, [1] in 0..1.
func (m Mixup) lambda(u *graph.Node) *graph.Node {
	if m.Beta == 1 {
		return u
	}
	table := make([]float32, quantiles+1)
	for i := range table {
		table[i] = float32(mathext.InvRegIncBeta(m.Beta, m.Beta, float64(i)/quantiles))
	}
	at := graph.MulScalar(u, quantiles)
	below := graph.Floor(at)
	index := graph.ConvertDType(below, dtypes.Int32)
	values := graph.Const(u.Graph(), table)
	low := graph.Gather(values, graph.ExpandAxes(index, -1))
	high := graph.Gather(values, graph.ExpandAxes(graph.AddScalar(index, 1), -1))
	return graph.Add(low, graph.Mul(graph.Sub(at, below), graph.Sub(high, low)))
}

// shuffled is a random order of 0 to N-1, [N] int32: the rank of each of N random numbers, the first of equal ones
// before the next.
func shuffled(u *graph.Node) *graph.Node {
	n := u.Shape().Dimensions[0]
	square := shapes.Make(dtypes.Int32, n, n)
	row, column := graph.BroadcastToDims(graph.ExpandAxes(u, 0), n, n), graph.BroadcastToDims(graph.ExpandAxes(u, 1), n, n)
	before := graph.LessThan(graph.Iota(u.Graph(), square, 1), graph.Iota(u.Graph(), square, 0))
	less := graph.LogicalOr(graph.LessThan(row, column), graph.LogicalAnd(graph.Equal(row, column), before))
	return graph.ReduceSum(graph.ConvertDType(less, dtypes.Int32), 1)
}

// checkMixup says whether a run mixes images, and what does not go with that.
func checkMixup(run learn.Run) (mixed bool, err error) {
	for _, a := range run.Augment {
		if m, ok := a.(Mixup); ok {
			mixed = true
			if err := m.check(); err != nil {
				return mixed, err
			}
		}
	}
	if !mixed {
		return false, nil
	}
	if _, private := run.Gradient.(learn.DP); private {
		return mixed, fmt.Errorf("distill: Mixup puts two examples into one, which voids the privacy of DP")
	}
	// A batch that is filled up would have its filling mixed in.
	if run.Sampler != nil && run.Data != nil {
		size, exact := run.Sampler.Size(run.Data.Len())
		at := 0
		if run.Gradient != nil {
			at = run.Gradient.Examples()
		}
		if !exact || at > 0 && int(size)%at != 0 {
			return mixed,
				fmt.Errorf("distill: Mixup takes batches of one size, such as learn.Shuffled's, and microbatches that they are " +
					"made of")
		}
	}
	return mixed, nil
}
