// Package procfs reads figures that the system tells of processes and memory in /proc.
package procfs

import (
	"bytes"
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

// exiting is the flag PF_EXITING that the system tells among a process' flags.
const exiting = 0x4

// Leaving reports whether a process has ended, or is at its end: what it held is being closed, whether its parent has
// heard of it or not.
func Leaving(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	// The name in brackets may hold anything. Behind it come the state and, as the seventh, the flags.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 7 {
		return true
	}
	flags, _ := strconv.Atoi(fields[6])
	return strings.ContainsAny(fields[0], "ZX") || flags&exiting != 0
}
