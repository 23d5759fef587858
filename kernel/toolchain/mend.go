package toolchain

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/wholefile"
)

// Go's cache names what it keeps by its content, and looks at the length alone when it takes it. A file that was damaged
// later would stay there.

// sound reports whether an archive is what its name in Go's cache says.
func sound(archive string) bool {
	name, kept := strings.CutSuffix(filepath.Base(archive), "-d")
	if !kept || len(name) != 64 {
		return true // from elsewhere
	}
	sum, err := wholefile.Digest(archive)
	return err == nil && sum == name
}

// mend compiles again the packages whose archives are damaged, among some and all that they import. It reports whether
// there were any.
func (t *Toolchain) mend(ctx context.Context, paths []string) (bool, error) {
	all := map[string]string{}
	t.closure(paths, all)
	var damaged []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if _, own := t.config.Packages[path]; own && !sound(all[path]) {
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
