package conformance

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/worker"
	"github.com/loupeml/loupe/lib/mime"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(yaegiFile); file != "" {
		os.Exit(yaegi(file))
	}
	os.Exit(testenv.Main(m))
}

// output collects what a cell prints.
type output struct {
	mu          sync.Mutex
	stdout, all strings.Builder
}

func (o *output) Text(s engine.Stream, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s == engine.Stdout {
		o.stdout.WriteString(text)
	}
	o.all.WriteString(text)
}

func (o *output) Display(b mime.Bundle, update bool) {}
func (o *output) Clear(wait bool)                    {}

// reply is what a cell answers.
type reply struct {
	stdout, all string // all has the standard error as well
	value       string
	failure     *engine.Failure
}

// notebook is a worker with a counter of cells.
type notebook struct {
	t      testing.TB
	worker *worker.Worker
	count  int
}

func newNotebook(t testing.TB, dir string) *notebook {
	t.Helper()
	w, err := worker.New(worker.Options{Path: filepath.Join(testenv.Binaries(t), "loupe-worker"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &notebook{t: t, worker: w}
}

// patience is how long a cell may take until it is taken for hanging, on a machine however busy.
const patience = 10 * time.Minute

func (n *notebook) run(cell string, limit time.Duration) reply {
	n.t.Helper()
	n.count++
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out output
	r, err := n.worker.Eval(ctx, engine.Cell{Number: n.count, Source: cell}, &out)
	if err != nil {
		n.t.Fatal(err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	a := reply{stdout: out.stdout.String(), all: out.all.String(), failure: r.Failure}
	if r.Value != nil {
		a.value = r.Value.Data[mime.Text]
	}
	return a
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// why is what a failure tells a person.
func (r reply) why() string {
	if r.failure == nil {
		return ""
	}
	return colours.ReplaceAllString(strings.Join(r.failure.Traceback, "\n"), "")
}

// exceptions reads a table: a name and a reason on each line.
func exceptions(t testing.TB, name string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			t.Fatalf("%s: %s has no reason", name, what)
		}
		out[what] = strings.TrimSpace(reason)
	}
	return out
}
