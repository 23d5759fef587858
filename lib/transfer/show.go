package transfer

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// errNoResult is of a Result that nothing has made.
var errNoResult = errors.New("transfer: there is no result: FixedFeatures and LinearProbe.Of make one")

// Table is one row: the accuracy with its interval, the mean over the classes, and the penalty.
func (r *Result) Table() (table.Table, error) {
	if r == nil || r.Accuracy.Total == 0 {
		return table.Table{}, errNoResult
	}
	return table.Of([]*Result{r})
}

// Plot is the accuracy on the images that chose by the penalty.
func (r *Result) Plot() (display.Lines, error) {
	if r == nil || len(r.Choice) == 0 {
		return display.Lines{}, errNoResult
	}
	lines := display.Lines{X: "log₁₀ of the penalty λ", Y: "accuracy, percent"}
	lines.Title = fmt.Sprintf("%s on %s: λ = %.3g", r.Model, r.Task, r.Lambda)
	s := display.Series{Name: "images to choose by"}
	for _, c := range r.Choice {
		iv := c.Accuracy.Interval()
		s.X, s.Y = append(s.X, math.Log10(c.Lambda)), append(s.Y, 100*c.Accuracy.Share())
		s.Low, s.High = append(s.Low, 100*iv.Low), append(s.High, 100*iv.High)
	}
	lines.Series = []display.Series{s}
	return lines, nil
}

// Arrays are the classifier, weights [classes, D] and bias [classes] float64, what it answers to the test images (see
// [model.Answers.Arrays]), the penalties, and how many of the images that chose each had right, [λ] float64 and int64.
func (r *Result) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if r == nil || r.Head == nil || r.Answers == nil {
		return nil, nil, errNoResult
	}
	arrays, metadata, err := r.Answers.Arrays()
	if err != nil {
		return nil, nil, err
	}
	classes, wide := r.Head.Weights.Dims()
	var weights, lambdas []float64
	for c := range classes {
		weights = append(weights, r.Head.Weights.RawRowView(c)...)
	}
	var right []int
	for _, c := range r.Choice {
		lambdas, right = append(lambdas, c.Lambda), append(right, c.Accuracy.Correct)
	}
	arrays["weights"] = tensors.FromFlatDataAndDimensions(weights, classes, wide)
	arrays["bias"] = tensors.FromValue(r.Head.Bias)
	if len(lambdas) > 0 {
		arrays["lambdas"], arrays["right of each"] = tensors.FromValue(lambdas), tensors.FromValue(right)
	}
	metadata["model"], metadata["task"], metadata["lambda"] = r.Model, r.Task, strconv.FormatFloat(r.Lambda, 'g', -1, 64)
	return arrays, metadata, nil
}

// Bundle shows the table.
func (r *Result) Bundle() mime.Bundle { return table.Shown(r.Table()) }
