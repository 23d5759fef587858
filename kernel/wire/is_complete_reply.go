package wire

// IsCompleteReply answers an is_complete_request.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#code-completeness
type IsCompleteReply struct {
	Status Completeness `json:"status"`
	Indent string       `json:"indent,omitempty"` // only when Status is Incomplete
}

// MessageType is is_complete_reply.
func (IsCompleteReply) MessageType() string { return "is_complete_reply" }

// Completeness is whether code can be run as it stands.
type Completeness string

// The answers to an is_complete_request.
const (
	Complete   Completeness = "complete"
	Incomplete Completeness = "incomplete"
	Invalid    Completeness = "invalid"
	Unknown    Completeness = "unknown"
)
