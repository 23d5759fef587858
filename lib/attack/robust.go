package attack

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Robustness is how a model stands an attack.
type Robustness struct {
	Clean stats.Accuracy `display:"accuracy"` // on the images as they are
	// images that are recognised and stay so under attack: an upper bound of the true robust accuracy
	Robust stats.Accuracy `display:"accuracy under attack"`
	// the worst images found; Values are their margins, above 0 where another class has a higher logit
	Attacked *AdversarialExamples `display:"-"`
}

// Robustness attacks each image, [N, H, W, C] float32 in 0..1 with a label each, so that another class's logit exceeds
// its label's by as much as it finds, max_{j≠y} z_j - z_y (Carlini and Wagner, S&P 2017). An image that is wrong to
// begin with counts as not robust. Interrupted, it returns the figures of the images that the attack has come to beside
// the error; nil if there is none.
func (a APGD) Robustness(m *model.Model, images *tensors.Tensor, labels []int) (*Robustness, error) {
	if images == nil || images.Rank() == 0 || len(labels) != images.Shape().Dimensions[0] || len(labels) == 0 {
		return nil, fmt.Errorf("attack: robustness needs images with a label each, and there are %d labels", len(labels))
	}
	margins, err := m.Extend("margins of "+m.Name(), nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		logits := out.Logits
		if m.Activation() == model.Sigmoid && logits.Shape().Dimensions[1] == 1 { // one output tells two classes apart
			logits = graph.Concatenate([]*graph.Node{graph.ZerosLike(logits), logits}, -1)
		}
		return margins(logits)
	})
	if err != nil {
		return nil, err
	}
	margins.BatchSize = m.BatchSize
	predicted, err := m.Predict(images)
	if err != nil {
		return nil, err
	}
	found, stopped := a.Maximize(margins, images, labels)
	if found == nil {
		return nil, stopped
	}
	return robustness(found, predicted, labels), stopped
}

// robustness counts the images that were recognised, and those of them whose margin was never positive.
func robustness(found *AdversarialExamples, predicted, labels []int) *Robustness {
	all := stats.Accuracy{Total: len(found.Values)}
	r := &Robustness{Clean: all, Robust: all, Attacked: found}
	for i, v := range found.Values {
		if predicted[i] == labels[i] {
			r.Clean.Correct++
			if v < 0 {
				r.Robust.Correct++
			}
		}
	}
	return r
}

// margins are, for each class, the largest logit of another class less that of the class, [N, K].
func margins(logits *graph.Node) *graph.Node {
	k := logits.Shape().Dimensions[1]
	first := graph.OneHot(graph.ArgMax(logits, -1), k, logits.DType())
	largest := graph.ReduceAndKeep(logits, graph.ReduceMax, -1)
	// The largest is taken far down, so that the largest of the others remains.
	span := graph.StopGradient(graph.AddScalar(graph.Sub(largest, graph.ReduceAndKeep(logits, graph.ReduceMin, -1)), 1))
	second := graph.ReduceAndKeep(graph.Sub(logits, graph.Mul(first, span)), graph.ReduceMax, -1)
	other := graph.Add(graph.Mul(first, second), graph.Mul(graph.OneMinus(first), largest))
	return graph.Sub(other, logits)
}
