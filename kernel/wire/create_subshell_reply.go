package wire

// CreateSubshellReply names the subshell that has been made.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#create-subshell
type CreateSubshellReply struct {
	Status     Status `json:"status"`
	SubshellID string `json:"subshell_id"`
}

// MessageType is create_subshell_reply.
func (CreateSubshellReply) MessageType() string { return "create_subshell_reply" }
