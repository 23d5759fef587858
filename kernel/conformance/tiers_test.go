package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"
	"github.com/traefik/yaegi/stdlib/unrestricted"
	"github.com/traefik/yaegi/stdlib/unsafe"

	"github.com/loupeml/loupe/internal/testenv"
)

// yaegiFile is the variable that makes the test program run a file in yaegi and leave.
const yaegiFile = "LOUPE_YAEGI_FILE"

func yaegi(file string) int {
	in := interp.New(interp.Options{Unrestricted: true})
	in.Use(stdlib.Symbols)
	in.Use(unrestricted.Symbols)
	in.Use(unsafe.Symbols)
	source, err := os.ReadFile(file)
	if err == nil {
		_, err = in.EvalWithContext(context.Background(), string(source))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// How many of Go's programs the interpreter alone would pass, beside TestGoPrograms, where all are compiled.
func TestGoProgramsByTheInterpreterAlone(t *testing.T) {
	testenv.Heavy(t) // 281 programs, for a figure that decides nothing
	passed, files := 0, programs(t)
	for _, file := range files {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		command := exec.CommandContext(ctx, os.Args[0])
		command.Dir = goroot(t, "test")
		command.Env = append(os.Environ(), yaegiFile+"="+file)
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		err := command.Run()
		cancel()
		want, _ := os.ReadFile(strings.TrimSuffix(file, ".go") + ".out")
		if err == nil && out.String() == string(want) {
			passed++
		}
	}
	t.Logf("the interpreter alone passes %d of %d", passed, len(files))
}
