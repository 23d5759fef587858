package goeval

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"math"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
)

// clock measures what a cell's code takes, without its check and compilation.
type clock struct{ wall, user, system time.Duration }

// timed runs code of a cell, and adds what it takes to the clock, if there is one.
func (r *run) timed(code func() *engine.Failure) *engine.Failure {
	if r.clock == nil {
		return code()
	}
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	f := code()
	r.clock.wall += time.Since(start)
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	r.clock.user += time.Duration(after.Utime.Nano() - before.Utime.Nano())
	r.clock.system += time.Duration(after.Stime.Nano() - before.Stime.Nano())
	return f
}

// time runs Go and prints how long it took.
func (r *run) time(source string) engine.Result {
	of := r.with(source)
	of.clock = &clock{}
	result := of.eval()
	if result.Failure != nil && result.Failure.Name == "CompileError" {
		return result
	}
	fmt.Printf("CPU times: user %s, sys %s, total %s\nWall time: %s\n", short(of.clock.user), short(of.clock.system),
		short(of.clock.user+of.clock.system), short(of.clock.wall))
	return result
}

// short words a duration in three digits.
func short(d time.Duration) string { return shortSeconds(d.Seconds()) }

func shortSeconds(s float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if s >= unit.size {
			digits := 2 - int(math.Floor(math.Log10(s/unit.size)))
			return fmt.Sprintf("%.*f %s", max(digits, 0), s/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g ns", s*1e9)
}

var timeitFlag = regexp.MustCompile(`^\s*-([nr])[ =]*(\d+)(?:\s|$)`)

// timeit compiles a statement and runs it in loops.
func (r *run) timeit(args string) engine.Result {
	loops, repeats, statement := 0, 7, args
	for {
		m := timeitFlag.FindStringSubmatch(statement)
		if m == nil {
			break
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return magicFailure(fmt.Errorf("%%timeit: %w", err))
		}
		if m[1] == "n" {
			loops = n
		} else {
			repeats = n
		}
		statement = lexical.Blanked(m[0]) + statement[len(m[0]):]
	}
	if strings.TrimSpace(statement) == "" {
		return magicFailure(errors.New("%timeit needs a statement"))
	}
	if repeats < 1 {
		return magicFailure(errors.New("%timeit needs at least one loop and one repeat"))
	}
	// An expression that is not used is an error unless it is assigned.
	if x, err := parser.ParseExpr(strings.TrimSpace(statement)); err == nil {
		call, isCall := x.(*ast.CallExpr)
		if isCall {
			if name, ok := call.Fun.(*ast.Ident); ok {
				switch name.Name {
				case "len", "cap", "append", "make", "new", "min", "max", "complex", "real", "imag", "string", "int",
					"float64", "float32":
					isCall = false
				}
			}
		}
		if !isCall {
			statement = "_ = " + strings.TrimSpace(statement)
		}
	}
	of := r.with("func(n_ int) { for range n_ { " + statement + "\n} }")
	of.force = "go"
	values, f := of.values()
	if f != nil {
		return failed(f)
	}
	code, ok := values[0].(func(int))
	if !ok {
		return magicFailure(errors.New("%timeit: that is no statement"))
	}
	took := func(n int) (time.Duration, *engine.Failure) {
		start := time.Now()
		f := r.start(func() { code(n) })
		return time.Since(start), f
	}
	if loops == 0 {
		// As many as take a fifth of a second.
		for loops = 1; ; loops *= 10 {
			d, f := took(loops)
			if f != nil {
				return failed(f)
			}
			if d >= 200*time.Millisecond || loops >= 1e9 {
				break
			}
		}
	}
	var each []float64
	for range repeats {
		d, f := took(loops)
		if f != nil {
			return failed(f)
		}
		each = append(each, d.Seconds()/float64(loops))
	}
	mean, deviation := stat.MeanStdDev(each, nil)
	if len(each) == 1 {
		deviation = 0
	}
	fmt.Printf("%s ± %s per loop (mean ± std. dev. of %d runs, %s loops each)\n", shortSeconds(mean),
		shortSeconds(deviation), repeats, grouped(loops))
	return engine.Result{}
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
