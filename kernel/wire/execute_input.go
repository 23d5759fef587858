package wire

// ExecuteInput tells every front end which cell is being run.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#code-inputs
type ExecuteInput struct {
	Code           string `json:"code"`
	ExecutionCount int    `json:"execution_count"`
}

// MessageType is execute_input.
func (ExecuteInput) MessageType() string { return "execute_input" }
