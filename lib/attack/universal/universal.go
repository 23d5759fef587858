// Package universal makes perturbations that turn most images into one class, whatever the image, and asks what is
// different about them from those of single images: where they act, whether they may be moved, and what can be learnt
// from them. Park, Wei, Xiao, Li and Madry, "On distinctive properties of universal perturbations", 2021.
package universal

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Attack makes a perturbation for each of several classes, all of them at once, each of which is to turn any image into
// its class t:
//
//	min_δ E_x -log p_t(x + δ),  ‖δ‖ ≤ Eps
//
// by projected gradient descent over shuffled batches of images: a step goes StepSize along the mean gradient over the
// batch, brought to length 1 (of LInf, to its sign), and then back into the ball. Images are cut to 0..1 after the
// perturbation is added; what a gradient says only of values outside of that does not count. A perturbation begins at
// 0.
//
// Eps and steps of the paper: 6 in L2 and 8/255 in LInf for ImageNet at 224x224, 1 in L2 for CIFAR-10.
type Attack struct {
	Norm attack.Norm
	Eps  float64 // how far an image may be changed; it has to be more than 0
	// Targets are the classes; nil means all of the model's.
	Targets   []int
	Steps     int     // 0 means 200
	StepSize  float64 // in units of Eps's; 0 means Eps/3
	BatchSize int     // images of a step, all of which get all perturbations; 0 means 128, or all if there are fewer
	// Schedule is what becomes of StepSize; nil is a cosine down to 0, so that the perturbation comes to rest.
	Schedule learn.Schedule
	Seed     uint64 // of the order of the images
}

// inMemory is how many bytes of images are kept on the device; what is larger is read again in each epoch.
var inMemory = 256 << 20

// On makes the perturbations from a dataset, whose labels do not matter. Images have the model's size: see the model's
// Prepare. If there are too many perturbations for the memory that so many images take, they are made some at a time,
// with the same results.
//
// Interrupted, or ended by a gradient that is no number, it returns the perturbations that it has come to, as they are
// after the last good step, beside the error; nil if it has come to none.
func (a Attack) On(m *model.Model, ds model.Dataset) (*Perturbations, error) {
	images, err := imagesFor(m, ds)
	if err != nil {
		return nil, err
	}
	if err := a.settle(m, ds.Len()); err != nil {
		return nil, err
	}
	source, err := images.source()
	if err != nil {
		return nil, err
	}
	p := &Perturbations{Norm: a.Norm, Eps: a.Eps, Classes: m.Classes()}
	var found []float32
	var stopped error
	groups := parts(a.Targets, max(mostImages(m)/a.BatchSize, 1))
	for i, targets := range groups {
		var trained *learn.Trained
		trained, stopped = a.descend(m, source, targets)
		done := 0
		if trained != nil {
			done = trained.Steps
		}
		stopped = interrupt.After(stopped, "universal: perturbations", i*a.Steps+done, len(groups)*a.Steps, "steps")
		if done == 0 {
			break
		}
		flat, err := tensors.CopyFlatData[float32](trained.State[perturbations])
		if err != nil {
			return nil, fmt.Errorf("universal: %w", err)
		}
		found, p.Targets = append(found, flat...), append(p.Targets, targets...)
		p.Histories = append(p.Histories, trained.History)
		if stopped != nil {
			break
		}
	}
	if len(p.Targets) == 0 {
		return nil, stopped
	}
	p.Deltas = tensors.FromFlatDataAndDimensions(found, len(p.Targets), images.shape[0], images.shape[1], images.shape[2])
	return left.Beside(p, stopped)
}

// settle checks the settings and fills in the defaults, for a number of images.
func (a *Attack) settle(m *model.Model, n int) error {
	if a.Steps == 0 {
		a.Steps = 200
	}
	if a.BatchSize == 0 {
		a.BatchSize = min(128, n)
	}
	if a.Schedule == nil {
		a.Schedule = learn.Cosine
	}
	if err := checkBall(a.Norm, a.Eps, a.Steps, &a.StepSize); err != nil {
		return err
	}
	if a.BatchSize < 1 || a.BatchSize > n {
		return fmt.Errorf("universal: batches of %d images of %d: there is at least one, and no more than there are",
			a.BatchSize, n)
	}
	if len(a.Targets) == 0 {
		for t := range m.NumClasses() {
			a.Targets = append(a.Targets, t)
		}
	}
	seen := map[int]bool{}
	for _, t := range a.Targets {
		if seen[t] {
			return fmt.Errorf("universal: the class %d is a target twice", t)
		}
		seen[t] = true
	}
	return checkTargets(m, a.Targets)
}

// checkBall checks what all attacks here share, and fills in the step size.
func checkBall(norm attack.Norm, eps float64, steps int, size *float64) error {
	if err := norm.Check("a universal perturbation", eps); err != nil {
		return err
	}
	switch {
	case steps < 1:
		return fmt.Errorf("universal: %d steps make no perturbation", steps)
	case !(*size >= 0) || math.IsInf(*size, 0):
		return fmt.Errorf("universal: the step size is %g: it is positive, or 0 for a third of Eps", *size)
	}
	if *size == 0 {
		*size = eps / 3
	}
	return nil
}

func checkTargets(m *model.Model, targets []int) error {
	for _, t := range targets {
		if t < 0 || t >= m.NumClasses() {
			return fmt.Errorf("universal: class %d does not exist: %s has the classes 0 to %d", t, m.Name(), m.NumClasses()-1)
		}
	}
	return nil
}

const perturbations = "perturbations"

// descend makes the perturbations of some classes.
func (a Attack) descend(m *model.Model, images learn.Source, targets []int) (*learn.Trained, error) {
	spec := m.Spec()
	start := tensors.FromScalarAndDimensions(float32(0), len(targets), spec.Height, spec.Width, spec.Channels)
	classes := model.ClassTensor(targets)
	const net = "net"
	return learn.Run{
		Nets:      map[string]*model.Model{net: m},
		Trainable: func(_, _ string) bool { return false },
		Data:      images, Sampler: learn.Shuffled(a.BatchSize), Steps: a.Steps, Seed: a.Seed,
		Optimizer: learn.SGD{LearningRate: a.StepSize}, Schedule: a.Schedule,
		Step: func(s *learn.Step) learn.Loss {
			// The classes are a part of the state, so that the program is the same for others.
			delta, target := s.State(perturbations, start), s.State("targets", classes).Value()
			x := put(s.Images(), delta.Value())
			d := x.Shape().Dimensions // [P, B, H, W, C]
			x = graph.Identity(graph.StopGradient(graph.Reshape(x, -1, d[2], d[3], d[4])))
			target = graph.BroadcastToDims(graph.ExpandAxes(target, -1), d[0], d[1])
			logits := s.Fixed(net, m.Cast(x)).Logits
			loss := surprise(m, logits, graph.Reshape(target, -1))
			gradient := inwards(x, graph.Gradient(graph.ReduceAllSum(loss), x)[0])
			gradient = graph.ReduceMean(graph.Reshape(gradient, d...), 1)
			moved := graph.Sub(delta.Value(), graph.Mul(a.Norm.Direction(gradient), s.Rate()))
			delta.Set(a.Norm.Within(graph.Scalar(x.Graph(), moved.DType(), a.Eps), moved))
			reached := graph.ConvertDType(graph.Equal(graph.Reshape(m.Likeliest(logits), d[0], d[1]), target), loss.DType())
			return learn.Loss{
				Each: graph.ReduceMean(graph.Reshape(loss, d[0], d[1]), 0),
				// Nothing, unless the gradient is no number: then the run ends at what was before.
				Plus:    graph.MulScalar(graph.ReduceAllSum(gradient), 0),
				Metrics: map[string]*graph.Node{"reached": graph.ReduceMean(reached, 0)},
			}
		},
	}.Do()
}

// put adds every perturbation, [P, H, W, C], to every image, [B, H, W, C], and cuts to 0..1: [P, B, H, W, C].
func put(images, deltas *graph.Node) *graph.Node {
	return graph.ClipScalar(graph.Add(graph.ExpandAxes(images, 0), graph.ExpandAxes(deltas, 1)), 0, 1)
}

// surprise is -log p of each image's target, of logits [N, K] and targets [N] int32.
func surprise(m *model.Model, logits, targets *graph.Node) *graph.Node {
	log := m.LogProbabilitiesFrom(logits)
	return graph.Neg(graph.ReduceSum(graph.Mul(log, graph.OneHot(targets, log.Shape().Dimensions[1], log.DType())), -1))
}

// inwards is a gradient without what a step down it would only push further out of 0..1.
func inwards(x, gradient *graph.Node) *graph.Node {
	zero, one := graph.ZerosLike(x), graph.OnesLike(x)
	out := graph.LogicalOr(
		graph.LogicalAnd(graph.LessOrEqual(x, zero), graph.GreaterThan(gradient, zero)),
		graph.LogicalAnd(graph.GreaterOrEqual(x, one), graph.LessThan(gradient, zero)))
	return graph.Where(out, zero, gradient)
}

// mostImages is how many images of a model go through it at once with gradients.
func mostImages(m *model.Model) int { return 4 * m.ChunkSize(math.MaxInt32) }

// parts cuts a list into pieces of nearly one length, at most so long.
func parts(all []int, most int) (pieces [][]int) {
	count := (len(all) + most - 1) / most
	for i := range count {
		pieces = append(pieces, all[i*len(all)/count:(i+1)*len(all)/count])
	}
	return pieces
}
