package display

import (
	"encoding/base64"
	"fmt"
	"html"
	"image"
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

// Shares is a cell that draws a [Bar] for each of its values, one below the other.
type Shares []float64

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
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.4g", v)
	case float32:
		return fmt.Sprintf("%.4g", v)
	case Bar:
		return fmt.Sprintf("%5.1f%% %s", 100*float64(v), strings.Repeat("█", int(20*min(max(float64(v), 0), 1)+0.5)))
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
	switch v := v.(type) {
	case Bar:
		share := min(max(float64(v), 0), 1)
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
		w.SetTitle(t.Title)
	}
	return w.Render()
}
