package wire

// Stream is text that a cell wrote. The kernel sends it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#streams-stdout-stderr-etc
type Stream struct {
	Name string `json:"name"` // "stdout" or "stderr"
	Text string `json:"text"`
}

// MessageType is stream.
func (Stream) MessageType() string { return "stream" }
