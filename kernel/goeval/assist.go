package goeval

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/assist"
	"github.com/loupeml/loupe/kernel/goeval/outputs"
	"github.com/loupeml/loupe/kernel/goeval/peek"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/lib/mime"
)

// Complete offers what may stand at the cursor, counted in code points, the likeliest first: fields of the literal that
// is being written, then what has the type that is wanted there, then other names that the cell and earlier ones have
// given a meaning, packages, members of packages, fields and methods of any expression, magics, files and import paths.
// A match replaces the whole word that the cursor stands in.
func (e *Evaluator) Complete(source string, cursor int) (matches []engine.Match, start, end int) {
	e.turn.Lock()
	defer e.turn.Unlock()
	at := byteOffset(source, cursor)
	matches, from, to := e.environment().Complete(source, at)
	return matches, utf8.RuneCountInString(source[:from]), utf8.RuneCountInString(source[:to])
}

// byteOffset is that of a cursor in code points.
func byteOffset(source string, cursor int) int {
	for at := range source {
		if cursor <= 0 {
			return at
		}
		cursor--
	}
	return len(source)
}

// Inspect says what the name at the cursor is: its signature or type, its documentation and, for a variable, its value.
// Among the arguments of a call it says first what the call takes, and which argument the cursor is in. With detail 1
// it adds the source.
func (e *Evaluator) Inspect(source string, cursor, detail int) (mime.Bundle, bool) {
	e.turn.Lock()
	defer e.turn.Unlock()
	return e.environment().Inspect(source, byteOffset(source, cursor), detail)
}

// environment is what a cell that is being written may use.
func (e *Evaluator) environment() *assist.Environment {
	r := &run{Evaluator: e, text: &syntax.Text{}}
	env := &assist.Environment{Namespace: e.ns, Checker: e.checker, Groups: e.groups, Packages: e.packages,
		Running: e.running > 0, Sources: e.sources, Forms: magicForms, AlsoCalled: alsoCalled, Strings: e.options.Strings,
		ValueIs:  func(v reflect.Value) string { return peek.Value(v, e.options.Describe) },
		WithPast: func(source string) string { return outputs.Named(source, e.ns) },
		FindPast: func(items []*syntax.Item) { e.outputs.Find(items, e.ns, r.earlierSource) }}
	for _, name := range slices.SortedFunc(slices.Values(r.magicNames()), byName) {
		m := magics[name]
		if outside, found := e.options.Magics[name]; found {
			m.usage, m.doc = outside.Usage, outside.Doc
		}
		env.Magics = append(env.Magics, assist.Magic{Name: name, Usage: m.usage, Doc: m.doc})
	}
	return env
}

// explain answers a question.
func (e *Evaluator) explain(name string, detail int) engine.Result {
	b, found := e.environment().Explain(name, detail)
	if !found {
		message := fmt.Sprintf("nothing is known of %s", name)
		if strings.HasPrefix(name, "%") {
			message = fmt.Sprintf("there is no magic %s: %%help lists them", name)
		}
		return failed(&engine.Failure{Name: "NameError", Message: message,
			Traceback: []string{red("NameError") + ": " + message}})
	}
	return engine.Result{Page: &b}
}
