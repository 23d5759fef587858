package engine

import "context"

// Prompter is an Output whose front end can ask the person for a line.
type Prompter interface {
	// Input shows the prompt and waits for the line, or for ctx. With password set, what is typed is not shown. It
	// fails where nobody can be asked. Where there is no more to be read the error is io.EOF; a line that comes with it
	// had no end.
	Input(ctx context.Context, prompt string, password bool) (string, error)
}
