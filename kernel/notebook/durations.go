package notebook

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Go writes a duration as 3 * time.Second, people write 3s. A parameter's value is read so only where the variable is
// known to hold a duration, for 3s may as well be a name. No types are at hand before the notebook runs: the variable's
// definition has to show it, by its type or by a unit of package time.

// holdsDuration says that a cell defines a variable, and visibly as a duration.
func holdsDuration(source, name string) bool {
	file := parseGo(source)
	if file == nil {
		return false
	}
	holds := false // what the last definition says
	for _, s := range statements(file) {
		switch s := s.(type) {
		case *ast.AssignStmt:
			for i, l := range s.Lhs {
				if id, ok := l.(*ast.Ident); ok && id.Name == name && s.Tok == token.DEFINE {
					holds = len(s.Lhs) == len(s.Rhs) && isDuration(s.Rhs[i])
				}
			}
		case *ast.DeclStmt:
			d, ok := s.Decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				for i, id := range v.Names {
					if id.Name == name {
						holds = ofTime(v.Type, "Duration") ||
							v.Type == nil && len(v.Names) == len(v.Values) && isDuration(v.Values[i])
					}
				}
			}
		}
	}
	return holds
}

// isDuration says that an expression's type is time.Duration; what it cannot tell is none.
func isDuration(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return ofTime(e, "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour")
	case *ast.CallExpr:
		return ofTime(e.Fun, "Duration")
	case *ast.ParenExpr:
		return isDuration(e.X)
	case *ast.UnaryExpr:
		return (e.Op == token.SUB || e.Op == token.ADD) && isDuration(e.X)
	case *ast.BinaryExpr:
		switch e.Op {
		case token.ADD, token.SUB, token.MUL, token.QUO, token.REM:
			return isDuration(e.X) || isDuration(e.Y)
		}
	}
	return false
}

// ofTime says that an expression is one of these names of package time.
func ofTime(e ast.Expr, names ...string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if p, ok := s.X.(*ast.Ident); !ok || p.Name != "time" {
		return false
	}
	return slices.Contains(names, s.Sel.Name)
}

// durationSource returns Go's notation of a duration that is given as 3s or 1h30m. A number without a unit would be one
// of nanoseconds in Go, which nobody means: it is refused, as package flag does, but for 0.
func durationSource(given string) (string, error) {
	text := given
	if unquoted, err := strconv.Unquote(given); err == nil {
		text = unquoted
	}
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("%s is no duration: write a number and its unit, such as 3s, 1h30m or 250ms", given)
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"}, {time.Millisecond, "Millisecond"},
		{time.Microsecond, "Microsecond"}} {
		if d != 0 && d%unit.length == 0 {
			return fmt.Sprintf("%d * time.%s", d/unit.length, unit.name), nil
		}
	}
	return strconv.FormatInt(int64(d), 10), nil
}
