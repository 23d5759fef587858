package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Noise draws random numbers within a graph, other ones at each call: what dropout and weights that are distributions
// need.
type Noise interface {
	Uniform(shape shapes.Shape) *graph.Node // from 0 to less than 1
	Normal(shape shapes.Shape) *graph.Node  // standard normal
}

// spread is what the name of a weight's spread ends in, see [Builder.Weight].
const spread = ".spread"

// Dropout sets a share of the values of x to 0, drawn anew for each, and scales the others so that the mean stays. It
// does so where there is noise, in training and in the members of [Model.Sampled], and returns x else. Srivastava et
// al., JMLR 15 (2014).
func (b *Builder) Dropout(x *graph.Node, rate float64) *graph.Node {
	if !(rate >= 0 && rate < 1) {
		panic(fmt.Errorf("model: a dropout of %v: it is the share of values set to 0, from 0 to less than 1", rate))
	}
	if rate == 0 {
		return x
	}
	b.random = true
	if b.noise == nil {
		return x
	}
	kept := graph.GreaterOrEqual(b.noise.Uniform(x.Shape()), graph.Scalar(b.g, x.DType(), rate))
	return graph.Where(kept, graph.DivScalar(x, 1-rate), graph.ZerosLike(x))
}

// drawn is a weight that is a distribution: normal, with the mean w and the deviation softplus(spread).
func (b *Builder) drawn(name string, w *graph.Node) *graph.Node {
	if away := b.fromMean(name, w); away != nil {
		return graph.Add(w, away)
	}
	return w
}

// fromMean is how far a draw of a weight lies from its mean w; nil where the weight is no distribution, or where
// there is no noise.
func (b *Builder) fromMean(name string, w *graph.Node) *graph.Node {
	if b.m.weights[name+spread] == nil {
		return nil
	}
	b.random = true
	if b.noise == nil {
		return nil
	}
	if b.draws == nil {
		b.draws = map[string]*graph.Node{}
	}
	if b.draws[name] == nil {
		deviation := Softplus(b.weight(name + spread))
		b.draws[name] = graph.Mul(deviation, b.noise.Normal(w.Shape()))
	}
	return b.draws[name]
}

// apply is linear(x, w) with a weight, linear in both. Where the weight is a distribution, images have nearly
// independent draws of it, at the cost of two passes in the place of one, by Flipout: signs s of an image's input
// channels and r of its output channels turn the draw that all share,
//
//	linear(x, μ) + r ∘ linear(s ∘ x, w - μ)
//
// as the draw is as likely with either sign. Channels are the last axes; each of the images has an equal share of the
// first. Wen et al., "Flipout", ICLR 2018.
func (b *Builder) apply(name string, x *graph.Node, images int, linear func(x, w *graph.Node) *graph.Node) *graph.Node {
	mean := b.weight(name)
	y := linear(x, mean)
	away := b.fromMean(name, mean)
	if away == nil {
		return y
	}
	in, out := x.Shape().Dim(-1), y.Shape().Dim(-1)
	// Both at once: XLA is slow to compile generators.
	u := b.noise.Uniform(shapes.Make(x.DType(), images, 1, in+out))
	signs := graph.Where(graph.GreaterOrEqual(u, graph.Scalar(b.g, x.DType(), 0.5)), graph.OnesLike(u),
		graph.Neg(graph.OnesLike(u)))
	turned := func(values *graph.Node, from, to int) *graph.Node {
		of := graph.Slice(signs, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(from, to))
		return graph.Reshape(graph.Mul(graph.Reshape(values, images, -1, to-from), of), values.Shape().Dimensions...)
	}
	return graph.Add(y, turned(linear(turned(x, 0, in), away), in, in+out))
}

// Softplus is log(1 + exp(x)), which turns a weight's spread into its standard deviation.
func Softplus(x *graph.Node) *graph.Node {
	return graph.Add(graph.Max(x, graph.ZerosLike(x)), graph.Log1P(graph.Exp(graph.Neg(graph.Abs(x)))))
}

// Spread is the name of the weight that holds the spread of a weight that is a distribution, and whether there is one.
func (m *Model) Spread(weight string) (name string, ok bool) {
	return weight + spread, m.weights[weight+spread] != nil
}

// Sampled returns a model whose probabilities are the mean of those of a number of members, each with noise of its
// own: Monte Carlo dropout (Gal and Ghahramani, ICML 2016) of a network with dropout, and the posterior predictive of
// one whose weights are distributions. Its logits are the logarithms. The same seed draws the same noise, for each
// batch again.
//
// It is an error for a network without either, all of whose members would be the same.
func (m *Model) Sampled(samples int, seed uint64) (*Model, error) {
	if samples < 1 {
		return nil, fmt.Errorf("model: %d samples: take at least one", samples)
	}
	if err := m.classifier(); err != nil {
		return nil, err
	}
	spec := m.spec
	spec.Name = fmt.Sprintf("%s, %d samples", m.spec.Name, samples)
	if err := m.NeedsSoftmax("model: the mean of samples"); err != nil {
		return nil, err
	}
	spec.Activation = Softmax
	sampled := &Model{
		architecture: &architecture{dtype: m.dtype},
		spec:         spec,
		parts:        []*Model{m.copied()},
	}
	random, drawn := false, false
	for name := range m.weights {
		_, is := m.Spread(name)
		drawn = drawn || is
	}
	// Where only what comes behind the features is noisy, as in the last-layer variants of Ovadia et al., members
	// share the network up to them.
	share := !drawn
	sampled.build = func(b *Builder, x *graph.Node) *graph.Node {
		m := b.m.parts[0]
		noise := seeded{graph.RNGStateFromSeedForGraph(b.g, int64(seed))}
		member := func(x *graph.Node, noise Noise, copies int) *Builder {
			inner := m.callAs(&Builder{plain: b.plain, noise: noise, copies: copies}, x)
			random = random || inner.random
			inner.out.Logits = graph.LogSoftmax(inner.out.Logits)
			return inner
		}
		n := x.Shape().Dimensions[0]
		if drawn {
			// All images of a call share its weights, so that each member is a call.
			logs, draws := make([]*graph.Node, samples), []*graph.Node(nil)
			for i := range logs {
				logs[i] = member(x, &oneMembers{of: &noise, members: samples, member: i, draws: &draws}, 0).out.Logits
			}
			return logMean(graph.Stack(logs, 0))
		}
		if share {
			inner := member(x, &noise, samples)
			if !inner.copied {
				panic(fmt.Errorf("model: the noise of %s begins before its features", m.spec.Name))
			}
			return logMean(graph.Reshape(inner.out.Logits, samples, n, m.classes))
		}
		return logMean(graph.Reshape(member(repeated(x, samples), &noise, 0).out.Logits, samples, n, m.classes))
	}
	made, err := prepared(sampled)
	if err != nil && share {
		share = false
		made, err = prepared(sampled)
	}
	if err != nil {
		return nil, err
	}
	sampled = made
	if !random {
		return nil, fmt.Errorf(
			"model: %s has neither dropout nor weights that are distributions: all samples would be the same", m.spec.Name)
	}
	if !drawn && !share {
		sampled.BatchSize = max(1, m.ChunkSize(1<<30)/samples)
	}
	return sampled, nil
}

// repeated is x as often along its first axis as there are to be copies, one whole after the other.
func repeated(x *graph.Node, copies int) *graph.Node {
	dims := x.Shape().Dimensions
	all := graph.BroadcastToDims(graph.ExpandAxes(x, 0), append([]int{copies}, dims...)...)
	return graph.Reshape(all, append([]int{copies * dims[0]}, dims[1:]...)...)
}

// logMean is the logarithm of the mean of exponentials along the first axis, without overflow or underflow.
func logMean(logs *graph.Node) *graph.Node {
	largest := graph.StopGradient(graph.ReduceAndKeep(logs, graph.ReduceMax, 0))
	sum := graph.ReduceSum(graph.Exp(graph.Sub(logs, largest)), 0)
	return graph.AddScalar(graph.Add(graph.Log(sum), graph.Squeeze(largest, 0)),
		-math.Log(float64(logs.Shape().Dimensions[0])))
}

// seeded is noise from a state that moves on with each draw.
type seeded struct{ state *graph.Node }

func (s *seeded) Uniform(shape shapes.Shape) (values *graph.Node) {
	s.state, values = graph.RandomUniform(s.state, shape)
	return values
}

func (s *seeded) Normal(shape shapes.Shape) (values *graph.Node) {
	s.state, values = graph.RandomNormal(s.state, shape)
	return values
}

// oneMembers is one member's noise. What the members ask for in turn is drawn for all of them at once: a program with
// a generator for each would take XLA minutes to compile.
type oneMembers struct {
	of              Noise
	members, member int
	draws           *[]*graph.Node // in the order in which every member asks for them
	asked           int
}

func (s *oneMembers) Uniform(shape shapes.Shape) *graph.Node { return s.draw(shape, s.of.Uniform) }
func (s *oneMembers) Normal(shape shapes.Shape) *graph.Node  { return s.draw(shape, s.of.Normal) }

func (s *oneMembers) draw(shape shapes.Shape, by func(shape shapes.Shape) *graph.Node) *graph.Node {
	if s.asked == len(*s.draws) {
		all := shape.Clone()
		all.Dimensions = append([]int{s.members}, all.Dimensions...)
		*s.draws = append(*s.draws, by(all))
	}
	mine := graph.Slice((*s.draws)[s.asked], graph.AxisElem(s.member))
	s.asked++
	return graph.Reshape(mine, shape.Dimensions...)
}
