package wire

// InspectReply answers an inspect_request.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#introspection
type InspectReply struct {
	Status   Status                    `json:"status"`
	Found    bool                      `json:"found"`
	Data     MimeBundle                `json:"data"`
	Metadata map[string]map[string]any `json:"metadata"`
}

// MessageType is inspect_reply.
func (InspectReply) MessageType() string { return "inspect_reply" }
