package display

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/sink"
)

// Input asks the person for a line, in a notebook by a field below the cell. It fails where nobody can be asked.
func Input(prompt string) (string, error) { return ask(prompt, false) }

// Password is [Input] for what is not to be seen, nor kept in the notebook.
func Password(prompt string) (string, error) { return ask(prompt, true) }

// typed reads the terminal's lines; one reader, since it may read ahead.
var typed = sync.OnceValue(func() *bufio.Reader { return bufio.NewReader(os.Stdin) })

func ask(prompt string, password bool) (string, error) {
	if to, ok := sink.Current(); ok {
		if asker, ok := to.(sink.Prompter); ok {
			return asker.Prompt(prompt, password)
		}
	}
	fmt.Fprint(os.Stderr, prompt)
	if fd := int(os.Stdin.Fd()); password && term.IsTerminal(fd) {
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", fmt.Errorf("display: nothing was typed: %w", err)
		}
		return string(line), nil
	}
	line, err := typed().ReadString('\n')
	if err != nil && line == "" {
		return "", fmt.Errorf("display: nothing was typed: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
