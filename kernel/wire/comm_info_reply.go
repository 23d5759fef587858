package wire

// CommInfoReply lists the open comms by id.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#comm-info
type CommInfoReply struct {
	Status Status              `json:"status"`
	Comms  map[string]CommInfo `json:"comms"`
}

// MessageType is comm_info_reply.
func (CommInfoReply) MessageType() string { return "comm_info_reply" }

// CommInfo is an open comm.
type CommInfo struct {
	TargetName string `json:"target_name"`
}
