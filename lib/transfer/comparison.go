package transfer

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Comparison is how networks' accuracy on what they were trained for goes with that on other tasks.
type Comparison struct {
	Models, Tasks []string
	// Source is the accuracy of each model on its own images.
	Source []stats.Accuracy
	// Accuracy[m][t] is that of model m on task t.
	Accuracy [][]stats.Accuracy
	// Transfer is each model's mean over the tasks of the logit of its accuracy, less the mean of that task over the
	// models: so each task counts the same, however hard it is. 0 is an average model.
	Transfer []float64
	// R is the correlation of Transfer with the logits of Source, with its interval at 95%.
	R        float64
	Interval stats.Interval
	// PerTask are the correlations of single tasks, with their intervals at 95%; NaN for one on which all models do the
	// same.
	PerTask          []float64
	PerTaskIntervals []stats.Interval
}

// Compare puts results together: one for each model and task. source has each model's accuracy on the images that it
// was trained for. Kornblith et al., CVPR 2019, section 3.1: accuracies are compared as logits, since a point of
// accuracy is harder to gain the fewer are left. An accuracy of 1 or 0, whose logit is infinite, counts as half an
// image away from it.
func Compare(results []*Result, source map[string]stats.Accuracy) (*Comparison, error) {
	c := &Comparison{}
	at := map[[2]string]*Result{}
	for _, r := range results {
		if !slices.Contains(c.Models, r.Model) {
			c.Models = append(c.Models, r.Model)
		}
		if !slices.Contains(c.Tasks, r.Task) {
			c.Tasks = append(c.Tasks, r.Task)
		}
		if at[[2]string{r.Model, r.Task}] != nil {
			return nil, fmt.Errorf("transfer: there are two results of %s on %s", r.Model, r.Task)
		}
		at[[2]string{r.Model, r.Task}] = r
	}
	if len(c.Models) < 4 {
		return nil, fmt.Errorf("transfer: a correlation over %d models: it takes four", len(c.Models))
	}
	sources := make([]float64, len(c.Models))
	logits := make([][]float64, len(c.Tasks)) // [task][model]
	for m, name := range c.Models {
		accuracy, known := source[name]
		if !known || accuracy.Correct <= 0 || accuracy.Correct >= accuracy.Total {
			return nil, fmt.Errorf("transfer: the accuracy of %q on its own images is needed, between 0 and 1", name)
		}
		c.Source = append(c.Source, accuracy)
		sources[m] = stats.Logit.Of(accuracy.Share())
		row := make([]stats.Accuracy, len(c.Tasks))
		for t, task := range c.Tasks {
			r := at[[2]string{name, task}]
			if r == nil {
				return nil, fmt.Errorf("transfer: there is no result of %s on %s", name, task)
			}
			row[t] = r.Accuracy
			if r.Accuracy.Total == 0 {
				return nil, fmt.Errorf("transfer: the result of %s on %s is of no images", name, task)
			}
			half := 0.5 / float64(r.Accuracy.Total)
			logits[t] = append(logits[t], stats.Logit.Of(min(max(r.Accuracy.Share(), half), 1-half)))
		}
		c.Accuracy = append(c.Accuracy, row)
	}
	c.Transfer = make([]float64, len(c.Models))
	for _, of := range logits {
		mean := 0.0
		for _, l := range of {
			mean += l / float64(len(of))
		}
		for m, l := range of {
			c.Transfer[m] += (l - mean) / float64(len(c.Tasks))
		}
		r, interval, err := stats.Pearson(sources, of, 0.05)
		if err != nil { // all models do the same on it
			r, interval = math.NaN(), stats.Interval{Low: math.NaN(), High: math.NaN()}
		}
		c.PerTask, c.PerTaskIntervals = append(c.PerTask, r), append(c.PerTaskIntervals, interval)
	}
	var err error
	if c.R, c.Interval, err = stats.Pearson(sources, c.Transfer, 0.05); err != nil {
		return nil, err
	}
	return c, nil
}

// Table has a row for each model, from the best on its own images down.
func (c *Comparison) Table() display.Table {
	t := display.Table{Header: append([]string{"model", "own images"}, append(slices.Clone(c.Tasks), "transfer")...)}
	order := make([]int, len(c.Models))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.Source[b].Share(), c.Source[a].Share()) })
	for _, m := range order {
		row := []any{c.Models[m], c.Source[m].Rate()}
		for _, a := range c.Accuracy[m] {
			row = append(row, a.Rate())
		}
		t.Add(append(row, c.Transfer[m])...)
	}
	return t
}

// Correlations has a row for each task and one for transfer: the correlation of the models' accuracies there with those
// on their own images, with its interval at 95%.
func (c *Comparison) Correlations() display.Table {
	t := display.Table{Header: []string{"correlation with the own images", "r, 95% interval"}}
	add := func(what string, r float64, of stats.Interval) {
		t.Add(what, table.Estimate{Value: r, Low: of.Low, High: of.High})
	}
	for i, r := range c.PerTask {
		add(c.Tasks[i], r, c.PerTaskIntervals[i])
	}
	add("transfer", c.R, c.Interval)
	return t
}

// Bundle shows both tables.
func (c *Comparison) Bundle() mime.Bundle {
	return display.Stack(c.Table().Bundle(), c.Correlations().Bundle())
}

// Plot is the paper's figure 1: transfer against the logit of the models' accuracy on their own images.
func (c *Comparison) Plot() display.Scatter {
	x, groups := make([]float64, len(c.Source)), make([]int, len(c.Source))
	for i, a := range c.Source {
		x[i], groups[i] = stats.Logit.Of(a.Share()), i
	}
	return display.Scatter{
		Title: fmt.Sprintf("r = %.2f (%.2f to %.2f)", c.R, c.Interval.Low, c.Interval.High),
		X:     "logit of the accuracy on own images", Y: "transfer",
		Xs: x, Ys: c.Transfer, Fit: true,
		Groups: groups, Names: c.Models,
	}
}
