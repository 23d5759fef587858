package session

import (
	"regexp"
	"strings"

	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

// past remembers the cells of this session, and those of earlier ones that the store has.
type past struct {
	store   *history.Store
	session int // its number; 0 means the current one to those who ask
	earlier []wire.HistoryEntry
	cells   []wire.HistoryEntry
}

// newHistory begins a session. Without a store it is the first and only one.
func newHistory(s *history.Store) past {
	h := past{store: s, session: 1}
	if s != nil {
		h.session = s.Session()
		for _, e := range s.Entries() {
			h.earlier = append(h.earlier, wire.HistoryEntry{Session: e.Session, Line: e.Line, Source: e.Source})
		}
	}
	return h
}

func (h *past) add(line int, source string, value *mime.Bundle) {
	if h.store != nil {
		// A history that cannot be written is told when it is opened, and costs nothing else.
		h.store.Add(line, source)
	}
	e := wire.HistoryEntry{Session: h.session, Line: line, Source: source}
	if value != nil {
		e.Output = value.Data[mime.Text]
	}
	h.cells = append(h.cells, e)
}

// choose returns the cells that are asked for, oldest first.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#history
func (h *past) choose(r wire.HistoryRequest) []wire.HistoryEntry {
	chosen := []wire.HistoryEntry{}
	switch r.Access {
	case wire.HistoryTail:
		chosen = last(append(append(chosen, h.earlier...), h.cells...), r.N)
	case wire.HistoryRange:
		of := h.of(r.Session)
		stop := len(of) + 1
		if r.Stop != nil {
			stop = *r.Stop
		}
		for _, e := range of {
			if fromEnd(r.Start, len(of)) <= e.Line && e.Line < fromEnd(stop, len(of)) {
				chosen = append(chosen, e)
			}
		}
	case wire.HistorySearch:
		matches := glob(r.Pattern)
		seen := map[string]bool{}
		all := append(append([]wire.HistoryEntry(nil), h.earlier...), h.cells...)
		for i := len(all) - 1; i >= 0; i-- {
			e := all[i]
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

// of returns the cells of a session: the current one for 0, one before it for a negative number.
func (h *past) of(session int) []wire.HistoryEntry {
	switch {
	case session == 0 || session == h.session:
		return h.cells
	case session < 0:
		session += h.session
	}
	var out []wire.HistoryEntry
	for _, e := range h.earlier {
		if e.Session == session {
			out = append(out, e)
		}
	}
	return out
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
	s.mu.Lock()
	chosen := s.history.choose(r)
	s.mu.Unlock()
	s.reply(s.sockets.Shell, m, wire.HistoryReply{Status: wire.StatusOK, History: chosen})
	return nil
}
