//go:build unix

package testenv

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/scratch"
)

// PostgresServer is a PostgreSQL server of the tests' own, on a socket in a folder of its own.
type PostgresServer struct {
	folder   string
	programs string
	end      io.WriteCloser // never closed here: the process's end does

	lock      sync.Mutex // guards databases
	databases int
}

var (
	starting sync.Mutex // guards postgres
	postgres *PostgresServer
)

// Postgres is a server that all tests of this process share. It ends with the process, and leaves nothing. The test is
// skipped where PostgreSQL is not installed.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if postgres == nil {
		postgres = startPostgres(t)
	}
	return postgres
}

func startPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	dependOnMachine()
	initdb, err := exec.LookPath("initdb")
	if err != nil { // Debian has it apart, by version
		all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // a pattern that is well formed
		if len(all) == 0 {
			t.Skip("skipped: needs a PostgreSQL server (Debian: apt-get install postgresql)")
		}
		version := func(path string) int {
			v, _ := strconv.Atoi(strings.Split(path, "/")[4]) // what is no number comes last
			return v
		}
		initdb = slices.MaxFunc(all, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		t.Fatal(err)
	}
	// The path of a socket has to be short, and the server may be another user's.
	folder, err := os.MkdirTemp("", scratch.Name("postgres-"))
	if err != nil {
		t.Fatal(err)
	}
	s := &PostgresServer{folder: folder, programs: filepath.Dir(initdb)}
	as := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 { // under whom PostgreSQL does not run
		if as.Credential, err = another(); err != nil {
			t.Skipf("skipped: needs a user to run PostgreSQL as: %v", err)
		}
		if err := os.Chown(folder, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(folder, "data")
	create := exec.Command(initdb, "--no-sync", "--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C",
		"--pgdata="+data)
	create.Dir, create.SysProcAttr = folder, as
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// It ends when this process ends, however that is: its input is a pipe from here.
	const watch = `folder=$1; shift; "$@" </dev/null & read -r _; kill -INT $!; wait $!; cd /; rm -rf "$folder"`
	run := exec.Command("sh", "-c", watch, "sh", folder, filepath.Join(s.programs, "postgres"), "-D", data, "-k", folder,
		"-c", "listen_addresses=", "-c", "fsync=off")
	run.Dir, run.SysProcAttr, run.Stdout, run.Stderr = folder, as, log, log
	if s.end, err = run.StdinPipe(); err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out, err := s.ask("postgres", "SELECT 1")
		if err == nil {
			return s
		}
		if time.Now().After(until) {
			text, _ := os.ReadFile(log.Name()) // it has none
			t.Fatalf("PostgreSQL does not start: %v %s\n%s", err, out, text)
		}
	}
}

// Database makes a new database, and returns its URL.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	s.lock.Lock()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	s.lock.Unlock()
	if out, err := s.ask("postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return "postgres://test@/" + name + "?host=" + s.folder
}

func (s *PostgresServer) ask(database, statement string) ([]byte, error) {
	return exec.Command(filepath.Join(s.programs, "psql"), "--no-psqlrc", "--quiet", "--host="+s.folder, "--username=test",
		"--command="+statement, "--dbname="+database).CombinedOutput()
}

// another is a user who is not root.
func another() (*syscall.Credential, error) {
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}
