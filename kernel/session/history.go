package session

import (
	"regexp"
	"strings"

	"github.com/loupeml/loupe/kernel/wire"
)

// history remembers the cells of this session, which is number 0 to those who ask.
type history struct {
	entries []entry
}

type entry struct {
	number int
	source string
}

func (h *history) add(number int, source string) {
	h.entries = append(h.entries, entry{number, source})
}

// answer selects entries: the last n ("tail"), those from start up to but not including stop ("range"), or the
// last n that match a pattern with * and ? ("search").
func (h *history) answer(r wire.HistoryRequest) [][]any {
	var chosen []entry
	switch r.Access {
	case "tail":
		chosen = h.entries
	case "range":
		for _, e := range h.entries {
			if r.Session == 0 && e.number >= r.Start && (r.Stop <= 0 || e.number < r.Stop) {
				chosen = append(chosen, e)
			}
		}
	case "search":
		pattern := r.Pattern
		if pattern == "" {
			pattern = "*"
		}
		quoted := regexp.QuoteMeta(pattern)
		matches := regexp.MustCompile("(?s)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + "$")
		seen := map[string]bool{}
		for i := len(h.entries) - 1; i >= 0; i-- {
			e := h.entries[i]
			if matches.MatchString(e.source) && !(r.Unique && seen[e.source]) {
				seen[e.source] = true
				chosen = append([]entry{e}, chosen...)
			}
		}
	}
	if r.Access != "range" && r.N > 0 && len(chosen) > r.N {
		chosen = chosen[len(chosen)-r.N:]
	}
	out := [][]any{}
	for _, e := range chosen {
		var source any = e.source
		if r.Output {
			source = []any{e.source, nil}
		}
		out = append(out, []any{0, e.number, source})
	}
	return out
}
