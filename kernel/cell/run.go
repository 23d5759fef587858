package cell

import (
	"context"
	"maps"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/loupeml/loupe/lib/interrupt"
)

// Run is one cell that runs, as its goroutines see it. Several may run at a time.
type Run struct {
	// Context is cancelled when the cell has to stop.
	Context context.Context
	// Scope is what the library knows of that. [Run.Begin] sets it.
	Scope *interrupt.Scope

	// Name is that of the label, as profiles show it.
	Name string

	labels  context.Context
	label   uintptr
	ended   atomic.Bool
	exit    func(status int) // guarded by mu, as panicked
	panics  func(value any, pcs []uintptr)
	step    atomic.Int64
	watch   atomic.Pointer[watch] // nil while nobody watches
	shown   []any                 // guarded by mu, as isShown
	isShown bool
}

// keptRuns is how many runs are known to goroutines that go on when their cell has ended.
const keptRuns = 256

var begun atomic.Uint64

var (
	// runs are by label. The map is replaced and never changed, since the library asks for the current run between any
	// two steps.
	runs   atomic.Pointer[map[uintptr]*Run]
	oldest []uintptr // labels of runs; guarded by mu, as the replacing
)

func init() {
	interrupt.ByGoroutine(func() *interrupt.Scope {
		if r := Current(); r != nil {
			return r.Scope
		}
		return nil
	})
}

// Begin gives the run a label and a scope of its own.
func (r *Run) Begin() {
	r.Scope = interrupt.ScopeOf(r.Context)
	r.Name = strconv.FormatUint(begun.Add(1), 10)
	r.labels = pprof.WithLabels(context.Background(), pprof.Labels("cell", r.Name))
	enter := make(chan uintptr)
	go func() {
		pprof.SetGoroutineLabels(r.labels)
		enter <- label()
	}()
	r.label = <-enter
	mu.Lock()
	defer mu.Unlock()
	all := map[uintptr]*Run{}
	if old := runs.Load(); old != nil {
		maps.Copy(all, *old)
	}
	if len(oldest) >= keptRuns {
		delete(all, oldest[0])
		oldest = oldest[1:]
	}
	all[r.label] = r
	oldest = append(oldest, r.label)
	runs.Store(&all)
}

// Forget makes room for other runs. Goroutines of this one that go on are nobody's then.
func (r *Run) Forget() {
	mu.Lock()
	defer mu.Unlock()
	all := map[uintptr]*Run{}
	if old := runs.Load(); old != nil {
		maps.Copy(all, *old)
	}
	delete(all, r.label)
	runs.Store(&all)
	oldest = slices.DeleteFunc(oldest, func(l uintptr) bool { return l == r.label })
}

// Enter makes the calling goroutine, and those that it starts, the run's.
func (r *Run) Enter() { pprof.SetGoroutineLabels(r.labels) }

// Leave makes the calling goroutine nobody's.
func Leave() { pprof.SetGoroutineLabels(context.Background()) }

// Stop has the run's goroutines end as soon as they come to a [Poll].
func (r *Run) Stop() { stopping.change(r.label, r.labels) }

// StopEnded has the goroutines end that cells have left behind, and returns the runs of those cells.
func StopEnded() (stopped []*Run) {
	all := runs.Load()
	if all == nil {
		return nil
	}
	for _, r := range *all {
		if r.ended.Load() {
			stopped = append(stopped, r)
			r.Stop()
			r.Scope.Stop()
		}
	}
	return stopped
}

// Stopped notes that none of the run's goroutines is left to be stopped.
func (r *Run) Stopped() { stopping.change(r.label, nil) }

// End notes that the cell has ended. What it has left behind cannot be interrupted any more.
func (r *Run) End() { r.ended.Store(true) }

// Ends has the run tell when the cell ends otherwise than by its last statement: the status with which it wants to
// exit, and what a goroutine that it has started panicked with, and where.
func (r *Run) Ends(exit func(status int), panics func(value any, pcs []uintptr)) {
	mu.Lock()
	defer mu.Unlock()
	r.exit, r.panics = exit, panics
}

// Step is how far the run has come in its definitions.
func (r *Run) Step() int { return int(r.step.Load()) }

// SetStep notes how far the run has come.
func (r *Run) SetStep(n int) { r.step.Store(int64(n)) }

// TakeShown returns what [Show] has taken since this was last called.
func (r *Run) TakeShown() (values []any, ok bool) {
	mu.Lock()
	defer mu.Unlock()
	values, ok = r.shown, r.isShown
	r.shown, r.isShown = nil, false
	return values, ok
}

// Current returns the run that the calling goroutine belongs to, or nil.
func Current() *Run {
	l, all := label(), runs.Load()
	if l == 0 || all == nil {
		return nil
	}
	return (*all)[l]
}

// Show takes the value of a cell's last expression.
func Show(values ...any) {
	if r := Current(); r != nil {
		mu.Lock()
		defer mu.Unlock()
		r.shown, r.isShown = values, true
	}
}

// Step notes how far the running cell has come in its definitions. Its statements call it, and it is read when they
// have ended.
func Step(n int) {
	if r := Current(); r != nil {
		r.SetStep(n)
	}
}

// Interrupted returns the channel that is closed when the calling goroutine's cell has to stop, nil where none runs.
func Interrupted() <-chan struct{} {
	if r := Current(); r != nil && !r.ended.Load() {
		return r.Context.Done()
	}
	return nil
}

// Exit tells that the calling goroutine's cell wants to end with a status; ok is false where nobody takes it.
func Exit(status int) (ok bool) {
	r := Current()
	if r == nil {
		return false
	}
	mu.Lock()
	exit := r.exit
	mu.Unlock()
	if exit != nil {
		exit(status)
	}
	return exit != nil
}

// Guard is deferred in goroutines that cells start: a panic there costs the cell, not the process with all variables.
func Guard() {
	v := recover()
	if v == nil {
		return
	}
	pcs := make([]uintptr, 256)
	pcs = pcs[:runtime.Callers(2, pcs)]
	var panics func(any, []uintptr)
	if r := Current(); r != nil {
		mu.Lock()
		panics = r.panics
		mu.Unlock()
	}
	if panics == nil {
		panic(v)
	}
	panics(v, pcs)
}
