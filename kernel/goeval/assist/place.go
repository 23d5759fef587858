package assist

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Completion and help look at a cell that is being written: it need not parse, least of all at the cursor. The name at
// the cursor is replaced by one that no program has, as much as possible is parsed around it, and what parses is
// checked as any cell is. What stands at the cursor is then a matter of the syntax tree.

// cursorName stands for the name at the cursor.
const cursorName = "ꙮ"

// place is what is known of the cursor's surroundings.
type place struct {
	*check.Checked
	ident *ast.Ident     // the cursor's name
	stack []ast.Node     // what it is in, from the item down to its parent
	item  *syntax.Item   // that it is in
	final []types.Object // the variables of the cell's statements
}

// word is the name, the number or the string at the cursor, by byte offsets.
type word struct {
	start, end int
	text       string // of a name: all of it
	prefix     string // of a name: what stands before the cursor
	isString   bool
}

func isNameRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wordAt returns the word that a byte offset stands in or at the end of. It is empty elsewhere.
func wordAt(source string, at int) word {
	if start, inside := lexical.StateAt(source[:at]); inside == lexical.InString || inside == lexical.InRune {
		return word{start: start, end: literalEnd(source, start, at), isString: inside == lexical.InString}
	}
	w := word{start: at, end: at}
	for _, r := range source[at:] {
		if !isNameRune(r) {
			break
		}
		w.end += len(string(r))
	}
	before := strings.TrimRightFunc(source[:at], isNameRune)
	w.start = len(before)
	w.text, w.prefix = source[w.start:w.end], source[w.start:at]
	return w
}

// isNumber reports whether the word begins as a number does.
func (w word) isNumber() bool { return w.text != "" && w.text[0] >= '0' && w.text[0] <= '9' }

// literalEnd returns where a literal in quotes ends that begins at start and in which at stands; without a closing
// quote, that is where its line ends.
func literalEnd(source string, start, at int) int {
	quote := source[start]
	for i := at; i < len(source); i++ {
		switch c := source[i]; {
		case c == quote:
			return i + 1
		case c == '\\' && quote != '`':
			i++
		case c == '\n' && quote != '`':
			return i
		}
	}
	return len(source)
}

// placeAt looks at a cell with the word replaced by the cursor's name. marks are what may be put there, in the order in
// which they are tried; each has the cursor's name in it. The place is nil where nothing parses around it.
func (e *Environment) placeAt(source string, w word, marks ...string) *place {
	before, after := e.WithPast(lexical.BlankPackageClause(source[:w.start])), source[w.end:]
	best := attempt{failed: -1}
	attempts := max(fewestAttempts, attemptedBytes/(len(source)+1))
	for _, mark := range marks {
		if a := takeApart(before+mark+after, "", &attempts); a.better(best) {
			best = a
		}
		if best.failed == 0 {
			break
		}
	}
	if best.failed != 0 {
		// What follows the cursor in its line may be what is wrong; the lines behind it are looked at by themselves.
		_, rest, _ := strings.Cut(after, "\n")
		for _, mark := range marks {
			if a := takeApart(before+mark, rest, &attempts); a.better(best) {
				best = a
			}
			if best.failed == 0 {
				break
			}
		}
	}
	if best.failed < 0 {
		return nil
	}
	e.FindPast(best.items) // what there is none of, running the cell tells
	p := &place{}
	p.Checked, p.final = e.Checker.Unfinished(best.fset, best.items, e.Namespace)
	for _, it := range p.Items {
		if p.find(it) {
			return p
		}
	}
	return nil
}

// find looks for the cursor's name in an item.
func (p *place) find(it *syntax.Item) bool {
	var stack []ast.Node
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		if p.ident != nil {
			return false
		}
		if n == nil {
			stack = stack[:len(stack)-1]
			return false
		}
		if id, ok := n.(*ast.Ident); ok && id.Name == cursorName {
			p.ident, p.stack, p.item = id, slices.Clone(stack), it
			return false
		}
		stack = append(stack, n)
		return true
	})
	return p.ident != nil
}

// attempt is a cell taken apart as far as it parses.
type attempt struct {
	fset   *token.FileSet
	items  []*syntax.Item
	failed int // how many pieces before the cursor do not parse; -1 where the cursor's does not
}

func (a attempt) better(b attempt) bool {
	return a.failed >= 0 && (b.failed < 0 || a.failed < b.failed)
}

// mostBlanked is how many lines with faults are left out for the sake of what is around them.
const mostBlanked = 8

// How often a cell is taken apart to find the best way, so that nobody waits for Tab in a long cell: each way at least
// once, and else about as many bytes altogether.
const (
	fewestAttempts = 12
	attemptedBytes = 100_000
)

// takeApart takes a text apart that has the cursor's name in it, and the lines that follow. Lines before the cursor at
// which the parser stumbles are left out, so that a function is still one with all that it declares. attempts is how
// often that may be tried.
func takeApart(source, rest string, attempts *int) attempt {
	best := attempt{failed: -1}
	for blanked := 0; blanked < mostBlanked && (blanked == 0 || *attempts > 0); blanked++ {
		*attempts--
		a := attempt{fset: token.NewFileSet()}
		t := &syntax.Text{Source: lexical.WithoutBadTokens(source)}
		cursor := strings.Index(t.Source, cursorName)
		if cursor < 0 {
			return best
		}
		items, failures := syntax.SplitWhatParses(a.fset, t)
		a.items = items
		bad := -1
		for _, f := range failures {
			if f.Start > cursor {
				break
			}
			a.failed++
			if bad < 0 {
				bad = f.At
			}
		}
		if !slices.ContainsFunc(items, func(it *syntax.Item) bool { return new(place).find(it) }) {
			a.failed = -1
		}
		if a.better(best) {
			more, _ := syntax.SplitWhatParses(a.fset, &syntax.Text{Source: lexical.WithoutBadTokens(rest)})
			a.items = append(a.items, more...)
			best = a
		}
		line := strings.LastIndexByte(source[:cursor], '\n') + 1
		if best.failed == 0 || bad < 0 || bad >= line {
			return best
		}
		start := strings.LastIndexByte(source[:bad], '\n') + 1
		end := bad + strings.IndexByte(source[bad:], '\n')
		if strings.TrimSpace(source[start:end]) == "" {
			return best
		}
		source = source[:start] + strings.Repeat(" ", end-start) + source[end:]
	}
	return best
}

// scopeAt returns the innermost scope that the cursor is in; nil at the top level of a cell without statements.
func (p *place) scopeAt() *types.Scope {
	var found *types.Scope
	for _, s := range p.Info.Scopes {
		if s.Contains(p.ident.Pos()) && (found == nil || s.Pos() >= found.Pos() && s.End() <= found.End()) {
			found = s
		}
	}
	return found
}

// locals are the names that the cell has given a meaning at the cursor, with how far out each is: 0 is the innermost
// block.
func (p *place) locals() map[string]nearby {
	out := map[string]nearby{}
	add := func(o types.Object, depth int) {
		if _, ok := out[o.Name()]; !ok && o.Name() != "_" && token.IsIdentifier(o.Name()) && o.Name() != cursorName {
			out[o.Name()] = nearby{o, depth}
		}
	}
	depth := 0
	inner := p.scopeAt()
	for s := inner; s != nil && s != types.Universe && s.Parent() != types.Universe; s = s.Parent() {
		for _, name := range s.Names() {
			if _, o := inner.LookupParent(name, p.ident.Pos()); o != nil && o == s.Lookup(name) {
				add(o, depth)
			}
		}
		depth++
	}
	if p.item.Decl != nil && p.item.Kind != syntax.VarItem {
		for _, o := range p.final { // a function knows the variables of the cell's statements
			add(o, depth)
		}
	}
	for _, o := range p.Declared {
		add(o, depth)
	}
	return out
}

// nearby is a name of the cell itself.
type nearby struct {
	object types.Object
	depth  int
}

// typeOf is the type of an expression as a cell may use it: a call that gives an error beside a value is the value.
func (p *place) typeOf(x ast.Expr) types.Type {
	tv, ok := p.Info.Types[x]
	if !ok {
		if id, isIdent := x.(*ast.Ident); isIdent {
			if o := p.Info.ObjectOf(id); o != nil {
				return known(o.Type())
			}
		}
		return nil
	}
	if t, ok := tv.Type.(*types.Tuple); ok && t.Len() == 2 && types.Identical(t.At(1).Type(), gotypes.Error) {
		return t.At(0).Type()
	}
	return known(tv.Type)
}

// known returns a type, or nil for one that has a fault.
func known(t types.Type) types.Type {
	if t == types.Typ[types.Invalid] {
		return nil
	}
	if _, ok := t.(*types.Tuple); ok {
		return nil
	}
	return t
}
