package goeval

import (
	"reflect"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
)

// keep remembers the variables that a definition is about to take the place of. yaegi makes the new, zero
// variable before it computes the value, so that a definition that fails would cost what was there.
func (r *run) keep(names []string) map[string]reflect.Value {
	var globals map[string]reflect.Value
	kept := map[string]reflect.Value{}
	for _, name := range names {
		if r.names[name] == "" {
			continue
		}
		if globals == nil {
			globals = r.yaegi.Globals()
		}
		if v := globals[name]; v.IsValid() {
			value := reflect.New(v.Type()).Elem()
			value.Set(v)
			kept[name] = value
		}
	}
	return kept
}

// giveBack undoes what a failed definition did to the variables that keep remembered. One whose type the
// definition has changed cannot come back: its name is forgotten, and the failure says so.
func (r *run) giveBack(kept map[string]reflect.Value, f *engine.Failure) {
	globals := r.yaegi.Globals()
	var gone []string
	for name, value := range kept {
		if now := globals[name]; now.IsValid() && now.Type() == value.Type() && now.CanSet() {
			now.Set(value)
			continue
		}
		delete(r.names, name)
		delete(r.funcs, name)
		gone = append(gone, name)
	}
	if len(gone) > 0 {
		f.Traceback = append(f.Traceback, strings.Join(gone, ", ")+" is no longer defined: the failed definition gave it another type")
	}
}
