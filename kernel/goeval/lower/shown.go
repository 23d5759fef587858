package lower

import (
	"fmt"
	"go/ast"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/constants"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// shown returns the values of the cell's last item, as arguments. A constant that is too large for the type that it
// would get is made a value that can be shown.
func (l *Lowering) shown(it *syntax.Item) string {
	list := it.Tuple
	if list == nil {
		x, ok := it.Stmt.(*ast.ExprStmt)
		if !ok {
			return l.Render(it, it.Start, it.End)
		}
		list = []ast.Expr{x.X}
	}
	large := false
	for _, x := range list {
		large = large || constants.IsLarge(l.Info.Types[x])
	}
	if !large {
		return l.Render(it, it.Start, it.End)
	}
	var out []string
	for _, x := range list {
		tv := l.Info.Types[x]
		if !constants.IsLarge(tv) {
			out = append(out, l.Render(it, it.Offset(x.Pos()), it.Offset(x.End())))
			continue
		}
		text, t := constants.Fitted(tv.Value)
		if t == nil {
			text = fmt.Sprintf("%s.Constant(%q)", l.cell(), text)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
