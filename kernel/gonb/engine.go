package gonb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/source"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/carry"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// Inner is the engine of the cells that are not GoNB's.
type Inner interface {
	engine.Engine
	engine.Concurrent
	engine.CommHandler
	engine.BackgroundStopper
	engine.Insister
	engine.CompletenessChecker
	engine.Completer
	engine.Inspector
	engine.Restarter
}

// Options says where GoNB runs.
type Options struct {
	Dir      string // of its cells; empty means the current one
	KernelID string // Jupyter's name for the kernel; empty where there is no Jupyter
}

// Engine gives cells that begin with %%gonb to GoNB, and all others to another engine. GoNB is started when the first
// one comes.
type Engine struct {
	Inner
	options Options

	running sync.Mutex // held while GoNB runs a cell, or is started

	mu      sync.Mutex // guards the fields below
	child   *child     // nil when there is none
	bridge  *bridge    // for cells that are not GoNB's; nil when there is none
	all     bool       // all cells are GoNB's, by %engine gonb
	sent    int        // cells that GoNB has been sent
	numbers numbering  // of the sent cells
	flags   string     // that GoNB has besides its own, quoted
}

// New returns an engine that gives to inner what is not GoNB's.
func New(inner Inner, options Options) *Engine {
	return &Engine{Inner: inner, options: options, numbers: numbering{}}
}

const magic = "%%gonb"

// isGoNB reports whether a cell is for GoNB.
func (e *Engine) isGoNB(source string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(source, "\n"), "\n")
	fields := strings.Fields(first)
	if len(fields) > 0 && fields[0] == magic {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all && !(len(fields) > 0 && fields[0] == "%engine")
}

// Eval runs a cell.
func (e *Engine) Eval(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Result, error) {
	if fields := strings.Fields(cell.Source); len(fields) > 0 && fields[0] == "%engine" && len(fields) <= 2 {
		e.mu.Lock()
		was := e.all
		e.all = len(fields) == 2 && fields[1] == "gonb" || len(fields) == 1 && was
		now := e.all
		e.mu.Unlock()
		switch {
		case now && len(fields) == 1:
			b := mime.TextOf("the engine is gonb")
			return engine.Result{Value: &b}, nil
		case now:
			return engine.Result{}, nil
		}
	}
	if !e.isGoNB(cell.Source) {
		return e.own(ctx, cell, out)
	}
	e.running.Lock()
	defer e.running.Unlock()
	text, values, err := e.crossing(ctx, cell)
	if err != nil {
		return engine.Result{Failure: failing("GoNBError", err.Error())}, nil
	}
	c, err := e.started(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return engine.Result{Failure: interrupted("GoNB had not started yet")}, nil
		}
		return engine.Result{Failure: failing("GoNBError", err.Error())}, nil
	}
	if err := e.passFlags(ctx, cell, c); err != nil {
		return engine.Result{Failure: failing("GoNBError", err.Error())}, nil
	}
	e.mu.Lock()
	e.sent++
	e.numbers[e.sent] = place{cell.Number, values.inserted}
	numbers := maps.Clone(e.numbers)
	e.mu.Unlock()
	result := c.run(ctx, text, numbers, out)
	if result.Failure == nil {
		if err := e.receive(ctx, cell, values); err != nil {
			result.Failure = failing("GoNBError", err.Error())
		}
	}
	return result, nil
}

// own runs a cell that is not GoNB's.
func (e *Engine) own(ctx context.Context, cell engine.Cell, out engine.Output) (result engine.Result, err error) {
	out, end, err := e.capturing(ctx, cell, out)
	if err != nil {
		return engine.Result{Failure: failing("MagicError", err.Error())}, nil
	}
	defer func() {
		if fault := end(); fault != nil && err == nil && result.Failure == nil {
			result.Failure = failing("MagicError", "%capture: "+fault.Error())
		}
	}()
	if e.usesGonbui(cell.Source) {
		if err := e.bridged(ctx, cell, out); err != nil {
			return engine.Result{Failure: failing("GoNBError", err.Error())}, nil
		}
		defer e.settle(ctx, cell)
	}
	return e.Inner.Eval(ctx, cell, out)
}

// passFlags gives GoNB the flags that %goflags has set in cells of ours.
func (e *Engine) passFlags(ctx context.Context, cell engine.Cell, c *child) error {
	says, err := e.ask(ctx, cell, "%goflags")
	if err != nil {
		return err
	}
	list := strings.Trim(strings.TrimPrefix(says, "%goflags="), "[]")
	e.mu.Lock()
	same := e.flags == list
	e.flags = list
	e.mu.Unlock()
	if same {
		return nil
	}
	e.mu.Lock()
	e.sent++
	e.mu.Unlock()
	return c.silently(ctx, "%goflags -mod=mod "+list)
}

// started returns the running GoNB. The caller holds running.
func (e *Engine) started(ctx context.Context) (*child, error) {
	e.mu.Lock()
	c := e.child
	e.mu.Unlock()
	if c != nil {
		select {
		case <-c.ended:
			c.close()
		default:
			return c, nil
		}
	}
	c, err := start(ctx, e.options.Dir, e.options.KernelID)
	if err != nil {
		return nil, err
	}
	dir, err := source.Dir()
	if err == nil {
		err = c.prepare(ctx, dir)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.child = c
	e.flags = ""
	e.sent, e.numbers = 1, numbering{} // the special commands of prepare were a cell
	return c, nil
}

// current returns the running GoNB, nil where there is none.
func (e *Engine) current() *child {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.child
}

// crossed is what a cell carries over.
type crossed struct {
	in, out  []string // names
	files    []string // of the values that come back
	inserted int      // the line, from 1, that declares what is carried in; 0 where that is behind all others
}

var (
	name    = regexp.MustCompile(`^[\pL_][\pL_\d]*$`)
	mainRow = regexp.MustCompile(`(?m)^\s*%(%|main\b|test\b).*$`)
)

// crossing makes the text for GoNB: the magic's line is replaced by declarations of the values that are carried in, and
// what writes the values that come back is added at the end. All lines keep their numbers.
func (e *Engine) crossing(ctx context.Context, cell engine.Cell) (text string, c crossed, err error) {
	first, rest, _ := strings.Cut(cell.Source, "\n")
	lead := ""
	for strings.TrimSpace(first) == "" && rest != "" {
		lead += "\n"
		first, rest, _ = strings.Cut(rest, "\n")
	}
	fields := strings.Fields(first)
	if len(fields) == 0 || fields[0] != magic {
		return cell.Source, c, nil // %engine gonb
	}
	for args := fields[1:]; len(args) > 0; args = args[2:] {
		if len(args) == 1 || args[0] != "-in" && args[0] != "-out" {
			return "", c, fmt.Errorf("%s takes -in NAMES and -out NAMES, with commas between names; %q is neither",
				magic, args[0])
		}
		for _, n := range strings.Split(args[1], ",") {
			if !name.MatchString(n) {
				return "", c, fmt.Errorf("%s %s: %q is no name of a variable", magic, args[0], n)
			}
			if args[0] == "-in" {
				c.in = append(c.in, n)
			} else {
				c.out = append(c.out, n)
			}
		}
	}
	var declared []string
	imports := map[string]bool{}
	for _, n := range c.in {
		// GoNB keeps the declaration, and reads the file again for each later cell.
		file, err := e.file("in-" + n)
		if err != nil {
			return "", c, err
		}
		if err := e.inside(ctx, cell, fmt.Sprintf("import _ %q\nif err := carry.Save(%q, %s); err != nil { panic(err) }",
			library+"/lib/carry/arrays", file, n), n); err != nil {
			return "", c, err
		}
		h, err := carry.Describe(file)
		if err != nil {
			return "", c, err
		}
		for _, i := range h.Imports {
			imports[i] = true
		}
		declared = append(declared, fmt.Sprintf("var %s = carry.Load[%s](%q)", n, h.Type, file))
	}
	prelude := ""
	if len(c.in)+len(c.out) > 0 {
		prelude = fmt.Sprintf("import %q", library+"/lib/carry")
		for i := range imports {
			prelude += fmt.Sprintf("; import %s%q", map[bool]string{true: "_ "}[strings.HasSuffix(i, "/carry/arrays")], i)
		}
	}
	text = lead + prelude + "\n" + rest
	if len(declared) > 0 {
		// Before main, for imports go before declarations; or at the end.
		row := strings.Join(declared, "; ") + "\n"
		if at := mainRow.FindStringIndex(text); at != nil {
			c.inserted = strings.Count(text[:at[0]], "\n") + 1
			text = text[:at[0]] + row + text[at[0]:]
		} else {
			text = strings.TrimRight(text, "\n") + "\n" + row
		}
	}
	if len(c.out) > 0 {
		if !mainRow.MatchString(rest) {
			return "", c, fmt.Errorf("%s -out takes values at the end of main: put a line with %%%% before its statements",
				magic)
		}
		for _, n := range c.out {
			file, err := e.file("out-" + n)
			if err != nil {
				return "", c, err
			}
			os.Remove(file) // of an earlier cell
			c.files = append(c.files, file)
			text = strings.TrimRight(text, "\n") + fmt.Sprintf("\nif err := carry.Save(%q, %s); err != nil { panic(err) }\n",
				file, n)
		}
	}
	return text, c, nil
}

// file names a file for a value.
func (e *Engine) file(name string) (string, error) {
	dir, err := scratch.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "value-"+name), nil
}

// inside runs a cell of ours that carries a value.
func (e *Engine) inside(ctx context.Context, cell engine.Cell, source, name string) error {
	r, err := e.Inner.Eval(ctx, engine.Cell{Number: cell.Number, Source: source, Silent: true}, &printed{})
	if err != nil {
		return err
	}
	if r.Failure != nil {
		return fmt.Errorf("%s cannot be carried over: %s", name, r.Failure.Message)
	}
	return nil
}

// receive defines the values that come back.
func (e *Engine) receive(ctx context.Context, cell engine.Cell, c crossed) error {
	for i, n := range c.out {
		h, err := carry.Describe(c.files[i])
		if err != nil {
			return fmt.Errorf("%s has not come back: the cell did not reach the end of main (%w)", n, err)
		}
		var imports strings.Builder
		for _, p := range h.Imports {
			if strings.HasSuffix(p, "/carry/arrays") {
				continue
			}
			fmt.Fprintf(&imports, "import %q\n", p)
		}
		if err := e.inside(ctx, cell, fmt.Sprintf("import _ %q\n%s%s := carry.Load[%s](%q)", library+"/lib/carry/arrays",
			&imports, n, h.Type, c.files[i]), n); err != nil {
			return err
		}
	}
	return nil
}

// Comm passes a message on to whose comm it is.
func (e *Engine) Comm(ctx context.Context, m comm.Message, out engine.Output) (*engine.Failure, error) {
	if !e.AtOnce(m) {
		return e.Inner.Comm(ctx, m, out)
	}
	for _, c := range e.children() {
		if m.Kind == comm.Opening || c.has(m.ID) {
			c.pass(m, out)
		}
	}
	return nil, nil
}

// children returns the running GoNBs.
func (e *Engine) children() (out []*child) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.child != nil {
		out = append(out, e.child)
	}
	if e.bridge != nil {
		out = append(out, e.bridge.child)
	}
	return out
}

// has reports whether the front end has opened a comm with this GoNB.
func (c *child) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.comms, id)
}

// pass passes on a message of the front end's to GoNB. What GoNB shows because of it has the message as its cause.
func (c *child) pass(m comm.Message, out engine.Output) {
	if m.Kind == comm.Opening {
		c.mu.Lock()
		c.comms = append(c.comms, m.ID)
		c.mu.Unlock()
	}
	c.send(c.shell, content{string(m.Kind), m.Content}, func(r *request) {
		r.published = func(m *wire.Message) { c.show(m, nil, &reason{}, out) }
	})
}

// content is content as it came.
type content struct {
	kind string
	raw  json.RawMessage
}

func (c content) MessageType() string          { return c.kind }
func (c content) MarshalJSON() ([]byte, error) { return c.raw, nil }

// AtOnce reports whether a message is not to wait for the cell that runs: what GoNB's widgets say is for that very
// cell.
func (e *Engine) AtOnce(m comm.Message) bool {
	children := e.children()
	if m.Kind == comm.Opening {
		return m.Target == "gonb_comm" && len(children) > 0
	}
	return slices.ContainsFunc(children, func(c *child) bool { return c.has(m.ID) })
}

// completionTime is how long GoNB may take to complete a name that only it can know. It asks gopls, which takes seconds
// when it has just begun.
const completionTime = 500 * time.Millisecond

// Complete offers what go/types tells of packages, types and the cell itself. What its own cells have declared, GoNB is
// asked for; that needs gopls.
func (e *Engine) Complete(ctx context.Context, source string, cursor int) ([]engine.Match, int, int, error) {
	if !e.isGoNB(source) {
		return e.Inner.Complete(ctx, source, cursor)
	}
	matches, start, end, err := e.Inner.Complete(ctx, blankMagic(source), cursor)
	if err == nil && len(matches) > 0 && !standsAlone(source, start) {
		return matches, start, end, nil
	}
	if c := e.idle(); c != nil {
		defer e.running.Unlock()
		var r wire.CompleteReply
		text, moved := relayed(source, cursor)
		ctx, cancel := context.WithTimeout(ctx, completionTime)
		defer cancel()
		if c.question(ctx, wire.CompleteRequest{Code: text, CursorPos: cursor - moved}, &r) && len(r.Matches) > 0 {
			var matches []engine.Match
			for _, m := range r.Matches {
				matches = append(matches, engine.Match{Text: m})
			}
			return matches, r.CursorStart + moved, r.CursorEnd + moved, nil
		}
	}
	return matches, start, end, err
}

// standsAlone reports whether what begins at a cursor is a name by itself, rather than a member of something, a path or
// a magic.
func standsAlone(source string, start int) bool {
	before := strings.TrimRight(string([]rune(source)[:start]), " \t\n")
	return before == "" || !strings.ContainsAny(before[len(before)-1:], ".\"`/%!")
}

// Inspect asks GoNB about its cells, but for what go/types tells as well.
func (e *Engine) Inspect(ctx context.Context, source string, cursor, detail int) (mime.Bundle, bool, error) {
	if !e.isGoNB(source) {
		return e.Inner.Inspect(ctx, source, cursor, detail)
	}
	about, found, err := e.Inner.Inspect(ctx, blankMagic(source), cursor, detail)
	name := []rune(source)[:cursor]
	for len(name) > 0 && (unicode.IsLetter(name[len(name)-1]) || unicode.IsDigit(name[len(name)-1]) ||
		name[len(name)-1] == '_') {
		name = name[:len(name)-1]
	}
	if err == nil && found && !standsAlone(source, len(name)) {
		return about, true, nil
	}
	if c := e.idle(); c != nil {
		defer e.running.Unlock()
		var r struct {
			Found    bool
			Data     map[string]json.RawMessage
			Metadata map[string]json.RawMessage
		}
		text, moved := relayed(source, cursor)
		ctx, cancel := context.WithTimeout(ctx, completionTime)
		defer cancel()
		if c.question(ctx, wire.InspectRequest{Code: text, CursorPos: cursor - moved, DetailLevel: detail}, &r) && r.Found {
			return bundle(r.Data, r.Metadata), true, nil
		}
	}
	return about, found, err
}

// idle returns the running GoNB if it runs no cell, with running held.
func (e *Engine) idle() *child {
	c := e.current()
	if c == nil || !e.running.TryLock() {
		return nil
	}
	return c
}

// relayed is the cell as GoNB gets it, and by how many code points it is shorter before the cursor.
func relayed(source string, cursor int) (text string, moved int) {
	first, rest, _ := strings.Cut(source, "\n")
	if f := strings.Fields(first); len(f) > 0 && f[0] == magic && cursor > len([]rune(first)) {
		return "\n" + rest, len([]rune(first))
	}
	return source, 0
}

// blankMagic blanks the magic's line, for who knows Go only.
func blankMagic(source string) string {
	first, rest, found := strings.Cut(source, "\n")
	if f := strings.Fields(first); len(f) == 0 || f[0] != magic || !found {
		return source
	}
	return strings.Repeat(" ", len([]rune(first))) + "\n" + rest
}

// IsComplete takes a cell of GoNB's as complete.
func (e *Engine) IsComplete(source string) (engine.Completeness, string) {
	if e.isGoNB(source) {
		return engine.Complete, ""
	}
	return e.Inner.IsComplete(source)
}

// Restart forgets everything, GoNB's declarations too.
func (e *Engine) Restart() error {
	e.stop()
	return e.Inner.Restart()
}

// Close ends GoNB and the other engine.
func (e *Engine) Close() error {
	e.stop()
	return e.Inner.Close()
}

func (e *Engine) stop() {
	e.mu.Lock()
	c, b := e.child, e.bridge
	e.child, e.bridge = nil, nil
	e.mu.Unlock()
	if c != nil {
		c.close()
	}
	if b != nil {
		b.close()
	}
}
