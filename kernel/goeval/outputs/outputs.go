// Package outputs keeps what cells gave, which can be used again, as in IPython: _ is the last value, __ and ___ those
// before it, Out[3] is what cell 3 gave and In[3] its source. These are variables, each of its own type. For the check
// they have names that are as long as what stands in the cell, so that places stay: Out[3] is Out_3_.
package outputs

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

// Outputs are what cells gave.
type Outputs struct {
	given map[int]*given // by the cell's number
	order []int          // of the cells that gave a value, the last one last
	large []int          // those whose values may hold much
}

// New returns those of a notebook in which nothing has run.
func New() *Outputs { return &Outputs{given: map[int]*given{}} }

// given is what a cell gave.
type given struct {
	binding *namespace.Binding
	why     string // there is none to be used
	used    bool   // by a cell, whose functions may ask for it again
}

// mostLarge is how many values stay that may hold much memory, the last ones. Numbers and short texts stay for good.
const mostLarge = 20

const shortText = 1 << 10

// Named returns a source with names in the place of Out[3] and In[3], of the same length. Who uses Out or In otherwise
// has something else of this name.
func Named(source string, ns *namespace.Namespace) string {
	if !strings.Contains(source, "Out") && !strings.Contains(source, "In") {
		return source
	}
	lexemes, bad := lexical.Scan(source)
	if bad != nil {
		return source
	}
	out := []byte(source)
	for _, name := range []string{"Out", "In"} {
		if ns.Bindings[name] != nil || ns.Imports[name] != "" {
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

// Find finds the values of earlier cells that a cell mentions, and makes variables of them in a namespace. source gives
// the source of an earlier cell, and nil where there is none of a number.
func (o *Outputs) Find(items []*syntax.Item, ns *namespace.Namespace, source func(number int) *string) *syntax.Fault {
	for _, it := range items {
		o.underscored(it, ns)
		for _, id := range it.Unresolved {
			m := namespace.PastNames.FindStringSubmatch(id.Name)
			if m == nil || m[0] != id.Name {
				continue
			}
			number, _ := strconv.Atoi(m[2])
			var g *given
			switch {
			case m[1] == "In":
				g = &given{why: fmt.Sprintf("there is no earlier cell %d", number)}
				if text := source(number); text != nil {
					g = keep(types.Typ[types.String], reflect.ValueOf(*text), ns)
				}
			case m[1] == "Out":
				if g = o.given[number]; g == nil {
					g = &given{why: fmt.Sprintf("cell %d has given no value", number)}
				}
			default:
				g = o.given[o.order[len(o.order)-len(m[3])]]
			}
			if g.why != "" {
				return &syntax.Fault{Text: it.Text, Offset: it.Offset(id.Pos()), Message: g.why}
			}
			g.used = true
			v := types.NewVar(token.NoPos, nil, id.Name, g.binding.Object.Type())
			b := *g.binding
			b.Object = v
			ns.Bindings[id.Name], ns.Funcs[v] = &b, &b
		}
	}
	return nil
}

// underscored gives _, __ and ___ other names where their values are asked for.
func (o *Outputs) underscored(it *syntax.Item, ns *namespace.Namespace) {
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
			if named[x] || x.Obj != nil || n > 3 || x.Name != strings.Repeat("_", n) || ns.Bindings[x.Name] != nil ||
				n > len(o.order) {
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

// keep makes a variable of a value.
func keep(t types.Type, v reflect.Value, ns *namespace.Namespace) *given {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	b := &namespace.Binding{Sort: namespace.Var, Object: types.NewVar(token.NoPos, nil, "", t), Slot: ns.SlotFor("Out")}
	cell.Slot(b.Slot, p.Interface())
	return &given{binding: b}
}

// Remember notes what the cell of a number gave.
func (o *Outputs) Remember(number int, c *check.Checked, values []any, ns *namespace.Namespace) {
	if number < 1 || o.given[number] != nil {
		return
	}
	if len(values) != 1 {
		o.given[number] = &given{why: fmt.Sprintf("cell %d has given %d values: give them names to use them again",
			number, len(values))}
		return
	}
	v := reflect.ValueOf(values[0])
	t, why := typeOfValue(c, v, ns)
	if why != "" {
		o.given[number] = &given{why: fmt.Sprintf("the value of cell %d %s: give it a name to use it again",
			number, why)}
		return
	}
	o.given[number] = keep(t, v, ns)
	o.order = append(o.order, number)
	if k := v.Kind(); k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String && v.Len() <= shortText {
		return
	}
	o.large = append(o.large, number)
	if len(o.large) > mostLarge {
		if oldest := o.large[0]; !o.given[oldest].used {
			o.letGo(oldest)
		}
		o.large = o.large[1:]
	}
}

// letGo lets a value go.
func (o *Outputs) letGo(number int) {
	cell.Drop(o.given[number].binding.Slot)
	o.given[number] = &given{
		why: fmt.Sprintf("the value of cell %d has been let go: those of %d cells stay, and what has a name", number,
			mostLarge)}
	o.order = slices.DeleteFunc(o.order, func(n int) bool { return n == number })
}

// typeOfValue is the type of the one value that a cell gave; or why it has none that another cell could have.
func typeOfValue(c *check.Checked, v reflect.Value, ns *namespace.Namespace) (t types.Type, why string) {
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
	if basic, ok := t.(*types.Basic); ok && gotypes.Basic[basic.Kind()] != v.Type() && v.Kind() != reflect.Complex64 &&
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
			if local || o.Pkg() != nil && !o.Exported() && ns.Homes[o.Pkg()] == nil {
				why = "is of the type " + o.Name() + ", which other cells cannot name"
			}
		}
		return why == ""
	})
	return t, why
}
