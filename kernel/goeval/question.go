package goeval

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// question tells whether a cell asks what a name is: name? or ?name, with a second question mark for its source as
// well.
func question(source string) (name string, detail int, ok bool) {
	source = strings.TrimSpace(source)
	name = strings.Trim(source, "?")
	marks := len(source) - len(name)
	name = strings.TrimSpace(name)
	if marks == 0 || marks > 2 || strings.ContainsAny(name, " \t\n\"'`?") || name == "" {
		return "", 0, false
	}
	return name, marks - 1, true
}

// explain answers a question.
func (e *Evaluator) explain(name string, detail int) engine.Result {
	if m, ok := magics[name]; ok {
		b := mime.TextOf(strings.TrimSpace(name+" "+m.usage) + "\n\n" + m.doc)
		return engine.Result{Page: &b}
	}
	b, found := e.inspect(name, len([]rune(name)), detail)
	if !found {
		message := fmt.Sprintf("nothing is known of %s", name)
		return failed(&engine.Failure{Name: "NameError", Message: message, Traceback: []string{red("NameError") + ": " + message}})
	}
	return engine.Result{Page: &b}
}
