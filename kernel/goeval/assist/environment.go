// Package assist completes cells that are being written, and says what a name in them is.
package assist

import (
	"reflect"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/lines"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Environment is what a cell that is being written may use, and what is known of it. Nothing of it may change while it
// is asked.
type Environment struct {
	Namespace *namespace.Namespace
	Checker   *check.Checker
	Groups    map[string]*check.Group // the source of each declaration, by name
	Packages  map[string][]string     // import paths by the names of packages
	Running   bool                    // cells run: what variables hold is left alone
	Sources   *Sources

	Forms      lines.Forms
	Magics     []Magic           // in the order in which they are offered
	AlsoCalled map[string]string // other names of magics

	// Strings offers the names that may stand in a string; only says that nothing else is right there. It may be nil.
	Strings func(in StringPlace) (names []engine.Match, only bool)
	ValueIs func(v reflect.Value) string // what a variable's value is
	// WithPast gives what earlier cells gave names in a source, and FindPast finds what they stand for.
	WithPast func(source string) string
	FindPast func(items []*syntax.Item)

	withSource   bool // Inspect is asked for sources too
	withExamples bool // and for examples
}

// Magic is what a person reads of a line that begins with %.
type Magic struct {
	Name  string // with the % signs
	Usage string // what follows the name
	Doc   string // one line
}

func (m Magic) help() string {
	help := strings.TrimSpace(m.Name + " " + m.Usage)
	if m.Doc != "" {
		help += "\n\n" + m.Doc
	}
	return help
}
