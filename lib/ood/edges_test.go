package ood

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The golden is scikit-learn's, picture by picture and of all pixels together: bench/oracles/edges.py.
func TestPixelsAgreeWithScikitLearn(t *testing.T) {
	const file = "testdata/edges.npz"
	var unknown []bool
	for _, v := range oracle.Read[int64](t, file, "unknown") {
		unknown = append(unknown, v == 1)
	}
	s, err := DetectPixels(oracle.Read[float64](t, file, "scores"), unknown, 12)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Detection{"mean": s.Mean, "pooled": s.Pooled} {
		if err := approx.All([]float64{d.AUROC, d.AUPR, d.Prevalence, d.FPR95}, oracle.Read[float64](t, file, name), 1e-12); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d.Unknown != 13 || d.Known != 35 {
			t.Errorf("%s: %d unknown pixels and %d known ones", name, d.Unknown, d.Known)
		}
	}
	if s.Pictures != 4 || s.Left != 1 {
		t.Errorf("%d pictures, %d left out", s.Pictures, s.Left)
	}
}

// A probability of just a half is a confidence of 0.5.
func TestAnImageOfJustTheConfidenceDeceives(t *testing.T) {
	logits := tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 1, 0, -1}, 3, 2)
	if got, err := Deceiving(logits, 0.5); err != nil || !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("%v (%v)", got, err)
	}
}
