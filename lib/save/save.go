// Package save writes values to files, in the format that the file's name ends in, and reads them back.
//
//	.csv          tables, vectors and matrices: one number or word a cell, as spreadsheets and pandas read it
//	.json         the same as a list of records, and plain Go values
//	.npy          one array, as NumPy reads it
//	.npz          several, by name, and a model with its spec and the names of its classes; of what has rows and no
//	              arrays the columns, with words as JSON in metadata.json
//	.safetensors  the same
//	.png .pdf     pictures
//	.svg          plots
//	.html         pages: what has one, such as a report
//
// A result takes part by small interfaces, those that it can: [Tabler], [Arrayer], and the methods Plot or Grid that
// package display draws by.
package save

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Tabler is a value that has rows, which .csv and .json files hold. Rows of single images begin with the columns
// "index" and, where it is known, "file". A method Table() table.Table does as well, for what cannot fail.
type Tabler interface {
	Table() (table.Table, error)
}

type sureTabler interface {
	Table() table.Table
}

// Arrayer is a value that is made of arrays, which .npz and .safetensors files hold by name, and .npy if it is one.
// metadata is what there is to know besides; nil if nothing.
type Arrayer interface {
	Arrays() (arrays map[string]*tensors.Tensor, metadata map[string]string, err error)
}

// Pager is a value that is a page of its own, which .html files hold.
type Pager interface {
	HTML() ([]byte, error)
}

// Documenter is a value that has a form of its own in .json files, in place of its rows.
type Documenter interface {
	JSON() ([]byte, error)
}

// writers are the formats.
var writers = map[string]func(w io.Writer, v any) error{
	".csv":         writeCSV,
	".json":        writeJSON,
	".npy":         writeNPY,
	".npz":         writeNPZ,
	".safetensors": writeSafetensors,
	".png":         writePNG,
	".svg":         writeSVG,
	".pdf":         writePDF,
	".html":        writeHTML,
}

// Suffixes are those that [Write] knows.
func Suffixes() []string { return slices.Sorted(maps.Keys(writers)) }

// Write writes a value to a file, in the format that the path ends in. The file is there as a whole or not at all;
// one that was there before is replaced. A value that the format cannot hold is an error that says so, and nothing is
// written.
func Write(path string, v any) error {
	write := writers[strings.ToLower(filepath.Ext(path))]
	if write == nil {
		return fmt.Errorf("save: %s: files end in %s", path, strings.Join(Suffixes(), ", "))
	}
	if table.IsNil(v) {
		return fmt.Errorf("save: %s: there is no value to save: it is nil", path)
	}
	if err := wholefile.Write(path, func(w io.Writer) error { return write(w, v) }); err != nil {
		return fmt.Errorf("save: %s: %w", path, err)
	}
	return nil
}

func writeSafetensors(w io.Writer, v any) error {
	arrays, metadata, err := arraysOf(v)
	if err != nil {
		return err
	}
	return safetensors.Write(w, arrays, metadata)
}

func writePNG(w io.Writer, v any) error {
	img, err := display.Picture(v)
	if err != nil {
		return err
	}
	data, err := picture.PNG(img)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func writeSVG(w io.Writer, v any) error {
	b, err := display.SVG(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, b.Data[mime.SVG])
	return err
}

func writeHTML(w io.Writer, v any) error {
	p, ok := v.(Pager)
	if !ok {
		return fmt.Errorf("a %T is no page: a report is", v)
	}
	page, err := p.HTML()
	if err != nil {
		return err
	}
	_, err = w.Write(page)
	return err
}

func writePDF(w io.Writer, v any) error {
	data, err := display.PDF(v)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
