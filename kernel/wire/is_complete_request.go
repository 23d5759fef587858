package wire

// IsCompleteRequest asks whether code can be run as it stands.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#code-completeness
type IsCompleteRequest struct {
	Code string `json:"code"`
}

// MessageType is is_complete_request.
func (IsCompleteRequest) MessageType() string { return "is_complete_request" }
