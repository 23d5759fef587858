package progress

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
)

// notebook remembers what it is asked to show, and shows it.
type notebook struct {
	mu      sync.Mutex
	bundles []mime.Bundle
	created []string               // IDs of the displays, in their order
	shown   map[string]mime.Bundle // by ID
}

func (n *notebook) Display(b mime.Bundle, update bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bundles = append(n.bundles, b)
	if _, there := n.shown[b.ID]; update && !there {
		return
	}
	if !update {
		n.created = append(n.created, b.ID)
	}
	n.shown[b.ID] = b
}

func (n *notebook) Clear(bool) { clear(n.shown) }

// bars are the displays that show something.
func (n *notebook) bars() int {
	bars := 0
	for _, b := range n.shown {
		if len(b.Data) > 0 {
			bars++
		}
	}
	return bars
}

func inNotebook(t *testing.T) *notebook {
	n := &notebook{shown: map[string]mime.Bundle{}}
	sink.Use(n)
	t.Cleanup(func() { sink.Use(nil) })
	return n
}

// begun is a bar of work that began that long ago.
func begun(ago time.Duration, label string, total int) *Bar {
	b := New(label, total)
	b.started = b.started.Add(-ago)
	return b
}

func TestABarGrowsInPlaceAndGoes(t *testing.T) {
	n := inNotebook(t)
	quick := New("quick", 10)
	quick.Add(5)
	quick.Close()
	if len(n.bundles) != 0 {
		t.Fatalf("work of no time showed %d bars", len(n.bundles))
	}
	b := begun(time.Minute, "images", 100)
	b.Add(40)
	if text := n.bundles[0].Data[mime.Text]; !strings.Contains(text, "images: ━━━━━━━━──") ||
		!strings.Contains(text, "40 of 100, 1.5 s each, 1 min 30 s left") {
		t.Errorf("at first %q", text)
	}
	for range 59 {
		b.Add(1) // too soon after each other to be shown
	}
	if len(n.bundles) != 1 || n.bars() != 1 {
		t.Errorf("shown %d times, %d bars", len(n.bundles), n.bars())
	}
	b.Add(1)
	if n.bars() != 0 {
		t.Error("the bar stays after the last step")
	}
	b.Close()
	b.Close()
	if len(n.bundles) != 2 || len(n.created) != 1 {
		t.Errorf("%d displays, shown %d times", len(n.created), len(n.bundles))
	}
	for _, shown := range n.bundles {
		if !shown.Passing {
			t.Errorf("a recorder would keep %v", shown)
		}
	}
}

func TestNothingIsLeftOfWorkThatStops(t *testing.T) {
	n := inNotebook(t)
	for name, steps := range map[string][2]int{"stopped": {100, 20}, "without a total": {0, 20},
		"more than said": {10, 12}} {
		b := begun(10*time.Second, "<images>", steps[0])
		b.Add(steps[1])
		b.Close()
		if n.bars() != 0 {
			t.Errorf("%s: a bar is left", name)
		}
	}
	forgotten := begun(time.Minute, "forgotten", 100)
	forgotten.Add(1)
	if n.bars() != 1 {
		t.Fatal("no bar is shown")
	}
	CellEnded()
	if n.bars() != 0 {
		t.Error("a bar is left behind by a cell that forgot it")
	}
	forgotten.last = time.Time{}
	forgotten.Add(1)
	if n.bars() != 1 {
		t.Error("work that goes on shows nothing")
	}
	forgotten.Close()
}

func TestWorkWithinWorkShowsOneBar(t *testing.T) {
	n := inNotebook(t)
	outer := begun(time.Hour, "outer", 3)
	inner := begun(time.Hour, "inner", 3)
	inner.Add(1)
	inner.Close()
	if len(n.bundles) != 0 {
		t.Errorf("the inner bar is shown: %v", n.bundles)
	}
	outer.Add(1)
	if n.bars() != 1 {
		t.Error("the outer bar is not shown")
	}
	outer.Close()
	next := begun(time.Hour, "next", 3)
	next.Add(1)
	if n.bars() != 1 {
		t.Error("a bar after it is not shown")
	}
	next.Close()
}

// Bars that follow each other in a cell leave one empty display; those of other cells have displays of their own.
func TestTheNextBarTakesThePlaceOfTheLast(t *testing.T) {
	n := inNotebook(t)
	work := func() string {
		b := begun(time.Hour, "work", 3)
		defer b.Close()
		b.Add(1)
		return b.at.id
	}
	first := work()
	if second := work(); second != first || len(n.created) != 1 {
		t.Errorf("the second bar is shown in %s, the first in %s", second, first)
	}
	release := interrupt.Use(testenv.CancelledAfter(100))
	next := work()
	release()
	if next == first {
		t.Error("a bar of the next cell is shown in the last")
	}
	if back := work(); back == next {
		t.Error("a bar is shown in another cell")
	}
	b := begun(time.Hour, "work", 3)
	defer b.Close()
	b.Add(1)
	sink.Clear(false)
	b.last = time.Time{}
	b.Add(1)
	if n.bars() != 1 {
		t.Error("a bar whose display was cleared is not shown anew")
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		steps int
		took  time.Duration
		want  string
	}{{4, 100 * time.Second, "25 s each"}, {1, 90 * time.Second, "1 min 30 s each"}, {5, 6 * time.Second, "1.2 s each"},
		{10, 10 * time.Second, "1.0/s"},
		{20, 10 * time.Second, "2.0/s"}, {5000, 10 * time.Second, "500/s"}, {1, 2 * time.Hour, "2 h 0 min each"}} {
		if got := rate(c.steps, c.took); got != c.want {
			t.Errorf("%d in %v: %q, want %q", c.steps, c.took, got, c.want)
		}
	}
}

// In a terminal the line is never longer than the screen is wide, and is gone at the end.
func TestTerminal(t *testing.T) {
	terminal, file, err := pty.Open()
	if err != nil {
		t.Skip("skipped: needs a pseudo terminal: ", err)
	}
	defer terminal.Close()
	pty.Setsize(terminal, &pty.Winsize{Rows: 5, Cols: 40})
	screen := vt10x.New(vt10x.WithSize(40, 5))
	stderr := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = stderr }()
	draw := func() string { // what the bar has written, on the screen
		file.WriteString("\x00")
		var written []byte
		for buf := make([]byte, 1); ; {
			if _, err := terminal.Read(buf); err != nil {
				t.Fatal(err)
			}
			if buf[0] == 0 {
				screen.Write(written)
				return strings.TrimRight(screen.String(), " \n")
			}
			written = append(written, buf[0])
		}
	}
	b := begun(time.Minute, "a label that takes some room, 網路", 100)
	b.Add(40)
	if got := draw(); strings.Count(got, "\n") > 0 || !strings.HasPrefix(got, "a label") || !strings.HasSuffix(got, "…") {
		t.Errorf("the screen is\n%s", got)
	}
	b.Close()
	if got := draw(); got != "" {
		t.Errorf("left on the screen:\n%s", got)
	}
}
