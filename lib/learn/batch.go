package learn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/nearest"
)

// Batch is the examples of a step in its graph, B of them, and V views of each once [Views] has repeated them: the
// views of an example lie one behind the other.
type Batch struct {
	g       *graph.Graph
	columns map[string]*graph.Node
	numbers *graph.Node // [B·V]
	mask    *graph.Node // [B], 1 for an example and 0 for padding; nil where there is none
	views   int
	random  *graph.Node // the state of the random numbers
	loop    *loop       // nil where loops are unrolled
}

// Graph is the graph under construction.
func (b *Batch) Graph() *graph.Graph { return b.g }

// Column is what the source knows of each example by that name, [B·V, ...]. It panics if there is no such column.
func (b *Batch) Column(name string) *graph.Node {
	if b.columns[name] == nil {
		names := slices.Sorted(maps.Keys(b.columns))
		panic(fmt.Errorf("learn: the data has no column %q%s: it has %q", name, nearest.DidYouMean(name, names), names))
	}
	return b.columns[name]
}

// Has reports whether there is a column of that name.
func (b *Batch) Has(name string) bool { return b.columns[name] != nil }

// Set puts other values in the place of a column, or adds one, with as many rows as the batch has.
func (b *Batch) Set(name string, values *graph.Node) {
	if rows := b.numbers.Shape().Dimensions[0]; values == nil || values.Rank() == 0 ||
		values.Shape().Dimensions[0] != rows {
		panic(fmt.Errorf("learn: the column %q of a batch has %d rows", name, rows))
	}
	b.columns[name] = values
}

// Images are the images, [B·V, H, W, C] float32 in 0..1.
func (b *Batch) Images() *graph.Node {
	x := b.Column(Images)
	if x.DType() == dtypes.Uint8 {
		x = graph.DivScalar(graph.ConvertDType(x, dtypes.Float32), 255)
		b.columns[Images] = x
	}
	return x
}

// Labels are the classes, [B·V] int32; -1 where one is unknown.
func (b *Batch) Labels() *graph.Node { return b.Column(Labels) }

// Numbers are the examples' in the source, [B·V] int32; where that is a [Selection], in what it selects from.
func (b *Batch) Numbers() *graph.Node { return b.numbers }

// Views is how many views there are of each example.
func (b *Batch) Views() int { return b.views }

// View is the v-th view of every example, counted from 0, [B, ...], of x, [B·V, ...].
func (b *Batch) View(x *graph.Node, v int) *graph.Node {
	d := x.Shape().Dimensions
	if v < 0 || v >= b.views {
		panic(fmt.Errorf("learn: there is no view %d of %d", v, b.views))
	}
	if b.views == 1 {
		return x
	}
	x = graph.Reshape(x, append([]int{d[0] / b.views, b.views}, d[1:]...)...)
	return graph.Squeeze(graph.Slice(x, graph.AxisRange(), graph.AxisElem(v)), 1)
}

// Chosen draws for each row, [B·V] bool, whether something is to be done to it: with one probability for all, or one
// for each view in the order of the views. No probability at all means 1.
func (b *Batch) Chosen(probability ...float64) *graph.Node {
	rows := b.numbers.Shape().Dimensions[0]
	for _, p := range probability {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Errorf("learn: a probability of %v: it lies between 0 and 1", p))
		}
	}
	each := make([]float32, b.views)
	switch len(probability) {
	case 0:
		return graph.BroadcastToDims(graph.Const(b.g, true), rows)
	case 1, b.views:
		for v := range each {
			each[v] = float32(probability[v%len(probability)])
		}
	default:
		panic(fmt.Errorf("learn: %d probabilities for %d views: give one, or one for each view", len(probability), b.views))
	}
	bound := graph.BroadcastToDims(graph.Const(b.g, [][]float32{each}), rows/b.views, b.views)
	return graph.LessThan(b.Uniform(rows), graph.Reshape(bound, rows))
}

// sometimes is changed where something is chosen to be done, and x elsewhere; always changed without a probability.
func (b *Batch) sometimes(probability []float64, changed, x *graph.Node) *graph.Node {
	if len(probability) == 0 {
		return changed
	}
	return graph.Where(b.Chosen(probability...), changed, x)
}

// Uniform draws numbers from 0 to less than 1, float32 of that shape, others in each step.
func (b *Batch) Uniform(dims ...int) (values *graph.Node) {
	b.random, values = graph.RandomUniform(b.random, shapes.Make(dtypes.Float32, dims...))
	return values
}

// Normal draws numbers from the standard normal distribution, as [Batch.Uniform] does uniform ones.
func (b *Batch) Normal(dims ...int) (values *graph.Node) {
	b.random, values = graph.RandomNormal(b.random, shapes.Make(dtypes.Float32, dims...))
	return values
}

// noise is the batch's random numbers as a model wants them.
type noise struct{ b *Batch }

func (n noise) Uniform(shape shapes.Shape) (values *graph.Node) {
	n.b.random, values = graph.RandomUniform(n.b.random, shape)
	return values
}

func (n noise) Normal(shape shapes.Shape) (values *graph.Node) {
	n.b.random, values = graph.RandomNormal(n.b.random, shape)
	return values
}
