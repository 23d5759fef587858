package worker

import (
	"fmt"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
)

const (
	// busyPatience is how long after Stop the person is told what a cell is at that cannot be stopped. Most of that
	// is over before.
	busyPatience = 500 * time.Millisecond
	// notTwice is how long after that a Stop is still taken for one of a person who has not read it.
	notTwice = time.Second
)

// stopping is how far the stopping of a cell has come. Nothing but a second Stop, by somebody who has been told, ends
// the process.
type stopping struct {
	out   engine.Output
	names []string // what would be lost

	patience <-chan time.Time // when to look next whether to say something
	begun    time.Time        // of the first Stop; zero while there has been none
	told     time.Time        // when the person was told what a second Stop does; zero while that has not been
	what     string           // that the cell is at and cannot be stopped; "" where that is not known
	said     string           // what of that the person knows
	saidAt   time.Time
	forced   bool // the process was ended
	taken    bool // the Stop went to the cell, by signal.Notify
}

// begin notes the first Stop of those that are to stop the cell.
func (s *stopping) begin() {
	s.taken = false
	s.begun = time.Now()
	s.patience = time.After(busyPatience)
}

// heard notes that the Stop went to the cell.
func (s *stopping) heard() { s.taken = true }

// waitsFor notes what the cell is at.
func (s *stopping) waitsFor(what string) {
	s.what = what
	if s.patience == nil {
		s.patience = time.After(max(0, busyPatience-time.Since(s.begun), Grace-time.Since(s.saidAt)))
	}
}

// outOfPatience tells the person why the cell still runs.
func (s *stopping) outOfPatience() {
	s.patience = nil
	if s.taken {
		s.out.Text(engine.Stderr,
			"Stop: the cell has got the interrupt, by signal.Notify, and goes on. A second Stop stops it.\n")
		return
	}
	switch left := Grace - time.Since(s.begun); {
	case s.what != "" && s.what != s.said:
		s.said, s.saidAt = s.what, time.Now()
		s.tell(fmt.Sprintf("Stop: waiting for what cannot be stopped half way: %s. The cell ends when that is done.", s.what))
	case s.what != "" || !s.told.IsZero():
	case left > 0:
		s.patience = time.After(left)
	default:
		s.tell("Stop: the cell is in code that cannot be interrupted, and goes on until that returns.")
	}
}

func (s *stopping) tell(why string) {
	cost := "nothing is defined that would be lost"
	if len(s.names) > 0 {
		cost = listed(s.names) + " would be lost"
	}
	if s.told.IsZero() {
		why += " All that is defined is kept. A second Stop ends the process at once: " + cost + "."
		s.told = time.Now()
	}
	s.out.Text(engine.Stderr, why+"\n")
}

// mayEnd reports whether a second Stop may end the process.
func (s *stopping) mayEnd() bool { return !s.told.IsZero() && time.Since(s.told) >= notTwice }

// Insist ends the process if it runs a cell that was interrupted and has told that it does not stop.
func (w *Worker) Insist() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, heed := range w.insisting {
		select {
		case heed <- struct{}{}:
		default: // it has not heeded the last one yet
		}
	}
}

// heedInsisting returns where a request hears of a second Stop.
func (w *Worker) heedInsisting(id int) <-chan struct{} {
	heed := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.insisting[id] = heed
	return heed
}

// ignoreInsisting notes that a request has been served.
func (w *Worker) ignoreInsisting(id int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.insisting, id)
}
