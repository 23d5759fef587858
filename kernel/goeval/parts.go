package goeval

import (
	"go/token"
	"strings"
)

// part is a piece of a cell: Go, a line that begins with % or !, or a whole cell that begins with %%name for something else
// than Go. Parts run one after the other.
type part struct {
	source string // of Go: the cell with everything else blanked, so that positions stay
	line   string // of a line: without the blanks around it
	body   string // of a cell magic: what follows its line
	magic  bool
	start  int // of a line's text in the cell, in bytes
}

// parts takes a cell apart. A line that begins with % or ! is one of ours where a Go statement could begin, outside of braces.
func parts(source string) []part {
	if !strings.ContainsAny(source, "%!") {
		return []part{{source: source}}
	}
	var out []part
	lines := strings.SplitAfter(source, "\n")
	before := "" // what has been read, with the lines that are not Go made comments
	start, offset := 0, 0
	goes := func(end int) {
		if strings.TrimSpace(source[start:end]) != "" {
			out = append(out, part{source: blanked(source[:start]) + source[start:end]})
		}
	}
	for i, line := range lines {
		text := strings.TrimSpace(line)
		if text == "" || text[0] != '%' && text[0] != '!' || strings.HasPrefix(text, "!=") || !statementMayBegin(before) {
			before += line
			offset += len(line)
			continue
		}
		goes(offset)
		p := part{line: text, magic: true, start: offset + strings.Index(line, text)}
		if name, _, _ := strings.Cut(text, " "); len(out) == 0 && strings.HasPrefix(name, "%%") && magics[name].cell != nil {
			p.body = strings.Join(lines[i+1:], "")
			return append(out, p)
		}
		out = append(out, p)
		before += commented(line)
		offset += len(line)
		start = offset
	}
	goes(len(source))
	return out
}

// statementMayBegin reports whether what follows the text begins a statement at the top level of a cell.
func statementMayBegin(before string) bool {
	lexemes, bad := scan(before)
	if bad != nil {
		return false
	}
	return depth(lexemes) == 0 && (len(lexemes) == 0 || lexemes[len(lexemes)-1].tok == token.SEMICOLON)
}

// depth is how many more brackets are opened than closed.
func depth(lexemes []lexeme) int {
	n := 0
	for _, l := range lexemes {
		switch l.tok {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			n++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			n--
		}
	}
	return n
}

// blanked returns as many bytes and lines, with nothing on them.
func blanked(text string) string {
	out := []byte(text)
	for i, b := range out {
		if b != '\n' && b != '\r' {
			out[i] = ' '
		}
	}
	return string(out)
}

// commented makes a line a comment of the same length, in bytes and in characters.
func commented(line string) string {
	text := strings.TrimLeft(line, " \t")
	if len(strings.TrimSpace(text)) < 2 || text[1] >= 0x80 {
		return blanked(line)
	}
	return line[:len(line)-len(text)] + "//" + text[2:]
}

// onlyGo returns a cell with all that is not Go made comments, for who looks at the text only.
func onlyGo(source string) string {
	var out strings.Builder
	at := 0
	for _, p := range parts(source) {
		if !p.magic {
			continue
		}
		line, rest, more := strings.Cut(source[p.start:], "\n")
		out.WriteString(source[at:p.start])
		at = p.start + len(line)
		if name, statement, _ := strings.Cut(line, " "); magics[name].statement {
			// What follows is Go.
			out.WriteString(blanked(name + " "[:min(1, len(line)-len(name))]))
			out.WriteString(statement)
		} else {
			out.WriteString(commented(line))
		}
		if p.body != "" && more && !magics[strings.Fields(line)[0]].statement {
			out.WriteString("\n" + blanked(rest))
			at = len(source)
		}
	}
	out.WriteString(source[at:])
	return out.String()
}
