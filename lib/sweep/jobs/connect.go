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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
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

// dial connects. say hears of connections that are lost and found again. The context that it returns ends with ctx, or
// where the server lets this process in no more: its cause is then that sentence.
func (c Connection) dial(ctx context.Context, name string, say func(format string, args ...any)) (*nats.Conn,
	context.Context, error) {
	options, err := c.options(name)
	if err != nil {
		return nil, nil, err
	}
	address := c.URL
	if path, ok := strings.CutPrefix(c.URL, "unix://"); ok {
		options, address = append(options, nats.SetCustomDialer(unixDialer{path})), "nats://127.0.0.1"
	} else if err := checkURL(c.URL); err != nil {
		return nil, nil, err
	}
	plain := slices.Clone(options)
	at := "the server at " + redacted(c.URL)
	heard := &once{say: say}
	run, end := context.WithCancelCause(ctx)
	options = append(options,
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				heard.tell("%s is out of reach (%v): trying again", at, err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if why, refused := c.refusal(err); refused {
				heard.tell("%s: %s: trying again", at, why)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			heard.forget()
			say("%s is back", at)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !errors.Is(err, nats.ErrSlowConsumer) {
				heard.tell("%v", err)
			}
		}),
		nats.ClosedHandler(func(conn *nats.Conn) {
			err := conn.LastError()
			why, refused := c.refusal(err)
			if !refused {
				why = fmt.Sprintf("the connection is closed: %v", err)
			}
			end(fmt.Errorf("jobs: %s: %s", at, why))
		}))
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		conn, err := nats.Connect(address, options...)
		if err == nil {
			heard.forget()
			return conn, run, nil
		}
		why, refused := c.refusal(err)
		if errors.Is(err, nats.ErrNoServers) { // the last of them does not answer, and others may have said more
			why, refused = c.refusalOfAny(address, plain)
		}
		if refused || !c.Wait {
			end(nil)
			return nil, nil, fmt.Errorf("jobs: %s: %s", at, why)
		}
		heard.tell("%s: %s: waiting for it", at, why)
		if !sleep(ctx, pause) {
			end(nil)
			return nil, nil, ctx.Err()
		}
	}
}

// options are what a connection takes but for its handlers.
func (c Connection) options(name string) ([]nats.Option, error) {
	options := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second), nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(3), nats.ReconnectBufSize(-1), nats.Timeout(5 * time.Second)}
	if c.Creds != "" {
		raw, err := os.ReadFile(c.Creds)
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		_, noToken := nkeys.ParseDecoratedJWT(raw)
		if _, err := nkeys.ParseDecoratedUserNKey(raw); err != nil || noToken != nil {
			return nil, fmt.Errorf("jobs: %s are no credentials of NATS, which are a user's JWT and seed", c.Creds)
		}
		options = append(options, nats.UserCredentials(c.Creds))
	}
	if c.NKey != "" {
		if _, err := os.Stat(c.NKey); err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
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
	return options, nil
}

// refusal says in words why a server did not let this process in, and whether it will not do so the next time either.
func (c Connection) refusal(err error) (why string, refused bool) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	switch {
	case err == nil:
		return "", false
	case errors.Is(err, nats.ErrAuthorization) && c.NKey+c.Creds == "":
		return "it lets in whoever has a key, and this one has none: give it with --nkey or --creds", true
	case errors.Is(err, nats.ErrAuthorization):
		return "it does not take the key in " + c.NKey + c.Creds, true
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAccountAuthExpired),
		errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Sprintf("it takes the key in %s no more (%v)", c.NKey+c.Creds, err), true
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return "it asks for no key, and --nkey gives one: leave that out, or see whether it is the right server", true
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "it has no TLS, and tls:// and --tls-ca ask for it", true
	case errors.As(err, &unknown) && c.CA == "":
		return "its certificate is signed by one that this machine does not know: give the ca.pem of the sweep with " +
			"--tls-ca", true
	case errors.As(err, &unknown):
		return "its certificate is not signed by the one in " + c.CA, true
	case errors.As(err, &name), errors.As(err, &invalid):
		return fmt.Sprintf("its certificate does not do: %v", err), true
	case errors.As(err, &alert):
		return fmt.Sprintf("it ends the TLS handshake (%v): it may ask for a certificate, --tls-cert and --tls-key", err), true
	case errors.Is(err, nats.ErrNoServers):
		return "no server answers there", false
	}
	return err.Error(), false
}

// refusalOfAny is what the first of several servers says that refuses this process.
func (c Connection) refusalOfAny(list string, options []nats.Option) (why string, refused bool) {
	for _, one := range strings.Split(list, ",") {
		conn, err := nats.Connect(strings.TrimSpace(one), options...)
		if err == nil {
			conn.Close()
		} else if why, refused := c.refusal(err); refused {
			return why, true
		}
	}
	return "no server answers there", false
}

// once says the same thing once, until it is to forget what it has said.
type once struct {
	say  func(format string, args ...any)
	lock sync.Mutex
	said map[string]bool
}

func (o *once) tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.lock.Lock()
	was := o.said[text]
	if o.said == nil || len(o.said) > 1000 {
		o.said = map[string]bool{}
	}
	o.said[text] = true
	o.lock.Unlock()
	if !was {
		o.say("%s", text)
	}
}

func (o *once) forget() {
	o.lock.Lock()
	o.said = nil
	o.lock.Unlock()
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
