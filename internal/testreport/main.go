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
	skipped, failed := newSkips(), 0
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
				skipped.add(e.Package, e.Test, reason(said[test]))
			}
			delete(said, test)
		case "pass":
			delete(said, test)
		}
	}
	skipped.write(out)
	return failed == 0, nil
}

// skips are the tests that were skipped. The parts of one test that were skipped for one reason are one line.
type skips struct {
	order []string            // of tests with their reasons
	parts map[string][]string // of each, the names of its parts; none of a test that was skipped as a whole
	count int
}

func newSkips() *skips { return &skips{parts: map[string][]string{}} }

func (s *skips) add(pkg, test, why string) {
	whole, part, isPart := strings.Cut(test, "/")
	key := pkg + " " + whole + ": " + why
	if _, known := s.parts[key]; !known {
		s.order = append(s.order, key)
		s.parts[key] = nil
	}
	if isPart {
		s.parts[key] = append(s.parts[key], part)
	}
	s.count++
}

func (s *skips) write(out io.Writer) {
	if s.count > 0 {
		fmt.Fprintf(out, "\nskipped (%d tests or parts of tests):\n", s.count)
	}
	for _, key := range s.order {
		of := ""
		if parts := s.parts[key]; len(parts) > 3 {
			of = fmt.Sprintf(" (%d parts: %s, %s, …)", len(parts), parts[0], parts[1])
		} else if len(parts) > 0 {
			of = fmt.Sprintf(" (%s)", strings.Join(parts, ", "))
		}
		fmt.Fprintln(out, "  "+key+of)
	}
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
