// Command testreport shows what `go test -json` says on its input as `go test` shows it, and at the end which tests
// were skipped and why: "ok" alone would hide that data, a model or a program was missing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	passed, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of a package that does not build
}

// report passes on what packages say, and all that a failed test says, and lists what was skipped. It reports whether
// all passed.
func report(in io.Reader, out io.Writer) (passed bool, err error) {
	said := map[string][]string{} // by a test, until it is known how it ended
	var skipped []string
	failed := 0
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil { // the go command's own words
			fmt.Fprint(out, line)
			continue
		}
		test := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "build-fail":
			failed++
		case "output":
			switch {
			case e.Test != "":
				said[test] = append(said[test], e.Output)
			case e.Output != "PASS\n":
				fmt.Fprint(out, e.Output)
			}
		case "fail":
			failed++
			fmt.Fprint(out, strings.Join(said[test], ""))
			delete(said, test)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, test+": "+reason(said[test]))
			}
			delete(said, test)
		case "pass":
			delete(said, test)
		}
	}
	if len(skipped) > 0 {
		fmt.Fprintf(out, "\n%d tests were skipped:\n", len(skipped))
	}
	for _, s := range skipped {
		fmt.Fprintln(out, "  "+s)
	}
	return failed == 0, nil
}

// reason is what a skipped test gave as one: what it said last, without the place.
func reason(said []string) string {
	why := "no reason given"
	for _, s := range said {
		s = strings.TrimSpace(s)
		if _, after, found := strings.Cut(s, ".go:"); found && !strings.HasPrefix(s, "--- ") {
			if _, text, found := strings.Cut(after, ": "); found {
				why = strings.TrimPrefix(text, "skipped: ")
			}
		}
	}
	return why
}
