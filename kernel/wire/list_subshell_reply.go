package wire

// ListSubshellReply lists the subshells by id.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#list-subshells
type ListSubshellReply struct {
	Status      Status   `json:"status"`
	SubshellIDs []string `json:"subshell_id"`
}

// MessageType is list_subshell_reply.
func (ListSubshellReply) MessageType() string { return "list_subshell_reply" }
