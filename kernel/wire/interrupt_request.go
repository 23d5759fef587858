package wire

// InterruptRequest asks to stop the running cell.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-interrupt
type InterruptRequest struct{}

// MessageType is interrupt_request.
func (InterruptRequest) MessageType() string { return "interrupt_request" }
