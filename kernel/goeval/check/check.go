// Package check gives every name of a cell a meaning. It has go/types check the cell against all that earlier cells
// have defined, stops it at errors where package must says so, and tells what it makes anew of what earlier cells have
// declared. A cell that does not check has changed nothing.
package check

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Variable is a top-level variable that a cell's statements define.
type Variable struct {
	Name   string
	Object *types.Var
	Slot   string
	Reused bool // the slot was there before
	Step   int  // how many definitions the cell has made once this one is made
}

// Checked is a cell whose every name has a meaning.
type Checked struct {
	Items     []*syntax.Item // declarations that the cell takes over from earlier ones come last
	fset      *token.FileSet
	Info      *types.Info
	Pkg       *types.Package          // that of the cell's declarations
	Slots     map[types.Object]string // variables of this cell and functions of this one and earlier ones
	Variables []*Variable             // in the order of their definition
	Unused    map[types.Object]bool   // variables inside the cell's blocks and functions
	Last      *syntax.Item            // the expression whose value is shown, or nil
	Inits     []*syntax.Item          // functions named init
	After     *namespace.Namespace    // the namespace once the cell has run
	Declared  []types.Object          // by the cell's declarations
	Funcs     map[string]*syntax.Item // functions that become slots, by name
	Steps     map[*syntax.Item]int    // of the items that define variables
	Moved     []Move                  // variables whose types get other methods
	Groups    map[string]*Group
	Musted    *must.Functions // the functions that stop the cell at errors
	Cgo       bool            // it imports C
	C         *types.Package  // what cgo has declared; nil where there is no C
	Quiet     bool            // nothing outside of the cells can wake what it uses: for who runs the cell to say
}

// Checker checks cells against a namespace.
type Checker struct {
	Importer types.Importer
	// Resolve returns the import path for a package that is used without import, "" where there is none. now is the one
	// that the name stands for already, or "".
	Resolve func(name, now string, uses []Use) string
	HomesOf func(name, member string) []string // the packages of a name that have a member
	Known   func() []string                    // names that a misspelled one may have meant
	// Cgo translates source that imports C, and returns what declares the names of C.
	Cgo      func(source string) (string, error)
	FaultsOf func(err error, of *syntax.Text) []syntax.Fault // where the error of a tool lies
	Musts    *must.Functions
}

// GoVersion is the language that cells are written in.
const GoVersion = "go1.26"

// check checks the items of a cell, with those that it makes anew.
func (c *Checker) check(fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace,
	same map[string]bool) (*Checked, []syntax.Fault) {
	must.Without(items)
	k := newChecking(c, fset, items, before)
	k.same = same
	k.imports()
	if k.Cgo && len(k.found) == 0 {
		k.cTypes()
	}
	if len(k.found) == 0 {
		k.declarations()
		k.migrate()
		k.statements()
		k.embeds()
		k.unhide()
		k.define()
		k.bodies()
	}
	if len(k.found) > 0 {
		return nil, k.sorted()
	}
	return k.Checked, nil
}

// Unfinished checks what parses of a cell that is being written, with what scopes the names have in it. Faults do not
// count. final are the variables of the cell's statements, at its end.
func (c *Checker) Unfinished(fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace) (k *Checked,
	final []types.Object) {
	at := newChecking(c, fset, items, before)
	at.Info.Scopes = map[ast.Node]*types.Scope{}
	at.detachMethods()
	at.imports()
	at.declarations()
	at.statements()
	at.define()
	at.bodies()
	return at.Checked, at.final
}

func newChecking(c *Checker, fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace) *checking {
	return &checking{checker: c, hidden: map[string]*namespace.Binding{}, Checked: &Checked{
		Items: items, fset: fset, Musted: c.Musts,
		Info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{},
			Uses:       map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Implicits: map[ast.Node]types.Object{},
			Instances: map[*ast.Ident]types.Instance{},
		},
		Slots: map[types.Object]string{}, Unused: map[types.Object]bool{}, Funcs: map[string]*syntax.Item{},
		Steps: map[*syntax.Item]int{},
		After: before.Clone(),
	}}
}

// sorted returns the faults in the order of their places.
func (k *checking) sorted() []syntax.Fault {
	slices.SortStableFunc(k.found, func(a, b syntax.Fault) int {
		if a.Text.Number != b.Text.Number {
			return b.Text.Number - a.Text.Number
		}
		return a.Offset - b.Offset
	})
	return k.found
}

// checking is the state of one check.
type checking struct {
	*Checked
	checker *Checker
	names   map[string]bool
	hidden  map[string]*namespace.Binding // variables whose names statements take for packages
	same    map[string]bool               // types that are made anew with other methods only
	program bool
	found   []syntax.Fault
	refused []token.Pos    // where the pass that runs has found faults
	final   []types.Object // the cell's variables, at its end
}

// config returns how one pass is checked.
func (k *checking) config() *types.Config {
	config := &types.Config{
		GoVersion: GoVersion, Importer: k.checker.Importer, FakeImportC: k.Cgo &&
			k.program, Sizes: types.SizesFor("gc", "amd64"),
		Error: func(err error) {
			e := err.(types.Error)
			k.report(e)
		},
	}
	if k.C != nil {
		if err := takesCgo(config); err != nil {
			k.add(syntax.Fault{Text: k.Items[0].Text, Offset: 0, Message: err.Error()})
		}
	}
	return config
}

var ownPackage = regexp.MustCompile(`\bmain\.([\pL_])`)

// report takes an error of the type checker.
func (k *checking) report(e types.Error) {
	if strings.HasPrefix(e.Msg, "implicit assignment to unexported field") && strings.Contains(e.Msg, " of type main.") {
		return // go/types tells cells apart there, by their package objects
	}
	message := innerC.ReplaceAllString(ownPackage.ReplaceAllString(e.Msg, "$1"), "C.$1")
	if strings.HasPrefix(message, "declared and not used: ") || strings.HasSuffix(message, " declared and not used") {
		for id, o := range k.Info.Defs {
			if id.Pos() == e.Pos && o != nil {
				k.Unused[o] = true
			}
		}
		for _, o := range k.Info.Implicits {
			if o.Pos() == e.Pos {
				k.Unused[o] = true
			}
		}
		return
	}
	if strings.HasSuffix(message, "imported and not used") || strings.Contains(message, "imported as") &&
		strings.HasSuffix(message, "and not used") {
		return
	}
	if k.Last != nil && e.Pos == k.Last.Stmt.Pos() || k.Last != nil && strings.HasSuffix(message, "is not used") &&
		k.Last.Holds(e.Pos) {
		if strings.HasSuffix(message, "is not used") {
			return
		}
	}
	if strings.HasPrefix(message, "\t") {
		// The continuation of an error: where the other declaration is.
		if n := len(k.found); n > 0 {
			k.found[n-1].Message += "\n" + asTyped(message)
		}
		return
	}
	k.refused = append(k.refused, e.Pos)
	if strings.Contains(message, "have (unknown type)") {
		return // the argument has its own fault
	}
	message = asTyped(message)
	for _, it := range k.Items {
		if it.Holds(e.Pos) {
			k.add(syntax.Fault{Text: it.Text, Offset: it.Offset(e.Pos), Message: k.suggest(message, it, it.Offset(e.Pos))})
			return
		}
	}
	k.add(syntax.Fault{Text: k.Items[0].Text, Offset: 0, Message: message})
}

func (k *checking) add(f syntax.Fault) {
	if !slices.Contains(k.found, f) {
		k.found = append(k.found, f)
	}
}

var (
	undefinedName   = regexp.MustCompile(`^undefined: ([\pL_][\pL\pN_]*)$`)
	undefinedMember = regexp.MustCompile(
		`^undefined: ([\pL_][\pL\pN_]*)\.([\pL_][\pL\pN_]*)( \(but have [\pL_][\pL\pN_]*\))?$`)
	noSuchMember = regexp.MustCompile(`^([\pL_][\pL\pN_]*)\.([\pL_][\pL\pN_]*) undefined \(type `)
)

// suggest adds what an undefined name may have meant, that stands at an offset of an item.
func (k *checking) suggest(message string, at *syntax.Item, offset int) string {
	if m := undefinedName.FindStringSubmatch(message); m != nil {
		name := m[1]
		switch name {
		case "C":
			return message + `; C belongs to the cell that imports it: begin this cell with import "C" and what it is to ` +
				`declare, or call a Go function of that cell`
		case "Out", "In":
			return message + "; what cell 3 gave is Out[3] and its source In[3], by a number, and not in a program"
		}
		for _, it := range k.Items {
			if slices.Contains(it.Defines, name) && it.Text == at.Text && it.Start > offset {
				line, _ := lexical.Position(it.Text.Source, it.Start)
				return message + fmt.Sprintf("; line %d defines it, further down", line)
			}
		}
		known := k.After.Names()
		for declared := range k.names {
			known = append(known, declared)
		}
		if len(k.checker.HomesOf(name, "")) > 0 {
			message += fmt.Sprintf("; %s is a package: %s.Name is what it has, and %s := … defines a variable", name, name,
				name)
		} else {
			known = append(known, k.checker.Known()...)
		}
		return message + nearest.InBrackets(name, known)
	}
	if m := noSuchMember.FindStringSubmatch(message); m != nil {
		return message + k.hides(m[1], m[2])
	}
	if m := undefinedMember.FindStringSubmatch(message); m != nil {
		if path := k.After.Imports[m[1]]; path != "" {
			if other := k.elsewhere(m[1], m[2]); other != "" {
				return strings.TrimSuffix(message, m[3]) + other
			}
			if p, err := k.checker.Importer.Import(path); err == nil {
				return message + nearest.InBrackets(m[2], gotypes.ExportedNames(p))
			}
		}
	}
	return message
}

// newPackage returns a package in which to check a pass: the namespace but for what the cell declares itself, and
// extra.
func (k *checking) newPackage(extra ...types.Object) *types.Package {
	pkg := types.NewPackage("main", "main")
	extra = slices.Concat(extra, k.cObjects())
	k.After.Scope(pkg, k.checker.Importer, k.names, extra...)
	k.Musted.Scope(pkg, k.names)
	return pkg
}

// run has go/types check declarations.
func (k *checking) run(pkg *types.Package, config *types.Config, decls []ast.Decl) {
	if k.Cgo && !k.program {
		spec := &ast.ImportSpec{Path: &ast.BasicLit{ValuePos: decls[0].Pos(), Kind: token.STRING, Value: `"C"`}}
		decls = append([]ast.Decl{&ast.GenDecl{TokPos: decls[0].Pos(), Tok: token.IMPORT, Specs: []ast.Spec{spec}}},
			decls...)
	}
	file := &ast.File{Name: ast.NewIdent("main"), Decls: decls}
	if len(decls) > 0 {
		file.Package = decls[0].Pos()
		file.FileStart, file.FileEnd = decls[0].Pos(), decls[len(decls)-1].End()
	}
	types.NewChecker(config, k.fset, pkg, k.Info).Files([]*ast.File{file})
}

// declarations checks the types, constants and signatures, without the bodies of functions.
func (k *checking) declarations() {
	k.names = map[string]bool{}
	var decls []ast.Decl
	var main *ast.Ident
	for _, it := range k.Items {
		switch it.Kind {
		case syntax.TypeItem, syntax.FuncItem, syntax.MethodItem:
			for _, name := range it.Defines {
				if name != "init" && name != "_" {
					k.names[name] = true
				}
			}
			if d, ok := it.Decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				k.Inits = append(k.Inits, it)
				continue // checked as a function later
			}
			if d, ok := it.Decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "main" {
				d.Name.Name = mainName // no name has a special meaning in a cell
				main = d.Name
			}
			decls = append(decls, it.Decl)
		}
	}
	k.Pkg = k.newPackage()
	config := k.config()
	config.IgnoreFuncBodies = true
	if len(decls) > 0 {
		k.run(k.Pkg, config, decls)
	}
	if main != nil {
		main.Name = "main"
	}
	for _, it := range k.Items {
		for _, id := range it.DeclaredIdents() {
			o := k.Info.Defs[id]
			if o == nil {
				continue
			}
			if id.Name == "main" && o.Name() == mainName {
				f := o.(*types.Func)
				o = types.NewFunc(f.Pos(), k.Pkg, "main", f.Signature())
				k.Info.Defs[id] = o
			}
			k.Declared = append(k.Declared, o)
			if it.Kind == syntax.FuncItem {
				k.Slots[o] = k.functionSlot(o)
				k.Funcs[o.Name()] = it
			}
		}
	}
	for o, b := range k.After.Funcs {
		if _, ok := k.Slots[o]; !ok {
			k.Slots[o] = b.Slot
		}
	}
}

// mainName is how the check calls a cell's function main.
const mainName = "main·"

// functionSlot returns the slot of a function: that of the function of this name, if it has the same signature.
func (k *checking) functionSlot(o types.Object) string {
	if b := k.After.Bindings[o.Name()]; b != nil && b.Sort == namespace.Func && types.Identical(b.Object.Type(),
		o.Type()) {
		return b.Slot
	}
	return k.After.SlotFor(o.Name())
}

// statements checks the statements and variables, in their order, as the body of one function.
func (k *checking) statements() {
	body := &ast.BlockStmt{}
	block := body
	defined := map[string]bool{}
	var lasts []*syntax.Item
	var again []func() // puts calls that have been put into others in the place of those that stood there
	for _, it := range k.Items {
		var stmt ast.Stmt
		switch it.Kind {
		case syntax.StmtItem:
			stmt = it.Stmt
		case syntax.VarItem:
			stmt = &ast.DeclStmt{Decl: it.Decl}
		default:
			continue
		}
		lasts = append(lasts, it)
		if it.Tuple != nil {
			// What is no call stands alone, for a constant may fit no variable.
			assign := &ast.AssignStmt{Tok: token.ASSIGN, TokPos: stmt.Pos()}
			for i, x := range it.Tuple {
				if _, ok := ast.Unparen(x).(*ast.CallExpr); !ok {
					block.List = append(block.List, &ast.ExprStmt{X: x})
					continue
				}
				assign.Lhs, assign.Rhs = append(assign.Lhs, &ast.Ident{NamePos: stmt.Pos(), Name: "_"}), append(assign.Rhs, x)
				at := len(assign.Rhs) - 1
				again = append(again, func() { assign.Rhs[at] = it.Tuple[i] })
			}
			if stmt = assign; len(assign.Rhs) == 0 {
				continue
			}
		}
		// A name that is defined once more is a new variable, as it is in the next cell.
		anew := false
		for _, name := range it.Defines {
			anew = anew || defined[name]
		}
		if _, isVar := stmt.(*ast.DeclStmt); anew && (isVar || !definesAnew(it, defined)) {
			inner := &ast.BlockStmt{Lbrace: stmt.Pos(), Rbrace: stmt.End()}
			block.List = append(block.List, inner)
			block, defined = inner, map[string]bool{}
		}
		for _, name := range it.Defines {
			defined[name] = true
		}
		block.List = append(block.List, stmt)
	}
	if len(lasts) == 0 {
		return
	}
	// What counts is what stands last in the cell, behind which there may be declarations that do nothing.
	lastOfCell := k.Items[0]
	for _, it := range slices.Backward(k.Items) {
		if it.Text == k.Items[0].Text && (it.Kind == syntax.VarItem || it.Kind == syntax.StmtItem) {
			lastOfCell = it
			break
		}
	}
	if it := lasts[len(lasts)-1]; it == lastOfCell && it.Kind == syntax.StmtItem {
		if _, ok := it.Stmt.(*ast.ExprStmt); ok {
			k.Last = it
		}
	}
	body.Lbrace, body.Rbrace = block.Pos(), lasts[len(lasts)-1].File.Pos(lasts[len(lasts)-1].File.Size())
	if len(body.List) > 0 {
		body.Lbrace = body.List[0].Pos()
	}
	f := &ast.FuncDecl{Name: ast.NewIdent("_"), Type: &ast.FuncType{Params: &ast.FieldList{}}, Body: body}
	f.Type.Func, f.Name.NamePos = body.Lbrace, body.Lbrace
	k.settle(func() {
		for _, put := range again {
			put()
		}
		k.run(k.newPackage(k.Declared...), k.config(), []ast.Decl{f})
	})
	if k.Last != nil && k.Last.Tuple == nil {
		x := k.Last.Stmt.(*ast.ExprStmt).X
		if tv := k.Info.Types[x]; tv.IsVoid() || tv.Type == nil || isVoidOfC(tv.Type) || k.prints(x) {
			k.Last = nil
		}
	}
}

// GivesError reports whether the expression whose value is shown is a call that gives an error and nothing else: a nil
// one says nothing.
func (c *Checked) GivesError() bool {
	if c.Last == nil || c.Last.Tuple != nil {
		return false
	}
	call, ok := ast.Unparen(c.Last.Stmt.(*ast.ExprStmt).X).(*ast.CallExpr)
	return ok && types.Identical(c.Info.TypeOf(call), gotypes.Error)
}

// LastCall returns the call whose values are shown, where an error comes behind them; nil where there is none.
func (c *Checked) LastCall() *ast.CallExpr {
	if c.Last == nil || c.Last.Tuple != nil {
		return nil
	}
	call, ok := ast.Unparen(c.Last.Stmt.(*ast.ExprStmt).X).(*ast.CallExpr)
	if !ok {
		return nil
	}
	if t, ok := c.Info.TypeOf(call).(*types.Tuple); !ok || t.Len() < 2 ||
		!types.Identical(t.At(t.Len()-1).Type(), gotypes.Error) {
		return nil
	}
	return call
}

// prints reports whether an expression is a call of fmt's printing functions, whose results nobody wants to see.
func (k *checking) prints(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := k.Info.Uses[sel.Sel].(*types.Func)
	return ok && f.Pkg() != nil && f.Pkg().Path() == "fmt" && (strings.HasPrefix(f.Name(), "Print") ||
		strings.HasPrefix(f.Name(), "Fprint"))
}

// definesAnew reports whether a := among whose names some are defined defines another one as well, so that Go allows
// it.
func definesAnew(it *syntax.Item, defined map[string]bool) bool {
	for _, name := range it.Defines {
		if !defined[name] {
			return true
		}
	}
	return false
}

// define gives each variable that the statements define its slot, and enters all that the cell defines into the
// namespace.
func (k *checking) define() {
	if len(k.found) > 0 && k.anyInvalid() {
		return
	}
	for _, o := range k.Declared {
		b := &namespace.Binding{Sort: namespace.Decl, Object: o}
		if slot, ok := k.Slots[o]; ok {
			b.Sort, b.Slot = namespace.Func, slot
			k.After.Funcs[o] = b
		}
		k.After.Bindings[o.Name()] = b
		delete(k.After.Imports, o.Name())
	}
	for _, it := range k.Items {
		if it.Kind != syntax.StmtItem && it.Kind != syntax.VarItem {
			continue
		}
		for _, id := range it.DefinedIdents() {
			if k.Steps[it] == 0 {
				k.Steps[it] = len(k.Steps) + 1
			}
			o, ok := k.Info.Defs[id].(*types.Var)
			if !ok || o.Type() == nil || o.Type() == types.Typ[types.Invalid] {
				continue
			}
			v := &Variable{Name: id.Name, Object: o, Step: k.Steps[it]}
			if b := k.After.Bindings[id.Name]; b != nil && b.Sort == namespace.Var && types.Identical(b.Object.Type(),
				o.Type()) {
				v.Slot, v.Reused = b.Slot, true
			} else {
				v.Slot = k.After.SlotFor(id.Name)
			}
			k.Slots[o] = v.Slot
			k.Variables = append(k.Variables, v)
			b := &namespace.Binding{Sort: namespace.Var, Object: o, Slot: v.Slot}
			if v.Reused {
				b.Unit, b.Typed = k.After.Bindings[id.Name].Unit, k.After.Bindings[id.Name].Typed
				b.Object = k.After.Bindings[id.Name].Object
			}
			k.After.Bindings[id.Name] = b
			k.After.Funcs[o] = b
			delete(k.After.Imports, id.Name)
		}
	}
	seen := map[string]bool{}
	for i := len(k.Variables) - 1; i >= 0; i-- {
		if v := k.Variables[i]; !seen[v.Name] {
			seen[v.Name] = true
			k.final = append(k.final, v.Object)
		}
	}
}

func (k *checking) anyInvalid() bool {
	for _, it := range k.Items {
		for _, id := range it.DefinedIdents() {
			if o := k.Info.Defs[id]; o == nil || o.Type() == nil || o.Type() == types.Typ[types.Invalid] {
				return true
			}
		}
	}
	return false
}

// bodies checks the bodies of functions and methods, in which the cell's variables are known.
func (k *checking) bodies() {
	var decls []ast.Decl
	for _, it := range k.Items {
		d, ok := it.Decl.(*ast.FuncDecl)
		if !ok || d.Body == nil && d.Recv == nil {
			if ok && !k.Cgo {
				k.add(syntax.Fault{Text: it.Text, Offset: it.Offset(d.Pos()), Message: "missing function body"})
			}
			continue
		}
		alone := &ast.FuncDecl{Name: &ast.Ident{NamePos: d.Name.NamePos, Name: "_"}, Type: d.Type, Body: d.Body}
		if d.Recv != nil {
			alone = k.withoutReceiver(d, alone)
		}
		decls = append(decls, alone)
	}
	if len(decls) == 0 {
		return
	}
	// What the signatures and types mean is already known: the names are looked up once more, errors told once.
	extra := append(slices.Clone(k.final), k.Declared...)
	seen := map[string]bool{}
	extra = slices.DeleteFunc(extra, func(o types.Object) bool {
		again := seen[o.Name()]
		seen[o.Name()] = true
		return again
	})
	k.settle(func() { k.run(k.newPackage(extra...), k.config(), decls) })
}

// withoutReceiver makes the receiver a parameter, and its type parameters those of the function.
func (k *checking) withoutReceiver(d, f *ast.FuncDecl) *ast.FuncDecl {
	f.Type = &ast.FuncType{Func: d.Type.Func, Params: &ast.FieldList{Opening: d.Recv.Opening,
		Closing: d.Type.Params.Closing}, Results: d.Type.Results}
	f.Type.Params.List = append(slices.Clone(d.Recv.List), d.Type.Params.List...)
	if len(d.Recv.List) > 0 && len(d.Recv.List[0].Names) == 0 && len(d.Type.Params.List) > 0 &&
		len(d.Type.Params.List[0].Names) > 0 {
		r := *d.Recv.List[0]
		r.Names = []*ast.Ident{{NamePos: r.Type.Pos(), Name: "_"}}
		f.Type.Params.List[0] = &r
	} else if len(d.Recv.List) > 0 && len(d.Recv.List[0].Names) > 0 {
		for i, p := range f.Type.Params.List[1:] {
			if len(p.Names) == 0 {
				q := *p
				q.Names = []*ast.Ident{{NamePos: p.Type.Pos(), Name: "_"}}
				f.Type.Params.List[i+1] = &q
			}
		}
	}
	if len(d.Recv.List) == 0 {
		return f
	}
	t := d.Recv.List[0].Type
	for {
		if p, ok := t.(*ast.ParenExpr); ok {
			t = p.X
		} else if p, ok := t.(*ast.StarExpr); ok {
			t = p.X
		} else {
			break
		}
	}
	var base ast.Expr
	var params []ast.Expr
	switch x := t.(type) {
	case *ast.IndexExpr:
		base, params = x.X, []ast.Expr{x.Index}
	case *ast.IndexListExpr:
		base, params = x.X, x.Indices
	default:
		return f
	}
	id, ok := base.(*ast.Ident)
	if !ok {
		return f
	}
	spec := k.typeSpec(id.Name)
	if spec == nil || spec.TypeParams == nil {
		return f
	}
	// The constraints are those of the type's declaration, with the receiver's names for the parameters.
	names := map[string]string{}
	i := 0
	f.Type.TypeParams = &ast.FieldList{Opening: t.Pos(), Closing: t.End()}
	for _, field := range spec.TypeParams.List {
		for _, name := range field.Names {
			if i < len(params) {
				if p, ok := params[i].(*ast.Ident); ok {
					names[name.Name] = p.Name
				}
			}
			i++
		}
	}
	i = 0
	for _, field := range spec.TypeParams.List {
		for range field.Names {
			if i >= len(params) {
				return f
			}
			p, ok := params[i].(*ast.Ident)
			if !ok {
				return f
			}
			constraint := renamed(field.Type, names)
			f.Type.TypeParams.List = append(f.Type.TypeParams.List,
				&ast.Field{Names: []*ast.Ident{{NamePos: p.NamePos, Name: p.Name}}, Type: constraint})
			i++
		}
	}
	return f
}

// typeSpec returns the cell's declaration of a type.
func (k *checking) typeSpec(name string) *ast.TypeSpec {
	for _, it := range k.Items {
		if d, ok := it.Decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
			for _, s := range d.Specs {
				if s := s.(*ast.TypeSpec); s.Name.Name == name {
					return s
				}
			}
		}
	}
	return nil
}

// renamed returns a copy of a constraint with other names for the type parameters in it.
func renamed(e ast.Expr, names map[string]string) ast.Expr {
	switch x := e.(type) {
	case nil:
		return nil
	case *ast.Ident:
		if to, ok := names[x.Name]; ok {
			return &ast.Ident{NamePos: x.NamePos, Name: to}
		}
		return &ast.Ident{NamePos: x.NamePos, Name: x.Name}
	case *ast.SelectorExpr:
		return &ast.SelectorExpr{X: renamed(x.X, names), Sel: x.Sel}
	case *ast.StarExpr:
		return &ast.StarExpr{Star: x.Star, X: renamed(x.X, names)}
	case *ast.ParenExpr:
		return &ast.ParenExpr{Lparen: x.Lparen, X: renamed(x.X, names), Rparen: x.Rparen}
	case *ast.UnaryExpr:
		return &ast.UnaryExpr{OpPos: x.OpPos, Op: x.Op, X: renamed(x.X, names)}
	case *ast.BinaryExpr:
		return &ast.BinaryExpr{X: renamed(x.X, names), OpPos: x.OpPos, Op: x.Op, Y: renamed(x.Y, names)}
	case *ast.ArrayType:
		return &ast.ArrayType{Lbrack: x.Lbrack, Len: renamed(x.Len, names), Elt: renamed(x.Elt, names)}
	case *ast.MapType:
		return &ast.MapType{Map: x.Map, Key: renamed(x.Key, names), Value: renamed(x.Value, names)}
	case *ast.ChanType:
		return &ast.ChanType{Begin: x.Begin, Arrow: x.Arrow, Dir: x.Dir, Value: renamed(x.Value, names)}
	case *ast.IndexExpr:
		return &ast.IndexExpr{X: renamed(x.X, names), Lbrack: x.Lbrack, Index: renamed(x.Index, names), Rbrack: x.Rbrack}
	case *ast.IndexListExpr:
		y := &ast.IndexListExpr{X: renamed(x.X, names), Lbrack: x.Lbrack, Rbrack: x.Rbrack}
		for _, i := range x.Indices {
			y.Indices = append(y.Indices, renamed(i, names))
		}
		return y
	case *ast.FuncType:
		return &ast.FuncType{Func: x.Func, Params: renamedFields(x.Params, names), Results: renamedFields(x.Results, names)}
	case *ast.InterfaceType:
		return &ast.InterfaceType{Interface: x.Interface, Methods: renamedFields(x.Methods, names)}
	case *ast.StructType:
		return &ast.StructType{Struct: x.Struct, Fields: renamedFields(x.Fields, names)}
	}
	return e
}

func renamedFields(list *ast.FieldList, names map[string]string) *ast.FieldList {
	if list == nil {
		return nil
	}
	out := &ast.FieldList{Opening: list.Opening, Closing: list.Closing}
	for _, f := range list.List {
		out.List = append(out.List, &ast.Field{Names: f.Names, Type: renamed(f.Type, names), Tag: f.Tag})
	}
	return out
}

// detachMethods makes functions of methods whose types earlier cells have declared, with the receiver as a parameter:
// the type checker takes a method only beside its type.
func (k *checking) detachMethods() {
	for _, it := range k.Items {
		d, ok := it.Decl.(*ast.FuncDecl)
		if !ok || d.Recv == nil || k.typeSpec(syntax.ReceiverOf(d)) != nil {
			continue
		}
		it.Decl = k.withoutReceiver(d, &ast.FuncDecl{Name: &ast.Ident{NamePos: d.Name.NamePos, Name: "_"}, Type: d.Type,
			Body: d.Body})
	}
}
