package goeval

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/cell/instead"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/goroutines"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// outcome is how the goroutine of a cell ended.
type outcome struct {
	panicked  bool
	value     any
	frames    []frame
	elsewhere bool // in a goroutine that the cell has started
	ended     bool // by runtime.Goexit
	left      bool // it was interrupted, and waits
	exit      *int // the status given to os.Exit
	deadlock  bool // it waits, as all others do
}

// How long a cell has after an interrupt before it is looked at whether it waits for something that may never come.
const patience = 100 * time.Millisecond

// endProgramsAfter is how often it is looked at whether a stopped cell has ended before programs of its are ended that
// have not done what an interrupt asks for.
const endProgramsAfter = 10

// stopsWork ends what the cell begins, from an interrupt on until release is called. What the library is at comes to
// its end.
func (r *run) stopsWork() (release func()) {
	if r.quiet {
		return func() {} // it begins nothing
	}
	before, released := begunNow(), make(chan struct{})
	stop := context.AfterFunc(r.ctx, func() {
		for looks := 0; ; looks++ {
			select {
			case <-released:
				return
			case <-time.After(patience):
			}
			if r.begun.Scope.Busy() == "" && r.alone() {
				before.end(looks >= endProgramsAfter)
			}
		}
	})
	return func() {
		stop()
		close(released)
	}
}

// alone reports whether no other cell's code runs.
func (r *run) alone() bool {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.running == 1
}

// outside lets other cells have their turn while code runs.
func (r *run) outside(code func()) {
	r.running++
	r.turn.Unlock()
	defer func() {
		r.turn.Lock()
		r.running--
	}()
	code()
}

// end notes that the cell has ended.
func (r *run) end() {
	r.begun.End()
	if r.ctx.Err() != nil {
		go r.forget()
	}
}

// forget waits until the goroutines of an interrupted cell have ended. While there are some, all compiled code runs
// slower.
func (r *run) forget() {
	r.begun.Stop() // also where it has not come to that yet
	goroutines.AwaitEnd([]*cell.Run{r.begun})
}

// StopLeftBehind ends the goroutines that cells have left behind, where they look up.
func (e *Evaluator) StopLeftBehind() { go goroutines.AwaitEnd(cell.StopEnded()) }

// start runs compiled code of a cell and waits for its end.
func (r *run) start(main func()) *engine.Failure {
	var o outcome
	r.outside(func() { o = r.await(main) })
	return r.failure(o)
}

// await runs code in a goroutine of its own until it ends, or waits although it was interrupted.
func (r *run) await(main func()) outcome {
	done := make(chan outcome, 1)
	var ended, well atomic.Bool
	first := func() bool { return ended.CompareAndSwap(false, true) } // the first end counts
	tell := func(o outcome) {
		if first() {
			done <- o
		}
	}
	ids := make(chan uintptr, 1)
	r.begun.Ends(func(status int) { tell(outcome{exit: &status}) }, func(value any, pcs []uintptr) {
		if !first() {
			if well.Load() { // the cell is about to end
				r.late(value, pcs)
			}
			return
		}
		r.begun.Stop() // in a program, it would be the end of all
		done <- outcome{panicked: true, elsewhere: true, value: value, frames: framesOf(pcs)}
	})
	defer r.begun.Ends(nil, r.late)
	defer r.stopsWork()()
	if r.options.Stdin != nil {
		instead.Stdin = r.options.Stdin
	}
	go func() {
		// The goroutines that the cell starts inherit the label, and end with it at an interrupt.
		r.begun.Enter()
		ids <- goroutines.ID()
		finished := false
		defer func() {
			if finished {
				return
			}
			o := outcome{ended: true}
			if v := recover(); v != nil {
				o = outcome{panicked: true, value: v, frames: framesOf(r.callers())}
			}
			tell(o)
		}()
		main()
		finished = true
		well.Store(true)
		tell(outcome{})
	}()
	id := <-ids
	stopped := r.ctx.Done()
	var look, sleeps <-chan time.Time
	pause := firstLook
	if r.quiet {
		sleeps = time.After(pause)
	}
	waited := ""
	for {
		select {
		case o := <-done:
			return o
		case <-sleeps:
			if at, found := r.deadlock(id); found {
				return outcome{deadlock: true, frames: at}
			}
			pause = min(2*pause, lastLook)
			sleeps = time.After(pause)
		case <-stopped:
			stopped, sleeps = nil, nil
			r.begun.Stop()
			look = time.After(patience)
		case <-look:
			// The goroutine may wait for what never comes. It is left behind, to end when it wakes up. What the library
			// is at does come to its end, and a goroutine that is found to wait at one place and then at another gets
			// on.
			waits := goroutines.Waiting(id)
			if waits != "" && waits == waited && r.begun.Scope.Busy() == "" {
				return outcome{left: true}
			}
			waited = waits
			look = time.After(patience)
		}
	}
}

// late tells of a panic in a goroutine that goes on when its cell has ended. It costs the goroutine only.
func (r *run) late(value any, pcs []uintptr) {
	frames := framesOf(pcs)
	r.turn.Lock()
	defer r.turn.Unlock()
	fmt.Fprintln(instead.Stderr, strings.Join(r.panicFailure(value, frames).Traceback, "\n"))
}

// failure words how a cell ended; nil where it went well.
func (r *run) failure(o outcome) *engine.Failure {
	switch {
	case o.exit != nil:
		message := fmt.Sprintf("exit status %d", *o.exit)
		return &engine.Failure{Name: "Exit", Message: message, Traceback: []string{red("Exit") + ": " + message}}
	case o.deadlock:
		return r.failureAt("Deadlock", "all goroutines are asleep - deadlock!", o.frames)
	case o.left:
		f := interrupted()
		f.Message += "; it was waiting, and is left behind"
		return f
	case r.ctx.Err() != nil:
		return interrupted()
	case o.panicked:
		if len(o.frames) == 0 {
			o.frames = r.interp.trace.frames() // of a function that an interpreted cell has left behind
		}
		return r.panicFailure(o.value, o.frames)
	case o.ended:
		return &engine.Failure{Name: "Goexit", Message: "the cell ended its goroutine",
			Traceback: []string{red("Goexit") + ": the cell ended its goroutine with runtime.Goexit"}}
	}
	return nil
}

// callers returns the program counters of a goroutine that panics, from within a deferred call.
func (r *run) callers() []uintptr {
	pcs := make([]uintptr, 256)
	return pcs[:runtime.Callers(3, pcs)]
}

// framesOf returns the places within cells, the innermost first.
func framesOf(pcs []uintptr) []frame {
	var out []frame
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		if number, ok := syntax.CellNumber(f.File); ok {
			out = append(out, frame{number: number, line: f.Line, function: lower.FunctionName(f.Function)})
		}
		if !more {
			return out
		}
	}
}
