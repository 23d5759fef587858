package goeval

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lines"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// A cell can have a main function, written out or as what follows a line %% or %main, as GoNB's cells have. It is run
// once its cell's declarations are made. Before it run all functions of the notebook whose names begin with init_, as
// GoNB has it.

// mainPart runs the body of a main function, for which flags have been parsed.
func (r *run) mainPart(p lines.Part) engine.Result {
	if p.Args() != "" {
		if err := r.setArgs(p.Args()); err != nil {
			return magicFailure(err)
		}
	}
	if result := r.with(p.Source).eval(); result.Failure != nil {
		return result
	}
	result := r.runMain("main", true)
	delete(r.ns.Bindings, "main")
	delete(r.groups, "main")
	return result
}

// goPart runs Go, and the main function that it may declare.
func (r *run) goPart(p lines.Part) engine.Result {
	r.forgetFlags(p.Source)
	result := r.with(p.Source).eval()
	if result.Failure != nil || lexical.IsProgram(p.Source) || !lexical.DeclaresMain(p.Source) {
		return result
	}
	return r.runMain("main", false)
}

// exec runs a function of the notebook as if it were main.
func (r *run) exec(args string) engine.Result {
	list, err := words(args)
	if err != nil || len(list) == 0 {
		return magicFailure(fmt.Errorf("%%exec wants the name of a function, and then its arguments"))
	}
	_, rest, _ := strings.Cut(args, " ")
	if err := r.setArgs(rest); err != nil {
		return magicFailure(err)
	}
	return r.runMain(list[0], true)
}

// runMain runs a function that takes and returns nothing, after those whose names begin with init_.
func (r *run) runMain(name string, parses bool) engine.Result {
	main, err := r.niladic(name)
	if err != nil {
		return magicFailure(err)
	}
	var all []func()
	for _, other := range r.ns.Names() {
		if strings.HasPrefix(other, "init_") {
			if f, err := r.niladic(other); err == nil {
				all = append(all, f)
			}
		}
	}
	all = append(all, main)
	f := r.timed(func() *engine.Failure {
		return r.start(func() {
			resetFlags()
			if parses {
				flag.Parse()
			}
			for _, f := range all {
				f()
			}
		})
	})
	return engine.Result{Failure: f}
}

// niladic returns a function of the notebook that takes and returns nothing.
func (r *run) niladic(name string) (func(), error) {
	b := r.ns.Bindings[name]
	if b == nil || b.Sort != namespace.Func {
		return nil, fmt.Errorf("there is no function %s%s", name, nearest.InBrackets(name, r.ns.Names()))
	}
	f, ok := cell.Find(b.Slot).(*func())
	if !ok {
		return nil, fmt.Errorf("%s is a %s, and not a function without parameters and results", name, b.TypeText())
	}
	return func() { (*f)() }, nil
}

// setArgs sets the arguments of the program that a cell is taken for.
func (r *run) setArgs(args string) error {
	list, err := words(args)
	if err != nil {
		return err
	}
	os.Args = append(os.Args[:1:1], list...)
	return nil
}

// words takes a line apart at blanks outside of quotes. In double quotes, a backslash takes the meaning from what
// follows it.
func words(line string) ([]string, error) {
	var out []string
	var word strings.Builder
	in, begun := rune(0), false
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case in == '"' && c == '\\':
			escaped = true
		case in != 0 && c == in:
			in = 0
		case in != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			in, begun = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if in != 0 {
		return nil, fmt.Errorf("the quote in %s is not closed", line)
	}
	if begun {
		out = append(out, word.String())
	}
	return out, nil
}

// notEmpty returns the words that are not.
func notEmpty(list []string) []string {
	return slices.DeleteFunc(list, func(word string) bool { return word == "" })
}

// resetFlags gives the flags of the command line the values that they were defined with, with which each run begins.
func resetFlags() { flag.Visit(func(f *flag.Flag) { f.Value.Set(f.DefValue) }) }

var flagDefinition = regexp.MustCompile(
	`\bflag\.(?:(?:Bool|Int|Int64|Uint|Uint64|String|Float64|Duration|Text)(?:Var)?|Func|BoolFunc|Var)\([^"\n]*"([^"\n]*)"`)

// forgetFlags lets Go that defines flags of the command line run again: package flag panics where there is one of the
// name.
func (r *run) forgetFlags(source string) {
	var again []string
	for _, m := range flagDefinition.FindAllStringSubmatch(source, -1) {
		if flag.Lookup(m[1]) != nil {
			again = append(again, m[1])
		}
	}
	if len(again) == 0 {
		return
	}
	fresh := flag.NewFlagSet(os.Args[0], flag.PanicOnError)
	flag.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(again, f.Name) {
			value := f.Value.String()
			fresh.Var(f.Value, f.Name, f.Usage)
			fresh.Lookup(f.Name).DefValue = f.DefValue
			if value != f.DefValue {
				fresh.Set(f.Name, value)
			}
		}
	})
	flag.CommandLine = fresh
}
