// Package lower writes a checked cell as Go that means the same outside the notebook: for the compiler, as a package
// that is linked into the process, or for the interpreter.
package lower

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/edit"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Names of cells get Ø before them where they have to be exported: a letter that Go takes for upper case, and that
// hardly anybody types.
const Mark = "Ø"

// own begins the exported names that loupe makes itself: no name of a cell goes on with a digit.
const own = Mark + "0"

// local begins the names of what only the cell's own package has to see. The compiler lists the exported functions and
// variables of a package main for package plugin, and a list of one cell's does not go together with another's.
const local = "ø"

// private begins those that loupe makes itself.
const private = local + "0"

const (
	cellPackage    = "github.com/loupeml/loupe/kernel/cell"
	insteadPackage = "github.com/loupeml/loupe/kernel/cell/instead"
)

// Lowering turns a checked cell into Go source that means the same outside the notebook: variables are reached
// through their slots, and what earlier cells keep to themselves through the functions that their packages have for it.
type Lowering struct {
	edit.Editor
	unit     *namespace.Unit // what is being made
	program  bool            // the cell is a program, which keeps its own variables
	compiled bool            // for the compiler, not the interpreter

	Imports       map[string]string // name in the generated source to path
	dotted        map[string]bool
	cNames        map[string]bool // types of C that later cells may have to name
	blank         map[string]bool // paths that are imported for their effect
	embedVars     map[*syntax.Embedding]string
	embedDecls    string                     // of the variables that the compiler fills from files
	units         map[*namespace.Unit]string // earlier cells in use, to their names
	aliases       map[string]types.Object
	Used          map[string]types.Object // slots in use, to an object that has the type
	self          types.Object            // the function whose body is being lowered
	replacedNames map[*ast.Ident]bool
	preamble      string // of C
	accessors     int
	newFields     []newField
	// which functions that stop at errors are in use, by how many values they give
	musts map[int]bool
	// the name of such a function, where the interpreter is to have it
	MustFor func(n int, values []types.Type, at MustPlace) string
}

// Lower lowers a cell. u is what it becomes, compiled or else interpreted; a program keeps its own variables.
func Lower(c *check.Checked, u *namespace.Unit, program, compiled bool) *Lowering {
	l := &Lowering{
		Editor: edit.New(c), unit: u, program: program, compiled: compiled,
		Imports: map[string]string{}, dotted: map[string]bool{}, blank: map[string]bool{}, cNames: map[string]bool{},
		units:   map[*namespace.Unit]string{},
		aliases: map[string]types.Object{}, Used: map[string]types.Object{},
	}
	// Imports come last, since whether one is used is known then.
	for _, imports := range []bool{false, true} {
		for _, it := range c.Items {
			if imports == (it.Kind == syntax.ImportItem) {
				l.item(it)
			}
		}
	}
	return l
}

// item collects the edits of one item.
func (l *Lowering) item(it *syntax.Item) {
	l.Current, l.self = it, nil
	if it.Kind == syntax.ImportItem {
		l.importItem(it)
		return
	}
	if d, ok := it.Decl.(*ast.FuncDecl); ok && d.Recv == nil {
		l.self = l.Info.Defs[d.Name]
		for i, init := range l.Inits {
			if init == it && !l.program {
				l.Replace(d.Name.Pos(), d.Name.End(), initName(i))
			}
		}
	}
	l.Walk(it, l.node)
	if !l.program {
		l.define(it)
	}
	l.Sort(it)
}

func (l *Lowering) importItem(it *syntax.Item) {
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
			l.Replace(s.Name.Pos(), s.Name.End(), "_")
		} else {
			l.Insert(s.Path.Pos(), "_ ")
		}
	}
}

func (l *Lowering) packageUsed(s *ast.ImportSpec) bool {
	path := strings.Trim(s.Path.Value, "\"`")
	for id, o := range l.Info.Uses {
		if p, ok := o.(*types.PkgName); ok && p.Imported().Path() == path && !l.replaced(id) {
			return true
		}
	}
	return false
}

// node collects the edits that one node asks for.
func (l *Lowering) node(n ast.Node) {
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
		l.MentionUnused(x)
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
				l.Insert(x.Colon+1, " "+l.cell()+".Poll();")
			}
		}
	case *ast.AssignStmt, *ast.DeclStmt, *ast.TypeSwitchStmt:
		l.MentionUnused(n)
	case *ast.GoStmt:
		if l.compiled {
			l.guard(x)
		}
	case *ast.CallExpr:
		if must.Inserted(x) {
			l.inserted(x)
			return
		}
	case *ast.ExprStmt:
		l.printsItself(x)
	}
}

// inserted writes out what stops the cell at a call's error. A panic there has the line of what is called.
func (l *Lowering) inserted(x *ast.CallExpr) {
	it := l.Current
	from, to := it.Offset(x.Pos()), it.Offset(x.End())
	at := syntax.CalledAt(x.Args[0].(*ast.CallExpr))
	l.Edit(x.Pos(), x.End(), func() string {
		name := l.must(x.Fun.(*ast.Ident), it, at)
		text := l.Render(it, from, to)
		if line, column := lexical.Position(it.Text.Source, it.Offset(at)); l.compiled {
			if first, start := lexical.Position(it.Text.Source, from); first != line {
				file := it.Text.FileName()
				return fmt.Sprintf("/*line %s:%d:%d*/%s(/*line %s:%d:%d*/%s)", file, line, column, name, file, first, start,
					text)
			}
		}
		return name + "(" + text + ")"
	})
}

// MustPlace is where a cell may stop at an error: the cell's number, the line in it, and the function, "" outside of
// one.
type MustPlace struct {
	Cell, Line int
	Function   string
}

// must returns the name of the function that stops the cell at an error, for one that the check knows, and a place.
func (l *Lowering) must(id *ast.Ident, it *syntax.Item, at token.Pos) string {
	n, _ := l.Musted.Arity(l.Info.Uses[id])
	if l.MustFor != nil {
		var values []types.Type
		for i := range l.Info.Instances[id].TypeArgs.Len() {
			values = append(values, l.Info.Instances[id].TypeArgs.At(i))
		}
		line, _ := lexical.Position(it.Text.Source, it.Offset(at))
		place := MustPlace{Cell: it.Text.Number, Line: line}
		if f, ok := it.Decl.(*ast.FuncDecl); ok {
			place.Function = f.Name.Name
		}
		return l.MustFor(n, values, place)
	}
	if l.musts == nil {
		l.musts = map[int]bool{}
	}
	l.musts[n] = true
	return private + must.Name + strconv.Itoa(n)
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

func (l *Lowering) poll(body *ast.BlockStmt) {
	for _, s := range body.List {
		if d, ok := s.(*ast.DeferStmt); ok {
			if id, ok := d.Call.Fun.(*ast.Ident); ok && id.Name == "recover" {
				return // what a deferred recover recovers from depends on whether there is a call before it
			}
		}
	}
	if l.compiled {
		l.Insert(body.Lbrace+1, l.cell()+".Poll();")
	}
}

// cell returns the name of the package that compiled cells share with the process.
func (l *Lowering) cell() string {
	l.Imports[own+"cell"] = cellPackage
	return own + "cell"
}

func (l *Lowering) ident(id *ast.Ident) {
	o := l.Info.Uses[id]
	if o == nil {
		if o = l.Info.Defs[id]; o == nil {
			return
		}
		if f, ok := o.(*types.Func); ok {
			l.functionName(id, f)
			return
		}
	}
	if slot, ok := l.Slots[o]; ok && !l.program {
		if l.compiled && o == l.self {
			l.Insert(id.Pos(), local)
			return
		}
		if l.defining(id) {
			return
		}
		l.Replace(id.Pos(), id.End(), l.slot(slot, o))
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
			l.Edit(id.Pos(), id.End(), func() string { l.Imports[id.Name] = path; return id.Name })
		default:
			// The interpreter keeps its imports: each package has one name there.
			name := packageName(path)
			l.Edit(id.Pos(), id.End(), func() string { l.Imports[name] = path; return name })
		}
	case *types.TypeName, *types.Const:
		if l.program || o.Pkg() == nil {
			return
		}
		if u := l.After.Homes[o.Pkg()]; u != nil && o.Parent() == o.Pkg().Scope() && u != l.unit {
			l.aliases[id.Name] = o
		} else {
			l.dot(id, o)
		}
	case *types.Func:
		if _, ok := l.Musted.Arity(o); ok {
			if call, ok := l.Parent(1).(*ast.CallExpr); !ok || call.Fun != id || !must.Inserted(call) {
				it := l.Current
				l.Edit(id.Pos(), id.End(), func() string { return l.must(id, it, id.Pos()) })
			}
			return
		}
		l.functionName(id, o)
	case *types.Var:
		l.dot(id, o)
	}
}

// defining reports whether the identifier is the name in a function's own declaration.
func (l *Lowering) defining(id *ast.Ident) bool {
	d, ok := l.Parent(1).(*ast.FuncDecl)
	return ok && d.Name == id
}

// dot notes the package of a dot import.
func (l *Lowering) dot(id *ast.Ident, o types.Object) {
	if l.program || o.Pkg() == nil || o.Pkg().Path() == "main" || o.Parent() != o.Pkg().Scope() {
		return
	}
	if s, ok := l.Parent(1).(*ast.SelectorExpr); ok && s.Sel == id {
		return
	}
	l.dotted[o.Pkg().Path()] = true
}

// FunctionName gives functions and methods the names that they have in the generated source.
func (l *Lowering) functionName(id *ast.Ident, f *types.Func) {
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
			l.Insert(id.Pos(), Mark)
		}
	case signature.TypeParams().Len() > 0:
		if f.Parent() == nil && l.Info.Defs[id] == nil {
			return
		}
		if u := l.After.Homes[f.Pkg()]; u != nil && u != l.unit {
			l.Replace(id.Pos(), id.End(), l.earlier(u)+"."+Mark+f.Name())
		} else {
			l.Insert(id.Pos(), Mark)
		}
	case l.defining(id):
		l.Insert(id.Pos(), local)
	}
}

func initName(i int) string { return private + "init" + strconv.Itoa(i+1) }

// earlier returns the name of the package of an earlier cell.
func (l *Lowering) earlier(u *namespace.Unit) string {
	name := l.units[u]
	if name == "" {
		name = own + "c" + strconv.Itoa(len(l.units)+1)
		l.units[u] = name
	}
	return name
}

// slot returns the expression for the variable in a slot.
func (l *Lowering) slot(key string, o types.Object) string {
	l.Used[key] = o
	if !l.compiled {
		return "(*" + SlotPackage + "." + Mark + SlotName(key) + ")"
	}
	return "(*" + SlotName(key) + ")"
}

// SlotName is the name of the pointer to a slot in generated source.
func SlotName(key string) string { return private + strings.Replace(key, "#", "_", 1) }

// replacements lists what in a cell is another thing than in a program.
var replacements = map[string]bool{
	"os.Exit": true, "time.Sleep": true, "fmt.Scan": true, "fmt.Scanln": true, "fmt.Scanf": true,
	"fmt.Print": true, "fmt.Println": true, "fmt.Printf": true,
	"log.Fatal": true, "log.Fatalf": true, "log.Fatalln": true,
	"os/signal.Notify": true, "os/signal.NotifyContext": true, "os/signal.Stop": true,
}

// IsReplaced reports whether a member of a package, by path and name, is another thing in a compiled cell than in a
// program.
func IsReplaced(member string) bool { return replacements[member] }

// replaced reports whether the package name stands before something that is replaced.
func (l *Lowering) replaced(id *ast.Ident) bool {
	return l.replacedNames[id]
}

func (l *Lowering) selector(x *ast.SelectorExpr) {
	if id, ok := x.X.(*ast.Ident); ok {
		if p, ok := l.Info.Uses[id].(*types.PkgName); ok {
			if l.compiled && replacements[p.Imported().Path()+"."+x.Sel.Name] {
				l.useInstead(x, id)
			} else if l.compiled && p.Imported().Path() == "os" {
				l.standardFile(x, id)
			}
			return
		}
	}
	s := l.Info.Selections[x]
	if s == nil || l.program {
		return
	}
	l.field(x, s)
}

// leaveOut notes that the name of a package does not stand in the generated source.
func (l *Lowering) leaveOut(id *ast.Ident) {
	if l.replacedNames == nil {
		l.replacedNames = map[*ast.Ident]bool{}
	}
	l.replacedNames[id] = true
}

func (l *Lowering) useInstead(x *ast.SelectorExpr, id *ast.Ident) {
	l.leaveOut(id)
	l.Imports[own+"instead"] = insteadPackage
	l.Replace(id.Pos(), id.End(), own+"instead")
}

// field reaches fields of earlier cells' structs that are not exported, and those behind embedded ones.
func (l *Lowering) field(x *ast.SelectorExpr, s *types.Selection) {
	if s.Kind() == types.MethodExpr {
		return
	}
	steps, foreign := l.path(s)
	if !foreign {
		return
	}
	l.Edit(x.Pos(), x.End(), func() string {
		it := l.ItemOf(x.Pos())
		text := l.Render(it, it.Offset(x.X.Pos()), it.Offset(x.X.End()))
		t := s.Recv()
		addressable := l.Info.Types[x.X].Addressable()
		for _, f := range steps {
			pointer, isPointer := t.Underlying().(*types.Pointer)
			if isPointer {
				t = pointer.Elem()
			}
			a, ok := l.After.Fields[f.Origin()]
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
				name = Mark + name
			}
			return text + "." + name
		}
		return text
	})
}

// owned converts a pointer to a struct to the type that an accessor takes, where they differ.
func (l *Lowering) owned(a namespace.Accessor, t types.Type, address string) string {
	if named, ok := t.(*types.Named); ok && types.Identical(named.Origin(), a.Owner) || types.Identical(t, a.Owner) {
		return address
	}
	if named, ok := a.Owner.(*types.Named); ok && named.TypeParams().Len() > 0 {
		return address
	}
	return "(*" + l.typeText(a.Owner) + ")(" + address + ")"
}

// path returns the fields that a selection goes through, and whether one of them is another cell's own.
func (l *Lowering) path(s *types.Selection) (steps []*types.Var, foreign bool) {
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
		if a, ok := l.After.Fields[f.Origin()]; ok && a.Unit != l.unit {
			foreign = true
		}
		steps = append(steps, f)
		t = f.Type()
	}
	return steps, foreign
}

// literal makes values of earlier cells' structs whose fields are not exported.
func (l *Lowering) literal(x *ast.CompositeLit) {
	if l.program || !l.compiled {
		return
	}
	t := l.Info.TypeOf(x)
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
		if a, ok := l.After.Fields[f.Origin()]; ok && a.Unit != l.unit {
			foreign = true
		}
	}
	if !foreign {
		return
	}
	from, to := x.Pos(), x.End()
	if u, ok := l.Parent(1).(*ast.UnaryExpr); ok && u.Op == token.AND {
		pointer, from = true, u.Pos()
	}
	l.Edit(from, to, func() string {
		it := l.ItemOf(x.Pos())
		var out strings.Builder
		fmt.Fprintf(&out, "func() *%s { %sv := new(%s); ", l.typeText(base), private, l.typeText(base))
		for i, e := range x.Elts {
			f, value := fieldOf(i, e)
			text := l.Render(it, it.Offset(value.Pos()), it.Offset(value.End()))
			if a, ok := l.After.Fields[f.Origin()]; ok && a.Unit != l.unit {
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
func (l *Lowering) define(it *syntax.Item) {
	switch {
	case it.Kind == syntax.VarItem:
		l.ReplaceItem(it, func() string { return l.varDecl(it) })
	case it.Kind == syntax.StmtItem:
		ids := it.DefinedIdents()
		if len(ids) == 0 {
			return
		}
		a := it.Definition()
		for _, id := range ids {
			if o := l.Info.Defs[id]; o != nil && l.Slots[o] == "" {
				return
			}
		}
		l.Replace(a.TokPos, a.TokPos+2, "=")
	}
}

// varDecl renders a top-level var declaration as assignments.
func (l *Lowering) varDecl(it *syntax.Item) string {
	var out []string
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		s := spec.(*ast.ValueSpec)
		render := func(from, to token.Pos) string { return l.Render(it, it.Offset(from), it.Offset(to)) }
		var names []string
		blank := false
		for _, id := range s.Names {
			if id.Name == "_" {
				names, blank = append(names, "_"), true
				continue
			}
			o := l.Info.Defs[id]
			names = append(names, l.slot(l.Slots[o], o))
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
func (l *Lowering) directive(it *syntax.Item, offset int) string {
	line, column := lexical.Position(it.Text.Source, offset)
	return fmt.Sprintf("\n//line %s:%d:%d\n", it.Text.FileName(), line, column)
}

// typeText writes a type in the generated source.
func (l *Lowering) typeText(t types.Type) string {
	text := types.TypeString(t, func(p *types.Package) string {
		if p.Path() == "main" {
			if p == l.C {
				return cMark
			}
			if u := l.After.CHomes[p]; u != nil {
				return l.earlier(u) + cMark
			}
			if u := l.After.Homes[p]; u != nil && u != l.unit {
				return l.earlier(u)
			}
			return Mark
		}
		name := packageName(p.Path())
		l.Imports[name] = p.Path()
		return name
	})
	// Types of cells go by their marked names: this cell's have no package before them.
	text = strings.ReplaceAll(text, Mark+".", Mark)
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
	return strings.ReplaceAll(text, name+".", name+"."+Mark)
}

// unitSource writes the package of the cell.
func (l *Lowering) Source() map[string][]byte {
	var body strings.Builder
	if l.program {
		return l.programSource()
	}
	var decls, statements strings.Builder
	for _, it := range l.Items {
		switch it.Kind {
		case syntax.ImportItem:
			l.preamble += check.PreambleOf(it)
		case syntax.TypeItem, syntax.FuncItem, syntax.MethodItem:
			decls.WriteString(l.directive(it, it.Lead))
			decls.WriteString(it.Text.Source[it.Lead:it.Start])
			decls.WriteString(l.Render(it, it.Start, it.End))
			decls.WriteByte('\n')
			if i := slices.Index(l.Inits, it); i >= 0 {
				fmt.Fprintf(&statements, "%s()\n", initName(i))
			}
		case syntax.StmtItem, syntax.VarItem:
			statements.WriteString(l.directive(it, it.Start))
			if it == l.Last {
				statements.WriteString(l.cell() + ".Show(" + l.shown(it) + ")")
			} else {
				statements.WriteString(l.Render(it, it.Start, it.End))
			}
			statements.WriteByte('\n')
			if step := l.Steps[it]; step > 0 {
				fmt.Fprintf(&statements, "%s.Step(%d)\n", l.cell(), step)
			}
		}
	}
	// What the cell itself declares gets marked names for later cells.
	for _, o := range l.Declared {
		switch o := o.(type) {
		case *types.TypeName:
			l.exportType(&body, o)
		case *types.Const:
			fmt.Fprintf(&body, "const %s%s = %s\n", Mark, o.Name(), o.Name())
		}
	}
	for _, v := range l.Variables {
		l.Used[v.Slot] = v.Object
	}
	var starts strings.Builder
	for _, o := range l.Declared {
		if f, ok := o.(*types.Func); ok && l.Slots[o] != "" {
			fmt.Fprintf(&starts, "%s = %s%s\n", l.slot(l.Slots[o], o), local, f.Name())
		}
	}
	l.exportFields(&body)
	for _, m := range l.Moved {
		delete(l.Used, m.To.Slot)
	}
	for _, key := range slices.Sorted(maps.Keys(l.Used)) {
		t := l.slotType(&body, key, l.Used[key])
		fmt.Fprintf(&body, "var %s = (*%s)(%s.Slot(%q, new(%s)))\n", SlotName(key), t, l.cell(), key, t)
	}
	for _, m := range l.Moved {
		from, to := l.typeText(m.From.Object.Type()), l.typeText(m.To.Object.Type())
		fmt.Fprintf(&body, "var %s = (*%s)(%s.Slot(%q, (*%s)(%s.Slot(%q, new(%s)))))\n", SlotName(m.To.Slot), to, l.cell(),
			m.To.Slot, to, l.cell(), m.From.Slot, from)
	}
	l.aliasEarlier(&body)
	for _, name := range slices.Sorted(maps.Keys(l.cNames)) {
		fmt.Fprintf(&body, "type %sC_%s = C.%s\n", own, name, name)
	}
	fmt.Fprintf(&body, "func %srun() {\n%s%s\n}\n", private, starts.String(), statements.String())
	var noted strings.Builder
	for _, o := range l.Declared {
		if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
			if params, _ := l.typeParams(t.Type()); params == "" && !hasTypeSet(t.Type()) {
				fmt.Fprintf(&noted, "; %s.Type(%q, %q, (*%s%s)(nil))", l.cell(), Placeholder, t.Name(), Mark, t.Name())
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(l.musts)) {
		fmt.Fprintf(&body, "\n//line loupe:1\n%s", must.Source(private+must.Name+strconv.Itoa(n), n))
	}
	fmt.Fprintf(&body, "\n//line loupe:1\nfunc init() { %s.Register(%q, %srun)%s }\n", l.cell(), Placeholder, private,
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

// Placeholder stands for the import path of the cell, which is made from the source that it is part of.
const Placeholder = "cells/Øself"

func (l *Lowering) importDecls(out *strings.Builder) {
	for _, name := range slices.Sorted(maps.Keys(l.Imports)) {
		fmt.Fprintf(out, "import %s %q\n", name, l.Imports[name])
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
func (l *Lowering) exportType(out *strings.Builder, o *types.TypeName) {
	params, args := l.typeParams(o.Type())
	fmt.Fprintf(out, "type %s%s%s = %s%s\n", Mark, o.Name(), params, o.Name(), args)
}

// typeParams writes the type parameters of a generic type, as in its declaration and as in its use.
func (l *Lowering) typeParams(t types.Type) (params, args string) {
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

func (l *Lowering) constraint(t types.Type) string {
	text := l.typeText(t)
	if _, named := t.(*types.Named); !named && strings.Contains(text, "|") && !strings.HasPrefix(text, "interface") {
		return "interface{" + text + "}"
	}
	return text
}

// aliasEarlier gives the types and constants of earlier cells that are used here the names that they have there.
func (l *Lowering) aliasEarlier(out *strings.Builder) {
	done := map[string]bool{}
	for len(done) < len(l.aliases) {
		for _, name := range slices.Sorted(maps.Keys(l.aliases)) {
			if done[name] {
				continue
			}
			done[name] = true
			o := l.aliases[name]
			u := l.earlier(l.After.Homes[o.Pkg()])
			if _, ok := o.(*types.Const); ok {
				fmt.Fprintf(out, "const %s = %s.%s%s\n", name, u, Mark, name)
				continue
			}
			params, args := l.typeParams(o.Type())
			fmt.Fprintf(out, "type %s%s = %s.%s%s%s\n", name, params, u, Mark, name, args)
		}
	}
}

// slotType writes the type of a slot's variable, in a way that means the same type in each cell.
func (l *Lowering) slotType(out *strings.Builder, key string, o types.Object) string {
	b := l.After.Funcs[o]
	if b != nil && b.Typed != "" && b.Unit != nil && b.Unit != l.unit {
		return l.earlier(b.Unit) + "." + b.Typed
	}
	text := l.typeText(o.Type())
	if b != nil && b.Unit == nil && gotypes.HasOwnFields(o.Type()) {
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

// exportFields writes, for each field of the cell's structs that is not exported, the function that reaches it.
func (l *Lowering) exportFields(out *strings.Builder) {
	seen := map[types.Type]bool{}
	export := func(st *types.Struct, owner types.Type, ownerText, params string) {
		for i := range st.NumFields() {
			f := st.Field(i)
			if f.Exported() || f.Name() == "_" || f.Pkg().Path() != "main" {
				continue
			}
			if _, ok := l.After.Fields[f.Origin()]; ok {
				continue
			}
			l.accessors++
			name := own + "f" + strconv.Itoa(l.accessors)
			if params == "" {
				params = "[_ any]" // a generic function, since it is exported and must not be listed
			}
			fmt.Fprintf(out, "func %s%s(p *%s) *%s { return &p.%s }\n", name, params, ownerText, l.typeText(f.Type()),
				f.Name())
			if params == "[_ any]" {
				name += "[int]"
			}
			l.newFields = append(l.newFields, newField{f.Origin(), namespace.Accessor{Unit: l.unit, Name: name,
				Owner: owner}})
		}
	}
	anonymous := func(t types.Type, params string) {
		gotypes.Walk(t, func(t types.Type) bool {
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
	for _, o := range l.Declared {
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
				export(st, named, Mark+o.Name()+args, params)
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
	for _, v := range l.Variables {
		anonymous(v.Object.Type(), "")
	}
}

type newField struct {
	field    *types.Var
	accessor namespace.Accessor
}

// Commit makes what the lowered cell provides known to later ones. It is called once the cell has been compiled.
func (l *Lowering) Commit() {
	l.After.Homes[l.Pkg] = l.unit
	if l.C != nil {
		l.After.CHomes[l.C] = l.unit
	}
	for _, f := range l.newFields {
		l.After.Fields[f.field] = f.accessor
	}
	for _, o := range l.Declared {
		if b := l.After.Bindings[o.Name()]; b != nil && b.Object == o {
			b.Unit = l.unit
		}
	}
	for u := range l.units {
		l.unit.Imports = append(l.unit.Imports, u)
	}
}
