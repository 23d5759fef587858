package wire

// ExecuteResult shows a cell's value.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#id6
type ExecuteResult struct {
	ExecutionCount int                       `json:"execution_count"`
	Data           MimeBundle                `json:"data"`
	Metadata       map[string]map[string]any `json:"metadata"`
	Transient      Transient                 `json:"transient"`
}

// MessageType is execute_result.
func (ExecuteResult) MessageType() string { return "execute_result" }
