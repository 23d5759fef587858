// Package lines tells what in a cell is Go, and what are lines that begin with % or !, or ask what a name is.
package lines

import (
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
)

// Part is a piece of a cell: Go, a line that begins with % or !, a whole cell that begins with %%name for something
// else than Go, or the body of a main function. Parts run one after the other, but for those that wait for the cell's
// Go.
type Part struct {
	Source string // of Go: the cell with everything else blanked, so that positions stay
	Line   string // of a line: without the blanks around it, and with those that it goes on in
	Body   string // of a cell magic: what follows its line
	Magic  bool
	Main   bool // the source is a main function, by a line %% or %main
	Start  int  // of a line's text in the cell, in bytes
	Length int  // of its text
}

// Name is what a line begins with.
func (p Part) Name() string {
	name, _, _ := strings.Cut(p.Line, " ")
	return name
}

// Args is what follows what a line begins with.
func (p Part) Args() string {
	_, args, _ := strings.Cut(p.Line, " ")
	return strings.TrimSpace(args)
}

// Form says what follows a line that begins with %.
type Form struct {
	Statement bool // what follows is Go, and in a cell the other lines as well
	Main      bool // what follows is Go, the body of a main function
	Cell      bool // the rest of the cell is the line's
}

// Forms are those of the lines that begin with %, by what they begin with.
type Forms map[string]Form

// gonbComment may stand before a line that is not Go, for the sake of editors that take the cell for a Go file.
const gonbComment = "//gonb:"

// Parts takes a cell apart. A line that begins with % or !, or asks what a name is, is one of ours where a Go statement
// could begin, outside of braces. It goes on in the next line where it ends with a backslash. After a line %% or %main
// the Go is the body of a main function.
func (f Forms) Parts(source string) []Part {
	if !strings.ContainsAny(source, "%!?") {
		return []Part{{Source: source}}
	}
	var out []Part
	lines := strings.SplitAfter(source, "\n")
	before := ""             // what has been read, with the lines that are not Go made comments
	var text strings.Builder // of the Go that is being read, with all before it blanked
	var main *Part
	goes := func() {
		if s := text.String(); strings.TrimSpace(s) != "" {
			out = append(out, Part{Source: s})
		}
		text.Reset()
	}
	offset := 0
	for i := 0; i < len(lines); i++ {
		line, at := lines[i], offset
		offset += len(line)
		t := strings.TrimSpace(line)
		begin := at + strings.Index(line, t)
		if rest, ok := strings.CutPrefix(t, gonbComment); ok {
			t, begin = rest, begin+len(gonbComment)
		}
		_, _, asks := Question(t)
		if t == "" || t[0] != '%' && t[0] != '!' && !asks || strings.HasPrefix(t, "!=") ||
			!lexical.StatementMayBegin(before) {
			before += line
			text.WriteString(line)
			continue
		}
		p := Part{Line: t, Magic: true, Start: begin}
		all := line
		for strings.HasSuffix(p.Line, "\\") && i+1 < len(lines) {
			i++
			p.Line = strings.TrimSuffix(p.Line, "\\") + " " + strings.TrimSpace(lines[i])
			all += lines[i]
			offset += len(lines[i])
		}
		p.Length = len(strings.TrimRight(source[begin:offset], " \t\r\n"))
		if len(out) == 0 && strings.TrimSpace(text.String()) == "" && main == nil && f[p.Name()].Cell {
			p.Body = strings.Join(lines[i+1:], "")
			return append(out, p)
		}
		if main != nil {
			// The rest of main stays one piece.
			text.WriteString(lexical.Blanked(all))
		} else if goes(); f[p.Name()].Main {
			p.Main = true
			main = &p
			text.WriteString(lexical.Blanked(source[:at]) + "func main() {" + strings.Repeat("\n", strings.Count(all, "\n")))
			before += lexical.Commented(all)
			continue
		} else {
			text.WriteString(lexical.Blanked(source[:offset]))
		}
		out = append(out, p)
		before += lexical.Commented(all)
	}
	if main == nil {
		goes()
		return out
	}
	main.Source = text.String() + "\n}"
	return append(out, *main)
}

// OnlyGo returns a cell with all that is not Go made comments, for who looks at the text only.
func (f Forms) OnlyGo(source string) string {
	var out strings.Builder
	at := 0
	all := slices.DeleteFunc(f.Parts(source), func(p Part) bool { return !p.Magic })
	slices.SortFunc(all, func(a, b Part) int { return a.Start - b.Start })
	for _, p := range all {
		out.WriteString(source[at:p.Start])
		line := source[p.Start : p.Start+p.Length]
		at = p.Start + p.Length
		statement := f[p.Name()].Statement
		if name, rest, _ := strings.Cut(line, " "); statement {
			// What follows is Go.
			out.WriteString(lexical.Blanked(name + " "[:min(1, len(line)-len(name))]))
			out.WriteString(rest)
		} else {
			out.WriteString(lexical.Commented(line))
		}
		if p.Body != "" && !statement {
			out.WriteString(lexical.Blanked(source[at:]))
			at = len(source)
		}
	}
	out.WriteString(source[at:])
	return out.String()
}
