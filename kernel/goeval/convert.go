package goeval

import (
	"context"
	"errors"
	"fmt"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/convert"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Convert writes the cells of a notebook as a program, and runs nothing. The failure says what cannot be converted.
func (e *Evaluator) Convert(ctx context.Context, cells []string) (string, *engine.Failure) {
	e.turn.Lock()
	defer e.turn.Unlock()
	ns, texts := e.ns, e.texts
	defer func() { e.ns, e.texts = ns, texts }()
	e.texts = map[int]*syntax.Text{}
	var list []*syntax.Text
	for i, source := range cells {
		t := &syntax.Text{Number: i + 1, Source: source}
		e.texts[t.Number] = t
		list = append(list, t)
	}
	program, err := convert.Session{Fset: e.fset, Checker: e.checker, Forms: magicForms,
		Find: func(items []*syntax.Item, now *namespace.Namespace) {
			e.ns = now
			(&run{Evaluator: e, ctx: ctx}).autofind(items)
		}}.Program(list)
	var faults *convert.FaultsError
	var refused *convert.RefusedError
	switch {
	case errors.As(err, &faults):
		return "", (&run{Evaluator: e, text: faults.Text}).compileFailure(faults.Faults)
	case errors.As(err, &refused):
		message := firstLine(refused.What[0])
		if n := len(refused.What); n > 1 {
			message += fmt.Sprintf(" (and %d more)", n-1)
		}
		return "", &engine.Failure{Name: "ConvertError", Message: message, Traceback: refused.What}
	}
	return program, nil
}
