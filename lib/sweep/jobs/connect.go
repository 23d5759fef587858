// Package jobs hands the cells of a sweep out to workers on any machines, over NATS JetStream.
//
// The cells that are missing lie as messages in a stream, one consumer for each model, so that a worker stays with the
// model that it has loaded. A worker that computes a cell says so as long as it does; where it falls silent, the cell
// goes to another one. What it found goes into a second stream, from which the coordinator, of which there is one,
// puts it into the sweep's store. The store alone says what is done: a stream that is lost is filled again from it.
package jobs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connection says how a NATS server is reached.
type Connection struct {
	// URL is nats://host:port, tls://host:port, several of them with commas between them, or unix:///path for the
	// server of a sweep on this machine.
	URL string
	// Creds is a credentials file of NATS, NKey a file with an nkey's seed. Both may be empty.
	Creds, NKey string
	// CA is a file of certificates that the server's is signed by, where the system does not know them. Cert and Key are
	// the client's own, where the server asks for them.
	CA, Cert, Key string
	// Wait goes on trying where no server answers at first.
	Wait bool
}

// unixDialer reaches a server by a socket in a folder that only this user can open.
type unixDialer struct{ path string }

func (d unixDialer) Dial(string, string) (net.Conn, error) { return net.Dial("unix", d.path) }

// SkipTLSHandshake is asked for by the client where it would begin TLS itself.
func (unixDialer) SkipTLSHandshake() bool { return true }

// dial connects. say hears of connections that are lost and found again.
func (c Connection) dial(name string, say func(format string, args ...any)) (*nats.Conn, error) {
	options := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second), nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(3), nats.ReconnectBufSize(-1), nats.Timeout(5 * time.Second),
		nats.RetryOnFailedConnect(c.Wait),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				say("the server is out of reach (%v): trying again", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { say("the server is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !errors.Is(err, nats.ErrSlowConsumer) {
				say("%v", err)
			}
		}),
	}
	address := c.URL
	if path, ok := strings.CutPrefix(c.URL, "unix://"); ok {
		options, address = append(options, nats.SetCustomDialer(unixDialer{path})), "nats://127.0.0.1"
	} else if err := checkURL(c.URL); err != nil {
		return nil, err
	}
	if c.Creds != "" {
		options = append(options, nats.UserCredentials(c.Creds))
	}
	if c.NKey != "" {
		option, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("jobs: %s holds no seed of an nkey: %w", c.NKey, err)
		}
		options = append(options, option)
	}
	secure, err := c.tls()
	if err != nil {
		return nil, err
	}
	if secure != nil {
		options = append(options, nats.Secure(secure))
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, fmt.Errorf("jobs: the server at %s: %w", redacted(c.URL), err)
	}
	return conn, nil
}

func (c Connection) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" && c.Key == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		raw, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("jobs: %s holds no certificate", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("jobs: a certificate of one's own takes both --tls-cert and --tls-key")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("jobs: %s and %s: %w", c.Cert, c.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func checkURL(list string) error {
	for _, one := range strings.Split(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss" {
			return fmt.Errorf("jobs: %q is no address of a NATS server: it is nats://host:4222 or tls://host:4222",
				redacted(one))
		}
	}
	return nil
}

// redacted is an address without a password.
func redacted(list string) string {
	parts := strings.Split(list, ",")
	for i, one := range parts {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil {
			parts[i] = u.Redacted()
		}
	}
	return strings.Join(parts, ",")
}

// sleep waits, or returns false where ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
