package goeval

import (
	"fmt"
	"go/token"
	"reflect"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// IsComplete answers whether a cell can run as it stands. It looks at the text only. Where it cannot
// tell it calls input incomplete, since a person can always type an empty line, and nobody can
// take back a cell that ran too early.
func IsComplete(source string) (engine.Completeness, string) {
	lexemes, bad := scan(source)
	if bad != nil {
		if strings.Contains(bad.message, "not terminated") && (strings.Contains(bad.message, "raw string") || strings.Contains(bad.message, "comment")) {
			return engine.Incomplete, ""
		}
		return engine.Invalid, ""
	}
	depth := 0
	var last token.Token
	for _, l := range lexemes {
		switch l.tok {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			depth++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			depth--
		}
		if l.tok != token.SEMICOLON || l.lit != "\n" {
			last = l.tok
		}
	}
	indent := strings.Repeat("\t", max(depth, 0))
	switch {
	case depth > 0:
		return engine.Incomplete, indent
	case depth < 0:
		return engine.Invalid, ""
	case len(lexemes) == 0:
		return engine.Complete, ""
	}
	if last.IsOperator() {
		switch last {
		case token.RPAREN, token.RBRACE, token.RBRACK, token.SEMICOLON, token.INC, token.DEC, token.ELLIPSIS:
		default:
			return engine.Incomplete, indent
		}
	}
	if _, bad := split(source); bad != nil {
		if bad.open || strings.TrimSpace(source[bad.offset:]) == "" {
			return engine.Incomplete, indent
		}
		return engine.Invalid, ""
	}
	return engine.Complete, ""
}

// Complete offers what may stand at the cursor, counted in code points: names that cells have
// defined, packages, members of packages, and fields and methods of variables.
func (in *Interpreter) Complete(source string, cursor int) (matches []engine.Match, start, end int) {
	chain, start, end := nameAt(source, cursor, false)
	prefix := chain[len(chain)-1]
	if len(chain) == 1 {
		for name, kind := range in.names {
			matches = append(matches, engine.Match{Text: name, Type: kind, Doc: in.describe(name)})
		}
		for name := range in.packages {
			if name != showPackage {
				matches = append(matches, engine.Match{Text: name, Type: "package", Doc: in.path(name)})
			}
		}
		for name := range universe {
			matches = append(matches, engine.Match{Text: name, Type: "keyword"})
		}
		for tok := token.BREAK; tok <= token.VAR; tok++ {
			matches = append(matches, engine.Match{Text: tok.String(), Type: "keyword"})
		}
	} else if members := in.members(chain[0]); members != nil && len(chain) == 2 {
		for name, v := range members {
			if strings.HasPrefix(name, "_") {
				continue
			}
			matches = append(matches, engine.Match{Text: name, Type: symbolKind(v), Doc: symbolDoc(name, v)})
		}
	} else if v, ok := in.lookup(chain[:len(chain)-1]); ok {
		matches = valueMembers(v.Type())
	}
	kept := matches[:0]
	for _, m := range matches {
		if strings.HasPrefix(strings.ToLower(m.Text), strings.ToLower(prefix)) {
			kept = append(kept, m)
		}
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i].Text < kept[j].Text })
	return kept, start, end
}

// Inspect says what the name at the cursor is: its signature or type and, for a variable, its value.
func (in *Interpreter) Inspect(source string, cursor int) (mime.Bundle, bool) {
	chain, _, _ := nameAt(source, cursor, true)
	name := strings.Join(chain, ".")
	if members := in.members(chain[0]); members != nil {
		if len(chain) == 1 {
			return mime.TextOf(fmt.Sprintf("package %s // import %q", name, in.path(name))), true
		}
		if v, ok := members[chain[1]]; ok && len(chain) == 2 {
			return mime.TextOf(symbolDoc(name, v)), true
		}
	}
	if v, ok := in.lookup(chain); ok {
		if len(chain) == 1 && in.names[name] == "function" {
			return mime.TextOf(in.describe(name)), true
		}
		text := fmt.Sprintf("%s %s", name, v.Type())
		if v.CanInterface() && v.Kind() != reflect.Func {
			text += "\n" + in.options.Present(v.Interface()).Data[mime.Text]
		}
		return mime.TextOf(text), true
	}
	if kind, ok := in.names[name]; ok {
		if kind == "type" {
			return mime.TextOf(in.types[name]), true
		}
		return mime.TextOf(kind + " " + name), true
	}
	// A method of a value.
	if len(chain) > 1 {
		if v, ok := in.lookup(chain[:len(chain)-1]); ok {
			for _, m := range valueMembers(v.Type()) {
				if m.Text == chain[len(chain)-1] {
					return mime.TextOf(m.Doc), true
				}
			}
		}
	}
	return mime.Bundle{}, false
}

// nameAt returns the dotted name before the cursor, and what of it a completion replaces, in code points.
// With whole set the name goes on behind the cursor to the end of the identifier.
func nameAt(source string, cursor int, whole bool) (chain []string, start, end int) {
	runes := []rune(source)
	cursor = min(max(cursor, 0), len(runes))
	isName := func(r rune) bool {
		return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= utf8.RuneSelf
	}
	end = cursor
	if whole {
		for end < len(runes) && isName(runes[end]) {
			end++
		}
		// Within a call, what is called is meant.
		if end > 0 && end == cursor && !isName(runes[end-1]) && runes[end-1] == '(' {
			end--
		}
	}
	from := end
	for from > 0 && (isName(runes[from-1]) || runes[from-1] == '.') {
		from--
	}
	chain = strings.Split(string(runes[from:end]), ".")
	return chain, end - len([]rune(chain[len(chain)-1])), end
}

// path returns the import path that a package name stands for.
func (in *Interpreter) path(name string) string {
	if p := in.imported[name]; p != "" {
		return p
	}
	if p := in.options.Prefer[name]; p != "" {
		return p
	}
	if paths := in.packages[name]; len(paths) > 0 {
		return paths[0]
	}
	return ""
}

func (in *Interpreter) members(name string) map[string]reflect.Value {
	if in.names[name] != "" {
		return nil
	}
	return in.exports[in.path(name)]
}

// lookup follows a variable and its fields.
func (in *Interpreter) lookup(chain []string) (reflect.Value, bool) {
	v, ok := in.yaegi.Globals()[chain[0]]
	if !ok || in.names[chain[0]] == "" {
		return v, false
	}
	for _, field := range chain[1:] {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return v, false
		}
		f := v.FieldByName(field)
		if !f.IsValid() {
			f = v.FieldByName("X" + field) // how yaegi spells a field that is not exported
		}
		if !f.IsValid() {
			return v, false
		}
		v = f
	}
	return v, v.IsValid()
}

// describe is the one-line form of something that a cell has defined.
func (in *Interpreter) describe(name string) string {
	if signature := in.funcs[name]; signature != "" {
		return "func " + name + strings.TrimPrefix(signature, "func")
	}
	if v, ok := in.lookup([]string{name}); ok {
		return name + " " + v.Type().String()
	}
	return name
}

// symbolKind and symbolDoc describe a member of a compiled package, as its symbol table holds it:
// a type as a nil pointer to it, a variable as a pointer to it, a function or constant as itself.
func symbolKind(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Func:
		return "function"
	case v.Kind() == reflect.Pointer && v.IsNil():
		return "type"
	}
	return "variable"
}

func symbolDoc(name string, v reflect.Value) string {
	switch symbolKind(v) {
	case "function":
		return "func " + name + strings.TrimPrefix(v.Type().String(), "func")
	case "type":
		return "type " + name + " " + v.Type().Elem().Kind().String()
	}
	return name + " " + v.Type().String()
}

func valueMembers(t reflect.Type) (matches []engine.Match) {
	methods := t
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		methods = reflect.PointerTo(t)
	}
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		signature := strings.TrimPrefix(m.Type.String(), "func")
		if methods.Kind() != reflect.Interface {
			// The receiver comes first.
			signature = strings.Replace(signature, methods.String(), "", 1)
			signature = strings.Replace(signature, "(, ", "(", 1)
		}
		matches = append(matches, engine.Match{Text: m.Name, Type: "method", Doc: fmt.Sprintf("func (%s) %s%s", methods, m.Name, signature)})
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Name
			if len(name) > 1 && name[0] == 'X' && (name[1] >= 'a' && name[1] <= 'z') {
				name = name[1:] // how yaegi spells a field that is not exported
			} else if !f.IsExported() {
				continue
			}
			matches = append(matches, engine.Match{Text: name, Type: "field", Doc: name + " " + f.Type.String()})
		}
	}
	return matches
}
