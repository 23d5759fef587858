package wire

import "encoding/json"

// CommClose closes a comm, and answers a comm_open whose target is not known.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#tearing-down-comms
type CommClose struct {
	CommID string          `json:"comm_id"`
	Data   json.RawMessage `json:"data"` // a JSON object
}

// MessageType is comm_close.
func (CommClose) MessageType() string { return "comm_close" }
