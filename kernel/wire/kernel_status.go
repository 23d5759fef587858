package wire

// KernelStatus tells every front end whether the kernel is at work.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-status
type KernelStatus struct {
	ExecutionState ExecutionState `json:"execution_state"`
}

// MessageType is status.
func (KernelStatus) MessageType() string { return "status" }

// ExecutionState is what a kernel is doing.
type ExecutionState string

// The states of a kernel.
const (
	Starting ExecutionState = "starting"
	Busy     ExecutionState = "busy"
	Idle     ExecutionState = "idle"
)
