package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	c := Command{Dir: dir, Name: Shell(), Args: []string{"-c", "cat > got"}, Stdin: "a\nb"}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "got")); err != nil || string(got) != "a\nb" {
		t.Errorf("the program has read %q, %v", got, err)
	}
	var exit *exec.ExitError
	if err := (Command{Name: Shell(), Args: []string{"-c", "exit 3"}}).Run(t.Context()); !errors.As(err, &exit) ||
		exit.ExitCode() != 3 {
		t.Errorf("a status of 3 is told as %v", err)
	}
}

func TestAsks(t *testing.T) {
	lines := []string{"one", "two"}
	file := filepath.Join(t.TempDir(), "got")
	c := Command{Name: Shell(), Args: []string{"-c", `read a; read b; echo "$b $a" > "$0"`, file},
		Ask: func(ctx context.Context) (string, error) {
			if len(lines) == 0 {
				<-ctx.Done() // the program reads no more
				return "", ctx.Err()
			}
			line := lines[0]
			lines = lines[1:]
			return line, nil
		}}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "two one\n" {
		t.Errorf("the program has read %q, %v", got, err)
	}
}

// An interrupt ends the program, and what it has put into the background.
func TestInterrupt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Command{Name: Shell(), Args: []string{"-c", `sleep 600 & echo $! > "$0.new"; mv "$0.new" "$0"; sleep 600`,
			file}}.Run(ctx)
	}()
	var pid []byte
	for pid == nil {
		pid, _ = os.ReadFile(file)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("a program that was interrupted has ended well")
	}
	state := "S"
	for end := time.Now().Add(10 * time.Second); state != "" && state[0] != 'Z' && time.Now().Before(end); {
		out, _ := exec.Command("ps", "-o", "stat=", "-p", strings.TrimSpace(string(pid))).Output() // fails for none
		state = strings.TrimSpace(string(out))
	}
	if state != "" && state[0] != 'Z' {
		t.Errorf("what it has put into the background is still there: %q", state)
	}
}
