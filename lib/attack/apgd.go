package attack

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// APGD is projected gradient ascent that chooses its own step size: it halves it, and goes back to the best point so
// far, when at a checkpoint the objective has risen in at most Rho of the steps since the last one, or when neither it
// nor the step size has changed since then. Croce and Hein, "Reliable evaluation of adversarial robustness", ICML 2020,
// algorithm 1; the comparison at a checkpoint is that of their code, which allows equality.
type APGD struct {
	Norm  Norm
	Eps   float64 // how far an image may be changed; it has to be more than 0
	Steps int     // 0 means 100
	Rho   float64 // 0 means 0.75
	Seed  uint64  // of the start: a random point on the border of the ball, cut to 0..1
	// Start are the points to start from, [N, H, W, C] float32; nil means random ones.
	Start *tensors.Tensor
}

// apgdKey is all that the program depends on: what of APGD is no argument, and what is raised.
type apgdKey struct {
	norm      Norm
	steps     int
	rho       float64
	objective string
}

// AdversarialExamples is what an attack found.
type AdversarialExamples struct {
	Images *tensors.Tensor // the best ones, [N, H, W, C] float32 in 0..1; interrupted, of the first images only
	Values []float64       // of the objective there, one for each
}

// Maximize changes each image, [N, H, W, C] float32 in 0..1, so that the model's output for its class becomes as large
// as it finds. For other objectives, give a model whose outputs they are: see the model's Extend. See
// model.TargetClasses for what classes may be.
//
// The ascent of a batch is a loop on the device. Interrupted, Maximize returns the best images so far beside the error:
// those of the batches that it has come to, or nil if there is none.
func (a APGD) Maximize(m *model.Model, images *tensors.Tensor, classes []int) (*AdversarialExamples, error) {
	a, err := a.checked()
	if err != nil {
		return nil, err
	}
	classes, err = m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	start, err := a.start(images)
	if err != nil {
		return nil, err
	}
	ascend := ascent{
		what:   "APGD",
		key:    a.key("output"),
		rounds: a.Steps + 1, // one more to look at the last point
		step: func(round *graph.Node, s []*graph.Node) []*graph.Node {
			return a.step(round, s, func(x *graph.Node) *graph.Node { return m.ClassLogits(m.Call(x).Logits, s[target]) })
		},
		images: bestPoint, values: bestValue,
	}
	return ascend.run(m, images, append([]*tensors.Tensor{model.ClassTensor(classes)}, a.state(start)...)...)
}

// checked are the settings with defaults in the place of zeros.
func (a APGD) checked() (APGD, error) {
	if a.Steps == 0 {
		a.Steps = 100
	}
	if a.Rho == 0 {
		a.Rho = 0.75
	}
	switch {
	case a.Steps < 1:
		return a, fmt.Errorf("attack: APGD with %d steps does nothing", a.Steps)
	case !(a.Rho > 0 && a.Rho <= 1):
		return a, fmt.Errorf("attack: Rho is a share of the steps, above 0 and at most 1, not %g", a.Rho)
	}
	return a, a.Norm.Check("APGD", a.Eps)
}

// start is where the ascent begins: Start, or random points.
func (a APGD) start(images *tensors.Tensor) (*tensors.Tensor, error) {
	switch {
	case a.Start == nil:
		return a.randomStart(images, nil)
	case !a.Start.Shape().Equal(images.Shape()):
		return nil, fmt.Errorf("attack: APGD starts from %s for images %s: they have the same shape", a.Start.Shape(),
			images.Shape())
	}
	return a.Start, nil
}

func (a APGD) key(objective string) apgdKey {
	return apgdKey{a.Norm, a.Steps, a.Rho, objective}
}

// state is what the ascent begins with beside the images and their classes. Scalars come in from outside, for a program
// and the loop in it cannot share constants.
func (a APGD) state(start *tensors.Tensor) []*tensors.Tensor {
	n := start.Shape().Dimensions[0]
	each := func(value float64) *tensors.Tensor { return perImage(n, float32(value)) }
	first := max(int(0.22*float64(a.Steps)), 1)
	return []*tensors.Tensor{start, start, start, tensors.FromShape(start.Shape()), each(0), each(0), each(0), each(0),
		each(1), each(2 * a.Eps), each(float64(first)), each(0), each(a.Eps)}
}

// perImage is one value for each of n images, [n, 1, 1, 1].
func perImage(n int, value float32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{value}, n), n, 1, 1, 1)
}

// The state of the ascent, one row an image.
const (
	original     = iota // the image
	target              // its class
	point               // where the ascent is
	before              // where it was a step ago
	bestPoint           // where the objective was largest
	bestGradient        // the gradient there
	bestValue           // the objective there
	bestAtCheck         // that at the last checkpoint
	lastValue           // the objective a step ago
	rises               // in how many steps since the last checkpoint it has risen
	halved              // 1 where the last checkpoint has halved the step size
	size                // of a step
	period              // steps from the last checkpoint to the next
	since               // steps since the last checkpoint
	radius              // of the ball
	apgdStates          // how many there are
)

// step evaluates the objective, [B], where the ascent is, looks whether that is a checkpoint, and goes on to the next
// point.
func (a APGD) step(round *graph.Node, in []*graph.Node, objective func(x *graph.Node) *graph.Node) []*graph.Node {
	s := append([]*graph.Node(nil), in...)
	g := round.Graph()
	kind := s[point].DType()
	scalar := func(v float64) *graph.Node { return graph.Scalar(g, kind, v) }
	value := objective(s[point])
	gradient := finite(graph.Gradient(graph.ReduceAllSum(value), s[point])[0])
	value = graph.Reshape(value, value.Shape().Dimensions[0], 1, 1, 1)
	pick := func(where, yes, no *graph.Node) *graph.Node {
		return graph.Where(graph.BroadcastToDims(where, yes.Shape().Dimensions...), yes, no)
	}
	started := graph.GreaterThan(round, graph.ZerosLike(round))
	begins := graph.BroadcastToDims(graph.Reshape(graph.LogicalNot(started), 1, 1, 1, 1), value.Shape().Dimensions...)

	// The start is the best so far, and what the first step is compared with.
	better := graph.LogicalOr(begins, graph.GreaterThan(value, s[bestValue]))
	s[bestPoint], s[bestGradient], s[bestValue] = pick(better, s[point], s[bestPoint]),
		pick(better, gradient, s[bestGradient]), graph.Where(better, value, s[bestValue])
	s[bestAtCheck] = graph.Where(begins, value, s[bestAtCheck])
	one := graph.OnesLike(value)
	rose := graph.LogicalAnd(graph.LogicalNot(begins), graph.GreaterThan(value, s[lastValue]))
	s[rises] = graph.Add(s[rises], graph.ConvertDType(rose, kind))
	s[lastValue] = value
	s[since] = graph.Where(begins, s[since], graph.Add(s[since], one))

	check := graph.GreaterOrEqual(s[since], s[period])
	few := graph.LessOrEqual(s[rises], graph.Mul(s[period], scalar(a.Rho)))
	stuck := graph.LogicalAnd(graph.LessThan(s[halved], scalar(0.5)), graph.GreaterOrEqual(s[bestAtCheck], s[bestValue]))
	halve := graph.LogicalAnd(check, graph.LogicalOr(few, stuck))
	s[halved] = graph.Where(check, graph.ConvertDType(halve, kind), s[halved])
	s[bestAtCheck] = graph.Where(check, s[bestValue], s[bestAtCheck])
	s[size] = graph.Where(halve, graph.Mul(s[size], scalar(0.5)), s[size])
	now := pick(halve, s[bestPoint], s[point])
	gradient = pick(halve, s[bestGradient], gradient)
	shorter := graph.Max(graph.Sub(s[period], scalar(float64(max(int(0.03*float64(a.Steps)), 1)))),
		scalar(float64(max(int(0.06*float64(a.Steps)), 1))))
	s[period] = graph.Where(check, shorter, s[period])
	zero := graph.ZerosLike(value)
	s[since], s[rises] = graph.Where(check, zero, s[since]), graph.Where(check, zero, s[rises])

	// A step, and a part of the last one as momentum.
	share := graph.Where(begins, one, graph.Mul(one, scalar(0.75)))
	last := graph.Sub(now, s[before])
	next := a.Norm.project(s[radius], s[original], graph.Add(now, graph.Mul(s[size], a.Norm.Direction(gradient))))
	next = graph.Add(now, graph.Add(graph.Mul(graph.Sub(next, now), share), graph.Mul(last, graph.Sub(one, share))))
	s[before], s[point] = now, a.Norm.project(s[radius], s[original], next)
	return s
}

// randomStart are random points on the border of the ball around each image, cut to 0..1. An image's is that of its
// number, which numbers say; nil means 0, 1, 2, ….
func (a APGD) randomStart(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	d := images.Shape().Dimensions
	row := d[1] * d[2] * d[3]
	noise := make([]float64, row)
	for i := range d[0] {
		number := i
		if numbers != nil {
			number = numbers[i]
		}
		rng := rand.New(rand.NewPCG(a.Seed, uint64(number)))
		var far float64
		for j := range noise {
			if a.Norm == LInf {
				noise[j] = 2*rng.Float64() - 1
				far = max(far, math.Abs(noise[j]))
			} else {
				noise[j] = rng.NormFloat64()
				far += noise[j] * noise[j]
			}
		}
		if a.Norm == L2 {
			far = math.Sqrt(far)
		}
		for j, v := range noise {
			at := &flat[i*row+j]
			*at = float32(min(max(float64(*at)+a.Eps*v/far, 0), 1))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}
