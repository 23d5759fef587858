package wire

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asSent returns a signed message as it goes over a socket.
func asSent(t *testing.T, signer *Signer, id string) [][]byte {
	t.Helper()
	header := fmt.Sprintf(`{"msg_id":%q,"msg_type":"execute_request"}`, id)
	parts := [][]byte{[]byte(header), []byte("{}"), []byte("{}"), []byte(`{"code":"1"}`)}
	return append([][]byte{delimiter, signer.sign(parts)}, parts...)
}

func TestAMessageComesOnce(t *testing.T) {
	client, kernel := testSigner(t, testKey), testSigner(t, testKey)
	first, second := asSent(t, client, "1"), asSent(t, client, "2")
	for _, frames := range [][][]byte{first, second} {
		if _, err := Parse(frames, kernel); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Parse(first, kernel); !errors.Is(err, ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	// Buffers are not signed, and identities are those of whoever sends it now.
	again := append([][]byte{[]byte("another")}, append(second, []byte("buffer"))...)
	if _, err := Parse(again, kernel); !errors.Is(err, ErrReplayed) {
		t.Errorf("with another identity: %v", err)
	}
	if _, err := Parse(asSent(t, client, "3"), kernel); err != nil {
		t.Errorf("a new one: %v", err)
	}
	unsigned := testSigner(t, "")
	for range 2 {
		if _, err := Parse(first, unsigned); err != nil {
			t.Errorf("without a key nothing is refused: %v", err)
		}
	}
}

func TestSignaturesAreForgottenInTheEnd(t *testing.T) {
	client, kernel := testSigner(t, testKey), testSigner(t, testKey)
	for i := range mostSignatures + 1 {
		if _, err := Parse(asSent(t, client, fmt.Sprint(i)), kernel); err != nil {
			t.Fatal(err)
		}
	}
	if len(kernel.seen) != mostSignatures || len(kernel.in) != mostSignatures {
		t.Errorf("%d and %d are remembered", len(kernel.seen), len(kernel.in))
	}
	if _, err := Parse(asSent(t, client, fmt.Sprint(mostSignatures)), kernel); !errors.Is(err, ErrReplayed) {
		t.Errorf("the last: %v", err)
	}
}

func TestAConnectionWithoutAKeyIsWarnedOf(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	for key, warned := range map[string]bool{"": true, testKey: false} {
		var log bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		file := filepath.Join(t.TempDir(), "kernel.json")
		text := fmt.Sprintf(
			`{"ip":"127.0.0.1","shell_port":1,"control_port":2,"stdin_port":3,"iopub_port":4,"hb_port":5,"key":%q}`, key)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConnection(file); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "has no key") != warned {
			t.Errorf("key %q: %q", key, &log)
		}
	}
}
