package wire

// KernelInfoRequest asks what the kernel is.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-info
type KernelInfoRequest struct{}

// MessageType is kernel_info_request.
func (KernelInfoRequest) MessageType() string { return "kernel_info_request" }
