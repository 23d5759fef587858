package compilecache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func folder(t *testing.T, limit int64) *Cache {
	t.Helper()
	c := &Cache{dir: filepath.Join(t.TempDir(), "programs"), limit: limit}
	if err := c.usable(); err != nil {
		t.Fatal(err)
	}
	return c
}

func keep(t *testing.T, c *Cache, program string, payload []byte) key {
	t.Helper()
	k := keyOf("here", "mlir", []byte(program), nil)
	if err := c.store(k, "here", payload, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAnEntryComesBackAsItWas(t *testing.T) {
	c := folder(t, DefaultLimit)
	for _, payload := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("code"), 10_000)} {
		k := keep(t, c, string(payload), payload)
		got, took, err := c.load(k, "here")
		if err != nil || took != 3*time.Second || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: %d came back, %v, %v", len(payload), len(got), took, err)
		}
		info, err := os.Stat(filepath.Join(c.dir, k.file()))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if info, err := os.Stat(c.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if _, _, err := c.load(keyOf("here", "mlir", []byte("another"), nil), "here"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was never stored: %v", err)
	}
}

func TestEveryDamageIsFound(t *testing.T) {
	c := folder(t, DefaultLimit)
	k := keep(t, c, "program", []byte("some compiled code"))
	path := filepath.Join(c.dir, k.file())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _, err := c.load(k, "here"); err == nil || errors.Is(err, fs.ErrNotExist) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range whole {
		for _, flip := range []byte{1, 0x80, 0xff} {
			data := bytes.Clone(whole)
			data[i] ^= flip
			refused("a changed byte", data)
		}
		refused("cut short", whole[:i])
	}
	refused("longer", append(bytes.Clone(whole), 0))
	refused("zeros", make([]byte, len(whole)))

	// It can be replaced, and is whole again.
	keep(t, c, "program", []byte("some compiled code"))
	if got, _, err := c.load(k, "here"); err != nil || string(got) != "some compiled code" {
		t.Errorf("written anew: %q, %v", got, err)
	}
}

func TestAWholeEntryOfAnotherProgramIsNotTaken(t *testing.T) {
	c := folder(t, DefaultLimit)
	k := keep(t, c, "program", []byte("code"))
	other := keep(t, c, "other", []byte("other code"))
	if err := os.Rename(filepath.Join(c.dir, other.file()), filepath.Join(c.dir, k.file())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.load(k, "here"); err == nil {
		t.Error("a renamed entry was taken")
	}
	// Were two keys ever equal, the circumstances would still differ.
	k = keep(t, c, "program", []byte("code"))
	if _, _, err := c.load(k, "elsewhere"); err == nil {
		t.Error("an entry of other circumstances was taken")
	}
}

func TestWhatOthersCanWriteIsNotTaken(t *testing.T) {
	c := folder(t, DefaultLimit)
	k := keep(t, c, "program", []byte("code"))
	path := filepath.Join(c.dir, k.file())
	refused := func(what string) {
		t.Helper()
		if _, _, err := c.load(k, "here"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, mode := range []fs.FileMode{0o620, 0o602, 0o666} {
		os.Chmod(path, mode)
		refused(mode.String())
	}
	os.Chmod(path, 0o600)
	if os.Geteuid() == 0 {
		os.Chown(path, 12345, 0)
		refused("another owner")
		os.Chown(path, 0, 0)
	}
	if _, _, err := c.load(k, "here"); err != nil {
		t.Errorf("as it was: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	os.Rename(path, elsewhere)
	os.Symlink(elsewhere, path)
	refused("a link")
	os.Remove(path)
	os.Mkdir(path, 0o700)
	refused("a folder")
	os.Remove(path)
	if err := syscall.Mkfifo(path, 0o600); err == nil {
		refused("a pipe")
	}

	os.Chmod(c.dir, 0o770)
	if err := (&Cache{dir: c.dir}).usable(); err == nil {
		t.Error("a folder that others may write is used")
	}
}

func TestTheLimitRemovesWhatWasNotUsedForTheLongestTime(t *testing.T) {
	c := folder(t, DefaultLimit)
	code := make([]byte, 1000)
	var keys []key
	var size int64
	for i, name := range []string{"oldest", "taken", "newer", "newest"} {
		k := keep(t, c, name, code)
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		os.Chtimes(filepath.Join(c.dir, k.file()), at, at)
		keys = append(keys, k)
		size = c.entries()[0].size
	}
	stale, fresh := filepath.Join(c.dir, unfinish+"1"), filepath.Join(c.dir, unfinish+"2")
	os.WriteFile(stale, nil, 0o600)
	os.WriteFile(fresh, nil, 0o600)
	old := time.Now().Add(-2 * time.Hour)
	os.Chtimes(stale, old, old)

	c.hit(keys[1].file(), time.Second)
	c.limit = 3 * size // the four and the next one do not fit
	keys = append(keys, keep(t, c, "last", code))
	want := []bool{false, true, false, true, true}
	for i, k := range keys {
		if _, _, err := c.load(k, "here"); (err == nil) != want[i] {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a process left that ended while it wrote is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("a file that is being written was removed")
	}
	c.limit = size / 2
	keep(t, c, "too large", code)
	if n := len(c.entries()); n != 0 {
		t.Errorf("%d entries are left of more than the limit", n)
	}
}

func TestHitsAreCounted(t *testing.T) {
	c := folder(t, DefaultLimit)
	k := keep(t, c, "program", []byte("code"))
	for range 3 {
		c.hit(k.file(), 1500*time.Millisecond)
	}
	c.hit(k.file(), -time.Second) // slower than compiling
	r := c.Report()
	if r.Programs != 1 || r.Bytes == 0 || r.Hits != 4 || r.Saved != 4500*time.Millisecond || r.Reason != "" {
		t.Errorf("%#v", r)
	}
	if says := r.String(); !strings.Contains(says, "1 in ") ||
		!strings.Contains(says, "taken 4 times, which saved 5s of compiling") {
		t.Error(says)
	}
}

func TestTheSettingIsRead(t *testing.T) {
	for s, want := range map[string]int64{"": DefaultLimit, "500MB": 500_000_000, "1.5GB": 1_500_000_000, "64 KiB": 65536,
		"off": 0} {
		limit, off, err := parseSetting(s)
		if err != nil || limit != want || off != (s == "off") {
			t.Errorf("%q: %d, %v, %v", s, limit, off, err)
		}
	}
	for _, s := range []string{"on", "0", "12", "-1GB", "0MB", "NaNGB", "1e300GB", "GB", "5GBMB", "OFF "} {
		if _, _, err := parseSetting(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
