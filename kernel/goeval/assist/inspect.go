package assist

import (
	"fmt"
	"go/ast"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/lib/mime"
)

// Inspect says what the name at the cursor, a byte offset, is: its signature or type, its documentation and, for a
// variable, its value. Among the arguments of a call it says first what the call takes, and which argument the cursor
// is in. With detail 1 it adds the source.
func (e *Environment) Inspect(source string, at, detail int) (mime.Bundle, bool) {
	e.withSource = detail > 0
	if name := e.magicAt(source, at); name != "" {
		help := e.magicHelp(name)
		return mime.TextOf(help), help != ""
	}
	source = e.Forms.OnlyGo(source)
	if _, inside := lexical.StateAt(source[:at]); inside == lexical.InComment {
		return mime.Bundle{}, false
	}
	w := wordAt(source, at)
	if w.isString && inImport(source[:w.start]) {
		path := strings.Trim(source[w.start:w.end], "\"`")
		pkg, err := e.Checker.Importer.Import(path)
		if err != nil {
			return mime.Bundle{}, false
		}
		return mime.TextOf(e.aboutPackage(pkg.Name(), path)), true
	}
	// Between operands a place for one more is made.
	p := e.placeAt(source, w, cursorName, "+"+cursorName, cursorName+"+", cursorName+",", cursorName+":", cursorName+"()")
	var about string
	if w.text != "" && !w.isNumber() {
		about = e.about(p, source, w)
	}
	if p == nil {
		return mime.TextOf(about), about != ""
	}
	call, arg := p.enclosingCall()
	if call == nil && about == "" {
		call, arg = p.callBefore(), -1
	}
	if call == nil {
		return mime.TextOf(about), about != ""
	}
	header, doc := e.signatureHelp(p, call, arg)
	switch {
	case header == "":
		return mime.TextOf(about), about != ""
	case about == "":
		return mime.TextOf(documented(header, doc)), true
	case p.isCalled():
		// What stands at the cursor is a call itself, within the other one.
		return mime.TextOf(about + "\n\n" + header), true
	}
	return mime.TextOf(documented(header+"\n\n"+about, doc)), true
}

// isCalled reports whether what stands at the cursor is the function of a call.
func (p *place) isCalled() bool {
	var node ast.Node = p.ident
	for _, n := range slices.Backward(p.stack) {
		switch x := n.(type) {
		case *ast.CallExpr:
			return x.Fun == node
		case *ast.SelectorExpr:
			if x.Sel != node {
				return false
			}
		case *ast.ParenExpr:
		default:
			return false
		}
		node = n
	}
	return false
}

// magicAt returns the magic whose name the cursor is in.
func (e *Environment) magicAt(source string, at int) string {
	before := source[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	line, _, _ := strings.Cut(source[start:], "\n")
	name, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	if !strings.HasPrefix(name, "%") || at-start > strings.Index(line, name)+len(name) ||
		!lexical.StatementMayBegin(e.Forms.OnlyGo(before[:start])) {
		return ""
	}
	return name
}

// about says what a name is; "" where nothing is known of it.
func (e *Environment) about(p *place, source string, w word) string {
	before := strings.TrimRight(source[:w.start], " \t\n")
	if strings.HasSuffix(before, ".") && !strings.HasSuffix(before, "..") {
		if p == nil {
			return ""
		}
		return e.aboutMember(p, w.text)
	}
	b := e.Namespace.Bindings[w.text]
	if p != nil {
		if wanted := p.wanted(); wanted.literal != nil && (p.isKey() || b == nil && wanted.named != nil) {
			for f := range wanted.literal.Fields() {
				if f.Name() == w.text && visible(f) {
					return documented(describe(f), e.fieldDoc(wanted.named, f.Name()))
				}
			}
		}
		if l, ok := p.locals()[w.text]; ok {
			o := l.object
			top := slices.Contains(p.Declared, o) || slices.Contains(p.final, o)
			if b == nil || !top && !types.Identical(b.Object.Type(), o.Type()) {
				return describe(o)
			}
		}
	}
	if b != nil {
		return e.aboutBinding(w.text, b)
	}
	path := e.Namespace.Imports[w.text]
	if path == "" && len(e.Packages[w.text]) > 0 {
		path = e.Packages[w.text][0]
	}
	if path != "" {
		return e.aboutPackage(w.text, path)
	}
	if w.text == must.Name {
		return documented(describe(e.Checker.Musts.Named[1]), must.Doc)
	}
	switch o := types.Universe.Lookup(w.text).(type) {
	case nil:
		return ""
	case *types.Builtin:
		return documented(e.builtinSignature(w.text), e.documentation("builtin", w.text, ""))
	default:
		return documented(describe(o), e.documentation("builtin", w.text, ""))
	}
}

// isKey reports whether the cursor's name is the key of a literal's element.
func (p *place) isKey() bool {
	kv, ok := p.stack[len(p.stack)-1].(*ast.KeyValueExpr)
	return ok && kv.Key == p.ident
}

// aboutMember says what is selected by a name behind a dot.
func (e *Environment) aboutMember(p *place, name string) string {
	sel, ok := p.stack[len(p.stack)-1].(*ast.SelectorExpr)
	if !ok || sel.Sel != p.ident {
		return ""
	}
	c := completing{Environment: e, place: p}
	if packages := c.packagesOf(sel.X); len(packages) > 0 {
		for _, pkg := range packages {
			if o := pkg.Scope().Lookup(name); o != nil && o.Exported() {
				return e.aboutObject(o)
			}
		}
		return ""
	}
	t := p.typeOf(sel.X)
	if t == nil {
		return ""
	}
	o, index, _ := types.LookupFieldOrMethod(t, true, types.NewPackage("main", "main"), name)
	if f, ok := o.(*types.Var); ok {
		return documented(describe(f), e.fieldDoc(ownerOf(t, index), name))
	}
	if o == nil {
		return ""
	}
	return e.aboutObject(o)
}

// ownerOf returns the type of the struct whose field an index path leads to.
func ownerOf(t types.Type, index []int) *types.Named {
	for _, i := range index[:len(index)-1] {
		s, _ := structOf(t)
		if s == nil {
			return nil
		}
		t = s.Field(i).Type()
	}
	_, named := structOf(t)
	return named
}

// aboutObject says what something is that a package declares.
func (e *Environment) aboutObject(o types.Object) string {
	text := documented(describe(o), e.docOf(o))
	if name, ok := o.(*types.TypeName); ok {
		text += e.typeHelp(name)
	}
	if e.withExamples && o.Pkg() != nil {
		receiver := ""
		if f, ok := o.(*types.Func); ok {
			receiver = receiverName(f)
		}
		text += e.exampleOf(o.Pkg().Path(), receiver, o.Name())
	}
	return text
}

// typeHelp lists the fields and methods of a type, and what gives one.
func (e *Environment) typeHelp(o *types.TypeName) string {
	var out strings.Builder
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&out, "\n\n%s:\n    %s", title, strings.Join(lines, "\n    "))
		}
	}
	var fields, methods, inherited []string
	if s, _ := structOf(o.Type()); s != nil {
		for f := range s.Fields() {
			switch {
			case !visible(f):
			case f.Embedded():
				fields = append(fields, types.TypeString(f.Type(), shortName))
			default:
				fields = append(fields, describe(f))
			}
		}
	}
	found := members(o.Type())
	slices.SortFunc(found, func(a, b member) int { return strings.Compare(a.Name(), b.Name()) })
	for _, m := range found {
		f, ok := m.Object.(*types.Func)
		if !ok {
			continue
		}
		line := f.Name() + strings.TrimPrefix(types.TypeString(f.Type(), shortName), "func")
		if m.depth == 0 {
			methods = append(methods, line)
		} else {
			inherited = append(inherited, line)
		}
	}
	list("Fields", fields)
	list("Methods", methods)
	list("Methods of what is embedded", inherited)
	if o.Pkg() != nil && o.Pkg().Path() != "main" {
		list("Made by", e.makersOf(o))
	}
	return out.String()
}

// makersOf returns the functions of its package that give a type.
func (e *Environment) makersOf(o *types.TypeName) (lines []string) {
	for _, name := range gotypes.ExportedNames(o.Pkg()) {
		f, ok := o.Pkg().Scope().Lookup(name).(*types.Func)
		if !ok || f.Signature().Results().Len() == 0 {
			continue
		}
		t := f.Signature().Results().At(0).Type()
		if p, ok := t.(*types.Pointer); ok {
			t = p.Elem()
		}
		if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj() == o {
			lines = append(lines, strings.TrimPrefix(describe(f), "func "))
		}
	}
	return lines
}

// aboutPackage says what a package is for, and what is in it.
func (e *Environment) aboutPackage(name, path string) string {
	text := documented(fmt.Sprintf("package %s // import %q", name, path), e.documentation(path, "", ""))
	pkg, err := e.Checker.Importer.Import(path)
	if err != nil {
		return text
	}
	sorts := map[string][]string{}
	for _, name := range gotypes.ExportedNames(pkg) {
		o := pkg.Scope().Lookup(name)
		line := strings.ReplaceAll(describe(o), pkg.Name()+"."+name, name)
		switch o.(type) {
		case *types.Func:
			sorts["Functions"] = append(sorts["Functions"], line)
		case *types.TypeName:
			sorts["Types"] = append(sorts["Types"], line)
		case *types.Var:
			sorts["Variables"] = append(sorts["Variables"], line)
		case *types.Const:
			sorts["Constants"] = append(sorts["Constants"], line)
		}
	}
	for _, sort := range []string{"Types", "Functions", "Variables", "Constants"} {
		if len(sorts[sort]) > 0 {
			text += "\n\n" + sort + ":\n    " + strings.Join(sorts[sort], "\n    ")
		}
	}
	if e.withExamples {
		text += e.exampleOf(path, "", "")
	}
	return text
}

// aboutBinding says what a cell has defined.
func (e *Environment) aboutBinding(name string, b *namespace.Binding) (text string) {
	text = describe(b.Object)
	g := e.Groups[name]
	if g != nil && b.Sort == namespace.Var && e.withSource {
		defer func() { text += "\n\n" + g.Source() }()
	}
	switch {
	case b.Sort != namespace.Var:
		if o, ok := b.Object.(*types.TypeName); ok {
			text += e.typeHelp(o)
		}
		if g != nil {
			text += "\n\n" + g.Source()
		}
	case e.Running:
		text += "\n(a cell is running, and may be changing it)"
	default:
		if p := cell.Find(b.Slot); p != nil {
			if v := reflect.ValueOf(p).Elem(); v.Kind() != reflect.Func && v.CanInterface() {
				text += "\n" + e.ValueIs(v)
			}
		}
	}
	return text
}

func documented(signature, doc string) string {
	if doc = strings.TrimSpace(doc); doc == "" {
		return signature
	}
	return signature + "\n\n" + doc
}

func receiverName(f *types.Func) string {
	recv := f.Signature().Recv()
	if recv == nil {
		return ""
	}
	t := recv.Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name()
	}
	return ""
}
