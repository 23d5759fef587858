package spurious

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Tuning says how a head is trained: by stochastic gradient descent on the cross entropy. Zero values are the authors'
// settings for mitigation.
type Tuning struct {
	LearningRate float64 // 0 means 0.001
	Momentum     float64 // 0 means 0.9; negative none
	Epochs       int     // at most; 0 means 20
	BatchSize    int     // 0 means 128
	Seed         uint64  // of the order in which examples come
	// Until is asked after each epoch; training ends when it says so. Nil means never.
	Until func(head *model.Head) bool
}

// TuneHead trains a head further on examples, starting from its weights, which stay as they are. Trained on the least
// spurious examples, [Ranking.Low], until [SpuriousGap] on images for validation is small enough, it mitigates the bias
// by spurious features (Moayeri et al., section 4.3). Interrupted, it returns the head after the last whole epoch
// beside the error.
func TuneHead(head *model.Head, e Examples, t Tuning) (*model.Head, error) {
	if err := head.Check(); err != nil {
		return nil, fmt.Errorf("spurious: %w", err)
	}
	k, _ := head.Weights.Dims()
	n := len(e.Labels)
	if n == 0 {
		return nil, fmt.Errorf("spurious: there are no examples to tune a head on")
	}
	if err := check(e.Features, head, 0); err != nil {
		return nil, err
	}
	for i, l := range e.Labels {
		if l < 0 || l >= k {
			return nil, fmt.Errorf("spurious: example %d has the label %d, and the classes are 0 to %d", i, l, k-1)
		}
	}
	if t.LearningRate == 0 {
		t.LearningRate = 0.001
	}
	if t.Momentum == 0 {
		t.Momentum = 0.9
	}
	if t.Epochs == 0 {
		t.Epochs = 20
	}
	if t.BatchSize == 0 {
		t.BatchSize = 128
	}
	if t.LearningRate < 0 || t.Epochs < 0 || t.BatchSize < 0 {
		return nil, fmt.Errorf("spurious: a learning rate of %g, %d epochs and batches of %d train nothing", t.LearningRate,
			t.Epochs, t.BatchSize)
	}
	size := min(t.BatchSize, n)
	whole, rest := n/size, n%size
	steps, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		return model.LoopPart(in[0], in[1], in[2:], func(round *graph.Node, s []*graph.Node) []*graph.Node {
			return step(round, s, t.LearningRate, max(t.Momentum, 0))
		})[:4]
	})
	if err != nil {
		return nil, err
	}
	bias := mat.NewDense(1, k, append([]float64(nil), head.Bias...))
	state := []*tensors.Tensor{tensor(head.Weights), tensor(bias), tensors.FromShape(tensor(head.Weights).Shape()),
		tensors.FromShape(tensor(bias).Shape())}
	rng := rand.New(rand.NewPCG(t.Seed, 1))
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	bar := progress.New("tuning the last layer", t.Epochs)
	defer bar.Close()
	out := head
	var pace paced.Pace
	for range t.Epochs {
		rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, part := range []struct{ from, times, size int }{{0, whole, size}, {whole * size, min(rest, 1), rest}} {
			if part.times == 0 {
				continue
			}
			x, y := batches(e, order[part.from:], part.times, part.size)
			if _, err := pace.Steps(0, part.times, func(first, end int) (err error) {
				state, err = steps.Call(int32(first), int32(end), state[0], state[1], state[2], state[3], x, y)
				return err
			}); interrupt.Is(err) {
				return out, err
			} else if err != nil {
				return nil, fmt.Errorf("spurious: %w", err)
			}
		}
		if out, err = headOf(state); err != nil {
			return nil, err
		}
		bar.Add(1)
		if t.Until != nil && t.Until(out) {
			break
		}
	}
	return out, nil
}

// step is one of gradient descent with momentum, as PyTorch's SGD does it. It is no learn.Run, which calls the device
// for each step: one of a head takes microseconds, a call a millisecond, and a loop on the device is slow only where it
// has convolutions. The state is the weights and the bias, their velocities, and the epoch's batches, [T, B, D] and [T,
// B].
func step(round *graph.Node, s []*graph.Node, rate, momentum float64) []*graph.Node {
	w, b, vw, vb, xs, ys := s[0], s[1], s[2], s[3], s[4], s[5]
	g := w.Graph()
	zero := graph.ZerosLike(round)
	dims := xs.Shape().Dimensions
	x := graph.Reshape(graph.DynamicSlice(xs, []*graph.Node{round, zero, zero}, []int{1, dims[1], dims[2]}),
		dims[1], dims[2])
	y := graph.Reshape(graph.DynamicSlice(ys, []*graph.Node{round, zero}, []int{1, dims[1]}), dims[1])
	k := w.Shape().Dimensions[0]
	target := graph.OneHot(y, k, w.DType())
	logits := graph.Add(graph.Einsum("nd,kd->nk", x, w), b)
	// The gradient of the mean cross entropy by the logits.
	by := graph.DivScalar(graph.Sub(graph.Softmax(logits, -1), target), float64(dims[1]))
	gw := graph.Einsum("nk,nd->kd", by, x)
	gb := graph.ReduceAndKeep(by, graph.ReduceSum, 0)
	m, lr := graph.Scalar(g, w.DType(), momentum), graph.Scalar(g, w.DType(), rate)
	vw = graph.Add(graph.Mul(vw, m), gw)
	vb = graph.Add(graph.Mul(vb, m), gb)
	return []*graph.Node{graph.Sub(w, graph.Mul(vw, lr)), graph.Sub(b, graph.Mul(vb, lr)), vw, vb, xs, ys}
}

// batches puts examples in an order into tensors [times, size, D] and [times, size].
func batches(e Examples, order []int, times, size int) (x, y *tensors.Tensor) {
	_, d := e.Features.Dims()
	features, labels := make([]float32, 0, times*size*d), make([]int32, 0, times*size)
	for _, at := range order[:times*size] {
		for _, v := range e.Features.RawRowView(at) {
			features = append(features, float32(v))
		}
		labels = append(labels, int32(e.Labels[at]))
	}
	return tensors.FromFlatDataAndDimensions(features, times, size, d), tensors.FromFlatDataAndDimensions(labels,
		times, size)
}

func headOf(state []*tensors.Tensor) (*model.Head, error) {
	weights, err := matrix(state[0])
	if err != nil {
		return nil, err
	}
	bias, err := matrix(state[1])
	if err != nil {
		return nil, err
	}
	return &model.Head{Weights: weights, Bias: append([]float64(nil), bias.RawRowView(0)...)}, nil
}

// WithHead returns the model with another last layer for its classes.
func WithHead(m *model.Model, head *model.Head) (*model.Model, error) {
	if err := head.Check(); err != nil {
		return nil, fmt.Errorf("spurious: %w", err)
	}
	if k, _ := head.Weights.Dims(); k != m.NumClasses() {
		return nil, fmt.Errorf("spurious: the head has %d classes and %s %d", k, m.Name(), m.NumClasses())
	}
	return m.WithHead(m.Name()+" with another head", head, m.Spec().Classes)
}
