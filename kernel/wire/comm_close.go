package wire

// CommClose closes a comm, and answers a comm_open whose target is not known.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#tearing-down-comms
type CommClose struct {
	CommID string   `json:"comm_id"`
	Data   struct{} `json:"data"`
}

// MessageType is comm_close.
func (CommClose) MessageType() string { return "comm_close" }
