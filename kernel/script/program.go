package script

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"regexp"
)

// kernelLine is a line that means something in a cell only.
var kernelLine = regexp.MustCompile(`(?m)^[%!]`)

// IsProgram reports whether a file is one of the go command's, and not one of cells: it begins with its package and has
// nothing but declarations behind that. A file that has a main function and is wrong elsewhere is one as well, for the
// compiler to tell what is wrong; what has lines that part cells, and no main function, is not.
func IsProgram(source string) bool {
	if _, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly); err != nil {
		return false
	}
	parted := separator.MatchString(source)
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err == nil {
		return !parted || declaresMain(file)
	}
	return !parted && !kernelLine.MatchString(source) && hasMain(source)
}

// declaresMain reports whether a file has a main function.
func declaresMain(file *ast.File) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "main" {
			return true
		}
	}
	return false
}

// hasMain reports whether a text that does not parse has what begins a main function.
func hasMain(source string) bool {
	files := token.NewFileSet()
	var s scanner.Scanner
	s.Init(files.AddFile("", -1, len(source)), []byte(source), func(token.Position, string) {}, 0)
	last := [2]string{}
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return false
		}
		if tok == token.LPAREN && last == [2]string{"func", "main"} {
			return true
		}
		last = [2]string{last[1], lit}
	}
}
