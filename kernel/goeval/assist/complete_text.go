package assist

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// StringPlace says where a string stands that is to be completed, so that the program around the evaluator can tell
// what names may be in it. It is an argument, a field, or a word of a command of the shell.
type StringPlace struct {
	Package  string   // import path of the function's package, or of the struct's
	Type     string   // the method's or the field's type; empty for a function
	Function string   // or method; empty for a field
	Name     string   // of the parameter or the field
	Command  []string // the words of the command before the string; nil in Go

	// Variables are the values of the variables that the call mentions, or of all that cells have defined where it
	// mentions none. It is empty while a cell runs.
	Variables []any
}

// completeLine offers what may stand at the cursor in a line that is not Go: magics, and what follows them. ok is false
// in Go.
func (e *Environment) completeLine(source string, at int) (matches []engine.Match, start int, ok bool) {
	before := source[:at]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	words := strings.TrimLeft(line, " \t")
	if !strings.HasPrefix(words, "%") && !strings.HasPrefix(words, "!") ||
		!lexical.StatementMayBegin(e.Forms.OnlyGo(before[:len(before)-len(line)])) {
		return nil, 0, false
	}
	name, rest, spaced := strings.Cut(words, " ")
	if strings.HasPrefix(words, "%") && !spaced {
		for _, m := range e.Magics {
			if strings.HasPrefix(m.Name, name) || !strings.HasPrefix(name, "%%") && strings.HasPrefix(m.Name, "%"+name) {
				matches = append(matches, engine.Match{Text: m.Name, Type: "magic",
					Doc: strings.Replace(m.help(), "\n\n", ": ", 1)})
			}
		}
		return matches, at - len(name), true
	}
	if of, ok := e.AlsoCalled[name]; ok {
		name = of
	}
	if e.Forms[name].Statement {
		return nil, 0, false
	}
	fromList := func(kind string, names ...string) ([]engine.Match, int, bool) {
		typed := rest[strings.LastIndexAny(rest, " \t")+1:]
		for _, n := range names {
			if strings.HasPrefix(n, typed) {
				matches = append(matches, engine.Match{Text: n, Type: kind})
			}
		}
		return matches, at - len(typed), true
	}
	// A path may have blanks in it, and be quoted.
	ofPath := func(path string, fits func(name string, isDir bool) bool) ([]engine.Match, int, bool) {
		matches, n := files(strings.TrimLeft(path, " \t\"'"), fits)
		return matches, at - n, true
	}
	switch name {
	case "%engine":
		return fromList("keyword", "auto", "go", "yaegi")
	case "%reset":
		return fromList("keyword", "go.mod")
	case "%cd":
		return ofPath(rest, func(_ string, isDir bool) bool { return isDir })
	case "%run":
		return ofPath(rest, func(name string, isDir bool) bool { return isDir || filepath.Ext(name) == ".go" })
	case "%load":
		return ofPath(rest, nil)
	case "%mod":
		if rest, ok := strings.CutPrefix(rest, "use "); ok {
			return ofPath(rest, func(_ string, isDir bool) bool { return isDir })
		}
		return fromList("keyword", "get", "list", "use")
	case "%env":
		return fromList("variable", environmentNames()...)
	case "%rm", "%who", "%whos", "%exec":
		if name == "%rm" {
			return fromList("variable", e.Namespace.OfType("")...)
		}
		var list []string
		for _, n := range e.Namespace.OfType("") {
			b := e.Namespace.Bindings[n]
			if name != "%exec" {
				list = append(list, b.TypeText())
			} else if _, isFunc := gotypes.Underlying(b.Object.Type()).(*types.Signature); isFunc {
				list = append(list, n)
			}
		}
		slices.Sort(list)
		return fromList(map[bool]string{true: "function", false: "type"}[name == "%exec"], slices.Compact(list)...)
	}
	if strings.HasPrefix(words, "!") {
		if at := strings.LastIndexAny(line, "${"); at >= 0 && token.IsIdentifier(line[at+1:]+"_") {
			return e.completeExpanded(line[at+1:], len(before), strings.HasSuffix(strings.TrimSuffix(line[:at+1], "{"), "$"))
		}
	}
	word := line[strings.LastIndexAny(line, " \t!=\"'")+1:]
	command := strings.Fields(strings.TrimLeft(line[:strings.LastIndexAny(line, " \t!")+1], " \t!*"))
	if offered, only := e.offered(StringPlace{Command: command}); len(offered) > 0 || only {
		return beginning(offered, word), at - len(word), true
	}
	matches, n := files(word, nil)
	return matches, at - n, true
}

// completeExpanded offers variables in a command of the shell, which stand there for their values.
func (e *Environment) completeExpanded(typed string, at int, environment bool) (matches []engine.Match,
	start int, ok bool) {
	for _, name := range e.Namespace.Names() {
		if b := e.Namespace.Bindings[name]; b.Sort == namespace.Var && strings.HasPrefix(name, typed) {
			m := e.match(b.Object)
			m.Text = name
			matches = append(matches, m)
		}
	}
	if environment {
		for _, name := range environmentNames() {
			if strings.HasPrefix(name, typed) {
				matches = append(matches, engine.Match{Text: name, Type: "variable", Doc: os.Getenv(name)})
			}
		}
	}
	return matches, at - len(typed), true
}

func environmentNames() (names []string) {
	for _, v := range os.Environ() {
		if name, _, ok := strings.Cut(v, "="); ok && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Magic is how a magic is used, and what it does; "" for none.
func (e *Environment) magicHelp(name string) string {
	for _, m := range e.Magics {
		if m.Name == name {
			return m.help()
		}
	}
	return ""
}

// completeString offers what may stand in the string that the cursor is in: keys of a map, names that a function or a
// field takes, import paths, files.
func (e *Environment) completeString(source string, at int, w word) (matches []engine.Match, start int) {
	typed := source[w.start+1 : at]
	if inImport(source[:w.start]) {
		for _, paths := range e.Packages {
			for _, p := range paths {
				if strings.HasPrefix(p, typed) {
					matches = append(matches, engine.Match{Text: p, Type: "package"})
				}
			}
		}
		slices.SortFunc(matches, func(a, b engine.Match) int {
			return cmp.Or(nearerFirst(a.Text, b.Text), strings.Compare(a.Text, b.Text))
		})
		return matches, at - len(typed)
	}
	only := false
	if p := e.placeAt(source, w, cursorName, cursorName+",", cursorName+":", cursorName+"()"); p != nil {
		wanted := p.wanted()
		if wanted.index != nil {
			if keys := beginning(e.keysOf(p, wanted.index.X), typed); len(keys) > 0 {
				return keys, at - len(typed)
			}
		}
		if in, ok := e.stringPlace(p, wanted); ok {
			matches, only = e.offered(in)
			matches = beginning(matches, typed)
		}
	}
	found, n := files(typed, nil)
	switch {
	case only:
	case n == len(typed):
		matches = append(matches, found...)
	case len(found) > 0: // behind a folder, where no name begins
		return found, at - n
	}
	return matches, at - len(typed)
}

// nearerFirst puts the standard library's import paths before others.
func nearerFirst(a, b string) int {
	return cmp.Compare(strings.Count(strings.Split(a, "/")[0], "."), strings.Count(strings.Split(b, "/")[0], "."))
}

// offered are the names that the program around the evaluator knows for a place; only says that nothing else is right.
func (e *Environment) offered(in StringPlace) (matches []engine.Match, only bool) {
	if in.Package == "os" && in.Name == "key" {
		for _, name := range environmentNames() {
			matches = append(matches, engine.Match{Text: name, Type: "variable", Doc: os.Getenv(name)})
		}
		return matches, true
	}
	if e.Strings == nil {
		return nil, false
	}
	return e.Strings(in)
}

// beginning returns the matches that go on as what was typed does.
func beginning(matches []engine.Match, typed string) (out []engine.Match) {
	for _, m := range matches {
		if strings.HasPrefix(m.Text, typed) {
			out = append(out, m)
		}
	}
	return out
}

// stringPlace says where a string stands, if that is an argument or a field.
func (e *Environment) stringPlace(p *place, w wanted) (in StringPlace, ok bool) {
	// A string in a slice of strings stands for the field or the argument that the slice is.
	if lit, isLit := p.stack[len(p.stack)-1].(*ast.CompositeLit); isLit && w.field == nil && w.call == nil {
		w = p.wantedAt(len(p.stack)-2, lit)
	}
	switch {
	case w.field != nil && w.named != nil && w.named.Obj().Pkg() != nil:
		in = StringPlace{Package: w.named.Obj().Pkg().Path(), Type: w.named.Obj().Name(), Name: w.field.Name()}
	case w.call != nil:
		var f *types.Func
		switch fun := ast.Unparen(w.call.Fun).(type) {
		case *ast.Ident:
			f, _ = p.Info.Uses[fun].(*types.Func)
		case *ast.SelectorExpr:
			f, _ = p.Info.Uses[fun.Sel].(*types.Func)
		}
		if f == nil || f.Pkg() == nil {
			return in, false
		}
		v := parameter(f.Signature(), w.arg, w.call.Ellipsis.IsValid())
		if v == nil {
			return in, false
		}
		in = StringPlace{Package: f.Pkg().Path(), Type: receiverName(f), Function: f.Name(), Name: v.Name()}
		in.Variables = e.valuesIn(p, w.call)
	default:
		return in, false
	}
	if len(in.Variables) == 0 {
		in.Variables = e.valuesIn(p, nil)
	}
	return in, true
}

// valuesIn returns the values of the variables that a node mentions; of all that cells have defined where it is nil.
func (e *Environment) valuesIn(p *place, node ast.Node) (values []any) {
	if e.Running {
		return nil
	}
	add := func(b *namespace.Binding) {
		if b == nil || b.Sort != namespace.Var {
			return
		}
		if slot := cell.Find(b.Slot); slot != nil {
			if v := reflect.ValueOf(slot).Elem(); v.CanInterface() {
				values = append(values, v.Interface())
			}
		}
	}
	if node == nil {
		for _, name := range e.Namespace.Names() {
			add(e.Namespace.Bindings[name])
		}
		return values
	}
	ast.Inspect(node, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if b := e.Namespace.Bindings[id.Name]; b != nil && p.Info.Uses[id] == b.Object {
				add(b)
			}
		}
		return true
	})
	return values
}

// keysOf returns the keys that a map has now.
func (e *Environment) keysOf(p *place, x ast.Expr) (keys []engine.Match) {
	id, ok := ast.Unparen(x).(*ast.Ident)
	if !ok || e.Running {
		return nil
	}
	b := e.Namespace.Bindings[id.Name]
	if b == nil || b.Sort != namespace.Var || p.Info.Uses[id] != b.Object {
		return nil
	}
	slot := cell.Find(b.Slot)
	if slot == nil {
		return nil
	}
	m := reflect.ValueOf(slot).Elem()
	if m.Kind() != reflect.Map || m.Type().Key().Kind() != reflect.String {
		return nil
	}
	const most = 1000
	for iter := m.MapRange(); iter.Next() && len(keys) < most; {
		keys = append(keys, engine.Match{Text: iter.Key().String(), Type: "key"})
	}
	slices.SortFunc(keys, func(a, b engine.Match) int { return strings.Compare(a.Text, b.Text) })
	return keys
}

// files offers the files whose names go on as a path does, if they fit; n is how many bytes of the path they replace.
func files(path string, fits func(name string, isDir bool) bool) (matches []engine.Match, n int) {
	dir, prefix := filepath.Split(path)
	look := dir
	if look == "" {
		look = "."
	} else if rest, ok := strings.CutPrefix(look, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			look = filepath.Join(home, rest)
		}
	}
	entries, err := os.ReadDir(look)
	if err != nil {
		return nil, len(prefix)
	}
	if prefix == ".." {
		matches = append(matches, engine.Match{Text: "../", Type: "path"})
	}
	const most = 500
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, prefix) || prefix == "" && strings.HasPrefix(name, ".") {
			continue
		}
		info, err := os.Stat(filepath.Join(look, name))
		isDir := err == nil && info.IsDir()
		if fits != nil && !fits(name, isDir) {
			continue
		}
		if isDir {
			name += "/"
		}
		if matches = append(matches, engine.Match{Text: name, Type: "path"}); len(matches) == most {
			break
		}
	}
	return matches, len(prefix)
}

// inImport reports whether what follows the text is the path of an import.
func inImport(before string) bool {
	lexemes, bad := lexical.Scan(lexical.WithoutBadTokens(before + `""`))
	if bad != nil || len(lexemes) < 2 {
		return false
	}
	i := len(lexemes) - 3 // before the path and the semicolon that the end of the text is
	// A name or a dot may stand between.
	if i >= 0 && (lexemes[i].Tok == token.IDENT || lexemes[i].Tok == token.PERIOD) {
		i--
	}
	if i >= 0 && lexemes[i].Tok == token.IMPORT {
		return true
	}
	for ; i >= 0; i-- {
		switch lexemes[i].Tok {
		case token.STRING, token.SEMICOLON, token.IDENT, token.PERIOD:
		case token.LPAREN:
			return i > 0 && lexemes[i-1].Tok == token.IMPORT
		default:
			return false
		}
	}
	return false
}
