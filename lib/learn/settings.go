package learn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// settings says in words what a value is set to, alike in every process: its type, and of a struct the fields that are
// not zero, but for some. Of functions and of what points elsewhere it says only that they are there.
func settings(v any, but ...string) string {
	x := reflect.ValueOf(v)
	if !x.IsValid() {
		return "none"
	}
	if x.Kind() != reflect.Struct {
		if plain(x.Type()) {
			return fmt.Sprintf("%T(%v)", v, v)
		}
		return fmt.Sprintf("%T", v)
	}
	var set []string
	for i := range x.NumField() {
		field := x.Type().Field(i)
		switch {
		case x.Field(i).IsZero() || slices.Contains(but, field.Name):
		case plain(field.Type):
			set = append(set, fmt.Sprintf("%s: %v", field.Name, x.Field(i)))
		default:
			set = append(set, field.Name)
		}
	}
	return fmt.Sprintf("%T{%s}", v, strings.Join(set, ", "))
}

// plain is whether a type's values are wholly told by printing them.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Pointer, reflect.Func, reflect.Interface, reflect.Map, reflect.Chan, reflect.UnsafePointer,
		reflect.Uintptr:
		return false
	}
	return true
}

// settingsOf are those of several values.
func settingsOf[T any](all []T) string {
	if len(all) == 0 {
		return "none"
	}
	var said []string
	for _, v := range all {
		said = append(said, settings(v))
	}
	return strings.Join(said, ", ")
}
