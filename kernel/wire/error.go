package wire

// Error shows why a cell failed.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-errors
type Error struct {
	Name      string   `json:"ename"`
	Value     string   `json:"evalue"`
	Traceback []string `json:"traceback"` // one string a line, with ANSI colours
}

// MessageType is error.
func (Error) MessageType() string { return "error" }
