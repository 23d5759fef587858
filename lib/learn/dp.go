package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/perexample"
	"github.com/loupeml/loupe/lib/privacy"
)

// DP is the gradient of differentially private training, DP-SGD: the gradient of each example is clipped to the length
// Clip, over all weights together, their sum gets normal noise of deviation Noise·Clip, and the whole is divided by the
// size of a step:
//
//	1/B (Σ_i g_i · min(1, Clip/‖g_i‖) + N(0, (Noise·Clip)²))
//
// g_i is the gradient of the mean loss over the example's [Views]. Abadi et al., "Deep learning with differential
// privacy", CCS 2016, algorithm 1; De et al., "Unlocking high-accuracy differentially private image classification
// through scale", 2022, section 3.
//
// How private the result is says [Trained].Private, by its method Epsilon. Networks are called with group or layer
// normalisation: batch normalisation makes an example's gradient depend on others, and is refused. So is a graph in
// which it is not sure that the examples are apart; with a Microbatch of 1 each is computed on alone, which takes
// longer, and any graph will do. What Augment and the step do to the examples before the networks get them is taken to
// keep them apart: mixing images of one batch, as mixup does, voids the privacy. What is private are the networks: the
// losses and metrics of the History are those of the examples.
type DP struct {
	Clip  float64 // C, positive
	Noise float64 // σ, in units of Clip; 0 is clipping alone, without any privacy
	// TargetEpsilon, in the place of Noise, has the noise chosen with which the whole run spends this ε at Delta, by the
	// RDP accountant of package privacy.
	TargetEpsilon, Delta float64
	// Microbatch is how many examples go through the device at once; 0 means all of a step, which was no slower than parts
	// of it on a CPU. Memory holds what the network computes of each, twice.
	Microbatch int
	// UnitNorm divides the gradient by Clip, so that the learning rate need not change with it, as De et al. do.
	UnitNorm bool
}

// Check implements [Gradient].
func (d DP) Check() error {
	switch {
	case !(d.Clip > 0) || math.IsInf(d.Clip, 0):
		return fmt.Errorf("learn: the gradients of examples are clipped to the length %v: set Clip, such as 1", d.Clip)
	case !(d.Noise >= 0) || math.IsInf(d.Noise, 0):
		return fmt.Errorf("learn: the noise is %v times the clipping length, it is not negative", d.Noise)
	case d.TargetEpsilon != 0 && d.Noise != 0:
		return fmt.Errorf("learn: private training has a Noise or a TargetEpsilon, not both")
	case !(d.TargetEpsilon >= 0) || math.IsInf(d.TargetEpsilon, 0):
		return fmt.Errorf("learn: the target ε is %v, it is positive", d.TargetEpsilon)
	case !(d.Delta >= 0 && d.Delta < 1) || d.TargetEpsilon > 0 && d.Delta == 0:
		return fmt.Errorf("learn: δ is %v, it lies between 0 and 1", d.Delta)
	}
	return Mean{d.Microbatch}.Check()
}

// Examples implements [Gradient].
func (d DP) Examples() int { return d.Microbatch }

// Of implements [Gradient].
func (d DP) Of(p Part) []*graph.Node {
	if p.BatchStatistics != "" {
		panic(fmt.Errorf("learn: %s is a statistic of the batch, so that the gradient of an example depends on others: "+
			"take group normalisation, or leave the weights of the normalisation untrained", p.BatchStatistics))
	}
	if p.Plus != nil {
		panic(fmt.Errorf("learn: what is added to the mean loss belongs to no example and is not clipped: private " +
			"training has no Plus; weight decay belongs to the optimizer"))
	}
	if len(p.Weights) == 0 {
		return nil
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case perexample.NotSeparable:
			panic(fmt.Errorf("learn: the gradients of single examples cannot be had of the batch: %s. With Microbatch: 1 "+
				"each example is computed on alone", r.Why))
		default:
			panic(r)
		}
	}()
	factors := func(squares *graph.Node) *graph.Node {
		return graph.Div(graph.Scalar(p.Each.Graph(), floatType, d.Clip), graph.MaxScalar(graph.Sqrt(squares), d.Clip))
	}
	if p.Each.Shape().Dimensions[0] > 1 {
		examples := perexample.Of(p.Each, p.Rows, p.Weights)
		return examples.Weighted(factors(examples.Squares()))
	}
	all := graph.Gradient(graph.ReduceAllSum(p.Each), p.Weights...)
	squares := graph.ScalarZero(p.Each.Graph(), floatType)
	for _, g := range all {
		squares = graph.Add(squares, graph.ReduceAllSum(graph.Square(g)))
	}
	for i, g := range all {
		all[i] = graph.Mul(g, factors(squares))
	}
	return all
}

// Finish implements [Gradient].
func (d DP) Finish(sums []*graph.Node, size float64, normal func(shape shapes.Shape) *graph.Node) []*graph.Node {
	out := make([]*graph.Node, len(sums))
	by := size
	if d.UnitNorm {
		by *= d.Clip
	}
	for i, g := range sums {
		if d.Noise > 0 {
			g = graph.Add(g, graph.MulScalar(normal(g.Shape()), d.Noise*d.Clip))
		}
		out[i] = graph.DivScalar(g, by)
	}
	return out
}

// private is the account of a run's privacy after some of its steps; nil for one that is not private.
func (p *plan) private(steps int) *privacy.Account {
	d, ok := p.gradient.(DP)
	if !ok {
		return nil
	}
	_, poisson := p.r.Sampler.(Poisson)
	account := privacy.Account{Shuffled: !poisson}.Add(privacy.Phase{Noise: d.Noise, Rate: p.size / float64(p.n),
		Steps: steps})
	for _, h := range p.r.Every {
		if _, decides := h.(watcher); decides {
			account.LookedAt = true
		}
	}
	return &account
}

// settle puts a number in the place of noise that is to be as much as a budget asks for.
func (d DP) settle(size, n float64, steps int) (DP, error) {
	if d.TargetEpsilon == 0 {
		return d, nil
	}
	phase, err := privacy.Account{}.NoiseFor(privacy.Phase{Rate: size / n, Steps: steps}, d.TargetEpsilon, d.Delta)
	if err != nil {
		return d, fmt.Errorf("learn: %w", err)
	}
	d.Noise, d.TargetEpsilon = phase.Noise, 0
	return d, nil
}
