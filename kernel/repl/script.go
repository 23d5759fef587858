package repl

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
)

// The exit statuses of scripts.
const (
	Good        = 0
	Failed      = 1
	Interrupted = 130
)

// separator is the line that parts the cells of a script, with a title behind it.
var separator = regexp.MustCompile(`(?m)^// ?%%.*$`)

// Cells returns the cells of a script: what stands between lines that begin with // %%. A program is one cell. Each cell
// is padded with empty lines, so that its positions are those of the file.
func Cells(source string) []string {
	var cells []string
	start := 0
	cut := func(end int) {
		if text := source[start:end]; strings.TrimSpace(text) != "" {
			cells = append(cells, strings.Repeat("\n", strings.Count(source[:start], "\n"))+text)
		}
	}
	for _, at := range separator.FindAllStringIndex(source, -1) {
		cut(at[0])
		start = at[1]
	}
	cut(len(source))
	return cells
}

// Script evaluates cells until one fails and returns the exit status. setup cells come first, and show nothing.
func Script(ctx context.Context, eng engine.Engine, setup, cells []string) (int, error) {
	screen := newScreen()
	ctx, stop := interruptible(ctx)
	defer stop()
	number := 0
	for i, source := range append(append([]string(nil), setup...), cells...) {
		silent := i < len(setup)
		if !silent {
			number++
		}
		result, err := eng.Eval(ctx, engine.Cell{Number: number, Source: source, Silent: silent}, screen)
		if err != nil {
			return Failed, err
		}
		if f := result.Failure; f != nil {
			screen.endLine()
			switch f.Name {
			case "Exit":
				status, err := strconv.Atoi(strings.TrimPrefix(f.Message, "exit status "))
				if err != nil {
					status = Failed
				}
				return status, nil
			case "Interrupted":
				screen.failure(f)
				return Interrupted, nil
			}
			screen.failure(f)
			return Failed, nil
		}
		if result.Value != nil && !silent {
			screen.endLine()
			screen.terminal.Display(*result.Value, false)
		}
	}
	return Good, nil
}

// Arguments is the cell that gives a script its arguments.
func Arguments(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = strconv.Quote(a)
	}
	return "os.Args = []string{" + strings.Join(quoted, ", ") + "}"
}

// Read returns a script.
func Read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(string(data), 0) {
		return "", fmt.Errorf("%s is no text: loupe runs Go source", path)
	}
	// A first line that names the interpreter is for the system.
	source := string(data)
	if strings.HasPrefix(source, "#!") {
		source = "//" + source
	}
	return source, nil
}
