package learn

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// History is what the steps of a run were like, measured on their batches while the weights changed.
type History struct {
	// Epoch is how many steps make one.
	Epoch int
	// Loss is the mean loss of each step's examples, Rate its learning rate, Examples how many it had. The loss of a step
	// without examples is NaN.
	Loss, Rate, Examples []float64
	// Metrics are the means of what the step's losses name besides.
	Metrics map[string][]float64
	// Evaluations are what [Evaluate] and other hooks measured, in their order.
	Evaluations []Evaluation
}

// Evaluation is a number that was measured between steps.
type Evaluation struct {
	Step  int     `display:"step"` // how many steps were done
	Name  string  `display:"measure"`
	Value float64 `display:"value"`
}

func (h *History) add(rate, count float64, sums []float32, metrics []string) {
	h.Loss = append(h.Loss, float64(sums[0])/count)
	h.Rate, h.Examples = append(h.Rate, rate), append(h.Examples, count)
	for i, name := range metrics {
		h.Metrics[name] = append(h.Metrics[name], float64(sums[1+i])/count)
	}
}

// recent is the mean loss of the last tenth of an epoch.
func (h *History) recent() float64 {
	return meanOf(h.Loss[max(0, len(h.Loss)-max(1, h.Epoch/10)):])
}

// meanOf is the mean of the values that are numbers.
func meanOf(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}

// Epochs are the mean loss, and the mean "accuracy" if the step says it, of each epoch that is whole.
func (h *History) Epochs() []Epoch {
	var out []Epoch
	for e := range len(h.Loss) / max(h.Epoch, 1) {
		one := Epoch{Loss: meanOf(h.Loss[e*h.Epoch : (e+1)*h.Epoch])}
		if accuracy := h.Metrics["accuracy"]; accuracy != nil {
			one.Accuracy = meanOf(accuracy[e*h.Epoch : (e+1)*h.Epoch])
		}
		out = append(out, one)
	}
	return out
}

// Of are the evaluations of that name.
func (h *History) Of(name string) []Evaluation {
	var out []Evaluation
	for _, e := range h.Evaluations {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// Table has a row for each epoch, the last of which may be a part: its mean loss and metrics, its last learning rate
// and what was last evaluated in it.
func (h *History) Table() (table.Table, error) {
	if h == nil || len(h.Loss) == 0 {
		return table.Table{}, fmt.Errorf("learn: no step has been done")
	}
	metrics := slices.Sorted(maps.Keys(h.Metrics))
	var measures []string
	for _, e := range h.Evaluations {
		if !slices.Contains(measures, e.Name) {
			measures = append(measures, e.Name)
		}
	}
	t := table.Table{Header: slices.Concat([]string{"epoch", "steps", "loss"}, metrics, []string{"learning rate"},
		measures)}
	epoch := max(h.Epoch, 1)
	for from := 0; from < len(h.Loss); from += epoch {
		to := min(from+epoch, len(h.Loss))
		row := []any{from/epoch + 1, to, meanOf(h.Loss[from:to])}
		for _, name := range metrics {
			row = append(row, meanOf(h.Metrics[name][from:to]))
		}
		row = append(row, h.Rate[to-1])
		for _, name := range measures {
			var last any
			for _, e := range h.Evaluations {
				if e.Name == name && e.Step > from && e.Step <= to {
					last = e.Value
				}
			}
			row = append(row, last)
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

const mostPoints = 300

// thinned are means over equal parts of the steps, few enough to draw, with the steps that they end at.
func thinned(values []float64) (at, means []float64) {
	each := max(1, (len(values)+mostPoints-1)/mostPoints)
	for from := 0; from < len(values); from += each {
		to := min(from+each, len(values))
		if v := meanOf(values[from:to]); !math.IsNaN(v) {
			at, means = append(at, float64(to)), append(means, v)
		}
	}
	return at, means
}

// curves are the loss, the learning rate, and what was evaluated, by steps: a plot each, the last one only where there
// is something.
func (h *History) curves() []display.Lines {
	if h == nil {
		return nil
	}
	at, loss := thinned(h.Loss)
	if len(at) == 0 {
		return nil
	}
	rates, rate := thinned(h.Rate)
	plots := []display.Lines{
		{X: "step", Y: "loss", Series: []display.Series{{Name: "loss", X: at, Y: loss}}},
		{X: "step", Y: "learning rate", Series: []display.Series{{Name: "learning rate", X: rates, Y: rate}}},
	}
	var measured []display.Series
	for _, e := range h.Evaluations {
		i := slices.IndexFunc(measured, func(s display.Series) bool { return s.Name == e.Name })
		if i < 0 {
			i, measured = len(measured), append(measured, display.Series{Name: e.Name})
		}
		measured[i].X, measured[i].Y = append(measured[i].X, float64(e.Step)), append(measured[i].Y, e.Value)
	}
	if measured != nil {
		plots = append(plots, display.Lines{X: "step", Y: "evaluated", Series: measured})
	}
	return plots
}

// Plot is the loss by steps, each point the mean over equal parts where there are many.
func (h *History) Plot() (display.Lines, error) {
	plots := h.curves()
	if plots == nil {
		return display.Lines{}, fmt.Errorf("learn: no step has been done")
	}
	return plots[0], nil
}

// Bundle shows the loss, the learning rate and what was evaluated, by steps.
func (h *History) Bundle() mime.Bundle {
	bundles := []mime.Bundle{mime.TextOf(h.String())}
	for _, lines := range h.curves() {
		bundles = append(bundles, lines.Bundle())
	}
	return display.Stack(bundles...)
}

func (h *History) String() string {
	if h == nil || len(h.Loss) == 0 {
		return "no steps"
	}
	text := fmt.Sprintf("%s, loss %.4g", plural.Of(len(h.Loss), "step"), h.recent())
	seen := map[string]bool{}
	for _, e := range slices.Backward(h.Evaluations) {
		if !seen[e.Name] {
			text += fmt.Sprintf(", %s %.4g", e.Name, e.Value)
		}
		seen[e.Name] = true
	}
	return text
}
