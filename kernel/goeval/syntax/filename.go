package syntax

import (
	"regexp"
	"strconv"
)

// FileName is how the cell is called in positions of what is compiled.
func (t *Text) FileName() string { return "cell " + strconv.Itoa(t.Number) }

var cellFile = regexp.MustCompile(`(?:^|/)cell (-?\d+)$`)

// CellNumber returns the number of the cell that a position's file name stands for.
func CellNumber(file string) (int, bool) {
	m := cellFile.FindStringSubmatch(file)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}
