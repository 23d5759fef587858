package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Message is one message on any of the sockets.
type Message struct {
	// Identities address the peer on a ROUTER socket; on IOPub the one there is, is the topic.
	Identities [][]byte
	Header     Header
	// Parent is the header of the message that caused this one, byte for byte as it came; nil when nothing did.
	Parent   json.RawMessage
	Metadata json.RawMessage // a JSON object; nil means an empty one
	Content  json.RawMessage // a JSON object
	Buffers  [][]byte

	raw json.RawMessage // the header as it was received
}

// NewMessage returns a message with content, sent by a session because of parent; parent may be nil.
// It goes to the peer that parent came from.
func NewMessage(session string, parent *Message, content Content) (Message, error) {
	body, err := encode(content)
	if err != nil {
		return Message{}, fmt.Errorf("wire: %s: %w", content.MessageType(), err)
	}
	m := Message{Header: newHeader(content.MessageType(), session), Content: body}
	if parent != nil {
		m.Identities = parent.Identities
		m.Parent = parent.RawHeader()
	}
	return m, nil
}

// RawHeader returns the header as JSON: as it was received, where it was, so that fields which this
// package has no name for return to their sender.
func (m *Message) RawHeader() json.RawMessage {
	if m.raw == nil {
		m.raw, _ = encode(m.Header) // strings only
	}
	return m.raw
}

// ParentID returns the id of the message that caused this one, "" if there is none.
func (m *Message) ParentID() string {
	var parent Header
	if json.Unmarshal(m.Parent, &parent) != nil {
		return ""
	}
	return parent.ID
}

// Decode reads the content into a pointer to its type.
func (m *Message) Decode(content Content) error {
	if err := json.Unmarshal(m.Content, content); err != nil {
		return &MalformedError{Type: m.Header.Type, Reason: err.Error()}
	}
	return nil
}

// encode is json.Marshal that leaves <, > and & readable.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
