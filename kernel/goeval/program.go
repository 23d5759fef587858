package goeval

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// checkProgram checks a whole file; it sees nothing of the notebook.
func (c *checker) checkProgram(fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace) (*checked,
	[]syntax.Fault) {
	k := newChecking(c, fset, items, before)
	k.program = true
	k.after = &namespace.Namespace{Bindings: map[string]*namespace.Binding{}, Imports: map[string]string{}}
	k.imports()
	k.after = before.Clone()
	if len(k.found) == 0 {
		var decls []ast.Decl
		for _, it := range items {
			decls = append(decls, it.Decl)
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
		b := &namespace.Binding{Object: o}
		switch o := o.(type) {
		case *types.Var:
			b.Sort = namespace.Var
		case *types.Func:
			if name == "main" || o.Signature().TypeParams().Len() > 0 {
				continue
			}
			b.Sort = namespace.Func
		default:
			continue
		}
		if k.mentionsOwn(o.Type()) || hasOwnFields(o.Type()) {
			continue
		}
		b.Slot = k.after.SlotFor(name)
		k.after.Bindings[name] = b
		k.after.Funcs[o] = b
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

// programSource writes the package of a program: the text as it stands, but for what makes it stoppable.
func (l *lowering) programSource() map[string][]byte {
	if len(l.items) == 0 {
		return nil
	}
	it := &syntax.Item{Text: l.items[0].Text, Start: 0, End: len(l.items[0].Text.Source)}
	for _, of := range l.items {
		l.edits[it] = append(l.edits[it], l.edits[of]...)
	}
	sortEdits(l.edits[it])
	text := l.render(it, 0, it.End)
	// The imports that the edits need stand behind the package clause, on its line.
	lexemes, _ := lexical.Scan(text)
	var imports strings.Builder
	l.importDecls(&imports)
	at := lexemes[1].End
	one := strings.ReplaceAll(strings.TrimSpace(imports.String()), "\n", "; ")
	if one != "" {
		one = "; " + one
	}
	main := fmt.Sprintf("//line %s:1\n%s%s%s", fileName(it.Text.Number), text[:at], one, text[at:])
	inMain := l.imports
	l.imports, l.dotted = map[string]string{}, map[string]bool{}
	var kept strings.Builder
	for _, o := range l.declared {
		slot := l.after.Funcs[o].Slot
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
		for _, e := range it.Embeds {
			fmt.Fprintf(&register, "// of %s\n", e.Digest)
		}
	}
	l.importDecls(&register)
	fmt.Fprintf(&register, "func init() {\n%s}\n", kept.String())
	maps.Copy(l.imports, inMain)
	return map[string][]byte{"cell.go": []byte(main), "register.go": []byte(register.String())}
}

func newProgramPackage() *types.Package { return types.NewPackage("main", "main") }
