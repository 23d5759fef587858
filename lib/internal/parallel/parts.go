package parallel

import (
	"sync"
	"sync/atomic"

	"github.com/loupeml/loupe/lib/interrupt"
)

// NumParts is how many parts of size or fewer n things have.
func NumParts(n, size int) int { return (n + size - 1) / size }

// Parts calls do for 0 to n-1 in parts of size or fewer, several at a time, for work that is soon done: it shows
// nothing and does not stop. The parts are the same on every machine, so that what is summed over each and then over
// all is, too.
func Parts(n, size int, do func(part, lo, hi int)) {
	var next atomic.Int64
	work := func() {
		for {
			part := int(next.Add(1) - 1)
			lo := part * size
			if lo >= n {
				return
			}
			do(part, lo, min(lo+size, n))
		}
	}
	var wg sync.WaitGroup
	for range Workers(n, size) - 1 {
		wg.Go(work)
	}
	work()                                               // the caller is one of them
	defer interrupt.Busy("what all processors are at")() // it waits for the others, and does not wait in vain
	wg.Wait()
}
