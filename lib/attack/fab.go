package attack

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// fab is the fast adaptive boundary attack with a target, FAB-T: it goes to where the linearised network would change
// between the class and the other one, drawn towards the image, and steps back where the network errs, so that it looks
// for the nearest such image. Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
// attack", ICML 2020, algorithm 1; with a target as in AutoAttack. It begins at the image.
type fab struct {
	norm  Norm
	eps   float64 // an image no further than this ends the search
	steps int
}

// The constants of section 4 and of AutoAttack.
const (
	fabBias      = 0.1  // α_max, how much the way goes from the image at most, and not from the point
	fabOvershoot = 1.05 // η
	fabBack      = 0.9  // β, what of the way remains when the network errs
)

type fabKey struct {
	norm  Norm
	steps int
}

// The state of FAB, one row an image.
const (
	fabOriginal = iota
	fabLabel
	fabOther
	fabPoint
	fabNearest // the nearest image that is wrong
	fabFar     // how far it is
	fabFound   // 1 once that is no more than the radius
	fabRadius
)

func (f fab) hunt(m *model.Model, what string, images *tensors.Tensor, labels, others []int) ([]prey, error) {
	n := len(labels)
	const none = 1e10 // further than any image
	return hunt{
		what: what, key: fabKey{f.norm, f.steps}, stages: stages(f.steps),
		step:  func(_ *graph.Node, s []*graph.Node) []*graph.Node { return f.step(m, s) },
		found: fabFound, image: fabNearest,
	}.run(m, []*tensors.Tensor{images, model.ClassTensor(labels), model.ClassTensor(others), images, images,
		perImage(n, none), perImage(n, 0), perImage(n, float32(f.eps))})
}

func (f fab) step(m *model.Model, in []*graph.Node) []*graph.Node {
	s := append([]*graph.Node(nil), in...)
	x, image := s[fabPoint], s[fabOriginal]
	logits := m.Call(x).Logits
	over := targetedMargin.of(logits, s[fabLabel], s[fabOther])
	normal := finite(graph.Gradient(graph.ReduceAllSum(over), x)[0])
	over = graph.Reshape(over, over.Shape().Dimensions[0], 1, 1, 1)
	overImage := graph.Add(over, graph.ReduceAndKeep(graph.Mul(normal, graph.Sub(image, x)), graph.ReduceSum, 1, 2, 3))

	ways := ontoHyperplane(f.norm, graph.Concatenate([]*graph.Node{x, image}, 0),
		graph.Concatenate([]*graph.Node{normal, normal}, 0), graph.Concatenate([]*graph.Node{over, overImage}, 0))
	b := x.Shape().Dimensions[0]
	way, wayImage := graph.Slice(ways, graph.AxisRange(0, b)), graph.Slice(ways, graph.AxisRange(b, 2*b))
	far, farImage := graph.MaxScalar(f.norm.Length(way), 1e-8), graph.MaxScalar(f.norm.Length(wayImage), 1e-8)
	bias := graph.MinScalar(graph.Div(far, graph.Add(far, farImage)), fabBias)
	x = graph.Add(
		graph.Mul(graph.Add(x, graph.MulScalar(way, fabOvershoot)), graph.Sub(graph.OnesLike(bias), bias)),
		graph.Mul(graph.Add(image, graph.MulScalar(wayImage, fabOvershoot)), bias))
	x = graph.ClipScalar(x, 0, 1)

	missed := wrong(m.Call(x).Logits, s[fabLabel])
	from := graph.Sub(x, image)
	far = f.norm.Length(from)
	nearer := graph.Mul(missed, graph.ConvertDType(graph.LessThan(far, s[fabFar]), missed.DType()))
	s[fabNearest], s[fabFar] = choose(nearer, x, s[fabNearest]), choose(nearer, far, s[fabFar])
	s[fabFound] = graph.ConvertDType(graph.LessOrEqual(s[fabFar], s[fabRadius]), missed.DType())
	s[fabPoint] = choose(missed, graph.Add(image, graph.MulScalar(from, fabBack)), x)
	return s
}
