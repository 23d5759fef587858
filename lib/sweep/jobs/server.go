package jobs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/loupeml/loupe/internal/scratch"
)

// Server is a NATS server within this process. Workers of this user on this machine reach it by a socket in a folder
// that no one else can open; a port is opened where [Listen] says so.
type Server struct {
	nats     *natsserver.Server
	socket   net.Listener
	folder   string // of the socket
	nkey     string
	caFile   string
	listened string
	config   natsserver.JetStreamConfig // as it was when JetStream was there last
}

// Listen opens a port to workers on other machines. It always takes a key that only invited workers have, and TLS.
type Listen struct {
	// Address is host:port; empty opens no port.
	Address string
	// Cert and Key are the server's certificate; empty makes one, which ca.pem in the sweep's folder vouches for.
	Cert, Key string
}

// files of a server in a sweep's folder.
const (
	nkeyFile = "worker.nk" // the seed that workers sign in with
	caFile   = "ca.pem"    // what vouches for the server's certificate
	keyFile  = "ca.key"    // its key, which stays here
)

// socketKind begins the names of sockets' folders.
const socketKind = "sweep-"

// maxPayload is the largest message of a server of our own.
const maxPayload = 8 << 20

// StartServer starts a server that keeps its streams below folder.
func StartServer(folder string, listen Listen) (*Server, error) {
	fail := func(err error) (*Server, error) { return nil, fmt.Errorf("jobs: the server in %s: %w", folder, err) }
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fail(err)
	}
	s := &Server{}
	options := &natsserver.Options{ServerName: "loupe", DontListen: true, JetStream: true, StoreDir: filepath.Join(folder,
		"server"), NoSigs: true, NoLog: true, MaxPayload: maxPayload, NoSystemAccount: true}
	if listen.Address != "" {
		if err := s.open(options, folder, listen); err != nil {
			return fail(err)
		}
	}
	var err error
	if s.nats, err = natsserver.NewServer(options); err != nil {
		return fail(err)
	}
	go s.nats.Start()
	if !s.nats.ReadyForConnections(30 * time.Second) {
		s.nats.Shutdown()
		return fail(errors.New("it does not start within 30 s: is the port in use, or the disk full?"))
	}
	if listen.Address != "" {
		s.listened = s.nats.Addr().String()
	}
	scratch.CleanIn(os.TempDir(), socketKind)                                   // of sweeps that were killed
	if s.folder, err = os.MkdirTemp("", scratch.Name(socketKind)); err != nil { // a socket's path is to be short
		s.nats.Shutdown()
		return fail(err)
	}
	if s.socket, err = net.Listen("unix", filepath.Join(s.folder, "nats")); err != nil {
		s.Close()
		return fail(err)
	}
	go s.accept()
	return s, nil
}

// revive ends JetStream and begins it again from what is on the disk. A stream that could not be written once, as on a
// full disk, takes nothing more until then.
func (s *Server) revive() error {
	if config := s.nats.JetStreamConfig(); config != nil {
		s.config = *config
	}
	if err := s.nats.DisableJetStream(); err != nil {
		return err
	}
	config := s.config
	config.StoreDir = filepath.Dir(config.StoreDir) // it is told without the folder that the server adds
	return s.nats.EnableJetStream(&config)
}

// open lets a server listen on a port.
func (s *Server) open(options *natsserver.Options, folder string, listen Listen) error {
	host, port, err := net.SplitHostPort(listen.Address)
	if err != nil {
		return fmt.Errorf("it is to listen on %q, and an address is host:port: %w", listen.Address, err)
	}
	options.Host = host
	if options.Port, err = strconv.Atoi(port); err != nil || options.Port < 0 || options.Port > 65535 {
		return fmt.Errorf("it is to listen on port %q", port)
	}
	if options.Port == 0 {
		options.Port = natsserver.RANDOM_PORT
	}
	if options.Host == "" {
		options.Host = "0.0.0.0"
	}
	options.DontListen = false
	public, err := s.key(filepath.Join(folder, nkeyFile))
	if err != nil {
		return err
	}
	options.Nkeys = []*natsserver.NkeyUser{{Nkey: public}}
	if (listen.Cert == "") != (listen.Key == "") {
		return errors.New("a certificate takes both --tls-cert and --tls-key")
	}
	var pair tls.Certificate
	if listen.Cert != "" {
		pair, err = tls.LoadX509KeyPair(listen.Cert, listen.Key)
	} else {
		s.caFile = filepath.Join(folder, caFile)
		pair, err = certificate(s.caFile, filepath.Join(folder, keyFile), options.Host)
	}
	if err != nil {
		return err
	}
	options.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	options.TLS, options.TLSTimeout, options.AllowNonTLS = true, 5, false
	return nil
}

// key is the public key of the seed in a file, which is made where there is none.
func (s *Server) key(file string) (public string, err error) {
	s.nkey = file
	seed, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return "", err
		}
		if seed, err = pair.Seed(); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, append(seed, '\n'), 0o600); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	if err != nil {
		return "", fmt.Errorf("%s holds no seed of an nkey: %w", file, err)
	}
	return pair.PublicKey()
}

// certificate is one for the names and addresses that this machine has now. The authority that signs it is that of the
// first start, in the file that workers are given: an address that comes or goes does not shut them out.
func certificate(file, keyFile, host string) (tls.Certificate, error) {
	names, addresses, err := ourNames(host)
	if err != nil {
		return tls.Certificate{}, err
	}
	authority, err := tls.LoadX509KeyPair(file, keyFile)
	if errors.Is(err, os.ErrNotExist) || err == nil && time.Now().AddDate(0, 0, 7).After(authority.Leaf.NotAfter) {
		authority, err = newAuthority(file, keyFile)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s, which vouch for it: %w", file, keyFile, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := template("loupe sweep", authority.Leaf.NotAfter)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames, template.IPAddresses = names, addresses
	raw, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, &key.PublicKey, authority.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}

// newAuthority makes an authority, and writes its certificate and its key down.
func newAuthority(file, keyFile string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := template("loupe sweep authority", time.Now().AddDate(10, 0, 0))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage, template.IsCA, template.MaxPathLenZero = x509.KeyUsageCertSign, true, true
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	for _, one := range []struct {
		file, kind string
		raw        []byte
		mode       os.FileMode
	}{{keyFile, "PRIVATE KEY", secret, 0o600}, {file, "CERTIFICATE", raw, 0o644}} {
		text := pem.EncodeToMemory(&pem.Block{Type: one.kind, Bytes: one.raw})
		if err := os.WriteFile(one.file, text, one.mode); err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.LoadX509KeyPair(file, keyFile)
}

// template is what all certificates have.
func template(name string, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), // a clock may be behind
		NotAfter:  until, BasicConstraintsValid: true}, nil
}

// ourNames are those that this machine is reached by.
func ourNames(host string) (names []string, addresses []net.IP, err error) {
	names = []string{"localhost"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range interfaces {
		if n, ok := a.(*net.IPNet); ok {
			addresses = append(addresses, n.IP)
		}
	}
	if ip := net.ParseIP(host); ip != nil {
		addresses = append(addresses, ip)
	} else if host != "" {
		names = append(names, host)
	}
	return names, addresses, nil
}

// accept joins connections of the socket to the server.
func (s *Server) accept() {
	for {
		outside, err := s.socket.Accept()
		if err != nil {
			return // it is closed
		}
		inside, err := s.nats.InProcessConn()
		if err != nil {
			outside.Close()
			continue
		}
		join := func(to, from net.Conn) {
			io.Copy(to, from)
			to.Close()
			from.Close()
		}
		go join(outside, inside)
		go join(inside, outside)
	}
}

// Connection is how this user's processes on this machine reach the server.
func (s *Server) Connection() Connection {
	return Connection{URL: "unix://" + s.socket.Addr().String(), NKey: s.nkey}
}

// Invitation is what a worker on another machine is to be started with, and the files that it needs; empty where no
// port is open.
func (s *Server) Invitation() (command string, files []string) {
	if s.listened == "" {
		return "", nil
	}
	_, port, _ := net.SplitHostPort(s.listened)
	host, _, _ := net.SplitHostPort(s.listened)
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	command = fmt.Sprintf("loupe worker tls://%s --nkey %s", net.JoinHostPort(host, port), nkeyFile)
	files = []string{s.nkey}
	if s.caFile != "" {
		command, files = command+" --tls-ca "+caFile, append(files, s.caFile)
	}
	return command, files
}

// Close stops the server. Its streams stay on the disk.
func (s *Server) Close() {
	if s.socket != nil {
		s.socket.Close()
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	os.RemoveAll(s.folder)
}
