package wire

// ExecuteReply answers an execute_request whose cell went well; ErrorReply answers the others.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results
type ExecuteReply struct {
	Status          Status                    `json:"status"`
	ExecutionCount  int                       `json:"execution_count"`
	UserExpressions map[string]UserExpression `json:"user_expressions"`
	Payload         []Payload                 `json:"payload"`
}

// Payload has the front end do something besides. Payloads are deprecated, and there is nothing else for these two.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#payloads-deprecated
type Payload struct {
	Source string `json:"source"` // "page" or "set_next_input"

	Data  MimeBundle `json:"data,omitempty"`  // page
	Start *int       `json:"start,omitempty"` // page: the line to begin with

	Text    string `json:"text,omitempty"`    // set_next_input
	Replace bool   `json:"replace,omitempty"` // set_next_input: in the place of the cell that ran
}

// MessageType is execute_reply.
func (ExecuteReply) MessageType() string { return "execute_reply" }

// UserExpression is the value of a user expression, or why it has none.
type UserExpression struct {
	Status    Status                    `json:"status"`
	Data      MimeBundle                `json:"data,omitempty"`
	Metadata  map[string]map[string]any `json:"metadata,omitempty"`
	Name      string                    `json:"ename,omitempty"`
	Value     string                    `json:"evalue,omitempty"`
	Traceback []string                  `json:"traceback,omitempty"`
}
