package wire

// HistoryRequest asks for earlier cells.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#history
type HistoryRequest struct {
	Output  bool          `json:"output"` // results as well
	Raw     bool          `json:"raw"`
	Access  HistoryAccess `json:"hist_access_type"`
	Session int           `json:"session"` // Range: 0 is this one, negative counts back
	Start   int           `json:"start"`   // Range: the first line
	Stop    *int          `json:"stop"`    // Range: the line after the last; nil means to the end
	N       *int          `json:"n"`       // Tail, Search: how many; nil means all
	Pattern string        `json:"pattern"` // Search: a glob, with * and ?
	Unique  bool          `json:"unique"`  // Search: the same source once only
}

// MessageType is history_request.
func (HistoryRequest) MessageType() string { return "history_request" }

// HistoryAccess is a way to choose from the history.
type HistoryAccess string

// The ways to choose from the history.
const (
	HistoryRange  HistoryAccess = "range"
	HistoryTail   HistoryAccess = "tail"
	HistorySearch HistoryAccess = "search"
)
