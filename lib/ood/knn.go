package ood

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/neighbors"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// KNN is the distance of an image's features from those of the k-th nearest known image, both brought to the length 1:
//
//	‖f/‖f‖ - f_(k)/‖f_(k)‖‖
//
// Sun, Ming, Zhu and Li, "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022, section 3. pytorch-ood
// takes this distance too; the released code takes its square, which ranks images alike. Of the known images
// themselves, each is its own first neighbour.
type KNN struct {
	m    *model.Model
	k    int
	bank *tensors.Tensor // [N, D] float32
}

// FitKNN keeps the features of images that the model was trained on, or others like these, [N, D] float32; labels are
// not needed. k is which neighbour counts; 0 means 50, the paper's for CIFAR-10, which has 200 for CIFAR-100 and 1,000
// for ImageNet. An image whose features are all 0 has no direction, and is left out. It is an error if the model names
// no features, or if there are fewer images than neighbours.
func FitKNN(m *model.Model, known model.Dataset, k int) (*KNN, error) {
	if k == 0 {
		k = 50
	}
	f, err := featuresOf(m, known)
	if err != nil {
		return nil, err
	}
	var flat []float32
	for i := range f.n {
		for _, v := range f.row(i) {
			if v != 0 {
				flat = append(flat, f.row(i)...)
				break
			}
		}
	}
	n := len(flat) / f.d
	if k < 1 || k > n {
		return nil, fmt.Errorf("ood: neighbour %d of %d known images: k lies between 1 and their number", k, n)
	}
	return &KNN{m: m, k: k, bank: tensors.FromFlatDataAndDimensions(flat, n, f.d)}, nil
}

// Name is "KNN", with k.
func (n *KNN) Name() string {
	if n == nil {
		return "KNN"
	}
	return fmt.Sprintf("KNN with neighbour %d", n.k)
}

func (n *KNN) String() string {
	if n == nil || n.m == nil {
		return errNotFitted.Error()
	}
	d := n.bank.Shape().Dimensions
	return fmt.Sprintf("%s among %s by %s of %s", n.Name(), plural.Of(d[0], "image"), plural.Of(d[1], "feature"),
		n.m.Name())
}

// Scores are distances, 0 to 2.
func (n *KNN) Scores(ds model.Dataset) ([]float64, error) {
	if n == nil || n.m == nil {
		return nil, errNotFitted
	}
	f, stopped := featuresOf(n.m, ds)
	if f == nil {
		return nil, stopped
	}
	nearest, err := neighbors.Nearest("ood: neighbours", n.bank, tensors.FromFlatDataAndDimensions(f.flat, f.n, f.d),
		n.k, false)
	if err != nil && !interrupt.Is(err) {
		return nil, fmt.Errorf("ood: %w", err)
	}
	if stopped == nil {
		stopped = err
	}
	var scores []float64
	for _, of := range nearest {
		scores = append(scores, of[n.k-1].Euclidean)
	}
	return scores, stopped
}
