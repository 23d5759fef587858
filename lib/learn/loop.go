package learn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// loop is the loop in a step that has one, such as the rounds of an attack. It is taken out of the step's program, in
// which each round would be compiled for itself: another program is one round, and the step begins with what the last
// round left. A loop of the device would be one program, but GoMLX 0.28 cannot have one beside other reductions, and on
// the CPU XLA computes convolutions in loops far slower.
//
// The function that builds the step is the same for all: it is built as far as each of the programs needs it.
type loop struct {
	as loopUse
	// What tracing finds out.
	loops int
	times int
	shape shapes.Shape
	draws bool // a round draws by chance, which would be the same in each
	// What the programs are given.
	number, given *graph.Node
	next          *graph.Node // after a round
}

type loopUse int

const (
	loopTraced loopUse = iota
	loopRound          // one round, with its number, of what is given
	loopDone           // what is given has been through all rounds
)

// repeat makes next(next(…x)), so many times. next takes no gradient and changes nothing of the step.
func (b *Batch) repeat(times int, x *graph.Node, next func(x *graph.Node) *graph.Node) *graph.Node {
	if b == nil || b.loop == nil {
		for range times {
			x = next(x)
		}
		return x
	}
	l := b.loop
	switch l.as {
	case loopRound:
		first := graph.BroadcastToShape(graph.Equal(l.number, graph.ZerosLike(l.number)),
			shapes.Make(dtypes.Bool, x.Shape().Dimensions...))
		l.next = next(graph.Where(first, x, l.given))
		return l.next
	case loopDone:
		return l.given
	}
	before := b.random
	l.loops, l.times, l.shape = l.loops+1, times, x.Shape()
	x = next(x)
	l.draws = l.draws || b.random != before
	return x
}

// takenOut reports whether the loop is one that a program of its own can do.
func (l *loop) takenOut() bool { return l.loops == 1 && l.times > 1 && !l.draws }

// round is the program of one round of the step's loop, of its number and of what the round before has left.
func (p *plan) round(resident []bool) func(in []*graph.Node) []*graph.Node {
	return func(in []*graph.Node) []*graph.Node {
		s, rest := p.open(in)
		rest = p.read(s, rest, resident)
		s.loop = &loop{as: loopRound, number: rest[0], given: rest[1]}
		p.forward(s)
		return []*graph.Node{s.loop.next}
	}
}

// rounds does the loop of a step on the device. call calls a round's program with the step's arguments before these.
func (e *engine) rounds(call func(more ...any) ([]*tensors.Tensor, error)) (*tensors.Tensor, error) {
	x := tensors.FromShape(e.loop.shape)
	for i := range e.loop.times {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		out, err := call(int32(i), x)
		model.Free(x)
		if err != nil {
			return nil, err
		}
		x = out[0]
	}
	return x, nil
}
