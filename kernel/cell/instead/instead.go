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
