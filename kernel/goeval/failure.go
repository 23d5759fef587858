package goeval

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/peek"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/lib/table"
)

// frame is a place that a panic came through.
type frame struct {
	number       int // of the cell
	line, column int
	function     string
}

func interrupted() *engine.Failure {
	const message = "the cell was interrupted; what it had assigned is kept"
	return &engine.Failure{Name: "Interrupted", Message: message, Traceback: []string{red("Interrupted") + ": " + message}}
}

// mostFaults is how many errors of a cell are shown; the compiler stops there as well.
const mostFaults = 10

// compileFailure tells all that is wrong with a cell, each with its place.
func (r *run) compileFailure(faults []syntax.Fault) *engine.Failure {
	first := faults[0]
	line, column := lexical.Position(first.Text.Source, first.Offset)
	f := &engine.Failure{Name: "CompileError", Message: first.Message}
	if first.Text == r.text {
		f.Line, f.Column = line, column
	}
	var rest []string
	for i, fault := range faults {
		if i == mostFaults {
			f.Traceback = append(f.Traceback, fmt.Sprintf("and %d more", len(faults)-i))
			break
		}
		if i > 0 {
			rest = append(rest, fault.Message)
		}
		line, column := lexical.Position(fault.Text.Source, fault.Offset)
		f.Traceback = append(f.Traceback, r.traceback("CompileError", fault.Message,
			[]frame{{number: fault.Text.Number, line: line, column: column}})...)
	}
	if len(rest) > 0 {
		f.Message += fmt.Sprintf(" (and %d more)", len(rest))
	}
	return f
}

func (r *run) panicFailure(value any, frames []frame) *engine.Failure {
	return r.failureAt(panicName(value), panicMessage(value), frames)
}

// panicName is how a panic is called: an error that somebody has made is a mistake to be told, anything else a bug.
func panicName(value any) string {
	err, ok := value.(error)
	var bug runtime.Error
	if !ok || errors.As(err, &bug) {
		return "Panic"
	}
	return "Error"
}

// failureAt is a failure of running code, with the places that it came through, the innermost first.
func (r *run) failureAt(name, message string, frames []frame) *engine.Failure {
	f := &engine.Failure{Name: name, Message: message, Traceback: r.traceback(name, message, frames)}
	// The innermost place within this cell; places of earlier cells are in the traceback.
	for _, at := range frames {
		if at.number == r.text.Number {
			f.Line, f.Column = at.line, at.column
			break
		}
	}
	return f
}

// longestMessage is how much of a panic's message is shown, in bytes.
const longestMessage = 10_000

// panicMessage is what a panic says.
func panicMessage(value any) string {
	message, why := peek.Text(func() string {
		switch v := value.(type) {
		case error:
			return v.Error()
		case fmt.Stringer:
			return v.String()
		case string:
			return v
		}
		return table.Text(value)
	})
	switch {
	case why == "panic" && table.IsNil(value):
		message = fmt.Sprintf("<nil> (an error that holds a nil %T is not nil)", value)
	case why != "":
		message = peek.Silent(reflect.TypeOf(value), why)
	}
	if len(message) > longestMessage {
		message = strings.ToValidUTF8(message[:longestMessage], "") + fmt.Sprintf("… (%d bytes)", len(message))
	}
	return message
}

// traceback is what a person reads: the message, then each place with its line of source and a caret.
func (r *run) traceback(name, message string, frames []frame) []string {
	out := []string{red(name) + ": " + message}
	for i, f := range frames {
		if i > 0 && f == frames[i-1] {
			continue
		}
		t := r.texts[f.number]
		if t == nil {
			continue
		}
		where := fmt.Sprintf("cell %d, line %d", f.number, f.line)
		if t.Name != "" {
			where = fmt.Sprintf("%s, line %d", t.Name, f.line)
		}
		if f.function != "" && f.function != "main" {
			where += ", in " + f.function
		}
		out = append(out, cyan(where))
		lines := strings.Split(t.Source, "\n")
		if f.line < 1 || f.line > len(lines) {
			continue
		}
		text, caret := lines[f.line-1], -1
		if f.column >= 1 && f.column <= len(text)+1 {
			caret = len([]rune(strings.ReplaceAll(text[:f.column-1], "\t", "    ")))
		}
		text, caret = window([]rune(strings.ReplaceAll(text, "\t", "    ")), caret)
		out = append(out, fmt.Sprintf("%5d | %s", f.line, text))
		if caret >= 0 {
			out = append(out, "      | "+strings.Repeat(" ", caret)+red("^"))
		}
	}
	return out
}

// window cuts a long line to what is around the caret, so that the two do not come apart where lines are wrapped.
func window(line []rune, caret int) (string, int) {
	const width = 88
	if len(line) <= width {
		return string(line), caret
	}
	start := max(0, min(caret-width/2, len(line)-width))
	text := string(line[start:min(start+width, len(line))])
	if start+width < len(line) {
		text += "…"
	}
	if start > 0 {
		text, caret = "…"+text, caret+1
	}
	return text, caret - start
}

func red(s string) string  { return "\x1b[31m" + s + "\x1b[0m" }
func cyan(s string) string { return "\x1b[36m" + s + "\x1b[0m" }

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
