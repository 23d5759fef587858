package lower

import (
	"fmt"
	"go/types"
	"maps"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// programSource writes the package of a program: the text as it stands, but for what makes it stoppable.
func (l *Lowering) programSource() map[string][]byte {
	if len(l.Items) == 0 {
		return nil
	}
	it := &syntax.Item{Text: l.Items[0].Text, Start: 0, End: len(l.Items[0].Text.Source)}
	l.Join(it, l.Items)
	text := l.Render(it, 0, it.End)
	// The imports that the edits need stand behind the package clause, on its line.
	lexemes, _ := lexical.Scan(text)
	var imports strings.Builder
	l.importDecls(&imports)
	at := lexemes[1].End
	one := strings.ReplaceAll(strings.TrimSpace(imports.String()), "\n", "; ")
	if one != "" {
		one = "; " + one
	}
	main := fmt.Sprintf("//line %s:1\n%s%s%s", it.Text.FileName(), text[:at], one, text[at:])
	inMain := l.Imports
	l.Imports, l.dotted = map[string]string{}, map[string]bool{}
	var kept strings.Builder
	for _, o := range l.Declared {
		slot := l.After.Funcs[o].Slot
		if _, ok := o.(*types.Var); ok {
			fmt.Fprintf(&kept, "\t%s.Slot(%q, &%s)\n", l.cell(), slot, o.Name())
		} else {
			t := l.typeText(o.Type())
			fmt.Fprintf(&kept, "\t*(*%s)(%s.Slot(%q, new(%s))) = %s\n", t, l.cell(), slot, t, o.Name())
		}
	}
	var register strings.Builder
	fmt.Fprintf(&kept, "\t%s.Register(%q, main)\n", l.cell(), Placeholder)
	register.WriteString("package main\n")
	for _, it := range l.Items {
		for _, e := range it.Embeds {
			fmt.Fprintf(&register, "// of %s\n", e.Digest)
		}
	}
	l.importDecls(&register)
	fmt.Fprintf(&register, "func init() {\n%s}\n", kept.String())
	maps.Copy(l.Imports, inMain)
	return map[string][]byte{"cell.go": []byte(main), "register.go": []byte(register.String())}
}
