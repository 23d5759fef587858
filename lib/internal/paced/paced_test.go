package paced

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
)

// sizes tells the sizes of calls whose steps take so long each, and the first one a compilation more.
func sizes(p *Pace, step, compile time.Duration, calls int) (out []int) {
	for range calls {
		n := p.next()
		out = append(out, n)
		p.took(n, compile+time.Duration(n)*step)
		compile = 0
	}
	return out
}

func TestCallsAreSizedByTime(t *testing.T) {
	for _, c := range []struct {
		pace Pace
		step time.Duration
		want []int
	}{
		{Pace{}, time.Millisecond, []int{1, 1, 4, 16, 64, 256, 300, 300}},
		{Pace{Most: 50}, time.Millisecond, []int{1, 1, 4, 16, 50, 50}},
		{Pace{}, 100 * time.Millisecond, []int{1, 1, 3, 3}},
		{Pace{}, 10 * time.Second, []int{1, 1, 1, 1}},
		{Pace{}, 0, []int{1, 1, 4, 16, 64}},
	} {
		if got := sizes(&c.pace, c.step, 7*time.Second, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("steps of %v are done %v at a time, want %v", c.step, got, c.want)
		}
	}
	// A step that becomes slow, as on a machine that has other work, makes calls short again.
	p := Pace{}
	sizes(&p, time.Millisecond, 0, 7)
	if got := sizes(&p, 100*time.Millisecond, 0, 3); !slices.Equal(got, []int{300, 3, 3}) {
		t.Errorf("steps that become slow are done %v at a time", got)
	}
}

func TestEveryStepIsDoneOnce(t *testing.T) {
	defer Fix(3)()
	var seen []int
	count := func(first, end int) error {
		for i := first; i < end; i++ {
			seen = append(seen, i)
		}
		return nil
	}
	var p Pace
	if done, err := p.Steps(2, 10, count); done != 8 || err != nil || !slices.Equal(seen, []int{2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("%d steps, %v: %v", done, err, seen)
	}
	seen = nil
	release := interrupt.Use(testenv.CancelledAfter(2))
	done, err := p.Steps(0, 10, count)
	if release(); done != 6 || err == nil || len(seen) != 6 {
		t.Errorf("interrupted after two calls %d steps are done, %v: %v", done, err, seen)
	}
	broken := errors.New("broken")
	if done, err := p.Steps(0, 10, func(first, _ int) error {
		if first > 0 {
			return broken
		}
		return nil
	}); done != 3 || err != broken {
		t.Errorf("%d steps, %v", done, err)
	}
}
