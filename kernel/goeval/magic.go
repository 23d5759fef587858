package goeval

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lines"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/lib/mime"
)

// Magic is a line that begins with % and is carried out by the program around the evaluator.
type Magic struct {
	Usage string // what follows the name
	Doc   string // one line
	Run   func(args string) (says string, err error)
}

// magic is a line that begins with %, or a cell that begins with %%.
type magic struct {
	usage     string // what follows the name
	doc       string // one line
	statement bool   // what follows is Go, and in a cell the other lines as well
	last      bool   // it waits until the cell's Go has run
	main      bool   // what follows is Go, the body of a main function
	cell      func(r *run, args, body string) engine.Result
	line      func(r *run, args string) (says string, err error)
	result    func(r *run, args string) engine.Result // in place of line, where there is more to say than text
}

// magics are known by their names, with the % signs. init fills it, for %help speaks of all.
var magics map[string]magic

// magicForms are how the magics go on.
var magicForms = lines.Forms{}

func init() {
	magics = map[string]magic{
		"%%go": {doc: "compile this cell, whatever is in it",
			line: func(r *run, _ string) (string, error) { r.force = "go"; return "", nil }},
		"%%yaegi": {doc: "interpret this cell", line: func(r *run, _ string) (string, error) {
			r.force = "yaegi"
			return "",
				nil
		}},
		"%engine": {usage: "[auto | go | yaegi]",
			doc: "choose for each cell whether to compile it, compile all, or interpret all", line: (*run).setEngine},
		"%tier": {doc: "how the last cell was run, and why",
			line: func(r *run, _ string) (string, error) { return r.tier.String(), nil }},
		"%mod": {usage: "get PATH@VERSION | use DIR | list",
			doc: "let cells import a module, or the packages of a folder of yours", line: func(r *run, args string) (string,
				error) {
				return r.modules.Mod(r.ctx, strings.Fields("%mod "+args))
			}},
		"%reset": {usage: "[go.mod]", doc: "forget all names; with go.mod the modules that were got, and no name",
			line: (*run).reset},

		"%%": {usage: "[ARGUMENTS…]",
			doc: "what follows is the body of a main function, for which flags are parsed", main: true},
		"%main": {usage: "[ARGUMENTS…]", doc: "the same as %%", main: true},
		"%args": {usage: "[ARGUMENTS…]",
			doc:  "the arguments of the programs that follow, in os.Args and for package flag",
			line: func(r *run, args string) (string, error) { return "", r.setArgs(args) }},
		"%exec": {usage: "FUNCTION [ARGUMENTS…]",
			doc: "run a function as if it were main, once the cell's Go has run", last: true, result: (*run).exec},
		"%test": {usage: "[FLAGS…]",
			doc: "run the cell's tests and benchmarks, or all where it has none, as go test does", last: true,
			result: (*run).test},
		"%list": {doc: "what cells have defined, sorted by what it is", line: (*run).list},
		"%rm":   {usage: "NAMES…", doc: "forget names", line: (*run).remove},
		"%autoget": {doc: "get the modules of packages that cells import, as it is at the beginning",
			line: func(r *run, _ string) (string, error) { r.noAutoget = false; return "", nil }},
		"%noautoget": {doc: "import packages only of modules that were asked for",
			line: func(r *run, _ string) (string, error) { r.noAutoget = true; return "", nil }},
		"%goworkfix": {doc: "let cells import the modules that the go.work of !*go work uses", line: func(r *run,
			_ string) (string, error) {
			return r.modules.UseWork(r.ctx)
		}},
		"%goflags": {usage: "[FLAGS…]",
			doc:  "flags of go build for cells of GoNB (%%gonb); cells of loupe are compiled as loupe itself was",
			line: (*run).goFlags},
		"%with_inputs": {doc: "the next command of the shell reads lines that you type",
			line: func(r *run, _ string) (string, error) { r.asks = asksLines; return "", nil }},
		"%with_password": {doc: "the next command of the shell reads lines that are not shown as you type",
			line: func(r *run, _ string) (string, error) { r.asks = asksPassword; return "", nil }},
		"%detach": {usage: "COMMAND | PROCESS",
			doc:  "run a command that goes on when the kernel ends, or let a process that a cell has started do so",
			line: (*run).detach},
		"%capture": {usage: "[-a] FILE", doc: "write what the cell shows to a file as well; -a appends",
			line: func(*run, string) (string, error) { return "", nil }},
		"%version": {doc: "the version of loupe and of Go", line: versions},
		"%track": {usage: "[PATH]",
			doc:  "GoNB's list of folders to follow, which loupe does without: %mod use follows a module of yours",
			line: nothingToDo},
		"%untrack":    {usage: "PATH", doc: "see %track", line: nothingToDo},
		"%widgets":    {doc: "GoNB's way to prepare its widgets, which loupe does when they are used", line: nothingToDo},
		"%widgets_hb": {doc: "see %widgets", line: nothingToDo},

		"%time": {usage: "STATEMENT", doc: "run a statement and tell how long it took, compilation left out",
			statement: true, result: (*run).time},
		"%%time": {doc: "run the cell and tell how long it took, compilation left out", statement: true,
			cell: func(r *run, args, body string) engine.Result { return r.time(body) }},
		"%timeit": {usage: "[-n LOOPS] [-r REPEATS] STATEMENT",
			doc: "run a compiled statement many times; the mean and the spread", statement: true, result: (*run).timeit},
		"%%timeit": {usage: "[-n LOOPS] [-r REPEATS]", doc: "run the compiled cell many times; the mean and the spread",
			statement: true, cell: func(r *run, args, body string) engine.Result { return r.timeit(args + "\n" + body) }},

		"%who":  {usage: "[TYPE]", doc: "the names that cells have defined", line: (*run).who},
		"%whos": {usage: "[TYPE]", doc: "the same as a table with types and values", line: (*run).whos},
		"%history": {usage: "[-g PATTERN | CELLS]",
			doc: "the cells of this session; with -g those of all sessions with a text in them", line: (*run).pastCells},
		"%save": {usage: "[-f | -a] FILE [CELLS]",
			doc:  "write cells, such as 1-3 7, to a file that loupe FILE and %run run; -f overwrites, -a appends",
			line: (*run).save},
		"%load": {usage: "FILE", doc: "put a file's text into the cell", result: (*run).loadFile},
		"%run":  {usage: "FILE.go", doc: "run a program, or a file of cells, in this notebook", result: (*run).runFile},

		"%cd":     {usage: "[DIR | -]", doc: "change the folder of cells", line: (*run).changeDir},
		"%pwd":    {doc: "the folder of cells", line: func(*run, string) (string, error) { return workingDir() }},
		"%env":    {usage: "[NAME | NAME=VALUE]", doc: "show or set variables of the environment", line: (*run).environment},
		"%memory": {doc: "what the cells' process takes", line: (*run).memoryUse},
		"%help":   {usage: "[NAME]", doc: "this list, or what a name is: a package, a type, a function, a magic", result: (*run).help},

		"%%bash": {doc: "run the cell in bash", cell: func(r *run, args, body string) engine.Result {
			return r.script("bash "+args, body)
		}},
		"%%sh": {doc: "run the cell in sh", cell: func(r *run, args, body string) engine.Result {
			return r.script("sh "+args, body)
		}},
		"%%script":    {usage: "PROGRAM ARGUMENTS…", doc: "give the cell to a program's standard input", cell: (*run).script},
		"%%writefile": {usage: "[-a] FILE", doc: "write the cell to a file; -a appends", cell: (*run).writeFile},
		"%%html":      {doc: "show the cell as HTML", cell: shows("text/html")},
		"%%markdown":  {doc: "show the cell as Markdown", cell: shows("text/markdown")},
		"%%latex":     {doc: "show the cell as LaTeX", cell: shows("text/latex")},
		"%%svg":       {doc: "show the cell as SVG", cell: shows("image/svg+xml")},
	}
	for name, m := range magics {
		magicForms[name] = lines.Form{Statement: m.statement, Main: m.main, Cell: m.cell != nil}
	}
}

// everyPart runs a cell part by part.
func (r *run) everyPart() engine.Result {
	all := magicForms.Parts(r.text.Source)
	slices.SortStableFunc(all, func(a, b lines.Part) int {
		switch x, y := magics[a.Name()].last, magics[b.Name()].last; {
		case x && !y:
			return 1
		case y && !x:
			return -1
		}
		return 0
	})
	if slices.ContainsFunc(all, func(p lines.Part) bool { return p.Main }) {
		r.setArgs("") // unless the cell says what they are
	}
	var result engine.Result
	var page *mime.Bundle // that a question has opened
	for i, p := range all {
		switch {
		case p.Main:
			result = r.mainPart(p)
		case p.Magic:
			result = r.magicPart(p)
		default:
			result = r.goPart(p)
		}
		if result.Failure != nil {
			return result
		}
		if result.Page != nil {
			page = result.Page
		}
		if i < len(all)-1 && p.Magic && result.Value != nil {
			fmt.Println(result.Value.Data[mime.Text]) // only the last part's value is the cell's
		}
	}
	result.Page = page
	return result
}

// with returns a run of other text in the same cell.
func (r *run) with(source string) *run {
	of := *r
	of.text = &syntax.Text{Number: r.text.Number, Source: source, Name: r.text.Name}
	return &of
}

// magicPart carries out a line that begins with % or ! or that asks something, or a cell that begins with %%.
func (r *run) magicPart(p lines.Part) engine.Result {
	if name, detail, ok := lines.Question(p.Line); ok {
		return r.explain(name, detail)
	}
	if command, ok := strings.CutPrefix(p.Line, "!*"); ok {
		return r.inModule(strings.TrimSpace(command))
	}
	if command, ok := strings.CutPrefix(p.Line, "!"); ok {
		return r.shell(strings.TrimSpace(command))
	}
	name, args := p.Name(), p.Args()
	if of, ok := alsoCalled[name]; ok {
		name = of
	}
	m, ok := magics[name]
	if !ok {
		if outside, ok := r.options.Magics[name]; ok {
			return saying(outside.Run(args))
		}
		return magicFailure(fmt.Errorf("there is no magic %s: %%help lists them%s", name, nearest.InBrackets(name,
			r.magicNames())))
	}
	switch {
	case m.cell != nil && m.statement:
		// The cell's Go keeps its place, for errors tell lines.
		before := r.text.Source[:len(r.text.Source)-len(p.Body)]
		return m.cell(r, args, lexical.Blanked(before)+p.Body)
	case m.cell != nil:
		return m.cell(r, args, p.Body)
	case m.statement && m.result != nil:
		return m.result(r, args)
	case m.result != nil:
		return m.result(r, args)
	}
	return saying(m.line(r, args))
}

func (r *run) magicNames() []string {
	return append(slices.Collect(maps.Keys(magics)), slices.Collect(maps.Keys(r.options.Magics))...)
}

// saying makes a cell's result of what a magic says.
func saying(says string, err error) (result engine.Result) {
	if err != nil {
		return magicFailure(err)
	}
	if says != "" {
		b := mime.TextOf(says)
		result.Value = &b
	}
	return result
}

func magicFailure(err error) engine.Result {
	return failed(&engine.Failure{Name: "MagicError", Message: err.Error(),
		Traceback: []string{red("MagicError") + ": " + err.Error()}})
}

func (r *run) setEngine(args string) (string, error) {
	switch args {
	case "":
		return "the engine is " + r.engine, nil
	case "auto", "go", "yaegi":
		r.engine = args
		return "", nil
	}
	return "", fmt.Errorf(
		"there is no engine %s: auto (chooses for each cell), go (compiles all) and yaegi (interprets all) are", args)
}

func (r *run) help(name string) engine.Result {
	if name != "" {
		return r.helpOn(name)
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, name := range slices.SortedFunc(slices.Values(r.magicNames()), byName) {
		m := magics[name]
		if outside, ok := r.options.Magics[name]; ok {
			m = magic{usage: outside.Usage, doc: outside.Doc}
		}
		fmt.Fprintf(w, "%s\t%s\n", strings.TrimSpace(name+" "+m.usage), m.doc)
	}
	fmt.Fprintf(w, "!COMMAND\trun a command of the shell; {expression} and $name stand for values of the notebook\n")
	fmt.Fprintf(w, "NAME? ?NAME\twhat a name is; NAME?? with its source\n")
	w.Flush()
	return saying(strings.TrimRight(out.String(), "\n"), nil)
}

// helpOn explains a name, as NAME? does; a magic is found without its % signs too.
func (r *run) helpOn(name string) engine.Result {
	result := r.explain(name, 0)
	for _, sign := range []string{"%", "%%"} {
		if result.Failure == nil {
			break
		}
		if magic := r.explain(sign+name, 0); magic.Failure == nil {
			result = magic
		}
	}
	return result
}

// byName compares names of magics without their % signs.
func byName(a, b string) int {
	if c := strings.Compare(strings.TrimLeft(a, "%"), strings.TrimLeft(b, "%")); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// shows returns a magic that shows the cell as another kind of text.
func shows(kind string) func(r *run, args, body string) engine.Result {
	return func(_ *run, _, body string) engine.Result {
		b := mime.TextOf(body)
		b.Data[kind] = body
		return engine.Result{Value: &b}
	}
}

// errNoShell is why a cell may not run commands.
var errNoShell = errors.New("this kernel was started with --no-shell: it runs no commands")
