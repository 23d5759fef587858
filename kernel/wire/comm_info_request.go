package wire

// CommInfoRequest asks which comms are open.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#comm-info
type CommInfoRequest struct {
	TargetName string `json:"target_name,omitempty"` // empty means all
}

// MessageType is comm_info_request.
func (CommInfoRequest) MessageType() string { return "comm_info_request" }
