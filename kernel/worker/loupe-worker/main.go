// Command loupe-worker is the process in which cells run. loupe starts it; a person has no use for
// it but `loupe-worker --doctor`, which describes the backend as JSON, and `loupe-worker --prepare`, which compiles
// what compiled cells import.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/loupeml/loupe/internal/home"
	"github.com/loupeml/loupe/internal/reporting"
	"github.com/loupeml/loupe/internal/sweeping"
	"github.com/loupeml/loupe/kernel/worker/child"
	"github.com/loupeml/loupe/kernel/worker/symbols"
	"github.com/loupeml/loupe/lib/backend"
)

func main() {
	home.Mend()
	if len(os.Args) == 2 && os.Args[1] == "--doctor" {
		doctor()
		return
	}
	if len(os.Args) == 3 && os.Args[1] == reporting.Flag {
		os.Exit(makeReport(os.Args[2]))
	}
	if len(os.Args) == 3 && os.Args[1] == sweeping.SweepFlag {
		os.Exit(runSweep(os.Args[2]))
	}
	if len(os.Args) == 3 && os.Args[1] == sweeping.WorkerFlag {
		os.Exit(workOnSweeps(os.Args[2]))
	}
	tables := []interp.Exports{stdlib.Symbols, symbols.Symbols}
	if len(os.Args) == 2 && os.Args[1] == "--prepare" {
		if err := child.Prepare(tables); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Of several packages of one name, the one that a cell means when it does not import it.
	prefer := map[string]string{
		"rand":     "math/rand",
		"template": "text/template",
		"draw":     "image/draw",
		"plot":     "gonum.org/v1/plot",
		"model":    "github.com/loupeml/loupe/lib/model",
	}
	if err := child.Serve(tables, prefer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// doctor prints what the backend is, or why there is none.
func doctor() {
	info, err := backend.Describe()
	report := struct {
		backend.Info
		Error string `json:",omitempty"`
	}{Info: info}
	if err != nil {
		report.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(report)
}
