package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// Code and programs run where there is no home folder, and where it cannot be written.
func TestWithoutAHome(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("skipped: needs a folder that nobody can write, such as Linux's /proc")
	}
	dir := folder(t, map[string]string{"p.go": "package main\n\nfunc main() { print(7 * 6) }\n"})
	for _, home := range []string{"", "HOME=", "HOME=/proc/self/nowhere", "HOME=/proc/self", "HOME=/dev/null"} {
		for _, args := range [][]string{{"-e", "1 + 41"}, {"p.go"}} {
			env := slices.DeleteFunc(emptyHome(t), func(v string) bool {
				return strings.HasPrefix(v, "HOME=") || args[0] == "p.go" && strings.HasPrefix(v, "LOUPE_CACHE=")
			})
			env = append(env, "TMPDIR="+t.TempDir())
			if home != "" {
				env = append(env, home)
			}
			cmd := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), args...)
			cmd.Dir, cmd.Env = dir, env
			if got := run(t, cmd, ""); got.status != 0 || !strings.Contains(got.stdout+got.stderr, "42") {
				t.Errorf("%q %v: %+v", home, args, got)
			}
		}
	}
}
