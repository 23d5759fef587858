package check

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// A declaration that is made again means the new one to everything that mentions it, as it would if the cells with what
// mentions it were run again. Functions and variables live in slots, which takes care of them. Types, constants and
// generic functions are members of the package of the cell that declares them: what mentions them is taken over into
// the new cell.

// Group is a declaration with what belongs to it: a type with its methods, a constant declaration, a function.
type Group struct {
	names   []string
	Items   []*syntax.Item
	Methods map[string]*syntax.Item // by receiver and name
	uses    map[string]bool         // names that it mentions
}

// Source returns the text of a declaration, its methods included.
func (g *Group) Source() string {
	var out []string
	for _, it := range g.Items {
		out = append(out, it.Text.Source[it.Lead:it.End])
	}
	return strings.Join(out, "\n")
}

func (g *Group) isFunc() bool { return g.Items[0].Kind == syntax.FuncItem }

// groupsOf puts the declarations of a cell into groups.
func groupsOf(items []*syntax.Item) map[string]*Group {
	groups := map[string]*Group{}
	for _, it := range items {
		if it.Kind != syntax.TypeItem && it.Kind != syntax.FuncItem && !(it.Kind == syntax.MethodItem &&
			len(it.Defines) > 0) ||
			len(it.Defines) == 0 || it.Defines[0] == "init" {
			continue
		}
		g := &Group{names: it.Defines, Items: []*syntax.Item{it}, Methods: map[string]*syntax.Item{}}
		for _, name := range it.Defines {
			groups[name] = g
		}
	}
	for _, it := range items {
		if t, name := it.Receiver(); t != "" {
			if g := groups[t]; g != nil {
				g.Items = append(g.Items, it)
				g.Methods[t+"."+name] = it
			}
		}
	}
	for _, g := range groups {
		g.uses = map[string]bool{}
		for _, it := range g.Items {
			for _, id := range it.Unresolved {
				g.uses[id.Name] = true
			}
		}
		for _, name := range g.names {
			delete(g.uses, name)
		}
	}
	return groups
}

// earlier is what earlier cells have declared.
type earlier struct {
	ns     *namespace.Namespace
	groups map[string]*Group // by the names that cells have declared last
}

// Cell checks a cell together with those earlier declarations that what it declares makes anew. It returns nil for
// both where all of the cell is as it was. groups are the declarations of earlier cells, by name. Where there are
// faults, nothing has changed.
func (c *Checker) Cell(fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace,
	groups map[string]*Group) (*Checked, []syntax.Fault) {
	r := earlier{before, groups}
	own := groupsOf(items)
	items = r.withoutUnchanged(items, own)
	own = groupsOf(items)
	if len(items) == 0 {
		return nil, nil
	}
	carried := map[*Group]bool{}
	// A method of an earlier type makes that type anew, with its other methods.
	for _, it := range items {
		t, name := it.Receiver()
		if t == "" || own[t] != nil {
			continue
		}
		if g := r.groups[t]; g != nil {
			h := &Group{names: g.names, Methods: maps.Clone(g.Methods), uses: g.uses}
			for _, old := range g.Items {
				if rt, n := old.Receiver(); rt == t && n == name {
					continue
				}
				h.Items = append(h.Items, old)
			}
			for other := range carried {
				if slices.Equal(other.names, h.names) {
					h = nil // a second method of the same type
					other.Items = slices.DeleteFunc(other.Items, func(old *syntax.Item) bool {
						rt, n := old.Receiver()
						return rt == t &&
							n == name
					})
					break
				}
			}
			if h != nil {
				carried[h] = true
			}
		}
	}
	declared := map[string]bool{}
	for name, g := range own {
		if !g.isFunc() {
			declared[name] = true
		}
	}
	for g := range carried {
		for _, name := range g.names {
			declared[name] = true
		}
	}
	again := map[string]bool{} // names of types, constants and generic functions that are made anew
	for name := range declared {
		if b := r.ns.Bindings[name]; b != nil && r.groups[name] != nil {
			again[name] = true
		}
	}
	for changed := len(again) > 0; changed; {
		changed = false
		for name, g := range r.groups {
			if declared[name] || own[name] != nil || carried[g] || r.ns.Bindings[name] == nil || !usesAny(g, again) {
				continue
			}
			carried[g], changed = true, true
			for _, n := range g.names {
				again[n] = true
			}
		}
	}
	for {
		all := slices.Clone(items)
		for _, g := range sortedGroups(carried) {
			all = append(all, g.Items...)
		}
		done, faults := c.check(fset, all, r.ns, r.sameTypes(items, carried))
		if len(faults) == 0 {
			done.Groups = groupsOf(all)
			return done, nil
		}
		dropped := false
		for g := range carried {
			for _, it := range g.Items {
				for _, f := range faults {
					if f.Text == it.Text && f.Offset >= it.Start && f.Offset <= it.End &&
						!slices.ContainsFunc(items, func(x *syntax.Item) bool { return x == it }) {
						delete(carried, g)
						dropped = true
					}
				}
			}
		}
		if !dropped {
			return nil, faults
		}
	}
}

func usesAny(g *Group, names map[string]bool) bool {
	for name := range g.uses {
		if names[name] {
			return true
		}
	}
	return false
}

func sortedGroups(set map[*Group]bool) []*Group {
	return slices.SortedFunc(maps.Keys(set), func(a, b *Group) int { return strings.Compare(a.names[0], b.names[0]) })
}

// withoutUnchanged leaves out the types, constants and generic functions that are declared as they were before: the
// variables that have these types keep them.
func (r earlier) withoutUnchanged(items []*syntax.Item, own map[string]*Group) []*syntax.Item {
	same := map[*Group]bool{}
	for _, g := range own {
		if g.isFunc() {
			continue
		}
		old := r.groups[g.names[0]]
		if old == nil || r.ns.Bindings[g.names[0]] == nil || !slices.Equal(old.names, g.names) ||
			!g.Items[0].Same(old.Items[0]) {
			continue
		}
		equal := true
		for name, m := range g.Methods {
			o := old.Methods[name]
			equal = equal && o != nil && m.Same(o)
		}
		if equal {
			same[g] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for g := range same {
			for name := range g.uses {
				if other := own[name]; other != nil && !same[other] && !other.isFunc() {
					delete(same, g)
					changed = true
					break
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(items), func(it *syntax.Item) bool {
		for g := range same {
			if slices.Contains(g.Items, it) {
				return true
			}
		}
		return false
	})
}

// sameTypes returns the names of those types among what is made anew whose values stay as they are: only their methods
// change.
func (r earlier) sameTypes(items []*syntax.Item, carried map[*Group]bool) map[string]bool {
	same := map[string]bool{}
	made := groupsOf(items)
	for g := range carried {
		for _, name := range g.names {
			made[name] = g
		}
	}
	for name, g := range made {
		old := r.groups[name]
		if old != nil && r.ns.Bindings[name] != nil && g.Items[0].Kind == syntax.TypeItem && g.Items[0].Same(old.Items[0]) {
			same[name] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for name := range same {
			for _, id := range made[name].Items[0].Unresolved {
				if made[id.Name] != nil && !same[id.Name] {
					delete(same, name)
					changed = true
					break
				}
			}
		}
	}
	return same
}

// migrate gives the variables whose types are made anew, with other methods, the new types. Their memory stays where it
// is.
func (k *checking) migrate() {
	to := map[*types.TypeName]types.Type{}
	for _, o := range k.Declared {
		t, ok := o.(*types.TypeName)
		if !ok || t.IsAlias() || !k.same[t.Name()] {
			continue
		}
		if b := k.After.Bindings[t.Name()]; b != nil {
			if old, ok := b.Object.(*types.TypeName); ok {
				to[old] = t.Type()
			}
		}
	}
	if len(to) == 0 {
		return
	}
	for name, b := range k.After.Bindings {
		if b.Sort != namespace.Var {
			continue
		}
		t := substitute(b.Object.Type(), to)
		if t == b.Object.Type() {
			continue
		}
		o := types.NewVar(token.NoPos, k.Pkg, name, t)
		moved := &namespace.Binding{Sort: namespace.Var, Object: o, Slot: k.After.SlotFor(name)}
		k.Moved = append(k.Moved, Move{From: b, To: moved})
		k.Slots[o] = moved.Slot
		k.After.Bindings[name] = moved
		k.After.Funcs[o] = moved
	}
}

// Move is a variable whose memory gets another type.
type Move struct{ From, To *namespace.Binding }

// substitute replaces named types in a type.
func substitute(t types.Type, to map[*types.TypeName]types.Type) types.Type {
	switch t := t.(type) {
	case *types.Named:
		if n, ok := to[t.Obj()]; ok && t.TypeArgs().Len() == 0 {
			return n
		}
		changed := false
		var args []types.Type
		for i := range t.TypeArgs().Len() {
			a := substitute(t.TypeArgs().At(i), to)
			changed = changed || a != t.TypeArgs().At(i)
			args = append(args, a)
		}
		origin := types.Type(t.Origin())
		if n, ok := to[t.Obj()]; ok {
			origin, changed = n, true
		}
		if changed {
			if n, err := types.Instantiate(nil, origin, args, false); err == nil {
				return n
			}
		}
	case *types.Pointer:
		if e := substitute(t.Elem(), to); e != t.Elem() {
			return types.NewPointer(e)
		}
	case *types.Slice:
		if e := substitute(t.Elem(), to); e != t.Elem() {
			return types.NewSlice(e)
		}
	case *types.Array:
		if e := substitute(t.Elem(), to); e != t.Elem() {
			return types.NewArray(e, t.Len())
		}
	case *types.Chan:
		if e := substitute(t.Elem(), to); e != t.Elem() {
			return types.NewChan(t.Dir(), e)
		}
	case *types.Map:
		key, e := substitute(t.Key(), to), substitute(t.Elem(), to)
		if key != t.Key() || e != t.Elem() {
			return types.NewMap(key, e)
		}
	}
	return t
}
