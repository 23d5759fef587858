package goeval

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"maps"
	"strings"
)

// programUnit parses a cell that is a whole file, with its package clause. The result has one item for each
// declaration.
func programItems(fset *token.FileSet, t *text) ([]*item, []fault) {
	file, err := parser.ParseFile(fset, "", t.source, parser.ParseComments)
	if err != nil {
		var faults []fault
		if list, ok := err.(scanner.ErrorList); ok {
			for _, e := range list {
				faults = append(faults, fault{t, e.Pos.Offset, e.Msg})
			}
		}
		if len(faults) == 0 {
			faults = append(faults, fault{t, 0, err.Error()})
		}
		return nil, faults
	}
	tokens := fset.File(file.Package)
	var items []*item
	for _, d := range file.Decls {
		it := &item{text: t, decl: d, file: tokens, start: 0, end: len(t.source)}
		it.unresolved, it.qualifiers = nil, map[string]bool{}
		it.classifyDecl()
		items = append(items, it)
	}
	return items, nil
}

// checkProgram checks a whole file; it sees nothing of the notebook.
func (c *checker) checkProgram(fset *token.FileSet, items []*item, before *namespace) (*checked, []fault) {
	k := newChecking(c, fset, items, before)
	k.program = true
	k.after = &namespace{bindings: map[string]*binding{}, imports: map[string]string{}}
	k.imports()
	k.after = before.clone()
	if len(k.found) == 0 {
		var decls []ast.Decl
		for _, it := range items {
			decls = append(decls, it.decl)
		}
		k.names = map[string]bool{}
		k.pkg = newProgramPackage()
		k.run(k.pkg, k.config(), decls)
	}
	if len(k.found) > 0 {
		return nil, k.sorted()
	}
	k.keep()
	return k.checked, nil
}

// keep enters the program's variables and functions into the namespace, as far as their types mean something outside.
func (k *checking) keep() {
	scope := k.pkg.Scope()
	for _, name := range scope.Names() {
		o := scope.Lookup(name)
		b := &binding{object: o}
		switch o := o.(type) {
		case *types.Var:
			b.sort = isVar
		case *types.Func:
			if name == "main" || o.Signature().TypeParams().Len() > 0 {
				continue
			}
			b.sort = isFunc
		default:
			continue
		}
		if k.mentionsOwn(o.Type()) || hasOwnFields(o.Type()) {
			continue
		}
		b.slot = k.after.slotFor(name)
		k.after.bindings[name] = b
		k.after.funcs[o] = b
		k.declared = append(k.declared, o)
	}
}

func (k *checking) mentionsOwn(t types.Type) bool {
	found := false
	walkType(t, func(t types.Type) bool {
		if n, ok := t.(*types.Named); ok && n.Obj().Pkg() == k.pkg {
			found = true
		}
		return !found
	})
	return found
}

// isProgram reports whether a cell is a whole file with a main function.
func isProgram(source string) bool {
	lexemes, bad := scan(source)
	if bad != nil || len(lexemes) < 2 || lexemes[0].tok != token.PACKAGE || lexemes[1].lit != "main" {
		return false
	}
	for i := 0; i+2 < len(lexemes); i++ {
		if lexemes[i].tok == token.FUNC && lexemes[i+1].lit == "main" && lexemes[i+2].tok == token.LPAREN {
			return true
		}
	}
	return false
}

// programSource writes the package of a program: the text as it stands, but for what makes it stoppable.
func (l *lowering) programSource() map[string][]byte {
	if len(l.items) == 0 {
		return nil
	}
	it := &item{text: l.items[0].text, start: 0, end: len(l.items[0].text.source)}
	for _, of := range l.items {
		l.edits[it] = append(l.edits[it], l.edits[of]...)
	}
	sortEdits(l.edits[it])
	text := l.render(it, 0, it.end)
	// The imports that the edits need stand behind the package clause, on its line.
	lexemes, _ := scan(text)
	var imports strings.Builder
	l.importDecls(&imports)
	at := lexemes[1].end
	one := strings.ReplaceAll(strings.TrimSpace(imports.String()), "\n", "; ")
	if one != "" {
		one = "; " + one
	}
	main := fmt.Sprintf("//line %s:1\n%s%s%s", fileName(it.text.number), text[:at], one, text[at:])
	inMain := l.imports
	l.imports, l.dotted = map[string]string{}, map[string]bool{}
	var kept strings.Builder
	for _, o := range l.declared {
		slot := l.after.funcs[o].slot
		if _, ok := o.(*types.Var); ok {
			fmt.Fprintf(&kept, "\t%s.Slot(%q, &%s)\n", l.cell(), slot, o.Name())
		} else {
			t := l.typeText(o.Type())
			fmt.Fprintf(&kept, "\t*(*%s)(%s.Slot(%q, new(%s))) = %s\n", t, l.cell(), slot, t, o.Name())
		}
	}
	var register strings.Builder
	fmt.Fprintf(&kept, "\t%s.Register(%q, main)\n", l.cell(), placeholder)
	register.WriteString("package main\n")
	for _, it := range l.items {
		for _, e := range it.embeds {
			fmt.Fprintf(&register, "// of %s\n", e.digest)
		}
	}
	l.importDecls(&register)
	fmt.Fprintf(&register, "func init() {\n%s}\n", kept.String())
	maps.Copy(l.imports, inMain)
	return map[string][]byte{"cell.go": []byte(main), "register.go": []byte(register.String())}
}
