package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/loupeml/loupe/kernel/session/internal/echo"
	"github.com/loupeml/loupe/kernel/wire"
)

// A hundred thousand messages that are none, or of strangers, cost nothing but a line of the log each.
func TestMalformedMessages(t *testing.T) {
	many := 100_000
	if testing.Short() {
		many = 3_000
	}
	c := start(t, echo.New(), Options{})
	var sockets []zmq4.Socket
	for _, port := range []int{c.connection.ShellPort, c.connection.ControlPort, c.connection.StdinPort} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := zmq4.NewDealer(ctx)
		if err := s.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", port)); err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, s)
	}
	before := memoryInUse()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range many {
		if err := sockets[i%len(sockets)].SendMulti(zmq4.NewMsgFrom(malformed(random)...)); err != nil {
			t.Fatalf("message %d: %v; %s", i, err, tail(c.log.String()))
		}
	}
	// They are dealt with when there is a line for each.
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		lines := strings.Count(c.log.String(), "msg=dropped") + strings.Count(c.log.String(), `msg="dropped`)
		if lines == many {
			break
		}
		if lines > many || time.Now().After(end) {
			t.Fatalf("%d lines tell of %d messages; %s", lines, many, tail(c.log.String()))
		}
	}
	c.Execute("7")
	c.WantBusy()
	c.WantExecuteInput("7")
	c.WantResult("7")
	c.WantOK()
	c.WantIdle()
	c.Beat()
	if grown := memoryInUse() - before; grown > 20<<20+c.log.size() {
		t.Errorf("%d messages that were dropped have left %d MB", many, grown>>20)
	}
}

func memoryInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// malformed makes a message that the kernel must not act on.
func malformed(random *rand.Rand) [][]byte {
	header := []byte(
		fmt.Sprintf(`{"msg_id":"%d","session":"s","username":"u","date":"","msg_type":"shutdown_request","version":"5.5"}`,
			random.Int()))
	parts := [][]byte{header, []byte("{}"), []byte("{}"), []byte(`{"restart":false}`)}
	sign := func(key string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		for _, p := range parts {
			h.Write(p)
		}
		return []byte(hex.EncodeToString(h.Sum(nil)))
	}
	signature := sign(local.Key)
	nonsense := func() []byte {
		b := make([]byte, random.IntN(200))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	delimiter := []byte("<IDS|MSG>")
	switch random.IntN(9) {
	case 0: // another's key
		signature = sign("not the key")
	case 1: // changed on the way
		i := random.IntN(len(parts))
		parts[i] = append(append([]byte(nil), parts[i]...), ' ')
	case 2: // a signature that is none
		signature = nonsense()
	case 3: // frames are missing
		parts = parts[:random.IntN(len(parts))]
	case 4: // no delimiter
		delimiter = nonsense()
	case 5: // signed, and not JSON
		parts[random.IntN(len(parts))] = append([]byte("{\x00"), nonsense()...)
		signature = sign(local.Key)
	case 6: // signed JSON of another kind
		parts[random.IntN(len(parts))] = [][]byte{[]byte("[]"), []byte("7"), []byte(`"x"`), []byte("true"),
			[]byte(strings.Repeat("[", 20_000))}[random.IntN(5)]
		signature = sign(local.Key)
	case 7: // signed, with a header that has the wrong types, or no type at all
		parts[0] = [][]byte{[]byte(`{"msg_type":7}`), []byte(`{"msg_type":"shutdown_request","session":{}}`), []byte(`{}`),
			[]byte(`{"msg_type":""}`)}[random.IntN(4)]
		signature = sign(local.Key)
	case 8: // one frame, of anything
		return [][]byte{append([]byte("x"), nonsense()...)}
	}
	frames := append([][]byte{delimiter, signature}, parts...)
	if random.IntN(4) == 0 {
		frames = append([][]byte{nonsense()}, frames...)
	}
	return frames
}

// What is signed and has a content that is none of its type's is refused, and each refusal is logged.
func TestContentOfTheWrongShape(t *testing.T) {
	c := start(t, echo.New(), Options{})
	for i, request := range []wrong{
		{"execute_request", `{"code":7}`}, {"execute_request", `{"code":"1","user_expressions":[]}`},
		{"complete_request", `{"code":"x","cursor_pos":"here"}`}, {"inspect_request", `{"code":{}}`},
		{"is_complete_request", `{"code":[]}`},
		{"history_request", `{"hist_access_type":5}`}, {"comm_info_request", `{"target_name":1}`},
		{"shutdown_request", `{"restart":"yes"}`},
		{"comm_open", `{"comm_id":1}`}, {"comm_msg", `{"comm_id":{}}`},
	} {
		c.Ask(request)
		c.WantBusy()
		c.WantIdle()
		r := wire.ErrorReply{For: replyTo(&wire.Message{Header: wire.Header{Type: request.kind}})}
		c.WantReply(&r)
		if r.Status != wire.StatusError || !strings.Contains(r.Value, request.kind) {
			t.Errorf("%s %s: %+v", request.kind, request.content, r)
		}
		if n := strings.Count(c.log.String(), "msg=refused"); n != i+1 {
			t.Errorf("%d lines tell of %d messages", n, i+1)
		}
	}
	c.Execute("7")
	c.WantBusy()
	c.WantExecuteInput("7")
	c.WantResult("7")
	c.WantOK()
	c.WantIdle()
}

// wrong is content that is what it says, whatever its type.
type wrong struct{ kind, content string }

func (w wrong) MessageType() string          { return w.kind }
func (w wrong) MarshalJSON() ([]byte, error) { return []byte(w.content), nil }

var _ wire.Content = wrong{}

// tail returns the last lines that tell of something else than a message.
func tail(log string) string {
	var out []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "dropped") {
			out = append(out, line)
		}
	}
	return strings.Join(out[max(0, len(out)-20):], "")
}
