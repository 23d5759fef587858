package normalise

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/customcall"
)

// plain computes what a function is called for, of its arguments. It has none of the scalars that GoMLX keeps for a
// graph, which belong to the function that had them first, and sums by products, since go-xla has no reductions in
// functions.
func plain(n customcall.Norm, part customcall.NormPart, in []*graph.Node) []*graph.Node {
	p := arithmetic{n: n, g: in[0].Graph(), rows: n.Rows(), groups: n.Groups, channels: n.X[3]}
	if p.groups == 0 {
		p.groups = p.channels
	}
	p.places = n.X[0] * n.X[1] * n.X[2] / p.rows
	x := graph.Reshape(in[0], p.rows, p.places, p.groups, p.channels/p.groups)
	mean := p.mean(x)
	centred := graph.Sub(x, p.wide(mean))
	variance := p.mean(graph.Mul(centred, centred))
	if part == customcall.Moments {
		return []*graph.Node{mean, variance}
	}
	by := p.wide(graph.Div(p.number(1), graph.Sqrt(graph.Add(variance, p.number(float64(n.Epsilon))))))
	normal := graph.Mul(centred, by)
	scale := p.channel(in[1])
	y := graph.Add(graph.Mul(normal, scale), p.channel(in[2]))
	positive := graph.GreaterThan(y, p.number(0))
	if part == customcall.Normalised {
		if n.ReLU {
			y = graph.Max(p.number(0), y)
		}
		return []*graph.Node{graph.Reshape(y, n.X[:]...)}
	}
	v := graph.Reshape(in[len(in)-1], x.Shape().Dimensions...)
	if n.ReLU {
		v = graph.Where(positive, v, graph.Mul(v, p.number(0)))
	}
	scaled := graph.Mul(v, scale)
	dx := graph.Sub(scaled, p.wide(p.mean(scaled)))
	dx = graph.Mul(by, graph.Sub(dx, graph.Mul(normal, p.wide(p.mean(graph.Mul(scaled, normal))))))
	byRow := func(v *graph.Node) *graph.Node { // [rows, channels]
		return graph.Einsum("rpc,p->rc", graph.Reshape(v, p.rows, p.places, p.channels), p.ones(p.places))
	}
	return []*graph.Node{graph.Reshape(dx, n.X[:]...), byRow(graph.Mul(v, normal)), byRow(v)}
}

// arithmetic is over values [rows, places, groups, channels of a group].
type arithmetic struct {
	n                              customcall.Norm
	g                              *graph.Graph
	rows, places, groups, channels int
}

func (p arithmetic) number(v float64) *graph.Node { return graph.ConstAsDType(p.g, dtypes.Float32, v) }

func (p arithmetic) ones(dims ...int) *graph.Node { return graph.BroadcastToDims(p.number(1), dims...) }

// mean is that of each row's groups, [rows, groups].
func (p arithmetic) mean(x *graph.Node) *graph.Node {
	of := p.channels / p.groups
	sum := graph.Einsum("rpgk,pk->rg", x, p.ones(p.places, of))
	return graph.Mul(sum, p.number(1/float64(p.places*of)))
}

// wide gives what a row's group has to all its values.
func (p arithmetic) wide(of *graph.Node) *graph.Node {
	return graph.Reshape(of, p.rows, 1, p.groups, 1)
}

// channel gives what a channel has, [channels], to all its values.
func (p arithmetic) channel(of *graph.Node) *graph.Node {
	return graph.Reshape(of, 1, 1, p.groups, p.channels/p.groups)
}
