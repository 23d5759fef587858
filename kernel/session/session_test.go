package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/kernel/kerneltest"
	"github.com/loupeml/loupe/kernel/session/internal/echo"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

var local = wire.Connection{Transport: "tcp", IP: "127.0.0.1", Key: "6b1f", SignatureScheme: "hmac-sha256"}

// kernel is a session of an engine with a client, in this process.
type kernel struct {
	*kerneltest.Client
	connection wire.Connection
	interrupts chan os.Signal
	log        *lockedBuffer
	done       chan error // receives what run returns
}

func start(t *testing.T, eng engine.Engine, options Options) *kernel {
	t.Helper()
	k := &kernel{interrupts: make(chan os.Signal), log: &lockedBuffer{}, done: make(chan error, 1)}
	options.Log = slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sockets, err := wire.Listen(local, "kernel session", options.Log)
	if err != nil {
		t.Fatal(err)
	}
	k.connection = sockets.Connection
	ctx, stop := context.WithCancel(context.Background())
	go func() { k.done <- run(ctx, sockets, "kernel session", eng, options, k.interrupts) }()
	t.Cleanup(stop)
	k.Client = kerneltest.Connect(t, k.connection)
	return k
}

type lockedBuffer struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Cap()
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestCell(t *testing.T) {
	c := start(t, echo.New(), Options{})
	for n := 1; n <= 3; n++ {
		c.Execute("print hello\nwarn careful\n42")
		c.WantBusy()
		if got := c.WantExecuteInput("print hello\nwarn careful\n42"); got != n {
			t.Errorf("execution count: got %d, want %d", got, n)
		}
		c.WantStdout("hello\n")
		c.WantStderr("careful\n")
		c.WantResult("42")
		if r := c.WantOK(); r.ExecutionCount != n {
			t.Errorf("execution count of the reply: got %d, want %d", r.ExecutionCount, n)
		}
		c.WantIdle()
	}
}

func TestBlankCellTakesNoNumber(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute(" \n")
	c.WantBusy()
	c.WantExecuteInput(" \n")
	c.WantIdle()
	if r := c.WantOK(); r.ExecutionCount != 0 {
		t.Errorf("execution count: got %d, want 0", r.ExecutionCount)
	}
}

func TestOutputKeepsItsOrder(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("print 1\nwarn 2\nprint 3\ndisplay\nprint 4\nclear\nprint 5\n6")
	c.WantBusy()
	c.WantExecuteInput("print 1\nwarn 2\nprint 3\ndisplay\nprint 4\nclear\nprint 5\n6")
	c.WantStdout("1\n")
	c.WantStderr("2\n")
	c.WantStdout("3\n")
	c.WantPublished(&wire.DisplayData{})
	c.WantStdout("4\n")
	var clear wire.ClearOutput
	c.WantPublished(&clear)
	if !clear.Wait {
		t.Error("clear_output lost its wait")
	}
	c.WantStdout("5\n")
	c.WantResult("6")
	c.WantOK()
	c.WantIdle()
}

func TestManyPrintsAreFewMessages(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("spam 100000")
	c.WantBusy()
	c.WantExecuteInput("spam 100000")
	if n := c.WantStdout(strings.Repeat(".", 100000)); n > 1000 {
		t.Errorf("100000 prints were %d messages", n)
	}
	c.WantOK()
	c.WantIdle()
}

func TestTextArrivesWhileTheCellRuns(t *testing.T) {
	c := start(t, echo.New(), Options{})
	id := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n") // and the cell has not ended
	c.interruptCell(id)
}

// interruptCell interrupts the cell that runs.
func (k *kernel) interruptCell(id string) {
	k.AskControl(wire.InterruptRequest{})
	k.WantBusy()
	k.WantControlReply(&wire.InterruptReply{})
	k.WantIdle()
	k.Follow(id)
	k.WantError("Interrupted")
	k.WantFailed(wire.StatusError)
	k.WantIdle()
}

func TestTextLimit(t *testing.T) {
	c := start(t, echo.New(), Options{TextLimit: 10})
	c.Execute("print 12345\nprint 6789\nprint more\ndisplay\n7")
	c.WantBusy()
	c.WantExecuteInput("print 12345\nprint 6789\nprint more\ndisplay\n7")
	c.WantStdout("12345\n6789\n[loupe: this cell has printed 10 bytes; the rest is dropped]\n")
	c.WantPublished(&wire.DisplayData{})
	c.WantResult("7")
	c.WantOK()
	c.WantIdle()
	// The next cell may print again.
	c.Execute("print ok")
	c.WantBusy()
	c.WantExecuteInput("print ok")
	c.WantStdout("ok\n")
	c.WantOK()
	c.WantIdle()
}

func TestDisplayLimit(t *testing.T) {
	picture := len("a picture") + len(echo.Pixel)
	c := start(t, echo.New(), Options{DisplayLimit: 2 * picture})
	c.Execute("display\ndisplay\ndisplay\ndisplay\nprint on\n7")
	c.WantBusy()
	c.WantExecuteInput("display\ndisplay\ndisplay\ndisplay\nprint on\n7")
	c.WantPublished(&wire.DisplayData{})
	c.WantPublished(&wire.DisplayData{})
	c.WantStderr(fmt.Sprintf("[loupe: this cell has shown %d bytes; the rest is dropped]\n", 2*picture))
	c.WantStdout("on\n")
	c.WantResult("7")
	c.WantOK()
	c.WantIdle()
	// The next cell may show again.
	c.Execute("display")
	c.WantBusy()
	c.WantExecuteInput("display")
	c.WantPublished(&wire.DisplayData{})
	c.WantOK()
	c.WantIdle()
}

func TestDisplay(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("display\njson\nprogress")
	c.WantBusy()
	c.WantExecuteInput("display\njson\nprogress")

	var d wire.DisplayData
	m := c.WantPublished(&d)
	png, err := base64.StdEncoding.DecodeString(d.Data.Text(mime.PNG))
	if err != nil || string(png) != echo.Pixel {
		t.Errorf("image/png: got %q, %v", png, err)
	}
	if got := d.Metadata[mime.PNG]["width"]; got != 1.0 {
		t.Errorf("metadata: got %v", d.Metadata)
	}
	if !bytes.HasPrefix(m.Content, []byte(`{"data":{"text/plain":"a picture",`)) {
		t.Errorf("text/plain is not first: %s", m.Content)
	}

	var j wire.DisplayData
	m = c.WantPublished(&j)
	if got := string(j.Data["application/vnd.echo.v1+json"]); got != `{"two":2}` {
		t.Errorf("JSON is not a JSON value: %s", got)
	}
	if kerneltest.JSON(t, m)["metadata"] == nil {
		t.Error("metadata is null")
	}

	var first wire.DisplayData
	c.WantPublished(&first)
	var second wire.UpdateDisplayData
	c.WantPublished(&second)
	if id := first.Transient.DisplayID; id == "" || second.Transient.DisplayID != id {
		t.Errorf("display ids: %q, %q", first.Transient.DisplayID, second.Transient.DisplayID)
	}
	if a, b := first.Data.Text(mime.Text), second.Data.Text(mime.Text); a != "0%" || b != "100%" {
		t.Errorf("progress: %s, %s", a, b)
	}
	c.WantOK()
	c.WantIdle()
}

func TestFailure(t *testing.T) {
	for _, test := range []struct{ cell, name, value string }{
		{"err", "EchoError", "you asked for it"},
		{"fault", "KernelError", "echo: at fault"},
		{"panic", "KernelError", "session: the engine panicked: echo: you asked for it"},
	} {
		t.Run(test.cell, func(t *testing.T) {
			c := start(t, echo.New(), Options{})
			c.Execute("print first\n" + test.cell)
			c.WantBusy()
			c.WantExecuteInput("print first\n" + test.cell)
			c.WantStdout("first\n")
			e := c.WantError(test.name)
			if e.Value != test.value || len(e.Traceback) == 0 {
				t.Errorf("got %+v", e)
			}
			r := c.WantFailed(wire.StatusError)
			if r.Name != e.Name || r.Value != e.Value || r.ExecutionCount != 1 {
				t.Errorf("reply: got %+v", r)
			}
			c.WantIdle()
			// The kernel goes on.
			c.Execute("1")
			c.WantBusy()
			c.WantExecuteInput("1")
			c.WantResult("1")
			c.WantOK()
			c.WantIdle()
		})
	}
}

func TestFailureAbortsTheCellsBehindIt(t *testing.T) {
	c := start(t, echo.New(), Options{})
	failing := c.Execute("err")
	aborted := []string{c.Execute("1"), c.Execute("2")}
	info := c.Ask(wire.KernelInfoRequest{})

	c.Follow(failing)
	c.WantBusy()
	c.WantExecuteInput("err")
	c.WantError("EchoError")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
	for _, id := range aborted {
		c.Follow(id)
		c.WantBusy()
		c.WantFailed(wire.StatusAborted)
		c.WantIdle()
	}
	// What is not a cell is answered.
	c.Follow(info)
	c.WantBusy()
	c.WantReply(&wire.KernelInfoReply{})
	c.WantIdle()
	// A cell sent after the failure was seen runs, and has the next number.
	c.Execute("3")
	c.WantBusy()
	if n := c.WantExecuteInput("3"); n != 2 {
		t.Errorf("execution count: got %d, want 2", n)
	}
	c.WantResult("3")
	c.WantOK()
	c.WantIdle()
}

func TestNoStopOnError(t *testing.T) {
	c := start(t, echo.New(), Options{})
	failing := c.Execute("err", func(r *wire.ExecuteRequest) { r.StopOnError = false })
	next := c.Execute("1")
	c.Follow(failing)
	c.WantBusy()
	c.WantExecuteInput("err")
	c.WantError("EchoError")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
	c.Follow(next)
	c.WantBusy()
	c.WantExecuteInput("1")
	c.WantResult("1")
	c.WantOK()
	c.WantIdle()
}

func TestSilent(t *testing.T) {
	c := start(t, echo.New(), Options{})
	silent := func(r *wire.ExecuteRequest) { r.Silent = true }
	c.Execute("print x\ndisplay\n1", silent)
	c.WantBusy()
	c.WantIdle()
	if r := c.WantOK(); r.ExecutionCount != 0 {
		t.Errorf("execution count: got %d", r.ExecutionCount)
	}
	c.Execute("err", silent)
	c.WantBusy()
	c.WantIdle()
	if r := c.WantFailed(wire.StatusError); r.Name != "EchoError" {
		t.Errorf("got %+v", r)
	}
}

func TestNotStored(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("print x\n1", func(r *wire.ExecuteRequest) { r.StoreHistory = false })
	c.WantBusy()
	c.WantExecuteInput("print x\n1")
	c.WantStdout("x\n")
	c.WantResult("1")
	c.WantIdle()
	if r := c.WantOK(); r.ExecutionCount != 0 {
		t.Errorf("execution count: got %d", r.ExecutionCount)
	}
	if h := historyOf(t, c, wire.HistoryRequest{Access: wire.HistoryTail}); len(h) != 0 {
		t.Errorf("history: got %v", h)
	}
}

func TestUserExpressions(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("1", func(r *wire.ExecuteRequest) {
		r.UserExpressions = map[string]string{"good": "print unseen\n2", "bad": "err", "none": "print unseen"}
	})
	c.WantBusy()
	c.WantExecuteInput("1")
	c.WantResult("1")
	r := c.WantOK()
	c.WantIdle()
	if e := r.UserExpressions["good"]; e.Status != wire.StatusOK || e.Data.Text(mime.Text) != "2" {
		t.Errorf("good: %+v", e)
	}
	if e := r.UserExpressions["bad"]; e.Status != wire.StatusError || e.Name != "EchoError" {
		t.Errorf("bad: %+v", e)
	}
	if e := r.UserExpressions["none"]; e.Status != wire.StatusOK || len(e.Data) != 0 {
		t.Errorf("none: %+v", e)
	}
}

func TestKernelInfo(t *testing.T) {
	c := start(t, echo.New(), Options{Version: "1.2", Banner: "welcome",
		HelpLinks: []wire.HelpLink{{Text: "Go", URL: "https://go.dev"}}})
	c.Ask(wire.KernelInfoRequest{})
	c.WantBusy()
	c.WantIdle()
	var r wire.KernelInfoReply
	c.WantReply(&r)
	l := r.LanguageInfo
	if r.Status != wire.StatusOK || r.ProtocolVersion != "5.5" || r.ImplementationVersion != "1.2" ||
		r.Banner != "welcome" || len(r.HelpLinks) != 1 ||
		l.Name != "go" || l.MimeType != "text/x-go" || l.FileExtension != ".go" || !strings.HasPrefix(l.Version, "1.") {
		t.Errorf("got %+v", r)
	}
	c.Beat()
}

func TestControlDoesNotQueueBehindACell(t *testing.T) {
	c := start(t, echo.New(), Options{})
	cell := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")

	c.AskControl(wire.KernelInfoRequest{})
	c.WantBusy()
	c.WantIdle()
	c.WantControlReply(&wire.KernelInfoReply{})
	c.Beat()

	c.interruptCell(cell)
}

func TestInterruptAbortsTheCellsBehindIt(t *testing.T) {
	c := start(t, echo.New(), Options{})
	cell := c.Execute("sleep")
	next := c.Execute("1")
	c.Follow(cell)
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")
	c.interrupts <- os.Interrupt // as SIGINT does
	c.WantError("Interrupted")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
	c.Follow(next)
	c.WantBusy()
	c.WantFailed(wire.StatusAborted)
	c.WantIdle()
}

func TestSecondInterruptInsists(t *testing.T) {
	c := start(t, echo.New(), Options{})
	cell := c.Execute("insist")
	c.WantBusy()
	c.WantExecuteInput("insist")
	c.interrupts <- os.Interrupt
	c.WantStderr("once is not enough\n")
	c.interruptCell(cell)
}

// VS Code sends its interrupt_request on shell, where it would wait for the end of the cell that it is to stop:
// interrupt in https://github.com/microsoft/vscode-jupyter, src/kernels/raw/session/rawKernelConnection.node.ts
func TestInterruptOnShell(t *testing.T) {
	c := start(t, echo.New(), Options{})
	cell := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")
	c.Ask(wire.InterruptRequest{})
	c.WantBusy()
	c.WantReply(&wire.InterruptReply{})
	c.WantIdle()
	c.Follow(cell)
	c.WantError("Interrupted")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
}

func TestInterruptBetweenCells(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.AskControl(wire.InterruptRequest{})
	c.WantBusy()
	c.WantIdle()
	c.WantControlReply(&wire.InterruptReply{})
	// It does not wait for the next cell.
	c.Execute("1")
	c.WantBusy()
	c.WantExecuteInput("1")
	c.WantResult("1")
	c.WantOK()
	c.WantIdle()
}

func TestInput(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("print before\nprompt name?")
	c.WantBusy()
	c.WantExecuteInput("print before\nprompt name?")
	c.WantStdout("before\n")
	if r := c.WantInputRequest("name?"); r.Password {
		t.Error("a password is asked for")
	}
	c.Answer("Ada")
	c.WantStdout("Ada\n")
	c.WantOK()
	c.WantIdle()

	c.Execute("password secret?")
	c.WantBusy()
	c.WantExecuteInput("password secret?")
	if r := c.WantInputRequest("secret?"); !r.Password {
		t.Error("no password is asked for")
	}
	c.Answer("")
	c.WantStdout("\n")
	c.WantOK()
	c.WantIdle()

	// Ctrl-D is the end of the input.
	c.Execute("prompt name?")
	c.WantBusy()
	c.WantExecuteInput("prompt name?")
	c.WantInputRequest("name?")
	c.Answer("\x04")
	c.WantError("InputError")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
}

func TestInputWithoutStdin(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("prompt name?", func(r *wire.ExecuteRequest) { r.AllowStdin = false })
	c.WantBusy()
	c.WantExecuteInput("prompt name?")
	if e := c.WantError("InputError"); !strings.Contains(e.Value, "cannot be asked") {
		t.Errorf("got %q", e.Value)
	}
	c.WantFailed(wire.StatusError)
	c.WantIdle()
}

func TestInterruptWhileAsking(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Execute("prompt name?")
	c.WantBusy()
	c.WantExecuteInput("prompt name?")
	c.WantInputRequest("name?")
	c.interrupts <- os.Interrupt
	c.WantError("InputError")
	c.WantFailed(wire.StatusError)
	c.WantIdle()
	// The answer comes too late, and is not taken for the answer to the next question.
	c.Answer("too late")
	c.Execute("prompt again?")
	c.WantBusy()
	c.WantExecuteInput("prompt again?")
	c.WantInputRequest("again?")
	c.Answer("in time")
	c.WantStdout("in time\n")
	c.WantOK()
	c.WantIdle()
}

func TestLateOutputBelongsToTheCellThatMadeIt(t *testing.T) {
	eng := echo.New()
	c := start(t, eng, Options{})
	c.Execute("later hello")
	c.WantBusy()
	c.WantExecuteInput("later hello")
	c.WantOK()
	c.WantIdle()
	eng.Late <- struct{}{}
	c.WantStdout("hello\n")
}

func TestIsComplete(t *testing.T) {
	c := start(t, echo.New(), Options{})
	for code, want := range map[string]wire.IsCompleteReply{
		"print x":  {Status: wire.Complete},
		"print \\": {Status: wire.Incomplete, Indent: "  "},
		"?":        {Status: wire.Invalid},
	} {
		c.Ask(wire.IsCompleteRequest{Code: code})
		c.WantBusy()
		c.WantIdle()
		var got wire.IsCompleteReply
		c.WantReply(&got)
		if got != want {
			t.Errorf("%q: got %+v, want %+v", code, got, want)
		}
	}
}

func TestComplete(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Ask(wire.CompleteRequest{Code: "prîntéd\npr", CursorPos: 10})
	c.WantBusy()
	c.WantIdle()
	var r wire.CompleteReply
	c.WantReply(&r)
	if strings.Join(r.Matches, " ") != "print progress prompt" || r.CursorStart != 8 || r.CursorEnd != 10 ||
		len(r.Metadata.Types) != 3 || r.Metadata.Types[0].Type != "keyword" {
		t.Errorf("got %+v", r)
	}
	// A cursor outside the code is brought back in.
	for _, cursor := range []int{-1, 99} {
		c.Ask(wire.CompleteRequest{Code: "", CursorPos: cursor})
		c.WantBusy()
		c.WantIdle()
		c.WantReply(&r)
		if r.CursorStart != 0 || r.CursorEnd != 0 {
			t.Errorf("cursor %d: got %d, %d", cursor, r.CursorStart, r.CursorEnd)
		}
	}
}

func TestInspect(t *testing.T) {
	c := start(t, echo.New(), Options{})
	for code, want := range map[string]string{"print": "print is a command", "nothing": ""} {
		c.Ask(wire.InspectRequest{Code: code, CursorPos: 1})
		c.WantBusy()
		c.WantIdle()
		var r wire.InspectReply
		c.WantReply(&r)
		if r.Status != wire.StatusOK || r.Found != (want != "") || r.Data.Text(mime.Text) != want {
			t.Errorf("%s: got %+v", code, r)
		}
	}
}

// plain is an engine that can do nothing but evaluate.
type plain struct{ engine.Engine }

func TestPlainEngine(t *testing.T) {
	c := start(t, plain{echo.New()}, Options{})
	c.Ask(wire.IsCompleteRequest{Code: "x"})
	c.WantBusy()
	c.WantIdle()
	var i wire.IsCompleteReply
	if c.WantReply(&i); i.Status != wire.Unknown {
		t.Errorf("is_complete: got %+v", i)
	}
	c.Ask(wire.CompleteRequest{Code: "x", CursorPos: 1})
	c.WantBusy()
	c.WantIdle()
	var m wire.CompleteReply
	if c.WantReply(&m); m.Status != wire.StatusOK || m.Matches == nil || len(m.Matches) > 0 {
		t.Errorf("complete: got %+v", m)
	}
	c.Ask(wire.InspectRequest{Code: "x"})
	c.WantBusy()
	c.WantIdle()
	var n wire.InspectReply
	if c.WantReply(&n); n.Status != wire.StatusOK || n.Found || n.Data == nil {
		t.Errorf("inspect: got %+v", n)
	}
}

// other is a request that no kernel knows.
type other struct{}

func (other) MessageType() string { return "other_request" }

func TestUnknownRequest(t *testing.T) {
	c := start(t, echo.New(), Options{})
	r := wire.ErrorReply{For: "other_reply"}
	c.Ask(other{})
	c.WantBusy()
	c.WantIdle()
	if c.WantReply(&r); r.Status != wire.StatusError || !strings.Contains(r.Value, "other_request") {
		t.Errorf("shell: got %+v", r)
	}
	c.AskControl(other{})
	c.WantBusy()
	c.WantIdle()
	c.WantControlReply(&r)
}

// odd is an execute_request whose content is not one.
type odd struct {
	Code int `json:"code"`
}

func (odd) MessageType() string { return "execute_request" }

func TestOddContent(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Ask(odd{7})
	c.WantBusy()
	c.WantIdle()
	if r := c.WantFailed(wire.StatusError); !strings.Contains(r.Value, "malformed execute_request") {
		t.Errorf("got %+v", r)
	}
}

func TestShutdown(t *testing.T) {
	for _, restart := range []bool{false, true} {
		eng := echo.New()
		c := start(t, eng, Options{})
		c.WantShutdown(restart)
		c.WantBusy()
		var told wire.ShutdownReply
		if c.WantPublished(&told); told.Restart != restart {
			t.Errorf("the other front ends are told %+v", told)
		}
		c.WantIdle()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		<-eng.Closed()
		// The ports are free for the kernel that takes this one's place.
		again, err := wire.Listen(c.connection, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	}
}

func TestShutdownWhileACellRuns(t *testing.T) {
	for _, cell := range []string{"sleep", "hang"} {
		eng := echo.New()
		c := start(t, eng, Options{})
		c.Execute(cell)
		c.WantBusy()
		c.WantExecuteInput(cell)
		c.WantStdout(map[string]string{"sleep": "sleeping\n", "hang": "hanging\n"}[cell])
		c.WantShutdown(false)
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		<-eng.Closed()
	}
}

func TestBadMessagesAreDropped(t *testing.T) {
	c := start(t, echo.New(), Options{})
	header := []byte(`{"msg_id":"1","msg_type":"execute_request"}`)
	empty := []byte(`{}`)
	for range 3 {
		c.SendFrames([]byte("<IDS|MSG>"), []byte("00"), header, empty, empty, []byte(`{"code":"print no"}`))
		c.SendFrames([]byte("<IDS|MSG>"), nil, header, empty, empty, empty)
	}
	c.SendFrames(nil)
	c.SendFrames([]byte("<IDS|MSG>"))
	c.SendFrames([]byte("<IDS|MSG>"), []byte("00"), header, empty, empty)
	c.SendFrames([]byte("nothing"), []byte("that"), []byte("belongs"), []byte("here"))
	// The kernel is alive and has answered none of them.
	c.Execute("print yes")
	c.WantBusy()
	c.WantExecuteInput("print yes")
	c.WantStdout("yes\n")
	c.WantOK()
	c.WantIdle()
	// The log is not flooded: there is one warning of each kind.
	for _, kind := range []string{"bad signature", "malformed"} {
		n := 0
		for line := range strings.Lines(c.log.String()) {
			if strings.Contains(line, "level=WARN") && strings.Contains(line, kind) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("there are %d warnings of a %s:\n%s", n, kind, c.log)
		}
	}
}

func TestTwoFrontEnds(t *testing.T) {
	c := start(t, echo.New(), Options{})
	t.Run("second", func(t *testing.T) {
		second := kerneltest.Connect(t, c.connection)
		id := c.Execute("print hello")
		for _, client := range []*kerneltest.Client{c.Client, second} {
			client.Follow(id)
			client.WantBusy()
			client.WantExecuteInput("print hello")
			client.WantStdout("hello\n")
			client.WantIdle()
		}
		c.WantOK() // only who asked is answered
	})
}

func TestRunClosesTheEngineWhereItCannotListen(t *testing.T) {
	taken, err := wire.Listen(local, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	eng := echo.New()
	if err := Run(context.Background(), taken.Connection, eng, Options{}); err == nil ||
		!strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	<-eng.Closed()
	odd := local
	odd.SignatureScheme = "hmac-md5"
	if err := Run(context.Background(), odd, echo.New(), Options{}); err == nil ||
		!strings.Contains(err.Error(), `"hmac-md5"`) {
		t.Errorf("got %v", err)
	}
}

// historyOf asks for history and returns its JSON.
func historyOf(t *testing.T, c *kernel, r wire.HistoryRequest) []any {
	t.Helper()
	c.Ask(r)
	c.WantBusy()
	c.WantIdle()
	var raw rawHistory
	c.WantReply(&raw)
	if raw.Status != wire.StatusOK || raw.History == nil {
		t.Fatalf("history_reply: got %+v", raw)
	}
	return raw.History
}

// rawHistory is a history_reply as it is on the wire.
type rawHistory struct {
	Status  wire.Status `json:"status"`
	History []any       `json:"history"`
}

func (rawHistory) MessageType() string { return "history_reply" }

func TestHistory(t *testing.T) {
	c := start(t, echo.New(), Options{})
	for _, code := range []string{"1", "print x", "1", "2", "1\n2"} {
		c.Execute(code)
		c.WantBusy()
		c.WantExecuteInput(code)
		if code == "print x" {
			c.WantStdout("x\n")
		} else {
			c.WantResult(code[len(code)-1:])
		}
		c.WantOK()
		c.WantIdle()
	}
	three, stop, end := 3, 3, -1
	for _, test := range []struct {
		name    string
		request wire.HistoryRequest
		want    string
	}{
		{"tail", wire.HistoryRequest{Access: wire.HistoryTail, N: &three}, `[[1,3,"1"],[1,4,"2"],[1,5,"1\n2"]]`},
		{"tail with output", wire.HistoryRequest{Access: wire.HistoryTail, N: &three, Output: true},
			`[[1,3,["1","1"]],[1,4,["2","2"]],[1,5,["1\n2","2"]]]`},
		{"range", wire.HistoryRequest{Access: wire.HistoryRange, Start: 1, Stop: &stop}, `[[1,1,"1"],[1,2,"print x"]]`},
		{"range to the end", wire.HistoryRequest{Access: wire.HistoryRange, Session: 1, Start: 4},
			`[[1,4,"2"],[1,5,"1\n2"]]`},
		{"range from the end", wire.HistoryRequest{Access: wire.HistoryRange, Start: -2, Stop: &end}, `[[1,4,"2"]]`},
		{"range with output", wire.HistoryRequest{Access: wire.HistoryRange, Start: 2, Stop: &stop, Output: true},
			`[[1,2,["print x",null]]]`},
		{"another session", wire.HistoryRequest{Access: wire.HistoryRange, Session: -1}, `[]`},
		{"search", wire.HistoryRequest{Access: wire.HistorySearch, Pattern: "1*"}, `[[1,1,"1"],[1,3,"1"],[1,5,"1\n2"]]`},
		{"search unique", wire.HistoryRequest{Access: wire.HistorySearch, Pattern: "?", Unique: true},
			`[[1,3,"1"],[1,4,"2"]]`},
		{"search n", wire.HistoryRequest{Access: wire.HistorySearch, N: &three}, `[[1,3,"1"],[1,4,"2"],[1,5,"1\n2"]]`},
		{"search for what a regexp would read otherwise", wire.HistoryRequest{Access: wire.HistorySearch, Pattern: "(1|.)"},
			`[]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := json.Marshal(historyOf(t, c, test.request))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestHistoryOfEarlierSessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	for _, source := range []string{"first", "second"} {
		store, err := history.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Add(1, source); err != nil {
			t.Fatal(err)
		}
	}
	store, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(store)
	h.add(1, "third", nil)
	two, n := 2, 2
	for _, c := range []struct {
		request wire.HistoryRequest
		want    string
	}{
		{wire.HistoryRequest{Access: wire.HistoryTail}, "1/1 first, 2/1 second, 3/1 third"},
		{wire.HistoryRequest{Access: wire.HistoryTail, N: &n}, "2/1 second, 3/1 third"},
		{wire.HistoryRequest{Access: wire.HistoryRange, Session: -1, Start: 1, Stop: &two}, "2/1 second"},
		{wire.HistoryRequest{Access: wire.HistoryRange, Session: 1, Start: 1, Stop: &two}, "1/1 first"},
		{wire.HistoryRequest{Access: wire.HistorySearch, Pattern: "*ir*"}, "1/1 first, 3/1 third"},
	} {
		var got []string
		for _, e := range h.choose(c.request) {
			got = append(got, fmt.Sprintf("%d/%d %s", e.Session, e.Line, e.Source))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%+v: %s, want %s", c.request, s, c.want)
		}
	}
}
