// Package convert makes a program of a notebook: what its cells declare stands at the top level, their statements stand
// in main, one cell after the other. Each cell is checked as if it were to run. Where the notebook gives one name
// several meanings, the program has several names:
//
//   - a variable that is defined again with the same type is assigned to; with another type it is another variable
//   - variables that functions use stand at the top level, the others in main
//   - a function that is declared again with the same signature is a variable that gets another function
//   - a type, a constant or a generic function that is declared again is another one
//   - a call whose error stops the cell is put into a call of must
//
// What has no place in a program is refused by name. convert.go reads the cells, write.go writes the program.
package convert

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/edit"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lines"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Session is what a conversion needs of the session around it.
type Session struct {
	Fset    *token.FileSet
	Checker *check.Checker
	Forms   lines.Forms
	// Find lets cells import the packages that items name, where nothing in a namespace has the name.
	Find func(items []*syntax.Item, ns *namespace.Namespace)
}

// FaultsError is Go that does not check.
type FaultsError struct {
	Text   *syntax.Text // of the cell, as it was read
	Faults []syntax.Fault
}

func (e *FaultsError) Error() string { return e.Faults[0].String() }

// RefusedError lists what cannot be converted, each with its place.
type RefusedError struct{ What []string }

func (e *RefusedError) Error() string { return strings.Join(e.What, "\n") }

// Program writes cells as a program, and runs nothing. The error is a *FaultsError or a *RefusedError.
func (s Session) Program(cells []*syntax.Text) (string, error) {
	v := &converter{Session: s, ns: namespace.New(), groups: map[string]*check.Group{}, declared: map[types.Object]bool{},
		same: map[any]any{}, nodes: map[any][]*topLevel{}, variables: map[any]*types.Var{}, idents: map[string]bool{},
		locals: map[string]bool{}, unused: map[any]bool{}}
	for _, v.text = range cells {
		if err := v.cell(); err != nil {
			return "", err
		}
	}
	if len(v.refused) == 0 {
		program, err := v.program()
		if err == nil {
			return program, nil
		}
		v.refused = append(v.refused, err.Error())
	}
	return "", &RefusedError{v.refused}
}

// converter is a conversion on its way.
type converter struct {
	Session
	text      *syntax.Text // of the cell that is being read
	ns        *namespace.Namespace
	groups    map[string]*check.Group
	steps     []*step
	all       []*topLevel
	nodes     map[any][]*topLevel   // by the identity of what they declare; a function may have several
	declared  map[types.Object]bool // types, constants and generic functions of cells
	same      map[any]any           // identities that stand for another one
	variables map[any]*types.Var    // of cells
	idents    map[string]bool       // all names that stand in cells
	locals    map[string]bool       // those that functions and blocks declare
	effects   []string              // paths of packages that are imported for their effect
	loupe     bool                  // cells use packages that have values to be shown in loupe's way
	refused   []string
	unused    map[any]bool // variables of main that nothing reads
	mayBeNil  bool         // the value that is shown is an error that a call gives
	*written
}

// step is one thing that main does.
type step struct {
	number int    // of the cell
	note   string // a comment
	of     *edit.Editor
	item   *syntax.Item
	uses   map[any]bool
	body   *topLevel // a function that has this body from here on
	call   []any     // functions to be called
	flags  bool      // flags of the command line are read before that
}

// topLevel is what stands at the top level: a type with its methods, constants, a function.
type topLevel struct {
	items  []placed
	ids    []any
	uses   map[any]bool
	object types.Object // of a function
	step   int          // how many steps come before it
	live   bool
}

// placed is an item with the check that it has come through.
type placed struct {
	*edit.Editor
	item *syntax.Item
}

func (v *converter) refuse(offset int, format string, args ...any) {
	line, _ := lexical.Position(v.text.Source, offset)
	v.refused = append(v.refused, fmt.Sprintf("cell %d, line %d: %s", v.text.Number, line, fmt.Sprintf(format, args...)))
}

// left are the magics that a program can do without. Their lines become comments.
var left = map[string]bool{
	"%%go": true, "%%yaegi": true, "%engine": true, "%tier": true, "%mod": true, "%list": true, "%autoget": true,
	"%noautoget": true,
	"%goworkfix": true, "%goflags": true, "%version": true, "%track": true, "%untrack": true, "%widgets": true,
	"%widgets_hb": true,
	"%who":        true, "%whos": true, "%history": true, "%pwd": true, "%memory": true, "%help": true, "%save": true,
	"%%html": true, "%%markdown": true, "%%latex": true, "%%svg": true,
}

// cell reads a cell. The error is that of Go that does not check.
func (v *converter) cell() error {
	if _, _, ok := lines.Question(v.text.Source); ok {
		v.note(v.text.Source)
		return nil
	}
	for _, p := range v.Forms.Parts(v.text.Source) {
		switch name := p.Name(); {
		case p.Main:
			if p.Args() != "" {
				v.refuse(p.Start, "%s: a program gets its arguments when it is started", p.Line)
			}
			if err := v.source(p.Source); err != nil {
				return err
			}
			v.runs("main", true)
			delete(v.ns.Bindings, "main")
			delete(v.groups, "main")
		case !p.Magic:
			if err := v.source(p.Source); err != nil {
				return err
			}
			if lexical.DeclaresMain(p.Source) {
				v.runs("main", false)
			}
		case name == "%time":
			v.note("%time")
			if err := v.source(lexical.Blanked(v.text.Source[:p.Start+len(name)]) + p.Args()); err != nil {
				return err
			}
		case name == "%%time":
			v.note("%%time")
			if err := v.source(lexical.Blanked(v.text.Source[:len(v.text.Source)-len(p.Body)]) + p.Body); err != nil {
				return err
			}
		case left[name]:
			v.note(v.text.Source[p.Start : p.Start+p.Length])
			if p.Body != "" {
				v.note(p.Body)
			}
		default:
			v.refuse(p.Start, "%s has no place in a program: take it out of the notebook, or do its work in Go",
				p.Line)
		}
	}
	return nil
}

func (v *converter) note(text string) {
	v.steps = append(v.steps, &step{number: v.text.Number, note: strings.TrimSpace(text)})
}

// runs calls a main function, and before it those whose names begin with init_.
func (v *converter) runs(name string, flags bool) {
	s := &step{number: v.text.Number, uses: map[any]bool{}, flags: flags}
	for _, other := range append(slices.DeleteFunc(v.ns.Names(),
		func(n string) bool { return !strings.HasPrefix(n, "init_") }), name) {
		if b := v.ns.Bindings[other]; b != nil && b.Sort == namespace.Func &&
			types.Identical(b.Object.Type(), types.NewSignatureType(nil, nil, nil, nil, nil, false)) {
			s.call = append(s.call, v.root(b.Slot))
			s.uses[v.root(b.Slot)] = true
		}
	}
	v.steps = append(v.steps, s)
}

// source reads Go: a cell, or what of it is Go.
func (v *converter) source(source string) error {
	if lexical.IsProgram(source) {
		v.refuse(0, "a whole program in a cell stays a program of its own")
		return nil
	}
	text := &syntax.Text{Number: v.text.Number, Source: lexical.BlankPackageClause(source)}
	items, bad := syntax.Split(v.Fset, text)
	if bad != nil {
		return &FaultsError{text, []syntax.Fault{{Text: text, Offset: bad.Offset, Message: bad.Message}}}
	}
	if len(items) == 0 {
		return nil
	}
	if faults := syntax.NoteEmbeddings(text, items); len(faults) > 0 {
		return &FaultsError{text, faults}
	}
	for _, it := range items {
		if len(it.Embeds) > 0 {
			v.refuse(it.Embeds[0].Offset,
				"%s: the files have to lie beside the program, which is written elsewhere: read them with package os",
				syntax.EmbedDirective)
		}
	}
	items = syntax.InAnyOrder(items)
	v.Find(items, v.ns)
	before, groups := v.ns, v.groups
	c, faults := v.Checker.Cell(v.Fset, items, v.ns, v.groups)
	if len(faults) > 0 {
		return &FaultsError{text, faults}
	}
	if c == nil {
		return nil // all of it is as it was
	}
	if c.Cgo {
		v.refuse(0, "C in a cell: put it into a package of its own")
		return nil
	}
	v.ns = c.After
	v.groups = maps.Clone(groups)
	maps.Copy(v.groups, c.Groups)
	for _, o := range c.Declared {
		if c.Slots[o] == "" {
			v.declared[o] = true
		}
	}
	own := map[*syntax.Item]bool{}
	for _, it := range items {
		own[it] = true
	}
	grown := v.grown(c, own, groups)
	if !grown && len(c.Moved) > 0 {
		v.refuse(0, "%s gets other methods while there are values of it: declare the type once, with all its methods",
			c.Moved[0].From.TypeText())
	}
	if grown {
		v.unify(c, own, before)
	}
	v.read(c, own, grown)
	return nil
}

// showing are the methods by which packages find out what to make of a value.
var showing = map[string]bool{
	"String": true, "Error": true, "Format": true, "GoString": true, "Bundle": true, "MarshalJSON": true,
	"UnmarshalJSON": true, "MarshalText": true,
	"UnmarshalText": true, "MarshalBinary": true, "UnmarshalBinary": true, "GobEncode": true, "GobDecode": true,
	"LogValue": true, "Set": true,
}

// grown reports whether all that a cell makes anew are types to which it adds methods, so that the types can have
// them from the beginning.
func (v *converter) grown(c *check.Checked, own map[*syntax.Item]bool, groups map[string]*check.Group) bool {
	grown := false
	for _, it := range c.Items {
		if !own[it] {
			continue
		}
		if t, name := it.Receiver(); t != "" && groups[t] != nil && groups[t].Items[0].Same(c.Groups[t].Items[0]) {
			if old := groups[t].Methods[t+"."+name]; old != nil {
				if !old.Same(it) {
					return false
				}
				continue
			}
			if showing[name] && v.runsSince(t) {
				v.refuse(it.Start, "%s gets the method %s when cells have used it already: declare it beside the type", t, name)
			}
			grown = true
			continue
		}
		for _, name := range it.Defines {
			old := groups[name]
			if (it.Kind == syntax.TypeItem || it.Kind == syntax.MethodItem) && old != nil {
				if !old.Items[0].Same(it) {
					return false
				}
				for m := range old.Methods {
					if now := c.Groups[name].Methods[m]; now == nil || !now.Same(old.Methods[m]) {
						return false
					}
				}
			}
		}
	}
	return grown
}

// runsSince reports whether statements have run since a type was declared.
func (v *converter) runsSince(name string) bool {
	for _, d := range v.all {
		if d.items[0].item.Kind == syntax.TypeItem && slices.Contains(d.items[0].item.Defines, name) {
			return slices.ContainsFunc(v.steps[d.step:], func(s *step) bool { return s.item != nil || s.call != nil })
		}
	}
	return false
}

// unify has what a cell has taken over, for the sake of a type with more methods, stand for what was there before.
func (v *converter) unify(c *check.Checked, own map[*syntax.Item]bool, before *namespace.Namespace) {
	for _, it := range c.Items {
		if own[it] && it.Kind != syntax.TypeItem {
			continue
		}
		for _, id := range it.DeclaredIdents() {
			b := before.Bindings[id.Name]
			if b == nil {
				continue
			}
			for _, o := range c.Declared {
				if o.Name() != id.Name {
					continue
				}
				if slot := c.Slots[o]; slot != "" {
					v.stands(slot, b.Slot)
				} else {
					v.stands(o, b.Object)
				}
			}
		}
	}
	for _, m := range c.Moved {
		v.stands(m.To.Slot, m.From.Slot)
	}
}

func (v *converter) stands(id, other any) {
	if id, other = v.root(id), v.root(other); id != other {
		v.same[id] = other
	}
}

func (v *converter) root(id any) any {
	for v.same[id] != nil {
		id = v.same[id]
	}
	return id
}

// identity returns what an object is throughout the notebook: its slot, or the object itself. ok is false for what is
// no cell's at its top level.
func (v *converter) identity(c *check.Checked, o types.Object) (id any, ok bool) {
	if o == nil {
		return nil, false
	}
	if slot := c.Slots[o]; slot != "" {
		return v.root(slot), true
	}
	if b := c.After.Funcs[o]; b != nil {
		return v.root(b.Slot), true
	}
	if v.declared[o] {
		return v.root(o), true
	}
	return nil, false
}

// read notes the declarations and statements of a checked cell. Functions have their bodies before its statements run.
func (v *converter) read(c *check.Checked, own map[*syntax.Item]bool, grown bool) {
	e := edit.New(c)
	r := &reader{converter: v, Editor: &e}
	byName := map[string]*topLevel{}
	for _, it := range c.Items {
		switch {
		case it.Kind == syntax.ImportItem:
			r.imports(it)
		case it.Kind == syntax.StmtItem || it.Kind == syntax.VarItem || grown &&
			!own[it]: // what is grown stands there already
		default:
			r.topLevel(it, grown, byName)
		}
	}
	for _, it := range c.Items {
		switch {
		case it.Kind == syntax.StmtItem || it.Kind == syntax.VarItem:
			for _, id := range it.DefinedIdents() {
				if o, ok := c.Info.Defs[id].(*types.Var); ok {
					if i, ok := v.identity(c, o); ok && v.variables[i] == nil {
						v.variables[i] = o
					}
				}
			}
			v.steps = append(v.steps, &step{number: v.text.Number, of: r.Editor, item: it, uses: r.item(it)})
		case slices.Contains(c.Inits, it):
			v.steps = append(v.steps, &step{number: v.text.Number, call: []any{it}, uses: map[any]bool{it: true}})
		}
	}
}

// topLevel notes what stands at the top level.
func (r *reader) topLevel(it *syntax.Item, grown bool, byName map[string]*topLevel) {
	c := r.Checked
	d := &topLevel{items: []placed{{r.Editor, it}}, step: len(r.converter.steps)}
	if t, _ := it.Receiver(); t != "" {
		of := byName[t]
		for _, o := range c.Declared {
			if nodes := r.nodes[r.root(o)]; o.Name() == t && of == nil && len(nodes) > 0 {
				of = nodes[len(nodes)-1]
			}
		}
		if of != nil {
			maps.Copy(of.uses, r.item(it))
			of.items = append(of.items, d.items...)
			return
		}
	}
	ids := it.DeclaredIdents()
	if grown && it.Kind == syntax.TypeItem && len(ids) > 0 && len(r.nodes[r.root(c.Info.Defs[ids[0]])]) > 0 {
		byName[ids[0].Name] = r.nodes[r.root(c.Info.Defs[ids[0]])][0]
		return // it has more methods, and is otherwise as it was
	}
	r.of = d
	d.uses = r.item(it)
	r.of = nil
	for _, id := range ids {
		o := c.Info.Defs[id]
		if i, ok := r.identity(c, o); ok {
			d.ids = append(d.ids, i)
			r.nodes[i] = append(r.nodes[i], d)
			byName[id.Name] = d
		}
		if c.Slots[o] != "" {
			d.object = o
			r.converter.steps = append(r.converter.steps, &step{number: r.converter.text.Number, body: d})
		}
	}
	if slices.Contains(c.Inits, it) {
		d.ids = []any{it}
		r.nodes[it] = []*topLevel{d}
	}
	r.all = append(r.all, d)
}

// reader looks at the items of one cell.
type reader struct {
	*converter
	*edit.Editor
	uses map[any]bool
	of   *topLevel // the function that is looked at
}

// imports notes what is imported for its effect. The others are imported where they are used.
func (r *reader) imports(it *syntax.Item) {
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		if s := spec.(*ast.ImportSpec); s.Name != nil && s.Name.Name == "_" {
			r.effects = append(r.effects, strings.Trim(s.Path.Value, "\"`"))
		}
	}
}

// item collects the edits of one item, and returns which identities it uses.
func (r *reader) item(it *syntax.Item) map[any]bool {
	r.uses = map[any]bool{}
	r.Walk(it, r.node)
	if it.Kind == syntax.StmtItem {
		if a := it.Definition(); a != nil && len(it.DefinedIdents()) > 0 {
			r.Edit(a.TokPos, a.TokPos+2, func() string { return r.assign })
		}
	}
	r.Sort(it)
	return r.uses
}

func (r *reader) node(n ast.Node) {
	switch x := n.(type) {
	case *ast.Ident:
		r.idents[x.Name] = true
		r.ident(x)
	case *ast.CallExpr:
		if must.Inserted(x) {
			it := r.Editor.Current
			from, to, name := it.Offset(x.Pos()), it.Offset(x.End()), x.Fun.(*ast.Ident)
			n, _ := r.Musted.Arity(r.Info.Uses[name])
			r.Edit(x.Pos(), x.End(), func() string { return r.must(n) + "(" + r.Render(it, from, to) + ")" })
		}
	case *ast.RangeStmt, *ast.AssignStmt, *ast.DeclStmt, *ast.TypeSwitchStmt:
		r.MentionUnused(n)
	}
}

func (r *reader) ident(id *ast.Ident) {
	o := r.Info.Uses[id]
	if o == nil {
		o = r.Info.Defs[id]
	}
	if f, ok := r.parentOf().(*ast.FuncDecl); ok && f.Name == id && f.Recv == nil && id.Name == "init" {
		it := r.Editor.Current
		r.Edit(id.Pos(), id.End(), func() string { return r.name(it, "setup") })
		return
	}
	if n, ok := r.Musted.Arity(o); ok {
		if call, ok := r.parentOf().(*ast.CallExpr); !ok || call.Fun != id || !must.Inserted(call) {
			r.Edit(id.Pos(), id.End(), func() string { return r.must(n) })
		}
		return
	}
	if p, ok := o.(*types.PkgName); ok {
		path := p.Imported().Path()
		r.loupe = r.loupe || strings.HasPrefix(path, "github.com/loupeml/loupe/")
		r.Edit(id.Pos(), id.End(), func() string { return r.importName(path, id.Name, p.Imported().Name()) })
		return
	}
	if label, ok := o.(*types.Label); ok {
		if !slices.ContainsFunc(r.Stack, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				return true
			}
			return false
		}) {
			r.Edit(id.Pos(), id.End(), func() string { return r.name(label, id.Name) })
		}
		return
	}
	identity, ok := r.identity(r.Checked, o)
	if !ok {
		if r.Info.Defs[id] != nil {
			r.locals[id.Name] = true
		}
		if o != nil && o.Pkg() != nil && o.Pkg().Path() != "main" && o.Parent() == o.Pkg().Scope() {
			if s, ok := r.parentOf().(*ast.SelectorExpr); !ok || s.Sel != id {
				r.Edit(id.Pos(), id.End(), func() string { r.dotted[o.Pkg().Path()] = true; return id.Name })
			}
		}
		return
	}
	r.uses[identity] = true
	it := r.Editor.Current
	if d, ok := it.Decl.(*ast.FuncDecl); ok && it.Kind == syntax.FuncItem && r.Info.Defs[d.Name] == o {
		of := r.of // a function names itself
		r.Edit(id.Pos(), id.End(), func() string { return r.bodyName(of) })
		return
	}
	r.Edit(id.Pos(), id.End(), func() string { return r.name(identity, id.Name) })
}

// parentOf returns the node around the one that is looked at.
func (r *reader) parentOf() ast.Node { return r.Parent(1) }
