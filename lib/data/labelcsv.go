package data

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// csvRow is a row of a table and the line that it starts in.
type csvRow struct {
	cells []string
	line  int
}

// readCSV takes a table apart. Columns are parted by what the first line has most of: commas, semicolons, tabs or bars;
// in a .txt without these by the last space of a line.
func readCSV(text, from string) ([]csvRow, error) {
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n") // as old programs of the Macintosh write
	}
	first, rest, _ := strings.Cut(text, "\n")
	lines := 0
	comma := ','
	if sep, ok := strings.CutPrefix(strings.TrimSpace(first), "sep="); ok && len(sep) == 1 { // Excel's word on it
		comma = rune(sep[0])
		text, lines = rest, 1
	} else {
		most := 0
		for _, c := range ",;\t|" {
			if n := outsideQuotes(first, c); n > most {
				comma, most = c, n
			}
		}
		if most == 0 && strings.EqualFold(path.Ext(from), ".txt") {
			return spaced(text), nil
		}
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = comma, -1, true
	if comma == '\t' {
		r.TrimLeadingSpace = false // which would take empty cells away
	}
	var rows []csvRow
	for {
		cells, err := r.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &bad):
			return nil, fmt.Errorf("data: %s, line %d: %w", from, bad.StartLine+lines, bad.Err)
		case err != nil:
			return nil, fmt.Errorf("data: %s: %w", from, err)
		}
		line, _ := r.FieldPos(0)
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		if strings.Join(cells, "") == "" {
			continue
		}
		rows = append(rows, csvRow{cells, line + lines})
		if want := len(rows[0].cells); len(cells) != want {
			return nil, fmt.Errorf("data: %s, line %d has %d columns, and line %d has %d",
				from, line+lines, len(cells), rows[0].line, want)
		}
	}
}

// spaced parts each line at its last space.
func spaced(text string) []csvRow {
	var rows []csvRow
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			at := strings.LastIndexAny(line, " \t") + 1
			rows = append(rows, csvRow{[]string{strings.TrimSpace(line[:at]), line[at:]}, i + 1})
		}
	}
	return rows
}

// outsideQuotes counts a character outside quotes.
func outsideQuotes(line string, c rune) int {
	n, quoted := 0, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == c && !quoted:
			n++
		}
	}
	return n
}

// csvLabels reads labels of a table with a header or without.
func csvLabels(text, from string, o Options, m *matcher) ([]labelRow, error) {
	rows, err := readCSV(text, from)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("data: %s has no rows", from)
	}
	if len(rows[0].cells) < 2 {
		return nil, fmt.Errorf("data: %s has one column; labels have two, of files and of classes, "+
			"parted by commas, semicolons or tabs", from)
	}
	// matches tells how many of the first rows from one on name a file in a column.
	matches := func(start, column int) int {
		n := 0
		for _, r := range rows[min(start, len(rows)):min(start+100, len(rows))] {
			if _, found := m.find(r.cells[column]); found > 0 {
				n++
			}
		}
		return n
	}
	header := rows[0].cells
	isFile := func(cell string) bool { _, found := m.find(cell); return found > 0 || isImage(cell) }
	hasHeader := true
	for _, cell := range header {
		hasHeader = hasHeader && !isFile(cell)
	}
	start := 1
	if !hasHeader {
		start = 0
		header = nil
		for i := range rows[0].cells {
			header = append(header, strconv.Itoa(i+1))
		}
	}
	file, label, err := o.columnsOf(header, from, func(column int) int { return matches(start, column) })
	if err != nil {
		return nil, err
	}
	if file < 0 { // of no known name: the one that names files
		best := 0
		for i := range header {
			if n := matches(start, i); n > best && i != label {
				file, best = i, n
			}
		}
	}
	if file < 0 && !hasHeader {
		for i, cell := range rows[0].cells {
			if isImage(cell) {
				file = i
			}
		}
	}
	if label < 0 && file >= 0 && len(header) == 2 {
		label = 1 - file
	}
	if file < 0 || label < 0 {
		return nil, noColumns(header, from, file, label)
	}
	var labels []labelRow
	for _, r := range rows[start:] {
		labels = append(labels, labelRow{r.cells[file], r.cells[label], fmt.Sprintf("line %d of %s", r.line, from)})
	}
	return labels, nil
}
