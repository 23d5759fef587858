package learn

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Hook is what a [Run] does between steps: [Evaluate], [KeepBest], [StopWhen], [Plot].
type Hook interface {
	// Due says whether it is to be done after so many steps of so many, of which epoch make one.
	Due(steps, epoch, of int) bool
	// Do does it.
	Do(m *RunState) error
}

// RunState is a run between two steps.
type RunState struct {
	// Step is how many steps are done, Of how many there are to be.
	Step, Of int
	// History is that of the steps that are done.
	History *History
	e       *engine
}

// there is an error for a moment of no run.
func (m *RunState) there() error {
	if m == nil || m.e == nil {
		return fmt.Errorf("learn: there is no run: a run does its hooks itself")
	}
	return nil
}

// Net is a network of the run, or an average, as it is now: a model of its own. An empty name means the only one.
func (m *RunState) Net(name string) (*model.Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if name == "" && len(m.e.r.Nets) == 1 {
		name = slices.Collect(maps.Keys(m.e.r.Nets))[0]
	}
	if m.e.models[name] == nil {
		return nil, fmt.Errorf("learn: the run has no network %q: it has %q", name, slices.Sorted(maps.Keys(m.e.models)))
	}
	return m.e.net(name, nil)
}

// Record keeps a number in the history.
func (m *RunState) Record(name string, value float64) {
	m.History.Evaluations = append(m.History.Evaluations, Evaluation{m.Step, name, value})
}

// Stop ends the run after this step, for a reason.
func (m *RunState) Stop(why string) { m.e.stopAfter, m.e.why = true, why }

// Keep keeps the weights of all networks as they are now: they are what the run returns, unless it is called again.
func (m *RunState) Keep() error {
	if err := m.there(); err != nil {
		return err
	}
	kept := map[string]*tensors.Tensor{}
	for net, weights := range m.e.change {
		for _, name := range weights {
			key := weightKey(net, name)
			if m.e.state[key] == nil {
				continue
			}
			clone, err := m.e.state[key].LocalClone()
			if err != nil {
				return fmt.Errorf("learn: %w", err)
			}
			kept[key] = clone
		}
	}
	m.e.best, m.e.bestAt = kept, m.Step
	return nil
}

// watcher is a hook that looks at evaluations alone, after each step, and so needs no steps to be waited for.
type watcher interface{ watches() }

func (KeepBest) watches() {}
func (StopWhen) watches() {}

// hooks does what is due. If an error ends it in the middle, such as an interrupt's, nothing of it counts: a run that
// goes on from there does it all again.
func (e *engine) hooks() (err error) {
	evaluated, best, bestAt := len(e.history.Evaluations), e.best, e.bestAt
	defer func() {
		if e.hooksLeft = err != nil; e.hooksLeft {
			e.history.Evaluations, e.best, e.bestAt = e.history.Evaluations[:evaluated], best, bestAt
			e.stopAfter, e.why = false, ""
		}
	}()
	for _, h := range e.r.Every {
		if !h.Due(e.done, e.epoch, e.total) {
			continue
		}
		if _, watches := h.(watcher); !watches {
			if err := e.drain(); err != nil {
				return err
			}
		}
		if err := h.Do(&RunState{Step: e.done, Of: e.total, History: e.history, e: e}); err != nil {
			return err
		}
	}
	return nil
}

// due is every so many steps, once an epoch if every is 0, and after the last one.
func due(every, steps, epoch, of int) bool {
	if every == 0 {
		every = epoch
	}
	return steps%every == 0 || steps == of
}

// Evaluate measures a network on other data, and keeps the number in the history by Name.
type Evaluate struct {
	// Net is the network, or an average, by its name; empty means the only one that the run has.
	Net string
	// On is what the accuracy is measured on. The labels meet the model's classes by name, as for model.Accuracy.
	On model.Labeled
	// Measure, unless nil, measures something else.
	Measure func(m *model.Model) (float64, error)
	// Name is what the number is called; empty means "accuracy" and the network's name behind it, if it has one.
	Name string
	// Every is how many steps lie between; 0 means an epoch. It is done after the last step too.
	Every int
}

// Check tells what is wrong with the settings; a run asks before it trains.
func (v Evaluate) Check() error {
	switch {
	case v.Measure == nil && (v.On == nil || table.IsNil(v.On)):
		return fmt.Errorf("learn: Evaluate measures on what On says, or by Measure: set one")
	case v.Every < 0:
		return fmt.Errorf("learn: an evaluation every %d steps: take 1 or more, or 0 for an epoch", v.Every)
	}
	return nil
}

// Due implements [Hook].
func (v Evaluate) Due(steps, epoch, of int) bool { return due(v.Every, steps, epoch, of) }

// Do implements [Hook].
func (v Evaluate) Do(m *RunState) error {
	net, err := m.Net(v.Net)
	if err != nil {
		return err
	}
	name := v.Name
	if name == "" {
		if name = "accuracy"; v.Net != "" {
			name += " of " + v.Net
		}
	}
	if v.Measure != nil {
		value, err := v.Measure(net)
		if err == nil {
			m.Record(name, value)
		}
		return err
	}
	accuracy, err := net.Accuracy(v.On)
	if err == nil {
		m.Record(name, accuracy.Share())
	}
	return err
}

// latest are the evaluations of a name, "" meaning the only one there is, and whether the last one is of this step.
func (m *RunState) latest(name string) ([]Evaluation, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if name == "" && len(m.History.Evaluations) > 0 {
		name = m.History.Evaluations[0].Name
		for _, e := range m.History.Evaluations {
			if e.Name != name {
				return nil, fmt.Errorf("learn: the run evaluates %q and %q: say which one counts", name, e.Name)
			}
		}
	}
	of := m.History.Of(name)
	if name == "" && m.Step == m.Of {
		return nil, fmt.Errorf("learn: nothing was evaluated: put an Evaluate before what keeps the best or stops, in Every")
	}
	if len(of) == 0 && m.Step == m.Of {
		return nil, fmt.Errorf("learn: nothing called %q was evaluated: put an Evaluate of that name before", name)
	}
	return of, nil
}

// bestOf is the place of the first best of the evaluations. A NaN is none.
func bestOf(of []Evaluation, smallest bool) int {
	best := -1
	for i, e := range of {
		switch {
		case math.IsNaN(e.Value):
		case best < 0, smallest && e.Value < of[best].Value, !smallest && e.Value > of[best].Value:
			best = i
		}
	}
	return best
}

// KeepBest has the run return the weights of the step at which an evaluation was best, the first of equals, in place of
// the last ones. What it chooses by is then no test any more.
type KeepBest struct {
	// Of is the evaluation's name; empty means the only one. The [Evaluate] comes before in Every.
	Of string
	// Smallest says that less is better.
	Smallest bool
}

// Due implements [Hook].
func (k KeepBest) Due(_, _, _ int) bool { return true }

// Do implements [Hook].
func (k KeepBest) Do(m *RunState) error {
	of, err := m.latest(k.Of)
	if err != nil || len(of) == 0 {
		return err
	}
	if last := len(of) - 1; of[last].Step == m.Step && bestOf(of, k.Smallest) == last {
		return m.Keep()
	}
	return nil
}

// StopWhen ends a run that does not get better.
type StopWhen struct {
	// Of is the evaluation's name; empty means the only one. The [Evaluate] comes before in Every.
	Of string
	// Smallest says that less is better.
	Smallest bool
	// Patience is how many evaluations in a row may be no better than the best before; 0 means 3.
	Patience int
}

// Check tells what is wrong with the settings; a run asks before it trains.
func (w StopWhen) Check() error {
	if w.Patience < 0 {
		return fmt.Errorf("learn: a patience of %d evaluations: take 1 or more, or 0 for 3", w.Patience)
	}
	return nil
}

// Due implements [Hook].
func (w StopWhen) Due(_, _, _ int) bool { return true }

// Do implements [Hook].
func (w StopWhen) Do(m *RunState) error {
	of, err := m.latest(w.Of)
	if err != nil || len(of) == 0 || of[len(of)-1].Step != m.Step {
		return err
	}
	patience := w.Patience
	if patience == 0 {
		patience = 3
	}
	if since := len(of) - 1 - bestOf(of, w.Smallest); since >= patience && m.Step < m.Of {
		m.Stop(fmt.Sprintf("%s has not become better in %d evaluations", of[0].Name, since))
	}
	return nil
}
