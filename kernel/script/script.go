// Package script reads files of cells: Go source in which lines that begin with // %% part the cells.
package script

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// separator is the line that parts the cells of a script, with a title behind it.
var separator = regexp.MustCompile(`(?m)^// ?%%.*$`)

// Cells returns the cells of a script: what stands between lines that begin with // %%. A program is one cell. Each
// cell is padded with empty lines, so that its positions are those of the file.
func Cells(source string) []string {
	var cells []string
	start := 0
	cut := func(end int) {
		if text := source[start:end]; strings.TrimSpace(text) != "" {
			cells = append(cells, strings.Repeat("\n", strings.Count(source[:start], "\n"))+text)
		}
	}
	for _, at := range separator.FindAllStringIndex(source, -1) {
		cut(at[0])
		start = at[1]
	}
	cut(len(source))
	return cells
}

// Read returns a script.
func Read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return Text(path, data)
}

// Text is a script as it has been read. name says in errors what it is.
func Text(name string, data []byte) (string, error) {
	if bytes.IndexByte(data, 0) >= 0 {
		return "", fmt.Errorf("%s is no text: loupe runs Go source", name)
	}
	// A first line that names the interpreter is for the system.
	source := strings.TrimPrefix(string(data), "\ufeff") // some editors begin files with a mark of their encoding
	if strings.HasPrefix(source, "#!") {
		source = "//" + source
	}
	return source, nil
}

// Write joins cells to a script.
func Write(cells []string) string {
	var out strings.Builder
	for i, cell := range cells {
		if i > 0 {
			out.WriteString("\n// %%\n")
		}
		out.WriteString(strings.TrimRight(cell, "\n") + "\n")
	}
	return out.String()
}
