package goeval

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/cell/instead"
	"github.com/loupeml/loupe/kernel/engine"
)

// outcome is how the goroutine of a cell ended.
type outcome struct {
	panicked bool
	value    any
	frames   []frame
	ended    bool // by runtime.Goexit
	exit     *int // the status given to os.Exit
}

// How long a cell has after an interrupt before it is looked at whether it waits for something that may never come.
const patience = 100 * time.Millisecond

// interruptedLabels keeps the labels of interrupted cells, so that no other cell gets one of theirs.
var interruptedLabels struct {
	sync.Mutex
	kept []context.Context
}

// stopLabelled has the goroutines of a label end.
func stopLabelled(labels context.Context, id uintptr) {
	interruptedLabels.Lock()
	interruptedLabels.kept = append(interruptedLabels.kept, labels)
	interruptedLabels.Unlock()
	cell.Stop(id)
}

// start runs compiled code of a cell and waits for its end.
func (r *run) start(main func()) *engine.Failure {
	done := make(chan outcome, 2)
	ids := make(chan [2]uintptr, 1)
	stopped := r.ctx.Done()
	cell.Done.Store(&stopped)
	defer cell.Done.Store(nil)
	instead.Exits = func(status int) { done <- outcome{exit: &status} }
	if r.options.Stdin != nil {
		instead.Stdin = r.options.Stdin
	}
	labels := pprof.WithLabels(context.Background(), pprof.Labels("cell", strconv.Itoa(r.text.number)))
	go func() {
		// The goroutines that the cell starts inherit the label, and end with it at an interrupt.
		pprof.SetGoroutineLabels(labels)
		ids <- [2]uintptr{cell.Label(), goroutineID()}
		finished := false
		defer func() {
			if finished {
				return
			}
			o := outcome{ended: true}
			if v := recover(); v != nil {
				o = outcome{panicked: true, value: v, frames: framesOf(r.callers())}
			}
			done <- o
		}()
		main()
		finished = true
		done <- outcome{}
	}()
	id := <-ids
	var look <-chan time.Time
	for {
		select {
		case o := <-done:
			return r.failure(o)
		case <-stopped:
			stopped = nil
			stopLabelled(labels, id[0])
			look = time.After(patience)
		case <-look:
			// The goroutine may wait for what never comes. It is left behind, to end when it wakes up.
			if waits(id[1]) {
				f := interrupted()
				f.Message += "; it was waiting, and is left behind"
				return f
			}
			look = time.After(patience)
		}
	}
}

// label gives the calling goroutine, and those that it starts, the label of the cell, under which compiled code
// that the interpreter calls can be stopped.
func (r *run) label() (release func()) {
	labels := pprof.WithLabels(context.Background(), pprof.Labels("cell", strconv.Itoa(r.text.number)))
	pprof.SetGoroutineLabels(labels)
	id := cell.Label()
	stopped := r.ctx.Done()
	cell.Done.Store(&stopped)
	stop := context.AfterFunc(r.ctx, func() { stopLabelled(labels, id) })
	return func() {
		stop()
		cell.Done.Store(nil)
		pprof.SetGoroutineLabels(context.Background())
	}
}

// failure words how a cell ended; nil where it went well.
func (r *run) failure(o outcome) *engine.Failure {
	switch {
	case o.exit != nil:
		message := fmt.Sprintf("exit status %d", *o.exit)
		return &engine.Failure{Name: "Exit", Message: message, Traceback: []string{red("Exit") + ": " + message}}
	case r.ctx.Err() != nil:
		return interrupted()
	case o.panicked:
		return r.panicFailure(o.value, o.frames)
	case o.ended:
		return &engine.Failure{Name: "Goexit", Message: "the cell ended its goroutine", Traceback: []string{red("Goexit") + ": the cell ended its goroutine with runtime.Goexit"}}
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
		if number, ok := cellNumber(f.File); ok {
			out = append(out, frame{number: number, line: f.Line, function: functionName(f.Function)})
		}
		if !more {
			return out
		}
	}
}

// functionName is how a function of a compiled cell is called in its source.
func functionName(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	if rest, ok := strings.CutPrefix(name, private+"run"); ok {
		return strings.TrimPrefix(rest, ".")
	}
	if rest, ok := strings.CutPrefix(name, private+"init"); ok {
		name = "init" + strings.TrimLeft(rest, "0123456789")
	}
	name = strings.NewReplacer(mark, "", local, "").Replace(name)
	return strings.TrimSuffix(name, "[...]")
}

// goroutineID returns the number of the calling goroutine, as stack traces name it.
func goroutineID() uintptr {
	var buf [64]byte
	fields := strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))
	id, _ := strconv.Atoi(fields[1])
	return uintptr(id)
}

// waits reports whether a goroutine waits for another, or for input, rather than runs.
func waits(id uintptr) bool {
	buf := make([]byte, 1<<20)
	text := string(buf[:runtime.Stack(buf, true)])
	_, rest, ok := strings.Cut("\n"+text, fmt.Sprintf("\ngoroutine %d [", id))
	if !ok {
		return false
	}
	state, _, _ := strings.Cut(rest, "]")
	state, _, _ = strings.Cut(state, ",")
	for _, s := range []string{"chan receive", "chan send", "select", "sync.", "semacquire", "sleep", "IO wait"} {
		if strings.HasPrefix(state, s) {
			return true
		}
	}
	return false
}
