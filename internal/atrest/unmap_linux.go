package atrest

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// unmap lets go of the pages of the program's file that are as they are in the file. Pages that the loader or a
// debugger has changed are in mappings that have anonymous memory, and stay.
func unmap() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return // all of it stays mapped
	}
	defer f.Close()
	var from, to uintptr
	own := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "Anonymous:") && own:
			if strings.TrimSpace(value) == "0 kB" {
				unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
			}
		case strings.Contains(field, "-"): // a mapping: addresses, rights, and at the end the file
			var rights string
			n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights)
			own = n == 3 && !strings.Contains(rights, "w") && strings.HasSuffix(line, " "+self)
		}
	}
}
