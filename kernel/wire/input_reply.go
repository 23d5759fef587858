package wire

// InputReply is the line that the person typed.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel
type InputReply struct {
	Status Status `json:"status,omitempty"` // empty means ok
	Value  string `json:"value"`
}

// MessageType is input_reply.
func (InputReply) MessageType() string { return "input_reply" }
