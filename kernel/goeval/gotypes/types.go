// Package gotypes has what go/types leaves to those who use it.
package gotypes

import (
	"go/token"
	"go/types"
	"reflect"
)

// Walk calls visit for a type and, where that returns true, for those that it is made of.
func Walk(t types.Type, visit func(types.Type) bool) {
	if t == nil || !visit(t) {
		return
	}
	switch t := t.(type) {
	case *types.Alias:
		Walk(t.Rhs(), visit)
	case *types.Pointer:
		Walk(t.Elem(), visit)
	case *types.Slice:
		Walk(t.Elem(), visit)
	case *types.Array:
		Walk(t.Elem(), visit)
	case *types.Chan:
		Walk(t.Elem(), visit)
	case *types.Map:
		Walk(t.Key(), visit)
		Walk(t.Elem(), visit)
	case *types.Struct:
		for i := range t.NumFields() {
			Walk(t.Field(i).Type(), visit)
		}
	case *types.Signature:
		Walk(t.Params(), visit)
		Walk(t.Results(), visit)
	case *types.Tuple:
		for i := range t.Len() {
			Walk(t.At(i).Type(), visit)
		}
	case *types.Interface:
		for i := range t.NumExplicitMethods() {
			Walk(t.ExplicitMethod(i).Type(), visit)
		}
		for i := range t.NumEmbeddeds() {
			Walk(t.EmbeddedType(i), visit)
		}
	case *types.Union:
		for i := range t.Len() {
			Walk(t.Term(i).Type(), visit)
		}
	case *types.Named:
		for i := range t.TypeArgs().Len() {
			Walk(t.TypeArgs().At(i), visit)
		}
	}
}

// HasOwnFields reports whether a type mentions a struct without a name that has fields of a cell which are not
// exported.
func HasOwnFields(t types.Type) bool {
	found := false
	Walk(t, func(t types.Type) bool {
		if st, ok := t.(*types.Struct); ok {
			for i := range st.NumFields() {
				found = found || !st.Field(i).Exported()
			}
		}
		_, named := t.(*types.Named)
		return !found && !named
	})
	return found
}

// Underlying is the type that a type is made of; nil for nil.
func Underlying(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	return t.Underlying()
}

// Error is the type error.
var Error = types.Universe.Lookup("error").Type()

// ExportedNames returns what a package exports, sorted.
func ExportedNames(p *types.Package) []string {
	var out []string
	for _, name := range p.Scope().Names() {
		if token.IsExported(name) {
			out = append(out, name)
		}
	}
	return out
}

// IsBytes reports whether a type is a slice of bytes.
func IsBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	b, ok := s.Elem().Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

// Basic are the types of Go's basic kinds, but for the complex ones.
var Basic = map[types.BasicKind]reflect.Type{
	types.Bool: reflect.TypeFor[bool](), types.String: reflect.TypeFor[string](),
	types.Int: reflect.TypeFor[int](), types.Int8: reflect.TypeFor[int8](), types.Int16: reflect.TypeFor[int16](),
	types.Int32: reflect.TypeFor[int32](), types.Int64: reflect.TypeFor[int64](),
	types.Uint: reflect.TypeFor[uint](), types.Uint8: reflect.TypeFor[uint8](), types.Uint16: reflect.TypeFor[uint16](),
	types.Uint32: reflect.TypeFor[uint32](), types.Uint64: reflect.TypeFor[uint64](),
	types.Uintptr: reflect.TypeFor[uintptr](),
	types.Float32: reflect.TypeFor[float32](), types.Float64: reflect.TypeFor[float64](),
}
