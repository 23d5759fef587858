// Package gonb runs cells by an unmodified GoNB (github.com/janpfeifer/gonb), which is a Jupyter kernel of its own:
// this package is its only front end, and passes on what it shows. A GoNB cell is a program: it can import any module,
// and keeps no variables but the declarations of earlier GoNB cells.
package gonb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/google/uuid"

	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/xlaplugin"
	"github.com/loupeml/loupe/kernel/wire"
)

const (
	startTime  = 60 * time.Second       // how long GoNB may take to answer for the first time
	answerTime = 200 * time.Millisecond // between a question and its answer, at least
	grace      = 3 * time.Second        // how long it may take to end a cell that was interrupted, or itself
)

// child is a running GoNB.
type child struct {
	cmd    *exec.Cmd
	signer *wire.Signer
	cancel context.CancelFunc
	dir    string // of its temporary files
	mark   string // by which those are found that its cells start
	log    *tail

	shell, control, stdin zmq4.Socket

	ended chan struct{} // closed when the process is gone

	sending sync.Mutex // zmq4's sockets are for one sender at a time

	mu       sync.Mutex // guards the fields below
	requests map[string]*request
	comms    []string // that the front end has opened with it
}

// request is one that GoNB has been sent.
type request struct {
	reply     chan wire.Message // room for one
	idle      chan struct{}     // closed when it is done
	done      bool              // idle is closed
	published func(m *wire.Message)
	asked     func(m *wire.Message) // for a line of input
}

// tail keeps the last of what GoNB logs.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-8<<10):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// find returns the gonb binary: the one that LOUPE_GONB names, or that beside this program, or in PATH.
func find() (string, error) {
	if path := os.Getenv("LOUPE_GONB"); path != "" {
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), "gonb")
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
	}
	if path, err := exec.LookPath("gonb"); err == nil {
		return path, nil
	}
	return "", errors.New(
		"gonb: GoNB is neither beside loupe nor in PATH: ./install.sh builds it, or name it in LOUPE_GONB")
}

// start runs GoNB in a folder. kernelID is Jupyter's name for the kernel, by which GoNB's widgets find their way in the
// browser.
func start(ctx context.Context, dir, kernelID string) (*child, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	own, err := scratch.Dir()
	if err != nil {
		return nil, err
	}
	c := &child{mark: procs.Marked(), log: &tail{}, ended: make(chan struct{}), requests: map[string]*request{}}
	if c.dir, err = os.MkdirTemp(own, "gonb-"); err != nil {
		return nil, fmt.Errorf("gonb: %w", err)
	}
	connection, err := freePorts()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(connection)
	if err != nil {
		return nil, err
	}
	if kernelID == "" {
		kernelID = uuid.NewString()
	}
	file := filepath.Join(c.dir, "kernel-"+kernelID+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("gonb: %w", err)
	}
	if c.signer, err = wire.NewSigner(connection.Key, connection.SignatureScheme); err != nil {
		return nil, err
	}
	c.cmd = exec.Command(path, "--kernel", file, "-raw_error=true")
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "TMPDIR="+c.dir, "PATH="+filepath.Dir(path)+string(os.PathListSeparator)+
		os.Getenv("PATH"))
	c.cmd.Env = append(c.cmd.Env, xlaplugin.Environment()...)
	c.cmd.Env = append(c.cmd.Env, procs.Mark+"="+c.mark)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		os.RemoveAll(c.dir)
		return nil, fmt.Errorf("gonb: %w", err)
	}
	go func() {
		c.cmd.Wait()
		close(c.ended)
	}()
	if err := c.connect(ctx, connection); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// freePorts makes a connection on ports that nobody has.
func freePorts() (wire.Connection, error) {
	c := wire.Connection{Transport: "tcp", IP: "127.0.0.1", SignatureScheme: "hmac-sha256", Key: rand.Text()}
	for _, port := range []*int{&c.ShellPort, &c.ControlPort, &c.StdinPort, &c.IOPubPort, &c.HBPort} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return c, fmt.Errorf("gonb: %w", err)
		}
		defer l.Close() // when all have been found, so that they differ
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return c, nil
}

// connect connects the sockets and waits until GoNB answers.
func (c *child) connect(ctx context.Context, info wire.Connection) error {
	sockets, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	// GoNB sends replies, and questions for input, to the identity that a request came from, on sockets that need not
	// be the request's.
	id := zmq4.WithID(zmq4.SocketIdentity(uuid.NewString()))
	retry := []zmq4.Option{id, zmq4.WithDialerRetry(50 * time.Millisecond),
		zmq4.WithDialerMaxRetries(int(startTime / (50 * time.Millisecond)))}
	c.shell, c.control, c.stdin = zmq4.NewDealer(sockets, retry...), zmq4.NewDealer(sockets, retry...),
		zmq4.NewDealer(sockets, retry...)
	iopub := zmq4.NewSub(sockets, retry[1:]...)
	dialled := make(chan error, 1)
	go func() {
		for _, s := range []struct {
			socket zmq4.Socket
			port   int
			take   func(*wire.Message)
		}{{iopub, info.IOPubPort, c.takePublished}, {c.shell, info.ShellPort, c.takeReply},
			{c.control, info.ControlPort, c.takeReply}, {c.stdin, info.StdinPort, c.takeQuestion}} {
			if err := s.socket.Dial(fmt.Sprintf("tcp://%s:%d", info.IP, s.port)); err != nil {
				dialled <- err
				return
			}
			if s.socket == iopub {
				if err := iopub.SetOption(zmq4.OptionSubscribe, ""); err != nil {
					dialled <- err
					return
				}
			}
			go c.receive(s.socket, s.take)
		}
		dialled <- nil
	}()
	late := time.After(startTime)
	fault := func(what string) error { return fmt.Errorf("gonb: GoNB %s: %s", what, c.log) }
	select {
	case err := <-dialled:
		if err != nil {
			return fault("cannot be reached (" + err.Error() + ")")
		}
	case <-c.ended:
		return fault("does not start")
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return fault("does not listen")
	}
	// Until the subscription has arrived, what is published is lost: a request shows when it has.
	for {
		r := c.send(c.shell, wire.KernelInfoRequest{}, nil)
		select {
		case <-r.idle:
			return nil
		case <-time.After(200 * time.Millisecond):
		case <-c.ended:
			return fault("does not start")
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fault("does not answer")
		}
	}
}

func (c *child) receive(from zmq4.Socket, take func(*wire.Message)) {
	for {
		raw, err := from.Recv()
		if err != nil {
			return
		}
		if m, err := wire.Parse(raw.Frames, c.signer); err == nil {
			take(&m)
		}
	}
}

// send sends a request; with may set where what comes of it goes.
func (c *child) send(to zmq4.Socket, content wire.Content, with func(*request)) *request {
	r := &request{reply: make(chan wire.Message, 1), idle: make(chan struct{})}
	if with != nil {
		with(r)
	}
	m, err := wire.NewMessage("loupe", nil, content)
	if err != nil {
		return r // all contents are ours and can be encoded
	}
	c.mu.Lock()
	c.requests[m.Header.ID] = r
	c.mu.Unlock()
	c.sending.Lock()
	defer c.sending.Unlock()
	to.SendMulti(zmq4.NewMsgFrom(m.Frames(c.signer)...)) // a fault shows as the process being gone
	return r
}

func (c *child) requestOf(m *wire.Message) *request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests[m.ParentID()]
}

func (c *child) takeReply(m *wire.Message) {
	if r := c.requestOf(m); r != nil {
		select {
		case r.reply <- *m:
		default:
		}
	}
}

func (c *child) takePublished(m *wire.Message) {
	r := c.requestOf(m)
	if r == nil {
		return
	}
	var status wire.KernelStatus
	if m.Header.Type == status.MessageType() {
		if m.Decode(&status) == nil && status.ExecutionState == wire.Idle && !r.done {
			r.done = true
			close(r.idle)
		}
		return
	}
	if r.published != nil {
		r.published(m)
	}
}

func (c *child) takeQuestion(m *wire.Message) {
	if r := c.requestOf(m); r != nil && r.asked != nil {
		go r.asked(m)
	}
}

// question asks something that is not a cell; ok is false where there is no answer.
func (c *child) question(ctx context.Context, content wire.Content, answer any) (ok bool) {
	r := c.send(c.shell, content, nil)
	defer c.forget(r)
	select {
	case m := <-r.reply:
		return json.Unmarshal(m.Content, answer) == nil
	case <-time.After(grace):
	case <-ctx.Done():
	case <-c.ended:
	}
	return false
}

// forget has what still comes of a request go nowhere.
func (c *child) forget(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, other := range c.requests {
		if other == r {
			delete(c.requests, id)
		}
	}
}

// close ends GoNB with all that it has started. By SIGTERM it removes its own files.
func (c *child) close() {
	if c.cancel != nil {
		defer c.cancel()
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(grace):
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
	procs.End(c.mark)
	os.RemoveAll(c.dir)
}
