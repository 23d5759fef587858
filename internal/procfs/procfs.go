// Package procfs reads figures that the system tells of processes and memory in /proc.
package procfs

import (
	"os"
	"strconv"
	"strings"
)

// Field returns the number behind a name at the beginning of a line of a file; 0 where there is none.
func Field(file, name string) int {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// Bytes is [Field] of a figure that is told in kilobytes, such as "VmRSS:", in bytes.
func Bytes(file, name string) int { return Field(file, name) << 10 }
