package ood

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// ODIN changes each image a little towards what the model takes it for, which helps known images more than unknown
// ones, and scores the changed one by less its highest probability at a high temperature:
//
//	x̂ = x - ε sign(∇_x -log softmax(f(x)/T)_ŷ),  score = -max_c softmax(f(x̂)/T)_c
//
// ŷ is the predicted class. It is not fitted. Liang, Li and Srikant, "Enhancing the Reliability of Out-of-distribution
// Image Detection in Neural Networks", ICLR 2018, section 3. Pixels are in 0..1, and so is ε, whatever the model makes
// of them: that is what the released code does, and pytorch-ood where norm_std is given. As there, x̂ may leave 0..1.
type ODIN struct {
	Model *model.Model
	// Temperature is T; 0 means 1,000.
	Temperature float64
	// Epsilon is ε; 0 means 0.0014, and less than 0 changes nothing.
	Epsilon float64
}

// Name is "ODIN".
func (ODIN) Name() string { return "ODIN" }

// odinKey is what shapes ODIN's program.
type odinKey struct{ Temperature, Epsilon float64 }

// Scores are -1 to -1/K. It is an error where classes do not exclude each other.
func (o ODIN) Scores(ds model.Dataset) ([]float64, error) {
	if o.Temperature == 0 {
		o.Temperature = 1000
	}
	if o.Epsilon == 0 {
		o.Epsilon = 0.0014
	}
	if !(o.Temperature > 0) || o.Temperature-o.Temperature != 0 {
		return nil, fmt.Errorf("ood: ODIN's temperature is %v: it is positive", o.Temperature)
	}
	if o.Epsilon-o.Epsilon != 0 {
		return nil, fmt.Errorf("ood: ODIN's epsilon is %v: it is a number of the pixels' scale, 0..1", o.Epsilon)
	}
	m := o.Model
	if m == nil {
		return nil, fmt.Errorf("ood: ODIN has no model: set its Model")
	}
	if m.NumClasses() == 0 {
		return nil, fmt.Errorf("ood: ODIN is for classifiers, and %s is none", m.Name())
	}
	epsilon := max(o.Epsilon, 0)
	results, stopped := m.MapOf("ODIN", odinKey{o.Temperature, epsilon}, func(in []*graph.Node) []*graph.Node {
		logits := m.Call(in[0]).Logits
		one := logits.Shape().Dimensions[logits.Rank()-1] == 1 // tells two classes apart
		if err := m.NeedsSoftmax("ood: ODIN"); err != nil && !one {
			panic(err)
		}
		if epsilon > 0 {
			log := m.LogProbabilitiesFrom(graph.DivScalar(logits, o.Temperature))
			predicted := graph.OneHot(graph.ArgMax(log, -1), log.Shape().Dimensions[1], log.DType())
			gradient := graph.Gradient(graph.Neg(graph.ReduceAllSum(graph.Mul(log, graph.StopGradient(predicted)))), in[0])[0]
			logits = m.Call(graph.Sub(in[0], graph.MulScalar(graph.Sign(gradient), epsilon))).Logits
		}
		if one {
			logits = graph.Concatenate([]*graph.Node{graph.ZerosLike(logits), logits}, -1)
		}
		return []*graph.Node{graph.ConvertDType(logits, dtypes.Float32)}
	}, ds)
	if len(results) == 0 {
		return nil, stopped
	}
	scores, err := o.score(results[0])
	if err != nil {
		return nil, err
	}
	return scores, stopped
}

func (o ODIN) score(logits *tensors.Tensor) (scores []float64, err error) {
	err = each(logits, func(z, _ []float64) error {
		for c := range z {
			z[c] /= o.Temperature
		}
		scores = append(scores, -highest(z))
		return nil
	})
	return scores, err
}
