package goeval

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// What cells gave can be used again, as in IPython: _ is the last value, __ and ___ those before it, Out[3] is what
// cell 3 gave and In[3] its source. These are variables, each of its own type. For the check they have names that are
// as long as what stands in the cell, so that places stay: Out[3] is Out_3_.

// past is what cells gave.
type past struct {
	given map[int]*given // by the cell's number
	order []int          // of the cells that gave a value, the last one last
	large []int          // those whose values may hold much
}

// given is what a cell gave.
type given struct {
	binding *namespace.Binding
	why     string // there is none to be used
	used    bool   // by a cell, whose functions may ask for it again
}

// mostLarge is how many values stay that may hold much memory, the last ones. Numbers and short texts stay for good.
const mostLarge = 20

const shortText = 1 << 10

// withPast returns the source with names in the place of Out[3] and In[3], of the same length. Who uses Out or In
// otherwise has something else of this name.
func (r *run) withPast(source string) string {
	if !strings.Contains(source, "Out") && !strings.Contains(source, "In") {
		return source
	}
	lexemes, bad := lexical.Scan(source)
	if bad != nil {
		return source
	}
	out := []byte(source)
	for _, name := range []string{"Out", "In"} {
		if r.ns.Bindings[name] != nil || r.ns.Imports[name] != "" {
			continue
		}
		var places [][2]int
		own := false
		for i, l := range lexemes {
			if l.Tok != token.IDENT || l.Lit != name || i > 0 && lexemes[i-1].Tok == token.PERIOD {
				continue
			}
			if i+3 < len(lexemes) && lexemes[i+1].Tok == token.LBRACK && lexemes[i+2].Tok == token.INT &&
				lexemes[i+3].Tok == token.RBRACK {
				if text := source[l.Offset:lexemes[i+3].End]; text == name+"["+lexemes[i+2].Lit+"]" {
					places = append(places, [2]int{l.Offset, lexemes[i+3].End})
					continue
				}
			}
			own = true
		}
		if own {
			continue
		}
		for _, at := range places {
			out[at[0]+len(name)], out[at[1]-1] = '_', '_'
		}
	}
	return string(out)
}

// findPast finds the values of earlier cells that a cell mentions, and makes variables of them.
func (r *run) findPast(items []*syntax.Item) *syntax.Fault {
	for _, it := range items {
		r.underscored(it)
		for _, id := range it.Unresolved {
			m := namespace.PastNames.FindStringSubmatch(id.Name)
			if m == nil || m[0] != id.Name {
				continue
			}
			number, _ := strconv.Atoi(m[2])
			var g *given
			switch {
			case m[1] == "In":
				g = r.sourceOf(number)
			case m[1] == "Out":
				if g = r.past.given[number]; g == nil {
					g = &given{why: fmt.Sprintf("cell %d has given no value", number)}
				}
			default:
				g = r.past.given[r.past.order[len(r.past.order)-len(m[3])]]
			}
			if g.why != "" {
				return &syntax.Fault{Text: it.Text, Offset: it.Offset(id.Pos()), Message: g.why}
			}
			g.used = true
			o := types.NewVar(token.NoPos, nil, id.Name, g.binding.Object.Type())
			b := *g.binding
			b.Object = o
			r.ns.Bindings[id.Name], r.ns.Funcs[o] = &b, &b
		}
	}
	return nil
}

// underscored gives _, __ and ___ other names where their values are asked for.
func (r *run) underscored(it *syntax.Item) {
	named := map[*ast.Ident]bool{} // where _ stands for nothing
	note := func(list ...ast.Expr) {
		for _, x := range list {
			if id, ok := x.(*ast.Ident); ok {
				named[id] = true
			}
		}
	}
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.AssignStmt:
			note(x.Lhs...)
		case *ast.RangeStmt:
			note(x.Key, x.Value)
		case *ast.ValueSpec:
			for _, id := range x.Names {
				named[id] = true
			}
		case *ast.Field:
			for _, id := range x.Names {
				named[id] = true
			}
		case *ast.SelectorExpr:
			named[x.Sel] = true
		case *ast.TypeSpec:
			named[x.Name] = true
		case *ast.FuncDecl:
			named[x.Name] = true
		case *ast.ImportSpec:
			named[x.Name] = true
		case *ast.LabeledStmt:
			named[x.Label] = true
		case *ast.BranchStmt:
			named[x.Label] = true
		case *ast.Ident:
			n := len(x.Name)
			if named[x] || x.Obj != nil || n > 3 || x.Name != strings.Repeat("_", n) || r.ns.Bindings[x.Name] != nil ||
				n > len(r.past.order) {
				break
			}
			x.Name = strings.Repeat(namespace.Underscore, n)
			if n == 1 { // which the parser does not look up
				it.Unresolved = append(it.Unresolved, x)
			}
		}
		return true
	})
}

// sourceOf makes a variable of a cell's source.
func (r *run) sourceOf(number int) *given {
	t := r.texts[number]
	if t == nil || number < 1 || t == r.text {
		return &given{why: fmt.Sprintf("there is no earlier cell %d", number)}
	}
	source := t.Source
	return r.keep(types.Typ[types.String], reflect.ValueOf(source))
}

// keep makes a variable of a value.
func (r *run) keep(t types.Type, v reflect.Value) *given {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	b := &namespace.Binding{Sort: namespace.Var, Object: types.NewVar(token.NoPos, nil, "", t), Slot: r.ns.SlotFor("Out")}
	cell.Slot(b.Slot, p.Interface())
	return &given{binding: b}
}

// remember notes what a cell gave.
func (r *run) remember(c *check.Checked, values []any) {
	number := r.text.Number
	if number < 1 || r.past.given[number] != nil {
		return
	}
	if len(values) != 1 {
		r.past.given[number] = &given{why: fmt.Sprintf("cell %d has given %d values: give them names to use them again",
			number, len(values))}
		return
	}
	v := reflect.ValueOf(values[0])
	t, why := r.typeOfValue(c, v)
	if why != "" {
		r.past.given[number] = &given{why: fmt.Sprintf("the value of cell %d %s: give it a name to use it again",
			number, why)}
		return
	}
	r.past.given[number] = r.keep(t, v)
	r.past.order = append(r.past.order, number)
	if k := v.Kind(); k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String && v.Len() <= shortText {
		return
	}
	r.past.large = append(r.past.large, number)
	if len(r.past.large) > mostLarge {
		if oldest := r.past.large[0]; !r.past.given[oldest].used {
			r.letGo(oldest)
		}
		r.past.large = r.past.large[1:]
	}
}

// letGo lets a value go.
func (r *run) letGo(number int) {
	cell.Drop(r.past.given[number].binding.Slot)
	r.past.given[number] = &given{
		why: fmt.Sprintf("the value of cell %d has been let go: those of %d cells stay, and what has a name", number,
			mostLarge)}
	r.past.order = slices.DeleteFunc(r.past.order, func(n int) bool { return n == number })
}

// typeOfValue is the type of the one value that a cell gave; or why it has none that another cell could have.
func (r *run) typeOfValue(c *check.Checked, v reflect.Value) (t types.Type, why string) {
	if !v.IsValid() {
		return nil, "is nil"
	}
	if t = c.Info.TypeOf(c.Last.Stmt.(*ast.ExprStmt).X); c.Last.Tuple != nil {
		t = c.Info.TypeOf(c.Last.Tuple[0])
	}
	if tuple, ok := t.(*types.Tuple); ok {
		t = tuple.At(0).Type()
	}
	t = types.Default(t)
	if basic, ok := t.(*types.Basic); ok && basicTypes[basic.Kind()] != v.Type() && v.Kind() != reflect.Complex64 &&
		v.Kind() != reflect.Complex128 {
		return nil, "is a constant that no type holds"
	}
	if types.IsInterface(t) {
		// Its values are kept as what they are, of which only the process knows the type.
		return nil, "is of the interface type " + types.TypeString(t, func(p *types.Package) string { return p.Name() })
	}
	if gotypes.HasOwnFields(t) {
		return nil, "is of a type without a name"
	}
	gotypes.Walk(t, func(part types.Type) bool {
		if named, ok := part.(*types.Named); ok {
			o := named.Obj()
			local := o.Pkg() != nil && o.Parent() != o.Pkg().Scope()
			if local || o.Pkg() != nil && !o.Exported() && r.ns.Homes[o.Pkg()] == nil {
				why = "is of the type " + o.Name() + ", which other cells cannot name"
			}
		}
		return why == ""
	})
	return t, why
}
