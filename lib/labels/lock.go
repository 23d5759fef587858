package labels

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long a folder is waited for. What is done with one takes milliseconds.
const lockPatience = 10 * time.Second

// locked has a folder alone among those who ask for it, in this process or another, until release. The folder itself
// carries the lock, so that nothing is left behind, and a process that ends has none.
func locked(folder string) (release func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for begun := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		late := time.Since(begun) > lockPatience
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EWOULDBLOCK) && !late:
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			err = fmt.Errorf("another program has held %s for %v", folder, lockPatience)
		default:
			err = fmt.Errorf("%s cannot be locked: %w", folder, err)
		}
		f.Close()
		return nil, err
	}
}
