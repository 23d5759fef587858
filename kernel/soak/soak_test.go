// Package soak runs a kernel for long, and looks at what it leaves.
package soak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/kerneltest"
	"github.com/loupeml/loupe/kernel/wire"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// kernel is a loupe of its own, with a folder of its own for temporary files.
type kernel struct {
	*kerneltest.Client
	t      *testing.T
	cmd    *exec.Cmd
	temp   string
	stderr *safeBuffer
}

type safeBuffer struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func startKernel(t *testing.T, temp string) *kernel {
	t.Helper()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("skipped: needs /proc")
	}
	file, connection := kerneltest.ConnectionFile(t)
	k := &kernel{t: t, temp: temp, stderr: &safeBuffer{}}
	k.cmd = exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), "kernel", "-f", file)
	k.cmd.Env = append(os.Environ(), "TMPDIR="+temp, "GOTRACEBACK=all", "LOUPE_HISTORY="+
		filepath.Join(t.TempDir(), "history"))
	k.cmd.Stderr = k.stderr
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.cmd.Process.Kill(); k.cmd.Wait() })
	k.Client = kerneltest.Connect(t, connection)
	return k
}

// value runs a cell and returns its value.
func (k *kernel) value(code string) string {
	k.t.Helper()
	k.Execute(code)
	k.WantBusy()
	k.WantExecuteInput(code)
	var r wire.ExecuteResult
	k.WantPublished(&r)
	k.WantOK()
	k.WantIdle()
	return r.Data.Text("text/plain")
}

// lose kills the worker in the middle of a cell.
func (k *kernel) lose(worker int) {
	k.t.Helper()
	code := "fmt.Println(\"ready\")\ntime.Sleep(time.Minute)"
	k.Execute(code)
	k.WantBusy()
	k.WantExecuteInput(code)
	k.WantStdout("ready\n")
	syscall.Kill(worker, syscall.SIGKILL)
	k.WantError("WorkerLost")
	k.WantFailed(wire.StatusError)
	k.WantIdle()
}

func (k *kernel) resident() int {
	n := procfs.Bytes(fmt.Sprintf("/proc/%d/status", k.cmd.Process.Pid), "VmRSS:")
	if n == 0 {
		k.t.Fatal("the kernel's memory is not told")
	}
	return n
}

func (k *kernel) openFiles() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", k.cmd.Process.Pid))
	if err != nil {
		k.t.Fatal(err)
	}
	return len(entries)
}

func (k *kernel) children() []string {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", k.cmd.Process.Pid))
	var out []string
	for _, f := range files {
		text, _ := os.ReadFile(f)
		out = append(out, strings.Fields(string(text))...)
	}
	return out
}

// goroutines has the kernel tell of its goroutines, which ends it.
func (k *kernel) goroutines() int {
	k.cmd.Process.Signal(syscall.SIGQUIT)
	k.cmd.Wait()
	return strings.Count(k.stderr.String(), "\ngoroutine ")
}

func (k *kernel) left() []string {
	entries, err := os.ReadDir(k.temp)
	if err != nil {
		k.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// Many cells and lost workers leave nothing but the history: ten thousand and a hundred with LOUPE_HEAVY=1, 2,500 and
// 25 otherwise.
func TestSoak(t *testing.T) {
	rounds, cells, most := 25, 100, 8<<20
	if testenv.IsHeavy() {
		rounds, most = 100, 20<<20
	}
	k := startKernel(t, t.TempDir())
	var before, files int
	for round := range rounds {
		worker, err := strconv.Atoi(k.value("os.Getpid()"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range cells - 2 {
			switch {
			case i == 10: // one that is compiled
				if got := k.value(fmt.Sprintf("type pair[T any] struct{ a, b T }\nfmt.Sprint(pair[int]{%d, 1}.a)",
					round%5)); got != fmt.Sprintf("%q", fmt.Sprint(round%5)) {
					t.Fatalf("round %d: %s", round, got)
				}
			case i%10 == 5: // one that prints
				code := fmt.Sprintf("for i := 0; i < 100; i++ { fmt.Print(%d) }", i%10)
				k.Execute(code)
				k.WantBusy()
				k.WantExecuteInput(code)
				k.WantStdout(strings.Repeat("5", 100))
				k.WantOK()
				k.WantIdle()
			default:
				if got := k.value(fmt.Sprintf("%d * 2", i)); got != fmt.Sprint(2*i) {
					t.Fatalf("round %d: %s", round, got)
				}
			}
		}
		k.lose(worker)
		if round == 4 {
			before, files = k.resident(), k.openFiles()
		}
	}
	k.value("6*7")
	if grown := k.resident() - before; grown > most {
		t.Errorf("the kernel's process has grown by %d MB, from %d MB", grown>>20, before>>20)
	} else {
		t.Logf("the kernel's process has grown by %.1f MB, from %.1f MB", float64(grown)/1e6, float64(before)/1e6)
	}
	if now := k.openFiles(); now > files+2 {
		t.Errorf("%d files are open, %d were early on", now, files)
	}
	if c := k.children(); len(c) != 1 {
		t.Errorf("there are child processes %v", c)
	}
	if left := k.left(); len(left) > 1 {
		t.Errorf("in the folder for temporary files are %v", left)
	}
	fresh := startKernel(t, t.TempDir())
	fresh.value("6*7")
	k.Ended()
	fresh.Ended()
	if old, new := k.goroutines(), fresh.goroutines(); old > new+4 || new < 5 {
		t.Errorf("there are %d goroutines, and %d in a kernel that has just started", old, new)
	} else {
		t.Logf("%d goroutines, and %d in a kernel that has just started", old, new)
	}
	wantNothing(t, k)
	wantNothing(t, fresh)
}

// patience is how long a test waits for what has to come before it fails.
const patience = 10 * time.Minute

// wantNothing wants the folder for temporary files to become empty.
func wantNothing(t *testing.T, k *kernel) {
	t.Helper()
	for end := time.Now().Add(patience); len(k.left()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("left are %v", k.left())
			return
		}
	}
}

func TestNothingIsLeftInTheTemporaryFolder(t *testing.T) {
	use := func(k *kernel) (worker int) {
		worker, err := strconv.Atoi(k.value("%%go\nos.Getpid()"))
		if err != nil {
			t.Fatal(err)
		}
		if k.value(fmt.Sprintf("type fresh%d struct{}\nfresh%d{}", worker, worker)); len(k.left()) == 0 {
			t.Error("the compiler has no temporary folder of its own")
		}
		return worker
	}
	t.Run("after a shutdown", func(t *testing.T) {
		k := startKernel(t, t.TempDir())
		use(k)
		k.WantShutdown(false)
		k.cmd.Wait()
		wantNothing(t, k)
	})
	t.Run("after SIGTERM", func(t *testing.T) {
		k := startKernel(t, t.TempDir())
		use(k)
		k.Ended()
		k.cmd.Process.Signal(syscall.SIGTERM)
		k.cmd.Wait()
		wantNothing(t, k)
	})
	t.Run("after SIGKILL of the kernel", func(t *testing.T) {
		k := startKernel(t, t.TempDir())
		use(k)
		k.Ended()
		k.cmd.Process.Kill()
		k.cmd.Wait()
		wantNothing(t, k)
	})
	t.Run("after SIGKILL of both, at the next start", func(t *testing.T) {
		k := startKernel(t, t.TempDir())
		worker := use(k)
		k.Ended()
		// Neither is to clear up behind the other.
		k.cmd.Process.Signal(syscall.SIGSTOP)
		stopped(t, k.cmd.Process.Pid)
		syscall.Kill(worker, syscall.SIGKILL)
		k.cmd.Process.Kill()
		k.cmd.Wait()
		for end := time.Now().Add(patience); syscall.Kill(worker, 0) == nil && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if len(k.left()) == 0 {
			t.Fatal("nothing is left that the next kernel could remove")
		}
		next := startKernel(t, k.temp)
		next.value("6*7")
		next.WantShutdown(false)
		next.cmd.Wait()
		wantNothing(t, next)
	})
}

// stopped waits until a process has stopped.
func stopped(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || time.Now().After(end) {
			t.Fatalf("process %d does not stop: %s %v", pid, text, err)
		}
		if _, state, ok := strings.Cut(string(text), ") "); ok && strings.HasPrefix(state, "T") {
			return
		}
	}
}

// Nobody else can read what was typed, or connect from elsewhere.
func TestOnlyThisUser(t *testing.T) {
	k := startKernel(t, t.TempDir())
	k.value("6*7")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", k.cmd.Process.Pid))
	if err != nil {
		t.Skip("skipped: needs /proc")
	}
	mine := map[string]bool{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", k.cmd.Process.Pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "socket:[") {
			mine[strings.Trim(to[len("socket:"):], "[]")] = true
		}
	}
	listening := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" || !mine[f[9]] {
			continue
		}
		listening++
		if !strings.HasPrefix(f[1], "0100007F:") {
			t.Errorf("it listens on %s", f[1])
		}
	}
	if listening != 5 {
		t.Errorf("it listens on %d ports", listening)
	}
	var history string
	for _, v := range k.cmd.Env {
		if rest, ok := strings.CutPrefix(v, "LOUPE_HISTORY="); ok {
			history = rest
		}
	}
	if info, err := os.Stat(history); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the history: %v, %v", info.Mode(), err)
	}
}
