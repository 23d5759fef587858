package goeval

import (
	"flag"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// testFlags puts the flags of package testing among those of the command line.
var testFlags = sync.OnceFunc(testing.Init)

var testDeclaration = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w*)\(`)

// test runs tests and benchmarks of the notebook as go test does: with flags those they choose, else the cell's own,
// and all where it has none.
func (r *run) test(args string) engine.Result {
	list, err := words(args)
	if err != nil {
		return magicFailure(err)
	}
	var tests []testing.InternalTest
	var benchmarks []testing.InternalBenchmark
	for _, name := range r.ns.Names() {
		b := r.ns.Bindings[name]
		if b.Sort != namespace.Func {
			continue
		}
		switch f := cell.Find(b.Slot).(type) {
		case *func(*testing.T):
			if strings.HasPrefix(name, "Test") {
				tests = append(tests, testing.InternalTest{Name: name, F: guarded(f)})
			}
		case *func(*testing.B):
			if strings.HasPrefix(name, "Benchmark") {
				benchmarks = append(benchmarks, testing.InternalBenchmark{Name: name, F: guarded(f)})
			}
		}
	}
	if len(tests)+len(benchmarks) == 0 {
		return magicFailure(
			fmt.Errorf("there is nothing to test: no function TestName(t *testing.T) or BenchmarkName(b *testing.B) is defined"))
	}
	if args == "" {
		list = []string{"-test.v"}
		var own [2][]string
		for _, m := range testDeclaration.FindAllStringSubmatch(r.text.Source, -1) {
			kind := 0
			if strings.HasPrefix(m[1], "Benchmark") {
				kind = 1
			}
			own[kind] = append(own[kind], m[1])
		}
		if len(own[0])+len(own[1]) > 0 {
			list = append(list, "-test.run=^("+strings.Join(own[0], "|")+")$")
		}
		if len(own[1]) > 0 {
			list = append(list, "-test.bench=^("+strings.Join(own[1], "|")+")$")
		}
	}
	r.behind.Wait() // a benchmark shall not measure the interpreter
	testFlags()
	status := 0
	if f := r.start(func() {
		resetFlags()
		defer resetFlags()
		if err := flag.CommandLine.Parse(notEmpty(list)); err != nil {
			panic(err)
		}
		status = testing.MainStart(testDeps{}, tests, benchmarks, nil, nil).Run()
	}); f != nil {
		return failed(f)
	}
	if status != 0 {
		message := "there are tests that fail: see above"
		return failed(&engine.Failure{Name: "TestFailure", Message: message,
			Traceback: []string{red("TestFailure") + ": " + message}})
	}
	return engine.Result{}
}

// guarded returns a test that fails where the function panics. To package testing, that would be the end of the
// process.
func guarded[T interface {
	Errorf(string, ...any)
	FailNow()
	Skipped() bool
}](f *func(T)) func(T) {
	return func(t T) {
		ended := false
		defer func() {
			if ended {
				return
			}
			if value := recover(); value != nil {
				t.Errorf("panic: %v\n%s", value, debug.Stack())
			}
			if !t.Skipped() {
				t.FailNow() // an interrupt ends the goroutine as well
			}
		}()
		(*f)(t)
		ended = true
	}
}

// testDeps is what package testing wants to know of the program. The set of methods is that of Go 1.26: it belongs to
// the go command and may change with it, in which case this does not compile.
type testDeps struct{}

// corpusEntry is an input of a fuzz test, of which there are none.
type corpusEntry = struct {
	Parent     string
	Path       string
	Data       []byte
	Values     []any
	Generation int
	IsSeed     bool
}

func (testDeps) ImportPath() string { return "notebook" }
func (testDeps) ModulePath() string { return "notebook" }
func (testDeps) MatchString(pattern, s string) (bool, error) {
	return regexp.MatchString(pattern, s)
}
func (testDeps) SetPanicOnExit0(bool)                        {}
func (testDeps) StartCPUProfile(io.Writer) error             { return errNoProfile }
func (testDeps) StopCPUProfile()                             {}
func (testDeps) StartTestLog(io.Writer)                      {}
func (testDeps) StopTestLog() error                          { return nil }
func (testDeps) WriteProfileTo(string, io.Writer, int) error { return errNoProfile }
func (testDeps) CoordinateFuzzing(time.Duration, int64, time.Duration, int64, int, []corpusEntry, []reflect.Type,
	string, string) error {
	return errNoFuzzing
}
func (testDeps) RunFuzzWorker(func(corpusEntry) error) error              { return errNoFuzzing }
func (testDeps) ReadCorpus(string, []reflect.Type) ([]corpusEntry, error) { return nil, errNoFuzzing }
func (testDeps) CheckCorpus([]any, []reflect.Type) error                  { return errNoFuzzing }
func (testDeps) ResetCoverage()                                           {}
func (testDeps) SnapshotCoverage()                                        {}
func (testDeps) InitRuntimeCoverage() (mode string, tearDown func(coverprofile string, gocoverdir string) (string,
	error), snapcov func() float64) {
	return "", func(string, string) (string, error) { return "", nil }, func() float64 { return 0 }
}

var (
	errNoProfile = fmt.Errorf("%%test writes no profiles")
	errNoFuzzing = fmt.Errorf("%%test runs no fuzz tests")
)
