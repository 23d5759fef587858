package wire

// ListSubshellRequest asks which subshells there are.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#list-subshells
type ListSubshellRequest struct{}

// MessageType is list_subshell_request.
func (ListSubshellRequest) MessageType() string { return "list_subshell_request" }
