package repl

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/reeflective/readline"
	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// The line editor divides the width of a line by the terminal's to know how many rows the line takes. A terminal does
// not always: a character of two columns that would begin in the last one goes to the next row, and the one it leaves
// stays blank; what fills a row to its end leaves the cursor there. So while the editor counts and draws, a line has a
// blank before each such character, and where a row is full the cursor is led to the next one.
//
// It clears what is below a line by going down from its last row, and up again. At the bottom of the terminal there is
// no such row: it would clear the line itself, and take the row above for it. So room is made before it draws.

// asksPrompt is called where the editor asks for the prompt: to print it, before it counts, and once more when it has
// drawn a line of several lines.
func (p *prompt) asksPrompt(shell *readline.Shell) {
	if !p.measures {
		p.counts(shell)
	}
	p.measures = false
}

// counts has the editor count a line as the terminal shows it, until it has been drawn.
func (p *prompt) counts(shell *readline.Shell) {
	p.counted()
	if shell.Keymap.Local() == "isearch" { // then its line is what is searched for, not what is shown
		return
	}
	line, cursor := shell.Line(), shell.Cursor()
	columns, _ := terminalSize()
	wide, _, _ := edges(*line, p.margin, columns)
	if len(wide) == 0 {
		return
	}
	as, at := slices.Clone(*line), cursor.Pos()
	padded, moved := slices.Clone(as), at
	for i, edge := range wide {
		padded = slices.Insert(padded, edge+i, ' ')
		if edge <= at {
			moved++
		}
	}
	line.Set(padded...)
	cursor.Set(moved)
	p.typed = as
	p.uncount = func() {
		line.Set(as...)
		cursor.Set(at)
	}
}

// counted gives the line back as it has been typed.
func (p *prompt) counted() {
	if p.uncount != nil {
		p.uncount()
	}
	p.uncount = nil
}

// accepted is the line that the editor has read, which may be as it has counted it.
func (p *prompt) accepted(line string) string {
	if p.uncount != nil {
		line = string(p.typed)
		p.uncount = nil
	}
	p.editor.Line().Set() // nothing of it is counted with the next prompt
	p.measures = false
	return line
}

// draw is a line as it is shown. There is room for it, and for a row below, when it returns.
func (p *prompt) draw(line []rune) string {
	p.measures = slices.Contains(line, '\n')
	columns, height := terminalSize()
	var wide []int
	if p.uncount != nil {
		line = p.typed
		wide, _, _ = edges(line, p.margin, columns)
		p.counted()
	}
	_, full, rows := edges(line, p.margin, columns)
	if rows = min(rows+1, height-1); rows > 0 {
		fmt.Print(strings.Repeat("\n", rows), "\x1b[", rows, "A\r\x1b[", p.margin, "C")
	}
	shown := string(line)
	if p.screen.colours {
		shown = p.screen.code(shown)
	}
	return insertInto(shown, wide, full)
}

// insertInto inserts blanks before the characters at wide, and what leads to the next row before those at full. Colours
// count nothing.
func insertInto(shown string, wide, full []int) string {
	if len(wide)+len(full) == 0 {
		return shown
	}
	var b strings.Builder
	for at := 0; ; at++ {
		for escape := leadingEscape.FindString(shown); escape != ""; escape = leadingEscape.FindString(shown) {
			b.WriteString(escape)
			shown = shown[len(escape):]
		}
		if slices.Contains(full, at) {
			b.WriteString(" \r")
		}
		if slices.Contains(wide, at) {
			b.WriteByte(' ')
		}
		if shown == "" {
			return b.String()
		}
		_, length := utf8.DecodeRuneInString(shown)
		b.WriteString(shown[:length])
		shown = shown[length:]
	}
}

var leadingEscape = regexp.MustCompile("^\x1b\\[[0-9;]*m")

// edges is where in what is typed there are characters of two columns that do not fit into the row that they would
// begin in, and ends of lines that fill their last row; and in which row below its first one it ends. Every line begins
// at the column indent.
func edges(line []rune, indent, columns int) (wide, full []int, rows int) {
	column, at := indent, 0
	end := func() {
		if column > indent && column%columns == 0 {
			full = append(full, at)
		}
		rows += column / columns
		column = indent
	}
	clusters := uniseg.NewGraphemes(string(line))
	for clusters.Next() {
		width := clusters.Width()
		switch cluster := clusters.Str(); cluster {
		case "\n", "\r\n":
			end()
			rows++
			width = 0
		case "\t":
			width = editorsTab
		default:
			if width == 2 && column%columns == columns-1 {
				wide = append(wide, at)
				column++
			}
		}
		column += width
		at += len(clusters.Runes())
	}
	end()
	return wide, full, rows
}

// editorsTab is how many blanks the editor shows for a tab.
const editorsTab = 5

// terminalSize is the size that the editor takes the terminal for: it asks standard error.
func terminalSize() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return 80, 80
	}
	return columns, rows
}
