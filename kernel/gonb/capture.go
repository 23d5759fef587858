package gonb

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// capture is an output that writes what a cell shows to a file as well: its text, and of a display the form that is
// nearest to text.
type capture struct {
	engine.Output
	mu   sync.Mutex // guards file
	file *os.File
}

// capturing returns the output for a cell of the other engine, which a line %capture may have write to a file, and what
// ends that.
func (e *Engine) capturing(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Output,
	func() error, error) {
	for line := range strings.Lines(cell.Source) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "//gonb:"))
		if len(fields) == 0 || fields[0] != "%capture" {
			continue
		}
		flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
		args := fields[1:]
		if len(args) == 2 && args[0] == "-a" {
			flags, args = os.O_CREATE|os.O_WRONLY|os.O_APPEND, args[1:]
		}
		if len(args) != 1 {
			return nil, nil, fmt.Errorf("%%capture takes the name of a file, and -a before it to append")
		}
		// The folder and the environment are the cells'.
		name, err := e.ask(ctx, cell, fmt.Sprintf("import (\"os\"; \"path/filepath\")\nfilepath.Abs(os.ExpandEnv(%q))",
			strings.Replace(args[0], "~/", "$HOME/", 1)))
		if err != nil {
			return nil, nil, err
		}
		if name, err = strconv.Unquote(name); err != nil {
			return nil, nil, err
		}
		file, err := os.OpenFile(name, flags, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("%%capture: %w", err)
		}
		c := &capture{Output: out, file: file}
		return c, c.end, nil
	}
	return out, func() error { return nil }, nil
}

// ask returns the text of what an expression of the other engine's is.
func (e *Engine) ask(ctx context.Context, cell engine.Cell, source string) (string, error) {
	r, err := e.Inner.Eval(ctx, engine.Cell{Number: cell.Number, Source: source, Silent: true}, &printed{})
	switch {
	case err != nil:
		return "", err
	case r.Failure != nil:
		return "", fmt.Errorf("gonb: %s", r.Failure.Message)
	case r.Value == nil:
		return "", nil
	}
	return r.Value.Data[mime.Text], nil
}

func (c *capture) write(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil {
		c.file.WriteString(text) // a full disk shows when the file is closed
	}
}

// end closes the file. What the cell's goroutines show later goes to the front end only.
func (c *capture) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.file.Close()
	c.file = nil
	return err
}

// Text passes on text.
func (c *capture) Text(s engine.Stream, text string) {
	c.write(text)
	c.Output.Text(s, text)
}

// Display passes on a display.
func (c *capture) Display(b mime.Bundle, update bool) {
	for _, kind := range []string{"text/html", "text/markdown", mime.Text} {
		if text, ok := b.Data[kind]; ok {
			c.write(text)
			break
		}
	}
	c.Output.Display(b, update)
}

// Comm passes on what the cell says to the front end.
func (c *capture) Comm(m comm.Message) {
	if to, ok := c.Output.(engine.Commer); ok {
		to.Comm(m)
	}
}

// Input passes on a question.
func (c *capture) Input(ctx context.Context, prompt string, password bool) (string, error) {
	if to, ok := c.Output.(engine.Prompter); ok {
		return to.Input(ctx, prompt, password)
	}
	return "", errNobody
}
