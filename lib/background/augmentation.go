package background

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/parts"
)

// Remove puts a uniform grey, another for each image, in the place of backgrounds: the paper's BG_RM. The probabilities
// that the paper takes for this and the others were not at hand and are nowhere the default: choose them. It wants the
// column parts.MasksColumn in the data, and comes before what cuts images in a run's Augment, or else these move the
// column too.
type Remove struct {
	// Probability is that with which it is done to a view: see [learn.Batch.Chosen]. Nil means 1, always.
	Probability []float64
}

// Augment implements [learn.Augmentation].
func (r Remove) Augment(b *learn.Batch) {
	x, m := b.Images(), subject(b)
	grey := graph.BroadcastToDims(b.Uniform(x.Shape().Dimensions[0], 1, 1, 1), x.Shape().Dimensions...)
	b.Set(learn.Images, graph.Where(b.Chosen(r.Probability...), Composite(x, m, grey), x))
}

// CheckData tells what is wrong with masks that lie in memory, before a run trains.
func (Remove) CheckData(data learn.Source) error { return checkColumn(data) }

// Random puts the background of another image of the batch in the place of an image's: the paper's BG_Random. Which one
// is drawn for each view apart. As for [Remove] there are masks.
type Random struct {
	// Probability is that with which it is done to a view: see [learn.Batch.Chosen]. Nil means 1, always.
	Probability []float64
	// Whole takes the other image with its subject in it, in place of filling that as [Tiled] does.
	Whole bool
}

// Augment implements [learn.Augmentation].
func (r Random) Augment(b *learn.Batch) {
	x, m := b.Images(), subject(b)
	rows, views := x.Shape().Dimensions[0], b.Views()
	others := x
	if !r.Whole {
		others = tiled(x, m)
	}
	// The same view of another image.
	view := graph.Mod(graph.Iota(b.Graph(), shapes.Make(dtypes.Int32, rows), 0),
		graph.Scalar(b.Graph(), dtypes.Int32, views))
	from := graph.Add(graph.MulScalar(another(b, rows/views, views), views), view)
	now := Composite(x, m, graph.Gather(others, graph.ExpandAxes(from, -1)))
	b.Set(learn.Images, graph.Where(b.Chosen(r.Probability...), now, x))
}

// MixesExamples implements [learn.Mixing].
func (Random) MixesExamples() {}

// CheckData tells what is wrong with masks that lie in memory, before a run trains.
func (Random) CheckData(data learn.Source) error { return checkColumn(data) }

// another draws for each of the views of n examples, in the batch's order, another one of the examples, [n·views]
// int32.
func another(b *learn.Batch, n, views int) *graph.Node {
	if n < 2 {
		panic(fmt.Errorf("background: another background comes from another image of the batch, and it has %d", n))
	}
	rows := n * views
	whole := func(v int) *graph.Node { return graph.Scalar(b.Graph(), dtypes.Int32, v) }
	step := graph.ConvertDType(graph.Floor(graph.MulScalar(b.Uniform(rows), n-1)), dtypes.Int32)
	step = graph.Add(graph.Min(step, graph.Add(graph.ZerosLike(step), whole(n-2))), whole(1)) // 1 to n-1
	own := graph.Div(graph.Iota(b.Graph(), shapes.Make(dtypes.Int32, rows), 0), whole(views))
	return graph.Mod(graph.Add(own, step), whole(n))
}

// Matched is the column, bool, that [Swaps] adds: whether the third view of an image is a negative.
const Matched = "matched negative"

// Swaps is the paper's BG_Swaps, for contrastive learning with negatives: of three views of an image the first, the
// query, stays; the second, its positive, gets the background of another image of the batch; and the third becomes a
// negative, the subject of another image on the query's background. As for [Remove] there are masks, which the third
// view's changes with its subject. Backgrounds are filled as [Tiled] does. selfsup.MoCo takes it with Matched.
type Swaps struct {
	// Positive is the probability with which the second view gets another background, and Negative that with which the
	// third is a negative; where it is none, the column [Matched] is false and the third view counts for nothing.
	Positive, Negative float64
}

// Augment implements [learn.Augmentation].
func (s Swaps) Augment(b *learn.Batch) {
	if b.Views() != 3 {
		panic(fmt.Errorf("background: Swaps is of three views, a query, a positive and a negative, and there are %d",
			b.Views()))
	}
	x, m := b.Images(), subject(b)
	n := x.Shape().Dimensions[0] / 3
	chosen := b.Chosen(0, s.Positive, s.Negative)
	view := func(x *graph.Node, v int) *graph.Node { return b.View(x, v) }
	of := func(x, from *graph.Node) *graph.Node { return graph.Gather(x, graph.ExpandAxes(from, -1)) }
	backgrounds := tiled(view(x, 0), view(m, 0))
	positive := Composite(view(x, 1), view(m, 1), of(tiled(view(x, 1), view(m, 1)), another(b, n, 1)))
	positive = graph.Where(view(chosen, 1), positive, view(x, 1))
	from := another(b, n, 1)
	negative := Composite(of(view(x, 2), from), of(view(m, 2), from), backgrounds)
	negative = graph.Where(view(chosen, 2), negative, view(x, 2))
	together := func(views ...*graph.Node) *graph.Node {
		d := views[0].Shape().Dimensions
		return graph.Reshape(graph.Stack(views, 1), append([]int{3 * n}, d[1:]...)...)
	}
	b.Set(learn.Images, together(view(x, 0), positive, negative))
	masks := b.Column(parts.MasksColumn)
	third := graph.Where(view(chosen, 2), of(view(masks, 2), from), view(masks, 2))
	b.Set(parts.MasksColumn, together(view(masks, 0), view(masks, 1), third))
	b.Set(Matched, chosen)
}

// MixesExamples implements [learn.Mixing].
func (Swaps) MixesExamples() {}

// CheckData tells what is wrong with masks that lie in memory, before a run trains.
func (Swaps) CheckData(data learn.Source) error { return checkColumn(data) }
