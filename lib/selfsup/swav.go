package selfsup

import (
	"cmp"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// SwAV has each view of an image predict which prototypes another view belongs to, of which all are used about alike.
// Caron et al., NeurIPS 2020. The zero SwAV is not valid: start from [DefaultSwAV].
type SwAV struct {
	Prototypes  int
	Temperature float64 // what scores are divided by where they predict
	Epsilon     float64 // and where they become codes: see [Sinkhorn]
	Iterations  int     // of Sinkhorn-Knopp
	// Hidden and Out are the widths of the head.
	Hidden, Out int
	// Small is how many small views there are beside the two large ones, which predict and are not predicted. Which
	// views are small is what Augment makes of them, such as learn.ResizedCrop with an Area for each view; they are
	// brought to the size that the network takes, so that each costs as much as a large one.
	Small int
	// Queue is how many earlier images the codes are shared out among besides the batch; 0 is none. It fills from
	// QueueFrom on, a share of the steps, and counts once it is full.
	Queue     int
	QueueFrom float64
	// Freeze is the share of the steps, from the beginning, in which the prototypes stay as they are.
	Freeze float64
}

// DefaultSwAV has the numbers of facebookresearch/swav for ImageNet, without small views and queue.
var DefaultSwAV = SwAV{Prototypes: 3000, Temperature: 0.1, Epsilon: 0.05, Iterations: 3, Hidden: 2048, Out: 128}

// Check tells what is wrong with the settings.
func (w SwAV) Check() error {
	if w.Small < 0 || w.Queue < 0 {
		return fmt.Errorf("selfsup: SwAV with %d small views and a queue of %d: both are 0 or more", w.Small, w.Queue)
	}
	return cmp.Or(sized("the number of SwAV's prototypes", w.Prototypes), sized("the head's width", w.Hidden),
		sized("the head's output", w.Out),
		sized("the number of Sinkhorn's iterations", w.Iterations), positive("SwAV's temperature", w.Temperature),
		positive("SwAV's epsilon", w.Epsilon),
		unitOpen("the share of the steps before the queue fills", w.QueueFrom),
		unitOpen("the share of the steps in which prototypes are frozen", w.Freeze))
}

const prototypes = "prototypes"

// Of returns the run in which a backbone learns by w: see [MoCo.Of]. There is no "target"; the prototypes, [K, D] of
// length 1, are in the trained State. The history has the metric "used", how many prototypes the codes of a batch are
// spread over: e to the entropy of the mean code.
func (w SwAV) Of(run learn.Run) (learn.Run, error) {
	if err := w.Check(); err != nil {
		return run, err
	}
	run, b, batch, err := prepared(run, 2+w.Small)
	if err != nil {
		return run, err
	}
	if w.Queue > 0 && w.Queue < batch {
		return run, fmt.Errorf("selfsup: SwAV's queue of %d is smaller than a batch, %d", w.Queue, batch)
	}
	online, err := b.extended(run.Seed, head{name: "projector", hidden: w.Hidden, out: w.Out, norm: true})
	if err != nil {
		return run, err
	}
	run.Nets = map[string]*model.Model{Online: online}
	start := draw.UnitRows(w.Prototypes, w.Out, run.Seed, 18)
	run.Step = func(s *learn.Step) learn.Loss {
		c := s.Parameter(prototypes, start)
		s.OnTo(prototypes, graphops.Unit)
		if w.Freeze > 0 {
			c = graph.Where(graph.LessThan(s.Done(), graph.Scalar(s.Graph(), s.Done().DType(), w.Freeze)),
				graph.StopGradient(c), c)
		}
		score := func(x *graph.Node) *graph.Node { return graph.Einsum("nd,kd->nk", x, c) }
		// Large views go through the network as one batch, and small ones as another.
		together := func(from, to int) (each []*graph.Node) {
			var all []*graph.Node
			for v := from; v < to; v++ {
				all = append(all, s.View(s.Images(), v))
			}
			features := graphops.Unit(s.Call(Online, graph.Concatenate(all, 0)).Logits)
			for i := range all {
				each = append(each, graph.Slice(features, graph.AxisRange(i*batch, (i+1)*batch)))
			}
			return each
		}
		large := together(0, 2)
		var scores, small, codes []*graph.Node
		for _, x := range large {
			scores = append(scores, score(x))
		}
		if w.Small > 0 {
			for _, x := range together(2, 2+w.Small) {
				small = append(small, score(x))
			}
		}
		for i, x := range large {
			codes = append(codes, w.codes(s, i, x, scores[i], score))
		}
		return learn.Loss{Each: Swapped(scores, small, codes, w.Temperature),
			Metrics: map[string]*graph.Node{"used": spread(codes[0])}}
	}
	return run, nil
}

// codes are those of a large view's features, x, with these scores: among the queue's where it is full.
func (w SwAV) codes(s *learn.Step, view int, x, scores *graph.Node, score func(x *graph.Node) *graph.Node) *graph.Node {
	if w.Queue == 0 {
		return Sinkhorn(scores, nil, w.Epsilon, w.Iterations)
	}
	d := x.Shape().Dimensions
	queue := s.State(fmt.Sprintf("queue %d", view), tensors.FromShape(shapes.Make(dtypes.Float32, w.Queue, d[1])))
	oldest := graph.Slice(queue.Value(), graph.AxisElem(w.Queue-1), graph.AxisRange())
	full := graph.GreaterThan(graph.ReduceAllSum(graph.Square(oldest)), graph.ScalarZero(s.Graph(), oldest.DType()))
	there := graph.Concatenate([]*graph.Node{
		graph.BroadcastToDims(graph.Const(s.Graph(), true), d[0]), graph.BroadcastToDims(full, w.Queue)}, 0)
	all := graph.Concatenate([]*graph.Node{scores, score(queue.Value())}, 0)
	codes := graph.Slice(Sinkhorn(all, there, w.Epsilon, w.Iterations), graph.AxisRange(0, d[0]))
	begun := graph.GreaterOrEqual(s.Done(), graph.Scalar(s.Graph(), s.Done().DType(), w.QueueFrom))
	queue.Set(graph.Where(begun, queued(queue.Value(), x), queue.Value()))
	return codes
}

// spread is e to the entropy of the mean of codes, [N, K], a scalar from 1 to K.
func spread(codes *graph.Node) *graph.Node {
	mean := graph.ReduceMean(codes, 0)
	return graph.Exp(graph.Neg(graph.ReduceAllSum(graph.Mul(mean, graph.Log(graph.MaxScalar(mean, 1e-30))))))
}
