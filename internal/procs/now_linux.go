package procs

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since the system has started, by which it tells when processes began.
func Now() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
