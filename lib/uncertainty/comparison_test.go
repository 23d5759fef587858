package uncertainty

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

// noisy are predictions of 40 images of three classes, right the more often the larger the scale.
func noisy(t *testing.T, scale float64, seed uint64) *Predictions {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var flat []float32
	var labels []int
	for i := range 40 {
		for c := range 3 {
			v := rng.NormFloat64()
			if c == i%3 {
				v += scale
			}
			flat = append(flat, float32(v))
		}
		labels = append(labels, i%3)
	}
	p, err := FromLogits(tensors.FromFlatDataAndDimensions(flat, 40, 3), labels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Drawn images are those that would have been predicted had they been asked about: once, twice, or not at all.
func TestPredictionsOfDrawnImages(t *testing.T) {
	p := noisy(t, 1, 1)
	images := []int{3, 3, 0, 39}
	var flat []float32
	var labels []int
	for _, i := range images {
		flat, labels = append(flat, p.row(i)...), append(labels, p.labels[i])
	}
	want, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, 4, 3), labels)
	if err != nil {
		t.Fatal(err)
	}
	got := p.drawn(images)
	for _, m := range []Measure{AccuracyShare, BrierScore, ECE, RMSCalibration(2), AURRA, SoftF1} {
		a, err := m.Of(got)
		b, err2 := m.Of(want)
		if err != nil || err2 != nil || !approx.Equal(a, b, 1e-6) { // softmax and its own sum round differently
			t.Errorf("%s: %g, want %g (%v, %v)", m.Name, a, b, err, err2)
		}
	}
}

// Of accuracies the bootstrap is that of counts; of a model beside itself there is no difference; and labels drawn from
// the probabilities are Resampled's.
func TestModelsBesideEachOther(t *testing.T) {
	weak, strong := noisy(t, 0.5, 1), noisy(t, 3, 2)
	b := &Comparison{Draws: 100}
	b.Add("weak", weak)
	b.Add("strong", strong)
	claims, err := b.Compared("weak", []Measure{AccuracyShare}, "strong", "weak")
	if err != nil {
		t.Fatal(err)
	}
	right := func(p *Predictions, sample []int) float64 {
		n := 0.0
		for _, i := range sample {
			n += p.right(i)
		}
		return n / float64(len(sample))
	}
	c := claims[0]
	if c.Name != "strong: accuracy" || c.Control != "weak" || c.N != 40 || c.Value != strong.Accuracy().Share() ||
		c.ControlValue != weak.Accuracy().Share() {
		t.Errorf("%+v", c)
	}
	for _, m := range []struct {
		low, high float64
		of        func(sample []int) float64
	}{
		{c.Low, c.High, func(s []int) float64 { return right(strong, s) }},
		{c.ControlLow, c.ControlHigh, func(s []int) float64 { return right(weak, s) }},
		{c.DifferenceLow, c.DifferenceHigh, func(s []int) float64 { return right(strong, s) - right(weak, s) }},
	} {
		i, err := stats.Bootstrap(40, 100, 0.05, 1, m.of)
		if err != nil || !approx.Equal(m.low, i.Low, 1e-12) || !approx.Equal(m.high, i.High, 1e-12) {
			t.Errorf("%g to %g, want %v (%v)", m.low, m.high, i, err)
		}
	}
	if c := claims[1]; c.Difference != 0 || c.DifferenceLow != 0 || c.DifferenceHigh != 0 {
		t.Errorf("a model beside itself: %+v", c)
	}
	calibrated, err := b.Calibrated(RMSCalibration(10))
	if err != nil || len(calibrated) != 2 || calibrated[1].Name != "strong by itself: RMS calibration error" {
		t.Fatalf("%+v (%v)", calibrated, err)
	}
	var sum float64
	for seed := range uint64(100) {
		v, err := strong.Resampled(seed).RMSCalibrationError(Adaptive(10))
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if c := calibrated[1]; !approx.Equal(c.ControlValue, sum/100, 1e-12) ||
		!(c.ControlLow < c.ControlValue && c.ControlValue < c.ControlHigh) {
		t.Errorf("if it were calibrated: %+v, want %g", c, sum/100)
	}
	text := b.Bundle().Data[mime.Text]
	for _, want := range []string{"soft F1", "AURRA", "RMS calibration error", "strong"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not have %q:\n%s", want, text)
		}
	}
}

func TestModelsThatCannotBeCompared(t *testing.T) {
	b := &Comparison{Draws: 100}
	p := noisy(t, 1, 1)
	b.Add("one", p)
	b.Add("fewer", p.drawn([]int{0, 1, 2}))
	for want, call := range map[string]func() error{
		`no model "two"`:   func() error { _, err := b.Compared("two", []Measure{AURRA}, "one"); return err },
		`no model "three"`: func() error { _, err := b.Compared("one", []Measure{AURRA}, "three"); return err },
		"labels differ":    func() error { _, err := b.Compared("one", []Measure{AURRA}, "fewer"); return err },
		"fewer are asked":  func() error { _, err := b.Calibrated(AURRA); return err },
		"one and fewer":    func() error { _, err := b.Table(); return err },
		"of -1":            func() error { _, err := b.Compared("one", []Measure{RMSCalibration(-1)}, "one"); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

// A model that said nothing stops the comparison, as the first or as a later one.
func TestNoPredictionsAreNotCompared(t *testing.T) {
	p := noisy(t, 1, 1)
	for _, order := range [][]*Predictions{{nil, p}, {p, nil}} {
		b := &Comparison{Draws: 100}
		b.Add("one", order[0])
		b.Add("two", order[1])
		if _, err := b.Compared("one", []Measure{AURRA}, "two"); err == nil ||
			!strings.Contains(err.Error(), "they are nil") {
			t.Errorf("%v, want an error that says what is nil", err)
		}
	}
}
