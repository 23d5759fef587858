package wire

import (
	"encoding/json"
	"fmt"
	"os"
)

// Connection is what a connection file says: where the five sockets are, and the key of the signatures.
type Connection struct {
	Transport       string `json:"transport"`
	IP              string `json:"ip"`
	ShellPort       int    `json:"shell_port"`
	ControlPort     int    `json:"control_port"`
	StdinPort       int    `json:"stdin_port"`
	IOPubPort       int    `json:"iopub_port"`
	HeartbeatPort   int    `json:"hb_port"`
	Key             string `json:"key"`
	SignatureScheme string `json:"signature_scheme"`
}

// ReadConnection reads a connection file and refuses what loupe does not speak.
func ReadConnection(path string) (Connection, error) {
	var c Connection
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("wire: the connection file: %w", err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("wire: the connection file %s: %w", path, err)
	}
	if c.Key != "" && c.SignatureScheme != "hmac-sha256" {
		return c, fmt.Errorf("wire: the connection file %s asks for signatures of %q; loupe speaks hmac-sha256", path, c.SignatureScheme)
	}
	if c.Transport != "tcp" && c.Transport != "ipc" {
		return c, fmt.Errorf("wire: the connection file %s asks for the transport %q; loupe speaks tcp and ipc", path, c.Transport)
	}
	return c, nil
}

// endpoint is a port's address in ZeroMQ's notation.
func (c Connection) endpoint(port int) string {
	if c.Transport == "ipc" {
		return fmt.Sprintf("ipc://%s-%d", c.IP, port)
	}
	return fmt.Sprintf("tcp://%s:%d", c.IP, port)
}
