package goeval

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
)

// sort of thing that a name of the namespace stands for.
type sortOf int

const (
	isVar   sortOf = iota // a slot
	isFunc                // a function, kept in a slot, so that old callers see a new body
	isDecl                // a type, a constant or a generic function: a member of the package of a compiled cell
	isEmpty               // an import
)

// binding is what a name means.
type binding struct {
	sort   sortOf
	object types.Object
	unit   *unit  // the compiled cell that declares it; nil for what is born in an interpreted one
	slot   string // key of the variable's slot
	typed  string // name in unit of an alias of a variable's type, where the type cannot be written elsewhere
}

// unit is the package of a compiled cell.
type unit struct {
	path    string
	number  int
	imports []*unit // the cells that it imports, directly
}

// namespace is what cells have defined.
type namespace struct {
	of       string // distinguishes the slots of several namespaces in one process
	bindings map[string]*binding
	imports  map[string]string         // package name in cells to import path
	byUse    map[string]bool           // those of imports that no import declaration has made
	dotted   []string                  // import paths of dot imports
	versions map[string]int            // how many slots a name has had
	homes    map[*types.Package]*unit  // by the package object of the check
	cHomes   map[*types.Package]*unit  // the same for what cgo has declared
	fields   map[*types.Var]accessor   // how fields that are not exported are reached from other cells
	funcs    map[types.Object]*binding // functions and variables by their object, old ones as well
}

// accessor is a function of a cell's package that returns a pointer to a field.
type accessor struct {
	unit  *unit
	name  string
	owner types.Type // of the struct; a generic type's origin
}

// namespaces counts them.
var namespaces atomic.Int32

func newNamespace() *namespace {
	of := ""
	if n := namespaces.Add(1); n > 1 {
		of = strconv.Itoa(int(n)) + "_"
	}
	return &namespace{
		of:       of,
		bindings: map[string]*binding{},
		imports:  map[string]string{},
		byUse:    map[string]bool{},
		versions: map[string]int{},
		homes:    map[*types.Package]*unit{},
		cHomes:   map[*types.Package]*unit{},
		fields:   map[*types.Var]accessor{},
		funcs:    map[types.Object]*binding{},
	}
}

// clone returns a copy to which changes can be made that are thrown away if a cell does not check.
func (n *namespace) clone() *namespace {
	return &namespace{
		of:       n.of,
		bindings: maps.Clone(n.bindings),
		imports:  maps.Clone(n.imports),
		byUse:    maps.Clone(n.byUse),
		dotted:   slices.Clone(n.dotted),
		versions: maps.Clone(n.versions),
		homes:    n.homes, cHomes: n.cHomes, fields: n.fields, funcs: n.funcs, // these only grow
	}
}

// names returns what is defined, sorted.
func (n *namespace) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(n.bindings)), isPast)
}

// slotFor returns the key of a new slot.
func (n *namespace) slotFor(name string) string {
	n.versions[name]++
	return name + "#" + n.of + strconv.Itoa(n.versions[name])
}

// scope puts the namespace, without the names in except, and extra into the scope of a package that is to be checked.
func (n *namespace) scope(pkg *types.Package, importer types.Importer, except map[string]bool, extra ...types.Object) {
	scope := pkg.Scope()
	for _, o := range extra {
		scope.Insert(o)
	}
	for name, b := range n.bindings {
		if !except[name] && scope.Lookup(name) == nil {
			scope.Insert(b.object)
		}
	}
	for name, path := range n.imports {
		if except[name] || scope.Lookup(name) != nil {
			continue
		}
		if p, err := importer.Import(path); err == nil {
			scope.Insert(types.NewPkgName(token.NoPos, pkg, name, p))
		}
	}
	for _, path := range n.dotted {
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

func newProgramPackage() *types.Package { return types.NewPackage("main", "main") }
