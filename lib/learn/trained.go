package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/privacy"
	"github.com/loupeml/loupe/lib/table"
)

// Trained is what a [Run] has made. It shows its curve.
type Trained struct {
	// Nets are the run's networks with their weights after the last step, or after the best if there was a [KeepBest], and
	// its averages by the names that they have.
	Nets map[string]*model.Model
	// State are the variables and parameters of the step.
	State   map[string]*tensors.Tensor
	History *History
	// Steps is how many steps are done, of so many.
	Steps, Of int
	// Best is after how many steps the weights were taken that [KeepBest] kept; 0 where there was none.
	Best int
	// Private is the account of private training, whose Epsilon says what was spent; nil for other training. It is told
	// that batches were shuffled, and that an evaluation decided where there is a [KeepBest] or a [StopWhen].
	Private *privacy.Account
	// Stopped is why the run ended before its last step, "" if it did not.
	Stopped string

	only string // the run's network, if there is one
}

// Net is the only network that the run was given. It panics where there were several, which are in Nets.
func (t *Trained) Net() *model.Model {
	if t.only == "" {
		panic(fmt.Errorf("learn: the run has %d networks: take one of Nets by its name", len(t.Nets)))
	}
	return t.Nets[t.only]
}

func (t *Trained) String() string {
	text := t.History.String()
	if t.Steps < t.Of {
		text += fmt.Sprintf("; ended after %d of %d steps", t.Steps, t.Of)
	}
	if t.Stopped != "" {
		text += ": " + t.Stopped
	}
	if t.Best > 0 {
		text += fmt.Sprintf("; the weights are those after step %d", t.Best)
	}
	return text
}

// Plot is the loss by steps.
func (t *Trained) Plot() (display.Lines, error) {
	if t == nil {
		return display.Lines{}, fmt.Errorf("learn: nothing was trained")
	}
	return t.History.Plot()
}

// Table has a row for each epoch.
func (t *Trained) Table() (table.Table, error) {
	if t == nil {
		return table.Table{}, fmt.Errorf("learn: nothing was trained")
	}
	return t.History.Table()
}

// Bundle shows the curves, and how the run ended.
func (t *Trained) Bundle() mime.Bundle {
	return display.Stack(mime.TextOf(t.String()), t.History.Bundle())
}
