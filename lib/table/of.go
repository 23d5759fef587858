package table

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Of makes a table of a slice or array: a row for each element, a column for each exported field of a struct (or of
// what a pointer points to), named by the field or its tag; the columns of elements that are slices themselves have
// no names. It is an error if rows is something else. A tag is a name, with ",percent" or ",bar" behind it for a
// share in 0..1 that is to be shown so, or "-" to leave the field out:
//
//	Accuracy float64 `display:"accuracy,percent"`
func Of(rows any) (Table, error) {
	list := reflect.ValueOf(rows)
	if !list.IsValid() || list.Kind() != reflect.Slice && list.Kind() != reflect.Array {
		return Table{}, fmt.Errorf("table: a %T makes no table; a slice of structs or of rows does", rows)
	}
	var t Table
	of := list.Type().Elem()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	var columns []column
	switch of.Kind() {
	case reflect.Struct:
		if columns = columnsOf(of); len(columns) == 0 {
			return Table{}, fmt.Errorf("table: a %s has no exported fields to show", of)
		}
		for _, c := range columns {
			t.Header = append(t.Header, c.name)
		}
	case reflect.Slice, reflect.Array:
	default:
		return Table{}, fmt.Errorf("table: a %T makes no table; a slice of structs or of rows does", rows)
	}
	for i := range list.Len() {
		element := reflect.Indirect(list.Index(i))
		var row []any
		switch {
		case !element.IsValid(): // a nil pointer: an empty row
		case of.Kind() == reflect.Struct:
			for _, c := range columns {
				row = append(row, c.cell(element))
			}
		default:
			for k := range element.Len() {
				row = append(row, element.Index(k).Interface())
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// OfTagged makes a table of values whose type says by tags how it is shown: a struct (or a pointer to one) with at
// least one field tagged as [Of] describes, which becomes a row for each field, a slice of these, or a map of them by
// name. ok is false for anything else.
func OfTagged(v any) (t Table, ok bool) {
	r := reflect.ValueOf(v)
	if !r.IsValid() || IsNil(v) {
		return Table{}, false
	}
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		if !Tagged(r.Type().Elem()) {
			return Table{}, false
		}
		t, err := Of(v)
		return t, err == nil
	case reflect.Map:
		if !Tagged(r.Type().Elem()) || r.Type().Key().Kind() != reflect.String {
			return Table{}, false
		}
		keys := r.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		list := reflect.MakeSlice(reflect.SliceOf(r.Type().Elem()), 0, len(keys))
		for _, key := range keys {
			list = reflect.Append(list, r.MapIndex(key))
		}
		t, err := Of(list.Interface())
		t.Header = append([]string{"name"}, t.Header...)
		for i := range t.Rows {
			t.Rows[i] = append([]any{keys[i].String()}, t.Rows[i]...)
		}
		return t, err == nil
	}
	if !Tagged(r.Type()) {
		return Table{}, false
	}
	r = reflect.Indirect(r)
	for _, c := range columnsOf(r.Type()) {
		t.Add(c.name, c.cell(r))
	}
	return t, true
}

// Tagged reports whether a type is a struct, or a pointer to one, that says by tags how it is shown: see [OfTagged].
func Tagged(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, f := range reflect.VisibleFields(t) {
		if tag, ok := f.Tag.Lookup("display"); ok && tag != "-" && f.IsExported() {
			return true
		}
	}
	return false
}

// column is a field of a struct as a table has it.
type column struct {
	name, format string
	index        []int
}

func columnsOf(t reflect.Type) []column {
	var columns []column
	for _, f := range reflect.VisibleFields(t) {
		name, tagged := f.Tag.Lookup("display")
		if !tagged {
			name = f.Name
		}
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		c := column{name: name, index: f.Index}
		for _, format := range []string{"percent", "bar"} {
			if before, cut := strings.CutSuffix(name, ","+format); cut {
				c.name, c.format = before, format
			}
		}
		columns = append(columns, c)
	}
	return columns
}

// cell is the field of a struct; nil behind an embedded pointer that is nil.
func (c column) cell(of reflect.Value) any {
	field, err := of.FieldByIndexErr(c.index)
	if err != nil {
		return nil
	}
	if field.CanFloat() {
		switch c.format {
		case "percent":
			return Percent(field.Float())
		case "bar":
			return Bar(field.Float())
		}
	}
	return field.Interface()
}
