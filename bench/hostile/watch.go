package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/lib/assets"
)

// What a file may take. The clock's limit is wide, for the machine may have other work.
const (
	mostProcessor = 5 * time.Second
	mostClock     = 60 * time.Second
	mostBytes     = 1 << 30
	killBytes     = 4 << 30 // before the machine has no memory left
	perChild      = 250     // files, for compiled programs stay in a process
)

// watcher has a child process that opens files.
type watcher struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan string
	errors *tail
	opened int
	cache  string
}

// tail keeps the last of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if len(t.text) > 1<<16 {
		t.text = append([]byte(nil), t.text[len(t.text)-1<<15:]...)
	}
	return len(p), nil
}

func (w *watcher) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	plugins, err := assets.Path("xla-cpu")
	if err != nil {
		return err
	}
	if w.cache == "" {
		if w.cache, err = os.MkdirTemp("", "hostile-cache"); err != nil {
			return err
		}
	}
	w.cmd, w.errors, w.opened = exec.Command(self, "-child"), &tail{}, 0
	// A cache of its own: what hostile files compile to is of no use to anybody.
	w.cmd.Env = append(os.Environ(), "LOUPE_CACHE="+w.cache, "PJRT_PLUGIN_LIBRARY_PATH="+plugins,
		"LOUPE_COMPILE_CACHE=200MB", "GOMEMLIMIT=2GiB")
	w.cmd.Stderr = w.errors
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.cmd.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	w.lines = lines
	go func() {
		defer close(lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return nil
}

// end ends the child, which may hang.
func (w *watcher) end() {
	if w.cmd == nil {
		return
	}
	w.in.Close()
	w.cmd.Process.Kill() // it may be gone
	for range w.lines {
	}
	w.cmd.Wait() // it was killed, or died
	w.cmd = nil
}

func (w *watcher) stop() {
	w.end()
	if w.cache != "" {
		os.RemoveAll(w.cache)
	}
}

// open has the child open a folder, and says what became of it.
func (w *watcher) open(kind, dir string) (answer, error) {
	if w.cmd != nil && w.opened >= perChild {
		w.end()
	}
	if w.cmd == nil {
		if err := w.start(); err != nil {
			return answer{}, err
		}
	}
	w.opened++
	proc := filepath.Join("/proc", strconv.Itoa(w.cmd.Process.Pid))
	os.WriteFile(filepath.Join(proc, "clear_refs"), []byte("5"), 0) // the peak begins anew; without it, it is too high
	before, used, begun := procfs.Bytes(proc+"/status", "VmRSS:"), processor(proc), time.Now()
	line, err := json.Marshal(request{kind, dir})
	if err != nil {
		return answer{}, err
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return answer{}, err
	}
	late := func(outcome, why string) (answer, error) {
		a := answer{Outcome: outcome, Message: why, Seconds: time.Since(begun).Seconds(),
			Bytes: int64(procfs.Bytes(proc+"/status", "VmHWM:") - before)}
		w.end()
		a.Message += "\n" + string(w.errors.text)
		return a, nil
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case said, ok := <-w.lines:
			if !ok {
				w.cmd.Wait()
				return late("death", fmt.Sprint(w.cmd.ProcessState))
			}
			a, err := decodeAnswer([]byte(said))
			if err != nil {
				return a, err
			}
			a.Bytes = max(a.Bytes, int64(procfs.Bytes(proc+"/status", "VmHWM:")-before))
			switch spent := processor(proc) - used; {
			case a.Outcome != "good" && a.Outcome != "refused":
			case a.Bytes > mostBytes:
				a.Outcome = "memory"
			case spent > mostProcessor:
				a.Outcome, a.Message = "hang", fmt.Sprintf("%.1f s of the processor: %s", spent.Seconds(), a.Message)
			}
			return a, nil
		case <-tick.C:
			grown := procfs.Bytes(proc+"/status", "VmRSS:") - before
			switch spent := processor(proc) - used; {
			case grown > killBytes:
				return late("memory", "it was ended")
			case spent > 4*mostProcessor, time.Since(begun) > mostClock:
				return late("hang", "it was ended")
			}
		}
	}
}

// processor is the time that a process has had of processors.
func processor(proc string) time.Duration {
	text, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	ticks := 0
	for _, f := range fields[11:13] { // of the process and of the system for it, in hundredths of a second
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
