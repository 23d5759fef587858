package selfsup

import (
	"cmp"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// BYOL has the network predict, from one view of an image, what its own moving average makes of the other, without any
// negatives. Grill et al., "Bootstrap your own latent", NeurIPS 2020. The zero BYOL is not valid: start from
// [DefaultBYOL].
type BYOL struct {
	// Momentum is that of the average at the beginning; it rises to 1 along half a cosine, section 3.2.
	Momentum float64
	// Hidden and Out are the widths of the projector and of the predictor.
	Hidden, Out int
}

// DefaultBYOL has the paper's numbers for 1000 epochs of ImageNet.
var DefaultBYOL = BYOL{Momentum: 0.996, Hidden: 4096, Out: 256}

// Check tells what is wrong with the settings.
func (y BYOL) Check() error {
	return cmp.Or(sized("the heads' width", y.Hidden), sized("the heads' output", y.Out),
		unitOpen("BYOL's momentum", y.Momentum))
}

// momentum is that of the average when a share of the steps is done.
func (y BYOL) momentum(done float64) float64 { return 1 - (1-y.Momentum)*learn.Cosine(done) }

// projection is what the projector says, within the network that has the predictor behind it.
const projection = "projector.out"

// Of returns the run in which a backbone learns by y: see [MoCo.Of]. The network "online" is the backbone with
// projector and predictor behind it. The history has the metric "cosine", of predictions and what they predict.
func (y BYOL) Of(run learn.Run) (learn.Run, error) {
	if err := y.Check(); err != nil {
		return run, err
	}
	run, b, _, err := prepared(run, 2)
	if err != nil {
		return run, err
	}
	online, err := b.extended(run.Seed, head{name: "projector", hidden: y.Hidden, out: y.Out, norm: true},
		head{name: "predictor", hidden: y.Hidden, out: y.Out, norm: true})
	if err != nil {
		return run, err
	}
	run.Nets = map[string]*model.Model{Online: online}
	run.Average = []learn.EMA{{Net: Online, As: Target, Rise: y.momentum}}
	run.Step = func(s *learn.Step) learn.Loss {
		var predicted, wanted [2]*graph.Node
		for v := range predicted {
			x := s.View(s.Images(), v)
			predicted[v] = s.Call(Online, x).Logits
			wanted[v] = graph.StopGradient(s.Call(Target, x).Activations[projection])
		}
		off := graph.Add(NegativeCosine(predicted[0], wanted[1]), NegativeCosine(predicted[1], wanted[0]))
		return learn.Loss{
			Each:    graph.AddScalar(graph.MulScalar(off, 2), 4),
			Metrics: map[string]*graph.Node{"cosine": graph.MulScalar(off, -0.5)},
		}
	}
	return run, nil
}
