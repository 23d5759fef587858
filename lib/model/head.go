package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
)

// Head is a network's last linear layer: logits = Weights · features + Bias.
type Head struct {
	Weights *mat.Dense // [K, D], a row for each class
	Bias    []float64  // [K]
}

type (
	headKey              struct{}
	featuresAndLogitsKey struct{}
)

// Head returns the layer between the model's features and its logits. It is read off the network's derivatives, so that
// it is found in any network that names its features, wherever it comes from. It is an error where the logits are not
// linear in the features.
func (m *Model) Head() (*Head, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	if m.features == 0 {
		return nil, m.namesNoFeatures()
	}
	if m.binary() {
		return nil, fmt.Errorf("model: %s tells two classes apart by one output: its last layer has no row for each class",
			m.spec.Name)
	}
	m.mu.Lock()
	head := m.head
	m.mu.Unlock()
	if head != nil {
		return head, nil
	}
	// The row of class k is the gradient of logit k. It does not depend on the image, and so XLA leaves the network
	// out.
	size := m.ChunkSize(m.classes)
	blank := tensors.FromShape(m.imageShape(size))
	rows, err := m.run("reading the last layer", headKey{}, func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		gradient := graph.Gradient(graph.ReduceAllSum(m.ClassLogits(out.Logits, in[1])), out.Features)[0]
		return []*graph.Node{graph.Reshape(gradient, gradient.Shape().Dimensions[0], m.features)}
	}, m.classes, nil, func(lo, hi, size int) ([]any, error) {
		classes := make([]int, size)
		for i := range classes {
			classes[i] = min(lo+i, hi-1)
		}
		return []any{blank, ClassTensor(classes)}, nil
	})
	if err != nil {
		return nil, err
	}
	weights, err := floats(rows[0])
	if err != nil {
		return nil, err
	}
	head = &Head{Weights: mat.NewDense(m.classes, m.features, weights), Bias: make([]float64, m.classes)}
	if err := m.readBias(head); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.head = head
	m.mu.Unlock()
	return head, nil
}

func (m *Model) namesNoFeatures() error {
	return fmt.Errorf("model: %s names no features: record them with the Builder's Features when you make the model",
		m.spec.Name)
}

// readBias finds the bias from one image, and checks by another one that the layer is linear.
func (m *Model) readBias(h *Head) error {
	probes := tensors.FromShape(m.imageShape(2))
	if err := tensors.MutableFlatData(probes, func(flat []float32) {
		for i := range flat[len(flat)/2:] {
			flat[len(flat)/2+i] = float32(0.5 + 0.5*math.Sin(float64(i)))
		}
	}); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	results, err := m.Map("features and logits", featuresAndLogitsKey{}, func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		return []*graph.Node{graph.Reshape(out.Features, out.Features.Shape().Dimensions[0], m.features), out.Logits}
	}, probes)
	if err != nil {
		return err
	}
	features, err := floats(results[0])
	if err != nil {
		return err
	}
	logits, err := floats(results[1])
	if err != nil {
		return err
	}
	var products mat.Dense
	products.Mul(mat.NewDense(2, m.features, features), h.Weights.T())
	for k := range h.Bias {
		h.Bias[k] = logits[k] - products.At(0, k)
		scale := 1 + math.Abs(logits[m.classes+k]) + math.Abs(logits[k])
		if off := logits[m.classes+k] - products.At(1, k) - h.Bias[k]; !(math.Abs(off) <= 1e-3*scale) {
			return fmt.Errorf("model: the logits of %s are no linear function of what it names its features (class %d is off "+
				"by %.3g): name the input of the last linear layer so", m.spec.Name, k, off)
		}
	}
	return nil
}

// WithHead is the network with another last layer on its features, such as one that was fitted to them, for the same
// classes or for others: classes are their names, nil if they have none. The weights are shared.
func (m *Model) WithHead(name string, head *Head, classes []string) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if err := head.Check(); err != nil {
		return nil, err
	}
	k, d := head.Weights.Dims()
	if m.features == 0 {
		return nil, m.namesNoFeatures()
	}
	if m.features != d {
		return nil, fmt.Errorf("model: the head is for %d features, and %s has %d", d, m.spec.Name, m.features)
	}
	layer := "another head"
	for m.weights[layer+"/weights"] != nil {
		layer = "another " + layer
	}
	weights, bias := make([]float32, 0, k*d), make([]float32, k)
	for i := range k {
		for _, w := range head.Weights.RawRowView(i) {
			weights = append(weights, float32(w))
		}
		bias[i] = float32(head.Bias[i])
	}
	more := map[string]*tensors.Tensor{layer + "/weights": tensors.FromFlatDataAndDimensions(weights, k, d),
		layer + "/bias": tensors.FromFlatDataAndDimensions(bias, k)}
	return m.Extend(name, classes, more, func(b *Builder, out Outputs) *graph.Node {
		features := graph.Reshape(out.Features, out.Features.Shape().Dimensions[0], d)
		return graph.Add(graph.Einsum("nd,kd->nk", features, b.Weight(layer+"/weights")),
			graph.ExpandAxes(b.Weight(layer+"/bias"), 0))
	})
}

// imageShape is that of n images which the model takes.
func (m *Model) imageShape(n int) shapes.Shape {
	return shapes.Make(dtypes.Float32, n, m.spec.Height, m.spec.Width, m.spec.Channels)
}

// floats returns the values of a tensor of either precision.
func floats(t *tensors.Tensor) ([]float64, error) {
	if t.DType() == dtypes.Float64 {
		return tensors.CopyFlatData[float64](t)
	}
	single, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	out := make([]float64, len(single))
	for i, v := range single {
		out[i] = float64(v)
	}
	return out, nil
}
