package table

import (
	"fmt"
	"reflect"
	"unicode/utf8"
)

// maxText is where the text form of a value is cut off.
const maxText = 4000

// Text returns the text form of a value: strings quoted, structs with the names of their fields, nil as Go prints it,
// long values cut off. A value that contains itself has an end here, and of a large one only the beginning is looked
// at. Methods of the value that say what it is are called; whether they end is their affair.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "<nil>"
	case string:
		head := v[:min(len(v), maxText*utf8.UTFMax)]
		return shortened(fmt.Sprintf("%q", head), len(head) < len(v), utf8.RuneCountInString(v))
	case error, fmt.Stringer:
		s := fmt.Sprint(v) // which survives a method that panics
		return shortened(s, false, utf8.RuneCountInString(s))
	}
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Func && !r.IsNil() {
		return r.Type().String()
	}
	list := r.Kind() == reflect.Slice || r.Kind() == reflect.Array
	p := &printer{left: maxText * utf8.UTFMax, quotes: list && r.Type().Elem().Kind() == reflect.String,
		inside: map[visit]bool{}}
	p.value(r, 0)
	s := p.out.String()
	if p.left < 0 {
		return string([]rune(s)[:min(maxText, utf8.RuneCountInString(s))]) + "… (the rest is left out)"
	}
	return shortened(s, false, utf8.RuneCountInString(s))
}

// shortened cuts a text off that is too long, or is the beginning of one, and tells how long it is in all.
func shortened(s string, cut bool, characters int) string {
	if runes := []rune(s); cut || len(runes) > maxText {
		return fmt.Sprintf("%s… (%d characters in all)", string(runes[:min(maxText, len(runes))]), characters)
	}
	return s
}

// IsNil tells that v is nothing, or a nil pointer of some type.
func IsNil(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || r.Kind() == reflect.Pointer && r.IsNil()
}
