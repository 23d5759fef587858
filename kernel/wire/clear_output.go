package wire

// ClearOutput removes what a cell has shown.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#clear-output
type ClearOutput struct {
	Wait bool `json:"wait"` // only once the next output arrives
}

// MessageType is clear_output.
func (ClearOutput) MessageType() string { return "clear_output" }
