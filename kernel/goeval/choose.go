package goeval

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"reflect"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/constants"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// tierChoice is which tier a cell took, and why.
type tierChoice struct {
	interpreted bool
	reason      string
}

func (c tierChoice) String() string {
	switch {
	case c.reason == "":
		return "no cell has run yet"
	case c.interpreted:
		return "interpreted: " + c.reason
	}
	return "compiled: " + c.reason
}

// choose decides which tier a cell takes. The interpreted subset is what this file allows, and nothing else: statements
// over values of compiled types, in the forms in which the interpreter has been seen to give what the compiled code
// gives.
func (r *run) choose(c *check.Checked) tierChoice {
	force := r.force
	if force == "" && r.engine != "auto" {
		force = r.engine
	}
	if force == "go" {
		return tierChoice{reason: "it was asked for"}
	}
	if r.interp.busy {
		return tierChoice{reason: "another cell is being interpreted"}
	}
	s := &subset{run: r, Checked: c}
	why := s.reason()
	switch {
	case why == "":
		return tierChoice{interpreted: true, reason: "nothing in it needs the compiler"}
	case force == "yaegi":
		return tierChoice{reason: "although the interpreter was asked for: " + why}
	}
	return tierChoice{reason: why}
}

// subset looks for what the interpreter is not trusted with.
type subset struct {
	*run
	*check.Checked
	why string
	at  *syntax.Item
}

// reason returns why a cell has to be compiled; "" where it need not be.
func (s *subset) reason() string {
	if len(s.Moved) > 0 {
		return "variables get types with other methods"
	}
	for _, it := range s.Items {
		s.at = it
		switch it.Kind {
		case syntax.ImportItem:
		case syntax.VarItem:
			if len(it.Embeds) > 0 {
				s.no(it.Decl, "files are embedded")
			}
			ast.Inspect(it.Decl, s.visit)
		case syntax.StmtItem:
			ast.Inspect(it.Stmt, s.visit)
		case syntax.FuncItem:
			s.function(it)
		default:
			s.no(it.Decl, "it declares a "+declared(it))
		}
		if s.why != "" {
			return s.why
		}
	}
	if len(s.Funcs) > 0 && s.hasStatements() {
		return "it declares functions and has statements"
	}
	for _, v := range s.Variables {
		if _, ok := s.reflectType(v.Object.Type()); !ok {
			return "the type of " + v.Name + " is known to the compiler only"
		}
	}
	return ""
}

// function allows a function of plain parameters and results whose body the interpreter takes. It is compiled as well,
// in the background, and runs compiled from then on.
func (s *subset) function(it *syntax.Item) {
	d := it.Decl.(*ast.FuncDecl)
	signature := s.Info.Defs[d.Name].Type().(*types.Signature)
	if _, ok := s.funcType(signature); !ok || signature.Variadic() {
		s.no(d, "it declares a function of types that only the compiler knows")
		return
	}
	for i := range signature.Results().Len() {
		if signature.Results().At(i).Name() != "" {
			s.no(d, "it declares a function with named results")
			return
		}
	}
	ast.Inspect(d.Body, s.visit)
}

func (s *subset) hasStatements() bool {
	for _, it := range s.Items {
		if it.Kind == syntax.StmtItem || it.Kind == syntax.VarItem {
			return true
		}
	}
	return len(s.Inits) > 0
}

// funcType returns a function's type as the running process has it.
func (r *run) funcType(t *types.Signature) (reflect.Type, bool) {
	list := func(tuple *types.Tuple) (out []reflect.Type, ok bool) {
		for i := range tuple.Len() {
			t, ok := r.reflectType(tuple.At(i).Type())
			if !ok {
				return nil, false
			}
			out = append(out, t)
		}
		return out, true
	}
	in, ok1 := list(t.Params())
	out, ok2 := list(t.Results())
	if !ok1 || !ok2 {
		return nil, false
	}
	return reflect.FuncOf(in, out, t.Variadic()), true
}

func declared(it *syntax.Item) string {
	switch d := it.Decl.(type) {
	case *ast.FuncDecl:
		return "function"
	case *ast.GenDecl:
		if d.Tok == token.CONST {
			return "constant"
		}
	}
	return "type"
}

func (s *subset) no(n ast.Node, reason string) {
	if s.why == "" {
		line, _ := lexical.Position(s.at.Text.Source, s.at.Offset(n.Pos()))
		s.why = fmt.Sprintf("%s (line %d)", reason, line)
	}
}

// visit allows a node, or says why not.
func (s *subset) visit(n ast.Node) bool {
	if n == nil || s.why != "" {
		return false
	}
	switch x := n.(type) {
	case *ast.GenDecl, *ast.ValueSpec, *ast.ExprStmt, *ast.IncDecStmt, *ast.BlockStmt, *ast.ReturnStmt, *ast.IfStmt,
		*ast.ParenExpr, *ast.Field, *ast.FieldList:
	case *ast.AssignStmt:
		switch x.Tok {
		case token.ASSIGN, token.DEFINE, token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.QUO_ASSIGN:
		default:
			s.no(x, "the operator "+x.Tok.String())
		}
		if len(x.Lhs) > 1 && len(x.Lhs) == len(x.Rhs) {
			s.no(x, "several assignments at once")
		}
		if len(x.Lhs) == 2 && len(x.Rhs) == 1 {
			if _, ok := x.Rhs[0].(*ast.CallExpr); !ok {
				s.no(x, "a second value that says whether there is one")
			}
		}
	case *ast.ForStmt:
		if x.Cond == nil {
			s.no(x, "a loop without a condition")
		}
		if a, ok := x.Init.(*ast.AssignStmt); ok {
			for _, e := range a.Rhs {
				if _, ok := e.(*ast.BasicLit); !ok {
					s.no(x, "a loop that starts with other than a number")
				}
			}
		}
	case *ast.RangeStmt:
		switch s.typeOf(x.X).(type) {
		case *types.Slice, *types.Map:
		default:
			s.no(x, "a range over other than a slice or map")
		}
		if x.Tok == token.ASSIGN {
			s.no(x, "a range over variables of outside")
		}
	case *ast.BranchStmt:
		if x.Label != nil || x.Tok == token.GOTO || x.Tok == token.FALLTHROUGH {
			s.no(x, "a jump")
		}
	case *ast.BasicLit:
		if x.Kind == token.IMAG {
			s.no(x, "a complex number")
		}
	case *ast.Ident:
		s.ident(x)
	case *ast.SelectorExpr:
		s.selector(x)
		if s.why == "" {
			if _, ok := s.Info.Selections[x]; ok {
				ast.Inspect(x.X, s.visit)
			}
		}
		return false
	case *ast.CallExpr:
		s.call(x)
	case *ast.IndexExpr:
		if _, ok := s.typeOf(x.X).(*types.Map); !ok {
			s.no(x, "an index into other than a map")
		}
	case *ast.StarExpr:
	case *ast.UnaryExpr:
		switch x.Op {
		case token.SUB, token.NOT:
		case token.AND:
			if _, ok := x.X.(*ast.Ident); !ok {
				s.no(x, "the address of other than a variable")
			}
		default:
			s.no(x, "the operator "+x.Op.String())
		}
	case *ast.BinaryExpr:
		s.binary(x)
	case *ast.CompositeLit:
		switch t := s.typeOf(x).(type) {
		case *types.Slice:
			s.elements(x, t.Elem())
		case *types.Map:
			s.elements(x, t.Elem())
			s.elements(x, t.Key())
		default:
			s.no(x, "a literal of other than a slice or map")
		}
	case *ast.KeyValueExpr:
	case *ast.ArrayType:
		if x.Len != nil {
			s.no(x, "an array")
		}
	case *ast.MapType:
	default:
		s.no(x, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", x), "*ast."), "Stmt")+" statements and expressions")
	}
	if x, ok := n.(ast.Expr); ok && s.why == "" {
		s.expression(x)
	}
	return s.why == ""
}

// elements allows literals whose elements are of basic types.
func (s *subset) elements(x *ast.CompositeLit, t types.Type) {
	if _, ok := t.(*types.Basic); !ok {
		s.no(x, "a literal of other than basic types")
	}
}

func (s *subset) typeOf(x ast.Expr) types.Type {
	t := s.Info.TypeOf(x)
	if t == nil {
		return types.Typ[types.Invalid]
	}
	return t.Underlying()
}

// expression allows values of types that the interpreter has.
func (s *subset) expression(x ast.Expr) {
	tv, ok := s.Info.Types[x]
	if constants.IsLarge(tv) {
		s.no(x, "a constant that its type does not hold")
	}
	if !ok || tv.IsBuiltin() || tv.IsVoid() || tv.IsNil() {
		return
	}
	switch t := tv.Type.(type) {
	case *types.Tuple:
		for i := range t.Len() {
			if _, ok := s.reflectType(t.At(i).Type()); !ok {
				s.no(x, "the type "+t.At(i).Type().String()+", which is known to the compiler only")
			}
		}
		return
	case *types.Basic:
		if t.Info()&types.IsUntyped != 0 || t.Info()&types.IsComplex == 0 && t.Kind() != types.UnsafePointer {
			if tv.Value == nil || t.Info()&types.IsUntyped == 0 || t.Kind() == types.UntypedBool ||
				t.Kind() == types.UntypedString || t.Kind() == types.UntypedInt || t.Kind() == types.UntypedFloat ||
				t.Kind() == types.UntypedRune || t.Kind() == types.UntypedNil {
				return
			}
		}
		s.no(x, "the type "+t.String())
		return
	case *types.Signature:
		return // called, or refused where it is not
	}
	if _, ok := s.reflectType(tv.Type); !ok {
		s.no(x, "the type "+types.TypeString(tv.Type, func(p *types.Package) string { return p.Name() })+
			", which is known to the compiler only")
	}
}

func (s *subset) ident(id *ast.Ident) {
	o := s.Info.Uses[id]
	if o == nil {
		o = s.Info.Defs[id]
	}
	switch o := o.(type) {
	case nil:
	case *types.Var:
		if s.Unused[o] && s.Slots[o] == "" {
			s.no(id, "an unused variable")
		}
		if s.Slots[o] == "" && o.Pkg() != nil && o.Pkg().Path() != "main" {
			s.no(id, "a dot import")
		}
	case *types.Func:
		if _, ok := s.Musted.Arity(o); ok {
			s.must(id)
			return
		}
		if s.Slots[o] == "" {
			s.no(id, "a generic function")
		}
	case *types.Const:
		if o.Parent() != types.Universe {
			s.no(id, "a constant of a cell")
		}
	case *types.TypeName:
		if o.Parent() != types.Universe {
			s.no(id, "a type of a cell")
		}
	case *types.Builtin:
		switch o.Name() {
		case "len", "cap", "append", "delete", "panic":
		default:
			s.no(id, "the builtin "+o.Name())
		}
	case *types.Nil, *types.PkgName:
	default:
		s.no(id, id.Name)
	}
	if _, ok := s.Info.Instances[id]; ok {
		s.no(id, "a generic function")
	}
}

// must allows a function that stops the cell at an error, where the interpreter has the types of the values.
func (s *subset) must(id *ast.Ident) {
	values := s.Info.Instances[id].TypeArgs
	for i := range values.Len() {
		if _, ok := s.reflectType(values.At(i)); !ok {
			s.no(id, "the type "+values.At(i).String()+", which is known to the compiler only")
		}
	}
}

// isMust reports whether a call is one of a function that stops the cell at an error.
func (s *subset) isMust(x *ast.CallExpr) bool {
	id, ok := x.Fun.(*ast.Ident)
	if !ok {
		return false
	}
	_, ok = s.Musted.Arity(s.Info.Uses[id])
	return ok
}

func (s *subset) selector(x *ast.SelectorExpr) {
	if id, ok := x.X.(*ast.Ident); ok {
		if p, ok := s.Info.Uses[id].(*types.PkgName); ok {
			path := p.Imported().Path()
			if lower.IsReplaced(path+"."+x.Sel.Name) || path == "os" && x.Sel.Name == "Stdin" {
				s.no(x, path+"."+x.Sel.Name)
				return
			}
			if where[path] {
				s.no(x, path+", which looks at where it is called")
			}
			_, ok := s.interp.exports[path][x.Sel.Name]
			if !ok {
				s.no(x, path+"."+x.Sel.Name+", which the interpreter does not have")
				return
			}
			if _, generic := s.Info.Instances[x.Sel]; generic {
				s.no(x, "a generic function")
			}
			if o := s.Info.Uses[x.Sel]; o != nil {
				switch o.(type) {
				case *types.TypeName:
					s.no(x, "a type of a package")
				case *types.Var:
					s.no(x, "a variable of a package") // the interpreter has its own of some
				}
			}
			return
		}
	}
	selection := s.Info.Selections[x]
	if selection == nil {
		s.no(x, "a selector")
		return
	}
	if selection.Kind() == types.MethodExpr {
		s.no(x, "a method expression")
	}
	if p := selection.Obj().Pkg(); p != nil && p.Path() == "sync" {
		s.no(x, "sync."+x.Sel.Name+", which may wait for ever: of compiled code it is seen")
	}
	if selection.Kind() == types.FieldVal && !selection.Obj().Exported() {
		s.no(x, "a field that is not exported")
	}
	if len(selection.Index()) > 1 {
		s.no(x, "what is behind an embedded field")
	}
}

// where are the packages whose functions look at the stack, which has no cell in it where one is interpreted.
var where = map[string]bool{"runtime": true, "runtime/debug": true, "runtime/pprof": true, "log": true,
	"log/slog": true, "testing": true}

func (s *subset) call(x *ast.CallExpr) {
	tv := s.Info.Types[x.Fun]
	if tv.IsType() {
		from, ok1 := s.typeOf(x.Args[0]).(*types.Basic)
		to, ok2 := tv.Type.(*types.Basic)
		if !ok1 || !ok2 || from.Info()&types.IsNumeric == 0 || to.Info()&types.IsNumeric == 0 ||
			s.Info.Types[x.Args[0]].Value != nil {
			s.no(x, "a conversion")
		}
		return
	}
	if x.Ellipsis.IsValid() {
		s.no(x, "a call with ...")
	}
	switch f := ast.Unparen(x.Fun).(type) {
	case *ast.Ident, *ast.SelectorExpr:
		_ = f
	default:
		s.no(x, "a call of other than a name")
	}
	for _, arg := range x.Args {
		if _, ok := s.typeOf(arg).(*types.Signature); ok {
			s.no(arg, "a function as a value")
		}
		if _, ok := s.Info.TypeOf(arg).(*types.Tuple); ok && !s.isMust(x) {
			s.no(arg, "a call with another's results")
		}
	}
}

func (s *subset) binary(x *ast.BinaryExpr) {
	switch x.Op {
	case token.ADD, token.SUB, token.MUL, token.QUO, token.LAND, token.LOR, token.LSS, token.LEQ, token.GTR, token.GEQ:
	case token.REM:
	case token.EQL, token.NEQ:
		for _, e := range []ast.Expr{x.X, x.Y} {
			if tv := s.Info.Types[e]; !tv.IsNil() {
				switch t := tv.Type.Underlying().(type) {
				case *types.Basic, *types.Pointer, *types.Slice, *types.Map:
				case *types.Interface:
					if !s.Info.Types[x.X].IsNil() && !s.Info.Types[x.Y].IsNil() {
						s.no(x, "a comparison of interfaces")
					}
				default:
					s.no(x, "a comparison of "+t.String())
				}
			}
		}
	default:
		s.no(x, "the operator "+x.Op.String())
	}
}

// reflectType returns the type as the running process has it.
func (r *run) reflectType(t types.Type) (reflect.Type, bool) {
	switch t := t.(type) {
	case *types.Alias:
		return r.reflectType(types.Unalias(t))
	case *types.Basic:
		rt, ok := gotypes.Basic[t.Kind()]
		return rt, ok
	case *types.Named:
		if t.TypeArgs().Len() > 0 || t.TypeParams().Len() > 0 {
			return nil, false
		}
		o := t.Obj()
		if o.Pkg() == nil {
			return reflect.TypeFor[error](), o.Name() == "error"
		}
		if u := r.ns.Homes[o.Pkg()]; u != nil {
			return r.interp.cellType(u, o.Name())
		}
		v, ok := r.interp.exports[o.Pkg().Path()][o.Name()]
		if !ok || v.Kind() != reflect.Pointer || o.Parent() != o.Pkg().Scope() {
			return nil, false
		}
		return v.Type().Elem(), true
	case *types.Pointer:
		e, ok := r.reflectType(t.Elem())
		if !ok {
			return nil, false
		}
		return linked(reflect.PointerTo(e))
	case *types.Slice:
		e, ok := r.reflectType(t.Elem())
		if !ok {
			return nil, false
		}
		return linked(reflect.SliceOf(e))
	case *types.Array:
		e, ok := r.reflectType(t.Elem())
		if !ok || t.Len() > 1<<20 {
			return nil, false
		}
		return linked(reflect.ArrayOf(int(t.Len()), e))
	case *types.Map:
		k, ok1 := r.reflectType(t.Key())
		e, ok2 := r.reflectType(t.Elem())
		if !ok1 || !ok2 {
			return nil, false
		}
		return linked(reflect.MapOf(k, e))
	case *types.Chan:
		e, ok := r.reflectType(t.Elem())
		if !ok {
			return nil, false
		}
		return linked(reflect.ChanOf(map[types.ChanDir]reflect.ChanDir{types.SendRecv: reflect.BothDir,
			types.SendOnly: reflect.SendDir, types.RecvOnly: reflect.RecvDir}[t.Dir()], e))
	case *types.Interface:
		if t.Empty() && !t.IsComparable() {
			return reflect.TypeFor[any](), true
		}
	}
	return nil, false
}
