package wire

import "encoding/json"

// ExecuteRequest asks to run a cell.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#code-execution-request
type ExecuteRequest struct {
	Code            string            `json:"code"`
	Silent          bool              `json:"silent"`           // no output, no number, no history
	StoreHistory    bool              `json:"store_history"`    // absent means true, unless Silent
	UserExpressions map[string]string `json:"user_expressions"` // evaluated after a cell that went well
	AllowStdin      bool              `json:"allow_stdin"`
	StopOnError     bool              `json:"stop_on_error"` // absent means true
}

// MessageType is execute_request.
func (ExecuteRequest) MessageType() string { return "execute_request" }

// UnmarshalJSON gives absent fields the defaults of the protocol.
func (r *ExecuteRequest) UnmarshalJSON(text []byte) error {
	type plain ExecuteRequest
	p := plain{StopOnError: true}
	fields := struct {
		*plain
		StoreHistory *bool `json:"store_history"`
	}{plain: &p}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	p.StoreHistory = !p.Silent && (fields.StoreHistory == nil || *fields.StoreHistory)
	*r = ExecuteRequest(p)
	return nil
}
