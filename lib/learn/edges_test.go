package learn

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// The loss is the cross entropy and 1/N of the divergence from the prior. The golden is SciPy's and PyTorch's, bench/oracles/edges.py; the weights' distributions
// are so narrow that their draws change it by less than a thousandth.
func TestTheLossOfDistributionsIsTheNegativeEvidenceLowerBound(t *testing.T) {
	const file = "testdata/edges.npz"
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "weights"), 2, 3),
		"linear.bias":   tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2),
	}, model.Spec{Name: "linear", Height: 1, Width: 3, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", b.Features(graph.Reshape(x, -1, 3)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Variational(m, 1e-4, nil); err != nil {
		t.Fatal(err)
	}
	var labels []int
	for _, v := range oracle.Read[int64](t, file, "labels") {
		labels = append(labels, int(v))
	}
	x := tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "x"), 6, 1, 3, 1)
	_, history, err := Recipe{Epochs: 1, BatchSize: 6, LearningRate: 1e-9}.Train(m, x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if want := oracle.Read[float64](t, file, "loss")[0]; len(history) != 1 || !approx.Equal(history[0].Loss, want, 1e-3) {
		t.Errorf("the loss is %v, want %v", history, want)
	}
}
