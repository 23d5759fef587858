package wire

// InspectRequest asks about the name at the cursor.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#introspection
type InspectRequest struct {
	Code        string `json:"code"`
	CursorPos   int    `json:"cursor_pos"`   // in Unicode code points
	DetailLevel int    `json:"detail_level"` // 1 asks for the source as well
}

// MessageType is inspect_request.
func (InspectRequest) MessageType() string { return "inspect_request" }
