package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Toward explains another number than the logit of a class by any method: why this class and not that one, what a
// feature sees, what makes a probability.
//
//	attrib.Toward{attrib.GradCAM{}, attrib.Difference(281, 282)}
//
// A [NoiseTunnel] around it, or within it, is the same.
type Toward struct {
	Method Method
	Target Target
}

// Target is a number that a network makes of an image.
type Target struct {
	// Name says what it is, such as "probability".
	Name string
	// Of is the graph function of the number. It returns [N, 1], or [N, K] with one for each class of the model, of
	// which that of the class explained counts.
	Of func(m *model.Model, out model.Outputs) *graph.Node
}

// Probability is the class's probability.
func Probability() Target {
	return Target{"probability", func(_ *model.Model, out model.Outputs) *graph.Node { return out.Probabilities() }}
}

// LogProbability is the logarithm of the class's probability, whose negative is the cross entropy.
func LogProbability() Target {
	return Target{"log probability", func(m *model.Model, out model.Outputs) *graph.Node {
		return m.LogProbabilitiesFrom(out.Logits)
	}}
}

// Difference is by how much the logit of one class is above that of another: why the first and not the second.
func Difference(class, other int) Target {
	return Target{fmt.Sprintf("class %d less class %d", class, other),
		func(m *model.Model, out model.Outputs) *graph.Node {
			for _, c := range []int{class, other} {
				if c < 0 || c >= m.NumClasses() {
					panic(fmt.Errorf("attrib: the difference of class %d and class %d: %s has the classes 0 to %d", class, other,
						m.Name(), m.NumClasses()-1))
				}
			}
			logit := func(c int) *graph.Node {
				return graph.Slice(out.Logits, graph.AxisRange(), graph.AxisRange(c, c+1))
			}
			return graph.Sub(logit(class), logit(other))
		}}
}

// Feature is a component of what the last linear layer sees.
func Feature(i int) Target {
	return Target{fmt.Sprintf("feature %d", i), func(m *model.Model, out model.Outputs) *graph.Node {
		if out.Features == nil {
			panic(fmt.Errorf("attrib: %s names no features; Channel explains a layer's channel", m.Name()))
		}
		if d := out.Features.Shape().Dimensions[1]; i < 0 || i >= d {
			panic(fmt.Errorf("attrib: feature %d: %s has the features 0 to %d", i, m.Name(), d-1))
		}
		return graph.Slice(out.Features, graph.AxisRange(), graph.AxisRange(i, i+1))
	}}
}

// Channel is the mean over positions of a channel of a layer, which is one of the model's Layers.
func Channel(layer string, i int) Target {
	return Target{fmt.Sprintf("channel %d of %s", i, layer), func(m *model.Model, out model.Outputs) *graph.Node {
		l, err := m.Layer(layer)
		if err != nil {
			panic(err)
		}
		x := l.Layout.ToChannelsLast(out.Activations[layer])
		if l.Layout != model.NotSpatial {
			x = graph.ReduceMean(x, 1, 2)
		}
		if x.Rank() != 2 {
			panic(fmt.Errorf("attrib: %s has no channels that are known, it is %v for an image: write a Target of your own",
				layer, l.Shape))
		}
		if d := x.Shape().Dimensions[1]; i < 0 || i >= d {
			panic(fmt.Errorf("attrib: channel %d of %s: it has the channels 0 to %d", i, layer, d-1))
		}
		return graph.Slice(x, graph.AxisRange(), graph.AxisRange(i, i+1))
	}}
}

// Name is the method's with the target's.
func (t Toward) Name() string {
	if t.Method == nil {
		return t.Target.Name
	}
	return t.Method.Name() + " of " + t.Target.Name
}

// Attribute implements [Method]. It compiles anew at each call: explain all images in one. A network with one output,
// of two classes, it does not take.
func (t Toward) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	if t.Method == nil || t.Target.Of == nil {
		return nil, fmt.Errorf("attrib: Toward takes a method and a target, such as Toward{GradCAM{}, Probability()}")
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	k := m.NumClasses()
	toward, err := m.Extend(m.Name(), m.Spec().Classes, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		if d := out.Logits.Shape().Dimensions; d[1] != k {
			panic(fmt.Errorf("attrib: Toward takes a network with an output for each class, and %s has one for two", m.Name()))
		}
		of := t.Target.Of(m, out)
		if of == nil {
			panic(fmt.Errorf("attrib: the target %q is nil", t.Target.Name))
		}
		if of.Rank() != 2 || of.Shape().Dimensions[1] != 1 && of.Shape().Dimensions[1] != k {
			panic(fmt.Errorf("attrib: the target %q is [N, 1] or [N, %d], not %s", t.Target.Name, k, of.Shape()))
		}
		if of.Shape().Dimensions[1] == 1 {
			of = graph.BroadcastToDims(of, of.Shape().Dimensions[0], k)
		}
		return of
	})
	if err != nil {
		return nil, ours(err)
	}
	a, err := t.Method.Attribute(toward, images, classes)
	if a != nil {
		a.Method = t.Name()
	}
	return a, err
}
