package goeval

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// withoutMagics blanks the lines at a cell's start that begin with %, keeping the others where they are.
func withoutMagics(source string) (rest string, any bool) {
	lines := strings.SplitAfter(source, "\n")
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "//") {
			continue
		}
		if !strings.HasPrefix(trimmed, "%") {
			break
		}
		any = true
		lines[i] = strings.Repeat(" ", len(strings.TrimRight(line, "\r\n"))) + line[len(strings.TrimRight(line, "\r\n")):]
	}
	return strings.Join(lines, ""), any
}

// magic carries out the lines at the cell's start that begin with %. done is set where nothing is left to run.
func (r *run) magic() (result engine.Result, done bool) {
	rest, any := withoutMagics(r.text.source)
	if !any {
		return engine.Result{}, false
	}
	var says []string
	for _, line := range strings.Split(r.text.source, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		if !strings.HasPrefix(line, "%") {
			break
		}
		said, err := r.oneMagic(strings.Fields(line))
		if err != nil {
			return failed(&engine.Failure{Name: "MagicError", Message: err.Error(), Traceback: []string{red("MagicError") + ": " + err.Error()}}), true
		}
		if said != "" {
			says = append(says, said)
		}
	}
	r.text.source = rest
	if strings.TrimSpace(rest) == "" {
		if len(says) > 0 {
			b := mime.TextOf(strings.Join(says, "\n"))
			result.Value = &b
		}
		return result, true
	}
	return engine.Result{}, false
}

func (r *run) oneMagic(words []string) (says string, err error) {
	switch words[0] {
	case "%%go":
		r.force = "go"
	case "%%yaegi":
		r.force = "yaegi"
	case "%engine":
		if len(words) == 1 {
			return "the engine is " + r.engine, nil
		}
		switch words[1] {
		case "auto", "go", "yaegi":
			r.engine = words[1]
		default:
			return "", fmt.Errorf("there is no engine %s: auto (chooses for each cell), go (compiles all) and yaegi (interprets all) are", words[1])
		}
	case "%reset":
		r.ns, r.groups = newNamespace(), map[string]*group{}
		return "", nil
	case "%mod":
		return r.mod(words)
	case "%tier":
		return r.tier.String(), nil
	default:
		return "", fmt.Errorf("there is no magic %s: %%%%go, %%engine auto|go|yaegi, %%tier, %%reset and %%mod are%s", words[0], didYouMean(words[0], []string{"%%go", "%engine", "%tier", "%reset", "%mod"}))
	}
	return "", nil
}
