package scratch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhatTheDeadLeaveIsRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	short := exec.Command("true")
	if err := short.Run(); err != nil {
		t.Skip("skipped: needs the program true")
	}
	dead := short.Process.Pid
	for _, name := range []string{fmt.Sprintf("loupe-%d-1", dead), fmt.Sprintf("loupe-work-%d-1", dead),
		fmt.Sprintf("loupe-%d-1", os.Getpid()), "loupe-1-of-mine", "loupe-notes", "loupe-x-1", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "within"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, fmt.Sprintf("loupe-%d-file", dead)), nil, 0o600)
	Clean()
	if got, want := names(t, dir), []string{fmt.Sprintf("loupe-%d-1", os.Getpid()), fmt.Sprintf("loupe-%d-file", dead),
		"loupe-1-of-mine", "loupe-notes", fmt.Sprintf("loupe-work-%d-1", dead), "loupe-x-1", "other"}; !slices.Equal(got,
		sorted(want)) {
		t.Errorf("left are %v, want %v", got, want)
	}
	CleanIn(dir, "work-")
	if got := names(t, dir); slices.Contains(got, fmt.Sprintf("loupe-work-%d-1", dead)) {
		t.Errorf("left are %v", got)
	}
}

func TestOwnFolder(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	a, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Dir(); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if info, err := os.Stat(a); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	Clean() // of the living nothing is removed
	if !slices.Contains(Env(), "TMPDIR="+a) {
		t.Error("programs have their temporary files elsewhere")
	}
	if err := Remove(); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v, left are %v", err, names(t, dir))
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	if _, err := Dir(); err == nil {
		t.Error("a folder within a folder that does not exist")
	}
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
