package zipfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// packed is an archive with one entry.
func packed(t *testing.T, method uint16, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "entry", Method: method})
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// telling is the archive with another unpacked size in its list of entries.
func telling(raw []byte, size uint32) []byte {
	raw = bytes.Clone(raw)
	at := bytes.LastIndex(raw, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(raw[at+24:], size)
	return raw
}

func TestArchivesThatFillTheMemory(t *testing.T) {
	plain := packed(t, zip.Store, []byte("some content"))
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"bomb":    {packed(t, zip.Deflate, make([]byte, 300<<20)), "unpacks to more than 256 MB"},
		"tells":   {telling(packed(t, zip.Deflate, []byte("some content")), 1<<31), "unpacks to more than 256 MB"},
		"stored":  {telling(plain, 1<<20), "more bytes than the archive"},
		"no file": {[]byte("PK\x03\x04"), "not a zip archive that is whole"},
	} {
		path := filepath.Join(t.TempDir(), "file.zip")
		if err := os.WriteFile(path, c.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "file.zip")
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	z, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "some content" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAPipeIsNoArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.zip")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Open(path); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it is opened")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it is waited for")
	}
}
