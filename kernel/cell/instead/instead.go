// Package instead holds what cells call in place of a few functions of the standard library, which in a
// notebook have to be another thing than in a program.
package instead

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
)

// Sleep is time.Sleep, which an interrupt ends.
func Sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-cell.Interrupted():
		runtime.Goexit()
	}
}

// Exit is os.Exit: no statement of the cell runs any more, deferred ones neither, but the process stays.
func Exit(status int) {
	if !cell.Exit(status) {
		os.Exit(status)
	}
	select {} // as os.Exit, it does not return
}

// Fatal is log.Fatal.
func Fatal(v ...any) {
	log.Print(v...)
	Exit(1)
}

// Fatalf is log.Fatalf.
func Fatalf(format string, v ...any) {
	log.Printf(format, v...)
	Exit(1)
}

// Fatalln is log.Fatalln.
func Fatalln(v ...any) {
	log.Println(v...)
	Exit(1)
}

// Stdin is what cells read as their standard input; the process sets it to what asks the person.
var Stdin io.Reader = os.Stdin

// StdinFile is os.Stdin as a file. The kernel has none to give: what reads it as one finds its end at once, and is
// told.
func StdinFile() *os.File {
	if file, err := os.Stdin.Stat(); err == nil {
		if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(file, null) {
			fmt.Fprintln(Stderr,
				"loupe: as a file, os.Stdin is empty in a cell; as an io.Reader it asks you: io.Reader(os.Stdin)")
		}
	}
	return os.Stdin
}

// Scan is fmt.Scan.
func Scan(a ...any) (int, error) { return fmt.Fscan(Stdin, a...) }

// Scanln is fmt.Scanln.
func Scanln(a ...any) (int, error) { return fmt.Fscanln(Stdin, a...) }

// Scanf is fmt.Scanf.
func Scanf(format string, a ...any) (int, error) { return fmt.Fscanf(Stdin, format, a...) }

// Text takes what the calling goroutine's cell prints where it is not the last one, and says whether it has. The
// process sets it.
var Text func(stderr bool, p []byte) bool

// Settle waits until all that has been printed is passed on. The process sets it.
var Settle func()

// Stream is standard output or standard error, parted among the cells, and in the order in which it is written.
type Stream struct{ stderr bool }

// Stdout and Stderr are where what cells print goes.
var (
	Stdout = Stream{}
	Stderr = Stream{stderr: true}
)

var (
	writing sync.Mutex // held while a stream is written to
	written [2]bool    // which streams have been written to since the last Settle
)

// begin waits, where the other stream has been written to, until that is passed on. The caller holds writing.
func (s Stream) begin() {
	this, other := 0, 1
	if s.stderr {
		this, other = 1, 0
	}
	if written[other] && Settle != nil {
		Settle()
		written = [2]bool{}
	}
	written[this] = true
}

func (s Stream) Write(p []byte) (int, error) {
	if Text != nil && Text(s.stderr, p) {
		return len(p), nil
	}
	writing.Lock()
	defer writing.Unlock()
	s.begin()
	if s.stderr {
		return os.Stderr.Write(p)
	}
	return os.Stdout.Write(p)
}

// WriteString is [os.File.WriteString].
func (s Stream) WriteString(text string) (int, error) { return s.Write([]byte(text)) }

// ToStderr prepares for what is written to standard error past [Stderr].
func ToStderr() {
	writing.Lock()
	defer writing.Unlock()
	Stderr.begin()
}

// Print is fmt.Print.
func Print(a ...any) (int, error) { return fmt.Fprint(Stdout, a...) }

// Println is fmt.Println.
func Println(a ...any) (int, error) { return fmt.Fprintln(Stdout, a...) }

// Printf is fmt.Printf.
func Printf(format string, a ...any) (int, error) { return fmt.Fprintf(Stdout, format, a...) }
