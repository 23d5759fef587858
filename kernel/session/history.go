package session

import (
	"regexp"
	"strings"

	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

// sessionNumber is the number of the one session that history knows; 0 means the current one to those who ask.
const sessionNumber = 1

// history remembers the cells of this session.
type history struct {
	cells []wire.HistoryEntry
}

func (h *history) add(line int, source string, value *mime.Bundle) {
	e := wire.HistoryEntry{Session: sessionNumber, Line: line, Source: source}
	if value != nil {
		e.Output = value.Data[mime.Text]
	}
	h.cells = append(h.cells, e)
}

// choose returns the cells that are asked for, oldest first.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#history
func (h *history) choose(r wire.HistoryRequest) []wire.HistoryEntry {
	chosen := []wire.HistoryEntry{}
	switch r.Access {
	case wire.HistoryTail:
		chosen = last(append(chosen, h.cells...), r.N)
	case wire.HistoryRange:
		if r.Session != 0 && r.Session != sessionNumber {
			break
		}
		stop := len(h.cells) + 1
		if r.Stop != nil {
			stop = *r.Stop
		}
		for _, e := range h.cells {
			if fromEnd(r.Start, len(h.cells)) <= e.Line && e.Line < fromEnd(stop, len(h.cells)) {
				chosen = append(chosen, e)
			}
		}
	case wire.HistorySearch:
		matches := glob(r.Pattern)
		seen := map[string]bool{}
		for i := len(h.cells) - 1; i >= 0; i-- {
			e := h.cells[i]
			if matches.MatchString(e.Source) && !(r.Unique && seen[e.Source]) {
				seen[e.Source] = true
				chosen = append([]wire.HistoryEntry{e}, chosen...)
			}
		}
		chosen = last(chosen, r.N)
	}
	for i := range chosen {
		chosen[i].WithOutput = r.Output
	}
	return chosen
}

// fromEnd resolves a line that is counted from the end, as IPython has it: -1 is the last.
func fromEnd(line, lines int) int {
	if line < 0 {
		return lines + 1 + line
	}
	return line
}

func last(cells []wire.HistoryEntry, n *int) []wire.HistoryEntry {
	if n == nil || *n < 0 || *n >= len(cells) {
		return cells
	}
	return cells[len(cells)-*n:]
}

// glob compiles a pattern in which * is any text and ? any character. The empty pattern is *.
func glob(pattern string) *regexp.Regexp {
	if pattern == "" {
		pattern = "*"
	}
	quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`(?s)^` + quoted + `$`)
}

func (s *session) answerHistory(m *wire.Message) error {
	var r wire.HistoryRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	s.reply(s.sockets.Shell, m, wire.HistoryReply{Status: wire.StatusOK, History: s.history.choose(r)})
	return nil
}
