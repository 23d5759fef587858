package goeval

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/command"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// asking is what the lines that a command reads come from.
type asking int

const (
	asksNothing asking = iota
	asksLines
	asksPassword
)

// shell runs a command line. What it prints is the cell's. A status other than 0 is told and does not fail the cell.
func (r *run) shell(line string) engine.Result { return r.shellIn("", line) }

// shellIn runs a command line in a folder; the empty one is the cells'.
func (r *run) shellIn(dir, line string) engine.Result {
	if r.options.NoShell {
		return magicFailure(errNoShell)
	}
	asks := r.asks
	r.asks = asksNothing
	err := r.command(command.Command{Dir: dir, Name: command.Shell(), Args: []string{"-c", r.expand(line)}}, asks)
	if r.ctx.Err() != nil {
		return failed(interrupted())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", firstLine(line), exit)
		return engine.Result{}
	}
	if err != nil {
		return magicFailure(err)
	}
	return engine.Result{}
}

// detach runs a command line that goes on when the kernel ends, or lets a process do so.
func (r *run) detach(line string) (string, error) {
	line = r.expand(strings.TrimSpace(line))
	if line == "" {
		return "", errors.New("%detach needs a command, or the number of a process that a cell has started")
	}
	if pid, err := strconv.Atoi(line); err == nil {
		return "", procs.Keep(pid)
	}
	if r.options.NoShell {
		return "", errNoShell
	}
	cmd := exec.Command(command.Shell(), "-c", line)
	cmd.Env = append(os.Environ(), procs.Detached+"="+os.Getenv(procs.Mark))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	go cmd.Wait() // or it would be there when it has ended
	return fmt.Sprintf(
		"process %d goes on when the kernel ends; what it prints is lost unless the command says where it goes",
		cmd.Process.Pid), nil
}

// script gives a cell to a program. A status other than 0 fails the cell.
func (r *run) script(program, body string) engine.Result {
	if r.options.NoShell {
		return magicFailure(errNoShell)
	}
	words := strings.Fields(program)
	if len(words) == 0 {
		return magicFailure(errors.New("%%script needs the name of a program"))
	}
	if !strings.HasSuffix(body, "\n") {
		body += "\n" // what the cell's last line lacks
	}
	err := r.command(command.Command{Stdin: body, Name: words[0], Args: words[1:]}, asksNothing)
	switch {
	case r.ctx.Err() != nil:
		return failed(interrupted())
	case err != nil:
		message := fmt.Sprintf("%s: %s", words[0], err)
		return failed(&engine.Failure{Name: "ShellError", Message: message,
			Traceback: []string{red("ShellError") + ": " + message}})
	}
	return engine.Result{}
}

// command runs a program. asks says what reads from the person in place of what the program is given.
func (r *run) command(c command.Command, asks asking) error {
	if asks != asksNothing {
		if r.options.Ask == nil {
			return errors.New("this front end cannot ask for what the command reads")
		}
		c.Ask = func(ctx context.Context) (string, error) { return r.options.Ask(ctx, "", asks == asksPassword) }
	}
	var err error
	r.outside(func() { err = c.Run(r.ctx) })
	return err
}

var (
	inBraces    = regexp.MustCompile(`(^|[^$\\])\{([^{}\n]+)\}`)
	afterDollar = regexp.MustCompile(`\$([A-Za-z_]\w*)`)
)

// expand puts values of the notebook into a command line: {expression}, and $name where a cell has defined the name.
// Braces and names that mean nothing in the notebook are left to the shell.
func (r *run) expand(line string) string {
	line = inBraces.ReplaceAllStringFunc(line, func(found string) string {
		m := inBraces.FindStringSubmatch(found)
		if _, err := parser.ParseExpr(m[2]); err != nil {
			return found
		}
		values, f := r.with(m[2]).values()
		if f != nil || len(values) != 1 {
			return found
		}
		return m[1] + fmt.Sprint(values[0])
	})
	return afterDollar.ReplaceAllStringFunc(line, func(found string) string {
		name := found[1:]
		if b := r.ns.Bindings[name]; b == nil || b.Sort != namespace.Var {
			return found
		}
		values, f := r.with(name).values()
		if f != nil || len(values) != 1 {
			return found
		}
		return fmt.Sprint(values[0])
	})
}

func workingDir() (string, error) { return os.Getwd() }

func (r *run) changeDir(args string) (string, error) {
	before, _ := os.Getwd()
	dir, err := unquoted(args)
	if err != nil {
		return "", err
	}
	switch {
	case dir == "-":
		if dir = r.lastDir; dir == "" {
			return "", errors.New("there is no earlier folder to go back to")
		}
	case dir == "" || dir == "~" || strings.HasPrefix(dir, "~/"):
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, strings.TrimPrefix(dir, "~"))
	}
	if err := os.Chdir(dir); err != nil {
		return "", err
	}
	r.lastDir = before
	now, err := os.Getwd()
	if err == nil {
		err = os.Setenv("GONB_DIR", now)
	}
	return now, err
}

// unquoted takes the quotes off an argument.
func unquoted(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') {
		if s[len(s)-1] != s[0] {
			return "", fmt.Errorf("the quote in %s is not closed", s)
		}
		return s[1 : len(s)-1], nil
	}
	return s, nil
}

func (r *run) environment(args string) (string, error) {
	if args == "" {
		return strings.Join(slices.Sorted(slices.Values(os.Environ())), "\n"), nil
	}
	name, value, set := strings.Cut(args, "=")
	if !set {
		name, value, set = strings.Cut(args, " ")
	}
	name = strings.TrimSpace(name)
	if !set {
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("there is no variable %s in the environment", name)
		}
		return value, nil
	}
	value, err := unquoted(value)
	if err != nil {
		return "", err
	}
	value = r.expand(value)
	return fmt.Sprintf("env: %s=%s", name, value), os.Setenv(name, value)
}

// writeFile writes a cell to a file.
func (r *run) writeFile(args, body string) engine.Result {
	rest, appends := strings.CutPrefix(args, "-a ")
	name, err := unquoted(os.ExpandEnv(rest))
	if home, at, ok := strings.Cut(name, "~/"); ok && home == "" {
		name = filepath.Join(os.Getenv("HOME"), at)
	}
	if err == nil && name == "" {
		err = errors.New("%%writefile needs the name of a file")
	}
	if err != nil {
		return magicFailure(err)
	}
	did, flags := "written", os.O_CREATE|os.O_WRONLY|os.O_TRUNC
	if _, err := os.Stat(name); err == nil {
		did = "overwritten"
	}
	if appends {
		did, flags = "appended to", os.O_CREATE|os.O_WRONLY|os.O_APPEND
	}
	file, err := os.OpenFile(name, flags, 0o644)
	if err == nil {
		_, err = file.WriteString(body)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return magicFailure(err)
	}
	return saying(fmt.Sprintf("%s %s", name, did), nil)
}
