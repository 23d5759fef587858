package attack

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// PGD is projected gradient descent with steps of one size: it raises the cross entropy within a ball around each
// image. Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018, section 2.1. It is
// what learn.Adversarial trains with; to tell how robust a network is, take [AutoAttack].
type PGD struct {
	Norm  Norm
	Eps   float64 // how far an image may be changed; it has to be more than 0
	Steps int     // 0 means 40
	Size  float64 // of a step, in units of Eps's; 0 means 2.5·Eps/Steps
	// RandomStart begins anywhere in the ball of L∞, and on the border of that of L2, in place of the image.
	RandomStart bool
	Seed        uint64 // of the random start
}

type pgdKey struct{ norm Norm }

// The state of PGD, one row an image.
const (
	pgdOriginal = iota
	pgdLabel
	pgdPoint
	pgdSeen   // the point before the last step
	pgdMargin // there
	pgdRadius
	pgdSize
)

// Robustness attacks each image, [N, H, W, C] float32 in 0..1 with a label each: see [APGD.Robustness]. The attacked
// images are those after the last step.
func (p PGD) Robustness(m *model.Model, images *tensors.Tensor, labels []int) (*Robustness, error) {
	if p.Steps == 0 {
		p.Steps = 40
	}
	switch {
	case p.Steps < 1:
		return nil, fmt.Errorf("attack: PGD with %d steps does nothing", p.Steps)
	case !(p.Size >= 0) || math.IsInf(p.Size, 0):
		return nil, fmt.Errorf("attack: a step of PGD has a size above 0, or 0 for 2.5·Eps/Steps, not %g", p.Size)
	}
	if err := p.Norm.Check("PGD", p.Eps); err != nil {
		return nil, err
	}
	if p.Size == 0 {
		p.Size = 2.5 * p.Eps / float64(p.Steps)
	}
	of, _, err := attackable(m, images, labels)
	if err != nil {
		return nil, err
	}
	predicted, err := m.Predict(images)
	if err != nil {
		return nil, err
	}
	start, err := p.start(images)
	if err != nil {
		return nil, err
	}
	n := len(labels)
	found, stopped := ascent{
		what:   "PGD",
		key:    pgdKey{p.Norm},
		rounds: p.Steps + 1, // one more to look at the last point
		step:   func(_ *graph.Node, s []*graph.Node) []*graph.Node { return p.step(of, s) },
		images: pgdSeen, values: pgdMargin,
	}.run(of, images, model.ClassTensor(labels), start, start, perImage(n, 0), perImage(n, float32(p.Eps)),
		perImage(n, float32(p.Size)))
	if found == nil {
		return nil, stopped
	}
	return robustness(found, predicted, labels), stopped
}

func (p PGD) step(m *model.Model, in []*graph.Node) []*graph.Node {
	s := append([]*graph.Node(nil), in...)
	x := s[pgdPoint]
	logits := m.Call(x).Logits
	gradient := finite(graph.Gradient(graph.ReduceAllSum(crossEntropy.of(logits, s[pgdLabel], nil)), x)[0])
	s[pgdSeen] = x
	s[pgdMargin] = graph.Reshape(margin(logits, s[pgdLabel]), x.Shape().Dimensions[0], 1, 1, 1)
	s[pgdPoint] = p.Norm.project(s[pgdRadius], s[pgdOriginal],
		graph.Add(x, graph.Mul(s[pgdSize], p.Norm.Direction(gradient))))
	return s
}

func (p PGD) start(images *tensors.Tensor) (*tensors.Tensor, error) {
	if !p.RandomStart {
		return images, nil
	}
	if p.Norm == L2 {
		return APGD{Norm: L2, Eps: p.Eps, Seed: p.Seed}.randomStart(images, nil)
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	d := images.Shape().Dimensions
	row := d[1] * d[2] * d[3]
	for i := range d[0] {
		rng := rand.New(rand.NewPCG(p.Seed, uint64(i)))
		for j := i * row; j < (i+1)*row; j++ {
			flat[j] = float32(min(max(float64(flat[j])+p.Eps*(2*rng.Float64()-1), 0), 1))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}
