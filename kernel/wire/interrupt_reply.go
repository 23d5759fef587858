package wire

// InterruptReply says that the running cell was told to stop.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-interrupt
type InterruptReply struct {
	Status Status `json:"status"`
}

// MessageType is interrupt_reply.
func (InterruptReply) MessageType() string { return "interrupt_reply" }
