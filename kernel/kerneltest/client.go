// Package kerneltest has a Jupyter client for tests that makes them read as transcripts: every message that
// the kernel sends because of a request has to be asked for, in order, and one that was not fails the test.
//
//	c := kerneltest.Connect(t, connection)
//	c.Execute("prompt name?")
//	c.WantBusy()
//	c.WantExecuteInput("prompt name?")
//	c.WantInputRequest("name?")
//	c.Answer("Ada")
//	c.WantStdout("Ada\n")
//	c.WantOK()
//	c.WantIdle()
//
// Its sockets are zmq4's own, which package wire does not use.
package kerneltest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

// patience is how long a message is waited for before the test fails. A kernel that works is never that late.
const patience = 10 * time.Minute

// Client is a front end. Its Want methods look at the next message that a socket has for the current request, and fail
// the test when it is not the one that is wanted. The current request is the one sent last, or the
// one that [Client.Follow] names.
type Client struct {
	t          testing.TB
	connection wire.Connection
	signer     *wire.Signer
	cancel     context.CancelFunc

	shell, control, stdin, beat zmq4.Socket
	// What arrives.
	onShell, onControl, onStdin, onIOPub *inbox

	// Subshell is where requests on shell go; empty means the main one.
	Subshell string

	mine     map[string]bool // requests that this client sent
	current  string          // request whose messages are wanted
	question wire.Message
	ended    bool
}

// inbox is what has arrived on a socket.
type inbox struct {
	socket   string
	arriving chan wire.Message
	waiting  []wire.Message // arrived before a message of another request that was wanted first
}

func newInbox(socket string) *inbox {
	return &inbox{socket: socket, arriving: make(chan wire.Message, 1<<16)}
}

// next returns the oldest message of a request.
func (in *inbox) next(t testing.TB, request string) wire.Message {
	t.Helper()
	for i, m := range in.waiting {
		if m.ParentID() == request {
			in.waiting = append(in.waiting[:i:i], in.waiting[i+1:]...)
			return m
		}
	}
	late := time.After(patience)
	for {
		select {
		case m := <-in.arriving:
			if m.ParentID() == request {
				return m
			}
			in.waiting = append(in.waiting, m)
		case <-late:
			t.Fatalf("kerneltest: nothing arrives on %s for request %q; for others there is %s", in.socket, request,
				describe(in.waiting...))
		}
	}
}

// ConnectionFile writes a connection file, as Jupyter gives one to a kernel, with ports that nobody has.
func ConnectionFile(t testing.TB) (path string, connection wire.Connection) {
	t.Helper()
	sockets, err := wire.Listen(wire.Connection{Transport: "tcp", IP: "127.0.0.1", Key: "6b1f",
		SignatureScheme: "hmac-sha256"}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	sockets.Close()
	text, err := json.Marshal(sockets.Connection)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "kernel.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, sockets.Connection
}

// Connect connects to a kernel that listens, and waits until it hears all that the kernel publishes.
// When the test ends it checks that nothing was sent that the test did not ask for.
func Connect(t testing.TB, connection wire.Connection) *Client {
	t.Helper()
	signer, err := wire.NewSigner(connection.Key, connection.SignatureScheme)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	id := zmq4.WithID(zmq4.SocketIdentity("client of " + t.Name()))
	c := &Client{
		t: t, connection: connection, signer: signer, cancel: cancel,
		mine:    map[string]bool{},
		onShell: newInbox("shell"), onControl: newInbox("control"), onStdin: newInbox("stdin"), onIOPub: newInbox("iopub"),
		shell: zmq4.NewDealer(ctx, id), control: zmq4.NewDealer(ctx, id), stdin: zmq4.NewDealer(ctx, id),
		beat: zmq4.NewReq(ctx),
	}
	iopub := zmq4.NewSub(ctx)
	for _, s := range []struct {
		socket zmq4.Socket
		port   int
		into   *inbox
	}{
		{c.shell, connection.ShellPort, c.onShell}, {c.control, connection.ControlPort, c.onControl},
		{c.stdin, connection.StdinPort, c.onStdin}, {iopub, connection.IOPubPort, c.onIOPub},
		{c.beat, connection.HBPort, nil},
	} {
		if err := s.socket.Dial(fmt.Sprintf("tcp://%s:%d", connection.IP, s.port)); err != nil {
			t.Fatalf("kerneltest: %v", err)
		}
		if s.into != nil {
			go c.receive(s.socket, s.into.arriving)
		}
	}
	if err := iopub.SetOption(zmq4.OptionSubscribe, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if !t.Failed() && !c.ended {
			c.WantNothing()
		}
	})
	if m := c.onIOPub.next(t, ""); m.Header.Type != "iopub_welcome" {
		t.Fatalf("kerneltest: the first message of iopub is %s, not iopub_welcome", describe(m))
	}
	return c
}

func (c *Client) receive(from zmq4.Socket, into chan wire.Message) {
	for {
		raw, err := from.Recv()
		if err != nil {
			return // the kernel or the test has ended
		}
		m, err := wire.Parse(raw.Frames, c.signer)
		if err != nil {
			c.t.Errorf("kerneltest: the kernel sent %q: %v", raw.Frames, err)
			return
		}
		into <- m
	}
}

// send sends a request and makes it the current one.
func (c *Client) send(to zmq4.Socket, content wire.Content) string {
	c.t.Helper()
	m, err := wire.NewMessage("test", nil, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if to == c.shell {
		m.Header.Subshell = c.Subshell
	}
	c.current = m.Header.ID
	c.mine[m.Header.ID] = true
	c.sendMessage(to, m)
	return m.Header.ID
}

func (c *Client) sendMessage(to zmq4.Socket, m wire.Message) {
	c.t.Helper()
	if err := to.SendMulti(zmq4.NewMsgFrom(m.Frames(c.signer)...)); err != nil {
		c.t.Fatalf("kerneltest: %v", err)
	}
}

// Ask sends any request on shell and returns its id.
func (c *Client) Ask(content wire.Content) (id string) {
	c.t.Helper()
	return c.send(c.shell, content)
}

// AskWith is [Client.Ask] with buffers.
func (c *Client) AskWith(content wire.Content, buffers ...[]byte) (id string) {
	c.t.Helper()
	m, err := wire.NewMessage("test", nil, content)
	if err != nil {
		c.t.Fatal(err)
	}
	m.Buffers = buffers
	c.current = m.Header.ID
	c.mine[m.Header.ID] = true
	c.sendMessage(c.shell, m)
	return m.Header.ID
}

// AskControl sends any request on control and returns its id.
func (c *Client) AskControl(content wire.Content) (id string) {
	c.t.Helper()
	return c.send(c.control, content)
}

// Execute sends a cell as a notebook does, changed by with, and returns the request's id.
func (c *Client) Execute(code string, with ...func(*wire.ExecuteRequest)) (id string) {
	c.t.Helper()
	r := wire.ExecuteRequest{Code: code, StoreHistory: true, AllowStdin: true, StopOnError: true}
	for _, change := range with {
		change(&r)
	}
	return c.Ask(r)
}

// SendFrames sends frames as they are on shell.
func (c *Client) SendFrames(frames ...[]byte) {
	c.t.Helper()
	if err := c.shell.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
		c.t.Fatalf("kerneltest: %v", err)
	}
}

// Follow makes an earlier request the current one.
func (c *Client) Follow(id string) { c.current = id }

// Answer answers the last input_request.
func (c *Client) Answer(line string) {
	c.t.Helper()
	m, err := wire.NewMessage("test", &c.question, wire.InputReply{Status: wire.StatusOK, Value: line})
	if err != nil {
		c.t.Fatal(err)
	}
	m.Identities = nil
	c.sendMessage(c.stdin, m)
}

// Beat checks that the heartbeat echoes.
func (c *Client) Beat() {
	c.t.Helper()
	if err := c.beat.Send(zmq4.NewMsgString("are you there?")); err != nil {
		c.t.Fatalf("kerneltest: heartbeat: %v", err)
	}
	echo := make(chan string, 1)
	go func() {
		m, _ := c.beat.Recv()
		echo <- string(m.Bytes())
	}()
	select {
	case e := <-echo:
		if e != "are you there?" {
			c.t.Errorf("the heartbeat echoes %q", e)
		}
	case <-time.After(patience):
		c.t.Fatal("the heart does not beat")
	}
}

// want takes the next message of the current request, which has to be of content's type, and decodes
// it into content, a pointer.
func (c *Client) want(in *inbox, content wire.Content) wire.Message {
	c.t.Helper()
	m := in.next(c.t, c.current)
	if m.Header.Type != content.MessageType() {
		c.t.Fatalf("%s: got %s, want %s", in.socket, describe(m), content.MessageType())
	}
	if err := m.Decode(content); err != nil {
		c.t.Fatal(err)
	}
	return m
}

func describe(messages ...wire.Message) string {
	var words []string
	for _, m := range messages {
		words = append(words, fmt.Sprintf("%s %.300s", m.Header.Type, m.Content))
	}
	return strings.Join(words, ", ")
}

func (c *Client) wantState(state wire.ExecutionState) {
	c.t.Helper()
	var s wire.KernelStatus
	c.want(c.onIOPub, &s)
	if s.ExecutionState != state {
		c.t.Fatalf("status: got %s, want %s", s.ExecutionState, state)
	}
}

// WantBusy wants the kernel to say that it is at work on the current request.
func (c *Client) WantBusy() { c.t.Helper(); c.wantState(wire.Busy) }

// WantIdle wants the kernel to say that it is done with the current request. Output that the test has not
// asked for stands before that, and fails it.
func (c *Client) WantIdle() { c.t.Helper(); c.wantState(wire.Idle) }

// WantPublished wants any message on iopub, and decodes it into content, a pointer.
func (c *Client) WantPublished(content wire.Content) wire.Message {
	c.t.Helper()
	return c.want(c.onIOPub, content)
}

// WantExecuteInput wants the cell to be announced, and returns its execution count.
func (c *Client) WantExecuteInput(code string) int {
	c.t.Helper()
	var in wire.ExecuteInput
	c.WantPublished(&in)
	if in.Code != code {
		c.t.Fatalf("execute_input: got %q, want %q", in.Code, code)
	}
	return in.ExecutionCount
}

// WantStdout wants text on standard output, in however many messages, and returns their number.
func (c *Client) WantStdout(text string) (messages int) {
	c.t.Helper()
	return c.wantText("stdout", text)
}

// WantStderr wants text on standard error, in however many messages, and returns their number.
func (c *Client) WantStderr(text string) (messages int) {
	c.t.Helper()
	return c.wantText("stderr", text)
}

func (c *Client) wantText(stream, text string) (messages int) {
	c.t.Helper()
	var got strings.Builder
	for got.Len() < len(text) {
		var s wire.Stream
		c.WantPublished(&s)
		got.WriteString(s.Text)
		messages++
		if s.Name != stream || !strings.HasPrefix(text, got.String()) {
			c.t.Fatalf("got %s %.300q, want %s %.300q", s.Name, got.String(), stream, text)
		}
	}
	return messages
}

// WantResult wants the cell's value, as plain text.
func (c *Client) WantResult(text string) {
	c.t.Helper()
	var r wire.ExecuteResult
	c.WantPublished(&r)
	if got := r.Data.Text(mime.Text); got != text {
		c.t.Fatalf("execute_result: got %q, want %q", got, text)
	}
}

// WantError wants the cell to fail in the way that name says.
func (c *Client) WantError(name string) wire.Error {
	c.t.Helper()
	var e wire.Error
	c.WantPublished(&e)
	if e.Name != name {
		c.t.Fatalf("error: got %s: %s, want %s", e.Name, e.Value, name)
	}
	return e
}

// WantInputRequest wants to be asked for a line.
func (c *Client) WantInputRequest(prompt string) wire.InputRequest {
	c.t.Helper()
	var r wire.InputRequest
	c.question = c.want(c.onStdin, &r)
	if r.Prompt != prompt {
		c.t.Fatalf("input_request: got prompt %q, want %q", r.Prompt, prompt)
	}
	return r
}

// WantReply wants the reply to the current request on shell, and decodes it into content, a pointer.
func (c *Client) WantReply(content wire.Content) {
	c.t.Helper()
	c.want(c.onShell, content)
}

// WantControlReply wants the reply to the current request on control, and decodes it into content, a pointer.
func (c *Client) WantControlReply(content wire.Content) {
	c.t.Helper()
	c.want(c.onControl, content)
}

// WantOK wants the cell to have gone well.
func (c *Client) WantOK() wire.ExecuteReply {
	c.t.Helper()
	var r wire.ExecuteReply
	c.WantReply(&r)
	if r.Status != wire.StatusOK {
		c.t.Fatalf("execute_reply: got %s, want ok", r.Status)
	}
	return r
}

// WantFailed wants the cell to have failed, or to have been aborted.
func (c *Client) WantFailed(status wire.Status) wire.ErrorReply {
	c.t.Helper()
	r := wire.ErrorReply{For: "execute_reply"}
	c.WantReply(&r)
	if r.Status != status {
		c.t.Fatalf("execute_reply: got %s, want %s", r.Status, status)
	}
	return r
}

// WantNothing wants no message to be left for any of this client's requests. It asks something on shell and on control:
// what the kernel sent earlier arrives before the answers.
func (c *Client) WantNothing() {
	c.t.Helper()
	for _, on := range []struct {
		ask  func(wire.Content) string
		want func(wire.Content)
	}{{c.AskControl, c.WantControlReply}, {c.Ask, c.WantReply}} {
		on.ask(wire.KernelInfoRequest{})
		c.WantBusy()
		c.WantIdle()
		on.want(&wire.KernelInfoReply{})
	}
	for _, in := range []*inbox{c.onShell, c.onControl, c.onStdin, c.onIOPub} {
		for len(in.arriving) > 0 {
			in.waiting = append(in.waiting, <-in.arriving)
		}
		for _, m := range in.waiting {
			if c.mine[m.ParentID()] {
				c.t.Errorf("%s: left over is %s", in.socket, describe(m))
			}
		}
	}
}

// WantShutdown asks the kernel to end, or to end for another to start, and wants it to say that it does.
func (c *Client) WantShutdown(restart bool) {
	c.t.Helper()
	c.AskControl(wire.ShutdownRequest{Restart: restart})
	var r wire.ShutdownReply
	c.WantControlReply(&r)
	if r.Status != wire.StatusOK || r.Restart != restart {
		c.t.Fatalf("shutdown_reply: got %+v", r)
	}
	c.ended = true
}

// Ended says that the kernel is gone, or is about to be, and cannot be asked any more.
func (c *Client) Ended() { c.ended = true }

// JSON decodes a message's content into any shape, for what has no type.
func JSON(t testing.TB, m wire.Message) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(m.Content, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
