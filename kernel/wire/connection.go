package wire

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
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

	// Registration is where the ports are to be told to who started the kernel, which then chooses them itself; nil
	// where the file names the ports.
	Registration *Registration `json:"-"`
}

// ReadConnection reads the file that Jupyter gives a kernel with -f: a connection file, or a registration file.
func ReadConnection(path string) (Connection, error) {
	var info Connection
	text, err := os.ReadFile(path)
	if err != nil {
		return info, fmt.Errorf("wire: connection file: %w", err)
	}
	var file struct {
		*Connection
		ShellPort        json.RawMessage `json:"shell_port"`
		ControlPort      json.RawMessage `json:"control_port"`
		StdinPort        json.RawMessage `json:"stdin_port"`
		IOPubPort        json.RawMessage `json:"iopub_port"`
		HBPort           json.RawMessage `json:"hb_port"`
		KernelID         string          `json:"kernel_id"`
		RegistrationIP   string          `json:"registration_ip"`
		RegistrationPort json.RawMessage `json:"registration_port"`
		Curve            string          `json:"curve_publickey"`
	}
	file.Connection = &info
	if err := json.Unmarshal(text, &file); err != nil {
		return info, fmt.Errorf("wire: connection file %s: %w", path, err)
	}
	if file.Curve != "" {
		return info, fmt.Errorf("wire: connection file %s asks for CurveZMQ encryption, which loupe does not have: set "+
			"KernelManager.transport_encryption to \"disabled\" or \"auto\"", path)
	}
	registration := Registration{KernelID: file.KernelID, IP: file.RegistrationIP}
	for _, p := range []struct {
		name string
		text json.RawMessage
		port *int
	}{
		{"shell_port", file.ShellPort, &info.ShellPort}, {"control_port", file.ControlPort, &info.ControlPort},
		{"stdin_port", file.StdinPort, &info.StdinPort}, {"iopub_port", file.IOPubPort, &info.IOPubPort},
		{"hb_port", file.HBPort, &info.HBPort}, {"registration_port", file.RegistrationPort, &registration.Port},
	} {
		if *p.port, err = portNumber(p.text); err != nil {
			return info, fmt.Errorf("wire: connection file %s: %s: %w", path, p.name, err)
		}
	}
	if info.Key == "" {
		slog.Warn("the connection file has no key: messages are not signed, and whoever reaches the kernel's ports can "+
			"run code as you", "file", path)
	}
	// Whoever can read the key can run code as this user.
	if s, err := os.Stat(path); err == nil && s.Mode().Perm()&0o077 != 0 && info.Key != "" {
		slog.Warn("others can read the connection file: chmod 600 keeps the kernel's key to yourself", "file", path, "mode",
			s.Mode().Perm())
	}
	if registration.IP != "" || registration.Port != 0 {
		err := info.register(path, registration)
		return info, err
	}
	for _, p := range info.ports() {
		if p.port <= 0 {
			return info, fmt.Errorf("wire: connection file %s has no %s", path, p.name)
		}
	}
	return info, nil
}

// portNumber reads a port. Some clients write it as text.
func portNumber(text json.RawMessage) (int, error) {
	if text == nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(string(text), `"`), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is no port", text)
	}
	return int(n), nil
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
	return "", "", fmt.Errorf("wire: the connection file asks for transport %q; there are \"tcp\" and \"ipc\"",
		c.Transport)
}
