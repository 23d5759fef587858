package wire

// UpdateDisplayData replaces every display that has the display id.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#update-display-data
type UpdateDisplayData struct {
	Data      MimeBundle                `json:"data"`
	Metadata  map[string]map[string]any `json:"metadata"`
	Transient Transient                 `json:"transient"`
}

// MessageType is update_display_data.
func (UpdateDisplayData) MessageType() string { return "update_display_data" }
