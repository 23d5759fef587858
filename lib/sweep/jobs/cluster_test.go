package jobs

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/loupeml/loupe/internal/testenv"
)

// operated is what an administrator of a cluster has made: the part of the servers' configuration that says who is let
// in, and files for its users.
type operated struct {
	config      string
	creds, none string // of a user whose account has JetStream, and of one whose account has none
	cert, key   string // of the servers
	authority   string
}

// permitted are the subjects that docs/sweeps.md names.
var permitted = []string{"$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$O.>", "loupe.sweep.>", "_INBOX.>"}

func operator(t *testing.T, folder string) (o operated) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pairOf := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		pair, err := make()
		must(err)
		public, err := pair.PublicKey()
		must(err)
		return pair, public
	}
	top, topPublic := pairOf(nkeys.CreateOperator)
	claims := jwt.NewOperatorClaims(topPublic)
	claims.Name = "test"
	_, systemPublic := pairOf(nkeys.CreateAccount)
	claims.SystemAccount = systemPublic
	text, err := claims.Encode(top)
	must(err)
	system, err := jwt.NewAccountClaims(systemPublic).Encode(top)
	must(err)
	preload := fmt.Sprintf("  %s: %s\n", systemPublic, system)
	account := func(name string, stored int64) (creds string) {
		pair, public := pairOf(nkeys.CreateAccount)
		account := jwt.NewAccountClaims(public)
		account.Name = name
		account.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: stored, Streams: stored, Consumer: stored}
		text, err := account.Encode(top)
		must(err)
		preload += fmt.Sprintf("  %s: %s\n", public, text)
		user, userPublic := pairOf(nkeys.CreateUser)
		of := jwt.NewUserClaims(userPublic)
		of.Permissions.Pub.Allow.Add(permitted...)
		of.Permissions.Sub.Allow.Add("loupe.sweep.>", "_INBOX.>")
		token, err := of.Encode(pair)
		must(err)
		seed, err := user.Seed()
		must(err)
		both, err := jwt.FormatUserConfig(token, seed)
		must(err)
		file := filepath.Join(folder, name+".creds")
		must(os.WriteFile(file, both, 0o600))
		return file
	}
	o.creds, o.none = account("me", -1), account("none", 0)
	o.config = fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: {\n%s}\n", text, preload)

	o.authority = filepath.Join(folder, "ca.pem")
	pair, err := certificate(o.authority, filepath.Join(folder, "ca.key"), "127.0.0.1")
	must(err)
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(err)
	o.cert, o.key = filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key")
	must(os.WriteFile(o.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	must(os.WriteFile(o.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return o
}

// freePorts are ports that no one listens on now.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// leads waits until a cluster has a leader and three servers: it takes a stream.
func leads(t *testing.T, at Connection) {
	t.Helper()
	ctx := context.Background()
	conn, _, err := at.dial(ctx, "test", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster takes a stream", func() bool {
		_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "probe", Subjects: []string{"probe"}, Replicas: 3})
		return err == nil
	})
	if err := js.DeleteStream(ctx, "probe"); err != nil {
		t.Fatal(err)
	}
}

// A cluster of three servers keeps each stream on all of them. One after the other is killed and started again while
// the sweep runs, and nothing is lost.
func TestCluster(t *testing.T) {
	testenv.Heavy(t)
	t.Parallel()
	p := sized(t)
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	o := operator(t, s.folder)
	ports := freePorts(t, 6)
	var urls, routes []string
	for i := range 3 {
		urls = append(urls, fmt.Sprintf("tls://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	at := Connection{URL: strings.Join(urls, ","), Creds: o.creds, CA: o.authority, Wait: true}
	servers, configs := make([]*exec.Cmd, 3), make([]string, 3)
	for i := range servers {
		configs[i] = fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\n"+
			"tls { cert_file: %q, key_file: %q }\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: [%s] }\n%s", i, ports[i],
			filepath.Join(s.folder, fmt.Sprintf("js%d", i)), o.cert, o.key, ports[3+i], strings.Join(routes, ", "), o.config)
		one := at
		one.URL = urls[i]
		servers[i] = s.configured(t, fmt.Sprintf("server%d", i), configs[i], one)
	}
	coordinator := part{Store: s.store, At: at, Lease: 5 * time.Second, Replicas: 3, Version: "test"}
	leads(t, at)
	running := s.launch(t, "coordinator", coordinator)
	for _, role := range []string{"worker-1", "worker-2"} {
		s.launch(t, role, part{At: at, Version: "test", Cache: filepath.Join(s.folder, "cache")})
	}
	const kills = 3
	for i := range kills {
		n := doneBy(t, s.store)[""]
		eventually(t, "the sweep goes on", func() bool { return doneBy(t, s.store)[""] > n })
		servers[i].Process.Kill()
		servers[i].Wait()
		n = doneBy(t, s.store)[""]
		eventually(t, "the sweep goes on without a server", func() bool { return doneBy(t, s.store)[""] > n })
		if i+1 < kills {
			one := at
			one.URL = urls[i]
			servers[i] = s.configured(t, fmt.Sprintf("server%d", i), configs[i], one)
			time.Sleep(3 * time.Second) // it catches up
		}
	}
	if err := ended(t, running, 5*time.Minute); err != nil {
		t.Errorf("the coordinator: %v", err)
	}
	same(t, rows(t, s.store), want)

	// An account without JetStream, and credentials of another operator.
	again := coordinator
	again.At.Creds, again.At.Wait = o.none, false
	again.Store = filepath.Join(s.folder, "again.db")
	planned(t, again.Store, p)
	none := s.launch(t, "none", again)
	if err := ended(t, none, time.Minute); err == nil || !s.has(t, "none", "has no JetStream, or not for this account") {
		t.Errorf("an account without JetStream: %v, %s", err, said(t, s, "none"))
	}
	strange := at
	strange.Creds = operator(t, t.TempDir()).creds
	if got := refusedBy(t, strange); !strings.Contains(got, "does not take the key in "+strange.Creds) {
		t.Errorf("credentials of another operator: %s", got)
	}
}
