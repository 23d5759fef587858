package session

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/session/internal/echo"
	"github.com/loupeml/loupe/kernel/wire"
)

func openComms(t *testing.T, c *kernel, target string) map[string]wire.CommInfo {
	t.Helper()
	c.Ask(wire.CommInfoRequest{TargetName: target})
	c.WantBusy()
	c.WantIdle()
	var r wire.CommInfoReply
	c.WantReply(&r)
	return r.Comms
}

func TestComm(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Ask(wire.CommOpen{CommID: "1", TargetName: "echo", Data: json.RawMessage("{}")})
	c.WantBusy()
	c.WantIdle()
	if open := openComms(t, c, ""); len(open) != 1 || open["1"].TargetName != "echo" {
		t.Errorf("open are %v", open)
	}
	if open := openComms(t, c, "another"); len(open) != 0 {
		t.Errorf("of another target are %v", open)
	}

	c.AskWith(wire.CommMsg{CommID: "1", Data: json.RawMessage(`{"say":"hello"}`)}, []byte("raw"), []byte{0, 0xff})
	c.WantBusy()
	c.WantStdout("echoed\n")
	var answer wire.CommMsg
	m := c.WantPublished(&answer)
	if answer.CommID != "1" || string(answer.Data) != `{"say":"hello"}` || len(m.Buffers) != 2 ||
		string(m.Buffers[0]) != "raw" || string(m.Buffers[1]) != "\x00\xff" {
		t.Errorf("%+v with buffers %q", answer, m.Buffers)
	}
	c.WantIdle()

	// A callback that fails has nobody who waits for an answer: it is told as text.
	c.Ask(wire.CommMsg{CommID: "1", Data: json.RawMessage(`{"say":"panic"}`)})
	c.WantBusy()
	c.WantStderr("Panic: no\ncell 1\n")
	c.WantIdle()

	c.Ask(wire.CommMsg{CommID: "1", Data: json.RawMessage(`{"say":"close"}`)})
	c.WantBusy()
	var closed wire.CommClose
	c.WantPublished(&closed)
	c.WantIdle()
	if open := openComms(t, c, ""); closed.CommID != "1" || len(open) != 0 {
		t.Errorf("closed is %v, open are %v", closed, open)
	}
}

func TestCommOfAnUnknownTargetIsClosed(t *testing.T) {
	c := start(t, echo.New(), Options{})
	c.Ask(wire.CommOpen{CommID: "2", TargetName: "nobody", Data: json.RawMessage("{}")})
	c.WantBusy()
	var closed wire.CommClose
	c.WantPublished(&closed)
	c.WantIdle()
	if closed.CommID != "2" {
		t.Errorf("closed is %q", closed.CommID)
	}
}

func (k *kernel) createSubshell(t *testing.T) string {
	t.Helper()
	k.AskControl(wire.CreateSubshellRequest{})
	k.WantBusy()
	k.WantIdle()
	var r wire.CreateSubshellReply
	k.WantControlReply(&r)
	if r.Status != wire.StatusOK || r.SubshellID == "" {
		t.Fatalf("%+v", r)
	}
	return r.SubshellID
}

func (k *kernel) subshells(t *testing.T) []string {
	t.Helper()
	k.AskControl(wire.ListSubshellRequest{})
	k.WantBusy()
	k.WantIdle()
	var r wire.ListSubshellReply
	k.WantControlReply(&r)
	return r.SubshellIDs
}

// A second cell runs while the first is busy.
func TestSubshell(t *testing.T) {
	c := start(t, echo.New(), Options{})
	if ids := c.subshells(t); len(ids) != 0 {
		t.Errorf("before any is made there are %v", ids)
	}
	id := c.createSubshell(t)
	if ids := c.subshells(t); len(ids) != 1 || ids[0] != id {
		t.Errorf("there are %v, not %s", ids, id)
	}
	sleeping := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")

	c.Subshell = id
	c.Execute("print meanwhile\n7")
	c.WantBusy()
	if n := c.WantExecuteInput("print meanwhile\n7"); n != 2 {
		t.Errorf("execution count: got %d, want 2", n)
	}
	c.WantStdout("meanwhile\n")
	c.WantResult("7")
	c.WantOK()
	c.WantIdle()
	// A failure aborts what waits in its own subshell only.
	c.Execute("err")
	c.WantBusy()
	c.WantExecuteInput("err")
	c.WantError("EchoError")
	c.WantFailed(wire.StatusError)
	c.WantIdle()

	c.Subshell = ""
	c.interruptCell(sleeping)

	c.AskControl(wire.DeleteSubshellRequest{SubshellID: id})
	c.WantBusy()
	c.WantIdle()
	c.WantControlReply(&wire.DeleteSubshellReply{})
	if ids := c.subshells(t); len(ids) != 0 {
		t.Errorf("after it was deleted there are %v", ids)
	}
	c.Subshell = id
	c.Execute("1")
	c.WantBusy()
	if r := c.WantFailed(wire.StatusError); !strings.Contains(r.Value, "no subshell") {
		t.Errorf("a cell for a subshell that is gone: %+v", r)
	}
	c.WantIdle()
	c.Subshell = ""
	for _, id := range []string{id, "", "another"} {
		c.AskControl(wire.DeleteSubshellRequest{SubshellID: id})
		c.WantBusy()
		c.WantIdle()
		r := wire.ErrorReply{For: "delete_subshell_reply"}
		c.WantControlReply(&r)
		if r.Status != wire.StatusError {
			t.Errorf("deleting %q: %+v", id, r)
		}
	}
}

// alone is an engine that runs one cell at a time.
type alone struct{ *echo.Engine }

func (alone) Concurrent() bool { return false }

// Stop means the cell in the main shell, and what runs in subshells only where there is none.
func TestInterruptReachesTheMainShellFirst(t *testing.T) {
	c := start(t, echo.New(), Options{})
	id := c.createSubshell(t)
	sleep := func(subshell string) string {
		c.Subshell = subshell
		cell := c.Execute("sleep")
		c.WantBusy()
		c.WantExecuteInput("sleep")
		c.WantStdout("sleeping\n")
		return cell
	}
	beside, first := sleep(id), sleep("")
	c.interruptCell(first)
	second := sleep("")
	c.interruptCell(second) // the one beside still sleeps, and is not reached by the second interrupt either
	c.interruptCell(beside)
	c.Subshell = ""
	c.Execute("1")
	c.WantBusy()
	c.WantExecuteInput("1")
	c.WantResult("1")
	c.WantOK()
	c.WantIdle()
}

func TestNoSubshellsWhereCellsRunOneAfterTheOther(t *testing.T) {
	c := start(t, alone{echo.New()}, Options{})
	c.AskControl(wire.CreateSubshellRequest{})
	c.WantBusy()
	c.WantIdle()
	r := wire.ErrorReply{For: "create_subshell_reply"}
	c.WantControlReply(&r)
	if r.Status != wire.StatusError {
		t.Errorf("%+v", r)
	}
	c.Ask(wire.KernelInfoRequest{})
	c.WantBusy()
	c.WantIdle()
	var info wire.KernelInfoReply
	c.WantReply(&info)
	if len(info.SupportedFeatures) != 0 {
		t.Errorf("features: %v", info.SupportedFeatures)
	}
}
