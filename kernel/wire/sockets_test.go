package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

func listening(t testing.TB, c Connection) *Sockets {
	t.Helper()
	s, err := Listen(c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var local = Connection{Transport: "tcp", IP: "127.0.0.1", Key: testKey, SignatureScheme: "hmac-sha256"}

// dial connects one of zmq4's own sockets.
func dial(t testing.TB, make func(context.Context, ...zmq4.Option) zmq4.Socket, port int,
	options ...zmq4.Option) zmq4.Socket {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s := make(ctx, options...)
	if err := s.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", port)); err != nil {
		t.Fatal(err)
	}
	return s
}

func receive(t testing.TB, s zmq4.Socket) Message {
	t.Helper()
	raw, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(raw.Frames, testSigner(t, testKey))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask sends a request on shell and wants it to be answered: the socket works.
func ask(t testing.TB, s *Sockets, from zmq4.Socket, content []byte) {
	t.Helper()
	request, err := NewMessage("client", nil, KernelInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	request.Metadata = content
	if err := from.SendMulti(zmq4.NewMsgFrom(request.Frames(testSigner(t, testKey))...)); err != nil {
		t.Fatal(err)
	}
	got := <-s.Shell.Messages()
	if !bytes.Equal(got.Metadata, content) {
		t.Errorf("%d bytes of metadata became %d", len(content), len(got.Metadata))
	}
	answer, err := NewMessage("test", &got, KernelInfoReply{Banner: string(got.Metadata)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shell.Send(answer); err != nil {
		t.Fatal(err)
	}
	m := receive(t, from)
	var reply KernelInfoReply
	if err := m.Decode(&reply); err != nil || reply.Banner != string(content) || m.ParentID() != request.Header.ID {
		t.Errorf("the answer is %.200s", m.Content)
	}
}

func TestRouterAnswersWhoAsked(t *testing.T) {
	s := listening(t, local)
	port := s.Connection.ShellPort
	named := dial(t, zmq4.NewDealer, port, zmq4.WithID(zmq4.SocketIdentity("named")))
	other := dial(t, zmq4.NewDealer, port)
	for range 3 {
		ask(t, s, named, []byte(`{"who":"named"}`))
		ask(t, s, other, []byte(`{"who":"other"}`))
	}
}

func TestBigMessage(t *testing.T) {
	s := listening(t, local)
	c := dial(t, zmq4.NewDealer, s.Connection.ShellPort)
	ask(t, s, c, []byte(`{"big":"`+strings.Repeat("x", 5<<20)+`"}`))
}

func TestNoPeer(t *testing.T) {
	s := listening(t, local)
	m, err := NewMessage("test", nil, KernelStatus{Idle})
	if err != nil {
		t.Fatal(err)
	}
	for _, identities := range [][][]byte{nil, {[]byte("nobody")}} {
		m.Identities = identities
		if err := s.Shell.Send(m); err != ErrNoPeer {
			t.Errorf("got %v, want ErrNoPeer", err)
		}
	}
}

func TestReconnect(t *testing.T) {
	s := listening(t, local)
	for range 3 {
		c := dial(t, zmq4.NewDealer, s.Connection.ShellPort, zmq4.WithID(zmq4.SocketIdentity("the same")))
		ask(t, s, c, []byte(`{}`))
		c.Close()
	}
}

// rawPeer is a connection that speaks, or does not speak, ZMTP byte by byte.
func rawPeer(t *testing.T, port int, bytes string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	return c
}

const greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func ready(socketType string) string {
	body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(rune(len(socketType))) + socketType
	return "\x04" + string(rune(len(body))) + body
}

// Anybody who can reach the port can send these; each made zmq4's own sockets wait forever, or ended the process.
func TestHostilePeers(t *testing.T) {
	if len(greeting) != 64 {
		t.Fatalf("a greeting has 64 bytes, not %d", len(greeting))
	}
	for name, bytes := range map[string]string{
		"says nothing": "",
		"speaks HTTP": "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: something that is long enough " +
			"to fill a greeting\r\n\r\n",
		"stops after the greeting":     greeting,
		"cut property":                 greeting + "\x04\x08\x05READY\x0bS",
		"unknown socket type":          greeting + ready("SURPRISE"),
		"a socket type that cannot be": greeting + ready("PUB"),
		"frame of 2^62 bytes":          greeting + ready("DEALER") + "\x02\x40\x00\x00\x00\x00\x00\x00\x00",
		"frame of 2^40 bytes":          greeting + ready("DEALER") + "\x02\x00\x00\x01\x00\x00\x00\x00\x00",
		"command of 2^40 bytes":        greeting + "\x06\x00\x00\x01\x00\x00\x00\x00\x00",
		"frames without end":           greeting + ready("DEALER") + strings.Repeat("\x01\x00", 100_000),
		"a message without end": greeting + ready("DEALER") + strings.Repeat("\x01\x00", 2) +
			"\x03\x00\x00\x00\x00\x1f\xff\xff\xff",
		"empty command": greeting + ready("DEALER") + "\x04\x00",
		"cut command":   greeting + ready("DEALER") + "\x04\x01\xff",
		"empty message": greeting + ready("DEALER") + "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			s := listening(t, local)
			for _, port := range []int{s.Connection.ShellPort, s.Connection.IOPubPort, s.Connection.HBPort} {
				rawPeer(t, port, bytes)
				if c := rawPeer(t, port, bytes); len(bytes) > 0 {
					c.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, c) // until it is refused
				}
			}
			ask(t, s, dial(t, zmq4.NewDealer, s.Connection.ShellPort), []byte(`{}`))
		})
	}
}

func TestHeartbeat(t *testing.T) {
	s := listening(t, local)
	c := dial(t, zmq4.NewReq, s.Connection.HBPort)
	for range 3 {
		if err := c.Send(zmq4.NewMsgString("ping")); err != nil {
			t.Fatal(err)
		}
		if m, err := c.Recv(); err != nil || string(m.Bytes()) != "ping" {
			t.Errorf("got %v, %v", m, err)
		}
	}
}

func subscribe(t *testing.T, s *Sockets, topic string) zmq4.Socket {
	t.Helper()
	c := dial(t, zmq4.NewSub, s.Connection.IOPubPort)
	if err := c.SetOption(zmq4.OptionSubscribe, topic); err != nil {
		t.Fatal(err)
	}
	m := receive(t, c)
	var w IOPubWelcome
	if err := m.Decode(&w); err != nil || m.Header.Type != "iopub_welcome" || w.Subscription != topic {
		t.Fatalf("got %s %s, want a welcome", m.Header.Type, m.Content)
	}
	return c
}

func publish(t *testing.T, s *Sockets, content Content) {
	t.Helper()
	m, err := NewMessage("test", nil, content)
	if err != nil {
		t.Fatal(err)
	}
	s.IOPub.Send(m)
}

func TestPublisher(t *testing.T) {
	s := listening(t, local)
	all, streams := subscribe(t, s, ""), subscribe(t, s, "stream")
	publish(t, s, KernelStatus{Busy})
	publish(t, s, Stream{Name: "stdout", Text: "<&>\u2028"})
	publish(t, s, KernelStatus{Idle})
	for _, want := range []string{"status", "stream", "status"} {
		if m := receive(t, all); m.Header.Type != want {
			t.Errorf("got %s, want %s", m.Header.Type, want)
		}
	}
	if m := receive(t, streams); m.Header.Type != "stream" || !strings.Contains(string(m.Content), "<&>") {
		t.Errorf("got %s %s", m.Header.Type, m.Content)
	}
}

// A console that was suspended does not read. Nobody else may wait for it.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	s := listening(t, local)
	s.IOPub.endpoint.most = 4 << 20
	suspended := rawPeer(t, s.Connection.IOPubPort, greeting+ready("SUB")+"\x00\x01\x01")
	hello := make([]byte, 64)
	if _, err := io.ReadFull(suspended, hello); err != nil {
		t.Fatal(err)
	}
	for subscribed := false; !subscribed; time.Sleep(time.Millisecond) {
		s.IOPub.mu.Lock()
		subscribed = len(s.IOPub.topics) == 1
		s.IOPub.mu.Unlock()
	}
	reads := subscribe(t, s, "")
	text := strings.Repeat("x", 1<<20)
	for range 20 { // more than is kept for a peer and in the connection
		publish(t, s, Stream{Name: "stdout", Text: text})
		if m := receive(t, reads); len(m.Content) < len(text) {
			t.Fatal("cut short")
		}
	}
	s.IOPub.mu.Lock()
	left := len(s.IOPub.topics)
	s.IOPub.mu.Unlock()
	if left != 1 {
		t.Errorf("%d subscribers, want the one that reads", left)
	}
}

func TestCloseDeliversWhatWasSent(t *testing.T) {
	s := listening(t, local)
	c := subscribe(t, s, "")
	for range 1000 {
		publish(t, s, KernelStatus{Idle})
	}
	s.Close()
	for range 1000 {
		receive(t, c)
	}
}

func TestIPC(t *testing.T) {
	c := local
	c.Transport, c.IP = "ipc", t.TempDir()+"/k"
	c.ShellPort, c.ControlPort, c.StdinPort, c.IOPubPort, c.HBPort = 1, 2, 3, 4, 5
	s := listening(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	shell := zmq4.NewDealer(ctx)
	if err := shell.Dial("ipc://" + c.IP + "-1"); err != nil {
		t.Fatal(err)
	}
	ask(t, s, shell, []byte(`{}`))
}

func TestListenRefuses(t *testing.T) {
	taken := listening(t, local)
	for want, c := range map[string]Connection{
		"address already in use": taken.Connection,
		`transport "inproc"`:     {Transport: "inproc"},
		`signature_scheme`:       {Key: "k", SignatureScheme: "hmac-md5"},
	} {
		if s, err := Listen(c, "test", nil); err == nil || !strings.Contains(err.Error(), want) {
			if s != nil {
				s.Close()
			}
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Anything at all may follow a good greeting: it costs that connection at most.
func FuzzPeer(f *testing.F) {
	f.Add([]byte("\x00\x02hi"))
	f.Add([]byte("\x01\x00\x00\x09<IDS|MSG>"))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x01x\x04\x05\x04PING"))
	f.Add([]byte("\x01\x09<IDS|MSG>\x01\x00\x01\x02{}\x01\x02{}\x01\x02{}\x00\x02{}"))
	s := listening(f, local)
	good := dial(f, zmq4.NewDealer, s.Connection.ShellPort)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, port := range []int{s.Connection.ShellPort, s.Connection.ControlPort, s.Connection.StdinPort,
			s.Connection.IOPubPort, s.Connection.HBPort} {
			kind := map[int]string{s.Connection.IOPubPort: "SUB", s.Connection.HBPort: "REQ"}[port]
			if kind == "" {
				kind = "DEALER"
			}
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte(greeting + ready(kind)))
			c.Write(text)
			c.(*net.TCPConn).CloseWrite()
			c.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%q on port %d: the connection stays open", text, port)
			}
			c.Close()
		}
		ask(t, s, good, []byte(`{}`))
	})
}

// A front end may ask whether its connection still lives while the kernel answers it.
// https://rfc.zeromq.org/spec/37/#heartbeating
func TestPingIsAnsweredBetweenMessages(t *testing.T) {
	s := listening(t, local)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Connection.ShellPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	z, err := zmq4.Open(conn, null.Security(), zmq4.Dealer, zmq4.SocketIdentity("pinging"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	request, err := NewMessage("client", nil, KernelInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := z.SendMsg(zmq4.NewMsgFrom(request.Frames(testSigner(t, testKey))...)); err != nil {
		t.Fatal(err)
	}
	got := <-s.Shell.Messages()
	const times = 50
	go func() {
		for range times {
			if answer, err := NewMessage("test", &got, KernelInfoReply{Banner: strings.Repeat("x", 300)}); err == nil {
				s.Shell.Send(answer)
			}
		}
	}()
	go func() {
		for range times {
			z.SendCmd(zmq4.CmdPing, []byte{0, 0})
		}
	}()
	for pongs, answers := 0, 0; pongs < times || answers < times; {
		m, err := z.RecvMsg()
		if err != nil {
			t.Fatalf("after %d answers to pings and %d to requests: %v", pongs, answers, err)
		}
		if m.Type == zmq4.CmdMsg {
			pongs++
		} else if _, err := Parse(m.Frames, testSigner(t, testKey)); err != nil {
			t.Fatal(err)
		} else {
			answers++
		}
	}
}
