// Package must stops cells at errors. Go wants each error to be looked at. In a cell, a call that returns (T…, error)
// may be used as if it returned (T…): the cell then stops with the error. This holds only where Go refuses the call, so
// nothing that Go accepts changes its meaning:
//
//	issues := labels.Find(m, ds)         stops the cell with the error
//	labels.Find(m, ds).Table()           so does this
//	issues, err := labels.Find(m, ds)    plain Go
//	os.Remove("x")                       plain Go: the error is dropped
//
// The type checker finds these calls. After a check with faults, each call whose type does not fit where it stands is
// put into a call of an inner function, and the cell is checked again. Lowering writes that function out.
//
// The same function is predeclared as must, for as many values as are wanted. A cell can declare its own must.
package must

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/ast/astutil"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Doc is what a person reads about must.
const Doc = `must gives back the values before an error, which may be none or several. If the error is not nil, the cell stops
with it at this line. A call whose error nobody takes does the same without must: n := strconv.Atoi("12").`

// most is how many values must gives back at most.
const most = 8

// Functions are the predeclared functions for one checker, by how many values they give back.
type Functions struct {
	Named    [most + 1]*types.Func // what a cell calls must
	inserted [most + 1]*types.Func // what stands around a call whose error is to stop the cell
}

// The names have a mark in them that no identifier of Go has. Those in the place of must are as long.
const (
	Name         = "must"
	mark         = "m·"
	insertedMark = "try·"
)

// New returns the functions for a checker.
func New() *Functions {
	m := &Functions{}
	for n := range m.Named {
		name := mark + strconv.Itoa(n)
		if n == 1 {
			name = Name
		}
		m.Named[n] = types.NewFunc(token.NoPos, nil, name, signature(n))
		if n > 0 {
			m.inserted[n] = types.NewFunc(token.NoPos, nil, insertedMark+strconv.Itoa(n), signature(n))
		}
	}
	return m
}

// signature is func[T any](value T, err error) T, for n values.
func signature(n int) *types.Signature {
	var params []*types.TypeParam
	var values, results []*types.Var
	for i := range n {
		p := types.NewTypeParam(types.NewTypeName(token.NoPos, nil, numbered("T", i, n), nil),
			types.Universe.Lookup("any").Type())
		params = append(params, p)
		values = append(values, types.NewParam(token.NoPos, nil, numbered("value", i, n), p))
		results = append(results, types.NewParam(token.NoPos, nil, "", p))
	}
	values = append(values, types.NewParam(token.NoPos, nil, "err", gotypes.Error))
	return types.NewSignatureType(nil, nil, params, types.NewTuple(values...), types.NewTuple(results...), false)
}

// numbered gives the only one of several names no number.
func numbered(name string, i, n int) string {
	if n == 1 {
		return name
	}
	return name + strconv.Itoa(i+1)
}

// Source is the Go for must of n values.
func Source(name string, n int) string {
	var params, values, list []string
	for i := range n {
		params = append(params, numbered("T", i, n))
		values = append(values, numbered("v", i, n)+" "+numbered("T", i, n))
		list = append(list, numbered("v", i, n))
	}
	types, result, back := "", "", ""
	if n > 0 {
		types = "[" + strings.Join(params, ", ") + " any]"
		result = strings.Join(params, ", ") + " "
		if n > 1 {
			result = "(" + strings.Join(params, ", ") + ") "
		}
		back = "\treturn " + strings.Join(list, ", ") + "\n"
	}
	return fmt.Sprintf("func %s%s(%s) %s{\n\tif err != nil {\n\t\tpanic(err)\n\t}\n%s}\n", name, types,
		strings.Join(append(values, "err error"), ", "), result, back)
}

// Scope makes must known in a package that is to be checked.
func (m *Functions) Scope(pkg *types.Package, except map[string]bool) {
	for n := range m.Named {
		for _, f := range []*types.Func{m.Named[n], m.inserted[n]} {
			if f != nil && !except[f.Name()] && pkg.Scope().Lookup(f.Name()) == nil {
				pkg.Scope().Insert(f)
			}
		}
	}
}

// Arity returns how many values an object gives back that is must, or stands around a call.
func (m *Functions) Arity(o types.Object) (n int, ok bool) {
	if f, isFunc := o.(*types.Func); isFunc && f.Pkg() == nil {
		if n = slices.Index(m.Named[:], f); n >= 0 {
			return n, true
		}
		if n = slices.Index(m.inserted[:], f); n >= 0 {
			return n, true
		}
	}
	return 0, false
}

// Inserted reports whether a call stands around another one, whose error is to stop the cell.
func Inserted(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && strings.HasPrefix(id.Name, insertedMark)
}

// around puts a call that gives n values and an error into one that gives the values. It has the same place.
func around(call *ast.CallExpr, n int) *ast.CallExpr {
	return &ast.CallExpr{
		Fun:    &ast.Ident{NamePos: call.Pos(), Name: insertedMark + strconv.Itoa(n)},
		Lparen: call.Pos(), Args: []ast.Expr{call}, Rparen: call.End() - 1,
	}
}

// Without takes out what an earlier check has inserted: an item may be checked again, beside other
// declarations.
func Without(items []*syntax.Item) {
	for _, it := range items {
		astutil.Apply(it.Node(), nil, func(c *astutil.Cursor) bool {
			switch x := c.Node().(type) {
			case *ast.CallExpr:
				if Inserted(x) {
					c.Replace(x.Args[0])
				}
			case *ast.Ident:
				if strings.HasPrefix(x.Name, mark) {
					c.Replace(&ast.Ident{NamePos: x.NamePos, Name: Name})
				}
			}
			return true
		})
	}
}

// Insert puts into calls of inner functions what Go refuses where it stands, as a check of the items has found that
// refuses what is at some places. It returns false where there is nothing more to do.
func (m *Functions) Insert(items []*syntax.Item, info *types.Info, refused []token.Pos) bool {
	s := &inserter{musted: m, info: info, refused: refused}
	for _, s.byPlace = range []bool{false, true} {
		for _, it := range items {
			s.item(it)
		}
		if s.changed {
			return true
		}
	}
	return false
}

// inserter looks at all calls of a cell once.
type inserter struct {
	musted  *Functions
	info    *types.Info
	refused []token.Pos
	stack   []ast.Node
	byPlace bool // look at calls of which only the place of an error tells whether Go refuses them
	changed bool
}

func (s *inserter) item(it *syntax.Item) {
	astutil.Apply(it.Node(), func(c *astutil.Cursor) bool {
		s.stack = append(s.stack, c.Node())
		return true
	}, func(c *astutil.Cursor) bool {
		s.stack = s.stack[:len(s.stack)-1]
		call, ok := c.Node().(*ast.CallExpr)
		if !ok {
			return true
		}
		s.must(call)
		if n := s.values(call); n > 0 && n <= most && s.wanted(call, n) {
			c.Replace(around(call, n))
			s.changed = true
		}
		return true
	})
}

// must gives a call of must the name for as many values as its arguments have.
func (s *inserter) must(call *ast.CallExpr) {
	id, ok := call.Fun.(*ast.Ident)
	if !ok {
		return
	}
	now, ok := s.musted.Arity(s.info.Uses[id])
	if !ok || Inserted(call) {
		return
	}
	n := len(call.Args) - 1
	if len(call.Args) == 1 {
		tv, ok := s.info.Types[call.Args[0]]
		if !ok || tv.Type == nil || tv.Type == types.Typ[types.Invalid] {
			return
		}
		n = 0
		if t, ok := tv.Type.(*types.Tuple); ok {
			n = t.Len() - 1
		}
	}
	if n == now || n < 0 || n > most {
		return
	}
	call.Fun = &ast.Ident{NamePos: id.NamePos, Name: s.musted.Named[n].Name()}
	s.changed = true
}

// values returns how many values a call gives beside an error, which comes last; 0 where it gives no error, or
// nothing else.
func (s *inserter) values(call *ast.CallExpr) int {
	t, ok := s.info.TypeOf(call).(*types.Tuple)
	if !ok || t.Len() < 2 || !types.Identical(t.At(t.Len()-1).Type(), gotypes.Error) {
		return 0
	}
	return t.Len() - 1
}

// wanted reports whether Go refuses a call where it stands, and would take n values.
func (s *inserter) wanted(call *ast.CallExpr, n int) bool {
	var at ast.Node = call
	i := len(s.stack) - 1
	for ; i >= 0; i-- {
		if _, ok := s.stack[i].(*ast.ParenExpr); !ok {
			break
		}
		at = s.stack[i]
	}
	if i < 0 {
		return false
	}
	of := func(list []ast.Expr, want int) bool {
		if len(list) == 1 {
			return n == want
		}
		return n == 1
	}
	switch p := s.stack[i].(type) {
	case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
		return false
	case *ast.AssignStmt:
		return slices.Contains(p.Rhs, at.(ast.Expr)) && of(p.Rhs, len(p.Lhs)) && !wantsError(p.Lhs[len(p.Lhs)-1])
	case *ast.ValueSpec:
		return of(p.Values, len(p.Names)) && !wantsError(p.Names[len(p.Names)-1])
	case *ast.ReturnStmt:
		return of(p.Results, s.results(i))
	case *ast.CallExpr:
		if p.Fun == at || len(p.Args) != 1 || s.info.Types[p.Fun].IsType() {
			return n == 1
		}
		return s.argument(p, call, n)
	case ast.Expr, *ast.SendStmt, *ast.IfStmt, *ast.ForStmt, *ast.SwitchStmt, *ast.CaseClause, *ast.RangeStmt,
		*ast.IncDecStmt:
		return n == 1
	}
	return false
}

// wantsError reports whether a variable is called as if it were for the error: in err := os.Create("x") somebody has
// forgotten the file, which Go's own fault tells.
func wantsError(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && (strings.HasPrefix(id.Name, "err") || strings.HasSuffix(id.Name, "Err"))
}

// results is how many results the function has in which the node at i of the stack stands.
func (s *inserter) results(i int) int {
	f := syntax.EnclosingFunc(s.stack, i)
	if f == nil || f.Results == nil {
		return 0
	}
	return f.Results.NumFields()
}

// argument reports whether Go refuses a call as the only argument of another, and would take n values.
func (s *inserter) argument(outer, call *ast.CallExpr, n int) bool {
	if id, ok := outer.Fun.(*ast.Ident); ok {
		if _, ok := s.musted.Arity(s.info.Uses[id]); ok {
			return false // this one takes the error
		}
	}
	tv := s.info.Types[outer.Fun]
	if signature, ok := gotypes.Underlying(tv.Type).(*types.Signature); ok && !signature.Variadic() && !tv.IsBuiltin() {
		return signature.Params().Len() == n
	}
	// Whether a function of any number of arguments takes an error among them is for the type checker to say.
	if !s.byPlace {
		return false
	}
	return slices.ContainsFunc(s.refused, func(p token.Pos) bool {
		return p >= outer.Pos() && p < outer.End() && !slices.ContainsFunc(call.Args,
			func(a ast.Expr) bool { return p >= a.Pos() && p < a.End() })
	})
}

var marked = regexp.MustCompile(mark + `\d`)

// Unmarked words a message of the type checker as if nothing had been inserted.
func Unmarked(message string) string {
	message = marked.ReplaceAllString(message, Name)
	for {
		at := strings.Index(message, insertedMark)
		if at < 0 {
			return message
		}
		open := at + strings.IndexByte(message[at:], '(')
		depth, end := 0, len(message)
		for i := open; i >= at && i < len(message); i++ {
			switch message[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				end = i
				break
			}
		}
		if open < at || end == len(message) {
			return strings.ReplaceAll(message, insertedMark, "")
		}
		message = message[:at] + message[open+1:end] + message[end+1:]
	}
}
