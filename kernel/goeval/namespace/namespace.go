// Package namespace holds what cells have defined: what each name means, in which slot or compiled cell it lives, and
// which packages are imported.
package namespace

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
)

// Sort is what kind of thing a name stands for.
type Sort int

const (
	Var  Sort = iota // a slot
	Func             // a function, kept in a slot, so that old callers see a new body
	Decl             // a type, a constant or a generic function: a member of the package of a compiled cell
)

// Binding is what a name means.
type Binding struct {
	Sort   Sort
	Object types.Object
	Unit   *Unit  // the compiled cell that declares it; nil for what is born in an interpreted one
	Slot   string // key of the variable's slot
	Typed  string // name in unit of an alias of a variable's type, where the type cannot be written elsewhere
}

// Unit is the package of a compiled cell.
type Unit struct {
	Path    string
	Number  int
	Imports []*Unit // the cells that it imports, directly
}

// Namespace is what cells have defined.
type Namespace struct {
	of       string // distinguishes the slots of several namespaces in one process
	Bindings map[string]*Binding
	Imports  map[string]string         // package name in cells to import path
	ByUse    map[string]bool           // those of imports that no import declaration has made
	Dotted   []string                  // import paths of dot imports
	versions map[string]int            // how many slots a name has had
	Homes    map[*types.Package]*Unit  // by the package object of the check
	CHomes   map[*types.Package]*Unit  // the same for what cgo has declared
	Fields   map[*types.Var]Accessor   // how fields that are not exported are reached from other cells
	Funcs    map[types.Object]*Binding // functions and variables by their object, old ones as well
}

// Accessor is a function of a cell's package that returns a pointer to a field.
type Accessor struct {
	Unit  *Unit
	Name  string
	Owner types.Type // of the struct; a generic type's origin
}

// namespaces counts them.
var namespaces atomic.Int32

// New returns a namespace in which nothing is defined. Its slots are its own, beside those of others in this process.
func New() *Namespace {
	of := ""
	if n := namespaces.Add(1); n > 1 {
		of = strconv.Itoa(int(n)) + "_"
	}
	return &Namespace{
		of:       of,
		Bindings: map[string]*Binding{},
		Imports:  map[string]string{},
		ByUse:    map[string]bool{},
		versions: map[string]int{},
		Homes:    map[*types.Package]*Unit{},
		CHomes:   map[*types.Package]*Unit{},
		Fields:   map[*types.Var]Accessor{},
		Funcs:    map[types.Object]*Binding{},
	}
}

// Clone returns a copy to which changes can be made that are thrown away if a cell does not check.
func (n *Namespace) Clone() *Namespace {
	return &Namespace{
		of:       n.of,
		Bindings: maps.Clone(n.Bindings),
		Imports:  maps.Clone(n.Imports),
		ByUse:    maps.Clone(n.ByUse),
		Dotted:   slices.Clone(n.Dotted),
		versions: maps.Clone(n.versions),
		Homes:    n.Homes, CHomes: n.CHomes, Fields: n.Fields, Funcs: n.Funcs, // these only grow
	}
}

// Names returns what is defined, sorted.
func (n *Namespace) Names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(n.Bindings)), IsPast)
}

// OfType returns the names of what has a type, as TypeText writes it, sorted; all names for the empty one.
func (n *Namespace) OfType(typ string) []string {
	var out []string
	for name, b := range n.Bindings {
		if typ == "" || b.TypeText() == typ {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// SlotFor returns the key of a new slot.
func (n *Namespace) SlotFor(name string) string {
	n.versions[name]++
	return name + "#" + n.of + strconv.Itoa(n.versions[name])
}

// Scope puts the namespace, without the names in except, and extra into the scope of a package that is to be checked.
func (n *Namespace) Scope(pkg *types.Package, importer types.Importer, except map[string]bool, extra ...types.Object) {
	scope := pkg.Scope()
	for _, o := range extra {
		scope.Insert(o)
	}
	for name, b := range n.Bindings {
		if !except[name] && scope.Lookup(name) == nil {
			scope.Insert(b.Object)
		}
	}
	for name, path := range n.Imports {
		if except[name] || scope.Lookup(name) != nil {
			continue
		}
		if p, err := importer.Import(path); err == nil {
			scope.Insert(types.NewPkgName(token.NoPos, pkg, name, p))
		}
	}
	for _, path := range n.Dotted {
		p, err := importer.Import(path)
		if err != nil {
			continue
		}
		for _, name := range p.Scope().Names() {
			if token.IsExported(name) && !except[name] && scope.Lookup(name) == nil {
				scope.Insert(p.Scope().Lookup(name))
			}
		}
	}
}

// TypeText is the type of what the name stands for, "type" and "const" for those.
func (b *Binding) TypeText() string {
	switch b.Object.(type) {
	case *types.TypeName:
		return "type"
	case *types.Const:
		return "const"
	}
	return types.TypeString(b.Object.Type(), func(p *types.Package) string {
		if p.Path() == "main" {
			return ""
		}
		return p.Name()
	})
}

// SortName is what Go calls the sort of thing that a name stands for.
func (b *Binding) SortName() string {
	switch b.Sort {
	case Var:
		return "var"
	case Func:
		return "func"
	}
	switch b.TypeText() {
	case "const", "type":
		return b.TypeText()
	}
	return "func" // a generic one
}
