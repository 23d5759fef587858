package goeval

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Names of cells get Ø before them where they have to be exported: a letter that Go takes for upper case, and that
// hardly anybody types.
const mark = "Ø"

// own begins the exported names that loupe makes itself: no name of a cell goes on with a digit.
const own = mark + "0"

// local begins the names of what only the cell's own package has to see. The compiler lists the exported functions and
// variables of a package main for package plugin, and a list of one cell's does not go together with another's.
const local = "ø"

// private begins those that loupe makes itself.
const private = local + "0"

const (
	cellPackage    = "github.com/loupeml/loupe/kernel/cell"
	insteadPackage = "github.com/loupeml/loupe/kernel/cell/instead"
)

// lowering turns a checked cell into Go source that means the same outside the notebook: variables are reached
// through their slots, and what earlier cells keep to themselves through the functions that their packages have for it.
type lowering struct {
	editor
	unit     *namespace.Unit // what is being made
	program  bool            // the cell is a program, which keeps its own variables
	compiled bool            // for the compiler, not the interpreter

	imports       map[string]string // name in the generated source to path
	dotted        map[string]bool
	cNames        map[string]bool // types of C that later cells may have to name
	blank         map[string]bool // paths that are imported for their effect
	embedVars     map[*syntax.Embedding]string
	embedDecls    string                     // of the variables that the compiler fills from files
	units         map[*namespace.Unit]string // earlier cells in use, to their names
	aliases       map[string]types.Object
	used          map[string]types.Object // slots in use, to an object that has the type
	self          types.Object            // the function whose body is being lowered
	replacedNames map[*ast.Ident]bool
	preamble      string // of C
	accessors     int
	newFields     []newField
	// which functions that stop at errors are in use, by how many values they give
	musts map[int]bool
	// the name of such a function, where the interpreter is to have it
	mustFor func(n int, values []types.Type, at frame) string
}

func lower(c *checked, u *namespace.Unit, program, compiled bool) *lowering {
	l := &lowering{
		editor: newEditor(c), unit: u, program: program, compiled: compiled,
		imports: map[string]string{}, dotted: map[string]bool{}, blank: map[string]bool{}, cNames: map[string]bool{},
		units:   map[*namespace.Unit]string{},
		aliases: map[string]types.Object{}, used: map[string]types.Object{},
	}
	// Imports come last, since whether one is used is known then.
	for _, imports := range []bool{false, true} {
		for _, it := range c.items {
			if imports == (it.Kind == syntax.ImportItem) {
				l.item(it)
			}
		}
	}
	return l
}

// item collects the edits of one item.
func (l *lowering) item(it *syntax.Item) {
	l.current, l.self = it, nil
	if it.Kind == syntax.ImportItem {
		l.importItem(it)
		return
	}
	if d, ok := it.Decl.(*ast.FuncDecl); ok && d.Recv == nil {
		l.self = l.info.Defs[d.Name]
		for i, init := range l.inits {
			if init == it && !l.program {
				l.replace(d.Name.Pos(), d.Name.End(), initName(i))
			}
		}
	}
	l.walk(it, l.node)
	if !l.program {
		l.define(it)
	}
	sortEdits(l.edits[it])
}

func (l *lowering) importItem(it *syntax.Item) {
	if !l.program {
		return
	}
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		s := spec.(*ast.ImportSpec)
		path := strings.Trim(s.Path.Value, "\"`")
		if path == "C" || s.Name != nil && (s.Name.Name == "_" || s.Name.Name == ".") || l.packageUsed(s) {
			continue
		}
		if s.Name != nil {
			l.replace(s.Name.Pos(), s.Name.End(), "_")
		} else {
			l.insert(s.Path.Pos(), "_ ")
		}
	}
}

func (l *lowering) packageUsed(s *ast.ImportSpec) bool {
	path := strings.Trim(s.Path.Value, "\"`")
	for id, o := range l.info.Uses {
		if p, ok := o.(*types.PkgName); ok && p.Imported().Path() == path && !l.replaced(id) {
			return true
		}
	}
	return false
}

// node collects the edits that one node asks for.
func (l *lowering) node(n ast.Node) {
	switch x := n.(type) {
	case *ast.Ident:
		l.ident(x)
	case *ast.SelectorExpr:
		l.selector(x)
	case *ast.CompositeLit:
		l.literal(x)
	case *ast.ForStmt:
		l.poll(x.Body)
	case *ast.RangeStmt:
		l.poll(x.Body)
		l.unusedInRange(x)
	case *ast.FuncDecl:
		if x.Body != nil && calls(x.Body) {
			l.poll(x.Body)
		}
	case *ast.FuncLit:
		if calls(x.Body) {
			l.poll(x.Body)
		}
	case *ast.LabeledStmt:
		switch x.Stmt.(type) {
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
		default:
			if l.compiled {
				l.insert(x.Colon+1, " "+l.cell()+".Poll();")
			}
		}
	case *ast.AssignStmt:
		if x.Tok == token.DEFINE && len(l.stack) > 1 {
			l.unusedInAssign(x)
		}
	case *ast.DeclStmt:
		l.unusedInDecl(x)
	case *ast.TypeSwitchStmt:
		l.unusedInTypeSwitch(x)
	case *ast.GoStmt:
		if l.compiled {
			l.guard(x)
		}
	case *ast.CallExpr:
		if inserted(x) {
			l.inserted(x)
			return
		}
	case *ast.ExprStmt:
		l.printsItself(x)
	}
}

// inserted writes out what stops the cell at a call's error. A panic there has the line of what is called.
func (l *lowering) inserted(x *ast.CallExpr) {
	it := l.current
	from, to := it.Offset(x.Pos()), it.Offset(x.End())
	at := calledAt(x.Args[0].(*ast.CallExpr))
	l.edit(x.Pos(), x.End(), func() string {
		name := l.must(x.Fun.(*ast.Ident), it, at)
		text := l.render(it, from, to)
		if line, column := lexical.Position(it.Text.Source, it.Offset(at)); l.compiled {
			if first, start := lexical.Position(it.Text.Source, from); first != line {
				file := fileName(it.Text.Number)
				return fmt.Sprintf("/*line %s:%d:%d*/%s(/*line %s:%d:%d*/%s)", file, line, column, name, file, first, start, text)
			}
		}
		return name + "(" + text + ")"
	})
}

// must returns the name of the function that stops the cell at an error, for one that the check knows, and a place.
func (l *lowering) must(id *ast.Ident, it *syntax.Item, at token.Pos) string {
	n, _ := l.musted.arity(l.info.Uses[id])
	if l.mustFor != nil {
		var values []types.Type
		for i := range l.info.Instances[id].TypeArgs.Len() {
			values = append(values, l.info.Instances[id].TypeArgs.At(i))
		}
		line, _ := lexical.Position(it.Text.Source, it.Offset(at))
		place := frame{number: it.Text.Number, line: line}
		if f, ok := it.Decl.(*ast.FuncDecl); ok {
			place.function = f.Name.Name
		}
		return l.mustFor(n, values, place)
	}
	if l.musts == nil {
		l.musts = map[int]bool{}
	}
	l.musts[n] = true
	return private + mustName + strconv.Itoa(n)
}

// calls reports whether a body calls anything, so that an endless recursion may go through it.
func calls(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if _, ok := n.(*ast.CallExpr); ok {
			found = true
		}
		return !found
	})
	return found
}

func (l *lowering) poll(body *ast.BlockStmt) {
	for _, s := range body.List {
		if d, ok := s.(*ast.DeferStmt); ok {
			if id, ok := d.Call.Fun.(*ast.Ident); ok && id.Name == "recover" {
				return // what a deferred recover recovers from depends on whether there is a call before it
			}
		}
	}
	if l.compiled {
		l.insert(body.Lbrace+1, l.cell()+".Poll();")
	}
}

// cell returns the name of the package that compiled cells share with the process.
func (l *lowering) cell() string {
	l.imports[own+"cell"] = cellPackage
	return own + "cell"
}

func (l *lowering) ident(id *ast.Ident) {
	o := l.info.Uses[id]
	if o == nil {
		if o = l.info.Defs[id]; o == nil {
			return
		}
		if f, ok := o.(*types.Func); ok {
			l.functionName(id, f)
			return
		}
	}
	if slot, ok := l.slots[o]; ok && !l.program {
		if l.compiled && o == l.self {
			l.insert(id.Pos(), local)
			return
		}
		if l.defining(id) {
			return
		}
		l.replace(id.Pos(), id.End(), l.slot(slot, o))
		return
	}
	switch o := o.(type) {
	case *types.PkgName:
		if l.replaced(id) {
			return
		}
		path := o.Imported().Path()
		switch {
		case path == "C" || l.program:
		case l.compiled:
			// A type that the generated source leaves out does not use its package.
			l.edit(id.Pos(), id.End(), func() string { l.imports[id.Name] = path; return id.Name })
		default:
			// The interpreter keeps its imports: each package has one name there.
			name := packageName(path)
			l.edit(id.Pos(), id.End(), func() string { l.imports[name] = path; return name })
		}
	case *types.TypeName, *types.Const:
		if l.program || o.Pkg() == nil {
			return
		}
		if u := l.after.Homes[o.Pkg()]; u != nil && o.Parent() == o.Pkg().Scope() && u != l.unit {
			l.aliases[id.Name] = o
		} else {
			l.dot(id, o)
		}
	case *types.Func:
		if _, ok := l.musted.arity(o); ok {
			if call, ok := l.parent(1).(*ast.CallExpr); !ok || call.Fun != id || !inserted(call) {
				it := l.current
				l.edit(id.Pos(), id.End(), func() string { return l.must(id, it, id.Pos()) })
			}
			return
		}
		l.functionName(id, o)
	case *types.Var:
		l.dot(id, o)
	}
}

// defining reports whether the identifier is the name in a function's own declaration.
func (l *lowering) defining(id *ast.Ident) bool {
	d, ok := l.parent(1).(*ast.FuncDecl)
	return ok && d.Name == id
}

// dot notes the package of a dot import.
func (l *lowering) dot(id *ast.Ident, o types.Object) {
	if l.program || o.Pkg() == nil || o.Pkg().Path() == "main" || o.Parent() != o.Pkg().Scope() {
		return
	}
	if s, ok := l.parent(1).(*ast.SelectorExpr); ok && s.Sel == id {
		return
	}
	l.dotted[o.Pkg().Path()] = true
}

// functionName gives functions and methods the names that they have in the generated source.
func (l *lowering) functionName(id *ast.Ident, f *types.Func) {
	if l.program || f.Pkg() == nil {
		return
	}
	if f.Pkg().Path() != "main" {
		l.dot(id, f)
		return
	}
	f = f.Origin()
	signature := f.Signature()
	switch {
	case signature.Recv() != nil:
		// Methods that are not exported have to be, since the types of one cell implement the interfaces of another.
		if !token.IsExported(f.Name()) && f.Name() != "_" {
			l.insert(id.Pos(), mark)
		}
	case signature.TypeParams().Len() > 0:
		if f.Parent() == nil && l.info.Defs[id] == nil {
			return
		}
		if u := l.after.Homes[f.Pkg()]; u != nil && u != l.unit {
			l.replace(id.Pos(), id.End(), l.earlier(u)+"."+mark+f.Name())
		} else {
			l.insert(id.Pos(), mark)
		}
	case l.defining(id):
		l.insert(id.Pos(), local)
	}
}

func initName(i int) string { return private + "init" + strconv.Itoa(i+1) }

// earlier returns the name of the package of an earlier cell.
func (l *lowering) earlier(u *namespace.Unit) string {
	name := l.units[u]
	if name == "" {
		name = own + "c" + strconv.Itoa(len(l.units)+1)
		l.units[u] = name
	}
	return name
}

// slot returns the expression for the variable in a slot.
func (l *lowering) slot(key string, o types.Object) string {
	l.used[key] = o
	if !l.compiled {
		return "(*" + slotPackage + "." + mark + slotName(key) + ")"
	}
	return "(*" + slotName(key) + ")"
}

// slotName is the name of the pointer to a slot in generated source.
func slotName(key string) string { return private + strings.Replace(key, "#", "_", 1) }

// replacements lists what in a cell is another thing than in a program.
var replacements = map[string]bool{
	"os.Exit": true, "time.Sleep": true, "fmt.Scan": true, "fmt.Scanln": true, "fmt.Scanf": true,
	"fmt.Print": true, "fmt.Println": true, "fmt.Printf": true,
	"log.Fatal": true, "log.Fatalf": true, "log.Fatalln": true,
	"os/signal.Notify": true, "os/signal.NotifyContext": true, "os/signal.Stop": true,
}

// replaced reports whether the package name stands before something that is replaced.
func (l *lowering) replaced(id *ast.Ident) bool {
	return l.replacedNames[id]
}

func (l *lowering) selector(x *ast.SelectorExpr) {
	if id, ok := x.X.(*ast.Ident); ok {
		if p, ok := l.info.Uses[id].(*types.PkgName); ok {
			if l.compiled && replacements[p.Imported().Path()+"."+x.Sel.Name] {
				l.useInstead(x, id)
			} else if l.compiled && p.Imported().Path() == "os" {
				l.standardFile(x, id)
			}
			return
		}
	}
	s := l.info.Selections[x]
	if s == nil || l.program {
		return
	}
	l.field(x, s)
}

// leaveOut notes that the name of a package does not stand in the generated source.
func (l *lowering) leaveOut(id *ast.Ident) {
	if l.replacedNames == nil {
		l.replacedNames = map[*ast.Ident]bool{}
	}
	l.replacedNames[id] = true
}

func (l *lowering) useInstead(x *ast.SelectorExpr, id *ast.Ident) {
	l.leaveOut(id)
	l.imports[own+"instead"] = insteadPackage
	l.replace(id.Pos(), id.End(), own+"instead")
}

// field reaches fields of earlier cells' structs that are not exported, and those behind embedded ones.
func (l *lowering) field(x *ast.SelectorExpr, s *types.Selection) {
	if s.Kind() == types.MethodExpr {
		return
	}
	steps, foreign := l.path(s)
	if !foreign {
		return
	}
	l.edit(x.Pos(), x.End(), func() string {
		it := l.itemOf(x.Pos())
		text := l.render(it, it.Offset(x.X.Pos()), it.Offset(x.X.End()))
		t := s.Recv()
		addressable := l.info.Types[x.X].Addressable()
		for _, f := range steps {
			pointer, isPointer := t.Underlying().(*types.Pointer)
			if isPointer {
				t = pointer.Elem()
			}
			a, ok := l.after.Fields[f.Origin()]
			if !ok || a.Unit == l.unit {
				text, addressable = "("+text+")."+f.Name(), addressable || isPointer
				t = f.Type()
				continue
			}
			address := text
			switch {
			case isPointer:
			case addressable:
				address = "&" + text
			default:
				address = l.cell() + ".Copy(" + text + ")"
			}
			text = "(*" + l.earlier(a.Unit) + "." + a.Name + "(" + l.owned(a, t, address) + "))"
			addressable = true
			t = f.Type()
		}
		if s.Kind() == types.MethodVal {
			name := x.Sel.Name
			if f := s.Obj().(*types.Func); !token.IsExported(name) && f.Pkg().Path() == "main" {
				name = mark + name
			}
			return text + "." + name
		}
		return text
	})
}

// owned converts a pointer to a struct to the type that an accessor takes, where they differ.
func (l *lowering) owned(a namespace.Accessor, t types.Type, address string) string {
	if named, ok := t.(*types.Named); ok && types.Identical(named.Origin(), a.Owner) || types.Identical(t, a.Owner) {
		return address
	}
	if named, ok := a.Owner.(*types.Named); ok && named.TypeParams().Len() > 0 {
		return address
	}
	return "(*" + l.typeText(a.Owner) + ")(" + address + ")"
}

// path returns the fields that a selection goes through, and whether one of them is another cell's own.
func (l *lowering) path(s *types.Selection) (steps []*types.Var, foreign bool) {
	t := s.Recv()
	index := s.Index()
	if s.Kind() == types.MethodVal {
		index = index[:len(index)-1]
	}
	for _, i := range index {
		if p, ok := t.Underlying().(*types.Pointer); ok {
			t = p.Elem()
		}
		st, ok := t.Underlying().(*types.Struct)
		if !ok {
			return nil, false
		}
		f := st.Field(i)
		if a, ok := l.after.Fields[f.Origin()]; ok && a.Unit != l.unit {
			foreign = true
		}
		steps = append(steps, f)
		t = f.Type()
	}
	return steps, foreign
}

// literal makes values of earlier cells' structs whose fields are not exported.
func (l *lowering) literal(x *ast.CompositeLit) {
	if l.program || !l.compiled {
		return
	}
	t := l.info.TypeOf(x)
	if t == nil {
		return
	}
	pointer := false
	base := t
	if p, ok := t.Underlying().(*types.Pointer); ok && x.Type == nil {
		base, pointer = p.Elem(), true
	}
	st, ok := base.Underlying().(*types.Struct)
	if !ok {
		return
	}
	foreign := false
	fieldOf := func(i int, e ast.Expr) (*types.Var, ast.Expr) {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			for j := range st.NumFields() {
				if id, ok := kv.Key.(*ast.Ident); ok && st.Field(j).Name() == id.Name {
					return st.Field(j), kv.Value
				}
			}
		}
		return st.Field(i), e
	}
	for i, e := range x.Elts {
		if i >= st.NumFields() {
			return
		}
		f, _ := fieldOf(i, e)
		if a, ok := l.after.Fields[f.Origin()]; ok && a.Unit != l.unit {
			foreign = true
		}
	}
	if !foreign {
		return
	}
	from, to := x.Pos(), x.End()
	if u, ok := l.parent(1).(*ast.UnaryExpr); ok && u.Op == token.AND {
		pointer, from = true, u.Pos()
	}
	l.edit(from, to, func() string {
		it := l.itemOf(x.Pos())
		var out strings.Builder
		fmt.Fprintf(&out, "func() *%s { %sv := new(%s); ", l.typeText(base), private, l.typeText(base))
		for i, e := range x.Elts {
			f, value := fieldOf(i, e)
			text := l.render(it, it.Offset(value.Pos()), it.Offset(value.End()))
			if a, ok := l.after.Fields[f.Origin()]; ok && a.Unit != l.unit {
				fmt.Fprintf(&out, "*%s.%s(%s) = %s; ", l.earlier(a.Unit), a.Name, l.owned(a, base, private+"v"), text)
			} else {
				fmt.Fprintf(&out, "%sv.%s = %s; ", private, f.Name(), text)
			}
		}
		fmt.Fprintf(&out, "return %sv }()", private)
		if pointer {
			return out.String()
		}
		return "(*" + out.String() + ")"
	})
}

// define turns the definitions of top-level variables into assignments to their slots.
func (l *lowering) define(it *syntax.Item) {
	switch {
	case it.Kind == syntax.VarItem:
		l.edits[it] = append(l.edits[it], edit{it.Start, it.End, func() string { return l.varDecl(it) }})
	case it.Kind == syntax.StmtItem:
		ids := it.DefinedIdents()
		if len(ids) == 0 {
			return
		}
		a := it.Definition()
		for _, id := range ids {
			if o := l.info.Defs[id]; o != nil && l.slots[o] == "" {
				return
			}
		}
		l.replace(a.TokPos, a.TokPos+2, "=")
	}
}

// varDecl renders a top-level var declaration as assignments.
func (l *lowering) varDecl(it *syntax.Item) string {
	var out []string
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		s := spec.(*ast.ValueSpec)
		render := func(from, to token.Pos) string { return l.render(it, it.Offset(from), it.Offset(to)) }
		var names []string
		blank := false
		for _, id := range s.Names {
			if id.Name == "_" {
				names, blank = append(names, "_"), true
				continue
			}
			o := l.info.Defs[id]
			names = append(names, l.slot(l.slots[o], o))
		}
		line := ""
		if l.compiled {
			line = l.directive(it, it.Offset(s.Pos()))
		}
		e := it.Embedded(s)
		switch {
		case e != nil:
			line += names[0] + " = " + l.embed(it, e, render(s.Type.Pos(), s.Type.End()))
		case len(s.Values) == 0:
			for _, name := range names {
				if name != "_" {
					line += name + " = *new(" + render(s.Type.Pos(), s.Type.End()) + "); "
				}
			}
		case blank && s.Type != nil:
			line += "var " + render(s.Names[0].Pos(), s.Values[len(s.Values)-1].End())
		default:
			line += strings.Join(names, ", ") + " = " + render(s.Values[0].Pos(), s.Values[len(s.Values)-1].End())
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// directive returns the comment that tells the compiler where in the cell what follows stands.
func (l *lowering) directive(it *syntax.Item, offset int) string {
	line, column := lexical.Position(it.Text.Source, offset)
	return fmt.Sprintf("\n//line %s:%d:%d\n", fileName(it.Text.Number), line, column)
}

// fileName is how a cell is called in positions.
func fileName(number int) string { return "cell " + strconv.Itoa(number) }

// typeText writes a type in the generated source.
func (l *lowering) typeText(t types.Type) string {
	text := types.TypeString(t, func(p *types.Package) string {
		if p.Path() == "main" {
			if p == l.c {
				return cMark
			}
			if u := l.after.CHomes[p]; u != nil {
				return l.earlier(u) + cMark
			}
			if u := l.after.Homes[p]; u != nil && u != l.unit {
				return l.earlier(u)
			}
			return mark
		}
		name := packageName(p.Path())
		l.imports[name] = p.Path()
		return name
	})
	// Types of cells go by their marked names: this cell's have no package before them.
	text = strings.ReplaceAll(text, mark+".", mark)
	for _, name := range l.units {
		text = replaceQualifier(text, name)
	}
	return l.cTypeNames(text)
}

// packageName is a name for a package that no other has.
func packageName(path string) string {
	return own + "p_" + strings.NewReplacer("/", "_", ".", "_", "-", "_").Replace(path)
}

// replaceQualifier marks the names behind a package name that has been made here.
func replaceQualifier(text, name string) string {
	return strings.ReplaceAll(text, name+".", name+"."+mark)
}

// unitSource writes the package of the cell.
func (l *lowering) source() map[string][]byte {
	var body strings.Builder
	if l.program {
		return l.programSource()
	}
	var decls, statements strings.Builder
	for _, it := range l.items {
		switch it.Kind {
		case syntax.ImportItem:
			l.preamble += preambleOf(it)
		case syntax.TypeItem, syntax.FuncItem, syntax.MethodItem:
			decls.WriteString(l.directive(it, it.Lead))
			decls.WriteString(it.Text.Source[it.Lead:it.Start])
			decls.WriteString(l.render(it, it.Start, it.End))
			decls.WriteByte('\n')
			if i := slices.Index(l.inits, it); i >= 0 {
				fmt.Fprintf(&statements, "%s()\n", initName(i))
			}
		case syntax.StmtItem, syntax.VarItem:
			statements.WriteString(l.directive(it, it.Start))
			if it == l.last {
				statements.WriteString(l.cell() + ".Show(" + l.shown(it) + ")")
			} else {
				statements.WriteString(l.render(it, it.Start, it.End))
			}
			statements.WriteByte('\n')
			if step := l.steps[it]; step > 0 {
				fmt.Fprintf(&statements, "%s.Step(%d)\n", l.cell(), step)
			}
		}
	}
	// What the cell itself declares gets marked names for later cells.
	for _, o := range l.declared {
		switch o := o.(type) {
		case *types.TypeName:
			l.exportType(&body, o)
		case *types.Const:
			fmt.Fprintf(&body, "const %s%s = %s\n", mark, o.Name(), o.Name())
		}
	}
	for _, v := range l.variables {
		l.used[v.slot] = v.object
	}
	var starts strings.Builder
	for _, o := range l.declared {
		if f, ok := o.(*types.Func); ok && l.slots[o] != "" {
			fmt.Fprintf(&starts, "%s = %s%s\n", l.slot(l.slots[o], o), local, f.Name())
		}
	}
	l.exportFields(&body)
	for _, m := range l.moved {
		delete(l.used, m.to.Slot)
	}
	for _, key := range slices.Sorted(maps.Keys(l.used)) {
		t := l.slotType(&body, key, l.used[key])
		fmt.Fprintf(&body, "var %s = (*%s)(%s.Slot(%q, new(%s)))\n", slotName(key), t, l.cell(), key, t)
	}
	for _, m := range l.moved {
		from, to := l.typeText(m.from.Object.Type()), l.typeText(m.to.Object.Type())
		fmt.Fprintf(&body, "var %s = (*%s)(%s.Slot(%q, (*%s)(%s.Slot(%q, new(%s)))))\n", slotName(m.to.Slot), to, l.cell(),
			m.to.Slot, to, l.cell(), m.from.Slot, from)
	}
	l.aliasEarlier(&body)
	for _, name := range slices.Sorted(maps.Keys(l.cNames)) {
		fmt.Fprintf(&body, "type %sC_%s = C.%s\n", own, name, name)
	}
	fmt.Fprintf(&body, "func %srun() {\n%s%s\n}\n", private, starts.String(), statements.String())
	var noted strings.Builder
	for _, o := range l.declared {
		if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
			if params, _ := l.typeParams(t.Type()); params == "" && !hasTypeSet(t.Type()) {
				fmt.Fprintf(&noted, "; %s.Type(%q, %q, (*%s%s)(nil))", l.cell(), placeholder, t.Name(), mark, t.Name())
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(l.musts)) {
		fmt.Fprintf(&body, "\n//line loupe:1\n%s", mustSource(private+mustName+strconv.Itoa(n), n))
	}
	fmt.Fprintf(&body, "\n//line loupe:1\nfunc init() { %s.Register(%q, %srun)%s }\n", l.cell(), placeholder, private,
		noted.String())

	var file strings.Builder
	file.WriteString("package main\n")
	file.WriteString(l.preamble)
	l.importDecls(&file)
	file.WriteString("\n//line loupe:1\n")
	file.WriteString(body.String())
	file.WriteString(l.embedDecls)
	file.WriteString(decls.String())
	return map[string][]byte{"cell.go": []byte(file.String())}
}

// placeholder stands for the import path of the cell, which is made from the source that it is part of.
const placeholder = "cells/Øself"

func (l *lowering) importDecls(out *strings.Builder) {
	for _, name := range slices.Sorted(maps.Keys(l.imports)) {
		fmt.Fprintf(out, "import %s %q\n", name, l.imports[name])
	}
	for _, path := range slices.Sorted(maps.Keys(l.dotted)) {
		fmt.Fprintf(out, "import . %q\n", path)
	}
	for _, path := range slices.Sorted(maps.Keys(l.blank)) {
		fmt.Fprintf(out, "import _ %q\n", path)
	}
	names := map[string]*namespace.Unit{}
	for u, name := range l.units {
		names[name] = u
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(out, "import %s %q\n", name, names[name].Path)
	}
}

// exportType gives a type its marked name.
func (l *lowering) exportType(out *strings.Builder, o *types.TypeName) {
	params, args := l.typeParams(o.Type())
	fmt.Fprintf(out, "type %s%s%s = %s%s\n", mark, o.Name(), params, o.Name(), args)
}

// typeParams writes the type parameters of a generic type, as in its declaration and as in its use.
func (l *lowering) typeParams(t types.Type) (params, args string) {
	var list *types.TypeParamList
	switch t := t.(type) {
	case *types.Named:
		list = t.TypeParams()
	case *types.Alias:
		list = t.TypeParams()
	}
	if list.Len() == 0 {
		return "", ""
	}
	var with, without []string
	for i := range list.Len() {
		p := list.At(i)
		with = append(with, p.Obj().Name()+" "+l.constraint(p.Constraint()))
		without = append(without, p.Obj().Name())
	}
	return "[" + strings.Join(with, ", ") + "]", "[" + strings.Join(without, ", ") + "]"
}

func (l *lowering) constraint(t types.Type) string {
	text := l.typeText(t)
	if _, named := t.(*types.Named); !named && strings.Contains(text, "|") && !strings.HasPrefix(text, "interface") {
		return "interface{" + text + "}"
	}
	return text
}

// aliasEarlier gives the types and constants of earlier cells that are used here the names that they have there.
func (l *lowering) aliasEarlier(out *strings.Builder) {
	done := map[string]bool{}
	for len(done) < len(l.aliases) {
		for _, name := range slices.Sorted(maps.Keys(l.aliases)) {
			if done[name] {
				continue
			}
			done[name] = true
			o := l.aliases[name]
			u := l.earlier(l.after.Homes[o.Pkg()])
			if _, ok := o.(*types.Const); ok {
				fmt.Fprintf(out, "const %s = %s.%s%s\n", name, u, mark, name)
				continue
			}
			params, args := l.typeParams(o.Type())
			fmt.Fprintf(out, "type %s%s = %s.%s%s%s\n", name, params, u, mark, name, args)
		}
	}
}

// slotType writes the type of a slot's variable, in a way that means the same type in each cell.
func (l *lowering) slotType(out *strings.Builder, key string, o types.Object) string {
	b := l.after.Funcs[o]
	if b != nil && b.Typed != "" && b.Unit != nil && b.Unit != l.unit {
		return l.earlier(b.Unit) + "." + b.Typed
	}
	text := l.typeText(o.Type())
	if b != nil && b.Unit == nil && hasOwnFields(o.Type()) {
		// A struct type without a name, with fields that are not exported, is another type in each package.
		b.Typed = own + "t_" + strings.Replace(key, "#", "_", 1)
		fmt.Fprintf(out, "type %s = %s\n", b.Typed, text)
		b.Unit = l.unit
	}
	return text
}

// hasTypeSet reports whether a type is a constraint, which no value can have.
func hasTypeSet(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	return ok && !i.IsMethodSet()
}

// hasOwnFields reports whether a type mentions a struct without a name that has fields of a cell which are not
// exported.
func hasOwnFields(t types.Type) bool {
	found := false
	walkType(t, func(t types.Type) bool {
		if st, ok := t.(*types.Struct); ok {
			for i := range st.NumFields() {
				found = found || !st.Field(i).Exported()
			}
		}
		_, named := t.(*types.Named)
		return !found && !named
	})
	return found
}

// walkType calls visit for a type and, where that returns true, for those that it is made of.
func walkType(t types.Type, visit func(types.Type) bool) {
	if t == nil || !visit(t) {
		return
	}
	switch t := t.(type) {
	case *types.Alias:
		walkType(t.Rhs(), visit)
	case *types.Pointer:
		walkType(t.Elem(), visit)
	case *types.Slice:
		walkType(t.Elem(), visit)
	case *types.Array:
		walkType(t.Elem(), visit)
	case *types.Chan:
		walkType(t.Elem(), visit)
	case *types.Map:
		walkType(t.Key(), visit)
		walkType(t.Elem(), visit)
	case *types.Struct:
		for i := range t.NumFields() {
			walkType(t.Field(i).Type(), visit)
		}
	case *types.Signature:
		walkType(t.Params(), visit)
		walkType(t.Results(), visit)
	case *types.Tuple:
		for i := range t.Len() {
			walkType(t.At(i).Type(), visit)
		}
	case *types.Interface:
		for i := range t.NumExplicitMethods() {
			walkType(t.ExplicitMethod(i).Type(), visit)
		}
		for i := range t.NumEmbeddeds() {
			walkType(t.EmbeddedType(i), visit)
		}
	case *types.Union:
		for i := range t.Len() {
			walkType(t.Term(i).Type(), visit)
		}
	case *types.Named:
		for i := range t.TypeArgs().Len() {
			walkType(t.TypeArgs().At(i), visit)
		}
	}
}

// exportFields writes, for each field of the cell's structs that is not exported, the function that reaches it.
func (l *lowering) exportFields(out *strings.Builder) {
	seen := map[types.Type]bool{}
	export := func(st *types.Struct, owner types.Type, ownerText, params string) {
		for i := range st.NumFields() {
			f := st.Field(i)
			if f.Exported() || f.Name() == "_" || f.Pkg().Path() != "main" {
				continue
			}
			if _, ok := l.after.Fields[f.Origin()]; ok {
				continue
			}
			l.accessors++
			name := own + "f" + strconv.Itoa(l.accessors)
			if params == "" {
				params = "[_ any]" // a generic function, since it is exported and must not be listed
			}
			fmt.Fprintf(out, "func %s%s(p *%s) *%s { return &p.%s }\n", name, params, ownerText, l.typeText(f.Type()), f.Name())
			if params == "[_ any]" {
				name += "[int]"
			}
			l.newFields = append(l.newFields, newField{f.Origin(), namespace.Accessor{Unit: l.unit, Name: name,
				Owner: owner}})
		}
	}
	anonymous := func(t types.Type, params string) {
		walkType(t, func(t types.Type) bool {
			if seen[t] {
				return false
			}
			seen[t] = true
			if st, ok := t.(*types.Struct); ok {
				export(st, st, l.typeText(st), params)
			}
			_, named := t.(*types.Named)
			return !named
		})
	}
	for _, o := range l.declared {
		switch o := o.(type) {
		case *types.TypeName:
			named, ok := o.Type().(*types.Named)
			if !ok {
				anonymous(o.Type(), "")
				continue
			}
			if named.Obj() != o {
				continue
			}
			params, args := l.typeParams(named)
			if st, ok := named.Underlying().(*types.Struct); ok && !seen[st] {
				seen[st] = true
				export(st, named, mark+o.Name()+args, params)
				for i := range st.NumFields() {
					anonymous(st.Field(i).Type(), params)
				}
			} else {
				anonymous(named.Underlying(), params)
			}
		case *types.Func:
			if o.Signature().TypeParams().Len() == 0 {
				anonymous(o.Type(), "")
			}
		}
	}
	for _, v := range l.variables {
		anonymous(v.object.Type(), "")
	}
}

type newField struct {
	field    *types.Var
	accessor namespace.Accessor
}

// commit makes what the lowered cell provides known to later ones. It is called once the cell has been compiled.
func (l *lowering) commit() {
	l.after.Homes[l.pkg] = l.unit
	if l.c != nil {
		l.after.CHomes[l.c] = l.unit
	}
	for _, f := range l.newFields {
		l.after.Fields[f.field] = f.accessor
	}
	for _, o := range l.declared {
		if b := l.after.Bindings[o.Name()]; b != nil && b.Object == o {
			b.Unit = l.unit
		}
	}
	for u := range l.units {
		l.unit.Imports = append(l.unit.Imports, u)
	}
}
