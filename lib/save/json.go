package save

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/table"
)

// writeJSON writes what is a document as it says, what has a table as a list of records, and other values as Go's
// encoding/json does, but NaN and infinities as null, as pandas does, and a struct with fields that are not exported
// not at all, for they would be lost, unless its tags say what is shown of it: that is its record then.
func writeJSON(w io.Writer, v any) error {
	if d, ok := v.(Documenter); ok {
		document, err := d.JSON()
		if err != nil {
			return err
		}
		_, err = w.Write(document)
		return err
	}
	var out bytes.Buffer
	switch v.(type) {
	case table.Table, *table.Table, Tabler, sureTabler:
		t, _, err := tableOf(v)
		if err != nil {
			return err
		}
		if err := records(&out, t); err != nil {
			return err
		}
	default:
		if err := appendJSON(&out, reflect.ValueOf(v)); err != nil {
			if _, tagged := table.OfTagged(v); !tagged {
				return err
			}
			t, _, err := tableOf(v)
			if err != nil {
				return err
			}
			out.Reset()
			if err := records(&out, t); err != nil {
				return err
			}
		}
	}
	out.WriteByte('\n')
	_, err := w.Write(out.Bytes())
	return err
}

func records(out *bytes.Buffer, t table.Table) error {
	out.WriteString("[")
	for i, row := range t.Rows {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n{")
		for c, cell := range row {
			if c > 0 {
				out.WriteString(", ")
			}
			if err := appendJSON(out, reflect.ValueOf(t.Header[c])); err != nil {
				return err
			}
			out.WriteString(": ")
			if err := appendJSON(out, reflect.ValueOf(cell)); err != nil {
				return err
			}
		}
		out.WriteString("}")
	}
	out.WriteString("\n]")
	return nil
}

func appendJSON(out *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface || v.Kind() == reflect.Map ||
		v.Kind() == reflect.Slice) && v.IsNil() {
		out.WriteString("null")
		return nil
	}
	switch whole := v.Interface().(type) {
	case *tensors.Tensor:
		return appendJSON(out, reflect.ValueOf(whole.Value()))
	case json.Marshaler, encoding.TextMarshaler:
		data, err := json.Marshal(whole)
		out.Write(data)
		return err
	}
	list := func(open, end byte, n int, element func(i int) error) error {
		out.WriteByte(open)
		for i := range n {
			if i > 0 {
				out.WriteString(", ")
			}
			if err := element(i); err != nil {
				return err
			}
		}
		out.WriteByte(end)
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return appendJSON(out, v.Elem())
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			out.WriteString("null")
			return nil
		}
	case reflect.Slice, reflect.Array:
		return list('[', ']', v.Len(), func(i int) error { return appendJSON(out, v.Index(i)) })
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return fmt.Errorf("a %s has no names for keys", v.Type())
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		return list('{', '}', len(keys), func(i int) error {
			if err := appendJSON(out, reflect.ValueOf(keys[i].String())); err != nil {
				return err
			}
			out.WriteString(": ")
			return appendJSON(out, v.MapIndex(keys[i]))
		})
	case reflect.Struct:
		var fields []reflect.StructField
		for _, f := range reflect.VisibleFields(v.Type()) {
			if len(f.Index) > 1 {
				continue // of an embedded struct, which is a field itself
			}
			if !f.IsExported() {
				return fmt.Errorf("a %s holds more than .json can show: it has no rows, and its %s would be lost", v.Type(), f.Name)
			}
			fields = append(fields, f)
		}
		return list('{', '}', len(fields), func(i int) error {
			if err := appendJSON(out, reflect.ValueOf(fields[i].Name)); err != nil {
				return err
			}
			out.WriteString(": ")
			return appendJSON(out, v.FieldByIndex(fields[i].Index))
		})
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("JSON has nothing for a %s", v.Type())
	}
	data, err := json.Marshal(v.Interface())
	out.Write(data)
	return err
}
