package lower

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
)

// What cells write to os.Stdout and os.Stderr comes to the kernel by two pipes, which do not tell which of two texts
// was written first; and os.Stdin is to ask the person. So where a cell hands one of these on as something to write to
// or to read from, or calls its methods for that, it gets what package instead has for it: that keeps the order, and
// knows whose text it is. As a file, each stays what it is; a cell that takes os.Stdin for one is told that it is
// empty.

// standard are the methods of what package instead has in place of each.
var standard = map[string]map[string]bool{
	"Stdin":  {"Read": true},
	"Stdout": {"Write": true, "WriteString": true},
	"Stderr": {"Write": true, "WriteString": true},
}

// standardFile has a mention of a standard file mean what package instead has, if it is used so.
func (l *Lowering) standardFile(x *ast.SelectorExpr, pkg *ast.Ident) {
	methods := standard[x.Sel.Name]
	if methods == nil {
		return
	}
	if s, ok := l.Parent(1).(*ast.SelectorExpr); ok && s.X == x {
		if call, ok := l.Parent(2).(*ast.CallExpr); ok && call.Fun == s && methods[s.Sel.Name] {
			l.useInstead(x, pkg)
		}
		return
	}
	of := l.target(x)
	if x.Sel.Name == "Stdin" && of != nil && !types.IsInterface(of) && !l.compared(x) {
		l.Edit(x.Pos(), x.End(), func() string {
			l.Imports[own+"instead"] = insteadPackage
			return own + "instead.StdinFile()"
		})
		l.leaveOut(pkg)
		return
	}
	target, ok := gotypes.Underlying(of).(*types.Interface)
	if !ok || target.NumMethods() == 0 || !target.IsMethodSet() {
		return
	}
	for i := range target.NumMethods() {
		if !methods[target.Method(i).Name()] {
			return
		}
	}
	l.useInstead(x, pkg)
}

// target returns the type that an expression is assigned to, where that is known; nil for the files of a program that a
// cell starts, which has them as its own.
func (l *Lowering) target(x ast.Expr) types.Type {
	at, n := ast.Node(x), 1
	for {
		p, ok := l.Parent(n).(*ast.ParenExpr)
		if !ok {
			break
		}
		at, n = p, n+1
	}
	switch p := l.Parent(n).(type) {
	case *ast.CallExpr:
		return l.parameter(p, at)
	case *ast.AssignStmt:
		for i, rhs := range p.Rhs {
			if rhs == at && len(p.Lhs) == len(p.Rhs) && !l.isCommandField(p.Lhs[i]) {
				return l.Info.TypeOf(p.Lhs[i])
			}
		}
	case *ast.ValueSpec:
		if p.Type != nil {
			return l.Info.TypeOf(p.Type)
		}
		return l.Info.TypeOf(x)
	case *ast.KeyValueExpr:
		if c, ok := l.Parent(n + 1).(*ast.CompositeLit); ok && p.Value == at {
			return l.element(c, p.Key, 0)
		}
	case *ast.CompositeLit:
		for i, e := range p.Elts {
			if e == at {
				return l.element(p, nil, i)
			}
		}
	case *ast.ReturnStmt:
		for i, result := range p.Results {
			if f := l.function(n); result == at && f != nil && f.Results().Len() == len(p.Results) {
				return f.Results().At(i).Type()
			}
		}
	case *ast.SendStmt:
		if c, ok := gotypes.Underlying(l.Info.TypeOf(p.Chan)).(*types.Chan); ok && p.Value == at {
			return c.Elem()
		}
	case *ast.BinaryExpr:
		other := p.X
		if other == at {
			other = p.Y
		}
		if p.Op == token.EQL || p.Op == token.NEQ {
			return l.Info.TypeOf(other)
		}
	}
	return nil
}

// compared reports whether an expression is compared with another.
func (l *Lowering) compared(x ast.Expr) bool {
	_, ok := l.Parent(1).(*ast.BinaryExpr)
	return ok
}

// parameter returns the type of the parameter that an argument is for.
func (l *Lowering) parameter(call *ast.CallExpr, argument ast.Node) types.Type {
	tv := l.Info.Types[call.Fun]
	if tv.IsType() {
		return tv.Type
	}
	for i, a := range call.Args {
		if a != argument {
			continue
		}
		if tv.IsBuiltin() {
			if s, ok := gotypes.Underlying(l.Info.TypeOf(call)).(*types.Slice); ok && i > 0 { // append
				return s.Elem()
			}
			return nil
		}
		signature, ok := gotypes.Underlying(tv.Type).(*types.Signature)
		if !ok {
			return nil
		}
		n := signature.Params().Len()
		if signature.Variadic() && i >= n-1 {
			if s, ok := gotypes.Underlying(signature.Params().At(n - 1).Type()).(*types.Slice); ok &&
				!call.Ellipsis.IsValid() {
				return s.Elem()
			}
			return nil
		}
		if i < n {
			return signature.Params().At(i).Type()
		}
	}
	return nil
}

// element returns the type of what stands under a key, or at a place, of a literal.
func (l *Lowering) element(c *ast.CompositeLit, key ast.Expr, at int) types.Type {
	t := l.Info.TypeOf(c)
	if p, ok := gotypes.Underlying(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	switch u := gotypes.Underlying(t).(type) {
	case *types.Slice:
		return u.Elem()
	case *types.Array:
		return u.Elem()
	case *types.Map:
		return u.Elem()
	case *types.Struct:
		if isCommand(t) {
			return nil
		}
		if id, ok := key.(*ast.Ident); ok {
			for i := range u.NumFields() {
				if u.Field(i).Name() == id.Name {
					return u.Field(i).Type()
				}
			}
		} else if at < u.NumFields() {
			return u.Field(at).Type()
		}
	}
	return nil
}

// function returns the signature of the function that the node n levels above stands in.
func (l *Lowering) function(n int) *types.Signature {
	for ; l.Parent(n) != nil; n++ {
		switch f := l.Parent(n).(type) {
		case *ast.FuncLit:
			s, _ := gotypes.Underlying(l.Info.TypeOf(f)).(*types.Signature)
			return s
		case *ast.FuncDecl:
			if o, ok := l.Info.Defs[f.Name].(*types.Func); ok {
				return o.Signature()
			}
			return nil
		}
	}
	return nil
}

// isCommandField reports whether an expression is a field of an exec.Cmd.
func (l *Lowering) isCommandField(x ast.Expr) bool {
	s, ok := ast.Unparen(x).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	t := l.Info.TypeOf(s.X)
	if p, ok := gotypes.Underlying(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return isCommand(t)
}

func isCommand(t types.Type) bool {
	if t == nil {
		return false
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "os/exec" && n.Obj().Name() == "Cmd"
}

// printsItself has what the builtin print functions write, past everything else, keep its place in the order.
func (l *Lowering) printsItself(x *ast.ExprStmt) {
	call, ok := x.X.(*ast.CallExpr)
	if !ok || !l.compiled || !l.Info.Types[call.Fun].IsBuiltin() {
		return
	}
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok || id.Name != "print" && id.Name != "println" {
		return
	}
	switch l.Parent(1).(type) {
	case nil, *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
		l.Imports[own+"instead"] = insteadPackage
		l.Insert(x.Pos(), own+"instead.ToStderr();")
	}
}
