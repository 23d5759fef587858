package attack

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// What APGD as a hunt has in its state behind its own; what is given comes behind that.
const (
	isWrong    = apgdStates + iota // 1 once the network was wrong at a point
	wrongPoint                     // that point
	huntStates
)

// hunt raises the objective near each image until the network errs. Other classes may be nil where the objective has no
// use for them. What it has of an image's random start is that of its number.
func (a APGD) hunt(m *model.Model, what string, goal objective, images *tensors.Tensor, numbers, labels,
	others []int) ([]prey, error) {
	a, err := a.checked()
	if err != nil {
		return nil, err
	}
	start, err := a.randomStart(images, numbers)
	if err != nil {
		return nil, err
	}
	if others == nil {
		others = labels
	}
	given := []*tensors.Tensor{model.ClassTensor(labels), model.ClassTensor(others)}
	return a.raise(m, a.key(goal.name), what, start, images, labels, given,
		func(out model.Outputs, given []*graph.Node) *graph.Node {
			return goal.of(out.Logits, given[0], given[1])
		})
}

// raise raises a loss of what the model says and of what is given of each image until the network errs. key is that of
// the program, see [hunt].
func (a APGD) raise(m *model.Model, key any, what string, start, images *tensors.Tensor, labels []int,
	given []*tensors.Tensor, loss func(out model.Outputs, given []*graph.Node) *graph.Node) ([]prey, error) {
	state := append([]*tensors.Tensor{images, model.ClassTensor(labels)}, a.state(start)...)
	state = append(append(state, perImage(len(labels), 0), start), given...)
	return hunt{
		what: what, key: key, stages: stages(a.Steps + 1), // one more to look at the last point
		step: func(round *graph.Node, s []*graph.Node) []*graph.Node {
			var logits *graph.Node
			next := a.step(round, s[:apgdStates:apgdStates], func(x *graph.Node) *graph.Node {
				out := m.Call(x)
				logits = out.Logits
				return loss(out, s[huntStates:])
			})
			now := graph.Max(s[isWrong], wrong(logits, s[target]))
			return append(append(next, now, choose(s[isWrong], s[wrongPoint], s[point])), s[huntStates:]...)
		},
		found: isWrong, image: wrongPoint,
	}.run(m, state)
}
