package namespace

import (
	"regexp"
	"strings"
)

// Underscore stands for each of _, __ and ___ in the check: Go reads nothing from _, and nothing that a cell has has
// such a name.
const Underscore = "\x01"

var PastNames = regexp.MustCompile(`\b(Out|In)_(\d+)_|(` + Underscore + `+)`)

// IsPast tells the names of what cells gave from those of cells.
func IsPast(name string) bool { return PastNames.FindString(name) == name && name != "" }

// AsTyped has a message call what cells gave as the cell does.
func AsTyped(message string) string {
	return PastNames.ReplaceAllStringFunc(message, func(name string) string {
		m := PastNames.FindStringSubmatch(name)
		if m[1] == "" {
			return strings.Repeat("_", len(m[3]))
		}
		return m[1] + "[" + m[2] + "]"
	})
}
