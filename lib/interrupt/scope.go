package interrupt

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Scope is what is interrupted together: a cell with all goroutines that it has started, or a whole program. Two scopes
// do not know of each other.
type Scope struct {
	ctx  context.Context
	stop context.CancelFunc
	used atomic.Pointer[context.Context] // by [Use]; nil means ctx

	mu   sync.Mutex // guards busy
	busy []*task
}

// task is something that cannot be stopped half way.
type task struct{ what string }

type scopeKey struct{}

// NewScope returns a scope that is interrupted when ctx is cancelled, and by its own Stop.
func NewScope(ctx context.Context) *Scope {
	s := &Scope{}
	ctx, s.stop = context.WithCancel(ctx)
	s.ctx = context.WithValue(ctx, scopeKey{}, s)
	return s
}

// ScopeOf returns the scope whose context ctx is, or comes from; a new one where there is none.
func ScopeOf(ctx context.Context) *Scope {
	if s, ok := ctx.Value(scopeKey{}).(*Scope); ok {
		return s
	}
	return NewScope(ctx)
}

// Context is cancelled when the scope is interrupted.
func (s *Scope) Context() context.Context { return s.ctx }

// Stop interrupts the scope.
func (s *Scope) Stop() { s.stop() }

// Busy says what the scope is at now that cannot be stopped half way: of several things the one that began last,
// which is part of the others or runs beside them. It is "" where there is nothing.
func (s *Scope) Busy() (what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.busy) == 0 {
		return ""
	}
	return s.busy[len(s.busy)-1].what
}

// program is the scope of goroutines that belong to no other.
var program = NewScope(context.Background())

var finder atomic.Pointer[func() *Scope]

// ByGoroutine has find say which scope the calling goroutine belongs to; nil means the program's. Kernels that run
// several cells in one process call it.
func ByGoroutine(find func() *Scope) { finder.Store(&find) }

// current is the scope of the calling goroutine.
func current() *Scope {
	if find := finder.Load(); find != nil {
		if s := (*find)(); s != nil {
			return s
		}
	}
	return program
}

// Busy says that the calling goroutine begins something that cannot be stopped half way, such as compiling a program,
// a call of a device, or waiting for other goroutines that will look at [Err] themselves. An interrupt waits for its
// end, and tells the person what it waits for: what reads like "compiling resnet50: top-5". The function that it
// returns has to be called at the end.
func Busy(what string) (done func()) {
	s, t := current(), &task{what}
	s.mu.Lock()
	s.busy = append(s.busy, t)
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.busy, t); i >= 0 {
			s.busy = slices.Delete(s.busy, i, i+1)
		}
	}
}
