package cell

import (
	"os"
	"slices"
	"time"
)

// listeners are the channels on which cells want to hear of an interrupt; guarded by mu.
var listeners []chan<- os.Signal

// Listen has a channel hear of the interrupts that would stop a cell, as signal.Notify does in a program.
func Listen(c chan<- os.Signal) {
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(listeners, c) {
		listeners = append(listeners, c)
	}
}

// Unlisten undoes [Listen].
func Unlisten(c chan<- os.Signal) {
	mu.Lock()
	defer mu.Unlock()
	listeners = slices.DeleteFunc(listeners, func(other chan<- os.Signal) bool { return other == c })
}

// takeTime is how long a signal may lie in a channel before it is taken for one that nobody receives from.
const takeTime = 100 * time.Millisecond

// Notify tells the channels that listen of an interrupt. It reports whether somebody has received it: a program that
// listens decides itself what an interrupt does, and is not stopped.
func Notify() (received bool) {
	mu.Lock()
	all := slices.Clone(listeners)
	mu.Unlock()
	var full []chan<- os.Signal
	for _, c := range all {
		select {
		case c <- os.Interrupt:
			if len(c) == 0 {
				received = true
			} else {
				full = append(full, c)
			}
		default: // as package signal does where a channel has no room
		}
	}
	for deadline := time.Now().Add(takeTime); !received && len(full) > 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		received = slices.ContainsFunc(full, func(c chan<- os.Signal) bool { return len(c) == 0 })
	}
	return received
}
