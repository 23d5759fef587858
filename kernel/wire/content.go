package wire

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
)

// The contents of messages, each under the name that the protocol gives it.

// Status is on its own the content of a reply that only says "ok", or of a "status" message.
type Status struct {
	Status string `json:"status"`
}

// ExecutionState is the content of "status".
type ExecutionState struct {
	State string `json:"execution_state"` // "busy", "idle", "starting"
}

// KernelInfoReply answers "kernel_info_request".
type KernelInfoReply struct {
	Status                string       `json:"status"`
	ProtocolVersion       string       `json:"protocol_version"`
	Implementation        string       `json:"implementation"`
	ImplementationVersion string       `json:"implementation_version"`
	LanguageInfo          LanguageInfo `json:"language_info"`
	Banner                string       `json:"banner"`
	HelpLinks             []HelpLink   `json:"help_links"`
	Debugger              bool         `json:"debugger"`
	SupportedFeatures     []string     `json:"supported_features"`
}

// LanguageInfo is what a front end needs to know to show cells.
type LanguageInfo struct {
	Name           string `json:"name"`
	Version        string `json:"version"`
	MIMEType       string `json:"mimetype"`
	FileExtension  string `json:"file_extension"`
	PygmentsLexer  string `json:"pygments_lexer"`
	CodeMirrorMode string `json:"codemirror_mode"`
}

// HelpLink is an entry of the front end's help menu.
type HelpLink struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// ExecuteRequest asks to run a cell.
type ExecuteRequest struct {
	Code            string            `json:"code"`
	Silent          bool              `json:"silent"`
	StoreHistory    *bool             `json:"store_history"` // nil means not silent
	UserExpressions map[string]string `json:"user_expressions"`
	AllowStdin      bool              `json:"allow_stdin"`
	StopOnError     *bool             `json:"stop_on_error"` // nil means true
}

// ExecuteReply answers "execute_request".
type ExecuteReply struct {
	Status          string         `json:"status"` // "ok", "error", "aborted"
	ExecutionCount  int            `json:"execution_count"`
	Payload         []any          `json:"payload,omitempty"`
	UserExpressions map[string]any `json:"user_expressions,omitempty"`
	*ErrorContent   `json:",omitempty"`
}

// ErrorContent is the content of "error", and part of a reply whose status is "error".
type ErrorContent struct {
	Name      string   `json:"ename"`
	Value     string   `json:"evalue"`
	Traceback []string `json:"traceback"`
}

// ExecuteInput is broadcast when a cell starts.
type ExecuteInput struct {
	Code           string `json:"code"`
	ExecutionCount int    `json:"execution_count"`
}

// Stream is text that a cell prints.
type Stream struct {
	Name string `json:"name"` // "stdout", "stderr"
	Text string `json:"text"`
}

// DisplayData is the content of "display_data", "update_display_data" and, with a count, "execute_result".
type DisplayData struct {
	ExecutionCount int                       `json:"execution_count,omitempty"`
	Data           map[string]any            `json:"data"`
	Metadata       map[string]map[string]any `json:"metadata"`
	Transient      map[string]string         `json:"transient,omitempty"`
}

// NewDisplayData puts a bundle into the form of the wire: pictures in base64, JSON as JSON.
func NewDisplayData(b mime.Bundle) DisplayData {
	d := DisplayData{Data: map[string]any{}, Metadata: b.Metadata}
	for t, content := range b.Data {
		switch {
		case mime.Binary(t):
			d.Data[t] = base64.StdEncoding.EncodeToString([]byte(content))
		case (t == mime.JSON || strings.HasSuffix(t, "+json")) && json.Valid([]byte(content)):
			d.Data[t] = json.RawMessage(content)
		default:
			d.Data[t] = content
		}
	}
	if d.Metadata == nil {
		d.Metadata = map[string]map[string]any{}
	}
	if b.ID != "" {
		d.Transient = map[string]string{"display_id": b.ID}
	}
	return d
}

// ClearOutput is the content of "clear_output".
type ClearOutput struct {
	Wait bool `json:"wait"`
}

// IsCompleteRequest asks whether code can run as it stands.
type IsCompleteRequest struct {
	Code string `json:"code"`
}

// IsCompleteReply answers it.
type IsCompleteReply struct {
	Status string `json:"status"` // "complete", "incomplete", "invalid", "unknown"
	Indent string `json:"indent"` // of the next line, if incomplete
}

// CompleteRequest asks for completions.
type CompleteRequest struct {
	Code   string `json:"code"`
	Cursor int    `json:"cursor_pos"` // in code points
}

// CompleteReply answers it.
type CompleteReply struct {
	Status   string         `json:"status"`
	Matches  []string       `json:"matches"`
	Start    int            `json:"cursor_start"`
	End      int            `json:"cursor_end"`
	Metadata map[string]any `json:"metadata"`
}

// TypedMatch is an entry of a CompleteReply's metadata "_jupyter_types_experimental".
type TypedMatch struct {
	Start     int    `json:"start"`
	End       int    `json:"end"`
	Text      string `json:"text"`
	Type      string `json:"type"`
	Signature string `json:"signature,omitempty"`
}

// InspectRequest asks what the name at the cursor is.
type InspectRequest struct {
	Code   string `json:"code"`
	Cursor int    `json:"cursor_pos"`
	Detail int    `json:"detail_level"`
}

// InspectReply answers it.
type InspectReply struct {
	Status   string                    `json:"status"`
	Found    bool                      `json:"found"`
	Data     map[string]any            `json:"data"`
	Metadata map[string]map[string]any `json:"metadata"`
}

// HistoryRequest asks for earlier cells.
type HistoryRequest struct {
	Output  bool   `json:"output"`
	Access  string `json:"hist_access_type"` // "range", "tail", "search"
	Session int    `json:"session"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
	N       int    `json:"n"`
	Pattern string `json:"pattern"`
	Unique  bool   `json:"unique"`
}

// HistoryReply answers it: entries are [session, number, source], or with outputs [session, number, [source, null]].
type HistoryReply struct {
	Status  string  `json:"status"`
	History [][]any `json:"history"`
}

// CommInfoReply answers "comm_info_request".
type CommInfoReply struct {
	Status string         `json:"status"`
	Comms  map[string]any `json:"comms"`
}

// Comm is the part that loupe reads of "comm_open", and the content of "comm_close".
type Comm struct {
	ID   string         `json:"comm_id"`
	Data map[string]any `json:"data"`
}

// Shutdown is the content of "shutdown_request" and "shutdown_reply".
type Shutdown struct {
	Status  string `json:"status,omitempty"`
	Restart bool   `json:"restart"`
}
