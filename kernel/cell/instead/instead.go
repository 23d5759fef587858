// Package instead holds what cells call in place of a few functions of the standard library, which in a
// notebook have to be another thing than in a program.
package instead

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
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

// Scan is fmt.Scan.
func Scan(a ...any) (int, error) { return fmt.Fscan(Stdin, a...) }

// Scanln is fmt.Scanln.
func Scanln(a ...any) (int, error) { return fmt.Fscanln(Stdin, a...) }

// Scanf is fmt.Scanf.
func Scanf(format string, a ...any) (int, error) { return fmt.Fscanf(Stdin, format, a...) }

// Text takes what the calling goroutine's cell prints where several cells run, and says whether it has. The process
// sets it.
var Text func(p []byte) bool

// stdout is standard output, parted among the cells that run.
type stdout struct{}

func (stdout) Write(p []byte) (int, error) {
	if Text != nil && Text(p) {
		return len(p), nil
	}
	return os.Stdout.Write(p)
}

// Stdout is where what cells print goes.
var Stdout io.Writer = stdout{}

// Print is fmt.Print.
func Print(a ...any) (int, error) { return fmt.Fprint(Stdout, a...) }

// Println is fmt.Println.
func Println(a ...any) (int, error) { return fmt.Fprintln(Stdout, a...) }

// Printf is fmt.Printf.
func Printf(format string, a ...any) (int, error) { return fmt.Fprintf(Stdout, format, a...) }
