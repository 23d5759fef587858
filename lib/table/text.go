package table

import (
	"fmt"
	"reflect"
	"strings"
)

// maxText is where the text form of a value is cut off.
const maxText = 4000

// Text returns the text form of a value: strings quoted, structs with the names of their fields, long ones cut off.
func Text(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		s = fmt.Sprintf("%q", v)
	case error, fmt.Stringer:
		if IsNil(v) {
			return "nil"
		}
		s = fmt.Sprint(v) // which survives a method that panics
	default:
		r := reflect.ValueOf(v)
		switch r.Kind() {
		case reflect.Func:
			return r.Type().String()
		case reflect.Slice, reflect.Array:
			const most = 200
			if r.Len() > most {
				head := make([]string, most)
				for i := range head {
					head[i] = fmt.Sprintf("%+v", r.Index(i))
				}
				s = fmt.Sprintf("[%s … %d in all]", strings.Join(head, " "), r.Len())
			} else if r.Type().Elem().Kind() == reflect.String {
				s = fmt.Sprintf("%q", v)
			} else {
				s = fmt.Sprintf("%+v", v)
			}
		case reflect.Pointer:
			if !r.IsNil() && r.Elem().Kind() == reflect.Struct {
				s = fmt.Sprintf("%+v", v)
			} else {
				s = fmt.Sprintf("%v", v)
			}
		default:
			s = fmt.Sprintf("%+v", v)
		}
	}
	if runes := []rune(s); len(runes) > maxText {
		s = fmt.Sprintf("%s… (%d characters in all)", string(runes[:maxText]), len(runes))
	}
	return s
}

// IsNil tells that v is nothing, or a nil pointer of some type.
func IsNil(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || r.Kind() == reflect.Pointer && r.IsNil()
}
