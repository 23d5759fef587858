package lower

import (
	"regexp"
)

// mark of a type of C in text that is being made; no Go has it.
const cMark = "·C"

var (
	ownC     = regexp.MustCompile(cMark + `\._Ctype_(\w+)`)
	earlierC = regexp.MustCompile(`(` + own + `c\d+)` + cMark + `\._Ctype_(\w+)`)
)

// cTypeNames writes out the types of C in a text: this cell's by their names, an earlier one's by the names that it has
// given them.
func (l *Lowering) cTypeNames(text string) string {
	text = earlierC.ReplaceAllString(text, "${1}."+own+"C_$2")
	return ownC.ReplaceAllStringFunc(text, func(found string) string {
		name := ownC.FindStringSubmatch(found)[1]
		l.cNames[name] = true
		return "C." + name
	})
}
