package failure

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostLine is how long an error of a file may be, in bytes.
const mostLine = 1200

// OneLine is an error about a file in one line of some length. What a file calls its parts may hold anything: line ends
// and other control characters are written as Go does, and what is too long loses its middle.
func OneLine(err error) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	if is := oneLine(was); is != was {
		return lined{is, err}
	}
	return err
}

type lined struct {
	text string
	err  error
}

func (l lined) Error() string { return l.text }
func (l lined) Unwrap() error { return l.err }

func oneLine(s string) string {
	if len(s) > mostLine {
		s = s[:mostLine*2/3] + " … " + s[len(s)-mostLine/3:]
	}
	plain := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	var out strings.Builder
	for at := 0; at < len(s); {
		r, size := utf8.DecodeRuneInString(s[at:])
		if plain(r) {
			out.WriteRune(r)
		} else {
			quoted := strconv.Quote(s[at : at+size])
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		at += size
	}
	return out.String()
}
