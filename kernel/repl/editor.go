package repl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/lib/mime"
)

// newEditor returns the line editor: it knows when a cell is complete, colours it, completes names and searches the
// history.
func (p *prompt) newEditor() *readline.Shell {
	shell := readline.NewShell(inputrc.WithApp("loupe"))
	for name, value := range map[string]any{
		"enable-bracketed-paste": true,
		// Terminals send UTF-8: no bit of a letter stands for the Meta key.
		"convert-meta": false, "input-meta": true, "output-meta": true,
		"multiline-column": false,
		// The first Tab shows what there is, the following ones go through it.
		"menu-complete-display-prefix": true,
	} {
		shell.Config.Set(name, value)
	}
	p.bindKeys(shell)
	shell.Prompt.Primary(func() string {
		text := fmt.Sprintf("In [%d]: ", p.count+1)
		p.margin = len(text)
		p.asksPrompt(shell)
		return p.screen.paint("32", text)
	})
	shell.AcceptMultiline = p.accepts
	shell.Completer = p.completions
	shell.SyntaxHighlighter = func(line []rune) string {
		p.keyboard.takeSizes()
		return p.draw(line)
	}
	if p.history != nil {
		shell.History.Delete()
		shell.History.Add("cells", past{p.history})
	}
	return shell
}

// edit has the person's own editor, $VISUAL or $EDITOR, edit the cell.
func (p *prompt) edit(shell *readline.Shell) bool {
	var edited string
	var err error
	fmt.Println()
	p.keyboard.aside(func() { edited, err = inEditor(string(*shell.Line())) })
	if err != nil {
		shell.History.SkipSave()
		shell.Hint.SetTemporary(strings.ReplaceAll(err.Error(), "\n", " "))
		return false
	}
	shell.Line().Set([]rune(strings.TrimRight(edited, "\n"))...)
	shell.Cursor().Set(shell.Line().Len())
	return true
}

func inEditor(text string) (string, error) {
	file, err := os.CreateTemp("", "cell-*.go")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	command := exec.Command("sh", "-c", editor+` "$1"`, "sh", file.Name()) // it may have arguments
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("the editor %s: %w; $EDITOR names another", editor, err)
	}
	edited, err := os.ReadFile(file.Name())
	return string(edited), err
}

// editAndAccept runs the cell after that.
func (p *prompt) editAndAccept(shell *readline.Shell) {
	if p.edit(shell) {
		p.counts(shell)
		shell.Display.AcceptLine()
		shell.History.Accept(false, false, nil)
	}
}

// complete reports whether a cell can run as it stands. Two empty lines end a cell that does not parse.
func (p *prompt) complete(source string) bool {
	if twoEmptyLines.MatchString(source) || strings.TrimSpace(source) == "" {
		return true
	}
	checker, ok := p.engine.(engine.CompletenessChecker)
	if !ok {
		return true
	}
	c, _ := checker.IsComplete(source)
	return c != engine.Incomplete
}

var twoEmptyLines = regexp.MustCompile(`\n[ \t]*\n[ \t]*$`)

// showLate shows above the prompt what came while the person typed.
func (p *prompt) showLate(shell *readline.Shell) {
	shell.History.SkipSave()
	waiting := p.keyboard.waiting()
	if len(waiting) == 0 {
		return
	}
	shell.Display.CursorToLineStart()
	fmt.Print("\r", eraseBelow)
	for _, show := range waiting {
		show()
	}
	p.screen.endLine()
	shell.Display.PrintPrimaryPrompt()
}

// completions offers what may stand at the cursor, with its signature.
func (p *prompt) completions(line []rune, cursor int) readline.Completions {
	completer, ok := p.engine.(engine.Completer)
	if !ok {
		return readline.Completions{}
	}
	// At the beginning of a line Tab is indentation.
	if before := strings.TrimLeft(string(line[lineStart(line, cursor):cursor]), " \t"); before == "" && len(line) > 0 {
		return readline.CompleteRaw([]readline.Completion{{Value: "\t", Display: "tab"}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	select { // while a cell runs there are no names
	case <-p.started:
	case <-ctx.Done():
	}
	if says := p.signature(ctx, line, cursor); says != "" {
		return readline.CompleteMessage("%s", says)
	}
	matches, start, _, err := completer.Complete(ctx, string(line), cursor)
	if err != nil {
		return readline.CompleteMessage("%v", err)
	}
	// The editor replaces PREFIX, the beginning of each value. Without one it takes all back to a blank, "strings."
	// say, for the prefix, and finds no value that begins so: what stands before the cursor goes into the values
	// instead.
	before := ""
	if start == cursor && cursor > 0 {
		start--
		before = string(line[start])
	}
	var values []readline.Completion
	for _, m := range matches {
		values = append(values, readline.Completion{Value: before + m.Text, Display: m.Text, Description: m.Doc,
			Tag: plural(m.Type)})
	}
	c := readline.CompleteRaw(values).NoSort()
	c.PREFIX = string(line[start:cursor])
	return c
}

// signature is that of the function whose arguments begin at the cursor, so that Tab tells what a call takes.
func (p *prompt) signature(ctx context.Context, line []rune, cursor int) string {
	inspector, ok := p.engine.(engine.Inspector)
	if !ok || cursor == 0 || line[cursor-1] != '(' {
		return ""
	}
	about, found, err := inspector.Inspect(ctx, string(line), cursor, 0)
	if err != nil || !found {
		return ""
	}
	text := about.Data[mime.Text]
	says, _, _ := strings.Cut(text, "\n\n")
	if !strings.HasPrefix(says, "func ") {
		return ""
	}
	return says
}

func lineStart(line []rune, cursor int) int {
	for i := cursor; i > 0; i-- {
		if line[i-1] == '\n' {
			return i
		}
	}
	return 0
}

func plural(kind string) string {
	switch kind {
	case "":
		return ""
	case "path":
		return "paths"
	}
	return strings.TrimSuffix(kind, "s") + "s"
}

// past is the shared history, as the editor wants it.
type past struct{ store *history.Store }

// Write does nothing: cells are added when they run.
func (h past) Write(string) (int, error) { return h.Len(), nil }

// GetLine returns a cell, the oldest being 0.
func (h past) GetLine(i int) (string, error) {
	entries := h.store.Entries()
	if i < 0 || i >= len(entries) {
		return "", fmt.Errorf("history: there is no entry %d", i)
	}
	return entries[i].Source, nil
}

// Len returns the number of cells.
func (h past) Len() int { return len(h.store.Entries()) }

// Dump returns the cells.
func (h past) Dump() any { return h.store.Entries() }
