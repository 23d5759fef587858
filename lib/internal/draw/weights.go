package draw

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"
)

// Weights are layers' weights by name, in the order in which they are asked for.
type Weights struct {
	All    map[string]*tensors.Tensor
	prefix string
	rng    *rand.Rand
}

// New begins with no weights. prefix comes before all names; seed and stream say what is drawn.
func New(prefix string, seed, stream uint64) *Weights {
	return &Weights{map[string]*tensors.Tensor{}, prefix, rand.New(rand.NewPCG(seed, stream))}
}

// Uniform draws a layer's weight, of these dimensions, and its bias between ±1/√fan-in.
func (w *Weights) Uniform(name string, fanIn, outputs int, dims ...int) {
	w.All[w.prefix+name+".weight"], w.All[w.prefix+name+".bias"] = Tensor(w.rng, Uniform(fanIn), dims...),
		Tensor(w.rng, Uniform(fanIn), outputs)
}

// Norm is a batch normalisation that changes nothing.
func (w *Weights) Norm(name string, channels int) {
	for part, value := range map[string]float64{"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1} {
		w.All[w.prefix+name+"."+part] = Tensor(w.rng, Constant(value), channels)
	}
}

// UnitRows are n random directions of d dimensions, [n, d], uniform on the sphere.
func UnitRows(n, d int, seed, stream uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, stream))
	values := make([]float32, n*d)
	for i := 0; i < len(values); i += d {
		row, sum := values[i:i+d], 0.0
		for k := range row {
			v := rng.NormFloat64()
			row[k], sum = float32(v), sum+v*v
		}
		for k := range row {
			row[k] /= float32(math.Sqrt(sum))
		}
	}
	return tensors.FromFlatDataAndDimensions(values, n, d)
}
