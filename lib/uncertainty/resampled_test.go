package uncertainty

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// Labels drawn from probabilities have these shares, and give the surest model no more than the calibration error of
// chance.
func TestResampledLabelsFollowTheProbabilities(t *testing.T) {
	const n = 20000
	var flat []float32
	labels := make([]int, n)
	for range n {
		flat = append(flat, 0.7, 0, 0.2, 0.1)
	}
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, n, 4), labels)
	if err != nil {
		t.Fatal(err)
	}
	drawn := p.Resampled(1)
	given := drawn.LabelProbability()
	shares := make([]float64, 4)
	for i, label := range drawn.Labels() {
		shares[label] += 1.0 / n
		if want := float64(flat[label]); !(math.Abs(given[i]-want) < 1e-6) {
			t.Fatalf("the label %d of image %d has the probability %v, want %v", label, i, given[i], want)
		}
	}
	// Five standard deviations of a binomial share.
	for c, want := range []float64{0.7, 0, 0.2, 0.1} {
		if !(math.Abs(shares[c]-want) <= 5*math.Sqrt(want*(1-want)/n)) {
			t.Errorf("class %d is drawn in %v, its probability is %v", c, shares[c], want)
		}
	}
	error := func(p *Predictions) float64 {
		v, err := p.ExpectedCalibrationError(EqualWidth(15))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if before, after := error(p), error(drawn); !(math.Abs(before-0.3) < 1e-6 && after < 0.02) {
		t.Errorf("the calibration error is %v with the labels all 0, and %v with drawn ones", before, after)
	}
	if !slices.Equal(drawn.Labels(), p.Resampled(1).Labels()) || slices.Equal(drawn.Labels(), p.Resampled(2).Labels()) ||
		p.Labels()[0] != 0 {
		t.Error("draws do not depend on the seed alone, or the predictions themselves changed")
	}
}
