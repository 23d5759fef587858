package uncertainty

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// edges are the figures of bench/oracles/edges.py.
func edges[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/edges.npz", name)
}

// NumPy's digitize says where values on the ends of bins go, (lo, hi].
func TestValuesOnTheEndsOfBinsAreWhereNumPyPutsThem(t *testing.T) {
	for name, by := range map[string]Binning{"width": EqualWidth(100), "mass": EqualMass(8)} {
		values := edges[float64](t, name+"_values")
		want := make([]int, by.number)
		sums := make([]float64, by.number)
		for i, bin := range edges[int64](t, name+"_bins") {
			want[bin]++
			sums[bin] += values[i]
		}
		bins, err := by.cut(values, func(i int) float64 { return float64(i % 2) })
		if err != nil {
			t.Fatal(err)
		}
		for k, bin := range bins {
			if bin.Accuracy.Total != want[k] || want[k] > 0 && !approx.Equal(bin.Confidence, sums[k]/float64(want[k]), 1e-12) {
				t.Errorf("%s: bin %d is %+v, NumPy has %d values there with the sum %v", name, k, bin, want[k], sums[k])
			}
		}
		if name == "mass" {
			ends := []float64{bins[0].Low}
			for _, bin := range bins {
				ends = append(ends, bin.High)
			}
			if err := approx.All(ends, edges[float64](t, "mass_edges"), 0); err != nil {
				t.Errorf("the ends of the bins: %v", err)
			}
		}
	}
}

// tied are predictions of two classes with the oracle's confidences, some of them equal.
func tied(t *testing.T) *Predictions {
	t.Helper()
	var flat []float32
	var labels []int
	correct := edges[int64](t, "tied_correct")
	for i, c := range edges[float64](t, "tied_confidence") {
		flat = append(flat, float32(c), float32(1-c))
		labels = append(labels, 1-int(correct[i]))
	}
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, len(labels), 2), labels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The authors' AURRA depends on the order of images of equal confidence; the golden is its mean over all orders.
func TestAURRAOfEqualConfidencesIsThatOfRandomOrder(t *testing.T) {
	if got, want := tied(t).AURRA(), edges[float64](t, "tied_aurra")[0]; !approx.Equal(got, want, 1e-12) {
		t.Errorf("AURRA is %v, want %v", got, want)
	}
}

func TestAThresholdThatIsJustReachedKeepsTheImage(t *testing.T) {
	kept, err := tied(t).AccuracyAtConfidence(0.5, 0.625, 0.75, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := edges[float64](t, "tied_kept")
	for i, k := range kept {
		if float64(k.Accuracy.Total) != want[2*i] || !approx.Equal(k.Accuracy.Share(), want[2*i+1], 1e-12) {
			t.Errorf("from %v on, %v of the images are right, want %v with a share of %v", k.Threshold, k.Accuracy, want[2*i], want[2*i+1])
		}
	}
}

// A hundredth of what is missing to 1 may be rounding in half precision; more is not.
func TestProbabilitiesHaveToSumToOne(t *testing.T) {
	for sum, fine := range map[float32]bool{1.009: true, 0.991: true, 1.011: false, 0.989: false} {
		_, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.5, sum - 0.5}, 1, 2), []int{0})
		if (err == nil) != fine {
			t.Errorf("probabilities with the sum %v: %v", sum, err)
		}
	}
}

// The golden is SciPy's softmax of the logits divided by the temperature.
func TestWithTemperatureDividesLogits(t *testing.T) {
	flat := edges[float32](t, "logits")
	logits := tensors.FromFlatDataAndDimensions(flat, 6, 1, 4, 1)
	m, err := model.FromFunc(model.Spec{Name: "as given", Height: 1, Width: 4, Channels: 1}, func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 4) })
	if err != nil {
		t.Fatal(err)
	}
	want := edges[float64](t, "at_temperature")
	for i, temperature := range []float64{0.5, 1, 3} {
		cooled, err := WithTemperature(m, temperature)
		if err != nil {
			t.Fatal(err)
		}
		p, err := cooled.Probabilities(logits)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](p), want[24*i:24*(i+1)], 1e-6); err != nil {
			t.Errorf("at temperature %v: %v", temperature, err)
		}
		before, err1 := m.Predict(logits)
		after, err2 := cooled.Predict(logits)
		if err1 != nil || err2 != nil || !slices.Equal(before, after) {
			t.Errorf("at temperature %v the classes are %v, before %v (%v, %v)", temperature, after, before, err1, err2)
		}
	}
	if _, err := WithTemperature(m, 0); err == nil || !strings.Contains(err.Error(), "positive") {
		t.Errorf("a temperature of 0: %v", err)
	}
}

// A class may have no probability at all, and no image may be as sure as is asked for.
func TestPredictionsAtTheEnds(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{1, 0, 0.25, 0.75}, 2, 2), []int{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Correct(), []bool{true, false}) || !slices.Equal(p.Predicted(), []int{0, 1}) || !slices.Equal(p.Labels(), []int{0, 0}) || p.Len() != 2 {
		t.Errorf("correct %v, predicted %v, labels %v of %d", p.Correct(), p.Predicted(), p.Labels(), p.Len())
	}
	if err := approx.All(p.LabelProbability(), []float64{1, 0.25}, 1e-12); err != nil {
		t.Error(err)
	}
	kept, err := tied(t).AccuracyAtConfidence(0, 1)
	if err != nil || kept[0].Count != 7 || kept[1].Count != 1 {
		t.Errorf("%+v (%v)", kept, err)
	}
	unsure, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5}, 1, 2), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	none, err := unsure.AccuracyAtConfidence(0.75)
	if err != nil || none[0].Count != 0 || !math.IsNaN(none[0].Accuracy) || none[0].Interval.Low != 0 || none[0].Interval.High != 1 {
		t.Errorf("%+v (%v)", none, err)
	}
	for _, bad := range [][]float64{nil, {-0.01}, {1.01}} {
		if _, err := unsure.AccuracyAtConfidence(bad...); err == nil {
			t.Errorf("thresholds %v are taken", bad)
		}
	}
	d := p.Diagram("")
	if d.Title != "2 images, 50.0% right" || !slices.Equal(d.Correct, p.Correct()) || !slices.Equal(d.Confidences, p.Confidence()) || p.Diagram("mine").Title != "mine" {
		t.Errorf("%+v", d)
	}
	for want, by := range map[string]Binning{"3 bins of equal width": EqualWidth(3), "4 bins of equal mass": EqualMass(4), "bins of 5, without the last": Adaptive(5).WithoutLast()} {
		if by.String() != want {
			t.Errorf("%q, want %q", by, want)
		}
	}
}
