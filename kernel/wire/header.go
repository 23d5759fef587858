package wire

import (
	"time"

	"github.com/google/uuid"
)

// Header says what a message is and who sent it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#message-header
type Header struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"` // ISO 8601
	Type     string `json:"msg_type"`
	Version  string `json:"version"`
	// Subshell is the subshell that a request on shell is for; empty means the main one.
	Subshell string `json:"subshell_id,omitempty"`
}

// dateFormat is ISO 8601 with the microseconds that Jupyter's own messages have.
const dateFormat = "2006-01-02T15:04:05.000000Z"

// Date words a time as headers have it.
func Date(t time.Time) string { return t.UTC().Format(dateFormat) }

func newHeader(messageType, session string) Header {
	return Header{
		ID:       uuid.NewString(),
		Session:  session,
		Username: "kernel",
		Date:     Date(time.Now()),
		Type:     messageType,
		Version:  ProtocolVersion,
	}
}
