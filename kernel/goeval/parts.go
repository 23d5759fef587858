package goeval

import (
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
)

// part is a piece of a cell: Go, a line that begins with % or !, a whole cell that begins with %%name for something
// else than Go, or the body of a main function. Parts run one after the other, but for those that wait for the cell's
// Go.
type part struct {
	source string // of Go: the cell with everything else blanked, so that positions stay
	line   string // of a line: without the blanks around it, and with those that it goes on in
	body   string // of a cell magic: what follows its line
	magic  bool
	main   bool // the source is a main function, by a line %% or %main
	start  int  // of a line's text in the cell, in bytes
	length int  // of its text
}

// name is what a line begins with, and args what follows.
func (p part) name() string {
	name, _, _ := strings.Cut(p.line, " ")
	return name
}

func (p part) args() string {
	_, args, _ := strings.Cut(p.line, " ")
	return strings.TrimSpace(args)
}

// gonbComment may stand before a line that is not Go, for the sake of editors that take the cell for a Go file.
const gonbComment = "//gonb:"

// parts takes a cell apart. A line that begins with % or !, or asks what a name is, is one of ours where a Go statement
// could begin, outside of braces. It goes on in the next line where it ends with a backslash. After a line %% or %main
// the Go is the body of a main function.
func parts(source string) []part {
	if !strings.ContainsAny(source, "%!?") {
		return []part{{source: source}}
	}
	var out []part
	lines := strings.SplitAfter(source, "\n")
	before := ""             // what has been read, with the lines that are not Go made comments
	var text strings.Builder // of the Go that is being read, with all before it blanked
	var main *part
	goes := func() {
		if s := text.String(); strings.TrimSpace(s) != "" {
			out = append(out, part{source: s})
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
		_, _, asks := question(t)
		if t == "" || t[0] != '%' && t[0] != '!' && !asks || strings.HasPrefix(t, "!=") ||
			!lexical.StatementMayBegin(before) {
			before += line
			text.WriteString(line)
			continue
		}
		p := part{line: t, magic: true, start: begin}
		all := line
		for strings.HasSuffix(p.line, "\\") && i+1 < len(lines) {
			i++
			p.line = strings.TrimSuffix(p.line, "\\") + " " + strings.TrimSpace(lines[i])
			all += lines[i]
			offset += len(lines[i])
		}
		p.length = len(strings.TrimRight(source[begin:offset], " \t\r\n"))
		if len(out) == 0 && strings.TrimSpace(text.String()) == "" && main == nil && magics[p.name()].cell != nil {
			p.body = strings.Join(lines[i+1:], "")
			return append(out, p)
		}
		if main != nil {
			// The rest of main stays one piece.
			text.WriteString(lexical.Blanked(all))
		} else if goes(); magics[p.name()].main {
			p.main = true
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
	main.source = text.String() + "\n}"
	return append(out, *main)
}

// onlyGo returns a cell with all that is not Go made comments, for who looks at the text only.
func onlyGo(source string) string {
	var out strings.Builder
	at := 0
	all := slices.DeleteFunc(parts(source), func(p part) bool { return !p.magic })
	slices.SortFunc(all, func(a, b part) int { return a.start - b.start })
	for _, p := range all {
		out.WriteString(source[at:p.start])
		line := source[p.start : p.start+p.length]
		at = p.start + p.length
		statement := magics[p.name()].statement
		if name, rest, _ := strings.Cut(line, " "); statement {
			// What follows is Go.
			out.WriteString(lexical.Blanked(name + " "[:min(1, len(line)-len(name))]))
			out.WriteString(rest)
		} else {
			out.WriteString(lexical.Commented(line))
		}
		if p.body != "" && !statement {
			out.WriteString(lexical.Blanked(source[at:]))
			at = len(source)
		}
	}
	out.WriteString(source[at:])
	return out.String()
}
