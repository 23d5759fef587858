package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The go command keeps what a test said, and says it again without running the test while its code, the environment
// variables that it asks for and the files of this module that it opens or asks for are as they were. What it cannot
// see of a test is named here.

// DependOnSources makes the running test depend on the sources of packages that another go command builds or lists, and
// of all that they import: each file that is compiled. Whether one has come install.sh --test says (see
// dependOnMachine); without it the time of each folder does, which changes for tests too.
func DependOnSources(t testing.TB, packages ...string) {
	t.Helper()
	const format = `{{with .Module}}{{if .Main}}{{$.Dir}}/{{range $.GoFiles}}
{{$.Dir}}/{{.}}{{end}}{{range $.CgoFiles}}
{{$.Dir}}/{{.}}{{end}}{{range $.CFiles}}
{{$.Dir}}/{{.}}{{end}}{{range $.HFiles}}
{{$.Dir}}/{{.}}{{end}}{{range $.SFiles}}
{{$.Dir}}/{{.}}{{end}}{{range $.EmbedFiles}}
{{$.Dir}}/{{.}}{{end}}{{end}}{{end}}`
	list := exec.Command("go", append([]string{"list", "-buildvcs=false", "-deps", "-f", format}, packages...)...)
	list.Dir, list.Stderr = Root(), os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dependOnMachine()
	for _, path := range append(strings.Fields(string(out)), filepath.Join(Root(), "go.mod"),
		filepath.Join(Root(), "go.sum")) {
		if strings.HasSuffix(path, "/") && os.Getenv(inputs) != "" { // a folder
			continue
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
}

// inputs is the variable in which install.sh --test has a digest of what a test may depend on without opening it.
const inputs = "LOUPE_TEST_INPUTS"

// dependOnMachine makes the running test depend on what lies outside the module: assets, shared data, Python, Go and
// the C compiler, and on the names of all source files. install.sh --test digests them into a variable, so that a test
// that was skipped for want of one runs when it is there.
func dependOnMachine() { os.Getenv(inputs) }

// Script returns the path of a file of the module that a program which a test starts will read, such as a Python
// script, and makes the test depend on it.
func Script(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
