// Package wire is the Jupyter messaging protocol: typed content, one message a file, signing, the
// connection file and the five sockets. It knows nothing of Go cells, nor of what a kernel does with a message.
//
// https://jupyter-client.readthedocs.io/en/stable/messaging.html
package wire

// ProtocolVersion is the version of the protocol that the messages of this package are in.
const ProtocolVersion = "5.5"

// Content is the body of a message; its type is the header's msg_type.
type Content interface {
	MessageType() string
}

// Status tells how a request went; every reply has one.
type Status string

// The statuses of a reply.
const (
	StatusOK      Status = "ok"
	StatusError   Status = "error"
	StatusAborted Status = "aborted" // not run, because an earlier cell failed
)
