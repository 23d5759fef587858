package ood

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/stats"
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
		if err := approx.All([]float64{d.AUROC, d.AUPR, d.Prevalence, d.FPR95, d.FPR95Nearest}, oracle.Read[float64](t, file, name), 1e-12); err != nil {
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

// The interval is of 1,000 draws from all scores, known and unknown ones together.
func TestAUROCsIntervalIsABootstrap(t *testing.T) {
	unknown, known := []float64{3, 1, 4, 1.5, 9}, []float64{2, 6, 0.5, 0.3, 5.8, 1, 2}
	all := append(slices.Clone(unknown), known...)
	want, err := stats.Bootstrap(len(all), 1000, 0.05, 3, func(sample []int) float64 {
		var of [2][]float64
		for _, i := range sample {
			side := 0
			if i >= len(unknown) {
				side = 1
			}
			of[side] = append(of[side], all[i])
		}
		area, err := stats.AUROC(of[0], of[1])
		if err != nil {
			return math.NaN()
		}
		return area
	})
	if got, err2 := AUROCInterval(unknown, known, 3); err != nil || err2 != nil || got != want {
		t.Errorf("%v, want %v (%v, %v)", got, want, err, err2)
	}
}

func TestNamesAndTablesSayWhatIsMeasured(t *testing.T) {
	for want, s := range map[string]Score{"energy": Energy{Temperature: 1}, "energy at temperature 2.5": Energy{Temperature: 2.5}} {
		if got := s.Name(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := (&KLMatching{typical: [][]float64{{-1}, nil, {-2}}}).String(), "KL matching with the typical probabilities of 2 of 3 classes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s, err := DetectPixels([]float64{1, 2, 3, 4, 5, 6}, []bool{false, true, false, true, false, false}, 2)
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Table()
	if err != nil || table.Title != "2 pictures, and 1 left out that hold only known or only unknown pixels" || len(table.Rows) != 2 ||
		table.Header[0] != "measured" || table.Rows[0][0] != "mean over pictures" || table.Rows[1][0] != "all pixels together" {
		t.Errorf("%+v (%v)", table, err)
	}
}
