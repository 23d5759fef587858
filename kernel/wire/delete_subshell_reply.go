package wire

// DeleteSubshellReply says that a subshell is gone.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#delete-subshell
type DeleteSubshellReply struct {
	Status Status `json:"status"`
}

// MessageType is delete_subshell_reply.
func (DeleteSubshellReply) MessageType() string { return "delete_subshell_reply" }
