package syntax

import (
	"errors"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// Embedding is what a var declaration embeds.
type Embedding struct {
	Spec     *ast.ValueSpec
	Offset   int // of its first //go:embed line
	Patterns []string
	Digest   string // of the files' contents
}

// EmbedDirective is what a line begins with that says which files a variable embeds.
const EmbedDirective = "//go:embed"

// NoteEmbeddings reads the //go:embed lines of a cell.
func NoteEmbeddings(t *Text, items []*Item) (faults []Fault) {
	if !strings.Contains(t.Source, EmbedDirective) {
		return nil
	}
	lexemes, bad := lexical.Scan(t.Source)
	if bad != nil {
		return []Fault{{t, bad.Offset, bad.Message}}
	}
	for _, d := range directives(t.Source) {
		if err := embed(t, items, lexemes, d); err != nil {
			faults = append(faults, Fault{t, d.offset, err.Error()})
		}
	}
	return faults
}

// FindEmbedded reads the //go:embed lines of a cell, and finds the files.
func FindEmbedded(t *Text, items []*Item) []Fault {
	if faults := NoteEmbeddings(t, items); len(faults) > 0 {
		return faults
	}
	return findFiles(t, items)
}

// findFiles finds the files that a cell embeds.
func findFiles(t *Text, items []*Item) (faults []Fault) {
	for _, it := range items {
		for _, e := range it.Embeds {
			var files []string
			for _, pattern := range e.Patterns {
				found, err := it.Embed.Add(t.folder(), pattern)
				if err != nil {
					faults = append(faults, Fault{t, e.Offset, err.Error()})
				}
				files = append(files, found...)
			}
			var err error
			if e.Digest, err = it.Embed.Digest(files); err != nil {
				faults = append(faults, Fault{t, e.Offset, err.Error()})
			}
		}
	}
	return faults
}

// folder returns the folder in which embedded files are looked for.
func (t *Text) folder() string {
	dir := "."
	if t.Name != "" {
		dir = filepath.Dir(t.Name)
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
		args, ok := strings.CutPrefix(lit, EmbedDirective)
		if c, _ := utf8.DecodeRuneInString(args); tok == token.COMMENT && ok && (args == "" || unicode.IsSpace(c)) {
			out = append(out, directive{file.Offset(pos), file.Offset(pos) + len(lit), args})
		}
	}
}

// embed finds the declaration that a //go:embed line stands before.
func embed(t *Text, items []*Item, lexemes []lexical.Lexeme, d directive) error {
	patterns, err := embedPatterns(d.args)
	if err != nil {
		return err
	}
	if len(patterns) == 0 {
		//lint:ignore ST1005 these are the compiler's words
		return errors.New("usage: //go:embed pattern...")
	}
	next := len(t.Source) // where the declaration begins, behind var and a parenthesis
	isVar := false
	for i, l := range lexemes {
		if l.Offset < d.end {
			isVar = isVar || l.Tok == token.VAR && i+1 < len(lexemes) && lexemes[i+1].Tok == token.LPAREN
			continue
		}
		if l.Tok != token.VAR && l.Tok != token.LPAREN {
			next = l.Offset
			break
		}
		isVar = true
	}
	for _, it := range items {
		decl, ok := it.Decl.(*ast.GenDecl)
		if !ok || it.Kind != VarItem {
			continue
		}
		for _, spec := range decl.Specs {
			s := spec.(*ast.ValueSpec)
			if it.Offset(s.Pos()) != next {
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
			if it.Embed == nil {
				it.Embed = &toolchain.Embed{}
			}
			if n := len(it.Embeds); n > 0 && it.Embeds[n-1].Spec == s {
				it.Embeds[n-1].Patterns = append(it.Embeds[n-1].Patterns, patterns...)
			} else {
				it.Embeds = append(it.Embeds, &Embedding{Spec: s, Offset: d.offset, Patterns: patterns})
			}
			return nil
		}
	}
	if isVar && next < len(t.Source) && inFunction(lexemes, d.offset) {
		return errors.New("go:embed cannot apply to var inside func")
	}
	return errors.New("misplaced go:embed directive")
}

// inFunction reports whether an offset lies in braces.
func inFunction(lexemes []lexical.Lexeme, offset int) bool {
	n := 0
	for _, l := range lexemes {
		if l.Offset > offset {
			break
		}
		switch l.Tok {
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

// Embedded returns what a declaration embeds, nil where that is nothing.
func (it *Item) Embedded(spec *ast.ValueSpec) *Embedding {
	for _, e := range it.Embeds {
		if e.Spec == spec {
			return e
		}
	}
	return nil
}
