package compilecache

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What is in the folder besides entries: files that are being written, and the record of hits.
const (
	suffix   = ".program"
	unfinish = ".unfinished-" // begins the name of a file that is being written
	hitsFile = "hits"
)

// usable makes the folder and checks that nobody else can put programs into it.
func (c *Cache) usable() error {
	c.prepare.Do(func() {
		if c.useless != nil {
			return
		}
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			c.useless = err
			return
		}
		info, err := os.Stat(c.dir)
		if err == nil {
			err = ours(info)
		}
		if err != nil {
			c.useless = fmt.Errorf("%s: %w", c.dir, err)
		}
	})
	return c.useless
}

// ours tells why a file or folder may have been changed by somebody else: programs are run as they are.
func ours(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("its owner is not known")
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others than its owner may write it")
	}
	return nil
}

// read returns a file of the folder, if it is a regular file of this user's that nobody else may write.
func (c *Cache) read(name string) ([]byte, error) {
	f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	if err := ours(info); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if n < len(data) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// write puts a file into the folder as a whole or not at all: readers see the old file or the new one.
func (c *Cache) write(name string, data ...[]byte) (err error) {
	f, err := os.CreateTemp(c.dir, unfinish) // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	for _, d := range data {
		if _, err = f.Write(d); err != nil {
			f.Close()
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(c.dir, name))
}

// held is an entry in the folder.
type held struct {
	path string
	size int64
	used time.Time // when it was written, or last taken
}

func (c *Cache) entries() []held {
	list, _ := os.ReadDir(c.dir)
	var found []held
	for _, d := range list {
		if !strings.HasSuffix(d.Name(), suffix) {
			continue
		}
		if info, err := d.Info(); err == nil {
			found = append(found, held{filepath.Join(c.dir, d.Name()), info.Size(), info.ModTime()})
		}
	}
	return found
}

// evict removes the entries that have not been used for the longest time until the rest keeps within the limit, and
// what processes that ended while they wrote have left.
func (c *Cache) evict() {
	entries := c.entries()
	total := int64(0)
	for _, e := range entries {
		total += e.size
	}
	slices.SortFunc(entries, func(a, b held) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= c.limit {
			break
		}
		os.Remove(e.path) // another process may have removed it
		total -= e.size
	}
	left, _ := filepath.Glob(filepath.Join(c.dir, unfinish+"*"))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(path)
		}
	}
}

// hit records that an entry was taken and the time that it saved. A record is four bytes in one file, so that any
// number of processes can add to it at once.
func (c *Cache) hit(name string, saved time.Duration) {
	now := time.Now()
	os.Chtimes(filepath.Join(c.dir, name), now, now) // where it cannot be written, it is only evicted earlier
	f, err := os.OpenFile(filepath.Join(c.dir, hitsFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	f.Write(binary.LittleEndian.AppendUint32(nil, uint32(max(0, saved.Milliseconds()))))
}

func (c *Cache) hits() (n int, saved time.Duration) {
	data, err := c.read(hitsFile)
	if err != nil {
		return 0, 0
	}
	for ; len(data) >= 4; data = data[4:] {
		n++
		saved += time.Duration(binary.LittleEndian.Uint32(data)) * time.Millisecond
	}
	return n, saved
}
