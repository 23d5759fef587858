// Package goroutines tells what the goroutines of cells are at, by their stacks.
package goroutines

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
)

// AwaitEnd waits until the goroutines of runs that were stopped have ended.
func AwaitEnd(runs []*cell.Run) {
	for wait := 10 * time.Millisecond; len(runs) > 0; wait = min(2*wait, 10*time.Second) {
		time.Sleep(wait)
		var profile bytes.Buffer
		if pprof.Lookup("goroutine").WriteTo(&profile, 1) != nil {
			continue
		}
		runs = slices.DeleteFunc(runs, func(r *cell.Run) bool {
			if bytes.Contains(profile.Bytes(), fmt.Appendf(nil, "%q:%q", "cell", r.Name)) {
				return false
			}
			r.Stopped()
			return true
		})
	}
}

// ID returns the number of the calling goroutine, as stack traces name it.
func ID() uintptr {
	var buf [64]byte
	fields := strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))
	id, _ := strconv.Atoi(fields[1])
	return uintptr(id)
}

// Waiting returns where a goroutine waits for another, or for input; "" where it runs.
func Waiting(id uintptr) string {
	buf := make([]byte, 1<<20)
	text := string(buf[:runtime.Stack(buf, true)])
	_, rest, ok := strings.Cut("\n"+text, fmt.Sprintf("\ngoroutine %d [", id))
	if !ok {
		return ""
	}
	stack, _, _ := strings.Cut(rest, "\n\n")
	state, where, _ := strings.Cut(stack, "]")
	for _, s := range []string{"chan receive", "chan send", "select", "sync.", "semacquire", "sleep", "IO wait"} {
		if strings.HasPrefix(state, s) {
			return where
		}
	}
	return ""
}

// LeftBehind reports whether goroutines run that cells have started.
func LeftBehind() bool {
	const many = 10_000 // so many are nobody else's
	if runtime.NumGoroutine() > many {
		return true
	}
	var profile bytes.Buffer
	return pprof.Lookup("goroutine").WriteTo(&profile, 1) != nil || bytes.Contains(profile.Bytes(), []byte(`"cell":`))
}
