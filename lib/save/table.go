package save

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/table"
)

// tableOf is a value as a table with one number or word a cell; ok is false if it has no rows.
func tableOf(v any) (t table.Table, ok bool, err error) {
	switch v := v.(type) {
	case table.Table:
		t = v
	case *table.Table:
		t = *v
	case Tabler:
		t, err = v.Table()
	case sureTabler:
		t = v.Table()
	default:
		if t, ok = plainTable(v); !ok {
			return t, false, nil
		}
	}
	if err != nil {
		return t, true, err
	}
	t, err = t.Flat()
	return t, true, err
}

// plainTable is a table of a plain Go value: structs, vectors, matrices, maps of numbers by name.
func plainTable(v any) (table.Table, bool) {
	if t, ok := table.OfTagged(v); ok {
		if reflect.Indirect(reflect.ValueOf(v)).Kind() == reflect.Struct { // one record: its fields are the columns
			list := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v)), 0, 1)
			one, err := table.Of(reflect.Append(list, reflect.ValueOf(v)).Interface())
			return one, err == nil
		}
		return t, true
	}
	switch v := v.(type) {
	case *tensors.Tensor:
		if v.Rank() == 1 || v.Rank() == 2 {
			return plainTable(v.Value())
		}
		return table.Table{}, false
	case mat.Matrix:
		rows, columns := v.Dims()
		m := make([][]float64, rows)
		for i := range m {
			m[i] = make([]float64, columns)
			for k := range m[i] {
				m[i][k] = v.At(i, k)
			}
		}
		return plainTable(m)
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		of := r.Type().Elem()
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		switch of.Kind() {
		case reflect.Struct:
			t, err := table.Of(v)
			return t, err == nil
		case reflect.Slice, reflect.Array: // a matrix
			t, err := table.Of(v)
			widest := 0
			for _, row := range t.Rows {
				widest = max(widest, len(row))
			}
			t.Header = []string{"index"}
			for k := range widest {
				t.Header = append(t.Header, fmt.Sprint(k))
			}
			for i := range t.Rows {
				t.Rows[i] = append([]any{i}, t.Rows[i]...)
			}
			return t, err == nil
		}
		t := table.Table{Header: []string{"index", "value"}}
		for i := range r.Len() {
			t.Add(i, r.Index(i).Interface())
		}
		return t, true
	case reflect.Map:
		if r.Type().Key().Kind() != reflect.String {
			return table.Table{}, false
		}
		t := table.Table{Header: []string{"name", "value"}}
		keys := r.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			t.Add(key.String(), r.MapIndex(key).Interface())
		}
		return t, true
	}
	return table.Table{}, false
}

func writeCSV(w io.Writer, v any) error {
	t, ok, err := tableOf(v)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("a %T has no rows for a table", v)
	}
	out := csv.NewWriter(w)
	if err := out.Write(t.Header); err != nil {
		return err
	}
	record := make([]string, len(t.Header))
	for _, row := range t.Rows {
		for c, cell := range row {
			record[c] = csvCell(cell)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// csvCell writes a cell so that it reads back as the same number. Booleans, NaN and infinities are those of pandas.
func csvCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return csvFloat(v, 64)
	case float32:
		return csvFloat(float64(v), 32)
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(v)
}

func csvFloat(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return map[bool]string{true: "inf", false: "-inf"}[v > 0]
	}
	return strconv.FormatFloat(v, 'g', -1, bits)
}

// readCSV reads a table. A column all of whose cells are whole numbers becomes int, one of numbers float64 with NaN
// where a cell is empty, one of True and False bool, any other string.
func readCSV(r io.Reader) (table.Table, error) {
	records, err := csv.NewReader(r).ReadAll()
	if err != nil || len(records) == 0 {
		return table.Table{}, err
	}
	t := table.Table{Header: records[0], Rows: make([][]any, len(records)-1)}
	for i := range t.Rows {
		t.Rows[i] = make([]any, len(t.Header))
	}
	for c := range t.Header {
		column := make([]string, len(t.Rows))
		for i, record := range records[1:] {
			column[i] = record[c]
		}
		for i, cell := range typed(column) {
			t.Rows[i][c] = cell
		}
	}
	return t, nil
}

func typed(column []string) []any {
	kinds := []func(string) (any, bool){
		func(s string) (any, bool) { n, err := strconv.Atoi(s); return n, err == nil },
		func(s string) (any, bool) {
			if s == "" {
				return math.NaN(), true
			}
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil
		},
		func(s string) (any, bool) { return s == "True", s == "True" || s == "False" },
		func(s string) (any, bool) { return s, true },
	}
	if strings.Join(column, "") == "" { // nothing to see a type by
		kinds = kinds[3:]
	}
next:
	for _, kind := range kinds {
		cells := make([]any, len(column))
		for i, s := range column {
			var ok bool
			if cells[i], ok = kind(s); !ok {
				continue next
			}
		}
		return cells
	}
	return nil // not reached: every cell is a string
}
