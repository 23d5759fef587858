package claim

import (
	"errors"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
)

func TestOverSeeds(t *testing.T) {
	square := func(seed uint64) (float64, error) { return float64(seed * seed), nil }
	got, err := OverSeeds("square", 3, square)
	want, err2 := Mean("square", "seeds", 3, []float64{1, 4, 9})
	if err != nil || err2 != nil || got.Value != want.Value || got.Low != want.Low || got.High != want.High ||
		got.Seeds != 3 || got.Unit != "seeds" {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := got.Against("twice", []float64{2, 8, 18}); err != nil {
		t.Errorf("a control for each seed: %v", err)
	}
	for want, do := range map[string]func() error{
		"two at least": func() error { _, err := OverSeeds("one", 1, square); return err },
		"is nil":       func() error { _, err := OverSeeds("none", 3, nil); return err },
		"seed 2: no": func() error {
			_, err := OverSeeds("fails", 3, func(seed uint64) (float64, error) {
				if seed == 2 {
					return 0, errors.New("no")
				}
				return 1, nil
			})
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

// Interrupted, it is over the seeds that are done.
func TestOverSeedsInterrupted(t *testing.T) {
	for questions := range 6 {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		part, err := OverSeeds("square", 5, func(seed uint64) (float64, error) { return float64(seed * seed), nil })
		release()
		var stopped *interrupt.Stopped
		if questions < 5 && (!errors.As(err, &stopped) || stopped.Done != questions || stopped.Of != 5) {
			t.Errorf("interrupted at question %d: %v", questions, err)
		}
		if n := part.N; n != questions && !(questions < 2 && n == 0) && questions < 5 {
			t.Errorf("interrupted at question %d it is over %d seeds", questions, n)
		}
	}
}
