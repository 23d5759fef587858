package goeval

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/kernel/engine"
)

// position returns the line and column, from 1, of a byte offset.
func position(source string, offset int) (line, column int) {
	before := source[:min(offset, len(source))]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}

// frame is a place that a panic came through.
type frame struct {
	key          string // of the cell
	line, column int
	function     string
}

var (
	framePattern    = regexp.MustCompile(`^(?:(c\d+)/_\.go:)?(\d+):(\d+): panic(?:: ([^\n]*))?`)
	positionPattern = regexp.MustCompile(`(?:\.\./)*(c\d+)/_\.go:(\d+)(?::(\d+))?:? ?`)
	noSymbol        = regexp.MustCompile(`package (\w+) "([^"]+)" has no symbol (\w+)`)
	barePosition    = regexp.MustCompile(`^(?:_\.go:)?\d+:\d+:? `)
)

func (w *traceWriter) frames() []frame {
	var out []frame
	for _, line := range w.lines {
		m := framePattern.FindStringSubmatch(line)
		if m == nil || m[1] == "" {
			continue
		}
		f := frame{key: m[1], function: strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(m[4]), "main."), "(...)")}
		f.line, _ = strconv.Atoi(m[2])
		f.column, _ = strconv.Atoi(m[3])
		out = append(out, f)
	}
	return out
}

func interrupted() *engine.Failure {
	return &engine.Failure{Name: "Interrupted", Message: "the cell was interrupted; what it had assigned is kept", Traceback: []string{red("Interrupted") + ": the cell was interrupted; what it had assigned is kept"}}
}

func (r *run) compileFailure(e *syntaxError) *engine.Failure {
	line, column := position(r.source, e.offset)
	return &engine.Failure{
		Name: "CompileError", Message: e.message, Line: line, Column: column,
		Traceback: r.traceback("CompileError", e.message, []frame{{key: r.key, line: line, column: column}}),
	}
}

// yaegiFailure words what yaegi says about a text that it cannot compile.
func (r *run) yaegiFailure(err error) *engine.Failure {
	message := firstLine(err.Error())
	f := frame{key: r.key, line: 1, column: 1}
	if m := positionPattern.FindStringSubmatch(message); m != nil {
		f.key = m[1]
		f.line, _ = strconv.Atoi(m[2])
		f.column, _ = strconv.Atoi(m[3])
		message = strings.TrimSpace(strings.Replace(message, m[0], "", 1))
	}
	message = barePosition.ReplaceAllString(message, "")
	if m := noSymbol.FindStringSubmatch(message); m != nil {
		known := slices.Sorted(maps.Keys(r.exports[m[2]]))
		message = fmt.Sprintf("undefined: %s.%s%s", m[1], m[3], didYouMean(m[3], known))
	}
	if name, ok := strings.CutPrefix(message, "undefined selector: "); ok {
		message = "undefined: " + name + ", or a generic function of a compiled package, which interpreted cells cannot call"
	}
	for _, odd := range []string{"nil type", "constant definition loop", "CFG post-order", "not supported", "unsupported"} {
		if strings.Contains(message, odd) {
			message += ", says the interpreter, which knows Go up to 1.21 without ranges over integers and functions and without the generic functions of compiled packages"
			break
		}
	}
	return &engine.Failure{Name: "CompileError", Message: message, Line: f.line, Column: f.column, Traceback: r.traceback("CompileError", message, []frame{f})}
}

// internalFailure is for a panic of the interpreter's own, before the user's code ran.
func (r *run) internalFailure(message string) *engine.Failure {
	return r.yaegiFailure(fmt.Errorf("not supported: %s", firstLine(message)))
}

func (r *run) panicFailure(value any, frames []frame) *engine.Failure {
	message := panicMessage(value)
	// The innermost place within a cell; places of earlier cells are named as such.
	f := &engine.Failure{Name: "Panic", Message: message, Traceback: r.traceback("Panic", message, frames)}
	for _, at := range frames {
		if at.key == r.key {
			f.Line, f.Column = at.line, at.column
			break
		}
	}
	return f
}

// panicMessage is what a panic says, without the stack traces that some libraries carry in their errors.
func panicMessage(value any) string {
	if v, ok := value.(reflect.Value); ok && v.IsValid() && v.CanInterface() {
		value = v.Interface()
	}
	message := fmt.Sprint(value)
	if e, ok := value.(error); ok {
		message = e.Error()
	}
	// yaegi works through reflection, whose words are not the user's.
	if strings.HasPrefix(message, "reflect: call of") && strings.HasSuffix(message, "on zero Value") {
		return "runtime error: invalid memory address or nil pointer dereference"
	}
	return strings.TrimPrefix(message, "reflect: ")
}

// traceback is what a person reads: the message, then each place with its line of source and a caret.
func (r *run) traceback(name, message string, frames []frame) []string {
	out := []string{red(name) + ": " + message}
	for i, f := range frames {
		if i > 0 && f == frames[i-1] {
			continue
		}
		cell, ok := r.cells[f.key]
		if !ok {
			continue
		}
		where := fmt.Sprintf("cell %d, line %d", cell.Number, f.line)
		if f.function != "" && f.function != "main" {
			where += ", in " + f.function
		}
		out = append(out, cyan(where))
		lines := strings.Split(cell.Source, "\n")
		if f.line < 1 || f.line > len(lines) {
			continue
		}
		text := lines[f.line-1]
		out = append(out, fmt.Sprintf("%5d | %s", f.line, strings.ReplaceAll(text, "\t", "    ")))
		if f.column >= 1 && f.column <= len(text)+1 {
			indent := strings.ReplaceAll(text[:f.column-1], "\t", "    ")
			out = append(out, "      | "+strings.Repeat(" ", len([]rune(indent)))+red("^"))
		}
	}
	return out
}

func red(s string) string  { return "\x1b[31m" + s + "\x1b[0m" }
func cyan(s string) string { return "\x1b[36m" + s + "\x1b[0m" }

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// didYouMean names what is close to a name that does not exist, or nothing.
func didYouMean(name string, known []string) string {
	if near := nearest.Names(name, known, 3); len(near) > 0 {
		return " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return ""
}
