package display

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// edges are the figures of bench/oracles/edges.py.
func edges[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/edges.npz", name)
}

// The golden is scikit-learn's calibration_curve, with many confidences on the ends of bins.
func TestReliabilityIsScikitLearnsCurve(t *testing.T) {
	r := Reliability{Confidences: edges[float64](t, "confidences"), Bins: 8}
	for _, v := range edges[int64](t, "correct") {
		r.Correct = append(r.Correct, v == 1)
	}
	points, err := r.points()
	if err != nil {
		t.Fatal(err)
	}
	var curve, share []float64
	for _, p := range points {
		curve, share = append(curve, p.confidence, p.accuracy), append(share, p.share)
	}
	if err := approx.All(curve, edges[float64](t, "curve"), 1e-12); err != nil {
		t.Errorf("mean confidences and accuracies: %v", err)
	}
	if err := approx.All(share, edges[float64](t, "share"), 1e-12); err != nil {
		t.Errorf("shares: %v", err)
	}
}

// The golden is scikit-learn's confusion_matrix.
func TestConfusionIsNormalizedAsScikitLearnDoes(t *testing.T) {
	flat := edges[float64](t, "counts")
	var counts [][]float64
	for i := range 4 {
		counts = append(counts, flat[4*i:4*i+4])
	}
	for _, normalize := range []bool{false, true} {
		want := flat
		if normalize {
			want = edges[float64](t, "normalized")
		}
		m, largest, err := Confusion{Counts: counts, Normalize: normalize}.values()
		if err != nil {
			t.Fatal(err)
		}
		var got []float64
		most := 0.0
		for i, row := range m {
			got, most = append(got, row...), max(most, want[4*i], want[4*i+1], want[4*i+2], want[4*i+3])
		}
		if err := approx.All(got, want, 1e-12); err != nil || !approx.Equal(largest, most, 1e-12) {
			t.Errorf("normalized %t: the largest is %v, want %v: %v", normalize, largest, most, err)
		}
	}
}

func TestConfusionSaysWhatItsRowsAndColumnsAre(t *testing.T) {
	counts := [][]float64{{2, 1}, {0, 3}}
	for _, c := range []struct {
		matrix        Confusion
		rows, columns string
	}{
		{Confusion{Counts: counts}, "true", "predicted"},
		{Confusion{Counts: counts, Rows: "given", Columns: "seems"}, "given", "seems"},
	} {
		p, err := c.matrix.Plot()
		if err != nil {
			t.Fatal(err)
		}
		if p.Y.Label.Text != c.rows || p.X.Label.Text != c.columns {
			t.Errorf("rows are %q and columns %q, want %q and %q", p.Y.Label.Text, p.X.Label.Text, c.rows, c.columns)
		}
	}
}

// The golden is NumPy's histogram, with many values on the edges of bins.
func TestHistogramIsNumPys(t *testing.T) {
	bars, err := Histogram{Values: edges[float64](t, "values"), Bins: 16}.bars()
	if err != nil {
		t.Fatal(err)
	}
	var heights []float64
	ends := []float64{bars.Bins[0].Min}
	for _, b := range bars.Bins {
		heights, ends = append(heights, b.Weight), append(ends, b.Max)
	}
	if err := approx.All(heights, edges[float64](t, "heights"), 0); err != nil {
		t.Errorf("heights: %v", err)
	}
	if err := approx.All(ends, edges[float64](t, "edges"), 1e-12); err != nil {
		t.Errorf("edges: %v", err)
	}
}
