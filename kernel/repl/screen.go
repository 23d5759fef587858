package repl

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/highlight"
	"github.com/loupeml/loupe/lib/display/terminal"
	"github.com/loupeml/loupe/lib/mime"
)

// screen is where cells print and show. It implements engine.Output and engine.Prompter.
type screen struct {
	terminal *terminal.Terminal
	colours  bool
	tty      bool

	late func(show func()) bool // takes what is shown while the person types; nil where nobody does

	mu      sync.Mutex // guards what follows
	midLine bool       // the last thing printed did not end its line
	shown   string     // the ID of the last thing printed, if that is a display of one line
	passing bool       // that display is a progress bar, which does not stay
	stdin   *bufio.Reader
}

func newScreen() *screen {
	tty := term.IsTerminal(int(os.Stdout.Fd()))
	return &screen{
		terminal: terminal.New(os.Stdout),
		tty:      tty,
		colours:  tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		stdin:    bufio.NewReader(os.Stdin),
	}
}

func (s *screen) takeSixel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminal.TakeSixel()
}

// Text prints what a cell writes.
func (s *screen) Text(stream engine.Stream, text string) {
	s.whenFree(func() { s.text(stream, text) })
}

// whenFree shows something now, or when the line editor makes room for it.
func (s *screen) whenFree(show func()) {
	if s.late == nil || !s.late(show) {
		show()
	}
}

func (s *screen) text(stream engine.Stream, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == "" {
		return
	}
	s.leaveDisplay()
	to := os.Stdout
	if stream == engine.Stderr {
		to = os.Stderr
	}
	io.WriteString(to, text)
	s.midLine = !strings.HasSuffix(text, "\n")
}

// Display shows a bundle. One line of text that is updated is written over. A progress bar is erased when something
// else is printed, and comes again below that with its next update.
func (s *screen) Display(b mime.Bundle, update bool) {
	s.whenFree(func() { s.display(b, update) })
}

func (s *screen) display(b mime.Bundle, update bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := b.Data[mime.Text]
	line := b.ID != "" && b.Data[mime.PNG] == "" && b.Data[mime.JPEG] == "" &&
		!strings.Contains(strings.TrimRight(text, "\n"), "\n")
	if b.Passing && (len(b.Data) == 0 || !s.tty) {
		if s.shown == b.ID {
			s.leaveDisplay()
		}
		return
	}
	if line && s.tty {
		if update && s.shown != b.ID && !b.Passing {
			return // other things have been printed since
		}
		if s.shown != b.ID {
			s.leaveDisplay()
			if s.midLine {
				fmt.Println()
			}
		}
		text = strings.TrimRight(text, "\n")
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); b.Passing && err == nil {
			text = runewidth.Truncate(text, width-1, "…") // a second line could not be erased
		}
		fmt.Print(eraseLine + text)
		s.shown, s.passing, s.midLine = b.ID, b.Passing, true
		return
	}
	s.leaveDisplay()
	if s.midLine {
		fmt.Println()
		s.midLine = false
	}
	s.terminal.Display(b, update)
}

// Clear does nothing on a terminal: what has been shown stays.
func (s *screen) Clear(bool) {}

// Input asks the person for a line.
func (s *screen) Input(ctx context.Context, prompt string, password bool) (string, error) {
	s.mu.Lock()
	s.leaveDisplay()
	s.mu.Unlock()
	fmt.Print(prompt)
	if password && s.tty {
		data, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Println()
		return string(data), err
	}
	type answer struct {
		line string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := s.stdin.ReadString('\n')
		typed <- answer{strings.TrimSuffix(line, "\n"), err}
	}()
	select {
	case a := <-typed:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

const eraseLine, eraseBelow = "\r\x1b[K", "\x1b[J"

// leaveDisplay ends the line of a display that could be written over, or erases it if it is a progress bar. The caller
// holds mu.
func (s *screen) leaveDisplay() {
	if s.shown == "" {
		return
	}
	if s.passing {
		fmt.Print(eraseLine)
	} else {
		fmt.Println()
	}
	s.shown, s.passing, s.midLine = "", false, false
}

// endLine makes what follows begin on a line of its own.
func (s *screen) endLine() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveDisplay()
	if s.midLine && s.tty {
		fmt.Println()
	}
	s.midLine = false
}

// value shows the value of a cell.
func (s *screen) value(number int, b mime.Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	picture := b.Data[mime.PNG] != "" || b.Data[mime.JPEG] != ""
	text := b.Data[mime.Text]
	mark := s.paint("31", fmt.Sprintf("Out[%d]: ", number))
	switch {
	case picture && s.terminal.Pictures():
		fmt.Println(strings.TrimRight(mark, " "))
		s.terminal.Display(b, false)
	case strings.Contains(strings.TrimRight(text, "\n"), "\n"):
		fmt.Println(strings.TrimRight(mark, " "))
		fmt.Println(strings.TrimRight(text, "\n"))
	default:
		fmt.Println(mark + strings.TrimRight(text, "\n"))
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// failure shows what went wrong.
func (s *screen) failure(f *engine.Failure) {
	text := strings.Join(f.Traceback, "\n")
	if !s.colours {
		text = escapes.ReplaceAllString(text, "")
	}
	fmt.Fprintln(os.Stderr, text)
}

// paint colours text, if the terminal has colours.
func (s *screen) paint(code, text string) string {
	if !s.colours {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) dim(text string) string { return s.paint("2", text) }

// code colours Go source.
func (s *screen) code(source string) string {
	if !s.colours {
		return source
	}
	return highlight.Terminal(source)
}
