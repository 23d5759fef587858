package lexical

import (
	"strings"
)

// Position returns the line and column, from 1, of a byte offset.
func Position(source string, offset int) (line, column int) {
	before := source[:min(max(offset, 0), len(source))]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}

// OffsetOf is the inverse of position.
func OffsetOf(source string, line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(source[offset:], '\n')
		if i < 0 {
			return len(source)
		}
		offset += i + 1
	}
	return min(offset+max(column-1, 0), len(source))
}
