package compilecache

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
)

// processorLines are the lines of /proc/cpuinfo that say what a processor is and what it can do, on amd64 and arm64.
var processorLines = []string{"vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features",
	"CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "isa", "uarch"}

// cpuinfo is where Linux describes the processors.
var cpuinfo = "/proc/cpuinfo"

// processor describes the processors of this machine: each kind once.
func processor() (string, error) {
	info, err := os.ReadFile(cpuinfo)
	if err != nil {
		return "", err
	}
	var kinds []string
	for block := range strings.SplitSeq(string(info), "\n\n") {
		var b strings.Builder
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ":")
			if slices.Contains(processorLines, strings.TrimSpace(name)) {
				b.WriteString(strings.TrimSpace(name) + ":" + value + "\n")
			}
		}
		if kind := b.String(); kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return "", errors.New(cpuinfo + " says nothing of it")
	}
	slices.Sort(kinds)
	return strings.Join(kinds, ""), nil
}

// changed is when a file's contents or its data in the directory last changed, which no program can set.
func changed(s *syscall.Stat_t) int64 { return s.Ctim.Nano() }
