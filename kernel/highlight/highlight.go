// Package highlight colours Go source, for pages and for terminals. Libraries that know every language read all of them
// when a program starts, which is longer than a kernel's first cell takes.
package highlight

import (
	"go/scanner"
	"go/token"
	"go/types"
	"html"
	"strings"
	"unicode"
)

// Kind is what a part of a source is.
type Kind int

const (
	Plain Kind = iota
	Keyword
	Predeclared // a type, a function or a value of Go's own
	Call        // the name of what is called
	String
	Number
	Comment
	Magic // a line for the kernel
)

// Part is a piece of source of one kind.
type Part struct {
	Kind Kind
	Text string
}

// Parts takes a cell's source apart. Together the parts are the source, whatever it is: half of a program as well.
func Parts(source string) []Part {
	var parts []Part
	add := func(kind Kind, text string) {
		if text != "" {
			parts = append(parts, Part{kind, text})
		}
	}
	all := []byte(source)
	for at := 0; at < len(source); {
		at = tokens(source, all, at, add)
		if at < len(source) {
			to := endOfMagic(source, at)
			add(Magic, source[at:to])
			at = to
		}
	}
	return parts
}

// tokens adds the parts from an offset to the next line for the kernel, whose offset it returns. all is the source.
func tokens(source string, all []byte, from int, add func(Kind, string)) int {
	file := token.NewFileSet().AddFile("", -1, len(all)-from)
	var s scanner.Scanner
	s.Init(file, all[from:], func(token.Position, string) {}, scanner.ScanComments)
	at, kind, name := from, Plain, false
	for {
		pos, tok, text := s.Scan()
		if tok == token.SEMICOLON && text != ";" {
			continue // one that the end of a line stands for
		}
		next := len(source)
		if tok != token.EOF {
			next = from + file.Offset(pos)
		}
		if tok == token.LPAREN && name {
			kind = Call
		}
		// What is between two tokens is blank.
		body := strings.TrimRightFunc(source[at:next], unicode.IsSpace)
		add(kind, body)
		add(Plain, source[at+len(body):next])
		if tok == token.EOF || (tok == token.REM || tok == token.NOT || tok == token.REM_ASSIGN || tok == token.ILLEGAL) &&
			isMagic(source, next) {
			return next
		}
		at, name = next, false
		switch {
		case tok.IsKeyword():
			kind = Keyword
		case tok == token.COMMENT:
			kind = Comment
		case tok == token.STRING, tok == token.CHAR:
			kind = String
		case tok == token.INT, tok == token.FLOAT, tok == token.IMAG:
			kind = Number
		case tok == token.IDENT && types.Universe.Lookup(text) != nil:
			kind = Predeclared
		default:
			kind, name = Plain, tok == token.IDENT
		}
	}
}

// isMagic says whether a line for the kernel begins at an offset: with % or !, and nothing before it.
func isMagic(source string, at int) bool {
	before := at
	for before > 0 && (source[before-1] == ' ' || source[before-1] == '\t') {
		before--
	}
	if before > 0 && source[before-1] != '\n' {
		return false
	}
	return source[at] == '%' || source[at] == '!' && !strings.HasPrefix(source[at:], "!=")
}

// endOfMagic is where the line ends that begins at an offset; of one that names another language, all that follows.
func endOfMagic(source string, at int) int {
	line, _, _ := strings.Cut(source[at:], "\n")
	line = strings.TrimRight(line, "\r")
	if language, whole := strings.CutPrefix(line, "%%"); whole && language != "" && !strings.HasPrefix(language, "go") {
		return len(source)
	}
	return at + len(line)
}

// classes are what a page calls the kinds.
var classes = [...]string{Keyword: "go-keyword", Predeclared: "go-predeclared", Call: "go-call", String: "go-string",
	Number: "go-number", Comment: "go-comment", Magic: "go-magic"}

// HTML returns source with its parts in elements of classes that page.css colours.
func HTML(source string) string {
	var b strings.Builder
	for _, p := range Parts(source) {
		text := html.EscapeString(p.Text)
		if class := classes[p.Kind]; class != "" {
			text = `<span class="` + class + `">` + text + `</span>`
		}
		b.WriteString(text)
	}
	return b.String()
}

// colours are those of a terminal with 256 of them, which can be read on light and on dark ground.
var colours = [...]string{Keyword: "1;38;5;70", Predeclared: "38;5;31", Call: "38;5;68", String: "38;5;172",
	Number: "38;5;67", Comment: "3;38;5;246", Magic: "38;5;133"}

// Terminal returns source with the terminal's codes for colours, which begin and end in the same line.
func Terminal(source string) string {
	var b strings.Builder
	for _, p := range Parts(source) {
		colour := colours[p.Kind]
		for line := range strings.Lines(p.Text) {
			text := strings.TrimRight(line, "\n")
			if colour != "" && text != "" {
				b.WriteString("\x1b[" + colour + "m" + text + "\x1b[0m" + line[len(text):])
			} else {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}
