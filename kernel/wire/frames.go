package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// delimiter stands between the identities of a message and its signature.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
var delimiter = []byte("<IDS|MSG>")

// MalformedError is a multipart message that is not a Jupyter message.
type MalformedError struct {
	Type   string // the message type, where it could still be read
	Reason string
}

func (e *MalformedError) Error() string {
	if e.Type == "" {
		return "wire: malformed message: " + e.Reason
	}
	return "wire: malformed " + e.Type + ": " + e.Reason
}

// Parse reads a message from its frames and checks its signature before it looks at anything else.
// It accepts whatever can be sent: an error is a *MalformedError, [ErrSignature] or [ErrReplayed].
func Parse(frames [][]byte, signer *Signer) (Message, error) {
	var m Message
	at := -1
	for i, f := range frames {
		if bytes.Equal(f, delimiter) {
			at = i
			break
		}
	}
	if at < 0 {
		return m, &MalformedError{Reason: fmt.Sprintf("%d frames without the delimiter %s", len(frames), delimiter)}
	}
	rest := frames[at+1:]
	if len(rest) < 5 {
		return m, &MalformedError{Reason: fmt.Sprintf("%d frames follow the delimiter, 5 are needed", len(rest))}
	}
	if err := signer.verify(rest[0], rest[1:5]); err != nil {
		return m, err
	}
	for i, part := range []string{"header", "parent header", "metadata", "content"} {
		// A parent that is missing may also be null.
		if f := bytes.TrimSpace(rest[1+i]); !json.Valid(f) || f[0] != '{' && string(f) != "null" {
			return m, &MalformedError{Reason: "the " + part + " is not a JSON object"}
		}
	}
	if err := json.Unmarshal(rest[1], &m.Header); err != nil {
		return m, &MalformedError{Reason: "header: " + err.Error()}
	}
	if m.Header.Type == "" {
		return m, &MalformedError{Reason: "the header has no msg_type"}
	}
	m.Identities = frames[:at]
	m.raw, m.Parent, m.Metadata, m.Content = rest[1], rest[2], rest[3], rest[4]
	m.Buffers = rest[5:]
	return m, nil
}

// Frames lays a message out for sending.
func (m *Message) Frames(signer *Signer) [][]byte {
	object := func(j json.RawMessage) []byte {
		if len(j) == 0 {
			return []byte("{}")
		}
		return j
	}
	parts := [][]byte{m.RawHeader(), object(m.Parent), object(m.Metadata), object(m.Content)}
	frames := make([][]byte, 0, len(m.Identities)+6+len(m.Buffers))
	frames = append(frames, m.Identities...)
	frames = append(frames, delimiter, signer.sign(parts))
	frames = append(frames, parts...)
	return append(frames, m.Buffers...)
}
