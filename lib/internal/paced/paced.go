// Package paced sizes calls of the device that do many steps of one kind: as many as take a fraction of a second, so
// that a person who presses Stop is answered soon, whatever the size of the network. What the steps compute must not
// depend on how they are parted.
package paced

import (
	"sync/atomic"
	"time"

	"github.com/loupeml/loupe/lib/interrupt"
)

const (
	goal   = 300 * time.Millisecond // that a call should take
	growth = 4                      // times as many steps as in the call before, at most
)

// Pace is how fast steps are. The zero value knows nothing yet; one that is kept for more steps of the same program
// knows it from the start.
type Pace struct {
	Most int // steps of a call; 0 means any number

	calls int
	last  int           // steps of the last call
	step  time.Duration // what a step of it took
}

// Steps has do the steps from first on up to end (excluded), in calls that follow each other and are given their part
// of the range. Between the calls it looks for an interrupt. It returns how many steps are done, and do's error or
// the interrupt's.
func (p *Pace) Steps(first, end int, do func(first, end int) error) (done int, err error) {
	for at := first; at < end; {
		if err := interrupt.Err(); err != nil {
			return at - first, err
		}
		n := min(p.next(), end-at)
		begun := time.Now()
		if err := do(at, at+n); err != nil {
			return at - first, err
		}
		p.took(n, time.Since(begun))
		at += n
	}
	return end - first, nil
}

// next is how many steps the next call is to do.
func (p *Pace) next() int {
	n := 1
	if p.calls > 1 {
		n = growth * p.last
		if p.step > 0 {
			n = min(n, int(goal/p.step))
		}
	}
	if f := fixed.Load(); f > 0 {
		n = int(f)
	}
	if p.Most > 0 {
		n = min(n, p.Most)
	}
	return max(n, 1)
}

// took notes what a call took. The first one may have compiled the program, and says nothing of the steps.
func (p *Pace) took(n int, d time.Duration) {
	p.calls++
	p.last = n
	if p.calls > 1 {
		p.step = d / time.Duration(n)
	}
}

var fixed atomic.Int64

// Fix makes all calls one of n steps until release is called, for tests.
func Fix(n int) (release func()) {
	old := fixed.Swap(int64(n))
	return func() { fixed.Store(old) }
}
