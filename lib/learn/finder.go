package learn

import (
	"errors"
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Rates is how the loss goes as the learning rate rises from step to step: see [FindRate].
type Rates struct {
	Rate, Loss []float64
	// Smoothed is the moving average of the loss, with the decay 0.9, corrected for its start.
	Smoothed []float64
	// Suggested is the rate at which Smoothed falls fastest, by the logarithm of the rate, before its lowest.
	Suggested float64
}

// FindRate runs a run's steps with a learning rate that rises from low to high, by the same factor each, and says at
// which the loss falls fastest. It ends early where the smoothed loss is four times its lowest, or no number any more.
// The run's networks stay as they are; its schedule, hooks and checkpoint are left out, and so is a Trained. Smith,
// "Cyclical learning rates for training neural networks", WACV 2017, section 3.3, which goes up in a straight line; the
// factor is fastai's. Zero values mean 1e-6, 10 and 100 steps.
//
// Interrupted, it returns what it has beside the error.
func FindRate(r Run, low, high float64, steps int) (*Rates, error) {
	if low == 0 {
		low = 1e-6
	}
	if high == 0 {
		high = 10
	}
	if steps == 0 {
		steps = 100
	}
	if !(low > 0 && high > low) || math.IsInf(high, 0) || steps < 10 {
		return nil, fmt.Errorf(
			"learn: %d steps with learning rates from %v to %v: take at least 10, and a higher one than the first",
			steps, low, high)
	}
	if r.Optimizer == nil {
		return nil, fmt.Errorf("learn: a run without an Optimizer, such as learn.SGD{LearningRate: 0.1}")
	}
	base := r.Optimizer.Rate()
	rate := func(step float64) float64 { return low * math.Pow(high/low, step/float64(steps-1)) }
	r.Schedule = func(done float64) float64 { return rate(done*float64(steps)) / base }
	r.Steps, r.Epochs, r.Checkpoint, r.CheckpointEvery, r.Every = steps, 0, "", 0, []Hook{rising{}}
	trained, err := r.Do()
	if trained == nil {
		return nil, err
	}
	if diverged := (*NotFinite)(nil); errors.As(err, &diverged) {
		err = nil
	}
	found := &Rates{Rate: trained.History.Rate, Loss: trained.History.Loss}
	found.Smoothed = smoothedLosses(found.Loss)
	found.suggest()
	return found, err
}

// rising ends a run whose smoothed loss is four times its lowest.
type rising struct{}

// Due implements [Hook].
func (rising) Due(steps, _, _ int) bool { return steps%5 == 0 }

// Do implements [Hook].
func (rising) Do(m *RunState) error {
	smoothed := smoothedLosses(m.History.Loss)
	lowest := math.Inf(1)
	for _, v := range smoothed {
		lowest = min(lowest, v)
	}
	if last := smoothed[len(smoothed)-1]; len(smoothed) >= 10 && last > 4*lowest {
		m.Stop("the loss is four times its lowest")
	}
	return nil
}

// smoothedLosses is the moving average with the decay 0.9, corrected for its start.
func smoothedLosses(losses []float64) []float64 {
	const decay = 0.9
	out := make([]float64, len(losses))
	average, weight := 0.0, 0.0
	for i, v := range losses {
		if !math.IsNaN(v) {
			average, weight = decay*average+(1-decay)*v, decay*weight+(1-decay)
		}
		out[i] = average / weight
	}
	return out
}

// suggest finds the steepest fall before the lowest.
func (r *Rates) suggest() {
	lowest := 0
	for i, v := range r.Smoothed {
		if v < r.Smoothed[lowest] {
			lowest = i
		}
	}
	steepest := 0.0
	for i := 1; i+1 <= lowest && i+1 < len(r.Smoothed); i++ {
		if slope := r.Smoothed[i+1] - r.Smoothed[i-1]; slope < steepest {
			steepest, r.Suggested = slope, r.Rate[i]
		}
	}
}

func (r *Rates) String() string {
	if len(r.Rate) == 0 {
		return "no learning rate was tried"
	}
	if r.Suggested == 0 {
		return fmt.Sprintf("the loss falls at no learning rate up to %.3g", r.Rate[len(r.Rate)-1])
	}
	return fmt.Sprintf("the loss falls fastest at a learning rate of %.2g", r.Suggested)
}

// Plot is the loss by the logarithm of the learning rate, as it is and smoothed.
func (r *Rates) Plot() (display.Lines, error) {
	if r == nil || len(r.Rate) == 0 {
		return display.Lines{}, fmt.Errorf("learn: no learning rate was tried")
	}
	var x []float64
	for _, v := range r.Rate {
		x = append(x, math.Log10(v))
	}
	return display.Lines{Title: r.String(), X: "log10 of the learning rate", Y: "loss",
		Series: []display.Series{{Name: "loss", X: x, Y: r.Loss}, {Name: "smoothed", X: x, Y: r.Smoothed}}}, nil
}

// Table has a row for each step.
func (r *Rates) Table() (table.Table, error) {
	if r == nil {
		return table.Table{}, fmt.Errorf("learn: no learning rate was tried")
	}
	t := table.Table{Header: []string{"learning rate", "loss", "smoothed"}}
	for i := range r.Rate {
		t.Rows = append(t.Rows, []any{r.Rate[i], r.Loss[i], r.Smoothed[i]})
	}
	return t, nil
}

// Bundle shows the curve.
func (r *Rates) Bundle() mime.Bundle { return display.Shown(r.Plot()) }
