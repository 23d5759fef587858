package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	watchEvery = 50 * time.Millisecond // how often a running cell's memory is looked at
	mustBeLeft = 1 << 30               // bytes of memory
)

// tooMuch says why a process has to be ended before the system ends one of its own choice; "" where it has not.
func tooMuch(pid, mustBeLeft int) string {
	left := available("/")
	if left < 0 || left >= mustBeLeft {
		return ""
	}
	resident := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	if resident < 1<<30 {
		return "" // somebody else has taken it
	}
	return fmt.Sprintf("the cells' process took %.1f GB of memory and was ended, because only %.1f GB were left", float64(resident)/1e9, float64(left)/1e9)
}

// available returns how many bytes of memory can still be taken, in the whole system and in the group of processes that a container
// limits; -1 where nobody tells. root is where /proc and /sys are.
func available(root string) int {
	left := kilobytes(filepath.Join(root, "proc/meminfo"), "MemAvailable:")
	for _, files := range [][2]string{
		{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"},
		{"sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"},
	} {
		limit, err1 := number(filepath.Join(root, files[0]))
		used, err2 := number(filepath.Join(root, files[1]))
		if err1 != nil || err2 != nil {
			continue
		}
		// What the files that were read take is given up when it is needed.
		used -= field(filepath.Join(root, filepath.Dir(files[0]), "memory.stat"), "inactive_file")
		if rest := max(limit-used, 0); left < 0 || rest < left {
			left = rest
		}
	}
	return left
}

// kilobytes returns a figure of a file with lines like "VmRSS: 12 kB", in bytes; -1 where there is none.
func kilobytes(file, name string) int {
	if n := field(file, name); n > 0 {
		return n << 10
	}
	return -1
}

// field returns the number behind a name at the beginning of a line; 0 where there is none.
func field(file, name string) int {
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

func number(file string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
