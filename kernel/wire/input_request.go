package wire

// InputRequest asks the person for a line. The kernel sends it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel
type InputRequest struct {
	Prompt   string `json:"prompt"`
	Password bool   `json:"password"` // do not show what is typed
}

// MessageType is input_request.
func (InputRequest) MessageType() string { return "input_request" }
