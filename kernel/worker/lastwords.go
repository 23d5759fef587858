package worker

import "strings"

// lastWords listens to standard error for the line in which Go's runtime says why it ends the process.
type lastWords struct {
	reason string
	line   string // a line of which the end has not come yet; cut, since only its start tells
	after  int    // how many lines have come since the reason
}

// A report's first lines say one thing in several ways ("unexpected fault address", "fatal error: fault", "[signal
// SIGSEGV…"), of which the first says most. What comes further below it is another report: a cell may have printed the
// earlier one and gone on.
const sameReport = 8

// unexpected is the one first line that says less than the signal below it.
const unexpected = "fatal error: unexpected signal during runtime execution"

// hear takes what has come, which may end within a line: the runtime writes a report in small pieces.
func (w *lastWords) hear(text string) {
	for {
		line, rest, whole := strings.Cut(text, "\n")
		w.line += line[:min(len(line), max(0, 1024-len(w.line)))]
		if !whole {
			return
		}
		w.heard(w.line)
		w.line, text = "", rest
	}
}

func (w *lastWords) heard(line string) {
	w.after++
	for _, start := range []string{"panic: ", "fatal error: ", "runtime: goroutine stack exceeds",
		"unexpected fault address", "SIG", "[signal SIG"} {
		if strings.HasPrefix(line, start) && (w.reason == "" || w.reason == unexpected || w.after > sameReport) {
			w.reason, w.after = strings.Trim(line, "[] \t\r"), 0
		}
	}
}
