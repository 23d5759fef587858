package wire

// CompleteRequest asks what may stand at the cursor.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#completion
type CompleteRequest struct {
	Code      string `json:"code"`
	CursorPos int    `json:"cursor_pos"` // in Unicode code points
}

// MessageType is complete_request.
func (CompleteRequest) MessageType() string { return "complete_request" }
