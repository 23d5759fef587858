package goeval

import (
	"errors"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/toolchain"
)

// A variable of a cell may get its value from files, by a //go:embed line as in a package: the files lie in the folder
// of the notebook, or in that of the file that %run runs. The variable itself lives in its slot as all do; what the
// compiler fills is another one beside it. A cell is compiled anew where a file has changed.

// embedding is what a var declaration embeds.
type embedding struct {
	spec     *ast.ValueSpec
	offset   int // of its first //go:embed line
	patterns []string
	digest   string // of the files' contents
}

const embedDirective = "//go:embed"

// findEmbeddings reads the //go:embed lines of a cell.
func (r *run) findEmbeddings(items []*item) (faults []fault) {
	if !strings.Contains(r.text.source, embedDirective) {
		return nil
	}
	lexemes, bad := scan(r.text.source)
	if bad != nil {
		return []fault{{r.text, bad.offset, bad.message}}
	}
	for _, d := range directives(r.text.source) {
		if err := r.embed(items, lexemes, d); err != nil {
			faults = append(faults, fault{r.text, d.offset, err.Error()})
		}
	}
	return faults
}

// embeddings reads the //go:embed lines of a cell, and finds the files.
func (r *run) embeddings(items []*item) []fault {
	if faults := r.findEmbeddings(items); len(faults) > 0 {
		return faults
	}
	return r.findFiles(items)
}

// findFiles finds the files that a cell embeds.
func (r *run) findFiles(items []*item) (faults []fault) {
	for _, it := range items {
		for _, e := range it.embeds {
			var files []string
			for _, pattern := range e.patterns {
				found, err := it.embed.Add(r.embedFolder(), pattern)
				if err != nil {
					faults = append(faults, fault{r.text, e.offset, err.Error()})
				}
				files = append(files, found...)
			}
			var err error
			if e.digest, err = it.embed.Digest(files); err != nil {
				faults = append(faults, fault{r.text, e.offset, err.Error()})
			}
		}
	}
	return faults
}

// embedFolder returns the folder in which embedded files are looked for.
func (r *run) embedFolder() string {
	dir := "."
	if r.text.name != "" {
		dir = filepath.Dir(r.text.name)
	}
	if whole, err := filepath.Abs(dir); err == nil {
		return whole
	}
	return dir
}

// directive is a //go:embed line.
type directive struct {
	offset, end int
	args        string
}

func directives(source string) (out []directive) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", 1, len(source))
	s.Init(file, []byte(source), nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return out
		}
		args, ok := strings.CutPrefix(lit, embedDirective)
		if c, _ := utf8.DecodeRuneInString(args); tok == token.COMMENT && ok && (args == "" || unicode.IsSpace(c)) {
			out = append(out, directive{file.Offset(pos), file.Offset(pos) + len(lit), args})
		}
	}
}

// embed finds the declaration that a //go:embed line stands before.
func (r *run) embed(items []*item, lexemes []lexeme, d directive) error {
	patterns, err := embedPatterns(d.args)
	if err != nil {
		return err
	}
	if len(patterns) == 0 {
		//lint:ignore ST1005 these are the compiler's words
		return errors.New("usage: //go:embed pattern...")
	}
	next := len(r.text.source) // where the declaration begins, behind var and a parenthesis
	isVar := false
	for i, l := range lexemes {
		if l.offset < d.end {
			isVar = isVar || l.tok == token.VAR && i+1 < len(lexemes) && lexemes[i+1].tok == token.LPAREN
			continue
		}
		if l.tok != token.VAR && l.tok != token.LPAREN {
			next = l.offset
			break
		}
		isVar = true
	}
	for _, it := range items {
		decl, ok := it.decl.(*ast.GenDecl)
		if !ok || it.kind != varItem {
			continue
		}
		for _, spec := range decl.Specs {
			s := spec.(*ast.ValueSpec)
			if it.offset(s.Pos()) != next {
				continue
			}
			switch {
			case len(s.Names) > 1:
				return errors.New("go:embed cannot apply to multiple vars")
			case len(s.Values) > 0:
				return errors.New("go:embed cannot apply to var with initializer")
			case s.Type == nil:
				return errors.New("go:embed cannot apply to var without type")
			}
			if it.embed == nil {
				it.embed = &toolchain.Embed{}
			}
			if n := len(it.embeds); n > 0 && it.embeds[n-1].spec == s {
				it.embeds[n-1].patterns = append(it.embeds[n-1].patterns, patterns...)
			} else {
				it.embeds = append(it.embeds, &embedding{spec: s, offset: d.offset, patterns: patterns})
			}
			return nil
		}
	}
	if isVar && next < len(r.text.source) && inFunction(lexemes, d.offset) {
		return errors.New("go:embed cannot apply to var inside func")
	}
	return errors.New("misplaced go:embed directive")
}

// inFunction reports whether an offset lies in braces.
func inFunction(lexemes []lexeme, offset int) bool {
	n := 0
	for _, l := range lexemes {
		if l.offset > offset {
			break
		}
		switch l.tok {
		case token.LBRACE:
			n++
		case token.RBRACE:
			n--
		}
	}
	return n > 0
}

// embedPatterns takes the patterns of a //go:embed line apart: words, or strings of Go.
func embedPatterns(args string) (patterns []string, err error) {
	for args = strings.TrimSpace(args); args != ""; args = strings.TrimSpace(args) {
		invalid := fmt.Errorf("invalid quoted string in //go:embed: %s", args)
		pattern := args
		switch args[0] {
		case '"', '`':
			quoted, err := strconv.QuotedPrefix(args)
			if err != nil {
				return nil, invalid
			}
			if pattern, err = strconv.Unquote(quoted); err != nil {
				return nil, invalid
			}
			args = args[len(quoted):]
			if c, _ := utf8.DecodeRuneInString(args); args != "" && !unicode.IsSpace(c) {
				return nil, invalid
			}
		default:
			if end := strings.IndexFunc(args, unicode.IsSpace); end >= 0 {
				pattern = args[:end]
			}
			args = args[len(pattern):]
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// embeds checks that variables can hold what they embed.
func (k *checking) embeds() {
	for _, it := range k.items {
		for _, e := range it.embeds {
			t := k.info.TypeOf(e.spec.Type)
			if t == nil || t == types.Typ[types.Invalid] {
				continue // it has its own fault
			}
			single := isString(t) || isBytes(t)
			files := 0
			for _, pattern := range e.patterns {
				files += len(it.embed.Patterns[pattern])
			}
			switch {
			case !single && !isEmbedFS(t):
				k.add(fault{it.text, e.offset, "go:embed cannot apply to var of type " +
					types.TypeString(t, func(p *types.Package) string {
						if p.Path() == "main" {
							return ""
						}
						return p.Name()
					})})
			case single && files > 1:
				k.add(fault{it.text, e.offset, "invalid go:embed: multiple files for type " +
					types.TypeString(t.Underlying(), nil)})
			}
		}
	}
}

func isString(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == types.String
}

func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	b, ok := s.Elem().Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

func isEmbedFS(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "embed" && n.Obj().Name() == "FS"
}

// embedded returns what a declaration embeds, nil where that is nothing.
func (it *item) embedded(spec *ast.ValueSpec) *embedding {
	for _, e := range it.embeds {
		if e.spec == spec {
			return e
		}
	}
	return nil
}

// embed returns the value of a variable that embeds files, and declares the one that the compiler fills.
func (l *lowering) embed(it *item, e *embedding, typeText string) string {
	if l.embedVars == nil {
		l.embedVars = map[*embedding]string{}
	}
	name := l.embedVars[e]
	if name == "" {
		name = private + "embed" + strconv.Itoa(len(l.embedVars)+1)
		l.embedVars[e] = name
		line := embedDirective
		for _, pattern := range e.patterns {
			line += " " + strconv.Quote(pattern)
		}
		l.embedDecls += fmt.Sprintf("\n// of %s%s%s\nvar %s %s\n", e.digest, l.directive(it, e.offset), line, name, typeText)
		l.blank["embed"] = true
	}
	if isBytes(l.info.TypeOf(e.spec.Type)) {
		return fmt.Sprintf("append(%s[:0:0], %s...)", name, name) // the cell may run again, when the bytes have been changed
	}
	return name
}

// allEmbedded returns all that a cell's items embed, nil where that is nothing.
func (c *checked) allEmbedded() *toolchain.Embed {
	var all *toolchain.Embed
	for _, it := range c.items {
		if it.embed == nil {
			continue
		}
		if all == nil {
			all = &toolchain.Embed{Patterns: map[string][]string{}, Files: map[string]string{}}
		}
		for pattern, files := range it.embed.Patterns {
			all.Patterns[pattern] = files
		}
		for file, at := range it.embed.Files {
			all.Files[file] = at
		}
	}
	return all
}
