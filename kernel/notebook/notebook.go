// Package notebook reads, runs, writes and exports Jupyter notebooks without Jupyter.
// https://nbformat.readthedocs.io/en/latest/format_description.html
package notebook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/loupeml/loupe/internal/wholefile"
)

// Notebook is a notebook of format 4. What loupe does not know is kept as it is.
type Notebook struct {
	Cells    []*Cell
	Metadata map[string]any
	Minor    int            // nbformat_minor
	rest     map[string]any // other fields at the top
}

// Language returns the language that the notebook's metadata names, in small letters; empty when it names none.
func (nb *Notebook) Language() string {
	for _, name := range []string{text(object(nb.Metadata["kernelspec"])["language"]),
		text(object(nb.Metadata["language_info"])["name"])} {
		if name != "" {
			return strings.ToLower(name)
		}
	}
	return ""
}

// CellType is the kind of a cell.
type CellType string

// The kinds of cells.
const (
	Code     CellType = "code"
	Markdown CellType = "markdown"
	Raw      CellType = "raw"
)

// Cell is one cell.
type Cell struct {
	Type        CellType
	Source      string
	Metadata    map[string]any
	Outputs     []Output                  // of a code cell
	Count       *int                      // execution_count of a code cell; nil when it has not run
	Attachments map[string]map[string]any // files of a Markdown or raw cell: name, MIME type, content
	rest        map[string]any            // other fields, such as id
}

// Tagged reports whether the cell's metadata has the tag.
func (c *Cell) Tagged(tag string) bool {
	tags, _ := c.Metadata["tags"].([]any)
	for _, t := range tags {
		if t == tag {
			return true
		}
	}
	return false
}

// Output is one output of a code cell, as nbformat describes it. Text is one string, not a list of lines.
type Output map[string]any

// Type returns "stream", "display_data", "execute_result" or "error".
func (o Output) Type() string { return text(o["output_type"]) }

// Data returns the output's forms by MIME type.
func (o Output) Data() map[string]any {
	data, _ := o["data"].(map[string]any)
	return data
}

// Read reads a notebook file.
func Read(path string) (*Notebook, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("notebook: %w", err)
	}
	nb, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("notebook: %s: %w", path, err)
	}
	return nb, nil
}

// Parse reads the JSON of a notebook.
func Parse(data []byte) (*Notebook, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // numbers are written as they were
	var top map[string]any
	if err := d.Decode(&top); err != nil {
		return nil, fmt.Errorf("this is not a notebook, its JSON is broken: %w", err)
	}
	major, ok := number(top["nbformat"])
	switch {
	case !ok:
		return nil, errors.New("this is not a notebook: it has no nbformat")
	case major != 4:
		return nil, fmt.Errorf(
			"the notebook is in format %d and loupe reads format 4: `jupyter nbconvert --to notebook` converts it", major)
	}
	nb := &Notebook{Metadata: object(top["metadata"])}
	nb.Minor, _ = number(top["nbformat_minor"])
	cells, ok := top["cells"].([]any)
	if !ok {
		return nil, errors.New("this is not a notebook: it has no cells")
	}
	for i, c := range cells {
		fields, ok := c.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("cell %d is not an object", i+1)
		}
		cell, err := parseCell(fields)
		if err != nil {
			return nil, fmt.Errorf("cell %d: %w", i+1, err)
		}
		nb.Cells = append(nb.Cells, cell)
	}
	for _, key := range []string{"nbformat", "nbformat_minor", "metadata", "cells"} {
		delete(top, key)
	}
	nb.rest = top
	for _, key := range []string{"orig_nbformat", "orig_nbformat_minor", "signature"} {
		delete(nb.Metadata, key)
	}
	return nb, nil
}

func parseCell(fields map[string]any) (*Cell, error) {
	c := &Cell{Type: CellType(text(fields["cell_type"])), Source: joined(fields["source"]),
		Metadata: object(fields["metadata"])}
	delete(c.Metadata, "trusted")
	switch c.Type {
	case Code:
		if n, ok := number(fields["execution_count"]); ok {
			c.Count = &n
		}
		outputs, _ := fields["outputs"].([]any)
		for _, o := range outputs {
			output, ok := o.(map[string]any)
			if !ok {
				return nil, errors.New("an output is not an object")
			}
			if data := Output(output).Data(); data != nil {
				joinBundle(data)
			}
			if t, ok := output["text"]; ok {
				output["text"] = joined(t)
			}
			c.Outputs = append(c.Outputs, output)
		}
	case Markdown, Raw:
	default:
		return nil, fmt.Errorf("there is no cell type %q", c.Type)
	}
	if attachments, ok := fields["attachments"].(map[string]any); ok {
		c.Attachments = map[string]map[string]any{}
		for name, bundle := range attachments {
			data := object(bundle)
			joinBundle(data)
			c.Attachments[name] = data
		}
	}
	for _, key := range []string{"cell_type", "source", "metadata", "outputs", "execution_count", "attachments"} {
		delete(fields, key)
	}
	c.rest = fields
	return c, nil
}

// Bytes returns the file as Jupyter writes it: keys sorted, indented by one space, text as a list of lines.
func (nb *Notebook) Bytes() ([]byte, error) {
	top := map[string]any{"nbformat": 4, "nbformat_minor": nb.Minor, "metadata": orEmpty(nb.Metadata)}
	for k, v := range nb.rest {
		top[k] = v
	}
	cells := make([]any, 0, len(nb.Cells))
	for _, c := range nb.Cells {
		fields := map[string]any{"cell_type": c.Type, "source": lines(c.Source), "metadata": orEmpty(c.Metadata)}
		for k, v := range c.rest {
			fields[k] = v
		}
		if c.Type == Code {
			fields["execution_count"] = c.Count
			outputs := make([]any, 0, len(c.Outputs))
			for _, o := range c.Outputs {
				outputs = append(outputs, splitOutput(o))
			}
			fields["outputs"] = outputs
		}
		if c.Attachments != nil {
			attachments := map[string]any{}
			for name, bundle := range c.Attachments {
				attachments[name] = splitBundle(bundle)
			}
			fields["attachments"] = attachments
		}
		cells = append(cells, fields)
	}
	top["cells"] = cells
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(top); err != nil {
		return nil, fmt.Errorf("notebook: %w", err)
	}
	return plainSeparators(b.Bytes()), nil
}

// plainSeparators writes the two line separators of Unicode as they are, which encoding/json escapes and Jupyter does
// not.
func plainSeparators(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u202`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		switch {
		case data[i] != '\\':
			out = append(out, data[i])
		case bytes.HasPrefix(data[i:], []byte(`\u2028`)):
			out = append(out, "\u2028"...)
			i += 5
		case bytes.HasPrefix(data[i:], []byte(`\u2029`)):
			out = append(out, "\u2029"...)
			i += 5
		default:
			out = append(out, data[i], data[i+1])
			i++
		}
	}
	return out
}

// Write writes the notebook to a file, whole or not at all.
func (nb *Notebook) Write(path string) error {
	data, err := nb.Bytes()
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

// writeFile replaces a file in one step, so that no reader and no crash sees half of it. Its folder is made if need be.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("notebook: %w", err)
	}
	if err := wholefile.Write(path, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		return fmt.Errorf("notebook: %s is not written: %w", path, err)
	}
	return nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return orEmpty(m)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}

// joined makes one string of what may be a list of lines.
func joined(v any) string {
	list, ok := v.([]any)
	if !ok {
		return text(v)
	}
	var b strings.Builder
	for _, line := range list {
		b.WriteString(text(line))
	}
	return b.String()
}

func isJSON(mimeType string) bool {
	return mimeType == "application/json" || strings.HasPrefix(mimeType, "application/") &&
		strings.HasSuffix(mimeType, "+json")
}

func joinBundle(data map[string]any) {
	for mimeType, v := range data {
		if _, list := v.([]any); list && !isJSON(mimeType) {
			data[mimeType] = joined(v)
		}
	}
}

func splitBundle(data map[string]any) map[string]any {
	split := make(map[string]any, len(data))
	for mimeType, v := range data {
		s, ok := v.(string)
		if ok && (strings.HasPrefix(mimeType, "text/") || mimeType == "image/svg+xml" ||
			mimeType == "application/javascript") {
			v = lines(s)
		}
		split[mimeType] = v
	}
	return split
}

func splitOutput(o Output) map[string]any {
	split := make(map[string]any, len(o))
	for k, v := range o {
		switch s, isText := v.(string); {
		case k == "data":
			v = splitBundle(o.Data())
		case k == "text" && isText && o.Type() == "stream":
			v = lines(s)
		}
		split[k] = v
	}
	return split
}

// lines splits where Python's str.splitlines(keepends=True) does, which is where Jupyter splits.
func lines(s string) []string {
	list := []string{}
	start := 0
	for i, r := range s {
		end := i
		switch r {
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			end = i + len(string(r))
		case '\r':
			if strings.HasPrefix(s[i+1:], "\n") {
				continue
			}
			end = i + 1
		default:
			continue
		}
		list = append(list, s[start:end])
		start = end
	}
	if start < len(s) {
		list = append(list, s[start:])
	}
	return list
}
