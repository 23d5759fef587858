// Package sink holds the one place that everything of the process is shown in: a notebook through the kernel, or,
// where nobody has set one, the terminal. Package display puts what a person asked for there, package progress its
// bars.
package sink

import (
	"sync"

	"github.com/loupeml/loupe/lib/mime"
)

// Sink takes what is shown. Its methods may be called from any goroutine.
type Sink interface {
	// Display shows a bundle; with update set it replaces what was shown with the same ID.
	Display(b mime.Bundle, update bool)
	// Clear removes what has been shown; with wait set, when the next thing comes.
	Clear(wait bool)
}

// Prompter is a [Sink] that can ask the person for a line.
type Prompter interface {
	// Prompt shows the prompt and returns the line, without its end. With password set, what is typed is not shown.
	Prompt(prompt string, password bool) (string, error)
}

var (
	mu      sync.Mutex // guards the variables below
	inUse   Sink       // nil means the terminal
	cleaned int        // how often everything shown has gone
)

// Use directs everything to s; nil means the terminal again.
func Use(s Sink) {
	mu.Lock()
	defer mu.Unlock()
	inUse = s
	cleaned++
}

// Current returns the sink in use; false where there is none besides the terminal.
func Current() (Sink, bool) {
	mu.Lock()
	defer mu.Unlock()
	return inUse, inUse != nil
}

// Clear removes what has been shown, as [Sink]'s method does. It does nothing in a terminal, where what has gone by
// stays.
func Clear(wait bool) {
	to, ok := Current()
	if !ok {
		return
	}
	mu.Lock()
	cleaned++
	mu.Unlock()
	to.Clear(wait)
}

// Cleared counts how often everything shown has gone, by [Clear] or by [Use]: while the count stays, a display is
// where it was.
func Cleared() int {
	mu.Lock()
	defer mu.Unlock()
	return cleaned
}
