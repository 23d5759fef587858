package assist

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Complete offers what may stand at the cursor, a byte offset, the likeliest first: fields of the literal that is being
// written, then what has the type that is wanted there, then other names that the cell and earlier ones have given a
// meaning, packages, members of packages, fields and methods of any expression, magics, files and import paths. A match
// replaces the text between start and end, which is the whole word that the cursor stands in.
func (e *Environment) Complete(source string, at int) (matches []engine.Match, start, end int) {
	if matches, start, ok := e.completeLine(source, at); ok {
		return matches, start, at
	}
	source = e.Forms.OnlyGo(source)
	if _, inside := lexical.StateAt(source[:at]); inside == lexical.InComment || inside == lexical.InRune {
		return nil, at, at
	}
	w := wordAt(source, at)
	if w.isString {
		matches, start := e.completeString(source, at, w)
		return matches, start, at
	}
	if w.isNumber() || w.text == "" && at > 0 && strings.IndexByte(`)}"'`+"`", source[at-1]) >= 0 {
		return nil, at, at // no name can stand directly behind
	}
	p := e.placeAt(source, w, cursorName, cursorName+",", cursorName+":", cursorName+"()")
	if p == nil && w.text == "" && at > 0 && source[at-1] == ']' {
		return nil, at, at // nor behind an index, but behind the brackets of a type
	}
	c := &completing{Environment: e, place: p, prefix: w.prefix}
	if before := strings.TrimRight(source[:w.start], " \t\n"); strings.HasSuffix(before, ".") &&
		!strings.HasSuffix(before, "..") {
		if p != nil {
			c.members()
		}
	} else {
		c.names()
	}
	return c.sorted(), w.start, w.end
}

// completing gathers what may stand at the cursor.
type completing struct {
	*Environment
	place  *place // nil where nothing parses around the cursor
	wanted wanted
	prefix string
	found  []candidate
	seen   map[string]bool
}

// candidate is something that may stand at the cursor. The smaller its numbers are, the likelier it is.
type candidate struct {
	engine.Match
	group, depth int
}

// How well something fits, or where it comes from.
const (
	fieldOfLiteral = iota
	sameType       // as is wanted
	fitting
	resultFits // what a call of it gives is wanted
	nearlyFits // its address, what it points to, or a literal of it is wanted
	defined    // by the cell or earlier ones
	typeName   // a type of theirs, where a value is likelier
	predeclared
	imported
	keyword
	importable
)

func (c *completing) add(m engine.Match, group, depth int) {
	if !strings.HasPrefix(strings.ToLower(m.Text), strings.ToLower(c.prefix)) || c.seen[m.Text] {
		return
	}
	c.seen[m.Text] = true
	c.found = append(c.found, candidate{m, group, depth})
}

// sorted returns what has been gathered, the likeliest first.
func (c *completing) sorted() []engine.Match {
	other := func(x candidate) int { // than what has been typed
		switch {
		case x.Text == c.prefix:
			return 0
		case strings.HasPrefix(x.Text, c.prefix):
			return 1
		}
		return 2
	}
	slices.SortFunc(c.found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(other(a), other(b)), cmp.Compare(a.group, b.group), cmp.Compare(a.depth, b.depth),
			cmp.Compare(a.Text, b.Text))
	})
	var out []engine.Match
	for _, f := range c.found {
		out = append(out, f.Match)
	}
	return out
}

// names gathers what a name may be that stands by itself.
func (c *completing) names() {
	c.seen = map[string]bool{}
	w := wanted{begins: true}
	var locals map[string]nearby
	if c.place != nil {
		w = c.place.wanted()
		locals = c.place.locals()
	}
	c.wanted = w
	if w.isLabel {
		for _, name := range c.place.labels() {
			c.add(engine.Match{Text: name, Type: "label"}, defined, 0)
		}
		return
	}
	if w.literal != nil {
		for i := range w.literal.NumFields() {
			if f := w.literal.Field(i); visible(f) && !w.given[f.Name()] {
				c.add(c.match(f), fieldOfLiteral, i) // as they are declared
			}
		}
		if w.onlyFields {
			return
		}
	}
	for _, l := range locals {
		c.object(l.object.Name(), l.object, defined, l.depth)
	}
	const outside = 1000 // deeper than any block
	for _, name := range c.Namespace.Names() {
		c.object(name, c.Namespace.Bindings[name].Object, defined, outside)
	}
	for name, path := range c.Namespace.Imports {
		c.add(engine.Match{Text: name, Type: "package", Doc: path}, c.ofPackage(path, imported), 0)
	}
	c.object(must.Name, c.Checker.Musts.Named[1], predeclared, 2*outside)
	for _, name := range types.Universe.Names() {
		if name == "iota" && !c.place.inConst() {
			continue
		}
		c.object(name, types.Universe.Lookup(name), predeclared, 2*outside)
	}
	for tok := token.BREAK; tok <= token.VAR; tok++ {
		switch tok {
		case token.FUNC, token.MAP, token.CHAN, token.STRUCT, token.INTERFACE:
		case token.RANGE:
			if !w.ranges && c.place != nil {
				continue
			}
		default:
			if !w.begins && c.place != nil {
				continue // no expression begins with it
			}
		}
		c.add(engine.Match{Text: tok.String(), Type: "keyword"}, keyword, 0)
	}
	for name, paths := range c.Packages {
		if name != "main" {
			c.add(engine.Match{Text: name, Type: "package", Doc: paths[0]}, c.ofPackage(paths[0], importable), 0)
		}
	}
}

// inConst reports whether the cursor is in a declaration of constants.
func (p *place) inConst() bool {
	if p == nil || p.item.Decl == nil {
		return p == nil
	}
	d, ok := p.item.Decl.(*ast.GenDecl)
	return ok && d.Tok == token.CONST
}

// ofPackage is how likely the name of a package is. One that declares the type that is wanted may well have a value of
// it.
func (c *completing) ofPackage(path string, group int) int {
	t := c.wanted.typ
	if t != nil {
		if p, ok := t.(*types.Pointer); ok {
			t = p.Elem()
		}
		if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj().Pkg() != nil &&
			named.Obj().Pkg().Path() == path {
			return nearlyFits
		}
	}
	if c.wanted.isType && group == imported {
		return nearlyFits
	}
	return group
}

// object gathers something that has a name.
func (c *completing) object(name string, o types.Object, group, depth int) {
	m := c.match(o)
	m.Text = name
	if b, ok := o.(*types.Builtin); ok && strings.HasPrefix(name, strings.ToLower(c.prefix)) {
		m.Doc = c.builtinSignature(b.Name())
	}
	if isTypeName(o) && group == defined {
		group = typeName
	}
	c.add(m, min(group, c.fit(o)), depth)
}

// fit is how well an object fits where the cursor is; importable where nothing speaks for it.
func (c *completing) fit(o types.Object) int {
	w := c.wanted
	t := o.Type()
	if _, isType := o.(*types.TypeName); isType {
		switch {
		case w.isType:
			return sameType
		case w.typ != nil && t != nil && !isAny(w.typ) &&
			(types.Identical(t, w.typ) || types.Identical(types.NewPointer(t), w.typ)):
			return nearlyFits
		}
		return importable
	}
	if w.isType || t == nil {
		return importable
	}
	signature, isFunc := t.Underlying().(*types.Signature)
	if w.called && (isFunc || isBuiltin(o)) {
		if w.typ == nil && w.fits == nil || isFunc && w.gives(signature) {
			return fitting
		}
		return importable
	}
	switch {
	case w.typ != nil && types.Identical(t, w.typ) && !isAny(t):
		return sameType
	case w.assignable(t):
		return fitting
	case isFunc && w.gives(signature):
		return resultFits
	case w.assignable(types.NewPointer(t)) && !types.IsInterface(t):
		return nearlyFits
	}
	if p, ok := t.Underlying().(*types.Pointer); ok && w.assignable(p.Elem()) {
		return nearlyFits
	}
	return importable
}

func isBuiltin(o types.Object) bool {
	_, ok := o.(*types.Builtin)
	return ok
}

func isAny(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	return ok && i.Empty()
}

// gives reports whether a call gives what is wanted. An error beside it stops the cell.
func (w wanted) gives(s *types.Signature) bool {
	r := s.Results()
	return r.Len() > 0 && (r.Len() == 1 || r.Len() == 2 && types.Identical(r.At(1).Type(), gotypes.Error)) &&
		w.assignable(r.At(0).Type())
}

// labels returns those of the item that the cursor is in.
func (p *place) labels() (names []string) {
	ast.Inspect(p.item.Node(), func(n ast.Node) bool {
		if l, ok := n.(*ast.LabeledStmt); ok {
			names = append(names, l.Label.Name)
		}
		return true
	})
	return names
}

// members gathers what can be selected from what stands before the dot.
func (c *completing) members() {
	c.seen = map[string]bool{}
	sel, ok := c.place.stack[len(c.place.stack)-1].(*ast.SelectorExpr)
	if !ok || sel.Sel != c.place.ident {
		return
	}
	c.wanted = c.place.wanted()
	if packages := c.packagesOf(sel.X); len(packages) > 0 {
		for i, pkg := range packages {
			for _, name := range gotypes.ExportedNames(pkg) {
				o := pkg.Scope().Lookup(name)
				group := defined
				if c.wanted.isType && !isTypeName(o) {
					group = importable
				}
				c.add(c.match(o), min(group, c.fit(o)), i)
			}
		}
		return
	}
	t := c.place.typeOf(sel.X)
	if t == nil {
		return
	}
	ofType := c.place.Info.Types[sel.X].IsType()
	for _, m := range members(t) {
		if _, isField := m.Object.(*types.Var); isField && ofType {
			continue // a type has no fields, and its methods are functions
		}
		c.add(c.match(m.Object), min(defined, c.fit(m.Object)), m.depth)
	}
}

func isTypeName(o types.Object) bool {
	_, ok := o.(*types.TypeName)
	return ok
}

// packagesOf returns the packages that a name before a dot may stand for: the one that is imported, or all of that
// name.
func (c *completing) packagesOf(x ast.Expr) (found []*types.Package) {
	id, ok := x.(*ast.Ident)
	if !ok {
		return nil
	}
	o := c.place.Info.Uses[id]
	pkgName, isPackage := o.(*types.PkgName)
	if o != nil && !isPackage {
		return nil
	}
	paths := c.Packages[id.Name]
	if isPackage {
		path := pkgName.Imported().Path()
		if c.Namespace.Imports[id.Name] != "" || slices.ContainsFunc(c.place.Items,
			func(it *syntax.Item) bool { return slices.Contains(it.ImportPaths(), path) }) {
			return []*types.Package{pkgName.Imported()}
		}
		paths = append([]string{path}, slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == path })...)
	}
	for _, path := range paths {
		if p, err := c.Checker.Importer.Import(path); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// member is a field or a method, with how many embedded fields it is reached through.
type member struct {
	types.Object
	depth int
}

// visible reports whether cells may name a field or a method.
func visible(o types.Object) bool { return o.Exported() || o.Pkg() != nil && o.Pkg().Path() == "main" }

// members returns the fields and methods that can be selected from a value of a type.
func members(t types.Type) []member {
	found := map[string]member{}
	methods := t
	if _, ok := t.Underlying().(*types.Pointer); !ok && !types.IsInterface(t) {
		methods = types.NewPointer(t)
	}
	for s := range types.NewMethodSet(methods).Methods() {
		if o := s.Obj(); visible(o) {
			found[o.Name()] = member{o, len(s.Index()) - 1}
		}
	}
	const deepest = 6
	var fields func(t types.Type, depth int)
	fields = func(t types.Type, depth int) {
		if p, ok := t.Underlying().(*types.Pointer); ok {
			t = p.Elem()
		}
		st, ok := t.Underlying().(*types.Struct)
		if !ok || depth > deepest {
			return
		}
		for f := range st.Fields() {
			if old, ok := found[f.Name()]; visible(f) && (!ok || depth < old.depth) {
				found[f.Name()] = member{f, depth}
			}
		}
		for f := range st.Fields() {
			if f.Embedded() {
				fields(f.Type(), depth+1)
			}
		}
	}
	fields(t, 0)
	var out []member
	for _, m := range found {
		// Two of one name at the same depth cannot be selected.
		if o, _, _ := types.LookupFieldOrMethod(t, true, m.Pkg(), m.Name()); o != nil {
			out = append(out, m)
		}
	}
	return out
}

// match describes an object.
func (e *Environment) match(o types.Object) engine.Match {
	m := engine.Match{Text: o.Name(), Doc: describe(o)}
	switch o := o.(type) {
	case *types.Func:
		m.Type = "function"
		if o.Signature().Recv() != nil {
			m.Type = "method"
		}
	case *types.Builtin:
		m.Type = "function"
	case *types.Var:
		m.Type = "variable"
		if o.IsField() {
			m.Type = "field"
		}
	case *types.TypeName:
		m.Type = "type"
	case *types.Const, *types.Nil:
		m.Type = "constant"
	case *types.PkgName:
		m.Type = "package"
	}
	return m
}

// describe is the one-line form of an object, as its declaration reads.
func describe(o types.Object) string {
	qualifier := shortName
	switch o := o.(type) {
	case *types.TypeName:
		if named, ok := o.Type().(*types.Named); ok {
			kind := "struct"
			switch u := named.Underlying().(type) {
			case *types.Struct:
			case *types.Interface:
				kind = "interface"
			default:
				kind = types.TypeString(u, qualifier)
			}
			return "type " + types.TypeString(named, func(*types.Package) string { return "" }) + " " + kind
		}
	case *types.Var:
		if known(o.Type()) == nil {
			return o.Name()
		}
		return o.Name() + " " + types.TypeString(o.Type(), qualifier)
	case *types.Const:
		if known(o.Type()) == nil {
			return "const " + o.Name()
		}
		return "const " + o.Name() + " " + types.TypeString(o.Type(), qualifier) + " = " + o.Val().String()
	}
	return types.ObjectString(o, qualifier)
}

// shortName is how a cell names a package before a dot.
func shortName(p *types.Package) string {
	if p.Path() == "main" {
		return ""
	}
	return p.Name()
}
