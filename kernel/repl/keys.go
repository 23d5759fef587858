package repl

import (
	"fmt"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"

	"github.com/loupeml/loupe/kernel/engine"
)

// bindKeys gives the line editor commands of ours, and mends some of its own. A person's ~/.inputrc may bind them to
// other keys.
func (p *prompt) bindKeys(shell *readline.Shell) {
	its := maps.Clone(shell.Keymap.Commands())
	commands := map[string]func(){
		// The editor draws the line anew whenever it waits for a key, so this one need do nothing.
		"take-size":                func() { shell.History.SkipSave() },
		"show-late":                func() { p.showLate(shell) },
		"edit-command-line":        func() { p.edit(shell) },
		"edit-and-execute-command": func() { p.editAndAccept(shell) },
		"insert-newline":           func() { p.goOn(shell) },
		"suspend":                  func() { p.suspend(shell) },
		"accept-line": func() {
			length := shell.Line().Len()
			its["accept-line"]()
			if at := shell.Cursor().Pos(); p.uncount == nil && shell.Line().Len() == length+1 && at > 0 &&
				(*shell.Line())[at-1] == '\n' {
				p.indent(shell)
			}
		},
		"abort": func() {
			p.counts(shell)
			its["abort"]()
			p.counted()
		},
		"self-insert": func() { p.insert(shell, its["self-insert"]) },
	}
	for name, by := range map[string]int{"previous-history": -1, "history-search-backward": -1, "next-history": 1,
		"history-search-forward": 1} {
		if other := its[name]; other != nil {
			commands[name] = func() {
				if !moveLine(shell, by) {
					other()
				}
			}
		}
	}
	shell.Keymap.Register(commands)
	insertModes := []string{"emacs", "emacs-standard", "vi-insert"}
	for _, keymap := range insertModes {
		shell.Config.Bind(keymap, "\t", "menu-complete", false)
	}
	for _, keymap := range append(insertModes, "vi-command") {
		shell.Config.Bind(keymap, sizeKey, "take-size", false)
		shell.Config.Bind(keymap, lateKey, "show-late", false)
		shell.Config.Bind(keymap, "\x1a", "suspend", false) // Ctrl-Z
	}
	for _, keymap := range []string{"emacs", "emacs-standard"} {
		// Letters beyond ASCII need no binding, and the editor takes these for the keys with Alt: é for Alt-i.
		maps.DeleteFunc(shell.Config.Binds[keymap], func(key string, bind inputrc.Bind) bool {
			r, length := utf8.DecodeRuneInString(key)
			return r >= utf8.RuneSelf && length == len(key) && bind.Action == "self-insert"
		})
		for _, key := range []string{`\M-\C-m`, `\M-\C-j`, `\C-o`} { // Alt-Enter, and Ctrl-O as in IPython
			shell.Config.Bind(keymap, inputrc.Unescape(key), "insert-newline", false)
		}
	}
}

// insert inserts what has been typed. Of what is not ASCII the editor's own command inserts the first part, takes that
// for a key of another kind if it is a letter such as ß, and moves on by as many characters as it takes columns.
func (p *prompt) insert(shell *readline.Shell, its func()) {
	keys := shell.Keys.Caller()
	switch {
	case len(keys) > 0 && keys[0] >= utf8.RuneSelf:
		shell.History.SkipSave()
		shell.Cursor().InsertAt(keys...)
		return
	case len(keys) == 1 && strings.ContainsRune("})]", keys[0]) && shell.Keymap.Local() == "":
		p.outdent(shell)
	}
	its()
}

// goOn begins a new line, whether or not what is there could run.
func (p *prompt) goOn(shell *readline.Shell) {
	shell.Cursor().InsertAt('\n')
	p.indent(shell)
}

// indent begins a line with a tab for each bracket that is open.
func (p *prompt) indent(shell *readline.Shell) {
	before := (*shell.Line())[:shell.Cursor().Pos()-1]
	shell.Cursor().InsertAt([]rune(p.indentation(before))...)
}

// indentation is what the next line begins with. It is empty in a raw string or a comment.
func (p *prompt) indentation(before []rune) string {
	checker, ok := p.engine.(engine.CompletenessChecker)
	if !ok {
		return ""
	}
	_, indentation := checker.IsComplete(string(before))
	return indentation
}

// outdent takes a tab away before a closing bracket that is the first thing in its line.
func (p *prompt) outdent(shell *readline.Shell) {
	at := shell.Cursor().Pos()
	start := lineStart(*shell.Line(), at)
	line := (*shell.Line())[start:at]
	if len(line) == 0 || line[len(line)-1] != '\t' || strings.TrimSpace(string(line)) != "" ||
		p.indentation((*shell.Line())[:start]) == "" {
		return
	}
	shell.Line().Cut(at-1, at)
	shell.Cursor().Dec()
}

// moveLine moves the cursor by a line, and tells whether there is one. Where lists are searched the keys are theirs.
func moveLine(shell *readline.Shell, by int) bool {
	if shell.Keymap.Local() != "" {
		return false
	}
	line, at := *shell.Line(), shell.Cursor().Pos()
	start := lineStart(line, at)
	column := at - start
	to := 0 // where the other line starts
	if by < 0 {
		if start == 0 {
			return false
		}
		to = lineStart(line, start-1)
	} else {
		for to = at; to < len(line) && line[to] != '\n'; to++ {
		}
		if to == len(line) {
			return false
		}
		to++
	}
	end := to
	for end < len(line) && line[end] != '\n' && end < to+column {
		end++
	}
	shell.History.SkipSave()
	shell.Cursor().Set(end)
	return true
}

// accepts tells whether Enter runs a cell, with the cursor in it: not in the middle of several lines, as in IPython.
func (p *prompt) accepts(line []rune) bool {
	at := min(p.editor.Cursor().Pos(), len(line))
	rest := string(line[at:])
	if i := strings.IndexByte(rest, '\n'); i >= 0 && strings.TrimSpace(rest[i:]) != "" {
		return false
	}
	if !p.complete(string(line)) {
		return false
	}
	p.counts(p.editor)
	return true
}

// suspend gives the terminal back to the shell that loupe was started from, until it is called back.
func (p *prompt) suspend(shell *readline.Shell) {
	shell.History.SkipSave()
	fmt.Print(pasteModeOff, "\r\n")
	p.keyboard.aside(func() {
		continued := make(chan os.Signal, 1)
		signal.Notify(continued, syscall.SIGCONT)
		defer signal.Stop(continued)
		syscall.Kill(0, syscall.SIGTSTP)
		select {
		case <-continued:
		case <-time.After(suspendTakes): // there is no shell that would stop it
		}
	})
	fmt.Print(pasteModeOn)
	shell.Display.PrintPrimaryPrompt()
}

// suspendTakes is how long the system may take to stop the process.
const suspendTakes = time.Second

// What tells a terminal to say where a paste begins and ends: https://invisible-island.net/xterm/xterm-paste64.html
const pasteModeOn, pasteModeOff = "\x1b[?2004h", "\x1b[?2004l"
