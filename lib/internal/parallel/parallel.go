// Package parallel does work on many images, or files, on all processors.
package parallel

import (
	"runtime"
	"sync"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// between is how many are begun from one look at whether to stop to the next.
const between = 16

// Each calls do for 0 to n-1, several at a time, and shows how far it is under a label. It returns the error with the
// lowest number, or the interrupt's, and how many from 0 on are done.
func Each(label string, n int, do func(i int) error) (done int, err error) {
	bar := progress.New(label, n)
	defer bar.Close()
	defer interrupt.Busy(label)() // this goroutine waits for others, and does not wait in vain
	errs := make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(i)
				bar.Add(1)
			}
		})
	}
	begun := 0
	var stopped error
	for ; begun < n; begun++ {
		if begun%between == 0 {
			if stopped = interrupt.Err(); stopped != nil {
				break
			}
		}
		next <- begun
	}
	close(next)
	wg.Wait()
	for i, err := range errs[:begun] {
		if err != nil {
			return i, err
		}
	}
	return begun, interrupt.After(stopped, label, begun, n, "images")
}
