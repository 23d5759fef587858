package learn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/model"
)

// Step is one step of a [Run] in the graph of a program: its batch, its networks and its state. It panics, as graph
// functions do, on what does not fit; [Run.Do] returns that as an error before anything is trained.
type Step struct {
	*Batch
	p       *plan
	tracing bool
	nodes   map[string]*graph.Node // the state by keys, before the step
	next    map[string]*graph.Node // and what of it this step has changed
	given   scalars

	// What tracing finds out.
	called    map[string]bool
	variables map[string]*tensors.Tensor // by keys
}

// scalars are the numbers that a step is given by the host.
type scalars struct {
	rate, number, done *graph.Node
	decays             []*graph.Node // of the averages
}

func (s *Step) net(name string) *model.Model {
	m := s.p.models[name]
	if m == nil {
		names := slices.Sorted(maps.Keys(s.p.models))
		panic(fmt.Errorf("learn: the run has no network %q%s: it has %q", name, nearest.DidYouMean(name, names), names))
	}
	return m
}

// Call calls a network in training: its batch normalisations take the batch's statistics, of which a tenth goes into
// the running ones, at each call of a step, dropout drops, weights that are distributions are drawn, and gradients go
// to its weights. A network that is the average of another one is called alike, but no gradient goes to its weights,
// and its running statistics are averages too.
func (s *Step) Call(net string, x *graph.Node) model.Outputs {
	how := s.How(net)
	how.Noise = noise{s.Batch}
	for name := range how.Weights { // running statistics go on from an earlier call of the step
		if now := s.next[weightKey(net, name)]; now != nil {
			how.Weights[name] = now
		}
	}
	out := s.CallAs(net, x, how)
	if s.p.average(net) == nil {
		for name, now := range out.Updates {
			s.next[weightKey(net, name)] = now
		}
	}
	return out
}

// Fixed calls a network as it classifies, and no gradient goes to its weights: a teacher, or a target. One does go
// through it to x.
func (s *Step) Fixed(net string, x *graph.Node) model.Outputs {
	m := s.net(net)
	weights := s.p.weights(s, net)
	for name, node := range weights {
		weights[name] = graph.StopGradient(node)
	}
	return m.CallAs(x, model.CallOptions{Weights: weights})
}

// How is how [Step.Call] calls a network, without the noise: with the weights that are trained, as they are in this
// step, and batch statistics for the batch normalisations whose weights are. Change it and give it to [Step.CallAs].
func (s *Step) How(net string) model.CallOptions {
	s.net(net)
	s.called[net] = true
	weights := s.p.weights(s, net)
	return model.CallOptions{Weights: weights, BatchStats: func(name string) bool {
		return weights[name+".running_mean"] != nil
	}}
}

// CallAs calls a network in a way of its own, for attacks and for steps that unroll steps. Running statistics stay as
// they are.
func (s *Step) CallAs(net string, x *graph.Node, how model.CallOptions) model.Outputs {
	return s.net(net).CallAs(x, how)
}

// Weights are the weights of a network that change in training, by name, as they are before the step.
func (s *Step) Weights(net string) map[string]*graph.Node { return s.How(net).Weights }

// Weight is one of [Step.Weights]. It panics if there is none of that name.
func (s *Step) Weight(net, name string) *graph.Node {
	weights := s.Weights(net)
	if weights[name] == nil {
		panic(fmt.Errorf("learn: %s has no weight %q that is trained%s", net, name,
			nearest.DidYouMean(name, slices.Sorted(maps.Keys(weights)))))
	}
	return weights[name]
}

// Var is a tensor that a run keeps from step to step.
type Var struct {
	s   *Step
	key string
}

// State is a variable of the run, by name, with its value before the first step: a queue of features, a perturbation.
// It ends up in [Trained].State.
func (s *Step) State(name string, start *tensors.Tensor) *Var {
	return &Var{s, s.variable(stateKey(name), start)}
}

// Parameter is a tensor that is trained by the run's optimizer as the networks' weights are, by name, with its value
// before the first step. It ends up in [Trained].State.
func (s *Step) Parameter(name string, start *tensors.Tensor) *graph.Node {
	return s.nodes[s.variable(parameterKey(name), start)]
}

// OnTo has a parameter brought to where it belongs after every step of the optimizer, such as onto the unit sphere:
// onto makes of its new value, and of nothing else, the one that is kept, of the same shape. The value that the
// parameter begins with is taken as it is.
func (s *Step) OnTo(name string, onto func(w *graph.Node) *graph.Node) {
	key := parameterKey(name)
	if s.nodes[key] == nil {
		panic(fmt.Errorf("learn: there is no parameter %q of the step to be brought anywhere: call Parameter before", name))
	}
	s.p.onto[key] = onto
}

func (s *Step) variable(key string, start *tensors.Tensor) string {
	if s.nodes[key] != nil {
		return key
	}
	if !s.tracing {
		panic(fmt.Errorf("learn: %s is new in the second building of a step: a step is to be built alike each time", key))
	}
	if start == nil || start.CheckValid() != nil {
		panic(fmt.Errorf("learn: %s needs a tensor to begin with", key))
	}
	s.variables[key] = start
	s.nodes[key] = graph.Parameter(s.g, key, start.Shape())
	return key
}

// Value is the variable's value: that before the step, or what it was set to in it.
func (v *Var) Value() *graph.Node {
	if now := v.s.next[v.key]; now != nil {
		return now
	}
	return v.s.nodes[v.key]
}

// Set gives the variable its value after the step, of the same shape. No gradient goes through it.
func (v *Var) Set(value *graph.Node) {
	if was := v.s.nodes[v.key].Shape(); value == nil || !value.Shape().Equal(was) {
		panic(fmt.Errorf("learn: %s has the shape %s", v.key, was))
	}
	v.s.next[v.key] = graph.StopGradient(value)
}

// Done is the share of the steps that are done before this one, a float32 scalar from 0 to less than 1, for weights of
// losses that change.
func (s *Step) Done() *graph.Node { return s.given.done }

// Rate is the learning rate of this step, a float32 scalar.
func (s *Step) Rate() *graph.Node { return s.given.rate }

// CrossEntropy is the cross entropy of logits, [B·V, K], and the batch's labels, [B·V]. A label of the source that is
// none of the K classes is an error.
func (s *Step) CrossEntropy(logits *graph.Node) *graph.Node {
	s.checkLabels(logits)
	return CrossEntropy(logits, s.Labels())
}

// Classification is the loss of a classifier: [Step.CrossEntropy], and the metric "accuracy".
func (s *Step) Classification(logits *graph.Node) Loss {
	return Loss{Each: s.CrossEntropy(logits), Metrics: map[string]*graph.Node{"accuracy": Correct(logits, s.Labels())}}
}

func (s *Step) checkLabels(logits *graph.Node) {
	known, ok := s.p.r.Data.(interface{ Labels() []int })
	if !s.tracing || !ok || logits.Rank() != 2 {
		return
	}
	k := logits.Shape().Dimensions[1]
	for i, label := range known.Labels() {
		if label < 0 || label >= k {
			panic(fmt.Errorf("learn: image %d has the label %d: the classes are 0 to %d", i, label, k-1))
		}
	}
}

// scalarShape is that of a number of single precision.
var scalarShape = shapes.Make(floatType)
