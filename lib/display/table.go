package display

import (
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"math"
	"reflect"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/loupeml/loupe/lib/mime"
)

// Table is a table with a header. A cell may be anything: numbers are written short, images are shown
// small, a [Bar] is drawn as one, and the rest is text.
type Table struct {
	Title  string
	Header []string
	Rows   [][]any
}

// Bar is a table's cell that draws a share in 0..1 as a bar with its percentage.
type Bar float64

// length is how much of the bar is drawn: nothing of what is not a number.
func (b Bar) length() float64 {
	if math.IsNaN(float64(b)) {
		return 0
	}
	return min(max(float64(b), 0), 1)
}

// Shares is a cell that draws a [Bar] for each of its values, one below the other.
type Shares []float64

// TableOf makes a table of a slice or array: a row for each element, a column for each exported field of a struct (or
// of what a pointer points to), named by the field or its `display:"name"` tag, without those tagged `display:"-"`;
// the columns of elements that are slices themselves have no names. It is an error if rows is something else.
func TableOf(rows any) (Table, error) {
	list := reflect.ValueOf(rows)
	if !list.IsValid() || list.Kind() != reflect.Slice && list.Kind() != reflect.Array {
		return Table{}, fmt.Errorf("display: a %T makes no table; a slice of structs or of rows does", rows)
	}
	var t Table
	of := list.Type().Elem()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	var fields [][]int // by column
	switch of.Kind() {
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(of) {
			name, tagged := f.Tag.Lookup("display")
			if !tagged {
				name = f.Name
			}
			if f.IsExported() && !f.Anonymous && name != "-" {
				t.Header, fields = append(t.Header, name), append(fields, f.Index)
			}
		}
		if len(fields) == 0 {
			return Table{}, fmt.Errorf("display: a %s has no exported fields to show", of)
		}
	case reflect.Slice, reflect.Array:
	default:
		return Table{}, fmt.Errorf("display: a %T makes no table; a slice of structs or of rows does", rows)
	}
	for i := range list.Len() {
		element := reflect.Indirect(list.Index(i))
		var row []any
		switch {
		case !element.IsValid(): // a nil pointer: an empty row
		case of.Kind() == reflect.Struct:
			for _, index := range fields {
				var cell any // nil behind an embedded pointer that is nil
				if field, err := element.FieldByIndexErr(index); err == nil {
					cell = field.Interface()
				}
				row = append(row, cell)
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

// Add appends a row.
func (t *Table) Add(cells ...any) { t.Rows = append(t.Rows, cells) }

func (t Table) writer(cell func(any) string) table.Writer {
	w := table.NewWriter()
	if t.Header != nil {
		row := table.Row{}
		for _, h := range t.Header {
			row = append(row, cell(h))
		}
		w.AppendHeader(row)
	}
	for _, r := range t.Rows {
		row := table.Row{}
		for _, c := range r {
			row = append(row, cell(c))
		}
		w.AppendRow(row)
	}
	return w
}

func cellText(v any) string {
	if isNil(v) {
		return "nil"
	}
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.4g", v)
	case float32:
		return fmt.Sprintf("%.4g", v)
	case Bar:
		return fmt.Sprintf("%5.1f%% %s", 100*float64(v), strings.Repeat("█", int(20*v.length()+0.5)))
	case Shares:
		lines := make([]string, len(v))
		for i, share := range v {
			lines[i] = cellText(Bar(share))
		}
		return strings.Join(lines, "\n")
	case image.Image:
		return fmt.Sprintf("<image %d x %d>", v.Bounds().Dx(), v.Bounds().Dy())
	}
	return Text(v)
}

func cellHTML(v any) string {
	if isNil(v) {
		return "nil"
	}
	switch v := v.(type) {
	case Bar:
		share := v.length()
		return fmt.Sprintf(`<div style="display:flex;align-items:center;gap:6px"><div style="width:110px;background:#e8e8e8;height:11px"><div style="width:%.1f%%;background:#0072b2;height:11px"></div></div>%.1f%%</div>`, 100*share, 100*float64(v))
	case Shares:
		var lines strings.Builder
		for _, share := range v {
			lines.WriteString(cellHTML(Bar(share)))
		}
		return lines.String()
	case image.Image:
		if data, err := encodePNG(resized(v, 96*pixelRatio)); err == nil {
			return `<img style="width:96px" src="data:image/png;base64,` + base64.StdEncoding.EncodeToString(data) + `">`
		}
	}
	return strings.ReplaceAll(html.EscapeString(cellText(v)), "\n", "<br>")
}

// Bundle shows the table as HTML and as text.
func (t Table) Bundle() mime.Bundle {
	w := t.writer(cellHTML)
	w.Style().HTML = table.HTMLOptions{CSSClass: "loupe-table", EmptyColumn: "&nbsp;", EscapeText: false, Newline: "<br>"}
	page := w.RenderHTML()
	if t.Title != "" {
		page = "<p><b>" + html.EscapeString(t.Title) + "</b></p>\n" + page
	}
	return mime.Bundle{Data: map[string]string{mime.HTML: page, mime.Text: t.String()}}
}

// String is the table as text.
func (t Table) String() string {
	w := t.writer(cellText)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault // names stay as they are written
	w.SetStyle(style)
	if t.Title != "" {
		w.SetTitle("%s", t.Title)
	}
	return w.Render()
}
