package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/procfs"
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
	resident := procfs.Bytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	if resident < 1<<30 {
		return "" // somebody else has taken it
	}
	return fmt.Sprintf("the cells' process took %.1f GB of memory and was ended, because only %.1f GB were left",
		float64(resident)/1e9, float64(left)/1e9)
}

// available returns how many bytes of memory can still be taken, in the whole system and in the group of processes that
// a container limits; -1 where nobody tells. root is where /proc and /sys are.
func available(root string) int {
	left := procfs.Bytes(filepath.Join(root, "proc/meminfo"), "MemAvailable:")
	if left == 0 {
		left = -1
	}
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
		used -= procfs.Field(filepath.Join(root, filepath.Dir(files[0]), "memory.stat"), "inactive_file")
		if rest := max(limit-used, 0); left < 0 || rest < left {
			left = rest
		}
	}
	return left
}

func number(file string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
