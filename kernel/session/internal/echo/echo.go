// Package echo is a toy language for testing the protocol: an engine with no Go and no child process.
package echo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// Pixel is a picture of one transparent pixel, a PNG file.
const Pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\rIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"

// Engine runs cells of one command a line; the last line may be an integer, which is the cell's value.
//
//	print TEXT      writes a line to standard output
//	warn TEXT       writes a line to standard error
//	spam N          writes N single bytes to standard output
//	flood N         writes N lines of 1 KiB to standard output
//	err             fails
//	fault           fails in the way an engine does when it is itself at fault
//	panic           panics
//	sleep           waits until it is interrupted
//	hang            waits until the engine is closed, and ignores interrupts
//	insist          waits until it is interrupted and then insisted on
//	prompt TEXT     asks for a line with the prompt TEXT and prints it
//	password        asks for a line that is not shown
//	display         shows a picture
//	json            shows JSON
//	progress        shows "0%" and replaces it by "100%"
//	clear           clears the output
//	pid             has the process number as its value
//	pause N         waits N milliseconds
//	later TEXT      prints TEXT once [Engine.Late] is called
type Engine struct {
	Late chan struct{} // receives once for each line that is to be printed late

	insisted chan struct{}
	closing  sync.Once
	closed   chan struct{}
}

// New returns an engine.
func New() *Engine {
	return &Engine{Late: make(chan struct{}), insisted: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Closed is closed when the engine has been.
func (e *Engine) Closed() <-chan struct{} { return e.closed }

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.closing.Do(func() { close(e.closed) })
	return nil
}

// Eval implements engine.Engine.
func (e *Engine) Eval(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Result, error) {
	var result engine.Result
	for i, line := range strings.Split(cell.Source, "\n") {
		result = engine.Result{}
		command, argument, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(argument)
		failed := func(name, message string) (engine.Result, error) {
			return engine.Result{Failure: &engine.Failure{
				Name: name, Message: message, Line: i + 1,
				Traceback: []string{fmt.Sprintf("cell %d, line %d", cell.Number, i+1), "\x1b[31m" + name + "\x1b[0m: " + message},
			}}, nil
		}
		switch command {
		case "":
		case "print":
			out.Text(engine.Stdout, argument+"\n")
		case "warn":
			out.Text(engine.Stderr, argument+"\n")
		case "spam":
			for range n {
				out.Text(engine.Stdout, ".")
			}
		case "flood":
			for range n {
				out.Text(engine.Stdout, strings.Repeat("x", 1023)+"\n")
			}
		case "err":
			return failed("EchoError", "you asked for it")
		case "fault":
			return engine.Result{}, errors.New("echo: at fault")
		case "panic":
			panic("echo: you asked for it")
		case "sleep":
			out.Text(engine.Stdout, "sleeping\n")
			<-ctx.Done()
			return failed("Interrupted", "the cell was interrupted")
		case "hang":
			out.Text(engine.Stdout, "hanging\n")
			<-e.closed
		case "insist":
			<-ctx.Done()
			out.Text(engine.Stderr, "once is not enough\n")
			<-e.insisted
			return failed("Interrupted", "the cell was ended")
		case "prompt", "password":
			prompter, ok := out.(engine.Prompter)
			if !ok {
				return failed("InputError", "nobody can be asked")
			}
			answer, err := prompter.Input(ctx, argument, command == "password")
			if err != nil {
				return failed("InputError", err.Error())
			}
			out.Text(engine.Stdout, answer+"\n")
		case "display":
			out.Display(mime.Bundle{
				Data:     map[string]string{mime.Text: "a picture", mime.PNG: Pixel},
				Metadata: map[string]map[string]any{mime.PNG: {"width": 1}},
			}, false)
		case "json":
			out.Display(mime.Bundle{Data: map[string]string{mime.Text: "two", "application/vnd.echo.v1+json": `{"two": 2}`}},
				false)
		case "progress":
			for _, percent := range []string{"0%", "100%"} {
				out.Display(mime.Bundle{Data: map[string]string{mime.Text: percent}, ID: fmt.Sprint("progress", cell.Number)},
					percent == "100%")
			}
		case "clear":
			out.Clear(true)
		case "later":
			go func() {
				<-e.Late
				out.Text(engine.Stdout, argument+"\n")
			}()
		case "pid":
			result.Value = text(strconv.Itoa(os.Getpid()))
		case "pause":
			time.Sleep(time.Duration(n) * time.Millisecond)
		default:
			if _, err := strconv.Atoi(line); err != nil {
				return failed("SyntaxError", strconv.Quote(line)+" is no command")
			}
			result.Value = text(line)
		}
	}
	return result, nil
}

func text(s string) *mime.Bundle {
	b := mime.TextOf(s)
	return &b
}

// Insist ends a cell that was interrupted and waits for it.
func (e *Engine) Insist() {
	select {
	case e.insisted <- struct{}{}:
	default: // it has not heeded the last one yet
	}
}

// Concurrent says that several cells may run at a time.
func (e *Engine) Concurrent() bool { return true }

// Comm implements engine.CommHandler: what is opened for the target "echo" sends each message back, except "panic",
// which fails, and "close", which closes the comm. Other targets are closed at once.
func (e *Engine) Comm(_ context.Context, m comm.Message, out engine.Output) (*engine.Failure, error) {
	to := out.(engine.Commer)
	switch {
	case m.Kind == comm.Opening && m.Target != "echo", m.Kind == comm.Sending && string(m.Data) == `{"say":"close"}`:
		to.Comm(comm.Message{Kind: comm.Closing, ID: m.ID})
	case m.Kind == comm.Sending && string(m.Data) == `{"say":"panic"}`:
		return &engine.Failure{Name: "Panic", Message: "no", Traceback: []string{"Panic: no", "cell 1"}}, nil
	case m.Kind == comm.Sending:
		out.Text(engine.Stdout, "echoed\n")
		to.Comm(comm.Message{Kind: comm.Sending, ID: m.ID, Data: m.Data, Metadata: m.Metadata, Buffers: m.Buffers})
	}
	return nil, nil
}

var commands = []string{"clear", "display", "err", "print", "progress", "prompt"}

// IsComplete implements engine.CompletenessChecker: a line that ends in a backslash goes on.
func (e *Engine) IsComplete(source string) (engine.Completeness, string) {
	switch {
	case strings.HasSuffix(source, "\\"):
		return engine.Incomplete, "  "
	case strings.HasPrefix(source, "?"):
		return engine.Invalid, ""
	}
	return engine.Complete, ""
}

// Complete implements engine.Completer: it completes the commands.
func (e *Engine) Complete(_ context.Context, source string, cursor int) ([]engine.Match, int, int, error) {
	before := []rune(source)[:cursor]
	start := len(before)
	for start > 0 && before[start-1] != '\n' && before[start-1] != ' ' {
		start--
	}
	var matches []engine.Match
	for _, c := range commands {
		if strings.HasPrefix(c, string(before[start:])) {
			matches = append(matches, engine.Match{Text: c, Type: "keyword", Doc: c + " …"})
		}
	}
	return matches, start, cursor, nil
}

// Inspect implements engine.Inspector: it knows the commands.
func (e *Engine) Inspect(_ context.Context, source string, _, _ int) (mime.Bundle, bool, error) {
	for _, c := range commands {
		if source == c {
			return mime.TextOf(c + " is a command"), true, nil
		}
	}
	return mime.Bundle{}, false, nil
}
