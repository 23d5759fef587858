package wire

// HistoryReply has earlier cells, oldest first.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#history
type HistoryReply struct {
	Status  Status         `json:"status"`
	History []HistoryEntry `json:"history"`
}

// MessageType is history_reply.
func (HistoryReply) MessageType() string { return "history_reply" }

// HistoryEntry is one cell. It is written as a triple: session, line, source; with the output
// asked for the source is a pair of source and output.
type HistoryEntry struct {
	Session, Line int
	Source        string
	WithOutput    bool
	Output        string // empty means none, written as null
}

// MarshalJSON writes the triple.
func (e HistoryEntry) MarshalJSON() ([]byte, error) {
	if !e.WithOutput {
		return encode([]any{e.Session, e.Line, e.Source})
	}
	pair := []any{e.Source, nil}
	if e.Output != "" {
		pair[1] = e.Output
	}
	return encode([]any{e.Session, e.Line, pair})
}
