package child

import (
	"bufio"
	"maps"
	"reflect"
	"runtime"
	"time"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/lib/interrupt"
)

// forCells returns the tables with what has to be another thing in a cell than in a program: time.Sleep,
// which an interrupt ends, and os.Stdin, which asks the person.
func forCells(symbols []interp.Exports, stdin *bufio.Reader) []interp.Exports {
	out := make([]interp.Exports, len(symbols))
	for i, tables := range symbols {
		tables = maps.Clone(tables)
		for key, name := range map[string]string{"time/time": "Sleep", "os/os": "Stdin"} {
			if tables[key] == nil {
				continue
			}
			tables[key] = maps.Clone(tables[key])
			if name == "Sleep" {
				tables[key][name] = reflect.ValueOf(sleep)
			} else {
				tables[key][name] = reflect.ValueOf(&stdin).Elem()
			}
		}
		out[i] = tables
	}
	return out
}

// sleep is time.Sleep for cells. At an interrupt it does not return, since the statements behind it would
// then run until the interpreter notices: it ends the goroutine, deferred calls included.
func sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-interrupt.Context().Done():
		runtime.Goexit()
	}
}
