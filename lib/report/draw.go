package report

import "strconv"

// unquoted is text as it was before it was quoted for being shown.
func unquoted(text string) string {
	if plain, err := strconv.Unquote(text); err == nil {
		return plain
	}
	return text
}
