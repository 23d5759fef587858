package goeval

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module that no proxy has, in a repository that git alone reaches: GOPRIVATE, set before or by %env, is enough, as
// it is for go get.
func TestPrivateModules(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: needs git")
	}
	dir := t.TempDir()
	name := fmt.Sprintf("secret%d", os.Getpid())
	module := "example.com/team/" + name + ".git"
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(dir, "gitconfig"), "GIT_CONFIG_SYSTEM="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	for file, text := range map[string]string{
		"go.mod": "module " + module + "\n\ngo 1.26\n",
		"a.go":   "package secret\n\nfunc Answer() int { return 42 }\n",
		"gitconfig": fmt.Sprintf("[user]\n\tname = a\n\temail = a@example.com\n[url \"file://%s\"]\n\tinsteadOf = "+
			"https://example.com/team/%s\n[protocol \"file\"]\n\tallow = always\n[safe]\n\tdirectory = *\n",
			dir, name),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q")
	git("add", "go.mod", "a.go")
	git("commit", "-q", "-m", "a")
	git("tag", "v1.0.0")
	t.Cleanup(func() { forgetModule(t, name) })

	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(dir, "gitconfig"))
	t.Setenv("GOPRIVATE", "") // and back to what it was
	e := newEvaluator(t)
	defer e.Close()
	shownBy(t, evaluate(t, e, 1, "%env GOPRIVATE=example.com"))
	shownBy(t, evaluate(t, e, 2, "%mod get "+module+"@v1.0.0"))
	if got := shownBy(t, evaluate(t, e, 3, fmt.Sprintf("import secret %q\nsecret.Answer()", module))); got != "42" {
		t.Errorf("%s", got)
	}
	if got := shownBy(t, evaluate(t, e, 4, "%mod list")); got != module+" v1.0.0" {
		t.Errorf("%s", got)
	}
}

// forgetModule removes a test's module from Go's cache of modules, which is read-only.
func forgetModule(t *testing.T, name string) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Error(err)
		return
	}
	cache := strings.TrimSpace(string(out))
	for _, folder := range []string{"example.com/team", "cache/download/example.com/team"} {
		found, _ := filepath.Glob(filepath.Join(cache, folder, name+"*"))
		for _, dir := range found {
			filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					os.Chmod(path, 0o755)
				}
				return nil
			})
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		}
	}
}
