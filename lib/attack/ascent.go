package attack

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// FeatureAttack is gradient ascent with steps of one length and no bound but the range of pixels: it shows what a
// feature looks like to a network, by putting more and more of it into an image. Singla and Feizi, "Salient ImageNet",
// ICLR 2022, where the network is a robust one; of another the result looks like noise.
type FeatureAttack struct {
	Size  float64 // of a step, in the L2 norm; 0 means 10
	Steps int     // 0 means 100
}

// Maximize raises the model's output for each image's class: see [APGD.Maximize]. The images returned are those after
// the last step.
func (a FeatureAttack) Maximize(m *model.Model, images *tensors.Tensor, classes []int) (*AdversarialExamples, error) {
	if a.Size == 0 {
		a.Size = 10
	}
	if a.Steps == 0 {
		a.Steps = 100
	}
	if !(a.Size > 0) || math.IsInf(a.Size, 0) || a.Steps < 1 {
		return nil, fmt.Errorf("attack: a feature attack of %d steps of length %g does nothing", a.Steps, a.Size)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	value := func(x, classes *graph.Node) *graph.Node { return m.ClassLogits(m.Call(x).Logits, classes) }
	nothing := tensors.FromScalarAndDimensions(float32(0), len(classes))
	return ascent{
		what:   "feature attack",
		key:    a,
		rounds: a.Steps,
		step: func(_ *graph.Node, s []*graph.Node) []*graph.Node {
			gradient := graph.Gradient(graph.ReduceAllSum(value(s[0], s[1])), s[0])[0]
			step := graph.MulScalar(L2.Direction(gradient), a.Size)
			x := graph.ClipScalar(graph.Add(s[0], step), 0, 1)
			return []*graph.Node{x, s[1], value(x, s[1])}
		},
		images: 0, values: 2,
	}.run(m, images, model.ClassTensor(classes), nothing)
}

// ascent is a loop on the device over a state with a row for each image.
type ascent struct {
	what   string // in words
	key    any    // all that the program depends on, see model.Exec
	rounds int
	// step returns the state after a round, whose number, an int32 scalar, counts from 0.
	step func(round *graph.Node, state []*graph.Node) []*graph.Node
	// images and values are the places of what was found in the state.
	images, values int
}

// run runs the ascent batch by batch. The state starts with images and more; integers stay, the rest gets the network's
// precision.
func (a ascent) run(m *model.Model, images *tensors.Tensor, more ...*tensors.Tensor) (*AdversarialExamples, error) {
	exec, err := m.Exec(a.key, func(in []*graph.Node) []*graph.Node {
		state := in[2:]
		for i, v := range state {
			if v.DType().IsFloat() {
				state[i] = m.Cast(v)
			}
		}
		return model.LoopPart(in[0], in[1], state, a.step, m)
	})
	if err != nil {
		return nil, err
	}
	n := images.Shape().Dimensions[0]
	size := m.ChunkSize(n)
	found := &AdversarialExamples{}
	var pixels []float32
	var pace paced.Pace
	bar := progress.New(m.Name()+": "+a.what, n)
	defer bar.Close()
	var stopped error
	for lo := 0; lo < n && stopped == nil; lo += size {
		hi := min(lo+size, n)
		var state []*tensors.Tensor
		for _, t := range append([]*tensors.Tensor{images}, more...) {
			part, err := model.PlaceRows(t, lo, hi, size)
			if err != nil {
				return nil, err
			}
			state = append(state, part)
		}
		done, err := pace.Steps(0, a.rounds, func(first, end int) error {
			args := []any{int32(first), int32(end)}
			for _, t := range state {
				args = append(args, t)
			}
			next, err := exec.Call(args...)
			if err != nil {
				return fmt.Errorf("attack: %s: %w", a.what, err)
			}
			model.Free(state...)
			state = next
			return nil
		})
		if stopped = interrupt.After(err, "attack: "+a.what, len(found.Values), n, "images"); stopped != nil &&
			!interrupt.Is(err) {
			return nil, err
		}
		if done == 0 {
			break
		}
		best, err := float32s(state[a.images])
		if err != nil {
			return nil, err
		}
		values, err := float32s(state[a.values])
		if err != nil {
			return nil, err
		}
		pixels = append(pixels, best[:(hi-lo)*len(best)/size]...)
		for _, v := range values[:hi-lo] {
			found.Values = append(found.Values, float64(v))
		}
		bar.Add(hi - lo)
	}
	if len(found.Values) == 0 {
		return nil, stopped
	}
	d := images.Shape().Dimensions
	found.Images = tensors.FromFlatDataAndDimensions(pixels, len(found.Values), d[1], d[2], d[3])
	return found, stopped
}

// float32s reads what a network of either precision computed.
func float32s(t *tensors.Tensor) ([]float32, error) {
	if t.DType() != dtypes.Float64 {
		return tensors.CopyFlatData[float32](t)
	}
	double, err := tensors.CopyFlatData[float64](t)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	out := make([]float32, len(double))
	for i, v := range double {
		out[i] = float32(v)
	}
	return out, nil
}
