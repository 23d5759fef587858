package wire

// ShutdownRequest asks the kernel to end.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-shutdown
type ShutdownRequest struct {
	Restart bool `json:"restart"` // another one will be started
}

// MessageType is shutdown_request.
func (ShutdownRequest) MessageType() string { return "shutdown_request" }
