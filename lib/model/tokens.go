package model

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Grid is how a vision transformer cuts an image into patches, of which each becomes a token.
type Grid struct{ Rows, Columns int }

// Patches is their number.
func (g Grid) Patches() int { return g.Rows * g.Columns }

// Grid is the grid of patches whose tokens can be dropped; the zero Grid of a model that has none. A model has one if
// its architecture calls [Builder.Tokens], or if it is an ONNX file in which the tokens are found: see [FromONNX].
func (m *Model) Grid() Grid { return m.grid }

// ClassToken is a vision transformer whose output is a sequence of tokens, [N, T, D], such as the last hidden state of
// one that comes without a head, as a network with its first token, the class token, for its output and its features,
// [N, D]. The weights are shared, and tokens stay droppable. It is an error where the output has another shape.
func (m *Model) ClassToken() (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if len(m.output) != 2 {
		return nil, fmt.Errorf("model: %s has an output of shape %v for each image, which is no sequence of tokens [T, "+
			"D]: name the value that is by Spec's Output", m.spec.Name, m.output)
	}
	return m.Extend(m.spec.Name, nil, nil, func(b *Builder, out Outputs) *graph.Node {
		first := graph.Slice(out.Logits, graph.AxisRange(), graph.AxisElem(0), graph.AxisRange())
		return b.Features(graph.Squeeze(first, 1))
	})
}

// Tokens says that images have become sequences of tokens: x is [N, T, D], the positions are added, and its last
// rows·columns tokens are the image's patches in the order of reading; those before, such as a class token, stand for
// none. The architecture goes on with the sequence that it returns, and gives attend to each [Builder.Attention], or
// adds it to the scores before their softmax: it is [N, 1, 1, T'], and nil where there is nothing to add. That is what
// makes tokens droppable: see [Keep]. The logits must come from tokens that stand for no patch; a mean over the patches
// would count the places left.
func (b *Builder) Tokens(x *graph.Node, rows, columns int) (tokens, attend *graph.Node) {
	grid := Grid{rows, columns}
	if x.Rank() != 3 || rows < 1 || columns < 1 || x.Shape().Dimensions[1] < grid.Patches() {
		panic(fmt.Errorf("model: %s has tokens of shape %s, and %d x %d patches do not fit [N, T, D]", b.m.spec.Name,
			x.Shape(), rows, columns))
	}
	b.grid = grid
	if b.kept == nil {
		return x, nil
	}
	g := x.Graph()
	n, t, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1], x.Shape().Dimensions[2]
	others, capacity := t-grid.Patches(), b.kept.Capacity
	stay := b.kept.Patches
	patches := graph.Slice(x, graph.AxisRange(), graph.AxisRange(others), graph.AxisRange())
	if capacity < grid.Patches() {
		// The ones come before the zeros; attention does not care for the order. Gathering rows of [N·P, D] is one
		// copy.
		values, at := graph.TopK(stay, capacity, 1)
		row := graph.Mul(graph.Iota(g, at.Shape().Clone(), 0), graph.Scalar(g, at.DType(), grid.Patches()))
		flat := graph.Gather(graph.Reshape(patches, n*grid.Patches(), d), graph.Reshape(graph.Add(row, at), n*capacity, 1))
		stay, patches = values, graph.Reshape(flat, n, capacity, d)
	}
	attend = graph.MulScalar(graph.OneMinus(stay), -1e9) // e to it is 0 in single precision
	tokens = patches
	if others > 0 {
		tokens = graph.Concatenate([]*graph.Node{graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, others),
			graph.AxisRange()), patches}, 1)
		attend = graph.Concatenate([]*graph.Node{graph.BroadcastToDims(graph.ScalarZero(g, attend.DType()), n, others),
			attend}, 1)
	}
	return tokens, b.m.Cast(graph.Reshape(attend, n, 1, 1, others+capacity))
}

// Attention is multi-head self-attention over tokens x, [N, T, D], by the linear layers name.query, name.key,
// name.value and name.out: softmax(q·kᵀ/√(D/heads) + attend)·v in each head. attend, [N, 1, 1, T], comes from
// [Builder.Tokens] and may be nil. Vaswani et al., NeurIPS 2017, section 3.2.
func (b *Builder) Attention(name string, x *graph.Node, heads int, attend *graph.Node) *graph.Node {
	n, t, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1], x.Shape().Dimensions[2]
	if heads < 1 || d%heads != 0 {
		panic(fmt.Errorf("model: %s cannot share %d features among %d heads", name, d, heads))
	}
	part := func(which string) *graph.Node {
		return graph.Reshape(b.Linear(name+"."+which, x), n, t, heads, d/heads)
	}
	q, k, v := part("query"), part("key"), part("value")
	scores := graph.MulScalar(graph.Einsum("nqhd,nkhd->nhqk", q, k), 1/sqrt(d/heads))
	if attend != nil {
		scores = graph.Add(scores, attend)
	}
	mixed := graph.Einsum("nhqk,nkhd->nqhd", b.RecordAttention(name+".attention", graph.Softmax(scores, -1)), v)
	return b.Linear(name+".out", graph.Reshape(mixed, n, t, d))
}

// LayerNorm normalises the last axis of x and scales it by name.weight and name.bias, as PyTorch's LayerNorm. The
// result is recorded as name.
func (b *Builder) LayerNorm(name string, x *graph.Node, epsilon float64) *graph.Node {
	centred := graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, -1))
	variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, -1)
	y := graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, epsilon)))
	leading := func(w *graph.Node) *graph.Node { return graph.ExpandLeftToRank(w, x.Rank()) }
	return b.Record(name, graph.Add(graph.Mul(y, leading(b.Weight(name+".weight"))), leading(b.Weight(name+".bias"))))
}

// GELU is x·Φ(x), Φ the normal distribution's function, recorded as name. Hendrycks and Gimpel, arXiv 1606.08415.
func (b *Builder) GELU(name string, x *graph.Node) *graph.Node {
	return b.Record(name, graph.Mul(x, graph.MulScalar(graph.OnePlus(graph.Erf(graph.DivScalar(x, sqrt(2)))), 0.5)))
}

func sqrt(n int) float64 { return math.Sqrt(float64(n)) }
