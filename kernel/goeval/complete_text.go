package goeval

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
)

// completeText offers what may stand at the cursor where that is not Go's names: magics, files behind them and in
// strings, and import paths. ok is false where the cursor is in Go.
func (e *Evaluator) completeText(source string, cursor int) (matches []engine.Match, start, end int, ok bool) {
	runes := []rune(source)
	cursor = min(max(cursor, 0), len(runes))
	before := string(runes[:cursor])
	line := before[strings.LastIndexByte(before, '\n')+1:]
	words := strings.TrimLeft(line, " \t")
	inLine := (strings.HasPrefix(words, "%") || strings.HasPrefix(words, "!")) && statementMayBegin(onlyGo(before[:len(before)-len(line)]))
	name, rest, spaced := strings.Cut(words, " ")
	switch {
	case inLine && strings.HasPrefix(words, "%") && !spaced:
		for _, m := range slices.SortedFunc(slices.Values(e.allMagics()), byName) {
			if strings.HasPrefix(m, name) || !strings.HasPrefix(name, "%%") && strings.HasPrefix(m, "%"+name) {
				doc := strings.TrimSpace(m + " " + magics[m].usage)
				if magics[m].doc != "" {
					doc += ": " + magics[m].doc
				}
				matches = append(matches, engine.Match{Text: m, Type: "magic", Doc: doc})
			}
		}
		return matches, cursor - len([]rune(name)), cursor, true
	case inLine && (strings.HasPrefix(words, "!") || !magics[name].statement):
		if name == "%engine" {
			for _, m := range []string{"auto", "go", "yaegi"} {
				if strings.HasPrefix(m, rest) {
					matches = append(matches, engine.Match{Text: m, Type: "keyword"})
				}
			}
			return matches, cursor - len([]rune(rest)), cursor, true
		}
		word := line[strings.LastIndexAny(line, " \t!=\"'")+1:]
		matches, n := files(word)
		return matches, cursor - n, cursor, true
	}
	text, imports, inString := stringAt(before)
	if !inString {
		return nil, 0, 0, false
	}
	if imports {
		for _, paths := range e.packages {
			for _, p := range paths {
				if strings.HasPrefix(p, text) {
					matches = append(matches, engine.Match{Text: p, Type: "package"})
				}
			}
		}
		slices.SortFunc(matches, func(a, b engine.Match) int { return strings.Compare(a.Text, b.Text) })
		return matches, cursor - len([]rune(text)), cursor, true
	}
	matches, n := files(text)
	return matches, cursor - n, cursor, true
}

func (e *Evaluator) allMagics() []string {
	r := run{Evaluator: e}
	return r.magicNames()
}

// files offers the files whose names go on as a path does; n is how many characters of the path they replace.
func files(path string) (matches []engine.Match, n int) {
	dir, prefix := filepath.Split(path)
	look := dir
	if look == "" {
		look = "."
	} else if rest, ok := strings.CutPrefix(look, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			look = filepath.Join(home, rest)
		}
	}
	entries, err := os.ReadDir(look)
	if err != nil {
		return nil, len([]rune(prefix))
	}
	const most = 500
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, prefix) || prefix == "" && strings.HasPrefix(name, ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(look, name)); err == nil && info.IsDir() {
			name += "/"
		}
		if matches = append(matches, engine.Match{Text: name, Type: "path"}); len(matches) == most {
			break
		}
	}
	return matches, len([]rune(prefix))
}

// stringAt returns the beginning of the string literal that the text ends in, and whether it is an import's.
func stringAt(before string) (text string, imports, ok bool) {
	var quote byte
	start := 0
	for i := 0; i < len(before); i++ {
		switch c := before[i]; {
		case quote == 0 && (c == '"' || c == '`' || c == '\''):
			quote, start = c, i+1
		case quote == 0 && strings.HasPrefix(before[i:], "//"):
			end := strings.IndexByte(before[i:], '\n')
			if end < 0 {
				return "", false, false
			}
			i += end
		case quote == 0 && strings.HasPrefix(before[i:], "/*"):
			end := strings.Index(before[i+2:], "*/")
			if end < 0 {
				return "", false, false
			}
			i += 2 + end + 1
		case quote == c:
			quote = 0
		case quote != 0 && quote != '`' && c == '\\':
			i++
		case quote != 0 && quote != '`' && c == '\n':
			quote = 0
		}
	}
	if quote == 0 || quote == '\'' || start > len(before) {
		return "", false, false
	}
	lead := strings.TrimRight(before[:start-1], " \t\n")
	lead = strings.TrimRight(lead, "_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
	group := strings.LastIndex(before[:start-1], "import (")
	imports = strings.HasSuffix(strings.TrimRight(before[:start-1], " \t"), "import") || strings.HasSuffix(strings.TrimSpace(lead), "import") ||
		group >= 0 && !strings.Contains(before[group:start-1], ")")
	return before[start:], imports, true
}
