package gonb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// A bridge lets cells that are not GoNB's use GoNB's package gonbui, its displays and its widgets. gonbui speaks to
// GoNB through two named pipes. A GoNB of the bridge's own runs a program that does nothing, and whose pipes the cells
// get.
type bridge struct {
	child *child
	stop  context.CancelFunc // of the program
	ended chan struct{}      // closed when the program has ended

	mu    sync.Mutex // guards the fields below
	out   engine.Output
	marks map[string]chan struct{} // closed when the display with the id has come
}

const (
	gonbui = "github.com/janpfeifer/gonb/gonbui"
	// markTime is how long the end of a cell may wait for what gonbui has been given to show.
	markTime = 5 * time.Second
)

// program prints where its pipes are, and goes on until it is interrupted.
const program = "import (\n\t\"fmt\"\n\t\"os\"\n\t\"time\"\n)\n%%\nfmt.Printf(\"pipes %s %s\\n\", " +
	"os.Getenv(\"GONB_PIPE\"), os.Getenv(\"GONB_PIPE_BACK\"))\nfor {\n\ttime.Sleep(time.Hour)\n}"

// Text takes the place of the pipes from the program's first line.
type pipes struct {
	*bridge
	text  strings.Builder
	found chan [2]string
}

func (p *pipes) Text(_ engine.Stream, text string) {
	p.text.WriteString(text)
	var found [2]string
	if n, _ := fmt.Sscanf(p.text.String(), "pipes %s %s\n", &found[0], &found[1]); n == 2 &&
		strings.HasSuffix(p.text.String(), "\n") {
		select {
		case p.found <- found:
		default:
		}
	}
}

// Display passes on what gonbui shows.
func (b *bridge) Display(bundle mime.Bundle, update bool) {
	b.mu.Lock()
	out, mark := b.out, b.marks[bundle.ID]
	delete(b.marks, bundle.ID)
	b.mu.Unlock()
	if mark != nil {
		close(mark)
	} else if out != nil {
		out.Display(bundle, update)
	}
}

// Clear does nothing: the program does not clear.
func (b *bridge) Clear(bool) {}

// Comm passes on what gonbui's widgets say.
func (b *bridge) Comm(m comm.Message) {
	b.mu.Lock()
	out := b.out
	b.mu.Unlock()
	if to, ok := out.(engine.Commer); ok {
		to.Comm(m)
	}
}

// Input asks for what gonbui.RequestInput wants.
func (b *bridge) Input(ctx context.Context, prompt string, password bool) (string, error) {
	b.mu.Lock()
	out := b.out
	b.mu.Unlock()
	if to, ok := out.(engine.Prompter); ok {
		return to.Input(ctx, prompt, password)
	}
	return "", errNobody
}

var errNobody = errors.New("gonb: nobody can be asked")

// build starts GoNB with the program, and returns where its pipes are.
func build(ctx context.Context, options Options) (*bridge, [2]string, error) {
	c, err := start(ctx, options.Dir, options.KernelID)
	if err != nil {
		return nil, [2]string{}, err
	}
	running, stop := context.WithCancel(context.Background())
	b := &bridge{child: c, stop: stop, ended: make(chan struct{}), marks: map[string]chan struct{}{}}
	p := &pipes{bridge: b, found: make(chan [2]string, 1)}
	var result engine.Result
	go func() {
		defer close(b.ended)
		result = c.run(running, program, nil, p)
	}()
	select {
	case found := <-p.found:
		return b, found, nil
	case <-b.ended:
		err = fmt.Errorf("gonb: the program that gonbui needs does not run: %+v", result.Failure)
	case <-time.After(startTime):
		err = fmt.Errorf("gonb: the program that gonbui needs does not start")
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.close()
	return nil, [2]string{}, err
}

func (b *bridge) close() {
	b.stop()
	b.child.close()
}

// usesGonbui reports whether a cell may speak to GoNB: it names the package, or an earlier cell has done so.
func (e *Engine) usesGonbui(source string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bridge != nil || strings.Contains(source, "gonbui")
}

// bridged has gonbui work in the cells of the other engine, for a cell whose output is out.
func (e *Engine) bridged(ctx context.Context, cell engine.Cell, out engine.Output) error {
	ready, err := e.Inner.Eval(ctx, engine.Cell{Number: cell.Number,
		Source: fmt.Sprintf("import %q\ngonbui.IsNotebook && gonbui.Error() == nil", gonbui), Silent: true}, &printed{})
	if err != nil || ready.Failure != nil {
		return err // the cell itself tells what is wrong
	}
	e.mu.Lock()
	b := e.bridge
	e.mu.Unlock()
	if b != nil && (ready.Value == nil || ready.Value.Data[mime.Text] != "true") {
		b.close() // the process of the cells that it was for is gone
		b = nil
		e.mu.Lock()
		e.bridge = nil
		e.mu.Unlock()
	}
	if b == nil {
		if !strings.Contains(cell.Source, "gonbui") {
			return nil
		}
		var found [2]string
		if b, found, err = build(ctx, e.options); err != nil {
			return err
		}
		e.mu.Lock()
		e.bridge = b
		e.mu.Unlock()
		if err := e.inside(ctx, cell,
			fmt.Sprintf("import %q\nos.Setenv(\"GONB_PIPE\", %q)\nos.Setenv(\"GONB_PIPE_BACK\", %q)\ngonbui.IsNotebook = true",
				gonbui, found[0], found[1]), "gonbui"); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.out = out
	b.mu.Unlock()
	return nil
}

// settle waits until all has been shown that the cell has given to gonbui.
func (e *Engine) settle(ctx context.Context, cell engine.Cell) {
	e.mu.Lock()
	b := e.bridge
	e.mu.Unlock()
	if b == nil {
		return
	}
	id, mark := "loupe-"+uuid.NewString(), make(chan struct{})
	b.mu.Lock()
	b.marks[id] = mark
	b.mu.Unlock()
	if e.inside(ctx, cell, fmt.Sprintf("import %q\ngonbui.UpdateHTML(%q, \"\")", gonbui, id), "gonbui") != nil {
		return
	}
	select {
	case <-mark:
	case <-time.After(markTime):
	case <-ctx.Done():
	case <-b.child.ended:
	}
}
