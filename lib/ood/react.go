package ood

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// ReAct cuts an image's features down to a value that most features of known images stay below, and scores the logits
// of what is left by [Energy]: unknown images often have few features that are very large. Sun, Guo and Li, "ReAct:
// Out-of-distribution Detection With Rectified Activations", NeurIPS 2021, section 3.
type ReAct struct {
	m    *model.Model
	head *model.Head
	most float64
}

// FitReAct finds that value from images that the model was trained on, or others like these: the percentile of all
// features of all of them, interpolated as NumPy does. 0 means the paper's, 90. Labels are not needed. It holds the
// features of all images, [N, D] float32, while it fits. It is an error if the model names no features, or if its
// logits are not linear in them.
func FitReAct(m *model.Model, known model.Dataset, percentile float64) (*ReAct, error) {
	if percentile == 0 {
		percentile = 90
	}
	if !(percentile > 0 && percentile <= 100) {
		return nil, fmt.Errorf("ood: ReAct at the percentile %v: it lies between 0 and 100", percentile)
	}
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	f, err := featuresOf(m, known)
	if err != nil {
		return nil, err
	}
	slices.Sort(f.flat)
	at := percentile / 100 * float64(len(f.flat)-1)
	lo := int(at)
	low, high := float64(f.flat[lo]), float64(f.flat[min(lo+1, len(f.flat)-1)])
	return &ReAct{m: m, head: head, most: low + (at-float64(lo))*(high-low)}, nil
}

// Threshold is the value that features are cut down to.
func (r *ReAct) Threshold() float64 { return r.most }

// Name is "ReAct".
func (*ReAct) Name() string { return "ReAct" }

func (r *ReAct) String() string {
	if r == nil || r.m == nil {
		return errNotFitted.Error()
	}
	return fmt.Sprintf("ReAct over the features of %s, cut at %.4g", r.m.Name(), r.most)
}

// Scores are energies.
func (r *ReAct) Scores(ds model.Dataset) ([]float64, error) {
	if r == nil || r.m == nil {
		return nil, errNotFitted
	}
	f, stopped := featuresOf(r.m, ds)
	if f == nil {
		return nil, stopped
	}
	var scores []float64
	f.blocks(func(_ int, x *mat.Dense) {
		x.Apply(func(_, _ int, v float64) float64 { return min(v, r.most) }, x)
		energies, _ := energies(r.head, x)
		scores = append(scores, energies...)
	})
	return scores, stopped
}
