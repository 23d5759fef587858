// Package usage says what a timed program has used.
package usage

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Processors is how many seconds of them the process has used.
func Processors() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// Memory is the most that the process has had, in MB. The system's figure of used resources begins with that of the
// process that started it.
func Memory() float64 { return status("VmHWM") }

// Resident is what the process has now, in MB.
func Resident() float64 { return status("VmRSS") }

// status is a line of the process's status, in MB.
func status(name string) float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return math.NaN()
	}
	for line := range strings.Lines(string(raw)) {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, name+": %f kB", &kilobytes); err == nil {
			return kilobytes / 1024
		}
	}
	return math.NaN()
}
