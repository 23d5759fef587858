package jobs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/loupeml/loupe/lib/sweep"
)

// listening are the TCP ports that this process listens on, as the system has them.
func listening(t *testing.T) (ports []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: needs Linux's /proc")
	}
	mine := map[string]bool{}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			mine[to] = true
		}
	}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			// Address, state (0A is listening) and the socket's number are fields of
			// https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html.
			fields := strings.Fields(lines.Text())
			if len(fields) > 9 && fields[3] == "0A" && mine["socket:["+fields[9]+"]"] {
				ports = append(ports, fields[1])
			}
		}
		f.Close()
	}
	return ports
}

func TestNoPortIsOpenUnlessAskedFor(t *testing.T) {
	before := listening(t)
	s, err := StartServer(t.TempDir(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if now := listening(t); !slices.Equal(now, before) {
		t.Errorf("with a server within it listens on %v, without it on %v", now, before)
	}
	socket := strings.TrimPrefix(s.Connection().URL, "unix://")
	info, err := os.Stat(filepath.Dir(socket))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder is %v", info.Mode())
	}
	open, err := StartServer(t.TempDir(), Listen{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if now := listening(t); len(now) != len(before)+1 {
		t.Errorf("with --listen it listens on %v, without a server on %v", now, before)
	}
}

// refusedBy is what a worker ends with at a server.
func refusedBy(t *testing.T, at Connection) string {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	at.Wait = true
	err := Worker{Name: "w", Version: "test", Cache: t.TempDir()}.Run(ctx, at)
	if err == nil {
		t.Errorf("a worker at %+v is still there after a minute", at)
		return ""
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("it is more than a sentence: %v", err)
	}
	return err.Error()
}

// joins tells whether a worker is let in.
func joins(t *testing.T, at Connection) {
	t.Helper()
	conn, _, err := at.dial(context.Background(), "test", t.Logf)
	if err != nil {
		t.Errorf("%+v: %v", at, err)
		return
	}
	if err := conn.FlushTimeout(10 * time.Second); err != nil {
		t.Error(err)
	}
	conn.Close()
}

// A worker that is not let in ends with a sentence that says why, though it would wait for a server that is away.
func TestWhoIsLetIn(t *testing.T) {
	folder, other := t.TempDir(), t.TempDir()
	s, err := StartServer(folder, Listen{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := StartServer(other, Listen{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	in := func(folder, file string) string { return filepath.Join(folder, file) }
	tlsURL := "tls://" + s.listened
	good := Connection{URL: tlsURL, NKey: in(folder, nkeyFile), CA: in(folder, caFile)}
	joins(t, good)
	joins(t, s.Connection()) // by the socket, while the port takes TLS and a key
	plain := good
	plain.URL = "nats://" + s.listened // the server says that it takes TLS
	joins(t, plain)

	text := in(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("SUNOSEED\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bare, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true,
		NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go bare.Start()
	defer bare.Shutdown()
	if !bare.ReadyForConnections(30 * time.Second) {
		t.Fatal("the bare server does not start")
	}
	for what, test := range map[string]struct {
		at   Connection
		want string
	}{
		"another key": {Connection{URL: tlsURL, NKey: in(other, nkeyFile), CA: in(folder, caFile)},
			"does not take the key in " + in(other, nkeyFile)},
		"no key, and another server is away": {Connection{URL: tlsURL + ",tls://127.0.0.1:1", CA: in(folder, caFile)},
			"this one has none: give it with --nkey"},
		"no key": {Connection{URL: tlsURL, CA: in(folder, caFile)}, "this one has none: give it with --nkey"},
		"another authority": {Connection{URL: tlsURL, NKey: good.NKey, CA: in(other, caFile)},
			"not signed by the one in"},
		"no authority":           {Connection{URL: tlsURL, NKey: good.NKey}, "give the ca.pem of the sweep with --tls-ca"},
		"no TLS, no authority":   {Connection{URL: plain.URL, NKey: good.NKey}, "give the ca.pem of the sweep with --tls-ca"},
		"a key that is none":     {Connection{URL: tlsURL, NKey: text, CA: good.CA}, "holds no seed of an nkey"},
		"a key that is not here": {Connection{URL: tlsURL, NKey: "/no/worker.nk", CA: good.CA}, "no such file"},
		"credentials that are none": {Connection{URL: tlsURL, Creds: text, CA: good.CA},
			"are no credentials of NATS"},
		"an authority that is none": {Connection{URL: tlsURL, NKey: good.NKey, CA: text}, "holds no certificate"},
		"no address":                {Connection{URL: "here"}, "is no address of a NATS server"},
		"TLS where there is none": {Connection{URL: bare.ClientURL(), CA: good.CA},
			"it has no TLS"},
		"a key where none is asked for": {Connection{URL: bare.ClientURL(), NKey: good.NKey}, "it asks for no key"},
	} {
		t.Run(what, func(t *testing.T) {
			if got := refusedBy(t, test.at); !strings.Contains(got, test.want) {
				t.Errorf("it ends with %q, not with %q", got, test.want)
			}
		})
	}

	// A sweep cannot be handed out by a server without JetStream.
	st := newSetting(t)
	planned(t, st.store, grid(t, 1, 1, "nothing"))
	store, err := sweep.OpenStore(st.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = Coordinator{Store: store, Sweep: "test", Version: "test"}.Run(context.Background(),
		Connection{URL: bare.ClientURL()})
	if err == nil || !strings.Contains(err.Error(), "the server has no JetStream") {
		t.Errorf("without JetStream: %v", err)
	}
}

// A worker ends when the server that it was at takes its key no more. What other workers were given stays good when a
// server is started again.
func TestKeysStayUntilTheyAreMadeAnew(t *testing.T) {
	folder := t.TempDir()
	s, err := StartServer(folder, Listen{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	address := s.listened
	given := func() string {
		var text string
		for _, file := range []string{nkeyFile, caFile} {
			raw, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			text += string(raw)
		}
		return text
	}
	was := given()
	kept := t.TempDir()
	at := Connection{URL: "tls://" + address, NKey: filepath.Join(kept, nkeyFile), CA: filepath.Join(kept, caFile),
		Wait: true}
	for _, file := range []string{nkeyFile, caFile} {
		raw, err := os.ReadFile(filepath.Join(folder, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(kept, file), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	heard, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- Worker{Name: "w", Version: "test", Cache: kept, Say: func(format string, args ...any) {
			heard <- fmt.Sprintf(format, args...)
		}}.Run(ctx, at)
	}()
	eventually(t, "the worker is there", func() bool { return s.nats.NumClients() > 0 })
	s.Close()
	if s, err = StartServer(folder, Listen{Address: address}); err != nil {
		t.Fatal(err)
	}
	if given() != was {
		t.Error("a server that is started again has another key or authority")
	}
	for !strings.Contains(<-heard, "is back") {
	}
	s.Close()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, nkeyFile), seed, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s, err = StartServer(folder, Listen{Address: address}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "does not take the key in "+at.NKey) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("a worker whose key is refused goes on")
	}
}
