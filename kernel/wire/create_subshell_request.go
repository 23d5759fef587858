package wire

// CreateSubshellRequest asks for a thread of cells beside the main one.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#create-subshell
type CreateSubshellRequest struct{}

// MessageType is create_subshell_request.
func (CreateSubshellRequest) MessageType() string { return "create_subshell_request" }
