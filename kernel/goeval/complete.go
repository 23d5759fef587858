package goeval

import (
	"cmp"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/engine"
)

// IsComplete answers whether a cell can run as it stands. It looks at the text only. Where it cannot
// tell it calls input incomplete, since a person can always type an empty line, and nobody can
// take back a cell that ran too early.
func IsComplete(source string) (engine.Completeness, string) {
	if _, _, ok := question(source); ok {
		return engine.Complete, ""
	}
	source = onlyGo(source)
	lexemes, bad := scan(source)
	if bad != nil {
		if strings.Contains(bad.message, "not terminated") && (strings.Contains(bad.message, "raw string") || strings.Contains(bad.message, "comment")) {
			return engine.Incomplete, ""
		}
		return engine.Invalid, ""
	}
	depth := depth(lexemes)
	var last token.Token
	for _, l := range lexemes {
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
	if isProgram(source) {
		return engine.Complete, ""
	}
	source = blankPackageClause(source)
	if _, bad := split(token.NewFileSet(), &text{source: source}); bad != nil {
		if bad.open || strings.TrimSpace(source[min(bad.offset, len(source)):]) == "" {
			return engine.Incomplete, indent
		}
		return engine.Invalid, ""
	}
	return engine.Complete, ""
}

// Complete offers what may stand at the cursor, counted in code points: names that the cell and earlier ones have
// defined, packages, members of packages, fields and methods of any expression, magics, files and import paths.
func (e *Evaluator) Complete(source string, cursor int) (matches []engine.Match, start, end int) {
	e.turn.Lock()
	defer e.turn.Unlock()
	if matches, start, end, ok := e.completeText(source, cursor); ok {
		return matches, start, end
	}
	v := e.view(onlyGo(source), cursor, false)
	switch {
	case v.pkg != nil:
		for _, name := range exportedNames(v.pkg) {
			matches = append(matches, e.match(v.pkg.Scope().Lookup(name)))
		}
	case v.typ != nil:
		for _, o := range members(v.typ) {
			matches = append(matches, e.match(o))
		}
	case v.expr == "":
		seen := map[string]bool{}
		add := func(m engine.Match) {
			if !seen[m.Text] {
				seen[m.Text] = true
				matches = append(matches, m)
			}
		}
		for _, o := range v.locals {
			add(e.match(o))
		}
		for name, b := range e.ns.bindings {
			m := e.match(b.object)
			m.Text = name
			add(m)
		}
		for name, path := range e.ns.imports {
			add(engine.Match{Text: name, Type: "package", Doc: path})
		}
		for name, paths := range e.packages {
			if name != "main" {
				add(engine.Match{Text: name, Type: "package", Doc: paths[0]})
			}
		}
		add(e.match(e.checker.musts.named[1]))
		for _, name := range types.Universe.Names() {
			add(engine.Match{Text: name, Type: "keyword"})
		}
		for tok := token.BREAK; tok <= token.VAR; tok++ {
			add(engine.Match{Text: tok.String(), Type: "keyword"})
		}
	}
	prefix := strings.ToLower(v.prefix)
	matches = slices.DeleteFunc(matches, func(m engine.Match) bool { return !strings.HasPrefix(strings.ToLower(m.Text), prefix) })
	slices.SortFunc(matches, func(a, b engine.Match) int { return cmp.Compare(a.Text, b.Text) })
	return matches, v.start, v.end
}

// view is what is known of the name at a place in a cell.
type view struct {
	prefix     string // the identifier, or what there is of it
	start, end int    // of it, in code points
	expr       string // what stands before the dot before it
	pkg        *types.Package
	typ        types.Type // of expr
	locals     []types.Object
}

// view looks at the identifier that ends at the cursor; with whole set, that the cursor stands in.
func (e *Evaluator) view(source string, cursor int, whole bool) view {
	runes := []rune(source)
	cursor = min(max(cursor, 0), len(runes))
	isName := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	v := view{end: cursor}
	if whole {
		for v.end < len(runes) && isName(runes[v.end]) {
			v.end++
		}
		// Within a call, what is called is meant.
		if v.end > 0 && v.end == cursor && !isName(runes[v.end-1]) && runes[v.end-1] == '(' {
			v.end--
		}
	}
	v.start = v.end
	for v.start > 0 && isName(runes[v.start-1]) {
		v.start--
	}
	v.prefix = string(runes[v.start:v.end])
	before := strings.TrimRight(string(runes[:v.start]), " \t\n")
	if !strings.HasSuffix(before, ".") || strings.HasSuffix(before, "..") {
		v.locals = e.localsAt(string(runes[:v.start]))
		return v
	}
	before = strings.TrimSuffix(before, ".")
	from := expressionStart(before)
	v.expr = strings.TrimSpace(before[from:])
	if v.expr == "" {
		v.expr = "?"
		return v
	}
	if token.IsIdentifier(v.expr) && e.ns.bindings[v.expr] == nil {
		path := e.ns.imports[v.expr]
		if path == "" && len(e.packages[v.expr]) > 0 {
			path = e.packages[v.expr][0]
		}
		if path != "" && !slices.ContainsFunc(e.localsAt(before[:from]), func(o types.Object) bool { return o.Name() == v.expr }) {
			v.pkg, _ = e.importer.Import(path)
			return v
		}
	}
	c := e.checkPart(before[:from] + v.expr)
	if c == nil {
		return v
	}
	for x, tv := range c.info.Types {
		for _, it := range c.items {
			if it.holds(x.Pos()) && it.offset(x.Pos()) == from+strings.Index(before[from:], v.expr) && it.offset(x.End()) == from+strings.Index(before[from:], v.expr)+len(v.expr) {
				v.typ = tv.Type
				if t, ok := tv.Type.(*types.Tuple); ok && t.Len() == 2 && types.Identical(t.At(1).Type(), errorType) {
					v.typ = t.At(0).Type() // the error stops the cell
				}
			}
		}
	}
	return v
}

// localsAt returns what the cell itself has defined where the text ends.
func (e *Evaluator) localsAt(text string) []types.Object {
	c := e.checkPart(text)
	if c == nil {
		return nil
	}
	var out []types.Object
	for _, o := range c.info.Defs {
		if o != nil && o.Name() != "_" && token.IsIdentifier(o.Name()) {
			if v, ok := o.(*types.Var); !ok || !v.IsField() {
				out = append(out, o)
			}
		}
	}
	return out
}

// checkPart checks the beginning of a cell, whatever is wrong with it; nil where it cannot be parsed.
func (e *Evaluator) checkPart(source string) *checked {
	lexemes, bad := scan(source)
	if bad != nil {
		return nil
	}
	var open []string
	for _, l := range lexemes {
		switch l.tok {
		case token.LPAREN:
			open = append(open, ")")
		case token.LBRACK:
			open = append(open, "]")
		case token.LBRACE:
			open = append(open, "\n}")
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if len(open) == 0 {
				return nil
			}
			open = open[:len(open)-1]
		}
	}
	slices.Reverse(open)
	source = blankPackageClause(source)
	for _, closed := range []string{source, source + "_", source[:strings.LastIndexByte(source, '\n')+1]} {
		t := &text{source: closed + strings.Join(open, "")}
		fset := token.NewFileSet()
		items, bad := split(fset, t)
		if bad != nil || len(items) == 0 {
			continue
		}
		k := newChecking(e.checker, fset, items, e.ns)
		k.imports()
		k.declarations()
		k.statements()
		k.define()
		k.bodies()
		return k.checked
	}
	return nil
}

// expressionStart returns where the operand begins that text ends with.
func expressionStart(text string) int {
	i := len(text)
	for i > 0 {
		r, _ := utf8.DecodeLastRuneInString(text[:i])
		switch {
		case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			for i > 0 {
				r, size := utf8.DecodeLastRuneInString(text[:i])
				if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					break
				}
				i -= size
			}
			if i == 0 || text[i-1] != '.' {
				return i
			}
			i-- // a dot: the operand goes on
		case r == ')' || r == ']' || r == '}':
			depth := 0
			for i > 0 {
				i--
				if strings.IndexByte(")]}", text[i]) >= 0 {
					depth++
				} else if strings.IndexByte("([{", text[i]) >= 0 {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if i == 0 {
				return 0
			}
			if r, _ := utf8.DecodeLastRuneInString(text[:i]); r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ')' && r != ']' {
				return i
			}
		case r == '"' || r == '`':
			j := strings.LastIndexByte(text[:i-1], byte(r))
			return max(j, 0)
		default:
			return i
		}
	}
	return i
}

// members returns the fields and methods that can be selected from a value of a type.
func members(t types.Type) []types.Object {
	found := map[string]types.Object{}
	visible := func(o types.Object) bool { return o.Exported() || o.Pkg() != nil && o.Pkg().Path() == "main" }
	methods := t
	if _, ok := t.Underlying().(*types.Pointer); !ok && !types.IsInterface(t) {
		methods = types.NewPointer(t)
	}
	set := types.NewMethodSet(methods)
	for i := range set.Len() {
		if o := set.At(i).Obj(); visible(o) {
			found[o.Name()] = o
		}
	}
	var fields func(t types.Type, depth int)
	fields = func(t types.Type, depth int) {
		if p, ok := t.Underlying().(*types.Pointer); ok {
			t = p.Elem()
		}
		st, ok := t.Underlying().(*types.Struct)
		if !ok || depth > 4 {
			return
		}
		for i := range st.NumFields() {
			f := st.Field(i)
			if found[f.Name()] == nil && visible(f) {
				found[f.Name()] = f
			}
		}
		for i := range st.NumFields() {
			if f := st.Field(i); f.Embedded() {
				fields(f.Type(), depth+1)
			}
		}
	}
	fields(t, 0)
	return slices.Collect(maps.Values(found))
}

// match describes an object.
func (e *Evaluator) match(o types.Object) engine.Match {
	m := engine.Match{Text: o.Name(), Doc: describe(o)}
	switch o := o.(type) {
	case *types.Func:
		m.Type = "function"
		if o.Signature().Recv() != nil {
			m.Type = "method"
		}
	case *types.Var:
		m.Type = "variable"
		if o.IsField() {
			m.Type = "field"
		}
	case *types.TypeName:
		m.Type = "type"
	case *types.Const:
		m.Type = "constant"
	case *types.PkgName:
		m.Type = "package"
	}
	return m
}

// describe is the one-line form of an object, as its declaration reads.
func describe(o types.Object) string {
	qualifier := func(p *types.Package) string {
		if p.Path() == "main" {
			return ""
		}
		return p.Name()
	}
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
		return o.Name() + " " + types.TypeString(o.Type(), qualifier)
	case *types.Const:
		return "const " + o.Name() + " " + types.TypeString(o.Type(), qualifier) + " = " + o.Val().String()
	}
	return types.ObjectString(o, qualifier)
}
