// Package atrest gives memory back that only the start of a program needed.
package atrest

import (
	"runtime/debug"
	"time"
)

// After is how long after its start a program gives that memory back: a first request that comes at once does not wait.
const After = 2 * time.Second

// Release collects garbage, returns free memory to the system, and lets go of the pages of the program's own file: at
// its start a program runs through its packages' tables, most of which nothing looks at again. What is needed later is
// mapped again when it is touched.
func Release() {
	debug.FreeOSMemory()
	unmap()
}
