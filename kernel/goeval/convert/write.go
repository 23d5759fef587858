package convert

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/constants"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// written is what an attempt to write the program has come to.
type written struct {
	names    map[any]string
	taken    map[string]bool
	imported map[string]string // import path to name
	explicit map[string]bool   // import paths whose names differ from their packages'
	dotted   map[string]bool   // paths of dot imports
	musts    map[int]bool
	global   map[any]bool // variables that stand at the top level
	made     map[any]bool // variables of main that have been made
	assign   string       // := or =, in the statement that is being written
	problem  error
}

// program writes the program, and checks it. Go does not take variables of main that nothing reads: they are found by
// the check.
func (v *converter) program() (string, error) {
	v.live()
	for {
		text := v.write()
		if v.problem != nil {
			return "", v.problem
		}
		source, err := format.Source([]byte(text))
		if err != nil {
			return "", fmt.Errorf("the program is no Go: %w", err)
		}
		unused, err := v.unread(string(source))
		if err != nil {
			return "", err
		}
		if len(unused) == 0 {
			return string(source), nil
		}
		for _, id := range unused {
			v.unused[id] = true
		}
	}
}

// live finds out which declarations the program needs: what statements use, what there is at the end, and what these
// use.
func (v *converter) live() {
	var mark func(id any)
	mark = func(id any) {
		nodes := v.nodes[id]
		for i, d := range nodes {
			if d.live || d.object != nil && i+1 < len(nodes) && !v.runsBetween(d.step, nodes[i+1].step) {
				continue
			}
			d.live = true
			for used := range d.uses {
				mark(used)
			}
		}
	}
	for _, s := range v.steps {
		for id := range s.uses {
			mark(id)
		}
	}
	for _, b := range v.ns.Bindings {
		if b.Slot != "" {
			mark(v.root(b.Slot))
		} else {
			mark(v.root(b.Object))
		}
	}
}

// runsBetween reports whether main runs anything between two of its steps.
func (v *converter) runsBetween(from, to int) bool {
	return slices.ContainsFunc(v.steps[from:to], func(s *step) bool { return s.item != nil || s.call != nil })
}

// bodies returns the functions that a name of the notebook stands for one after the other.
func (v *converter) bodies(id any) []*topLevel {
	return slices.DeleteFunc(slices.Clone(v.nodes[id]), func(d *topLevel) bool { return d.object == nil || !d.live })
}

// name returns the name that something has in the program.
func (v *converter) name(id any, wanted string) string {
	if n := v.names[id]; n != "" {
		return n
	}
	n := wanted
	for i := 2; v.taken[n] || i > 2 && v.idents[n] || n == "main" || n == "init" || types.Universe.Lookup(n) != nil; i++ {
		n = wanted + strconv.Itoa(i)
	}
	v.names[id], v.taken[n] = n, true
	return n
}

// bodyName returns the name of one of the functions that a name of the notebook stands for.
func (v *converter) bodyName(d *topLevel) string {
	id := d.ids[0]
	bodies := v.bodies(id)
	if len(bodies) < 2 {
		return v.name(id, d.object.Name())
	}
	return v.name(d, d.object.Name()+strconv.Itoa(slices.Index(bodies, d)+1))
}

// must returns the name of the function that takes n values and an error.
func (v *converter) must(n int) string {
	v.written.musts[n] = true
	name := must.Name
	if n != 1 {
		name += strconv.Itoa(n)
	}
	if v.locals[name] {
		name = "orStop" + strings.TrimPrefix(name, must.Name)
	}
	return v.name(mustOf(n), name)
}

// mustOf is the identity of must for n values.
type mustOf int

// importName returns the name of a package in the program. as is what a cell calls it.
func (v *converter) importName(path, as, own string) string {
	if n := v.imported[path]; n != "" {
		return n
	}
	n := v.name("import "+path, as)
	v.imported[path] = n
	v.explicit[path] = n != own
	return n
}

func (v *converter) fail(format string, args ...any) {
	if v.problem == nil {
		v.problem = fmt.Errorf(format, args...)
	}
}

// typeName writes a type.
func (v *converter) typeName(t types.Type, of string) string {
	gotypes.Walk(t, func(t types.Type) bool {
		var o *types.TypeName
		switch t := t.(type) {
		case *types.Named:
			o = t.Obj()
		case *types.Alias:
			o = t.Obj()
		case *types.TypeParam:
			o = t.Obj()
		}
		switch {
		case o == nil || o.Pkg() == nil:
		case o.Pkg().Path() != "main":
			if !o.Exported() {
				v.fail("%s has the type %s, which only its package can name", of, t)
			}
		case !v.declared[o]:
			v.fail("%s has the type %s, which has no name at the top level", of, o.Name())
		case v.name(v.root(o), o.Name()) != o.Name():
			v.fail("%s has the type %s, which is declared more than once: give the types different names", of, o.Name())
		}
		return true
	})
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == "main" {
			return ""
		}
		return v.importName(p.Path(), p.Name(), p.Name())
	})
}

// write writes the program once.
func (v *converter) write() string {
	v.written = &written{
		names: map[any]string{}, taken: map[string]bool{}, imported: map[string]string{}, explicit: map[string]bool{},
		dotted: map[string]bool{},
		musts:  map[int]bool{}, global: map[any]bool{}, made: map[any]bool{},
	}
	for _, d := range v.all {
		for used := range d.uses {
			if d.live && v.variables[used] != nil {
				v.global[used] = true
			}
		}
	}
	// The first to have a name keeps it.
	for _, d := range v.all {
		for _, p := range d.items[:1] {
			for i, id := range p.item.DeclaredIdents() {
				if d.live && i < len(d.ids) {
					v.name(d.ids[i], id.Name)
				}
			}
		}
	}
	for _, s := range v.steps {
		if s.item != nil {
			for _, id := range s.item.DefinedIdents() {
				v.name(v.defined(s, id), id.Name)
			}
		}
	}
	var top, main strings.Builder
	v.declarations(&top)
	v.statements(&main)
	for _, n := range slices.Sorted(maps.Keys(v.written.musts)) {
		name := v.must(n)
		switch n {
		case 0:
			fmt.Fprintf(&top, "// %s panics if there is an error.\n", name)
		case 1:
			fmt.Fprintf(&top, "// %s returns the value of a call without its error, and panics if there is one.\n", name)
		default:
			fmt.Fprintf(&top, "// %s returns the %d values of a call without its error, and panics if there is one.\n", name,
				n)
		}
		top.WriteString(must.Source(name, n) + "\n")
	}
	var out strings.Builder
	out.WriteString("package main\n\n")
	v.importDecl(&out)
	out.WriteString(top.String())
	fmt.Fprintf(&out, "func main() {\n%s}\n", main.String())
	return out.String()
}

// defined returns the identity of a variable that a step defines.
func (v *converter) defined(s *step, id *ast.Ident) any {
	identity, _ := v.identity(s.of.Checked, s.of.Info.Defs[id])
	return identity
}

// importDecl writes the imports, those of the standard library first.
func (v *converter) importDecl(out *strings.Builder) {
	before := map[string]string{} // what stands before an import path
	for _, p := range v.effects {
		before[p] = "_ "
	}
	for p := range v.dotted {
		before[p] = ". "
	}
	for p, name := range v.imported {
		if before[p] = ""; v.explicit[p] || name != path.Base(p) && !laterVersion.MatchString(path.Base(p)) {
			before[p] = name + " "
		}
	}
	var standard, others string
	for _, p := range slices.Sorted(maps.Keys(before)) {
		line := fmt.Sprintf("%s%q\n", before[p], p)
		if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
			others += line
		} else {
			standard += line
		}
	}
	if len(before) > 0 {
		fmt.Fprintf(out, "import (\n%s\n%s)\n\n", standard, others)
	}
}

// laterVersion is the last part of the import path of a module's later version, which is not its package's name.
var laterVersion = regexp.MustCompile(`^v[0-9]+$`)

// declarations writes what stands at the top level.
func (v *converter) declarations(out *strings.Builder) {
	seen := map[any]bool{}
	for _, s := range v.steps {
		if s.item == nil {
			continue
		}
		for _, id := range s.item.DefinedIdents() {
			if i := v.defined(s, id); v.global[i] && !seen[i] {
				seen[i] = true
				fmt.Fprintf(out, "var %s %s\n\n", v.name(i, id.Name), v.typeName(v.variables[i].Type(),
					"the variable "+id.Name))
			}
		}
	}
	for _, d := range v.all {
		if !d.live {
			continue
		}
		if d.object != nil {
			if id := d.ids[0]; len(v.bodies(id)) > 1 && !seen[id] {
				seen[id] = true
				fmt.Fprintf(out, "// %s is one function after the other.\nvar %s %s\n\n", v.name(id, d.object.Name()),
					v.name(id, d.object.Name()), v.typeName(d.object.Type(), "the function "+d.object.Name()))
			}
		}
		for _, p := range d.items {
			it := p.item
			fmt.Fprintf(out, "%s%s\n\n", it.Text.Source[leadOf(it):it.Start], p.Render(it, it.Start, it.End))
		}
	}
}

// statements writes the body of main.
func (v *converter) statements(out *strings.Builder) {
	number := 0
	for _, s := range v.steps {
		text := v.step(s)
		if text == "" {
			continue
		}
		if s.number != number {
			if number > 0 {
				out.WriteByte('\n')
			}
			number = s.number
			fmt.Fprintf(out, "// Cell %d\n", number)
		}
		out.WriteString(text + "\n")
	}
}

func (v *converter) step(s *step) string {
	switch {
	case s.note != "":
		return "// " + strings.ReplaceAll(s.note, "\n", "\n// ")
	case s.body != nil:
		if !s.body.live || len(v.bodies(s.body.ids[0])) < 2 {
			return ""
		}
		return v.name(s.body.ids[0], s.body.object.Name()) + " = " + v.bodyName(s.body)
	case s.call != nil:
		text := ""
		if s.flags && v.imported["flag"] != "" {
			text = v.imported["flag"] + ".Parse()\n"
		}
		for _, id := range s.call {
			if bodies := v.bodies(id); len(bodies) > 0 {
				text += v.name(id, bodies[0].object.Name()) + "()\n"
			} else {
				text += v.name(id, "setup") + "()\n" // a function init
			}
		}
		return strings.TrimSpace(text)
	}
	it := s.item
	text := it.Text.Source[leadOf(it):it.Start] + v.statement(s)
	rest, _, _ := strings.Cut(it.Text.Source[it.End:], "\n")
	if rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), ";")); strings.HasPrefix(rest, "//") {
		text += " " + rest
	}
	for _, id := range it.DefinedIdents() {
		if i := v.defined(s, id); v.unused[i] && v.made[i] {
			text += "\n_ = " + v.name(i, id.Name)
			v.made[i] = false
		}
	}
	return text
}

// leadOf returns where the comment of an item begins, without what stands on the line of the item before.
func leadOf(it *syntax.Item) int {
	source := it.Text.Source
	line := strings.LastIndexByte(source[:it.Lead], '\n') + 1
	if strings.TrimSpace(source[line:it.Lead]) == "" {
		return it.Lead
	}
	if end := strings.IndexByte(source[it.Lead:it.Start], '\n'); end >= 0 {
		return it.Lead + end + 1
	}
	return it.Start
}

// statement writes a statement or a definition of variables.
func (v *converter) statement(s *step) string {
	it := s.item
	render := func(n ast.Node) string { return s.of.Render(it, it.Offset(n.Pos()), it.Offset(n.End())) }
	if it == s.of.Last {
		return v.shown(s)
	}
	var fresh []*ast.Ident // variables that main has not had yet
	top := false           // some stand at the top level
	for _, id := range it.DefinedIdents() {
		i := v.defined(s, id)
		top = top || v.global[i]
		if _, made := v.made[i]; !made && !v.global[i] {
			fresh = append(fresh, id)
		}
	}
	make := func() (text string) {
		for _, id := range fresh {
			i := v.defined(s, id)
			text += fmt.Sprintf("var %s %s\n", v.name(i, id.Name), v.typeName(v.variables[i].Type(), "the variable "+id.Name))
		}
		return text
	}
	all := len(fresh) == len(it.DefinedIdents())
	before := ""
	switch a := (*ast.AssignStmt)(nil); {
	case it.Kind == syntax.VarItem && all:
	case it.Kind == syntax.VarItem:
		before = make()
	default:
		if a = it.Definition(); a != nil {
			for _, lhs := range a.Lhs {
				if id, ok := lhs.(*ast.Ident); ok {
					i, _ := v.identity(s.of.Checked, s.of.Info.Uses[id])
					top = top || v.global[i]
				}
			}
		}
		v.assign = ":="
		if len(fresh) == 0 {
			v.assign = "="
		} else if top {
			before, v.assign = make(), "="
		}
	}
	for _, id := range fresh {
		v.made[v.defined(s, id)] = true
	}
	if it.Kind == syntax.VarItem && !all {
		return before + v.assignments(s, render)
	}
	return before + s.of.Render(it, it.Start, it.End)
}

// assignments writes a var declaration of variables that are there already.
func (v *converter) assignments(s *step, render func(ast.Node) string) string {
	var lines []string
	for _, spec := range s.item.Decl.(*ast.GenDecl).Specs {
		spec := spec.(*ast.ValueSpec)
		var names, values []string
		blank := false
		for _, id := range spec.Names {
			blank = blank || id.Name == "_"
			names = append(names, render(id))
		}
		for _, x := range spec.Values {
			values = append(values, render(x))
		}
		switch {
		case len(values) == 0:
			for _, name := range names {
				if name != "_" {
					lines = append(lines, fmt.Sprintf("%s = *new(%s)", name, render(spec.Type)))
				}
			}
		case blank && spec.Type != nil:
			lines = append(lines, "var "+render(spec))
		default:
			lines = append(lines, strings.Join(names, ", ")+" = "+strings.Join(values, ", "))
		}
	}
	return strings.Join(lines, "\n")
}

// shown writes the last expression of a cell, whose value the notebook shows.
func (v *converter) shown(s *step) string {
	it := s.item
	render := func(n ast.Node) string { return s.of.Render(it, it.Offset(n.Pos()), it.Offset(n.End())) }
	if it.Tuple != nil {
		var list []string
		var of []types.Type
		for _, x := range it.Tuple {
			text, t := render(x), s.of.Info.TypeOf(x)
			if tv := s.of.Info.Types[x]; constants.IsLarge(tv) {
				if text, t = constants.Fitted(tv.Value); t == nil {
					text, t = strconv.Quote(text), types.Typ[types.String]
				}
			}
			list, of = append(list, text), append(of, t)
		}
		return v.printed(list, of)
	}
	x := it.Stmt.(*ast.ExprStmt).X
	if tv := s.of.Info.Types[x]; constants.IsLarge(tv) {
		text, t := constants.Fitted(tv.Value)
		if t != nil {
			return v.printed([]string{text}, []types.Type{t})
		}
		return v.importName("fmt", "fmt", "fmt") + ".Println(" + strconv.Quote(text) + ")"
	}
	text, t := render(x), s.of.Info.TypeOf(x)
	tuple, ok := t.(*types.Tuple)
	if !ok {
		v.mayBeNil = s.of.GivesError()
		defer func() { v.mayBeNil = false }()
		return v.printed([]string{text}, []types.Type{t})
	}
	n := tuple.Len()
	if s.of.LastCall() != nil {
		n--
		text = v.must(n) + "(" + text + ")"
	}
	if n == 1 {
		return v.printed([]string{text}, []types.Type{tuple.At(0).Type()})
	}
	var list []string
	var of []types.Type
	for i := range n {
		list, of = append(list, fmt.Sprintf("v%d", i+1)), append(of, tuple.At(i).Type())
	}
	return fmt.Sprintf("{\n%s := %s\n%s\n}", strings.Join(list, ", "), text, v.printed(list, of))
}

const (
	displayPackage = "github.com/loupeml/loupe/lib/display"
	tablePackage   = "github.com/loupeml/loupe/lib/table"
)

// printed shows values: by package display where the program uses loupe or shows a picture, else by package fmt.
func (v *converter) printed(list []string, of []types.Type) string {
	if v.loupe || slices.ContainsFunc(of, isPicture) {
		if len(list) == 1 {
			name := v.importName(displayPackage, "display", "display")
			return v.unlessNil(list[0], func(x string) string { return name + ".Show(" + x + ")" })
		}
		words := v.importName(tablePackage, "table", "table")
		for i := range list {
			list[i] = words + ".Text(" + list[i] + ")"
		}
		fmtName := v.importName("fmt", "fmt", "fmt")
		return fmt.Sprintf("%s.Printf(\"%s\\n\", %s)", fmtName, strings.TrimSuffix(strings.Repeat("%s, ", len(list)), ", "),
			strings.Join(list, ", "))
	}
	name := v.importName("fmt", "fmt", "fmt")
	verbs := make([]string, len(of))
	for i, t := range of {
		verbs[i] = verb(t)
	}
	if len(list) == 1 {
		return v.unlessNil(list[0], func(x string) string {
			if verbs[0] == "%v" {
				return name + ".Println(" + x + ")"
			}
			return name + ".Printf(\"" + verbs[0] + "\\n\", " + x + ")"
		})
	}
	return name + ".Printf(\"" + strings.Join(verbs, ", ") + "\\n\", " + strings.Join(list, ", ") + ")"
}

// unlessNil shows a value. A nil error that a call gives is not shown in a notebook either.
func (v *converter) unlessNil(x string, show func(string) string) string {
	if !v.mayBeNil {
		return show(x)
	}
	return fmt.Sprintf("if v := %s; v != nil {\n%s\n}", x, show("v"))
}

// verb is how package fmt prints a value as a notebook shows it.
func verb(t types.Type) string {
	if hasMethod(t, "Error") || hasMethod(t, "String") {
		return "%v"
	}
	if b, ok := types.Unalias(t).(*types.Basic); ok && b.Info()&types.IsString != 0 {
		return "%q"
	}
	switch t := t.Underlying().(type) {
	case *types.Basic:
		return "%v"
	case *types.Signature:
		return "%T"
	case *types.Slice:
		return verbOfElements(t.Elem())
	case *types.Array:
		return verbOfElements(t.Elem())
	}
	return "%+v"
}

func verbOfElements(t types.Type) string {
	if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsString != 0 {
		return "%q"
	}
	return "%+v"
}

func hasMethod(t types.Type, name string) bool {
	o, _, _ := types.LookupFieldOrMethod(t, false, nil, name)
	_, ok := o.(*types.Func)
	return ok
}

// isPicture reports whether a value is an image, or shows itself.
func isPicture(t types.Type) bool {
	return hasMethod(t, "Bundle") || hasMethod(t, "ColorModel") && hasMethod(t, "Bounds") && hasMethod(t, "At")
}

// unread checks the program, and returns the variables of main that nothing reads.
func (v *converter) unread(source string) (unused []any, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "program", source, 0)
	if err != nil {
		return nil, fmt.Errorf("the program is no Go: %w", err)
	}
	byName := map[string]any{}
	for id := range v.variables {
		if !v.global[id] && v.names[id] != "" {
			byName[v.names[id]] = id
		}
	}
	var faults []error
	config := &types.Config{
		GoVersion: check.GoVersion, Importer: v.Checker.Importer, Sizes: types.SizesFor("gc", "amd64"),
		Error: func(err error) {
			e := err.(types.Error)
			name, ok := strings.CutPrefix(e.Msg, "declared and not used: ")
			if id := byName[name]; ok && id != nil && !v.unused[id] {
				unused = append(unused, id)
				return
			}
			line := strings.Split(source, "\n")[fset.Position(e.Pos).Line-1]
			faults = append(faults, fmt.Errorf("%s in the program's line\n%s", e.Msg, line))
		},
	}
	config.Check("main", fset, []*ast.File{file}, nil) // the errors have been taken above
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return unused, nil
}
