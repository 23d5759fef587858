package wire

// ShutdownReply is the last message of a kernel.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-shutdown
type ShutdownReply struct {
	Status  Status `json:"status"`
	Restart bool   `json:"restart"`
}

// MessageType is shutdown_reply.
func (ShutdownReply) MessageType() string { return "shutdown_reply" }
