// Package procs finds and ends the processes that cells have started, which are not to outlive the kernel.
//
// Whatever a cell starts inherits a variable of the environment that names the kernel, and keeps it when the process
// that started it has ended. So it is found again whoever its parent is by then. This needs Linux; elsewhere nothing is
// found.
package procs

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loupeml/loupe/internal/scratch"
)

const (
	// Mark is the variable that says whose cells have started a process.
	Mark = "LOUPE_CELLS"
	// Detached is the variable by which a process, and what it starts, outlives the kernel. Its value is that of Mark.
	Detached = "LOUPE_DETACHED"
)

var (
	kernel = strconv.Itoa(os.Getpid()) + "-" + rand.Text()[:12]
	marks  atomic.Int64
)

// Marked returns another value of [Mark], for a process that this one starts and that runs cells.
func Marked() string { return fmt.Sprintf("%s.%d.", kernel, marks.Add(1)) }

// KernelOf returns the part of a mark by which [End] finds all that a kernel's cells have started.
func KernelOf(mark string) string {
	of, _, _ := strings.Cut(mark, ".")
	return of + "."
}

// process is what the system tells of one.
type process struct {
	pid, parent, group int
	began              string // ticks since the system has started
	mark               string
	detached           bool
}

// all returns the user's processes within this one's namespace.
func all() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	here, _ := os.Readlink("/proc/self/ns/pid")
	var out []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, ok := read(pid)
		if !ok {
			continue
		}
		if p.mark != "" {
			// Numbers in other namespaces mean other processes.
			if there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err != nil || there != here {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// read returns a process, where it is one of this user's that has not ended.
func read(pid int) (p process, ok bool) {
	p.pid = pid
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	// The name in brackets may hold anything.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 20 || strings.ContainsAny(f[0], "ZX") {
		return p, false
	}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.began = f[19]
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return p, false
	}
	detached := ""
	for line := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(line, []byte(Mark+"=")); ok {
			p.mark = string(value)
		} else if value, ok := bytes.CutPrefix(line, []byte(Detached+"=")); ok {
			detached = string(value)
		}
	}
	p.detached = p.mark != "" && detached == p.mark
	return p, true
}

// patience is how long processes have to end by themselves.
const patience = 500 * time.Millisecond

// End ends the processes whose mark begins with a text, but those that were detached, and this one.
func End(mark string) {
	if mark != "" {
		end(func(p process) bool { return strings.HasPrefix(p.mark, mark) })
	}
}

// EndOrphans ends what is left of kernels that are no more, with all their own processes.
func EndOrphans() {
	end(func(p process) bool {
		number, _, ok := strings.Cut(p.mark, "-")
		pid, err := strconv.Atoi(number)
		return ok && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH
	})
}

// end ends processes of a kind: it asks them first.
func end(which func(process) bool) {
	chosen := func() (out []process) {
		processes := all()
		kept := keptAmong(processes)
		for _, p := range processes {
			if p.pid != os.Getpid() && p.mark != "" && !p.detached && !kept[p.pid] && which(p) {
				out = append(out, p)
			}
		}
		return out
	}
	asked := map[int]bool{}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left := chosen()
		late := time.Now().After(deadline)
		for _, p := range left {
			switch {
			case late:
				syscall.Kill(p.pid, syscall.SIGKILL)
			case !asked[p.pid]:
				asked[p.pid] = true
				syscall.Kill(p.pid, syscall.SIGTERM)
				syscall.Kill(p.pid, syscall.SIGCONT)
			}
		}
		if late || len(left) == 0 {
			return
		}
	}
}

// Keep lets a process, and what it starts, outlive the kernel.
func Keep(pid int) error {
	p, ok := read(pid)
	if !ok {
		return fmt.Errorf("there is no process %d of yours", pid)
	}
	dir, err := scratch.Kept("detached")
	if err != nil {
		return err
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries { // those that have ended since
		if old, err := strconv.Atoi(e.Name()); err == nil && syscall.Kill(old, 0) == syscall.ESRCH {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return os.WriteFile(filepath.Join(dir, strconv.Itoa(pid)), []byte(p.began), 0o600)
}

// keptAmong returns those that [Keep] has named, and what they have started.
func keptAmong(processes []process) map[int]bool {
	kept := map[int]bool{}
	dir, ok := scratch.WasKept("detached")
	if !ok {
		return kept
	}
	for _, p := range processes {
		// A number is given to another process in time.
		if began, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(p.pid))); err == nil && string(began) == p.began {
			kept[p.pid] = true
		}
	}
	for grown := len(kept) > 0; grown; {
		grown = false
		for _, p := range processes {
			if kept[p.parent] && !kept[p.pid] {
				kept[p.pid], grown = true, true
			}
		}
	}
	return kept
}

// ticks is how many the system counts in a second.
const ticks = 100

// Foreground returns the processes that this one has started in its own group since a time, as a terminal's interrupt
// would reach them. The time is that of [Now].
func Foreground(since time.Duration) []int {
	var out []int
	group := syscall.Getpgrp()
	for _, p := range all() {
		began, err := strconv.ParseInt(p.began, 10, 64)
		if err == nil && p.parent == os.Getpid() && p.group == group && !p.detached &&
			began >= int64(since*ticks/time.Second) {
			out = append(out, p.pid)
		}
	}
	slices.Sort(out)
	return out
}
