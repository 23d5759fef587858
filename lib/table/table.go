// Package table has tables: what most results show themselves as, and what is written to files from them. It links no
// plotting.
package table

import (
	"encoding/base64"
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
)

// Table is a table with a header. A cell may be anything: numbers are written short, images are shown
// small, a [Bar] is drawn as one, and the rest is text. It shows its first 100 rows; a file gets all of them.
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

// Percent is a cell that writes a share as a percentage: 0.123 is 12.3%, and NaN, a share of nothing, is left empty.
type Percent float64

// Shares is a cell that draws a [Bar] for each of its values, one below the other.
type Shares []float64

// Add appends a row. A cell of nil has no value: it is shown empty.
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
	for _, r := range t.Rows[:min(len(t.Rows), mostRows)] {
		row := table.Row{}
		for _, c := range r {
			row = append(row, cell(c))
		}
		w.AppendRow(row)
	}
	return w
}

// mostRows is how many rows are shown.
const mostRows = 100

// more says how many rows are not shown; "" if none.
func (t Table) more() string {
	if len(t.Rows) <= mostRows {
		return ""
	}
	return fmt.Sprintf("the first %d of %d rows", mostRows, len(t.Rows))
}

func cellText(v any) string {
	if v == nil {
		return "" // there is no value
	}
	if IsNil(v) {
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
	case Percent:
		if math.IsNaN(float64(v)) {
			return "" // a share of nothing
		}
		return fmt.Sprintf("%.1f%%", 100*float64(v))
	case Shares:
		lines := make([]string, len(v))
		for i, share := range v {
			lines[i] = cellText(Bar(share))
		}
		return strings.Join(lines, "\n")
	}
	if img, ok := picture.Of(v); ok {
		return fmt.Sprintf("<image %d x %d>", img.Bounds().Dx(), img.Bounds().Dy())
	}
	return Text(v)
}

func cellHTML(v any) string {
	if v == nil {
		return ""
	}
	if IsNil(v) {
		return "nil"
	}
	switch v := v.(type) {
	case Bar:
		share := v.length()
		return fmt.Sprintf(`<div style="display:flex;align-items:center;gap:6px"><div `+
			`style="width:110px;background:#e8e8e8;height:11px"><div `+
			`style="width:%.1f%%;background:#0072b2;height:11px"></div></div>%.1f%%</div>`, 100*share, 100*float64(v))
	case Shares:
		var lines strings.Builder
		for _, share := range v {
			lines.WriteString(cellHTML(Bar(share)))
		}
		return lines.String()
	}
	if img, ok := picture.Of(v); ok {
		if data, kind, err := picture.Smallest(picture.Resized(img, 96*picture.PixelRatio)); err == nil {
			return `<img style="width:96px" src="data:` + kind + `;base64,` + base64.StdEncoding.EncodeToString(data) + `">`
		}
	}
	text := html.EscapeString(cellText(v))
	if strings.Contains(text, "\n") { // its lines stand beside those of another cell, where there is little room too
		return `<div style="white-space:nowrap">` + strings.ReplaceAll(text, "\n", "<br>") + "</div>"
	}
	return text
}

// Bundle shows the table as HTML and as text.
func (t Table) Bundle() mime.Bundle {
	w := t.writer(cellHTML)
	w.Style().HTML = table.HTMLOptions{CSSClass: "loupe-table", EmptyColumn: "&nbsp;", EscapeText: false, Newline: "<br>"}
	page := w.RenderHTML()
	if t.Title != "" {
		page = "<p><b>" + html.EscapeString(t.Title) + "</b></p>\n" + page
	}
	if more := t.more(); more != "" {
		page += "\n<p>" + more + "</p>"
	}
	return mime.Bundle{Data: map[string]string{mime.HTML: page, mime.Text: t.String()}}
}

// String is the table as text.
func (t Table) String() string {
	w := t.writer(cellText)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault // names stay as they are written
	w.SetStyle(style)
	out := w.Render()
	if t.Title != "" {
		// The table breaks a longer title anywhere, within a word or a number, so it is broken between words before.
		const frame = 4 // of a line and a space on either side
		if width := text.LongestLineLen(out) - frame; width > 0 {
			w.SetTitle("%s", text.WrapSoft(t.Title, width))
		} else {
			w.SetTitle("%s", t.Title)
		}
		out = w.Render()
	}
	if more := t.more(); more != "" {
		out += "\n" + more
	}
	return out
}

// Shown is how a result shows itself as its table: func (r Result) Bundle() mime.Bundle { return
// table.Shown(r.Table()) }. Where there is an error it shows that.
func Shown(t Table, err error) mime.Bundle {
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return t.Bundle()
}
