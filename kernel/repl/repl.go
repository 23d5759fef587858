// Package repl is the terminal front end: a prompt, files of cells and piped input, on the same engine as the kernel.
package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/reeflective/readline"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/lib/mime"
)

// Options configures a prompt.
type Options struct {
	Banner  string
	History *history.Store
	// First are cells that run before the person's first one. They have no number.
	First []string
}

// Run reads cells from the terminal and evaluates them until the person leaves.
func Run(ctx context.Context, eng engine.Engine, options Options) error {
	screen := newScreen()
	if options.Banner != "" {
		fmt.Println(screen.dim(options.Banner))
	}
	p := &prompt{engine: eng, screen: screen, history: options.History}
	p.editor = p.newEditor()
	var err error
	if p.keyboard, err = newKeyboard(); err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	screen.late = p.keyboard.late
	if p.keyboard != nil && screen.terminal.MayTakeSixel() {
		p.keyboard.sixel = screen.takeSixel
	}
	// What the person wants to have at hand is made while he or she reads and types.
	p.start(ctx, options.First)
	for {
		line, err := p.keyboard.during(p.editor.Readline)
		line = p.accepted(line)
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue // the line is given up
		case errors.Is(err, io.EOF):
			fmt.Println()
			return nil
		case err != nil:
			return fmt.Errorf("the terminal: %w", err)
		}
		source := strings.TrimRight(line, " \t\n")
		if strings.TrimSpace(source) == "" {
			continue
		}
		if source == "exit" || source == "quit" {
			return nil
		}
		p.count++
		if p.history != nil {
			if err := p.history.Add(p.count, source); err != nil && !p.said {
				p.said = true // once is enough
				fmt.Fprintln(os.Stderr, "loupe:", err)
			}
		}
		p.await()
		if err := p.evaluate(ctx, engine.Cell{Number: p.count, Source: source}); err != nil {
			return err
		}
	}
}

// prompt is one conversation.
type prompt struct {
	engine   engine.Engine
	screen   *screen
	editor   *readline.Shell
	keyboard *keyboard
	history  *history.Store
	count    int
	margin   int    // the column that the cell's lines begin at
	measures bool   // whether the editor asks for the prompt next to measure it only
	typed    []rune // the line, while uncount is not nil
	uncount  func() // gives the editor the line back as it has been typed; see counts
	said     bool
	started  chan struct{} // closed when the first cells have run
	giveUp   func()        // interrupts the first cells
	wrong    []string      // with the first cells; read once started is closed
}

// headStart is how long the prompt waits for the first cells, which at once fail where a name is wrong.
const headStart = 150 * time.Millisecond

// start runs the first cells, in the background where they take their time. Nothing is printed while the person types.
func (p *prompt) start(ctx context.Context, cells []string) {
	ctx, p.giveUp = context.WithCancel(ctx)
	p.started = make(chan struct{})
	go func() {
		defer close(p.started)
		for _, source := range cells {
			result, err := p.engine.Eval(ctx, engine.Cell{Source: source, Silent: true}, p.screen)
			switch {
			case err != nil:
				p.wrong = append(p.wrong, err.Error())
			case result.Failure != nil:
				p.wrong = append(p.wrong, result.Failure.Message)
			}
		}
	}()
	select {
	case <-p.started:
		p.tellWrong()
	case <-time.After(headStart):
	}
}

// await waits for the first cells. Ctrl-C interrupts them.
func (p *prompt) await() {
	stop, release := interruptible(context.Background(), p.engine)
	defer release()
	defer context.AfterFunc(stop, p.giveUp)()
	<-p.started
	p.tellWrong()
}

func (p *prompt) tellWrong() {
	for _, message := range p.wrong {
		fmt.Println(p.screen.paint("31", "loupe: ") + message)
	}
	p.wrong = nil
}

// evaluate runs a cell. Ctrl-C interrupts it.
func (p *prompt) evaluate(ctx context.Context, cell engine.Cell) error {
	running, release := interruptible(ctx, p.engine)
	defer release()
	result, err := p.engine.Eval(running, cell, p.screen)
	p.screen.endLine()
	if err != nil {
		return err
	}
	if f := result.Failure; f != nil {
		if f.Name == "Exit" {
			if f.Message != "exit status 0" {
				fmt.Println(p.screen.dim(f.Message))
			}
			return nil
		}
		p.screen.failure(f)
		return nil
	}
	if result.Value != nil {
		p.screen.value(cell.Number, *result.Value)
	}
	if result.Page != nil {
		signature, doc, _ := strings.Cut(result.Page.Data[mime.Text], "\n")
		fmt.Println(p.screen.code(signature))
		if doc != "" {
			fmt.Println(doc)
		}
	}
	if result.Next != nil {
		fmt.Println(p.screen.code(result.Next.Text))
	}
	return nil
}
