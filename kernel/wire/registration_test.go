package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"
)

// registry is who starts kernels, on a socket of zmq4's own.
func registry(t *testing.T) (socket zmq4.Socket, port int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	socket = zmq4.NewRouter(ctx)
	if err := socket.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	fmt.Sscanf(socket.Addr().String(), "127.0.0.1:%d", &port)
	return socket, port
}

// registrationFile writes one with further fields, or others in the place of those that it has.
func registrationFile(t *testing.T, port int, more map[string]any) string {
	t.Helper()
	fields := map[string]any{
		"kernel_id": "k-1", "transport": "tcp", "registration_ip": "127.0.0.1", "registration_port": port,
		"signature_scheme": "hmac-sha256", "key": testKey,
	}
	for name, value := range more {
		fields[name] = value
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "registration.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRegister(t *testing.T) {
	socket, port := registry(t)
	path := registrationFile(t, port, map[string]any{"registration_port": fmt.Sprint(port)}) // some write it as text
	c, err := ReadConnection(path)
	if err != nil {
		t.Fatal(err)
	}
	s := listening(t, c)
	signer := testSigner(t, testKey)
	done := make(chan error, 1)
	go func() { done <- s.Register(context.Background()) }()
	m, err := socket.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Frames) != 4 || string(m.Frames[1]) != string(delimiter) || signer.verify(m.Frames[2], m.Frames[3:]) != nil {
		t.Fatalf("the kernel says %q", m.Frames)
	}
	var told map[string]string
	if err := json.Unmarshal(m.Frames[3], &told); err != nil {
		t.Fatal(err)
	}
	want := s.Connection
	if told["kernel_id"] != "k-1" || len(told) != 6 {
		t.Errorf("told %v", told)
	}
	for name, number := range map[string]int{"shell_port": want.ShellPort, "control_port": want.ControlPort,
		"stdin_port": want.StdinPort, "iopub_port": want.IOPubPort, "hb_port": want.HBPort} {
		if number == 0 || told[name] != fmt.Sprint(number) {
			t.Errorf("%s is %d, told %q", name, number, told[name])
		}
	}
	ack := []byte("ACK")
	if err := socket.Send(zmq4.NewMsgFrom(m.Frames[0], delimiter, signer.sign([][]byte{ack}), ack)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	// Others find the kernel by a connection file.
	dir := t.TempDir()
	written, err := s.Connection.WriteFile(dir, path)
	if err != nil || written != filepath.Join(dir, "kernel-k-1.json") {
		t.Fatal(written, err)
	}
	if info, err := os.Stat(written); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	read, err := ReadConnection(written)
	want.Registration = nil
	if err != nil || read != want {
		t.Errorf("read %+v, want %+v: %v", read, want, err)
	}
	// Where the registration file has that name, it stays.
	if again, err := s.Connection.WriteFile(dir, written); err != nil ||
		again != filepath.Join(dir, "kernel-k-1-connection.json") {
		t.Error(again, err)
	}
}

func TestAnAcknowledgementOfSomebodyElse(t *testing.T) {
	socket, port := registry(t)
	c, err := ReadConnection(registrationFile(t, port, nil))
	if err != nil {
		t.Fatal(err)
	}
	s := listening(t, c)
	done := make(chan error, 1)
	go func() { done <- s.Register(context.Background()) }()
	m, err := socket.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Send(zmq4.NewMsgFrom(m.Frames[0], delimiter, []byte("another key's"), []byte("ACK"))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "bad signature") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyAcknowledges(t *testing.T) {
	_, port := registry(t)
	c, err := ReadConnection(registrationFile(t, port, nil))
	if err != nil {
		t.Fatal(err)
	}
	s := listening(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Register(ctx); err == nil || !strings.Contains(err.Error(), "could not be registered at 127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestRegistrationFilesThatAreRefused(t *testing.T) {
	for want, more := range map[string]map[string]any{
		"has no kernel_id":         {"kernel_id": ""},
		"has no registration_ip":   {"registration_ip": ""},
		"has no registration_port": {"registration_port": 0},
		"both":                     {"shell_port": 5000},
		"is no port":               {"registration_port": "70000"},
		"CurveZMQ encryption":      {"curve_publickey": "k"},
	} {
		if _, err := ReadConnection(registrationFile(t, 5000, more)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", more, err, want)
		}
	}
}

// Sockets that are files choose names as those of TCP choose ports.
func TestAnyPortOfIPC(t *testing.T) {
	at := Connection{Transport: "ipc", IP: filepath.Join(t.TempDir(), "k"), Key: testKey, SignatureScheme: "hmac-sha256"}
	a, b := listening(t, at).Connection, listening(t, at).Connection
	seen := map[int]bool{}
	for _, p := range append(a.ports(), b.ports()...) {
		if p.port == 0 || seen[p.port] {
			t.Errorf("%s is %d: %+v %+v", p.name, p.port, a, b)
		}
		seen[p.port] = true
	}
}
