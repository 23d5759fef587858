package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/session/internal/echo"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/comm"
)

// noting is an engine that notes which messages of comms it gets, and whether two of one comm come at a time.
type noting struct {
	*echo.Engine
	mu    sync.Mutex // guards the fields below
	got   []string
	now   map[string]bool
	twice bool
}

func newNoting() *noting { return &noting{Engine: echo.New(), now: map[string]bool{}} }

func (n *noting) Comm(ctx context.Context, m comm.Message, out engine.Output) (*engine.Failure, error) {
	n.mu.Lock()
	n.got = append(n.got, string(m.Kind)+" "+m.ID)
	n.twice = n.twice || n.now[m.ID]
	n.now[m.ID] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.now, m.ID)
		n.mu.Unlock()
	}()
	return n.Engine.Comm(ctx, m, out)
}

func (n *noting) messages() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

func (k *kernel) wantEcho(request string) {
	k.Follow(request)
	k.WantBusy()
	k.WantStdout("echoed\n")
	k.WantPublished(&wire.CommMsg{})
	k.WantIdle()
}

var hello = json.RawMessage(`{"say":"hello"}`)

// JupyterLab opens a comm on the main shell, and sends what follows to a subshell as soon as it has one.
func TestMessagesOfACommKeepTheirOrder(t *testing.T) {
	eng := newNoting()
	c := start(t, eng, Options{})
	id := c.createSubshell(t)
	sleeping := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")
	opening := c.Ask(wire.CommOpen{CommID: "1", TargetName: "echo", Data: json.RawMessage("{}")})
	c.Subshell = id
	saying := c.Ask(wire.CommMsg{CommID: "1", Data: hello})
	c.wantEcho(c.Ask(wire.CommMsg{CommID: "2", Data: hello})) // which nothing holds up
	c.Subshell = ""
	c.interruptCell(sleeping)
	c.Follow(opening)
	c.WantBusy()
	c.WantIdle()
	c.wantEcho(saying)
	if got, want := eng.messages(), []string{"comm_msg 2", "comm_open 1", "comm_msg 1"}; !slices.Equal(got, want) {
		t.Errorf("the engine got %v, want %v", got, want)
	}
	// Nothing of it waits any more: the subshell is the comm's own again.
	sleeping = c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")
	c.Subshell = id
	c.wantEcho(c.Ask(wire.CommMsg{CommID: "1", Data: hello}))
	c.Subshell = ""
	c.interruptCell(sleeping)
}

// JupyterLab deletes a subshell when it closes the last comm there, on another socket.
func TestNothingIsLostWithASubshell(t *testing.T) {
	eng := newNoting()
	c := start(t, eng, Options{})
	c.Subshell = c.createSubshell(t)
	sleeping := c.Execute("sleep")
	c.WantBusy()
	c.WantExecuteInput("sleep")
	c.WantStdout("sleeping\n")
	waiting := c.Ask(wire.CommMsg{CommID: "1", Data: hello})
	// The message has arrived once one behind it, for the main shell, has been answered.
	id := c.Subshell
	c.Subshell = ""
	c.Ask(wire.KernelInfoRequest{})
	c.WantBusy()
	c.WantReply(&wire.KernelInfoReply{})
	c.WantIdle()
	c.AskControl(wire.DeleteSubshellRequest{SubshellID: id})
	c.WantBusy()
	c.WantIdle()
	c.WantControlReply(&wire.DeleteSubshellReply{})
	c.Subshell = id
	c.Ask(wire.CommClose{CommID: "2", Data: json.RawMessage("{}")}) // for the subshell that is gone
	c.WantBusy()
	c.WantIdle()
	c.Subshell = ""
	c.interruptCell(sleeping)
	c.wantEcho(waiting)
	if got, want := eng.messages(), []string{"comm_close 2", "comm_msg 1"}; !slices.Equal(got, want) {
		t.Errorf("the engine got %v, want %v", got, want)
	}
}

// Messages of comms arrive on several shells at a time, while shells come and go.
func TestCommsOnManyShells(t *testing.T) {
	eng := newNoting()
	c := start(t, eng, Options{})
	shells := []string{"", c.createSubshell(t), c.createSubshell(t)}
	var asked []string
	for i := range 120 {
		if i%40 == 39 {
			c.Subshell = ""
			gone := c.createSubshell(t)
			c.Subshell = gone
			asked = append(asked, c.Ask(wire.CommMsg{CommID: "gone", Data: hello}))
			c.AskControl(wire.DeleteSubshellRequest{SubshellID: gone})
			c.WantBusy()
			c.WantIdle()
			c.WantControlReply(&wire.DeleteSubshellReply{})
		}
		c.Subshell = shells[i%len(shells)]
		asked = append(asked, c.Ask(wire.CommMsg{CommID: fmt.Sprint(i % 4), Data: hello}))
	}
	c.Subshell = ""
	for _, id := range asked {
		c.wantEcho(id)
	}
	if eng.twice {
		t.Error("two messages of one comm were dealt with at a time")
	}
}
