package toolchain

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// flip changes one byte of a file and keeps its length.
func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x40
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to a file of a kept cell, the cell is built again and runs.
func TestADamagedCellIsBuiltAgain(t *testing.T) {
	tools := prepare(t, t.TempDir())
	for i, damage := range []struct {
		name string
		do   func(t *testing.T, path string)
	}{
		{"flipped", flip},
		{"cut", func(t *testing.T, path string) { os.Truncate(path, 10) }},
		{"emptied", func(t *testing.T, path string) { os.Truncate(path, 0) }},
		{"removed", func(t *testing.T, path string) { os.Remove(path) }},
	} {
		for j, file := range []string{"cell.a", "cell.so", "digests"} {
			u := unit("cells/"+damage.name+string(rune('a'+j)), "", "func run() { cell.Show("+string(rune('0'+i))+") }")
			b, err := tools.Build(context.Background(), u)
			if err != nil {
				t.Fatal(err)
			}
			damage.do(t, filepath.Join(filepath.Dir(b.Plugin), file))
			if b, err = tools.Build(context.Background(), u); err != nil || b.Cached {
				t.Fatalf("%s %s: %+v, %v", damage.name, file, b, err)
			}
			buildAndRun(t, tools, u)
			if v := shown(t); v[0] != i {
				t.Errorf("%s %s: %v", damage.name, file, v)
			}
		}
	}
}

// Cells have what a person has written in them: nobody else may read them.
func TestKeptCellsAreTheUsersOwn(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	tools := prepare(t, cache)
	b, err := tools.Build(context.Background(), unit("cells/own", "", "func run() {}"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Dir(filepath.Dir(b.Plugin)), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was prepared is prepared again where the file that tells of it is damaged.
func TestADamagedConfigurationIsNotTaken(t *testing.T) {
	cache := t.TempDir()
	tools := prepare(t, cache)
	flip(t, tools.configFile(cache))
	if _, err := New(tools.options); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("%v", err)
	}
}

// An archive of Go's cache that was damaged is compiled again, and one that was cut short is noticed at the start.
func TestADamagedArchiveIsCompiledAgain(t *testing.T) {
	cache := t.TempDir()
	tools := prepare(t, cache)
	spoil := func(path string, damage func(*testing.T, string)) {
		t.Helper()
		p := tools.config.Packages[path]
		data, err := os.ReadFile(p.Archive)
		if err != nil {
			t.Fatal(err)
		}
		p.Archive = filepath.Join(t.TempDir(), filepath.Base(p.Archive)) // not Go's own
		if err := os.WriteFile(p.Archive, data, 0o600); err != nil {
			t.Fatal(err)
		}
		damage(t, p.Archive)
		tools.config.Packages[path] = p
	}
	spoil("container/list", flip)
	export, err := tools.Export("container/list")
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	if _, err := io.ReadAll(export); err != nil {
		t.Fatal(err)
	}
	archive, _ := tools.archive("container/list")
	if !tools.sound(archive) {
		t.Errorf("%s is not sound", archive)
	}
	spoil(cellPath, func(t *testing.T, path string) { os.Truncate(path, 100) })
	u := unit("cells/mended", "", "func run() { cell.Show(7) }")
	buildAndRun(t, tools, u)
	if v := shown(t); v[0] != 7 {
		t.Errorf("%v", v)
	}
}

// Where the cache cannot be written, cells are kept elsewhere.
func TestACacheThatCannotBeWritten(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	nowhere := "/proc/self/loupe"
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("skipped: needs a folder that nobody can write, such as Linux's /proc")
	}
	roots := []string{"github.com/loupeml/loupe/kernel/cell/..."}
	tools, err := New(Options{Dir: testenv.Root(), Cache: nowhere, Roots: roots})
	if errors.Is(err, ErrNotPrepared) {
		err = tools.Prepare(context.Background(), func(string) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	buildAndRun(t, tools, unit("cells/elsewhere", "", "func run() { cell.Show(8) }"))
	if v := shown(t); v[0] != 8 {
		t.Errorf("%v", v)
	}
	if _, err := New(Options{Dir: testenv.Root(), Cache: nowhere, Roots: roots}); err != nil {
		t.Errorf("what was prepared is not found again: %v", err)
	}
}

// An archive that was looked at is not read again until it is touched; what tells so is shared by processes.
func TestAVerifiedArchiveIsNotReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "verified.txt")
	var here, there, later verified
	for name, state := range map[string]string{"a": "1", "b": "2"} {
		if here.has(file, name, state) {
			t.Errorf("%s is known before it was looked at", name)
		}
		here.add(file, name, state)
	}
	if !there.has(file, "a", "1") || !there.has(file, "b", "2") {
		t.Errorf("another process has not read what was written: %v", there.known)
	}
	there.add(file, "b", "3")
	if !here.has(file, "b", "2") || !later.has(file, "b", "3") || later.has(file, "b", "2") {
		t.Errorf("the last state counts: %v, %v", here.known, later.known)
	}
	if err := os.WriteFile(file, []byte("a 1\nb"), 0o600); err != nil { // by a process that was killed
		t.Fatal(err)
	}
	later = verified{}
	if !later.has(file, "a", "1") || later.has(file, "b", "") {
		t.Errorf("of half a line: %v", later.known)
	}

	archive := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(archive, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := touched(archive)
	time.Sleep(20 * time.Millisecond) // longer than the clock of files stands still
	flip(t, archive)
	if after := touched(archive); runtime.GOOS == "linux" && (before.what == "" || before.what == after.what) {
		t.Errorf("a change does not show: %v, %v", before, after)
	}
}
