package wire

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
)

// Connection is what a connection file says: where the sockets are and the key that messages are signed with.
// https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files
type Connection struct {
	Transport       string `json:"transport"` // "tcp" or "ipc"
	IP              string `json:"ip"`        // for ipc, the start of the sockets' paths
	ShellPort       int    `json:"shell_port"`
	ControlPort     int    `json:"control_port"`
	StdinPort       int    `json:"stdin_port"`
	IOPubPort       int    `json:"iopub_port"`
	HBPort          int    `json:"hb_port"`
	SignatureScheme string `json:"signature_scheme"`
	Key             string `json:"key"`
	KernelName      string `json:"kernel_name,omitempty"`
}

// ReadConnection reads the file that Jupyter gives a kernel with -f.
func ReadConnection(path string) (Connection, error) {
	var info Connection
	text, err := os.ReadFile(path)
	if err != nil {
		return info, fmt.Errorf("wire: connection file: %w", err)
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return info, fmt.Errorf("wire: connection file %s: %w", path, err)
	}
	if info.Key == "" {
		slog.Warn("the connection file has no key: messages are not signed, and whoever reaches the kernel's ports can run code as you", "file", path)
	}
	// Whoever can read the key can run code as this user.
	if s, err := os.Stat(path); err == nil && s.Mode().Perm()&0o077 != 0 && info.Key != "" {
		slog.Warn("others can read the connection file: chmod 600 keeps the kernel's key to yourself", "file", path, "mode", s.Mode().Perm())
	}
	for _, p := range info.ports() {
		if p.port <= 0 {
			return info, fmt.Errorf("wire: connection file %s has no %s", path, p.name)
		}
	}
	return info, nil
}

type namedPort struct {
	name string
	port int
}

func (c Connection) ports() []namedPort {
	return []namedPort{
		{"shell_port", c.ShellPort}, {"control_port", c.ControlPort}, {"stdin_port", c.StdinPort},
		{"iopub_port", c.IOPubPort}, {"hb_port", c.HBPort},
	}
}

// address returns what package net listens on.
func (c Connection) address(port int) (network, address string, err error) {
	switch c.Transport {
	case "tcp", "":
		host := c.IP
		switch host {
		case "":
			host = "127.0.0.1" // whoever wants others to connect has to say so
		case "*":
			host = "" // every interface
		}
		return "tcp", net.JoinHostPort(host, strconv.Itoa(port)), nil
	case "ipc":
		return "unix", c.IP + "-" + strconv.Itoa(port), nil
	}
	return "", "", fmt.Errorf("wire: the connection file asks for transport %q; there are \"tcp\" and \"ipc\"", c.Transport)
}
