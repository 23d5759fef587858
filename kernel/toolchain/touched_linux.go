package toolchain

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// touched says when a file was changed last. The time of its entry counts as well, which no program can set back.
func touched(file string) touch {
	info, err := os.Stat(file)
	if err != nil {
		return touch{}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return touch{}
	}
	entry := time.Unix(s.Ctim.Unix())
	when := info.ModTime()
	if entry.After(when) {
		when = entry
	}
	return touch{fmt.Sprint(s.Dev, " ", s.Ino, " ", s.Size, " ", info.ModTime().UnixNano(), " ", entry.UnixNano()), when}
}
