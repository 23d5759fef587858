package goeval

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/kernel/script"
)

// numbers reads the numbers of cells: "1-3 7". Nothing means all of this session.
func (r *run) numbers(words []string) ([]int, error) {
	var out []int
	if len(words) == 0 {
		for n := range r.texts {
			if n > 0 && n != r.text.Number {
				out = append(out, n)
			}
		}
		slices.Sort(out)
		return out, nil
	}
	for _, word := range words {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || to < from {
			return nil, fmt.Errorf("%s names no cells: write numbers and ranges, such as 1-3 7", word)
		}
		for n := from; n <= to; n++ {
			if r.texts[n] == nil {
				return nil, fmt.Errorf("there is no cell %d in this session", n)
			}
			out = append(out, n)
		}
	}
	return out, nil
}

func (r *run) pastCells(args string) (string, error) {
	if pattern, ok := strings.CutPrefix(args, "-g"); ok {
		path, err := history.Path()
		if err != nil {
			return "", err
		}
		if path == "" {
			return "", errors.New("no history is kept (LOUPE_HISTORY is off)")
		}
		entries, err := history.Read(path)
		if err != nil {
			return "", err
		}
		pattern = strings.TrimSpace(pattern)
		var out []string
		for _, e := range entries {
			if strings.Contains(e.Source, pattern) {
				out = append(out, fmt.Sprintf("%d/%d: %s", e.Session, e.Line, e.Source))
			}
		}
		if len(out) == 0 {
			return fmt.Sprintf("no cell has %q in it", pattern), nil
		}
		return strings.Join(out, "\n"), nil
	}
	numbers, err := r.numbers(strings.Fields(args))
	if err != nil {
		return "", err
	}
	var out []string
	for _, n := range numbers {
		out = append(out, fmt.Sprintf("%4d: %s", n, strings.ReplaceAll(strings.TrimSpace(r.texts[n].Source), "\n",
			"\n      ")))
	}
	return strings.Join(out, "\n"), nil
}

func (r *run) save(args string) (string, error) {
	words := strings.Fields(args)
	var force, appends bool
	for len(words) > 0 && (words[0] == "-f" || words[0] == "-a") {
		force, appends = force || words[0] == "-f", appends || words[0] == "-a"
		words = words[1:]
	}
	if len(words) == 0 {
		return "", errors.New("%save needs the name of a file")
	}
	name := words[0]
	if filepath.Ext(name) == "" {
		name += ".go"
	}
	numbers, err := r.numbers(words[1:])
	if err != nil {
		return "", err
	}
	var cells []string
	for _, n := range numbers {
		cells = append(cells, strings.TrimLeft(r.texts[n].Source, "\n"))
	}
	text := script.Write(cells)
	flags := os.O_WRONLY | os.O_CREATE
	switch {
	case appends:
		flags |= os.O_APPEND
		text = "\n// %%\n" + text
	case force:
		flags |= os.O_TRUNC
	default:
		flags |= os.O_EXCL
	}
	file, err := os.OpenFile(name, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already: -f overwrites it, -a appends to it", name)
	}
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d cells written to %s", len(cells), name), nil
}

// loadFile puts a file's text in the place of the cell.
func (r *run) loadFile(args string) engine.Result {
	name, err := unquoted(args)
	if err != nil {
		return magicFailure(err)
	}
	if name == "" {
		return magicFailure(errors.New("%load needs the name of a file"))
	}
	source, err := script.Read(name)
	if err != nil {
		return magicFailure(err)
	}
	return engine.Result{Next: &engine.NextInput{Text: "// %load " + name + "\n" + source, Replace: true}}
}

// runFile runs the cells of a file. Its names are the notebook's, and its errors have its lines.
func (r *run) runFile(args string) engine.Result {
	name, err := unquoted(args)
	if err != nil {
		return magicFailure(err)
	}
	if filepath.Ext(name) != ".go" {
		return magicFailure(fmt.Errorf("%%run runs files of Go, and %q is none", name))
	}
	source, err := script.Read(name)
	if err != nil {
		return magicFailure(err)
	}
	var result engine.Result
	for _, source := range script.Cells(source) {
		r.files++
		of := *r
		of.text = &syntax.Text{Number: -r.files, Source: source, Name: name}
		r.texts[of.text.Number] = of.text
		if result = of.everyPart(); result.Failure != nil {
			result.Failure.Line, result.Failure.Column = 0, 0 // of the file, not of the cell
			return result
		}
	}
	return result
}
