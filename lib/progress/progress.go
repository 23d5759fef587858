// Package progress shows how far long work is: a bar that grows in place and is gone when the work is done.
//
// Work of less than half a second shows nothing. In a notebook the bar is a display that is updated and then emptied,
// in a terminal a line of the standard error that is written over and then erased; elsewhere, as in a log file, there
// is none. Of work within work only the outermost is shown.
package progress

import (
	"context"
	"fmt"
	"html"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
)

const (
	showAfter = 500 * time.Millisecond // shorter work shows nothing
	waitAfter = 300 * time.Millisecond // nor does a shorter wait
	showEvery = 100 * time.Millisecond
)

// outermost is the bar that is shown. Work within work shows none of its own: one bar grows, not a pile of them.
var outermost atomic.Pointer[Bar]

// stale is how long a bar may stand still before another takes its place: its owner may have forgotten it.
const stale = time.Minute

// place is a display in a notebook's cell. The cell is known by the context that interrupts it.
type place struct {
	id      string
	cell    context.Context
	cleared int // sink.Cleared when it was made
}

// vacant is the place that the last bar has left empty; nil if there is none. The next bar of the cell takes it, so
// that a loop with a bar in each round leaves one empty display behind and not a pile of them.
var vacant atomic.Pointer[place]

// take returns the place for a bar, and whether there is a display in it already.
func take() (at place, there bool) {
	now := place{uuid.NewString(), interrupt.Context(), sink.Cleared()}
	if v := vacant.Swap(nil); v != nil && v.cell == now.cell && v.cleared == now.cleared {
		return *v, true
	}
	return now, false
}

// Bar shows the progress of one piece of work. Its methods may be called from any goroutine.
type Bar struct {
	label string
	total int
	waits bool          // see Wait
	about time.Duration // what a wait takes by experience

	mu      sync.Mutex // guards the fields below
	done    int
	started time.Time
	last    time.Time // of the last update
	at      place     // in a notebook; its zero value while nothing is shown
	line    bool      // whether the terminal shows it
	says    string    // see Say
	closed  bool

	moved atomic.Int64 // when steps were added last
}

// New begins work of total steps; 0 or less if nobody knows their number. The label says in words what is done, such as
// "EfficientNet-Lite0: predictions". [Bar.Close] ends it, however the work ends: defer it.
func New(label string, total int) *Bar {
	b := &Bar{label: label, total: total, started: time.Now()}
	b.moved.Store(b.started.UnixNano())
	b.leads()
	return b
}

// Wait shows that something is waited for which cannot say how far it is: a bar that grows by time, up to what it
// takes by experience; 0 means that nobody knows. It takes the place of the bar of the work that waits. The function
// that it returns ends it.
func Wait(label string, about time.Duration) (done func()) {
	if about > 0 {
		label += ", about " + Brief(about.Round(time.Second))
	}
	b := &Bar{label: label, started: time.Now(), about: about, waits: true}
	b.moved.Store(b.started.UnixNano())
	waiting := outermost.Swap(b)
	over := make(chan struct{})
	go func() {
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				b.Add(0)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(over)
		b.Close()
		if waiting != nil && !waiting.isClosed() {
			outermost.CompareAndSwap(nil, waiting)
		}
	})
}

// leads reports whether b is the bar to show, and makes it that if there is no other.
func (b *Bar) leads() bool {
	first := outermost.Load()
	if first == nil || first != b && time.Since(time.Unix(0, first.moved.Load())) > stale {
		outermost.CompareAndSwap(first, b)
		first = outermost.Load()
	}
	return first == b
}

// Add says that n more steps are done. With the last of them the bar goes.
func (b *Bar) Add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	now := time.Now()
	b.moved.Store(now.UnixNano())
	switch {
	case b.closed || !b.leads():
	case b.total > 0 && b.done >= b.total:
		b.erase()
	case now.Sub(b.started) >= b.showAfter() && now.Sub(b.last) >= showEvery:
		b.last = now
		b.show()
	}
}

// Say puts what is known of the work behind how far it is, such as a loss: from the next step on.
func (b *Bar) Say(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.says = words
}

// Close ends the bar: what it showed is gone. To close it again does nothing.
func (b *Bar) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.erase()
	outermost.CompareAndSwap(b, nil)
}

func (b *Bar) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *Bar) showAfter() time.Duration {
	if b.waits {
		return waitAfter
	}
	return showAfter
}

// CellEnded erases the bar of a cell that ended without closing it, by an error for example. If its work goes on
// behind the cell, the bar comes again with its next step.
func CellEnded() {
	if b := outermost.Load(); b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.erase()
	}
}

// show draws the bar. The caller holds mu.
func (b *Bar) show() {
	if to, ok := sink.Current(); ok {
		update := b.at.id != "" && b.at.cleared == sink.Cleared()
		if !update {
			b.at, update = take()
		}
		to.Display(b.bundle(), update)
		return
	}
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil { // no terminal
		return
	}
	b.line = true
	fmt.Fprint(os.Stderr, eraseLine, runewidth.Truncate(b.text(), width-1, "…"))
}

const eraseLine = "\r\x1b[K"

// erase takes away what is shown. The caller holds mu.
func (b *Bar) erase() {
	if b.line {
		fmt.Fprint(os.Stderr, eraseLine)
		b.line = false
	}
	if b.at.id == "" {
		return
	}
	if to, ok := sink.Current(); ok && b.at.cleared == sink.Cleared() {
		to.Display(mime.Bundle{ID: b.at.id, Data: map[string]string{}, Passing: true}, true)
		at := b.at
		vacant.Store(&at)
	}
	b.at = place{}
}

// state is how far the work is: the share of it in 0..1, 0 if nobody knows, and in words. The caller holds mu.
func (b *Bar) state() (share float64, words string) {
	elapsed := time.Since(b.started)
	if b.about > 0 {
		return min(float64(elapsed)/float64(b.about), 1), Brief(elapsed) + " so far"
	}
	parts := []string{fmt.Sprint(b.done)}
	if b.total > 0 {
		share = min(float64(b.done)/float64(b.total), 1)
		parts[0] = fmt.Sprintf("%d of %d", b.done, b.total)
	}
	if b.done > 0 {
		parts = append(parts, rate(b.done, elapsed))
	}
	if share > 0 {
		parts = append(parts, Brief(time.Duration(float64(elapsed)*(1-share)/share))+" left")
	} else {
		parts = append(parts, Brief(elapsed)+" so far")
	}
	if b.says != "" {
		parts = append(parts, b.says)
	}
	return share, strings.Join(parts, ", ")
}

// text is the bar in a line. The caller holds mu.
func (b *Bar) text() string {
	const width = 20
	share, words := b.state()
	if b.total <= 0 && b.about <= 0 {
		return b.label + ": " + words
	}
	full := int(width*share + 0.5)
	return b.label + ": " + strings.Repeat("━", full) + strings.Repeat("─", width-full) + " " + words
}

// bundle is the bar for a notebook. The caller holds mu.
func (b *Bar) bundle() mime.Bundle {
	share, words := b.state()
	bar := ""
	if b.total > 0 || b.about > 0 {
		bar = fmt.Sprintf(`<div style="width:240px;background:#e8e8e8;height:8px;border-radius:4px"><div `+
			`style="width:%.1f%%;background:#0072b2;height:8px;border-radius:4px"></div></div>`, 100*share)
	}
	page := fmt.Sprintf(
		`<div style="display:flex;align-items:center;gap:8px;font-size:12px"><span>%s</span>%s<span>%s</span></div>`,
		html.EscapeString(b.label), bar, words)
	return mime.Bundle{ID: b.at.id, Data: map[string]string{mime.Text: b.text(), mime.HTML: page}, Passing: true}
}

// rate is how fast steps are done, or how long each takes where that is more than a second.
func rate(steps int, d time.Duration) string {
	if each := d / time.Duration(steps); each > time.Second {
		return Brief(each) + " each"
	}
	perSecond := float64(steps) / d.Seconds()
	if perSecond < 10 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// Brief writes a duration as a person says it.
func Brief(d time.Duration) string {
	if d < 9950*time.Millisecond {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 3600:
		return fmt.Sprintf("%d min", (s+30)/60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
}
