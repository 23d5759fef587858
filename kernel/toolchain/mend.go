package toolchain

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/internal/wholefile"
)

// Go's cache names what it keeps by its content, and looks at the length alone when it takes it. A file that was
// damaged later would stay there.

// sound reports whether an archive is what its name in Go's cache says. To read all that a kernel imports at its start
// takes as long as to import it: an archive whose content was looked at once is taken as long as the file has not been
// touched since.
func (t *Toolchain) sound(archive string) bool {
	name, kept := strings.CutSuffix(filepath.Base(archive), "-d")
	if !kept || len(name) != 64 {
		return true // from elsewhere
	}
	before := touched(archive)
	if before.what != "" && t.verified.has(t.verifiedFile(), name, before.what) {
		return true
	}
	sum, err := wholefile.Digest(archive)
	if err != nil || sum != name {
		return false
	}
	// The clock by which the system notes a change stands still for some milliseconds: of a file that was changed just
	// now, a second change might not show.
	if before.what != "" && time.Since(before.when) > time.Minute {
		t.verified.add(t.verifiedFile(), name, before.what)
	}
	return true
}

// touch is when, and in which state, a file was changed last. What is "" where the system does not tell.
type touch struct {
	what string
	when time.Time
}

// verified knows archives whose content was right, by their names, and the state in which they were. It is kept in a
// file of lines: the last one about an archive counts.
type verified struct {
	mu    sync.Mutex
	known map[string]string
}

// mostVerified is how many bytes the file may have. Go's cache touches an archive once an hour at most.
const mostVerified = 1 << 20

func (t *Toolchain) verifiedFile() string { return filepath.Join(t.cache, "verified.txt") }

func (v *verified) has(file, name, state string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string]string{}
		if info, err := os.Stat(file); err == nil && info.Size() > mostVerified {
			os.Remove(file)
		}
		text, _ := os.ReadFile(file) // where there is none, nothing is known
		for line := range strings.Lines(string(text)) {
			if name, state, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
				v.known[name] = state
			}
		}
	}
	was, ok := v.known[name]
	return ok && was == state
}

func (v *verified) add(file, name, state string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known[name] = state
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // it is looked at again the next time
	}
	f.WriteString(name + " " + state + "\n") // at once: another process may be adding its own
	f.Close()
}

// mend compiles again the packages whose archives are damaged, among some and all that they import. It reports whether
// there were any.
func (t *Toolchain) mend(ctx context.Context, paths []string) (bool, error) {
	all := map[string]string{}
	t.closure(paths, all)
	var damaged []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if _, own := t.prepared(path); own && !t.sound(all[path]) {
			os.Remove(all[path])
			damaged = append(damaged, path)
		}
	}
	if len(damaged) == 0 {
		return false, nil
	}
	packages, err := t.list(ctx, t.options.Dir, damaged)
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, path := range damaged {
		if p, ok := packages[path]; ok {
			t.config.Packages[path] = p
		}
	}
	return true, nil
}
