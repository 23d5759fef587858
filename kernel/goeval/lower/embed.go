package lower

import (
	"fmt"
	"strconv"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// A variable of a cell may get its value from files, by a //go:embed line as in a package: the files lie in the folder
// of the notebook, or in that of the file that %run runs. The variable itself lives in its slot as all do; what the
// compiler fills is another one beside it. A cell is compiled anew where a file has changed.

// embed returns the value of a variable that embeds files, and declares the one that the compiler fills.
func (l *Lowering) embed(it *syntax.Item, e *syntax.Embedding, typeText string) string {
	if l.embedVars == nil {
		l.embedVars = map[*syntax.Embedding]string{}
	}
	name := l.embedVars[e]
	if name == "" {
		name = private + "embed" + strconv.Itoa(len(l.embedVars)+1)
		l.embedVars[e] = name
		line := syntax.EmbedDirective
		for _, pattern := range e.Patterns {
			line += " " + strconv.Quote(pattern)
		}
		l.embedDecls += fmt.Sprintf("\n// of %s%s%s\nvar %s %s\n", e.Digest, l.directive(it, e.Offset), line, name,
			typeText)
		l.blank["embed"] = true
	}
	if gotypes.IsBytes(l.Info.TypeOf(e.Spec.Type)) {
		return fmt.Sprintf("append(%s[:0:0], %s...)", name,
			name) // the cell may run again, when the bytes have been changed
	}
	return name
}
