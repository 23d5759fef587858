package wire

import "encoding/json"

// CommOpen opens a comm; either side may send it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#opening-a-comm
type CommOpen struct {
	CommID     string          `json:"comm_id"`
	TargetName string          `json:"target_name"`
	Data       json.RawMessage `json:"data"` // a JSON object
}

// MessageType is comm_open.
func (CommOpen) MessageType() string { return "comm_open" }
