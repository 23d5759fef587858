package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the go command keeps of a test is of no use once a program that the test starts has changed.
func TestKeptResultsDependOnSources(t *testing.T) {
	module := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Minute) // the go command keeps nothing of files that are younger than two seconds
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	source, err := os.ReadFile("inputs.go")
	if err != nil {
		t.Fatal(err)
	}
	write("internal/testenv/inputs.go", string(source))
	write("internal/testenv/root.go", "package testenv\n\nfunc Root() string { return `"+module+"` }\n")
	write("go.mod", "module example.com/m\n\ngo 1.26\n")
	write("go.sum", "")
	write("program/main.go", "package main\n\nimport _ \"example.com/m/used\"\n\nfunc main() {}\n")
	write("used/used.go", "package used\n")
	write("unused/unused.go", "package unused\n")
	write("tests/a_test.go", `package tests

import (
	"testing"

	"example.com/m/internal/testenv"
)

func Test(t *testing.T) {
	testenv.DependOnSources(t, "./program")
	testenv.Script(t, "script.py")
}
`)
	write("tests/script.py", "")
	folders := time.Now().Add(-time.Minute)
	for _, dir := range []string{"program", "used", "tests"} {
		if err := os.Chtimes(filepath.Join(module, dir), folders, folders); err != nil {
			t.Fatal(err)
		}
	}
	digest := ""
	kept := func() bool {
		t.Helper()
		run := exec.Command("go", "test", "-vet=off", "./tests")
		run.Dir = module
		run.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", inputs+"="+digest)
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Contains(string(out), "(cached)")
	}
	if kept() {
		t.Error("the first run was kept")
	}
	if !kept() {
		t.Error("the second run was not kept, though nothing changed")
	}
	write("unused/unused.go", "package unused\n\nconst C = 1\n")
	if !kept() {
		t.Error("a change of a package that the program does not have made the test run again")
	}
	for name, text := range map[string]string{
		"used/used.go":    "package used\n\nconst C = 1\n",
		"used/more.go":    "package used\n\nconst D = 1\n",
		"tests/script.py": "print(1)\n",
	} {
		write(name, text)
		if kept() {
			t.Errorf("what was kept did not depend on %s", name)
		}
		if !kept() {
			t.Errorf("after %s has changed once, nothing is kept", name)
		}
	}
	// With a digest of what there is a test file that comes or goes changes nothing.
	digest = "1"
	if kept() {
		t.Error("what was kept did not depend on the digest")
	}
	write("used/used_test.go", "package used\n")
	if !kept() {
		t.Error("a test of a package that the program has made another test run again")
	}
	write("used/used.go", "package used\n\nconst E = 1\n")
	if kept() {
		t.Error("with a digest what was kept did not depend on a source")
	}
}
