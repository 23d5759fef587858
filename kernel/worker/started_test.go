package worker

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/procfs"
)

// sleeper is a cell that starts a process by itself, and one by a shell that goes on when the shell has ended. It
// prints their numbers.
const sleeper = `import "os/exec"
command := exec.Command("sleep", "1000")
err := command.Start()
orphan, err := exec.Command("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").Output()
fmt.Println(command.Process.Pid, strings.TrimSpace(string(orphan)))`

// startedBy runs the cell that starts processes and returns their numbers.
func startedBy(t *testing.T, w *Worker, source string) (pids []int) {
	t.Helper()
	r, out := eval(t, w, source)
	if r.Failure != nil {
		t.Fatal(value(r))
	}
	for _, word := range strings.Fields(strings.TrimPrefix(out, "stdout:")) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("it prints %q", out)
		}
		pids = append(pids, pid)
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	}
	if len(pids) == 0 {
		t.Fatalf("it prints %q", out)
	}
	return pids
}

// gone waits for the end of processes.
func gone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		for deadline := time.Now().Add(hangs); !procfs.Leaving(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d goes on", pid)
			}
		}
	}
}

func onLinux(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("skipped: needs Linux, where the system tells of processes")
	}
}

// What cells have started ends with their session, however that ends.
func TestProcessesOfCellsEndWithThem(t *testing.T) {
	onLinux(t)
	for name, end := range map[string]func(w *Worker){
		"close":   func(w *Worker) { w.Close() },
		"restart": func(w *Worker) { w.Restart() },
		"crash":   func(w *Worker) { syscall.Kill(w.Pid(), syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t)
			pids := startedBy(t, w, sleeper)
			end(w)
			gone(t, pids...)
		})
	}
}

func TestDetach(t *testing.T) {
	onLinux(t)
	t.Setenv("TMPDIR", t.TempDir())
	w := newWorker(t)
	pids := startedBy(t, w, sleeper)
	if r, _ := eval(t, w, fmt.Sprintf("%%detach %d", pids[0])); r.Failure != nil {
		t.Fatal(value(r))
	}
	file := filepath.Join(t.TempDir(), "pid")
	r, _ := eval(t, w, "%detach sh -c 'echo $$ > "+file+".new; mv "+file+".new "+file+"; sleep 1000'")
	if r.Failure != nil || !strings.Contains(value(r), "goes on when the kernel ends") {
		t.Fatal(value(r))
	}
	var detached int
	for deadline := time.Now().Add(hangs); detached == 0; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil {
			detached, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { syscall.Kill(-detached, syscall.SIGKILL) })
	w.Close()
	gone(t, pids[1])
	for _, pid := range []int{pids[0], detached} {
		if procfs.Leaving(pid) {
			t.Errorf("process %d has ended", pid)
		}
	}
	if r, _ := eval(t, newWorker(t), "%detach"); r.Failure == nil ||
		!strings.Contains(r.Failure.Message, "needs a command") {
		t.Errorf("%+v", r)
	}
}

// A Stop ends the program that the cell waits for, as a terminal's interrupt would.
func TestStopEndsTheProgramThatTheCellWaitsFor(t *testing.T) {
	onLinux(t)
	w := newWorker(t)
	file := filepath.Join(t.TempDir(), "pid")
	c := begin(t, w, fmt.Sprintf(`import "os/exec"
command := exec.Command("sleep", "1000")
err := command.Start()
os.WriteFile(%q, []byte(strconv.Itoa(command.Process.Pid)), 0o600)
fmt.Println("begun")
command.Wait()`, file))
	c.wait("begun")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	c.stop()
	c.interrupted()
	gone(t, pid)
}

// A Stop ends a transfer that the standard library is in the middle of, and what it has begun.
func TestStopEndsATransfer(t *testing.T) {
	onLinux(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			closed <- err
			return
		}
		defer conn.Close()
		for err == nil { // as fast as the other side reads
			_, err = conn.Write(make([]byte, 1<<16))
		}
		closed <- err
	}()
	w := newWorker(t)
	c := begin(t, w,
		fmt.Sprintf("conn, err := net.Dial(\"tcp\", %q)\nfmt.Println(\"begun\")\nn, err := io.Copy(io.Discard, conn)",
			l.Addr()))
	c.wait("begun")
	c.stop()
	c.interrupted()
	select {
	case <-closed:
	case <-time.After(hangs):
		t.Error("the connection is read on after the Stop")
	}
	// A connection of an earlier cell stays.
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Write([]byte("hello"))
			<-t.Context().Done()
			conn.Close()
		}
	}()
	if r, _ := eval(t, w, fmt.Sprintf("kept, err := net.Dial(\"tcp\", %q)", l.Addr())); r.Failure != nil {
		t.Fatal(value(r))
	}
	c = begin(t, w, "fmt.Println(\"begun\", len(os.Args))\nselect {}")
	c.wait("begun")
	c.stop()
	c.interrupted()
	if r, _ := eval(t, w, "b := make([]byte, 5)\nio.ReadFull(kept, b)\nstring(b)"); value(r) != `"hello"` {
		t.Errorf("the connection of an earlier cell: %s", value(r))
	}
}

// A cell that listens for the interrupt gets it, and decides what it does; a second Stop stops it.
func TestACellHearsTheInterrupt(t *testing.T) {
	w := newWorker(t)
	c := begin(t, w, "c := make(chan os.Signal, 1)\nsignal.Notify(c, "+
		"os.Interrupt)\nfmt.Println(\"begun\")\nfmt.Println(\"got\", <-c)\nsignal.Stop(c)")
	c.wait("begun")
	c.stop()
	if r := c.end(); r.Failure != nil || !strings.Contains(c.out.String(), "got interrupt") {
		t.Fatalf("%+v, it shows %q", r.Failure, c.out)
	}
	c = begin(t, w, "ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)\ndefer "+
		"stop()\nfmt.Println(\"begun\")\n<-ctx.Done()\nfmt.Println(\"done\", context.Cause(ctx) != nil)")
	c.wait("begun")
	c.stop()
	if r := c.end(); r.Failure != nil || !strings.Contains(c.out.String(), "done true") {
		t.Fatalf("%+v, it shows %q", r.Failure, c.out)
	}
	// It goes on, and nothing is lost.
	eval(t, w, "precious := 42")
	c = begin(t, w, "d := make(chan os.Signal, 1)\nsignal.Notify(d)\nfmt.Println(\"begun\")\nfmt.Println(\"got\", "+
		"<-d)\nfor { time.Sleep(time.Millisecond) }")
	c.wait("begun")
	c.stop()
	c.wait("A second Stop stops it")
	c.runs()
	if r := c.insist(w); r.Failure == nil || r.Failure.Name != "Interrupted" || r.Lost {
		t.Fatalf("%+v", r)
	}
	// A channel from which nobody receives any more hinders no Stop.
	c = begin(t, w, "fmt.Println(\"begun\")\nfor { time.Sleep(time.Millisecond) }")
	c.wait("begun")
	c.stop()
	c.interrupted()
	if r, _ := eval(t, w, "precious"); value(r) != "42" {
		t.Errorf("precious is %s", value(r))
	}
}
