package wire

// ErrorReply answers any request that failed.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#request-reply
type ErrorReply struct {
	For            string   `json:"-"` // the reply's message type, such as "execute_reply"
	Status         Status   `json:"status"`
	Name           string   `json:"ename"`
	Value          string   `json:"evalue"`
	Traceback      []string `json:"traceback"`
	ExecutionCount int      `json:"execution_count,omitempty"` // execute_reply only
}

// MessageType is that of the reply to the request that failed.
func (r ErrorReply) MessageType() string { return r.For }

// AbortedReply answers a request that was not looked at, because an earlier cell failed.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results
type AbortedReply struct {
	For    string `json:"-"` // the reply's message type
	Status Status `json:"status"`
}

// MessageType is that of the reply to the request that was aborted.
func (r AbortedReply) MessageType() string { return r.For }
