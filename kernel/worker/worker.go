// Package worker runs cells in a child process, so that whatever a cell does to its process, the kernel
// stays. It links nothing of what runs in there.
package worker

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/xlaplugin"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/worker/protocol"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// Grace is how long an interrupted cell may take to stop before the person is told that it does not.
const Grace = 2 * time.Second

// Options configures a [Worker]. The zero value is what the kernel uses.
type Options struct {
	// Path is the loupe-worker binary; empty looks in LOUPE_WORKER, beside the running program and in PATH.
	Path string
	// MustBeLeft is how many bytes of memory the cells' process may not take from the system: it is ended before. 0
	// means 1 GiB.
	MustBeLeft int
	// Dir is the working directory of the cells; empty means the current one.
	Dir string
	// Stdin is the standard input that the cells' process has as a file; nil means none. Either way, what cells read of
	// os.Stdin as an io.Reader is asked for.
	Stdin *os.File
}

// Worker evaluates cells in a child process and starts another when that one is lost. It implements engine.Engine,
// engine.Concurrent, engine.CommHandler, engine.BackgroundStopper, engine.Insister, engine.Completer, engine.Inspector
// and engine.Restarter.
type Worker struct {
	options Options
	path    string

	mu     sync.Mutex // guards the fields below and the processes' names
	proc   *process   // nil when there is none
	nextID int
	closed bool
	unsaid string // how a process ended between cells, which the next cell's output tells
	// insisting are where the running cells hear of a second Stop, by request.
	insisting map[int]chan struct{}
}

// New finds the worker binary and starts the process.
func New(options Options) (*Worker, error) {
	path, err := Find(options.Path)
	if err != nil {
		return nil, err
	}
	go func() { // what was left by kernels that were killed
		scratch.Clean()
		procs.EndOrphans()
	}()
	w := &Worker{options: options, path: path, insisting: map[int]chan struct{}{}}
	_, err = w.process()
	return w, err
}

// Find returns the loupe-worker binary: path, where that is not empty, then LOUPE_WORKER, beside the running program,
// in PATH.
func Find(path string) (string, error) {
	if path == "" {
		path = os.Getenv("LOUPE_WORKER")
	}
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("worker: %w; ./install.sh builds loupe-worker", err)
		}
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), "loupe-worker")
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
	}
	if path, err := exec.LookPath("loupe-worker"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf(
		"worker: loupe-worker is neither beside loupe nor in PATH: ./install.sh builds it, or name it in LOUPE_WORKER")
}

// Path returns the worker binary.
func (w *Worker) Path() string { return w.path }

// Pid returns the process number of the child, 0 when there is none.
func (w *Worker) Pid() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc == nil {
		return 0
	}
	return w.proc.cmd.Process.Pid
}

// process returns the running child, and starts one if there is none.
func (w *Worker) process() (*process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("worker: closed")
	}
	if w.proc != nil && !w.proc.gone() {
		return w.proc, nil
	}
	if w.proc != nil && len(w.proc.names) > 0 {
		w.unsaid = fmt.Sprintf(
			"worker: the process of the cells ended between cells (%s); %s; a new process has been started\n", w.proc.state,
			losing(w.proc.names))
		w.proc = nil
	}
	p, err := start(w.path, w.options, procs.Marked())
	if err != nil {
		return nil, err
	}
	w.proc = p
	return p, nil
}

// define notes what the process's cells have defined.
func (w *Worker) define(p *process, names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.names = names
}

// names returns what the process's cells have defined.
func (w *Worker) names(p *process) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.names
}

// tell says what has happened between cells.
func (w *Worker) tell(out engine.Output) {
	w.mu.Lock()
	text := w.unsaid
	w.unsaid = ""
	w.mu.Unlock()
	if text != "" {
		out.Text(engine.Stderr, text)
	}
}

func (w *Worker) id() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextID++
	return w.nextID
}

// Eval runs a cell. A cell that takes the process with it, or whose process [Worker.Insist] ends, costs what was
// defined; the failure says so, and the next cell has a new process.
func (w *Worker) Eval(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Result, error) {
	p, err := w.process()
	if err != nil {
		return engine.Result{}, err
	}
	w.tell(out)
	return w.follow(ctx, p, protocol.Request{Op: protocol.Eval, Cell: cell}, out), nil
}

// Concurrent says that several cells may run at a time.
func (w *Worker) Concurrent() bool { return true }

// Comm passes a message on to the cells' comms.
func (w *Worker) Comm(ctx context.Context, m comm.Message, out engine.Output) (*engine.Failure, error) {
	p, err := w.process()
	if err != nil {
		return nil, err
	}
	return w.follow(ctx, p, protocol.Request{Op: protocol.Comm, Comm: m}, out).Failure, nil
}

// StopBackground ends the goroutines that earlier cells have left behind.
func (w *Worker) StopBackground() {
	w.mu.Lock()
	p := w.proc
	w.mu.Unlock()
	if p != nil {
		p.send(protocol.Request{Op: protocol.Stop})
	}
}

// follow has the process run something of the cells', and waits for its end, whatever that is.
func (w *Worker) follow(ctx context.Context, p *process, r protocol.Request, out engine.Output) engine.Result {
	id := w.id()
	r.ID = id
	cell := p.begin(ctx, id, out, r.Cell.Silent)
	defer p.end(id)
	insist := w.heedInsisting(id)
	defer w.ignoreInsisting(id)
	// Whatever goes wrong with sending shows as the process being gone.
	p.send(r)
	cancelled := ctx.Done()
	stop := stopping{out: out, names: w.names(p)}
	short := "" // why the process was ended, where it took too much memory
	memory := time.NewTicker(watchEvery)
	defer memory.Stop()
	for {
		select {
		case m := <-cell.answer:
			w.define(p, m.Names)
			return m.Result
		case <-cancelled:
			cancelled = nil
			p.send(protocol.Request{ID: id, Op: protocol.Interrupt})
			stop.begin()
		case <-cell.heard:
			stop.heard()
		case what := <-cell.busy:
			stop.waitsFor(what)
		case <-stop.patience:
			stop.outOfPatience()
		case <-insist:
			if stop.taken {
				p.send(protocol.Request{ID: id, Op: protocol.Interrupt, Again: true})
				stop.begin()
			} else if stop.mayEnd() {
				stop.forced = true
				p.forced.Store(true)
				p.kill()
			}
		case <-memory.C:
			if short == "" {
				if short = tooMuch(p.cmd.Process.Pid, cmp.Or(w.options.MustBeLeft, mustBeLeft)); short != "" {
					p.kill()
				}
			}
		case <-p.ended:
			select {
			case m := <-cell.answer: // it answered, and then ended
				w.define(p, m.Names)
				return m.Result
			default:
			}
			f := p.lost(stop.forced, short)
			w.define(p, nil) // this failure tells what was lost
			w.process()      // start the next one now; a failure shows with the next cell
			return engine.Result{Failure: f, Lost: true}
		}
	}
}

// Complete asks the child for completions; while a cell runs there are none.
func (w *Worker) Complete(ctx context.Context, source string, cursor int) ([]engine.Match, int, int, error) {
	m, err := w.ask(ctx, protocol.Request{Op: protocol.Complete, Source: source, Cursor: cursor})
	return m.Matches, m.Start, m.End, err
}

// Inspect asks the child about the name at the cursor; while a cell runs it knows nothing.
func (w *Worker) Inspect(ctx context.Context, source string, cursor, detail int) (mime.Bundle, bool, error) {
	m, err := w.ask(ctx, protocol.Request{Op: protocol.Inspect, Source: source, Cursor: cursor, Detail: detail})
	return m.Bundle, m.Found, err
}

// Convert writes the cells of a notebook as a program, and runs nothing. The failure says what cannot be converted.
func (w *Worker) Convert(ctx context.Context, cells []string) (program string, failure *engine.Failure, err error) {
	m, err := w.ask(ctx, protocol.Request{Op: protocol.Convert, Cells: cells})
	return m.Text, m.Result.Failure, err
}

// IsComplete asks the child, which answers from the text alone, also while a cell runs.
func (w *Worker) IsComplete(source string) (engine.Completeness, string) {
	ctx, cancel := context.WithTimeout(context.Background(), Grace)
	defer cancel()
	m, err := w.ask(ctx, protocol.Request{Op: protocol.IsComplete, Source: source})
	if err != nil {
		return engine.Unknown, ""
	}
	return m.Completeness, m.Indent
}

func (w *Worker) ask(ctx context.Context, r protocol.Request) (protocol.Message, error) {
	p, err := w.process()
	if err != nil {
		return protocol.Message{}, err
	}
	r.ID = w.id()
	answer := p.expect(r.ID)
	p.send(r)
	select {
	case m := <-answer:
		return m, nil
	case <-p.ended:
		return protocol.Message{}, errors.New("worker: the worker process ended")
	case <-ctx.Done():
		return protocol.Message{}, ctx.Err()
	}
}

// Restart forgets everything by starting a new process.
func (w *Worker) Restart() error {
	w.mu.Lock()
	p := w.proc
	w.proc, w.unsaid = nil, ""
	w.mu.Unlock()
	if p != nil {
		p.close()
	}
	_, err := w.process()
	return err
}

// Close closes the request pipe, which tells the child to leave, and ends it if it does not.
// Text already written is still delivered.
func (w *Worker) Close() error {
	w.mu.Lock()
	p := w.proc
	w.proc, w.closed = nil, true
	w.mu.Unlock()
	if p != nil {
		p.close()
	}
	return nil
}

// process is one child.
type process struct {
	cmd      *exec.Cmd
	requests *os.File
	ended    chan struct{} // closed when the process is gone and all it wrote is delivered

	sending sync.Mutex // guards encoder
	encoder *gob.Encoder

	mu      sync.Mutex // guards the fields below
	begun   []*asked   // what has been asked to run and may show something, the oldest first
	waiting map[int]chan protocol.Message

	// deliver is held while output is read and passed on, so that it arrives in order.
	deliver sync.Mutex
	stdout  *pipe
	stderr  *pipe
	tail    []byte    // the last of standard error; guarded by deliver
	words   lastWords // what standard error said last of why the process ends; guarded by deliver

	names  []string // what is defined; guarded by the worker's mu
	state  *os.ProcessState
	broken atomic.Bool // the process said nothing that could be understood any more while it ran on
	forced atomic.Bool // a second Stop has ended it
}

// pipeSize is how much a pipe holds.
const pipeSize = 64 << 10

// pipe is one of the child's output streams.
type pipe struct {
	file   *os.File
	stream engine.Stream
	buffer [pipeSize]byte
	cut    []byte // the start of a character whose rest has not been read yet
}

// start starts a process. mark is by what those are found that its cells start.
func start(path string, options Options, mark string) (*process, error) {
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	newPipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	requestR, requestW, err1 := newPipe()
	replyR, replyW, err2 := newPipe()
	stdoutR, stdoutW, err3 := newPipe()
	stderrR, stderrW, err4 := newPipe()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		closeAll()
		return nil, fmt.Errorf("worker: %w", err)
	}
	cmd := exec.Command(path)
	cmd.Dir = options.Dir
	if options.Stdin != nil {
		cmd.Stdin = options.Stdin
	}
	cmd.Env = append(append(os.Environ(), xlaplugin.Environment()...), procs.Mark+"="+mark)
	cmd.Stdout, cmd.Stderr = stdoutW, stderrW
	cmd.ExtraFiles = []*os.File{requestR, replyW}
	// The terminal's interrupt does not reach the child: interrupts come by request. The child
	// leaves when the request pipe closes, and so with a parent that was killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		closeAll()
		return nil, fmt.Errorf("worker: %w", err)
	}
	for _, f := range []*os.File{requestR, replyW, stdoutW, stderrW} {
		f.Close()
	}
	p := &process{
		cmd: cmd, requests: requestW, encoder: gob.NewEncoder(requestW),
		ended: make(chan struct{}), waiting: map[int]chan protocol.Message{},
		stdout: &pipe{file: stdoutR, stream: engine.Stdout},
		stderr: &pipe{file: stderrR, stream: engine.Stderr},
	}
	ready := make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() { p.readMessages(replyR, ready) })
	reading.Go(func() { p.readText(p.stdout) })
	reading.Go(func() { p.readText(p.stderr) })
	go func() {
		cmd.Wait()
		p.state = cmd.ProcessState
		scratch.RemoveOf(cmd.Process.Pid)
		procs.End(mark)
		// A grandchild may hold the pipes open: what is in them now is all that is waited for.
		p.drain()
		for _, f := range []*os.File{stdoutR, stderrR, replyR} {
			f.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		}
		reading.Wait()
		for _, f := range []*os.File{stdoutR, stderrR, replyR, requestW} {
			f.Close()
		}
		close(p.ended)
	}()
	select {
	case err := <-ready:
		if err == nil {
			return p, nil
		}
		p.kill()
		<-p.ended
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.kill()
		<-p.ended
	}
	return nil, fmt.Errorf("worker: %s did not start: %s %s", path, p.state, strings.TrimSpace(string(p.tail)))
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) send(r protocol.Request) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return p.encoder.Encode(r)
}

// asked is a request to run something.
type asked struct {
	id    int
	out   engine.Output
	ctx   context.Context // a question to the person ends with it
	quiet bool            // nobody sees its output: what comes late is not for it
	ended bool

	answer chan protocol.Message // where its result arrives
	busy   chan string           // holds what it is at, after an interrupt, that cannot be stopped
	heard  chan struct{}         // holds that the interrupt went to the cell itself
}

// mostAsked is how many requests the process's displays find the output of. What older ones still show belongs to the
// last.
const mostAsked = 256

// begin makes out the place where the request's output goes.
func (p *process) begin(ctx context.Context, id int, out engine.Output, quiet bool) *asked {
	a := &asked{id: id, out: out, ctx: ctx, quiet: quiet, answer: p.expect(id), busy: make(chan string, 1),
		heard: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = append(p.begun, a)
	if len(p.begun) > mostAsked {
		p.begun = slices.Delete(p.begun, 0, 1)
	}
	return a
}

// end notes that a request has been served. What it has left behind may still show something.
func (p *process) end(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.begun {
		if a.id == id {
			a.ended = true
		}
	}
}

// of returns the request with an id; for 0, and where it is not known any more, the one to which printed text belongs:
// the last that is running, or else the last.
func (p *process) of(id int) *asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found *asked
	for _, a := range p.begun {
		if a.id == id {
			return a
		}
		if found == nil || !a.ended || found.ended && !a.quiet {
			found = a
		}
	}
	if found == nil {
		return &asked{}
	}
	return found
}

func (p *process) expect(id int) chan protocol.Message {
	answer := make(chan protocol.Message, 1)
	p.mu.Lock()
	p.waiting[id] = answer
	p.mu.Unlock()
	return answer
}

func (p *process) readMessages(from io.Reader, ready chan<- error) {
	decoder := gob.NewDecoder(from)
	for {
		var m protocol.Message
		if err := decoder.Decode(&m); err != nil {
			// The process ends, or a cell has closed or broken the pipe, and nothing more will be heard of it.
			time.AfterFunc(100*time.Millisecond, func() {
				p.broken.Store(!procfs.Leaving(p.cmd.Process.Pid))
				p.kill()
			})
			return
		}
		// What was printed before the message was sent comes before it.
		p.drain()
		switch m.Kind {
		case protocol.IsReady:
			ready <- nil
		case protocol.IsDisplay, protocol.IsClear, protocol.IsComm, protocol.IsText:
			p.deliver.Lock()
			if out := p.of(m.ID).out; out == nil {
			} else if m.Kind == protocol.IsText {
				out.Text(m.Stream, m.Text)
			} else if m.Kind == protocol.IsClear {
				out.Clear(m.Wait)
			} else if m.Kind == protocol.IsDisplay {
				out.Display(m.Bundle, m.Update)
			} else if to, ok := out.(engine.Commer); ok {
				to.Comm(m.Comm)
			}
			p.deliver.Unlock()
			p.send(protocol.Request{ID: m.ID, Op: protocol.Shown})
		case protocol.IsSettling:
			p.send(protocol.Request{ID: m.ID, Op: protocol.Shown})
		case protocol.IsBusy:
			if a := p.of(m.ID); a.id == m.ID {
				select {
				case <-a.busy: // the news take the place of what has not been heard yet
				default:
				}
				a.busy <- m.Text
			}
		case protocol.IsHeard:
			if a := p.of(m.ID); a.id == m.ID {
				a.heard <- struct{}{} // one comes at most
			}
		case protocol.IsQuestion:
			go p.ask(m) // the person takes time, in which messages go on
		default:
			p.mu.Lock()
			answer := p.waiting[m.ID]
			delete(p.waiting, m.ID)
			p.mu.Unlock()
			if answer != nil {
				answer <- m
			}
		}
	}
}

// ask has the front end ask the person for a line that a cell wants to read.
func (p *process) ask(m protocol.Message) {
	from := p.of(m.ID)
	out, ctx := from.out, from.ctx
	answer := protocol.Request{ID: m.ID, Op: protocol.Typed, Question: m.Question}
	if prompter, ok := out.(engine.Prompter); !ok {
		answer.Refusal = "worker: a cell wants to read its standard input, and this front end cannot ask for a line"
	} else if line, err := prompter.Input(ctx, m.Prompt, m.Password); ctx.Err() != nil {
		return // the interrupt wakes the cell, and what was typed must not reach it before
	} else if err != nil && err != io.EOF {
		answer.Refusal = err.Error()
	} else {
		answer.Line, answer.Ended = line, err == io.EOF
	}
	p.send(answer)
}

// readText passes on what the child prints until it has closed the stream.
func (p *process) readText(from *pipe) {
	raw, err := from.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		ended := false
		err := raw.Read(func(fd uintptr) bool {
			p.deliver.Lock()
			defer p.deliver.Unlock()
			n, err := p.readOnce(from, fd)
			ended = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
			return ended || n > 0
		})
		if err != nil || ended {
			return
		}
	}
}

// drain passes on what is in the output pipes now. A goroutine that prints for ever may go on to fill them.
func (p *process) drain() {
	for _, from := range []*pipe{p.stdout, p.stderr} {
		raw, err := from.file.SyscallConn()
		if err != nil {
			continue
		}
		raw.Control(func(fd uintptr) {
			p.deliver.Lock()
			defer p.deliver.Unlock()
			for left := pipeSize; left > 0; {
				n, err := p.readOnce(from, fd)
				if n <= 0 || err != nil {
					return
				}
				left -= n
			}
		})
	}
}

// readOnce reads what is there and passes it on. The caller holds deliver.
func (p *process) readOnce(from *pipe, fd uintptr) (int, error) {
	n, err := syscall.Read(int(fd), from.buffer[:])
	if n <= 0 {
		return n, err
	}
	text := append(from.cut, from.buffer[:n]...)
	whole := wholeCharacters(text)
	from.cut = append([]byte(nil), text[whole:]...)
	if from.stream == engine.Stderr {
		p.tail = append(p.tail, text[:whole]...)
		p.tail = p.tail[max(0, len(p.tail)-4096):]
		p.words.hear(string(text[:whole]))
	}
	if out := p.of(0).out; out != nil && whole > 0 {
		out.Text(from.stream, strings.ToValidUTF8(string(text[:whole]), "\uFFFD"))
	}
	return n, nil
}

// wholeCharacters is the length of text without a last character of which bytes are missing.
func wholeCharacters(text []byte) int {
	for back := 1; back <= 3 && back <= len(text); back++ {
		c := text[len(text)-back]
		if c < 0x80 {
			break
		}
		if c >= 0xC0 {
			length := 2
			if c >= 0xF0 {
				length = 4
			} else if c >= 0xE0 {
				length = 3
			}
			if back < length {
				return len(text) - back
			}
			break
		}
	}
	return len(text)
}

func (p *process) kill() {
	p.cmd.Process.Kill()
}

func (p *process) close() {
	p.sending.Lock()
	p.requests.Close()
	p.sending.Unlock()
	select {
	case <-p.ended:
	case <-time.After(Grace):
		p.kill()
		<-p.ended
	}
}

// lost words the end of the process.
func (p *process) lost(forced bool, short string) *engine.Failure {
	p.deliver.Lock()
	reason := p.words.reason
	p.deliver.Unlock()
	what := losing(p.names)
	f := &engine.Failure{Name: "WorkerLost"}
	switch {
	case short != "":
		f.Name = "OutOfMemory"
		f.Message = short + "; " + what
	case forced:
		f.Name = "Interrupted"
		f.Message = "the cell did not stop, and a second Stop ended its process; " + what
	case p.forced.Load():
		f.Message = "another cell did not stop, and a second Stop ended the process of all cells; " + what
	default:
		cause := p.state.String()
		if reason != "" {
			cause = reason
		} else if status, ok := p.state.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL &&
			p.broken.Load() {
			cause = "it closed or broke the pipe to the kernel"
		}
		f.Message = fmt.Sprintf("the cell ended its process (%s); %s", cause, what)
	}
	f.Message += "; a new process has been started"
	f.Traceback = []string{"\x1b[31m" + f.Name + "\x1b[0m: " + f.Message}
	return f
}

func losing(names []string) string {
	if len(names) == 0 {
		return "nothing was defined yet"
	}
	return "lost are " + listed(names)
}

func listed(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
