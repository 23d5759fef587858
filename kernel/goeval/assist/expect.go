package assist

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// wanted says what may stand at a place of a cell.
type wanted struct {
	typ     types.Type            // of the value; nil where any will do, or nothing is known
	fits    func(types.Type) bool // another way to say it
	isType  bool                  // a type
	called  bool                  // a function that is called there
	begins  bool                  // a statement begins there
	ranges  bool                  // the word range may stand there
	isLabel bool
	isNew   bool // a name that nobody has yet

	literal    *types.Struct // a field of it may be named, for the place is in a literal of it
	named      *types.Named  // the literal's type, where it has a name
	given      map[string]bool
	onlyFields bool // fields are named in this literal

	call  *ast.CallExpr // the call whose argument it is
	arg   int
	field *types.Var     // the field of named whose value it is
	index *ast.IndexExpr // the expression whose index it is
}

// wanted returns what may stand at the cursor.
func (p *place) wanted() wanted { return p.wantedAt(len(p.stack)-1, p.ident) }

// wantedAt returns what may stand for a node whose parent is at i in the stack.
func (p *place) wantedAt(i int, node ast.Node) wanted {
	if i < 0 {
		return wanted{}
	}
	up := func() wanted { return p.wantedAt(i-1, p.stack[i]) }
	ofType := func(t types.Type) wanted { return wanted{typ: known(t)} }
	isType := wanted{isType: true}
	switch n := p.stack[i].(type) {
	case *ast.ParenExpr:
		return up()
	case *ast.ExprStmt:
		return wanted{begins: node == p.ident || p.selects(node)}
	case *ast.SelectorExpr:
		if node == n.Sel {
			return up()
		}
	case *ast.StarExpr:
		switch w := up(); {
		case w.isType:
			return isType
		case w.typ != nil:
			return ofType(types.NewPointer(w.typ))
		}
	case *ast.UnaryExpr:
		return p.wantedUnary(n, up())
	case *ast.BinaryExpr:
		return p.wantedBinary(n, node, up)
	case *ast.CallExpr:
		return p.wantedInCall(n, node, up)
	case *ast.CompositeLit:
		if node == n.Type {
			return isType
		}
		return p.wantedElement(i, slices.Index(n.Elts, node.(ast.Expr)))
	case *ast.KeyValueExpr:
		if i > 0 {
			if _, ok := p.stack[i-1].(*ast.CompositeLit); ok {
				return p.wantedKeyed(i-1, n, node == n.Key)
			}
		}
	case *ast.IndexExpr:
		if node == n.Index {
			return p.wantedIndex(n)
		}
	case *ast.IndexListExpr:
		if node != n.X {
			return isType
		}
	case *ast.SliceExpr:
		if node != n.X {
			return ofType(types.Typ[types.Int])
		}
	case *ast.TypeAssertExpr:
		if node == n.Type {
			return isType
		}
	case *ast.ArrayType:
		if node == n.Len {
			return ofType(types.Typ[types.Int])
		}
		return isType
	case *ast.MapType, *ast.ChanType, *ast.Ellipsis:
		return isType
	case *ast.Field:
		if node == n.Type {
			return isType
		}
		return wanted{isNew: true}
	case *ast.TypeSpec:
		if node == n.Name {
			return wanted{isNew: true}
		}
		return isType
	case *ast.ValueSpec:
		if node == n.Type {
			return isType
		}
		if x, ok := node.(ast.Expr); ok && slices.Contains(n.Values, x) {
			if n.Type != nil {
				return ofType(p.typeOf(n.Type))
			}
			return wanted{}
		}
		return wanted{isNew: true}
	case *ast.AssignStmt:
		w := p.wantedInAssign(n, node)
		if i > 0 {
			_, w.ranges = p.stack[i-1].(*ast.ForStmt)
		}
		return w
	case *ast.SendStmt:
		if c, ok := gotypes.Underlying(p.typeOf(n.Chan)).(*types.Chan); ok && node == n.Value {
			return ofType(c.Elem())
		}
	case *ast.ReturnStmt:
		return ofType(p.result(i, slices.Index(n.Results, node.(ast.Expr)), len(n.Results)))
	case *ast.IfStmt:
		return ofType(types.Typ[types.Bool])
	case *ast.ForStmt:
		return wanted{typ: types.Typ[types.Bool], ranges: true}
	case *ast.CaseClause:
		return p.wantedCase(i)
	case *ast.BranchStmt:
		return wanted{isLabel: true}
	case *ast.LabeledStmt, *ast.FuncDecl, *ast.ImportSpec:
		return wanted{isNew: true}
	case *ast.GoStmt, *ast.DeferStmt:
		return wanted{called: true}
	}
	return wanted{}
}

// selects reports whether a node is a selector with the cursor's name, which may begin a statement as well.
func (p *place) selects(node ast.Node) bool {
	sel, ok := node.(*ast.SelectorExpr)
	return ok && sel.Sel == p.ident
}

func (p *place) wantedUnary(n *ast.UnaryExpr, outer wanted) wanted {
	switch n.Op {
	case token.NOT:
		return wanted{typ: types.Typ[types.Bool]}
	case token.AND:
		if ptr, ok := gotypes.Underlying(outer.typ).(*types.Pointer); ok {
			return wanted{typ: ptr.Elem()}
		}
		return wanted{}
	case token.ARROW:
		return wanted{fits: func(t types.Type) bool {
			c, ok := t.Underlying().(*types.Chan)
			return ok && c.Dir() != types.SendOnly && (outer.typ == nil || types.AssignableTo(c.Elem(), outer.typ))
		}}
	}
	return outer
}

func (p *place) wantedBinary(n *ast.BinaryExpr, node ast.Node, up func() wanted) wanted {
	other := n.X
	if node == n.X {
		other = n.Y
	}
	switch n.Op {
	case token.LAND, token.LOR:
		return wanted{typ: types.Typ[types.Bool]}
	case token.SHL, token.SHR:
		if node == n.Y {
			return wanted{typ: types.Typ[types.Int]}
		}
		return up()
	}
	t := p.typeOf(other)
	if b, ok := t.(*types.Basic); ok && b.Info()&types.IsUntyped != 0 {
		if w := up(); w.typ != nil && n.Op != token.EQL && n.Op != token.NEQ && n.Op != token.LSS && n.Op != token.GTR &&
			n.Op != token.LEQ && n.Op != token.GEQ {
			return w
		}
		t = types.Default(t)
		if t == types.Typ[types.UntypedNil] {
			return wanted{fits: hasNil}
		}
	}
	return wanted{typ: t}
}

// hasNil reports whether nil is among a type's values.
func hasNil(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan, *types.Signature, *types.Interface:
		return true
	}
	return false
}

func (p *place) wantedInCall(n *ast.CallExpr, node ast.Node, up func() wanted) wanted {
	if must.Inserted(n) {
		return up()
	}
	if node == n.Fun {
		w := up()
		w.called = true
		return w
	}
	w := wanted{call: n, arg: slices.IndexFunc(n.Args, func(x ast.Expr) bool { return x == node })}
	if w.arg < 0 {
		return wanted{}
	}
	tv := p.Info.Types[n.Fun]
	switch {
	case tv.IsType():
		to := tv.Type
		w.fits = func(t types.Type) bool { return types.ConvertibleTo(t, to) }
		return w
	case tv.IsBuiltin():
		return p.wantedByBuiltin(n, w)
	}
	if id, ok := n.Fun.(*ast.Ident); ok {
		if _, isMust := p.Musted.Arity(p.Info.Uses[id]); isMust {
			return w
		}
	}
	signature, ok := gotypes.Underlying(p.typeOf(n.Fun)).(*types.Signature)
	if !ok {
		return w
	}
	if v := parameter(signature, w.arg, n.Ellipsis.IsValid()); v != nil {
		w.typ = v.Type()
		if _, ok := w.typ.(*types.TypeParam); ok {
			constraint := w.typ.Underlying().(*types.Interface)
			w.typ, w.fits = nil, func(t types.Type) bool { return types.Satisfies(t, constraint) }
			if constraint.Empty() {
				w.fits = nil
			}
		} else if mentionsTypeParam(w.typ) {
			w.fits = sameShape(w.typ)
			w.typ = nil
		}
	}
	return w
}

// mentionsTypeParam reports whether a type is not known before a generic function's arguments are.
func mentionsTypeParam(t types.Type) bool {
	switch t := t.(type) {
	case *types.TypeParam:
		return true
	case *types.Pointer:
		return mentionsTypeParam(t.Elem())
	case *types.Slice:
		return mentionsTypeParam(t.Elem())
	case *types.Array:
		return mentionsTypeParam(t.Elem())
	case *types.Chan:
		return mentionsTypeParam(t.Elem())
	case *types.Map:
		return mentionsTypeParam(t.Key()) || mentionsTypeParam(t.Elem())
	case *types.Signature:
		for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
			for i := range tuple.Len() {
				if mentionsTypeParam(tuple.At(i).Type()) {
					return true
				}
			}
		}
	case *types.Named:
		for i := range t.TypeArgs().Len() {
			if mentionsTypeParam(t.TypeArgs().At(i)) {
				return true
			}
		}
	}
	return false
}

// sameShape returns whether a type is a slice, a map, a function, …, as another one.
func sameShape(as types.Type) func(types.Type) bool {
	shape := func(t types.Type) string {
		switch t.Underlying().(type) {
		case *types.Slice:
			return "slice"
		case *types.Map:
			return "map"
		case *types.Chan:
			return "chan"
		case *types.Pointer:
			return "pointer"
		case *types.Signature:
			return "func"
		case *types.Array:
			return "array"
		}
		return ""
	}
	want := shape(as)
	return func(t types.Type) bool { return want != "" && shape(t) == want }
}

// parameter returns the parameter for an argument, as one of the last where there may be many; nil where there is none.
func parameter(s *types.Signature, arg int, spread bool) *types.Var {
	params := s.Params()
	switch {
	case s.Variadic() && arg >= params.Len()-1:
		last := params.At(params.Len() - 1)
		slice, ok := last.Type().(*types.Slice)
		if spread || !ok {
			return last
		}
		return types.NewParam(last.Pos(), last.Pkg(), last.Name(), slice.Elem())
	case arg < params.Len():
		return params.At(arg)
	}
	return nil
}

func (p *place) wantedByBuiltin(n *ast.CallExpr, w wanted) wanted {
	id, _ := ast.Unparen(n.Fun).(*ast.Ident)
	if id == nil {
		return w
	}
	var first types.Type
	if w.arg > 0 {
		first = p.typeOf(n.Args[0])
	}
	is := func(kinds ...string) func(types.Type) bool {
		return func(t types.Type) bool {
			if ptr, ok := t.Underlying().(*types.Pointer); ok {
				if a, ok := ptr.Elem().Underlying().(*types.Array); ok {
					t = a
				}
			}
			kind := ""
			switch u := t.Underlying().(type) {
			case *types.Slice:
				kind = "slice"
			case *types.Map:
				kind = "map"
			case *types.Chan:
				kind = "chan"
			case *types.Array:
				kind = "array"
			case *types.Basic:
				if u.Info()&types.IsString != 0 {
					kind = "string"
				}
			}
			return slices.Contains(kinds, kind)
		}
	}
	switch id.Name {
	case "make", "new":
		if w.arg == 0 {
			w.isType = true
		} else {
			w.typ = types.Typ[types.Int]
		}
	case "len":
		w.fits = is("slice", "map", "chan", "array", "string")
	case "cap":
		w.fits = is("slice", "chan", "array")
	case "close":
		w.fits = is("chan")
	case "clear":
		w.fits = is("slice", "map")
	case "append":
		s, ok := gotypes.Underlying(first).(*types.Slice)
		switch {
		case w.arg == 0:
			w.fits = is("slice")
		case ok && n.Ellipsis.IsValid():
			w.typ = first
		case ok:
			w.typ = s.Elem()
		}
	case "copy":
		w.fits = is("slice", "string")
		if first != nil {
			w.typ, w.fits = first, nil
		}
	case "delete":
		if m, ok := gotypes.Underlying(first).(*types.Map); ok {
			w.typ = m.Key()
		} else {
			w.fits = is("map")
		}
	case "min", "max":
		w.typ = first
	}
	return w
}

// structOf returns the struct that a literal of a type is one of, and the type's name.
func structOf(t types.Type) (*types.Struct, *types.Named) {
	if t == nil {
		return nil, nil
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	s, _ := t.Underlying().(*types.Struct)
	named, _ := types.Unalias(t).(*types.Named)
	return s, named
}

// literalType returns the type of the literal that is at i in the stack. One without a type of its own that lacks its
// key, or whose value is not written yet, may be meant as a key.
func (p *place) literalType(i int) types.Type {
	lit := p.stack[i].(*ast.CompositeLit)
	t := p.typeOf(lit)
	if t == nil && lit.Type == nil && i > 0 {
		if _, ok := p.stack[i-1].(*ast.CompositeLit); ok {
			if m, ok := gotypes.Underlying(p.literalType(i - 1)).(*types.Map); ok {
				return m.Key()
			}
		}
	}
	return t
}

// wantedElement returns what may stand as an element of the literal that is at i in the stack.
func (p *place) wantedElement(i, at int) wanted {
	lit := p.stack[i].(*ast.CompositeLit)
	t := p.literalType(i)
	if s, named := structOf(t); s != nil {
		w := wanted{literal: s, named: named, given: map[string]bool{}}
		keyed, placed := 0, 0
		for j, x := range lit.Elts {
			if kv, ok := x.(*ast.KeyValueExpr); ok {
				keyed++
				if id, ok := kv.Key.(*ast.Ident); ok {
					w.given[id.Name] = true
				}
			} else if j != at {
				placed++
			}
		}
		w.onlyFields = keyed > 0
		if keyed == 0 && at < s.NumFields() {
			w.typ, w.field = s.Field(at).Type(), s.Field(at)
		}
		if placed > 0 && keyed == 0 {
			w.literal = nil // fields are not named in this one
		}
		return w
	}
	return wanted{typ: known(elementOf(t))}
}

// elementOf returns the type of a slice's, an array's or a map's elements.
func elementOf(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	switch u := t.Underlying().(type) {
	case *types.Slice:
		return u.Elem()
	case *types.Array:
		return u.Elem()
	case *types.Map:
		return u.Elem()
	}
	return nil
}

// wantedKeyed returns what may stand as the key, or the value, of a literal's element.
func (p *place) wantedKeyed(i int, kv *ast.KeyValueExpr, isKey bool) wanted {
	lit := p.stack[i].(*ast.CompositeLit)
	t := p.literalType(i)
	if s, named := structOf(t); s != nil {
		if isKey {
			w := p.wantedElement(i, slices.IndexFunc(lit.Elts, func(x ast.Expr) bool { return x == kv }))
			w.onlyFields, w.typ, w.field = true, nil, nil
			return w
		}
		id, _ := kv.Key.(*ast.Ident)
		for f := range s.Fields() {
			if id != nil && f.Name() == id.Name {
				return wanted{typ: f.Type(), field: f, named: named}
			}
		}
		return wanted{}
	}
	if isKey {
		if m, ok := gotypes.Underlying(t).(*types.Map); ok {
			return wanted{typ: m.Key()}
		}
		return wanted{typ: types.Typ[types.Int]}
	}
	return wanted{typ: known(elementOf(t))}
}

func (p *place) wantedIndex(n *ast.IndexExpr) wanted {
	w := wanted{index: n}
	tv := p.Info.Types[n.X]
	t := p.typeOf(n.X)
	if s, ok := gotypes.Underlying(t).(*types.Signature); ok && s.TypeParams().Len() > 0 || tv.IsType() {
		return wanted{isType: true}
	}
	if t == nil {
		return w
	}
	if m, ok := t.Underlying().(*types.Map); ok {
		w.typ = m.Key()
		return w
	}
	w.typ = types.Typ[types.Int]
	return w
}

func (p *place) wantedInAssign(n *ast.AssignStmt, node ast.Node) wanted {
	at := slices.IndexFunc(n.Rhs, func(x ast.Expr) bool { return x == node })
	if at < 0 {
		return wanted{isNew: n.Tok == token.DEFINE && node == p.ident}
	}
	if n.Tok == token.DEFINE || at >= len(n.Lhs) {
		return wanted{}
	}
	if n.Tok == token.SHL_ASSIGN || n.Tok == token.SHR_ASSIGN {
		return wanted{typ: types.Typ[types.Int]}
	}
	return wanted{typ: p.typeOf(n.Lhs[at])}
}

// wantedCase returns what may stand in the case whose clause is at i in the stack.
func (p *place) wantedCase(i int) wanted {
	if i < 2 {
		return wanted{}
	}
	switch s := p.stack[i-2].(type) {
	case *ast.TypeSwitchStmt:
		return wanted{isType: true}
	case *ast.SwitchStmt:
		if s.Tag == nil {
			return wanted{typ: types.Typ[types.Bool]}
		}
		return wanted{typ: p.typeOf(s.Tag)}
	}
	return wanted{}
}

// result returns the type of a result of the function that the node at i in the stack is in.
func (p *place) result(i, at, of int) types.Type {
	f := syntax.EnclosingFunc(p.stack, i)
	if f == nil || f.Results == nil || at < 0 {
		return nil
	}
	for _, field := range f.Results.List {
		n := max(len(field.Names), 1)
		if at < n {
			return p.typeOf(field.Type)
		}
		at -= n
	}
	return nil
}

// assignable reports whether a value of a type can stand there; where nothing is known, nothing is said.
func (w wanted) assignable(t types.Type) bool {
	t = known(t)
	switch {
	case t == nil:
		return false
	case w.fits != nil:
		return w.fits(t)
	case w.typ == nil:
		return false
	}
	if i, ok := w.typ.Underlying().(*types.Interface); ok && i.Empty() {
		return false // anything can, which tells nothing
	}
	if b, ok := t.(*types.Basic); ok && b.Info()&types.IsUntyped != 0 {
		if b.Kind() == types.UntypedNil {
			return hasNil(w.typ)
		}
		return types.AssignableTo(types.Default(t), w.typ.Underlying())
	}
	return types.AssignableTo(t, w.typ)
}
