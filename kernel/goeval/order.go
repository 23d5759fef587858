package goeval

import (
	"go/ast"
	"go/token"
)

// inAnyOrder puts the var declarations of a cell that others refer to before those, as Go does with the variables of a
// package: also where they refer to them through functions and methods of the cell. All else stays where it is.
func inAnyOrder(items []*item) []*item {
	items = parted(items)
	o := &orderer{items: items, variables: map[string]*item{}, functions: map[string][]*item{}, first: map[string]int{},
		placed: map[*item]bool{}, at: map[*item]int{}}
	for i, it := range items {
		o.at[it] = i
		for _, name := range it.defines {
			if it.kind == varItem {
				if o.variables[name] == nil {
					o.variables[name] = it
				}
			}
			if _, ok := o.first[name]; !ok && (it.kind == varItem || it.kind == stmtItem) {
				o.first[name] = i
			}
		}
		if d, ok := it.decl.(*ast.FuncDecl); ok {
			o.functions[d.Name.Name] = append(o.functions[d.Name.Name], it)
		}
	}
	for _, it := range items {
		o.place(it, map[*item]bool{})
	}
	return o.out
}

type orderer struct {
	items     []*item
	variables map[string]*item   // the var declaration of a name
	functions map[string][]*item // functions and methods of a name
	first     map[string]int     // where a variable is defined first
	at        map[*item]int
	placed    map[*item]bool
	out       []*item
}

// place puts an item behind what it refers to. Those on the way are not waited for: they refer to each other in a
// circle, of which the check tells.
func (o *orderer) place(it *item, way map[*item]bool) {
	if o.placed[it] || way[it] {
		return
	}
	way[it] = true
	if it.kind == varItem {
		names := map[string]bool{}
		o.mentions(it, names, map[*item]bool{})
		for _, other := range o.items {
			if other.kind != varItem || o.at[other] < o.at[it] || other == it {
				continue
			}
			for _, name := range other.defines {
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
func (o *orderer) needsBetween(it, behind *item) bool {
	names := map[string]bool{}
	o.mentions(it, names, map[*item]bool{})
	for _, between := range o.items[o.at[behind]:o.at[it]] {
		if between.kind != stmtItem {
			continue
		}
		for _, name := range between.defines {
			if names[name] {
				return true
			}
		}
	}
	return false
}

// mentions collects the names from outside that an item refers to, those in functions and methods that it names
// included.
func (o *orderer) mentions(it *item, names map[string]bool, seen map[*item]bool) {
	if seen[it] {
		return
	}
	seen[it] = true
	for _, id := range it.unresolved {
		names[id.Name] = true
	}
	ast.Inspect(it.node(), func(n ast.Node) bool {
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
func parted(items []*item) (out []*item) {
	for _, it := range items {
		parts := it.lines()
		o := &orderer{functions: map[string][]*item{}}
		for _, other := range items {
			if d, ok := other.decl.(*ast.FuncDecl); ok {
				o.functions[d.Name.Name] = append(o.functions[d.Name.Name], other)
			}
		}
		forward := false
		for i, part := range parts {
			names := map[string]bool{}
			o.mentions(part, names, map[*item]bool{})
			for _, later := range parts[i+1:] {
				for _, name := range later.defines {
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
func (it *item) lines() (out []*item) {
	d, ok := it.decl.(*ast.GenDecl)
	if !ok || it.kind != varItem || len(d.Specs) < 2 {
		return nil
	}
	for _, spec := range d.Specs {
		part := *it
		part.decl = &ast.GenDecl{TokPos: spec.Pos(), Tok: token.VAR, Specs: []ast.Spec{spec}}
		part.start, part.end = it.offset(spec.Pos()), it.offset(spec.End())
		part.lead, part.base = part.start, it.file.Offset(spec.Pos())
		part.from, part.to = spec.Pos(), spec.End()
		part.defines, part.unresolved, part.embeds = nil, nil, nil
		if e := it.embedded(spec.(*ast.ValueSpec)); e != nil {
			part.embeds = []*embedding{e}
		}
		for _, name := range spec.(*ast.ValueSpec).Names {
			if name.Name != "_" {
				part.defines = append(part.defines, name.Name)
			}
		}
		for _, id := range it.unresolved {
			if id.Pos() >= part.from && id.End() <= part.to {
				part.unresolved = append(part.unresolved, id)
			}
		}
		out = append(out, &part)
	}
	return out
}
