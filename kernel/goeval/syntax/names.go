package syntax

import (
	"go/ast"
	"go/token"
)

// DeclaredIdents returns the identifiers that a type, constant or function declaration defines at the top level.
func (it *Item) DeclaredIdents() []*ast.Ident {
	var out []*ast.Ident
	switch d := it.Decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name != "_" && d.Name.Name != "init" {
			out = append(out, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.Name != "_" {
					out = append(out, s.Name)
				}
			case *ast.ValueSpec:
				if d.Tok == token.CONST {
					for _, name := range s.Names {
						if name.Name != "_" {
							out = append(out, name)
						}
					}
				}
			}
		}
	}
	return out
}

// DefinedIdents returns the identifiers on the left of a top-level := or var.
func (it *Item) DefinedIdents() []*ast.Ident {
	var out []*ast.Ident
	if d, ok := it.Decl.(*ast.GenDecl); ok && it.Kind == VarItem {
		for _, spec := range d.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				if id.Name != "_" {
					out = append(out, id)
				}
			}
		}
		return out
	}
	if a := it.Definition(); a != nil {
		for _, lhs := range a.Lhs {
			if id, ok := lhs.(*ast.Ident); ok && id.Name != "_" {
				out = append(out, id)
			}
		}
	}
	return out
}

// Definition returns the := that a statement of a cell is, or nil.
func (it *Item) Definition() *ast.AssignStmt {
	stmt := it.Stmt
	for {
		labeled, ok := stmt.(*ast.LabeledStmt)
		if !ok {
			break
		}
		stmt = labeled.Stmt
	}
	if a, ok := stmt.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
		return a
	}
	return nil
}

// Receiver returns the name of the type that a method belongs to, and the method's.
func (it *Item) Receiver() (typ, name string) {
	d, ok := it.Decl.(*ast.FuncDecl)
	if !ok || d.Recv == nil || len(d.Recv.List) != 1 {
		return "", ""
	}
	if typ = ReceiverOf(d); typ == "" {
		return "", ""
	}
	return typ, d.Name.Name
}

// ReceiverOf is the name of a method's type.
func ReceiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.ParenExpr:
			t = x.X
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
