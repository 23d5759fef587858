package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// Workers is how many goroutines [Ranges] has at work on n things in ranges of size.
func Workers(n, size int) int { return max(1, min(NumParts(n, size), runtime.GOMAXPROCS(0))) }

// Ranges calls do for 0 to n-1 in ranges lo to hi (excluded) of size or fewer, several at a time, and shows how many of
// the units are done under a label. worker, from 0 to [Workers] less 1, says whose call it is: a worker's calls follow
// each other. It returns the error of the lowest range that has one, or the interrupt's.
func Ranges(label, units string, n, size int, do func(worker, lo, hi int) error) error {
	bar := progress.New(label, n)
	defer bar.Close()
	defer interrupt.Busy(label)() // this goroutine waits for others, and does not wait in vain
	var (
		wg         sync.WaitGroup
		next, done atomic.Int64
		stop       atomic.Bool

		mu      sync.Mutex // guards the variables below
		failed  error
		at      int
		stopped error
	)
	for worker := range Workers(n, size) {
		wg.Go(func() {
			for !stop.Load() {
				lo := int(next.Add(1)-1) * size
				if lo >= n {
					return
				}
				if err := interrupt.Err(); err != nil {
					mu.Lock()
					stopped = err
					mu.Unlock()
					stop.Store(true)
					return
				}
				hi := min(lo+size, n)
				if err := do(worker, lo, hi); err != nil {
					mu.Lock()
					if failed == nil || lo < at {
						failed, at = err, lo
					}
					mu.Unlock()
					stop.Store(true)
					return
				}
				done.Add(int64(hi - lo))
				bar.Add(hi - lo)
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	return interrupt.After(stopped, label, int(done.Load()), n, units)
}
