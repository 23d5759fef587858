package wire

import "encoding/json"

// CommMsg is a message over an open comm; either side may send it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#comm-messages
type CommMsg struct {
	CommID string          `json:"comm_id"`
	Data   json.RawMessage `json:"data"` // a JSON object
}

// MessageType is comm_msg.
func (CommMsg) MessageType() string { return "comm_msg" }
