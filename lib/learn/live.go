package learn

import (
	"time"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/lib/sink"
)

// drawEvery is how often a live plot is drawn anew.
const drawEvery = time.Second

// Plot shows the curves while a run is under way: in a notebook one output that is updated about once a second. In a
// terminal the line of the progress says the loss as it is.
func Plot() Hook { return &live{id: uuid.NewString()} }

type live struct {
	id      string
	drawn   time.Time
	cleared int
	there   bool
}

// Due implements [Hook].
func (l *live) Due(steps, _, of int) bool {
	_, ok := sink.Current()
	return ok && (steps == of || time.Since(l.drawn) >= drawEvery)
}

// Do implements [Hook].
func (l *live) Do(m *RunState) error {
	to, ok := sink.Current()
	if !ok {
		return nil
	}
	b := m.History.Bundle()
	b.ID = l.id
	update := l.there && l.cleared == sink.Cleared()
	to.Display(b, update)
	l.there, l.cleared, l.drawn = true, sink.Cleared(), time.Now()
	return nil
}
