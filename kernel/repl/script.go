package repl

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
)

// The exit statuses of scripts.
const (
	Good        = 0
	Failed      = 1
	Interrupted = 130
)

// endAfter is how long after Ctrl-C a script may go on: it has nothing that would be worth a wait.
const endAfter = 2 * time.Second

// Script evaluates cells until one fails and returns the exit status. setup cells come first, and show nothing. Where
// ctx is cancelled, the cell that runs is interrupted, and nothing more is said.
func Script(ctx context.Context, eng engine.Engine, setup, cells []string) (int, error) {
	screen := newScreen()
	whole := ctx
	ctx, release := interruptible(ctx, eng)
	defer release()
	defer engine.Unattended(ctx, eng, endAfter)()
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
		if whole.Err() != nil {
			return Failed, nil
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
		if result.Page != nil {
			screen.endLine()
			screen.terminal.Display(*result.Page, false)
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
