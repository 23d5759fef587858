package procs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin starts a shell that starts a sleeping process and tells its number.
func begin(t *testing.T, env ...string) (shell *exec.Cmd, sleeper int) {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("skipped: needs Linux, where the system tells of processes")
	}
	shell = exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	shell.Env = append(os.Environ(), env...)
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if sleeper, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(sleeper, syscall.SIGKILL)
		shell.Process.Kill()
		shell.Wait()
	})
	return shell, sleeper
}

// ends waits for the end of a process that is no child of this one.
func ends(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, ok := read(pid); !ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d goes on", pid)
		}
	}
}

func lives(t *testing.T, pid int) {
	t.Helper()
	if _, ok := read(pid); !ok {
		t.Errorf("process %d has ended", pid)
	}
}

func TestWhatCellsStartEnds(t *testing.T) {
	mark := Marked()
	shell, sleeper := begin(t, Mark+"="+mark)
	other, others := begin(t, Mark+"="+Marked())
	_, detached := begin(t, Mark+"="+mark, Detached+"="+mark)
	// It is found also when nobody is its parent any more.
	shell.Process.Kill()
	shell.Wait()
	End(mark)
	ends(t, sleeper)
	lives(t, other.Process.Pid)
	lives(t, detached)
	End(KernelOf(mark))
	ends(t, others)
	lives(t, detached)
}

func TestKeep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	mark := Marked()
	shell, sleeper := begin(t, Mark+"="+mark)
	if err := Keep(shell.Process.Pid); err != nil {
		t.Fatal(err)
	}
	End(mark)
	lives(t, shell.Process.Pid)
	lives(t, sleeper) // which it has started
	if err := Keep(1 << 30); err == nil {
		t.Error("a process that is not there is kept")
	}
}

func TestOrphansOfADeadKernelEnd(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Skip("skipped: needs the program true")
	}
	_, orphan := begin(t, fmt.Sprintf("%s=%d-x.cells1.", Mark, dead.Process.Pid))
	_, mine := begin(t, fmt.Sprintf("%s=%d-x.cells1.", Mark, os.Getpid()))
	EndOrphans()
	ends(t, orphan)
	lives(t, mine)
}

// A command that is cancelled ends at once, though what it has started holds its output open.
func TestCommandEndsWithAllThatItHasStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	command := Command(ctx, "sh", "-c", "sleep 1000 & echo $!; wait")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	command.Stdout = w
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	command.Wait()
	ends(t, sleeper)
}
