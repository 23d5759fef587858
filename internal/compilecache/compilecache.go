// Package compilecache keeps on disk what XLA has compiled, so that no process compiles again what another has.
//
// It puts a thin PJRT plugin in front of the real one (front.c): the table of functions that GoMLX calls is the real
// plugin's, but for the one that compiles. That one looks for the program in loupe's cache folder, and hands it to
// the real plugin only where it is not there, or cannot be used.
//
// An entry is found by a SHA-256 of everything that shapes the compiled program (key.go), and is checked in full
// before XLA sees it (entry.go). Whatever goes wrong with the cache, the program is compiled as if there were none; a
// line on standard error says so, once a process.
package compilecache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loupeml/loupe/lib/assets"
)

// Variable names the switch and the size limit in the environment: "off", or a size such as "500MB" or "4GB".
const Variable = "LOUPE_COMPILE_CACHE"

// DefaultLimit is how many bytes the kept programs take at most where [Variable] does not say.
const DefaultLimit = 2_000_000_000

// Cache is a folder of compiled programs.
type Cache struct {
	dir   string
	limit int64 // bytes that all entries together may take
	off   bool  // switched off by the person

	prepare sync.Once
	useless error // why the folder can be neither read nor written; set by prepare

	compiled, loaded, stored, damaged, compiling, replaced atomic.Int64

	mu      sync.Mutex // guards notKept, plain
	notKept string     // the first reason why a program was not kept
	plain   string     // why programs get no kernels of loupe's; empty where they do
}

// FromEnvironment returns the cache in loupe's cache folder, as [Variable] wants it. It touches no file.
func FromEnvironment() (*Cache, error) {
	limit, off, err := parseSetting(os.Getenv(Variable))
	if err != nil || off {
		return &Cache{off: true, useless: errors.New("switched off by " + Variable + "=off")}, err
	}
	base, err := assets.Dir()
	if err != nil {
		return &Cache{limit: limit, useless: err}, nil
	}
	return &Cache{dir: filepath.Join(base, "programs"), limit: limit}, nil
}

// parseSetting reads the value of [Variable].
func parseSetting(s string) (limit int64, off bool, err error) {
	switch s {
	case "":
		return DefaultLimit, false, nil
	case "off":
		return 0, true, nil
	}
	number := strings.TrimRight(s, "KMGTBi")
	units := map[string]float64{"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20,
		"GiB": 1 << 30, "TiB": 1 << 40}
	unit, known := units[s[len(number):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !known || !(n > 0 && n*unit < 1e18) {
		return 0, false, fmt.Errorf("%s is %q: it is off, or the most that compiled programs may take, such as 500MB or 4GB",
			Variable, s)
	}
	return int64(n * unit), false, nil
}

// Report says what a cache holds and what it has done.
type Report struct {
	Folder   string
	Programs int           // how many there are
	Bytes    int64         // what they take
	Limit    int64         // what they may take; 0 where they are switched off
	Hits     int           // how often one was taken from the cache, in all processes
	Saved    time.Duration // the time that this saved, as far as compiling it took once
	Reason   string        // why programs are not kept; empty if they are

	// In this process:
	Compiled  int // programs that XLA compiled
	Loaded    int // programs that were taken from the cache
	Stored    int // programs that were written to the cache
	Damaged   int // entries that were there and could not be used
	Compiling int // programs that XLA is compiling at this moment
	Replaced  int // operations in programs that loupe's kernels do in XLA's place
}

func (r Report) String() string {
	if r.Reason != "" {
		return fmt.Sprintf("not kept: %s; this process compiled %d", r.Reason, r.Compiled)
	}
	return fmt.Sprintf(
		"%d in %s, %d MB; taken %d times, which saved %v of compiling; this process compiled %d and took %d from there",
		r.Programs, r.Folder, r.Bytes/1e6, r.Hits, r.Saved.Round(time.Second), r.Compiled, r.Loaded)
}

// Report reads the folder and the counters.
func (c *Cache) Report() Report {
	r := Report{
		Folder: c.dir, Limit: c.limit,
		Compiled: int(c.compiled.Load()), Loaded: int(c.loaded.Load()), Stored: int(c.stored.Load()),
		Damaged: int(c.damaged.Load()), Compiling: int(c.compiling.Load()), Replaced: int(c.replaced.Load()),
	}
	if err := c.usable(); err != nil {
		r.Reason = err.Error()
		return r
	}
	for _, e := range c.entries() {
		r.Programs++
		r.Bytes += e.size
	}
	r.Hits, r.Saved = c.hits()
	c.mu.Lock()
	r.Reason = c.notKept
	c.mu.Unlock()
	return r
}

// none notes that there is no thin plugin, and why.
func (c *Cache) none(why string) {
	c.leave(why)
	c.say(why)
}

// Plain says why programs for the CPU do not get loupe's kernels ([customcall]); it is empty where they do.
func (c *Cache) Plain() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plain
}

// leave notes why programs are left as they are; empty for no reason.
func (c *Cache) leave(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plain = why
}

// say tells the person, once a process, that programs are not kept, and why.
func (c *Cache) say(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || c.notKept != "" {
		return
	}
	c.notKept = why
	fmt.Fprintf(os.Stderr,
		"loupe: a compiled program is not kept, so the next process compiles it again: %s (%s=off says no more of it)\n",
		why, Variable)
}
