package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
	"github.com/google/uuid"
)

// Registration is what a registration file says beside the transport and the key: where a kernel tells the ports that
// it has chosen. Two kernels that start at a time then never get the same port.
// https://jupyter.org/enhancement-proposals/66-jupyter-handshaking/jupyter-handshaking.html and
// https://jupyter-client.readthedocs.io/en/latest/messaging.html#kernel-startup-handshake
type Registration struct {
	KernelID string
	IP       string
	Port     int
}

// register takes over what a registration file says. Sockets are opened at the address that it names for them, or
// where the registration is.
func (c *Connection) register(path string, r Registration) error {
	for _, field := range []struct {
		name    string
		missing bool
	}{{"kernel_id", r.KernelID == ""}, {"registration_ip", r.IP == ""}, {"registration_port", r.Port == 0}} {
		if field.missing {
			return fmt.Errorf("wire: registration file %s has no %s", path, field.name)
		}
	}
	for _, p := range c.ports() {
		if p.port != 0 {
			return fmt.Errorf("wire: %s has both a registration_port and a %s: a file has the one or the other", path, p.name)
		}
	}
	if c.IP == "" {
		c.IP = r.IP
	}
	c.Registration = &r
	return nil
}

// registrationTime is how long who started the kernel may take to say that it knows the ports.
const registrationTime = 30 * time.Second

// ports is what the kernel says. Ports are text there.
type ports struct {
	KernelID    string `json:"kernel_id"`
	ControlPort string `json:"control_port"`
	ShellPort   string `json:"shell_port"`
	StdinPort   string `json:"stdin_port"`
	IOPubPort   string `json:"iopub_port"`
	HBPort      string `json:"hb_port"`
}

// Register tells the ports of open sockets to who started the kernel, and waits until that is acknowledged. Without a
// registration there is nothing to do.
func (s *Sockets) Register(ctx context.Context) error {
	r := s.Connection.Registration
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, registrationTime)
	defer cancel()
	if err := s.register(ctx, r); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no acknowledgement came within %v", registrationTime)
		} else if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("wire: the kernel's ports could not be registered at %s, port %d: %w", r.IP, r.Port, err)
	}
	return nil
}

func (s *Sockets) register(ctx context.Context, r *Registration) error {
	c := s.Connection
	content, err := encode(ports{
		KernelID: r.KernelID, ControlPort: strconv.Itoa(c.ControlPort), ShellPort: strconv.Itoa(c.ShellPort),
		StdinPort: strconv.Itoa(c.StdinPort), IOPubPort: strconv.Itoa(c.IOPubPort), HBPort: strconv.Itoa(c.HBPort),
	})
	if err != nil {
		return err
	}
	signer, err := NewSigner(c.Key, c.SignatureScheme)
	if err != nil {
		return err
	}
	conn, err := dialUntil(ctx, Connection{Transport: c.Transport, IP: r.IP}, r.Port)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	z, err := openDealer(newLimited(conn))
	if err != nil {
		return err
	}
	defer z.Close()
	if err := z.SendMsg(zmq4.NewMsgFrom(delimiter, signer.sign([][]byte{content}), content)); err != nil {
		return err
	}
	for {
		m, err := z.RecvMsg()
		if err != nil {
			return err
		}
		if m.Type != zmq4.UsrMsg {
			continue
		}
		// What the acknowledgement says is nobody's business, but who signed it is.
		n := len(m.Frames)
		if n < 2 {
			return ErrSignature
		}
		return signer.verify(m.Frames[n-2], m.Frames[n-1:])
	}
}

// openDealer greets a ROUTER socket. zmq4 panics on some malformed input.
func openDealer(conn net.Conn) (z *zmq4.Conn, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("what listens there is no ZeroMQ socket: %v", r)
		}
	}()
	return zmq4.Open(conn, null.Security(), zmq4.Dealer, zmq4.SocketIdentity(uuid.NewString()), false, nil)
}

// dialUntil connects, and tries again where nobody listens yet, as ZeroMQ does.
func dialUntil(ctx context.Context, c Connection, port int) (net.Conn, error) {
	network, address, err := c.address(port)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var fileName = regexp.MustCompile(`^[\w.-]+$`)

// WriteFile writes the connection file of a kernel that has registered into a folder, for other front ends, and
// returns its path. instead is the registration file, which stays as it is: a kernel that is started again needs it.
func (c Connection) WriteFile(dir, instead string) (string, error) {
	if !fileName.MatchString(c.Registration.KernelID) {
		return "", fmt.Errorf("wire: the kernel_id %q cannot be part of a file's name: no connection file is written",
			c.Registration.KernelID)
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("wire: no connection file is written: %w", err)
	}
	path := filepath.Join(dir, "kernel-"+c.Registration.KernelID+".json")
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(instead); err == nil && os.SameFile(a, b) {
			path = filepath.Join(dir, "kernel-"+c.Registration.KernelID+"-connection.json")
		}
	}
	// The name appears when the file is whole. Whoever can read the key can run code as this user.
	file, err := os.CreateTemp(dir, ".kernel-") // 0600
	if err == nil {
		_, err = file.Write(append(text, '\n'))
		err = errors.Join(err, file.Close())
		if err == nil {
			err = os.Rename(file.Name(), path)
		}
		if err != nil {
			os.Remove(file.Name())
		}
	}
	if err != nil {
		return "", fmt.Errorf("wire: no connection file is written: %w", err)
	}
	return path, nil
}
