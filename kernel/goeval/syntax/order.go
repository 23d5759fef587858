package syntax

import (
	"go/ast"
	"go/token"
)

// InAnyOrder puts the var declarations of a cell that others refer to before those, as Go does with the variables of a
// package: also where they refer to them through functions and methods of the cell. All else stays where it is.
func InAnyOrder(items []*Item) []*Item {
	items = parted(items)
	o := &orderer{items: items, variables: map[string]*Item{}, functions: map[string][]*Item{}, first: map[string]int{},
		placed: map[*Item]bool{}, at: map[*Item]int{}}
	for i, it := range items {
		o.at[it] = i
		for _, name := range it.Defines {
			if it.Kind == VarItem {
				if o.variables[name] == nil {
					o.variables[name] = it
				}
			}
			if _, ok := o.first[name]; !ok && (it.Kind == VarItem || it.Kind == StmtItem) {
				o.first[name] = i
			}
		}
		if d, ok := it.Decl.(*ast.FuncDecl); ok {
			o.functions[d.Name.Name] = append(o.functions[d.Name.Name], it)
		}
	}
	for _, it := range items {
		o.place(it, map[*Item]bool{})
	}
	return o.out
}

type orderer struct {
	items     []*Item
	variables map[string]*Item   // the var declaration of a name
	functions map[string][]*Item // functions and methods of a name
	first     map[string]int     // where a variable is defined first
	at        map[*Item]int
	placed    map[*Item]bool
	out       []*Item
}

// place puts an item behind what it refers to. Those on the way are not waited for: they refer to each other in a
// circle, of which the check tells.
func (o *orderer) place(it *Item, way map[*Item]bool) {
	if o.placed[it] || way[it] {
		return
	}
	way[it] = true
	if it.Kind == VarItem {
		names := map[string]bool{}
		o.mentions(it, names, map[*Item]bool{})
		for _, other := range o.items {
			if other.Kind != VarItem || o.at[other] < o.at[it] || other == it {
				continue
			}
			for _, name := range other.Defines {
				// A name that a statement before it has defined means that.
				if names[name] && o.variables[name] == other && o.first[name] > o.at[it] && !o.needsBetween(other, it) {
					o.place(other, way)
				}
			}
		}
	}
	delete(way, it)
	if !o.placed[it] {
		o.placed[it] = true
		o.out = append(o.out, it)
	}
}

// needsBetween reports whether a declaration refers to what statements define that stand behind another one.
func (o *orderer) needsBetween(it, behind *Item) bool {
	names := map[string]bool{}
	o.mentions(it, names, map[*Item]bool{})
	for _, between := range o.items[o.at[behind]:o.at[it]] {
		if between.Kind != StmtItem {
			continue
		}
		for _, name := range between.Defines {
			if names[name] {
				return true
			}
		}
	}
	return false
}

// mentions collects the names from outside that an item refers to, those in functions and methods that it names
// included.
func (o *orderer) mentions(it *Item, names map[string]bool, seen map[*Item]bool) {
	if seen[it] {
		return
	}
	seen[it] = true
	for _, id := range it.Unresolved {
		names[id.Name] = true
	}
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if it.from.IsValid() {
				names[id.Name] = true // the parser has found it in another line of the declaration
			}
			for _, f := range o.functions[id.Name] {
				o.mentions(f, names, seen)
			}
		}
		return true
	})
}

// parted makes an item of each line of var declarations in parentheses where one refers to a later one.
func parted(items []*Item) (out []*Item) {
	for _, it := range items {
		parts := it.lines()
		o := &orderer{functions: map[string][]*Item{}}
		for _, other := range items {
			if d, ok := other.Decl.(*ast.FuncDecl); ok {
				o.functions[d.Name.Name] = append(o.functions[d.Name.Name], other)
			}
		}
		forward := false
		for i, part := range parts {
			names := map[string]bool{}
			o.mentions(part, names, map[*Item]bool{})
			for _, later := range parts[i+1:] {
				for _, name := range later.Defines {
					forward = forward || names[name]
				}
			}
		}
		if forward {
			out = append(out, parts...)
		} else {
			out = append(out, it)
		}
	}
	return out
}

// lines returns an item for each line of a var declaration in parentheses.
func (it *Item) lines() (out []*Item) {
	d, ok := it.Decl.(*ast.GenDecl)
	if !ok || it.Kind != VarItem || len(d.Specs) < 2 {
		return nil
	}
	for _, spec := range d.Specs {
		part := *it
		part.Decl = &ast.GenDecl{TokPos: spec.Pos(), Tok: token.VAR, Specs: []ast.Spec{spec}}
		part.Start, part.End = it.Offset(spec.Pos()), it.Offset(spec.End())
		part.Lead, part.base = part.Start, it.File.Offset(spec.Pos())
		part.from, part.to = spec.Pos(), spec.End()
		part.Defines, part.Unresolved, part.Embeds = nil, nil, nil
		if e := it.Embedded(spec.(*ast.ValueSpec)); e != nil {
			part.Embeds = []*Embedding{e}
		}
		for _, name := range spec.(*ast.ValueSpec).Names {
			if name.Name != "_" {
				part.Defines = append(part.Defines, name.Name)
			}
		}
		for _, id := range it.Unresolved {
			if id.Pos() >= part.from && id.End() <= part.to {
				part.Unresolved = append(part.Unresolved, id)
			}
		}
		out = append(out, &part)
	}
	return out
}
