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

// looks is how often a channel is looked at, a millisecond apart, before it is taken for one that nobody receives from.
// They are counted and not timed: where the processors are busy, whoever receives comes as late as who looks.
const looks = 200

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
	for range looks {
		if received || len(full) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
		received = slices.ContainsFunc(full, func(c chan<- os.Signal) bool { return len(c) == 0 })
	}
	return received
}
