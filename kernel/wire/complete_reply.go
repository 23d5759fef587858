package wire

// CompleteReply offers what may stand between two positions, in Unicode code points.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#completion
type CompleteReply struct {
	Status      Status           `json:"status"`
	Matches     []string         `json:"matches"`
	CursorStart int              `json:"cursor_start"`
	CursorEnd   int              `json:"cursor_end"`
	Metadata    CompleteMetadata `json:"metadata"`
}

// MessageType is complete_reply.
func (CompleteReply) MessageType() string { return "complete_reply" }

// CompleteMetadata holds what JupyterLab and the consoles show beside a match. It is no part of the
// protocol; IPython's kernel made the name.
type CompleteMetadata struct {
	Types []TypedMatch `json:"_jupyter_types_experimental,omitempty"`
}

// TypedMatch is a match with its kind and signature.
type TypedMatch struct {
	Text      string `json:"text"`
	Type      string `json:"type"`
	Signature string `json:"signature,omitempty"`
	Start     int    `json:"start"`
	End       int    `json:"end"`
}
