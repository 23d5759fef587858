package attrib

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/dataflow"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// DeepLIFT shares the difference of the logit from that of a baseline out among the pixels, by going back once, [N, H,
// W, C]. Where a gradient is multiplied by an activation's derivative, the ratio of the activation's differences comes:
//
//	(x - b) * m, m of an activation f at z: (f(z) - f(z_b)) / (z - z_b)
//
// and f's derivative where z - z_b is less than 1e-10, or 1e-6 of z. The largest of a window hands its difference on to
// the places of the largest values of image and baseline. The values of an image sum to F(x) - F(b), exactly but for
// rounding; by how much they fail to is the Attribution's Delta. Shrikumar, Greenside and Kundaje, "Learning Important
// Features Through Propagating Activation Differences", ICML 2017, section 3.5.1 (the rescale rule).
//
// Activations may be any functions of one number, SiLU and GELU too. A product or quotient of two values that depend on
// the image, as attention, gates and layer normalisation have, has no rule and is an error.
type DeepLIFT struct {
	// Baseline is what an image without information looks like; the zero Filler means black.
	Baseline mask.Filler
}

// Name is "DeepLIFT".
func (DeepLIFT) Name() string { return "DeepLIFT" }

type deepLIFTKey struct{}

// Attribute implements [Method].
func (dl DeepLIFT) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	baseline, err := filled(images, dl.Baseline, mask.Constant(0))
	if err != nil {
		return nil, err
	}
	return dl.attribute(m, images, baseline, classes)
}

// attribute is Attribute from images that are the baselines of the images.
func (dl DeepLIFT) attribute(m *model.Model, images, baseline *tensors.Tensor, classes []int) (*Attribution, error) {
	results, stopped := m.Map(dl.Name(), deepLIFTKey{}, func(in []*graph.Node) []*graph.Node {
		x, base, classes := m.Cast(in[0]), m.Cast(in[1]), in[2]
		b := &backward{method: dl, m: m}
		var at map[*graph.Node]*graph.Node // the baseline's values
		reference := func(node *graph.Node) *graph.Node {
			if at == nil {
				at = b.Through(b.Output, base)
			}
			return at[node]
		}
		b.nonlinear = func(node, v *graph.Node) ([]handed, bool) { return b.rescale(node, v, reference) }
		values := graph.Mul(b.classBackward(x, classes), graph.Sub(x, base))
		// The network anew, not what was computed from its parts.
		apart := graph.Sub(m.ClassLogits(b.Output, classes), m.ClassLogits(m.Call(base).Logits, classes))
		return []*graph.Node{single(values), single(graph.Sub(graph.ReduceSum(values, 1, 2, 3), apart))}
	}, images, baseline, model.ClassTensor(classes))
	if results == nil {
		return nil, ours(stopped)
	}
	a := NewAttribution(dl, m, results[0], classes)
	deltas, err := tensors.CopyFlatData[float32](results[1])
	if err != nil {
		return nil, err
	}
	for _, d := range deltas {
		a.Delta = append(a.Delta, float64(d))
	}
	return a, stopped
}

// rescale is DeepLIFT's rule for what is not linear.
func (b *backward) rescale(node, v *graph.Node, reference func(*graph.Node) *graph.Node) ([]handed, bool) {
	if largest, ok := isPooling(node); ok {
		from, ref := node.Inputs()[0], reference(node)
		// Whichever of the two has the more extreme value, its place gets the difference.
		extreme := graph.Max(node, ref)
		if !largest {
			extreme = graph.Min(node, ref)
		}
		here := dataflow.VJP(node, graph.Mul(v, graph.Sub(extreme, ref)))[0]
		there := dataflow.VJP(ref, graph.Mul(v, graph.Sub(node, extreme)))[0]
		return []handed{{from, ratio(graph.Add(here, there), from, reference(from), dataflow.VJP(node, v)[0])}}, true
	}
	from := b.Parents[node]
	if from == nil || !from.DType().IsFloat() || !node.DType().IsFloat() || !b.functionOf(node, from) {
		return nil, false
	}
	derivative := graph.Gradient(graph.ReduceAllSum(graph.Mul(node, graph.StopGradient(v))), from)[0]
	return []handed{{from, ratio(graph.Mul(v, graph.Sub(node, reference(node))), from, reference(from), derivative)}}, true
}

// ratio is y over x - ref, and otherwise where that is nothing.
func ratio(y, x, ref, otherwise *graph.Node) *graph.Node {
	apart := graph.Sub(x, ref)
	least := graph.MaxScalar(graph.MulScalar(graph.Max(graph.Abs(x), graph.Abs(ref)), 1e-6), 1e-10)
	none := graph.LessThan(graph.Abs(apart), least)
	return graph.Where(none, otherwise, graph.Div(y, graph.Where(none, graph.OnesLike(apart), apart)))
}
