package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installScript runs install.sh with only a few programs in PATH, and the given ones instead of Go's.
func installScript(t *testing.T, env []string, programs map[string]string, args ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"bash", "dirname", "uname", "du", "rm", "rmdir", "mkdir", "mktemp", "cat"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("skipped: needs %s", name)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("./install.sh", args...)
	cmd.Env = append([]string{"PATH=" + bin, "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// fakeGo answers go env.
func fakeGo(version, cc, cgo string) map[string]string {
	return map[string]string{"go": `case $2 in GOVERSION) echo ` + version + `;; CC) echo "` + cc +
		`";; CGO_ENABLED) echo ` + cgo + `;; *) echo "no network" >&2; exit 1;; esac`}
}

// What is missing is said in one sentence with what to do, and nothing is changed.
func TestInstallSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name     string
		env      []string
		programs map[string]string
		args     []string
		want     []string
	}{
		{"no Go", nil, nil, nil, []string{"Go is not in PATH", "install Go 1.26"}},
		{"old Go", nil, fakeGo("go1.24.3", "sh", "1"), nil, []string{"this is go1.24.3"}},
		{"unknown Go", nil, fakeGo("devel", "sh", "1"), nil, []string{"this is devel"}},
		{"no C compiler", nil, fakeGo("go1.26.0", "nocc -m64", "1"), nil,
			[]string{"no C compiler (nocc)", "build-essential"}},
		{"no cgo", nil, fakeGo("go1.27", "bash", "0"), nil, []string{"CGO_ENABLED"}},
		{"no network", nil, fakeGo("go1.30.1", "bash", "1"), []string{"--prefix", t.TempDir()},
			[]string{"does not build", "GOPROXY"}},
		{"no home", []string{"HOME="}, nil, nil, []string{"HOME is not set"}},
		{"unknown option", nil, nil, []string{"--dmeo"}, []string{"no option --dmeo", "--help"}},
		{"two modes", nil, nil, []string{"--demo", "--test"}, []string{"--demo and --test do not go together"}},
		{"no folder", nil, nil, []string{"--prefix"}, []string{"--prefix needs a folder"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := installScript(t, c.env, c.programs, c.args...)
			if err == nil {
				t.Error("it went well")
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "install.sh: ") || strings.Count(out, "install.sh: ") != 1 {
				t.Errorf("not one sentence:\n%s", out)
			}
			for _, part := range c.want {
				if !strings.Contains(last, part) {
					t.Errorf("%q does not say %q", last, part)
				}
			}
		})
	}
	if out, err := installScript(t, nil, nil, "--help"); err != nil || !strings.Contains(out, "--uninstall") {
		t.Errorf("--help: %v %s", err, out)
	}
}

// --uninstall takes what is loupe's and leaves what is the user's.
func TestUninstall(t *testing.T) {
	root := t.TempDir()
	cache, data, prefix := filepath.Join(root, "cache dir"), filepath.Join(root, "jupyter"), filepath.Join(root, "prefix")
	ours := []string{
		filepath.Join(prefix, "bin", "loupe"), filepath.Join(prefix, "bin", "loupe-worker"),
		filepath.Join(prefix, "bin", "gonb"),
		filepath.Join(data, "kernels", "loupe", "kernel.json"),
		filepath.Join(cache, "assets", "x", "file"), filepath.Join(cache, "downloads", "x"),
		filepath.Join(cache, "locks", "x.lock"), filepath.Join(cache, "programs", "x.program"),
		filepath.Join(cache, "test-programs", "x"), filepath.Join(cache, "test-venv", "pyvenv.cfg"),
	}
	users := []string{filepath.Join(prefix, "bin", "other"), filepath.Join(data, "kernels", "python3", "kernel.json"),
		filepath.Join(cache, "mine.txt")}
	for _, file := range append(ours, users...) {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"LOUPE_CACHE=" + cache, "JUPYTER_DATA_DIR=" + data}
	for range 2 { // the second time there is nothing to do
		out, err := installScript(t, env, nil, "--uninstall", "--prefix="+prefix)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(out, "Go's module and build caches") {
			t.Errorf("what is left is not said:\n%s", out)
		}
	}
	for _, file := range ours {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s is still there", file)
		}
	}
	for _, file := range users {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("the user's %v", err)
		}
	}
}
