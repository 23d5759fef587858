package display

import (
	"context"
	"fmt"
	"html"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
)

const (
	progressAfter = 500 * time.Millisecond // shorter work shows nothing
	progressEvery = 100 * time.Millisecond
)

// outermost is the bar that is shown. Work within work shows none of its own: one bar grows, not a pile of them.
var outermost atomic.Pointer[Progress]

// stale is how long a bar may stand still before another takes its place: its owner may have forgotten it.
const stale = time.Minute

// place is a display in a notebook's cell. The cell is known by the context that interrupts it.
type place struct {
	id   string
	cell context.Context
}

// vacant is where the last bar is shown whose work came to its end, nil where there is none. The next one of the cell takes it over, so that a
// loop's bars are one and not a pile. A bar of work that was stopped stays.
var vacant atomic.Pointer[place]

// take returns the place for a bar, and whether something is shown there already.
func take() (at place, shown bool) {
	cell := interrupt.Context()
	if v := vacant.Swap(nil); v != nil && v.cell == cell {
		return *v, true
	}
	return place{uuid.NewString(), cell}, false
}

// Progress is a bar that grows in place: in a notebook as a display that is updated, in a
// terminal as a line that is written over, elsewhere not at all. Of bars that follow each other in a cell the last is left. Its
// methods may be called from any goroutine.
type Progress struct {
	label string
	total int

	mu      sync.Mutex // guards the fields below
	done    int
	started time.Time
	last    time.Time                // of the last update
	at      place                    // in a notebook, once shown
	bar     *progressbar.ProgressBar // for a terminal, from when it is made it counts the time; nil without a total
	line    bool                     // whether the terminal shows it
	closed  bool

	moved atomic.Int64 // when steps were added last
}

// NewProgress begins work of total steps; 0 or less if their number is not known.
func NewProgress(label string, total int) *Progress {
	p := &Progress{label: label, total: total, started: time.Now()}
	p.moved.Store(p.started.UnixNano())
	if total > 0 { // the library's bar without a total draws itself, before anything is due
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetDescription(label), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionFullWidth(),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true))
		p.bar.StartWithoutRender()
	}
	p.leads()
	return p
}

// leads reports whether p is the bar to show, and makes it that if there is no other.
func (p *Progress) leads() bool {
	first := outermost.Load()
	if first == nil || first != p && time.Since(time.Unix(0, first.moved.Load())) > stale {
		outermost.CompareAndSwap(first, p)
		first = outermost.Load()
	}
	return first == p
}

// Add says that n more steps are done.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	now := time.Now()
	p.moved.Store(now.UnixNano())
	if !p.closed && p.leads() && now.Sub(p.started) >= progressAfter && now.Sub(p.last) >= progressEvery {
		p.last = now
		p.show()
	}
}

// Close ends the bar; what was shown stays as it is at the end, until another bar of the cell takes its place.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	if p.at.id != "" || p.line {
		p.show()
	}
	if p.at.id != "" && !p.stopped() {
		at := p.at
		vacant.Store(&at)
	}
	if p.line {
		fmt.Fprintln(os.Stderr)
	}
	outermost.CompareAndSwap(p, nil)
}

// stopped reports whether the work ended before it was done. The caller holds mu.
func (p *Progress) stopped() bool { return p.closed && p.done < p.total }

// show draws the bar. The caller holds mu.
func (p *Progress) show() {
	if to, ok := inNotebook(); ok {
		update := p.at.id != ""
		if !update {
			p.at, update = take()
		}
		to.Display(p.bundle(), update)
		return
	}
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	p.line = true
	if p.bar == nil {
		fmt.Fprint(os.Stderr, "\r\x1b[K", p.bundle().Data[mime.Text])
		return
	}
	p.bar.Set(min(p.done, p.total))
}

// bundle draws the bar for a notebook. The caller holds mu.
func (p *Progress) bundle() mime.Bundle {
	elapsed := time.Since(p.started)
	share, count := 0.0, fmt.Sprint(p.done)
	if p.total > 0 {
		share = min(float64(p.done)/float64(p.total), 1)
		count = fmt.Sprintf("%d of %d", p.done, p.total)
	}
	var rest string
	switch {
	case p.total > 0 && p.done >= p.total || p.closed && p.total <= 0:
		rest = "took " + brief(elapsed)
		share = 1
	case p.stopped():
		rest = "stopped after " + brief(elapsed)
	case share > 0:
		rest = brief(time.Duration(float64(elapsed)*(1-share)/share)) + " left"
	default:
		rest = brief(elapsed) + " so far"
	}
	rate := float64(p.done) / elapsed.Seconds()
	text := fmt.Sprintf("%s: %s, %.3g/s, %s", p.label, count, rate, rest)
	color := "#0072b2"
	if p.stopped() {
		color = "#d55e00"
	}
	page := fmt.Sprintf(`<div style="display:flex;align-items:center;gap:8px;font-size:12px"><span>%s</span><div style="width:240px;background:#e8e8e8;height:8px;border-radius:4px"><div style="width:%.1f%%;background:%s;height:8px;border-radius:4px"></div></div><span>%s, %.3g/s, %s</span></div>`,
		html.EscapeString(p.label), 100*share, color, count, rate, rest)
	return mime.Bundle{ID: p.at.id, Data: map[string]string{mime.Text: text, mime.HTML: page}}
}

// brief writes a duration as a person says it.
func brief(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
