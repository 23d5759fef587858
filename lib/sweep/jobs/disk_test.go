package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/sweep"
)

// TestFullDisk runs [TestOnSmallDisk] on a disk of 6 MB of its own.
func TestFullDisk(t *testing.T) { testenv.OnSmallDisk(t, "6m", "TestOnSmallDisk") }

// The disk with the store and the server's streams fills up in the middle. The sweep waits, says why, and goes on when
// there is room again.
func TestOnSmallDisk(t *testing.T) {
	disk := testenv.SmallDisk(t, "TestFullDisk")
	p := grid(t, 1, 40, "slow")
	want := alone(t, p)
	s := newSetting(t)
	logs := s.folder
	s.folder, s.store = disk, filepath.Join(disk, "sweep.db")
	planned(t, s.store, p)
	// What the processes say goes to another disk.
	for _, role := range []string{"coordinator", "worker-1"} {
		if err := os.Symlink(filepath.Join(logs, role+".log"), filepath.Join(disk, role+".log")); err != nil {
			t.Fatal(err)
		}
	}
	coordinator := start(t, s, "coordinator")
	start(t, s, "worker-1")
	within := time.Now().Add(time.Minute)
	for done(t, s.store) < 5 {
		if time.Now().After(within) {
			t.Fatal("no five cells are done within a minute")
		}
		time.Sleep(50 * time.Millisecond)
	}
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(said(t, s, "coordinator")+said(t, s, "worker-1"), "trying again") {
		if time.Now().After(deadline) {
			t.Fatal("no one says that the disk is full")
		}
		time.Sleep(50 * time.Millisecond)
		fill(t, ballast) // what was freed meanwhile
	}
	if n := done(t, s.store); n >= 40 {
		t.Fatal("all was done before the disk was full")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, coordinator, 2*time.Minute); err != nil {
		t.Error(err)
	}
	same(t, rows(t, s.store), want)
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1 << 12, 1} {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
	}
}

// done is how many cells of a store are done.
func done(t *testing.T, store string) int {
	t.Helper()
	n := 0
	for _, c := range cells(t, store) {
		if c.State == sweep.Done {
			n++
		}
	}
	return n
}
