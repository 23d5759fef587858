package lexical

import (
	"strings"
)

// State is in what of Go's lexical elements a text ends.
type State int

// What a text may end in.
const (
	InCode State = iota
	InString
	InRune
	InComment
)

// StateAt returns in what a text ends, and where that starts.
func StateAt(before string) (start int, inside State) {
	var quote byte
	for i := 0; i < len(before); i++ {
		switch c := before[i]; {
		case quote == 0 && (c == '"' || c == '`' || c == '\''):
			quote, start = c, i
		case quote == 0 && strings.HasPrefix(before[i:], "//"):
			end := strings.IndexByte(before[i:], '\n')
			if end < 0 {
				return i, InComment
			}
			i += end
		case quote == 0 && strings.HasPrefix(before[i:], "/*"):
			end := strings.Index(before[i+2:], "*/")
			if end < 0 {
				return i, InComment
			}
			i += 2 + end + 1
		case quote == c && quote != 0:
			quote = 0
		case quote != 0 && quote != '`' && c == '\\':
			i++
		case quote != 0 && quote != '`' && c == '\n':
			quote = 0
		}
	}
	switch quote {
	case 0:
		return len(before), InCode
	case '\'':
		return start, InRune
	}
	return start, InString
}
