// Package failure turns what GoMLX and XLA panic with, or return with a stack trace in it, into errors of one line.
package failure

import (
	"fmt"
	"runtime"
	"strings"
)

// Catch runs f, which builds or runs a graph, and returns what it panics with. A fault of Go itself, such as an index
// out of range, goes on as a panic: it is a bug, ours or the graph function's, and keeps its stack.
func Catch(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			panic(r)
		case error:
			err = Named(r)
		default:
			err = Named(fmt.Errorf("%v", r))
		}
	}()
	f()
	return nil
}

// Named is an error in one line that starts with "model: ": with what this library says, if there is such in it.
func Named(err error) error {
	line := FirstLine(err)
	if at := strings.LastIndex(line, "model: "); at >= 0 {
		return fmt.Errorf("%s", line[at:])
	}
	return fmt.Errorf("model: %s", line)
}

// FirstLine is the message of an error without the stack trace or the chain of calls that some libraries print with it.
func FirstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}

// Ours takes away what was put before an error of this library on its way through a graph function: prefix, such as
// "lrp: ", is how it starts.
func Ours(err error, prefix string) error {
	if err == nil {
		return nil
	}
	message := err.Error()
	if at := strings.LastIndex(message, prefix); at > 0 {
		return fmt.Errorf("%s", strings.SplitN(message[at:], "\n", 2)[0])
	}
	return err
}
