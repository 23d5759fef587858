package wire

// DeleteSubshellRequest ends a subshell.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#delete-subshell
type DeleteSubshellRequest struct {
	SubshellID string `json:"subshell_id"`
}

// MessageType is delete_subshell_request.
func (DeleteSubshellRequest) MessageType() string { return "delete_subshell_request" }
