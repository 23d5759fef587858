package table

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/loupeml/loupe/lib/internal/picture"
)

// Flat is the table with one number or one word in each cell, as spreadsheets and data frames have it: numbers as
// they are (of a [Percent] or a [Bar] the share in 0..1), a duration in seconds, a slice as columns "name 1", "name
// 2", …, a struct with exported fields, such as an interval, as columns "name field", text as it is, nil as nil.
// Columns of pictures are left out: a file's name stands in their place. What is none of these is an error that names
// the column.
//
// Cells are then nil, bool, string, or a number of a built-in type.
func (t Table) Flat() (Table, error) {
	header := t.Header
	for _, row := range t.Rows {
		for len(header) < len(row) {
			header = append(header[:len(header):len(header)], fmt.Sprint(len(header)))
		}
	}
	flat := Table{Title: t.Title, Rows: make([][]any, len(t.Rows))}
	for c, name := range header {
		// A column is as wide as its widest cell.
		parts := make([]cells, len(t.Rows))
		var widest cells
		for i, row := range t.Rows {
			if c >= len(row) {
				continue
			}
			var err error
			if parts[i], err = flatCell(row[c]); err != nil {
				return Table{}, fmt.Errorf("table: row %d of the column %q holds %w", i, name, err)
			}
			if len(parts[i].values) > len(widest.values) || widest.kind == isEmpty {
				widest = parts[i]
			}
		}
		for i, p := range parts {
			if p.kind != isEmpty && p.kind != widest.kind {
				return Table{}, fmt.Errorf("table: the column %q holds %s in one row and %s in row %d", name,
					widest.kind, p.kind, i)
			}
		}
		if widest.kind == isPicture {
			continue
		}
		if len(widest.values) == 0 {
			widest = cells{values: []any{nil}}
		}
		for k := range widest.values {
			flat.Header = append(flat.Header, strings.ReplaceAll(name, "\n", " ")+widest.suffix(k))
		}
		for i, p := range parts {
			cells := make([]any, len(widest.values))
			copy(cells, p.values)
			flat.Rows[i] = append(flat.Rows[i], cells...)
		}
	}
	return flat, nil
}

// celler is a value that says itself what a file's cell holds of it: a number, a word, or a struct of these.
type celler interface{ Cell() any }

// cells is what a cell becomes.
type cells struct {
	kind   kind
	values []any
	fields []string // of a struct
}

type kind string

const (
	isEmpty   kind = ""
	isSingle  kind = "one value"
	isSeconds kind = "a duration"
	isSeveral kind = "several values"
	isFields  kind = "fields"
	isPicture kind = "a picture"
)

// suffix is what the name of the k-th column has behind it.
func (c cells) suffix(k int) string {
	switch c.kind {
	case isSeconds:
		return " (s)"
	case isSeveral:
		return fmt.Sprint(" ", k+1)
	case isFields:
		return strings.TrimSuffix(" "+c.fields[k], " ")
	}
	return ""
}

func flatCell(v any) (cells, error) {
	if IsNil(v) {
		return cells{}, nil
	}
	if c, ok := v.(celler); ok {
		return flatCell(c.Cell())
	}
	if _, ok := picture.Of(v); ok {
		return cells{kind: isPicture}, nil
	}
	switch v := v.(type) {
	case time.Duration:
		return cells{kind: isSeconds, values: []any{v.Seconds()}}, nil
	case error:
		return cells{kind: isSingle, values: []any{v.Error()}}, nil
	case time.Time:
		return cells{kind: isSingle, values: []any{v.Format(time.RFC3339Nano)}}, nil
	}
	r := reflect.ValueOf(v)
	if s, ok := v.(fmt.Stringer); ok && r.Kind() != reflect.Struct && r.Kind() != reflect.Pointer {
		return cells{kind: isSingle, values: []any{s.String()}}, nil
	}
	r = reflect.Indirect(r)
	switch {
	case r.Kind() == reflect.Bool:
		return cells{kind: isSingle, values: []any{r.Bool()}}, nil
	case r.Kind() == reflect.String:
		return cells{kind: isSingle, values: []any{r.String()}}, nil
	case r.Kind() == reflect.Float32:
		return cells{kind: isSingle, values: []any{float32(r.Float())}}, nil
	case r.CanInt():
		return cells{kind: isSingle, values: []any{r.Int()}}, nil
	case r.CanUint():
		return cells{kind: isSingle, values: []any{r.Uint()}}, nil
	case r.CanFloat():
		return cells{kind: isSingle, values: []any{r.Float()}}, nil
	case r.Kind() == reflect.Slice || r.Kind() == reflect.Array:
		c := cells{kind: isSeveral}
		for i := range r.Len() {
			part, err := flatCell(r.Index(i).Interface())
			if err != nil || part.kind != isSingle && part.kind != isEmpty {
				return cells{}, fmt.Errorf("a %T, which is not a number or a word for each column", v)
			}
			c.values = append(c.values, append(part.values, nil)[0])
		}
		return c, nil
	case r.Kind() == reflect.Struct:
		c := cells{kind: isFields}
		for _, f := range reflect.VisibleFields(r.Type()) {
			part, err := cells{}, error(nil)
			if f.IsExported() {
				part, err = flatCell(r.FieldByIndex(f.Index).Interface())
			}
			if err != nil || part.kind != isSingle {
				return cells{}, fmt.Errorf("a %T, which is not one number or word", v)
			}
			name := strings.ToLower(f.Name)
			if tag, ok := f.Tag.Lookup("display"); ok {
				name, _, _ = strings.Cut(tag, ",")
			}
			c.values, c.fields = append(c.values, part.values[0]), append(c.fields, name)
		}
		if len(c.values) == 0 {
			return cells{}, fmt.Errorf("a %T, which is not one number or word", v)
		}
		return c, nil
	}
	return cells{}, fmt.Errorf("a %T, which is not one number or word", v)
}
