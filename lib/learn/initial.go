package learn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/draw"
)

// initial are the weights that a network begins with: random ones or, where a network is made anew for weights that
// were saved, these. A file may tell of images and layers of any size: nothing is drawn for what it says, and what its
// weights do not fit is an error.
type initial struct {
	rng     *rand.Rand                 // nil where the weights are given
	given   map[string]*tensors.Tensor // nil where they are drawn
	weights map[string]*tensors.Tensor
	err     error // the first weight that is not as the network needs it
}

func newInitial(seed uint64) *initial {
	return &initial{rng: rand.New(rand.NewPCG(seed, 0)), weights: map[string]*tensors.Tensor{}}
}

func givenWeights(weights map[string]*tensors.Tensor) *initial {
	return &initial{given: weights, weights: map[string]*tensors.Tensor{}}
}

// weight adds a weight.
func (w *initial) weight(name string, number draw.Number, dims ...int) {
	if w.given == nil {
		w.weights[name] = draw.Tensor(w.rng, number, dims...)
		return
	}
	switch t := w.given[name]; {
	case w.err != nil:
	case t == nil:
		w.err = fmt.Errorf("learn: there is no weight %q", name)
	case !slices.Equal(t.Shape().Dimensions, dims):
		w.err = fmt.Errorf("learn: the weight %q is %v, and the network for such images needs %v", name,
			t.Shape().Dimensions, dims)
	default:
		w.weights[name] = t
	}
}

// add adds a layer's weights, normal with variance 2/fan-in (He et al.), and its biases, 0.
func (w *initial) add(name string, fanIn, outputs int, dims ...int) {
	w.weight(name+".weight", draw.Normal(math.Sqrt(2/float64(fanIn))), dims...)
	w.weight(name+".bias", draw.Constant(0), outputs)
}
