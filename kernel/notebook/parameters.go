package notebook

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// The tags that papermill gives to the cell with a notebook's parameters and to the one that sets them anew.
// https://papermill.readthedocs.io/en/latest/usage-parameterize.html
const (
	parametersTag = "parameters"
	injectedTag   = "injected-parameters"
)

// Parameter is a variable of a notebook that gets another value before the notebook runs.
type Parameter struct {
	Name string
	// Value is what stands in the cell: Go's notation of a value.
	Value string
	// given is the value as it was typed; a variable that holds a duration reads it. It is empty for a plain string.
	given string
}

// ParseParameter reads NAME=VALUE. A value that Go writes so is that: a number, true, false, nil, a quoted string, or a
// list of these with its type, such as []int{1, 2}. Every other value is a string; with plain it always is.
func ParseParameter(text string, plain bool) (Parameter, error) {
	name, value, ok := strings.Cut(text, "=")
	if name = strings.TrimSpace(name); !ok || !token.IsIdentifier(name) {
		return Parameter{},
			fmt.Errorf("%q is no parameter: it should be the name of a variable, =, and its value, such as seeds=5", text)
	}
	p := Parameter{Name: name}
	if !plain {
		p.given = strings.TrimSpace(value)
	}
	if plain || !isLiteral(value) {
		value = strconv.Quote(value)
	}
	p.Value = strings.TrimSpace(value)
	return p, nil
}

func isLiteral(source string) bool {
	e, err := parser.ParseExpr(source)
	return err == nil && literal(e)
}

func literal(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.UnaryExpr:
		_, number := e.X.(*ast.BasicLit)
		return number && (e.Op == token.SUB || e.Op == token.ADD)
	case *ast.Ident:
		return e.Name == "true" || e.Name == "false" || e.Name == "nil"
	case *ast.KeyValueExpr:
		return literal(e.Key) && literal(e.Value)
	case *ast.CompositeLit:
		for _, v := range e.Elts {
			if !literal(v) {
				return false
			}
		}
		return true
	}
	return false
}

// Set gives variables other values: a cell that assigns them is put behind the one that is tagged "parameters", or else
// behind the first that defines each variable. That cell must not use the variable itself, for it would use the old
// value. A cell that an earlier run has put in is replaced. If one parameter cannot be set, none is.
func (nb *Notebook) Set(parameters ...Parameter) error {
	if len(parameters) == 0 {
		return nil
	}
	var cells []*Cell
	for _, c := range nb.Cells {
		if !c.Tagged(injectedTag) {
			cells = append(cells, c)
		}
	}
	injected := map[*Cell][]string{} // by the cell before
	seen := map[string]bool{}
	for _, p := range parameters {
		if seen[p.Name] {
			return fmt.Errorf("notebook: the parameter %s is given twice", p.Name)
		}
		seen[p.Name] = true
		before, err := definedIn(cells, p.Name)
		if err != nil {
			return err
		}
		if p.given != "" && holdsDuration(before.Source, p.Name) {
			if p.Value, err = durationSource(p.given); err != nil {
				return fmt.Errorf("notebook: the parameter %s: %w", p.Name, err)
			}
		}
		injected[before] = append(injected[before], p.Name+" = "+p.Value)
	}
	nb.Cells = nil
	for _, c := range cells {
		nb.Cells = append(nb.Cells, c)
		if lines := injected[c]; lines != nil {
			set := &Cell{Type: Code, Source: strings.Join(lines, "\n"), Metadata: map[string]any{"tags": []any{injectedTag}}}
			if nb.Minor >= 5 { // cells have had an id since
				set.rest = map[string]any{"id": fmt.Sprintf("parameters-%d", len(nb.Cells))}
			}
			nb.Cells = append(nb.Cells, set)
		}
	}
	return nil
}

// definedIn finds the cell behind which a variable can be given another value.
func definedIn(cells []*Cell, name string) (*Cell, error) {
	tagged := slices.IndexFunc(cells, func(c *Cell) bool { return c.Type == Code && c.Tagged(parametersTag) })
	if tagged >= 0 {
		if defined, _ := variables(cells[tagged].Source); slices.Contains(defined, name) {
			return cells[tagged], nil
		}
	}
	var first []string
	for i, c := range cells {
		if c.Type != Code {
			continue
		}
		defined, uses := variables(c.Source)
		if first == nil {
			first = defined
		}
		if !slices.Contains(defined, name) {
			continue
		}
		if uses[name] > 1 {
			return nil, fmt.Errorf(
				"notebook: cell %d uses %s itself, so that it would have the old value there: define it in a cell of its own, "+
					"or in one that is tagged %q", i+1, name, parametersTag)
		}
		return c, nil
	}
	if tagged >= 0 {
		first, _ = variables(cells[tagged].Source)
	}
	if len(first) == 0 {
		return nil, fmt.Errorf("notebook: no cell defines a variable %s", name)
	}
	return nil, fmt.Errorf("notebook: no cell defines a variable %s; there are %s", name, strings.Join(first, ", "))
}

// variables returns the variables that a cell defines at its top level, and how often it mentions each name.
func variables(source string) (defined []string, mentions map[string]int) {
	file := parseGo(source)
	if file == nil {
		return nil, nil
	}
	mentions = map[string]int{}
	for _, s := range statements(file) {
		defined = append(defined, definedBy(s)...)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr: // the name behind a dot is another one
			ast.Inspect(n.X, func(x ast.Node) bool {
				if id, ok := x.(*ast.Ident); ok {
					mentions[id.Name]++
				}
				return true
			})
			return false
		case *ast.Ident:
			mentions[n.Name]++
		}
		return true
	})
	return defined, mentions
}

// parseGo returns what a cell says as a file of Go; nil if nothing can be made of it.
func parseGo(source string) *ast.File {
	var lines []string
	for line := range strings.Lines(source) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "%") || strings.HasPrefix(trimmed, "!") {
			line = "\n"
		}
		lines = append(lines, line)
	}
	body := strings.Join(lines, "")
	// What a cell declares and what it does may stand in any order, which no file of Go may: a function's body takes both
	// but functions, and the parser goes on after those.
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+body+"\n}",
		parser.SkipObjectResolution|parser.AllErrors)
	if file == nil || err != nil && len(file.Decls) == 0 {
		return nil
	}
	return file
}

// statements are those that stand at the top level of a cell.
func statements(file *ast.File) (all []ast.Stmt) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			all = append(all, f.Body.List...)
		}
	}
	return all
}

func definedBy(s ast.Stmt) (names []string) {
	add := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok && id.Name != "_" {
			names = append(names, id.Name)
		}
	}
	switch s := s.(type) {
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE {
			for _, e := range s.Lhs {
				add(e)
			}
		}
	case *ast.DeclStmt:
		if d, ok := s.Decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, spec := range d.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					add(id)
				}
			}
		}
	}
	return names
}
