package goeval

import (
	"context"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// faultsOf says where in the cells a tool has found something wrong.
func (e *Evaluator) faultsOf(err error, of *syntax.Text) []syntax.Fault {
	return check.FaultsOf(err, of, e.texts, lower.WithoutOwnNames)
}

// cgo has the go command translate C.
func (e *Evaluator) cgo(source string) (string, error) {
	return e.options.Toolchain.Cgo(context.Background(), source)
}
