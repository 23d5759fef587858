package learn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// sgd is stochastic gradient descent as PyTorch's, which GoMLX's own lacks the momentum and decay of:
//
//	g ← g + decay·w,  v ← μv + g,  w ← w - rate·(v, or g + μv with Nesterov)
//
// The rate is a variable, which is set before every step.
type sgd struct {
	momentum, decay float64
	nesterov        bool
}

const velocityScope = "velocity"

// UpdateGraph implements GoMLX's optimizer.
func (s sgd) UpdateGraph(scope *gomlx.Scope, g *graph.Graph, loss *graph.Node) {
	gradients := scope.BuildTrainableVariablesGradientsGraph(loss)
	rate := rateVariable(scope).NodeValue(g)
	i := 0
	var changed []*gomlx.Variable
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			changed = append(changed, v)
		}
	}
	for _, v := range changed {
		w, gradient := v.NodeValue(g), gradients[i]
		i++
		if s.decay > 0 {
			gradient = graph.Add(gradient, graph.MulScalar(w, s.decay))
		}
		step := gradient
		if s.momentum > 0 {
			velocity := scope.At(optimizer.Scope).At(velocityScope).WithInitializer(initializer.Zero).VariableWithShape(v.Name(), v.Shape()).SetTrainable(false)
			now := graph.Add(graph.MulScalar(velocity.NodeValue(g), s.momentum), gradient)
			velocity.SetNodeValue(now)
			step = now
			if s.nesterov {
				step = graph.Add(gradient, graph.MulScalar(now, s.momentum))
			}
		}
		v.SetNodeValue(graph.Sub(w, graph.Mul(step, rate)))
	}
}

// Clear implements GoMLX's optimizer.
func (s sgd) Clear(scope *gomlx.Scope) error {
	return scope.At(optimizer.Scope).DeleteVariablesInScope()
}

func rateVariable(scope *gomlx.Scope) *gomlx.Variable {
	return optimizer.LearningRateVar(scope, dtypes.Float32, 0)
}
