package perturb

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// FeatureAttack is gradient ascent with steps of one length and no bound but the range of pixels: it shows what a feature looks like to a
// network, by putting more and more of it into an image. Singla and Feizi, "Salient ImageNet", ICLR 2022, where the network is a robust one;
// of another the result looks like noise.
type FeatureAttack struct {
	Size  float64 // of a step, in the L2 norm; 0 means 10
	Steps int     // 0 means 100
}

// Maximize raises the model's output for each image's class: see [APGD.Maximize]. The images returned are those after the last step.
func (a FeatureAttack) Maximize(m *model.Model, images *tensors.Tensor, classes []int) (*Ascended, error) {
	if a.Size == 0 {
		a.Size = 10
	}
	if a.Steps == 0 {
		a.Steps = 100
	}
	if a.Size < 0 || a.Steps < 1 {
		return nil, fmt.Errorf("perturb: a feature attack of %d steps of length %g does nothing", a.Steps, a.Size)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	value := func(x, classes *graph.Node) *graph.Node {
		return m.ClassLogits(m.Call(x).Logits, classes)
	}
	moved, err := m.Map(fmt.Sprintf("feature attack, %d steps of %g", a.Steps, a.Size), func(in []*graph.Node) []*graph.Node {
		in[0] = m.Cast(in[0])
		end := model.Loop(a.Steps, in, func(_ *graph.Node, s []*graph.Node) []*graph.Node {
			gradient := graph.Gradient(graph.ReduceAllSum(value(s[0], s[1])), s[0])[0]
			step := graph.MulScalar(graph.Div(gradient, graph.AddScalar(length(gradient), 1e-10)), a.Size)
			return []*graph.Node{graph.ClipScalar(graph.Add(s[0], step), 0, 1), s[1]}
		}, m)
		return []*graph.Node{single(end[0])}
	}, images, model.ClassTensor(classes))
	if err != nil {
		return nil, err
	}
	values, err := m.Map("outputs of classes", func(in []*graph.Node) []*graph.Node { return []*graph.Node{single(value(in[0], in[1]))} }, moved[0], model.ClassTensor(classes))
	if err != nil {
		return nil, err
	}
	return ascended(moved[0], values[0])
}
