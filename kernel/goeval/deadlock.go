package goeval

import (
	"go/types"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// In a program the runtime notices when all goroutines wait for each other. In a notebook it cannot: the kernel's own
// goroutines go on. So the stacks are looked at while a cell runs for long. That tells something only of cells which
// nothing outside of them can wake: no clock, no file, no connection, no signal, no library.

// quietPackages start nothing that could wake a goroutine later.
var quietPackages = map[string]bool{
	"bytes": true, "cmp": true, "container/heap": true, "container/list": true, "container/ring": true,
	"encoding/base64": true,
	"encoding/binary": true, "encoding/hex": true, "encoding/json": true, "errors": true, "fmt": true, "hash/fnv": true,
	"iter": true,
	"maps": true, "math": true, "math/big": true, "math/bits": true, "math/cmplx": true, "math/rand": true,
	"math/rand/v2": true,
	"regexp":       true, "slices": true, "sort": true, "strconv": true, "strings": true, "sync": true,
	"sync/atomic":    true,
	"text/tabwriter": true, "unicode": true, "unicode/utf8": true, "unsafe": true,
}

// quietMembers are those of other packages that do not either.
var quietMembers = map[string]bool{
	"context.Background": true, "context.CancelFunc": true, "context.Context": true, "context.TODO": true,
	"context.WithCancel": true,
	"context.WithValue":  true, "log.Print": true, "log.Printf": true, "log.Println": true, "os.Exit": true,
	"os.Stderr": true, "os.Stdout": true,
	"runtime.GOMAXPROCS": true, "runtime.Gosched": true, "runtime.NumCPU": true, "runtime.NumGoroutine": true,
	"time.Duration": true, "time.Hour": true, "time.Microsecond": true, "time.Millisecond": true, "time.Minute": true,
	"time.Nanosecond": true,
	"time.Now":        true, "time.Second": true, "time.Since": true, "time.Sleep": true, "time.Time": true,
}

// noteQuiet notes whether nothing outside of a cell can wake what it uses. A name that a cell which is not quiet uses
// or defines is not quiet from then on, until it is defined anew.
func (e *Evaluator) noteQuiet(c *check.Checked) {
	c.Quiet = true
	used, defined := map[string]bool{}, map[string]bool{}
	for id, o := range c.Info.Uses {
		if c.Quiet && !isQuiet(o) {
			c.Quiet = false
		}
		if e.ns.Bindings[id.Name] != nil {
			used[id.Name] = true
		}
	}
	for id, o := range c.Info.Defs {
		if o != nil {
			defined[id.Name] = true
		}
	}
	for name := range used {
		if e.woken[name] {
			c.Quiet = false
		}
	}
	for name := range defined {
		delete(e.woken, name)
	}
	if !c.Quiet {
		for name := range used {
			e.woken[name] = true
		}
		for name := range defined {
			e.woken[name] = true
		}
	}
}

// isQuiet reports whether what an object of a package names wakes nothing later.
func isQuiet(o types.Object) bool {
	switch o := o.(type) {
	case *types.PkgName:
		return true // what is used of it counts
	case *types.Var:
		if o.IsField() {
			return true
		}
	case *types.Func:
		if o.Signature().Recv() != nil {
			return true // of a value that came from somewhere
		}
	}
	p := o.Pkg()
	if p == nil || o.Parent() != p.Scope() {
		return true // predeclared, or the cell's own
	}
	return p.Path() == "main" || quietPackages[p.Path()] || quietMembers[p.Path()+"."+o.Name()]
}

// firstLook is how long a cell runs before it is looked at for the first time. From then on the time doubles, up to
// lastLook.
var firstLook = 3 * time.Second

const lastLook = time.Minute

var (
	goroutineHead = regexp.MustCompile(`^goroutine (\d+) (?:gp=\S+ )?(?:m=\S+ )?\[([^\]]*)\]`)
	unitInStack   = regexp.MustCompile(`cells/c-?\d+_[0-9a-f]+`)
	placeInStack  = regexp.MustCompile(`(?m)^(\S+)\(.*\)\n\t(cell .+|.*[/ ]cell -?\d+):(\d+)`)
)

// asleep lists how the system words that a goroutine waits for another.
var asleep = []string{"chan receive", "chan send", "select", "sync.", "semacquire"}

// deadlock returns where a cell waits, when all goroutines of cells wait for each other, and nothing otherwise.
func (r *run) deadlock(id uintptr) (at []frame, found bool) {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	if n == len(buf) {
		return nil, false // there are more than can be looked at
	}
	for block := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		head := goroutineHead.FindStringSubmatch(block)
		units := unitInStack.FindAllString(block, -1)
		if head == nil {
			continue
		}
		own := head[1] == strconv.Itoa(int(id)) // its stack does not show a program's main function
		if len(units) == 0 && !own {
			continue
		}
		state, _, _ := strings.Cut(head[2], ",")
		if !hasPrefix(state, asleep) || strings.Contains(block, "instead.Sleep(") ||
			strings.Contains(block, "/kernel/worker/child.") {
			return nil, false
		}
		for _, unit := range units {
			if !r.quietUnit(unit) {
				return nil, false
			}
		}
		if own {
			found = true
			for _, m := range placeInStack.FindAllStringSubmatch(block, -1) {
				if number, ok := syntax.CellNumber(m[2]); ok {
					line, _ := strconv.Atoi(m[3])
					at = append(at, frame{number: number, line: line, function: lower.FunctionName(m[1])})
				}
			}
		}
	}
	return at, found
}

// quietUnit reports whether a cell's package is of a quiet cell.
func (e *Evaluator) quietUnit(path string) bool {
	quiet, _ := e.units.Load(path)
	return quiet == true
}

func hasPrefix(s string, list []string) bool {
	for _, prefix := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
