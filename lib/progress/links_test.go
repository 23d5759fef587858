package progress

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// Reading a picture, running a model and a table do not link plotting.
func TestPlottingIsNotLinked(t *testing.T) {
	testenv.DependOnSources(t, "./lib/data", "./lib/model", "./lib/table", "./lib/progress")
	out, err := exec.Command("go", "list", "-deps", "../data", "../model", "../table", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		if strings.HasPrefix(p, "gonum.org/v1/plot") || strings.HasSuffix(p, "loupe/lib/display") {
			t.Errorf("%s is linked", p)
		}
	}
}
