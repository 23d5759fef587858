package wire

// DisplayData shows something.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#display-data
type DisplayData struct {
	Data      MimeBundle                `json:"data"`
	Metadata  map[string]map[string]any `json:"metadata"`
	Transient Transient                 `json:"transient"`
}

// MessageType is display_data.
func (DisplayData) MessageType() string { return "display_data" }

// Transient is what is not kept in the notebook.
type Transient struct {
	DisplayID string `json:"display_id,omitempty"` // by which the display can be updated
}
