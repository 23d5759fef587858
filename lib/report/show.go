package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/loupeml/loupe/internal/reporting"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Format is the version of the JSON that [Report.JSON] writes. It grows when a field changes its meaning or goes.
const Format = 1

// Schema is the JSON Schema (draft 2020-12) of what [Report.JSON] writes, with a word on each field. `loupe report
// --schema` prints it.
func Schema() string { return reporting.Schema }

// JSON is the report without its plots and pictures, for programs:
//
//	format     1
//	model, data, images, asked, labeled, classes, stopped, budget and took in seconds, begin, notes
//	measures   each with name, value, low and high (null where there is no interval), and what it is
//	findings   each with check, sentence, value, low, high, unit, sure, weight, cell and evidence
//	nothing    the same, of what was looked for and not found
//	leftOut    each with check and why
//
// [Schema] has a word on each.
func (r *Report) JSON() ([]byte, error) {
	if r == nil {
		return nil, errors.New("report: there is no report: it is nil")
	}
	type evidence struct {
		Title    string     `json:"title,omitempty"`
		Header   []string   `json:"header,omitempty"`
		Rows     [][]string `json:"rows,omitempty"`
		Pictures [][]string `json:"pictures,omitempty"` // what is said of each
		Note     string     `json:"note,omitempty"`
	}
	type finding struct {
		Check    string     `json:"check"`
		Sentence string     `json:"sentence"`
		Value    *float64   `json:"value"`
		Low      *float64   `json:"low"`
		High     *float64   `json:"high"`
		Unit     string     `json:"unit"`
		Sure     string     `json:"sure"`
		Weight   float64    `json:"weight"`
		Cell     string     `json:"cell"`
		Evidence []evidence `json:"evidence"`
	}
	type measure struct {
		Name  string   `json:"name"`
		Value *float64 `json:"value"`
		Low   *float64 `json:"low"`
		High  *float64 `json:"high"`
		What  string   `json:"what"`
	}
	written := func(list []Finding) []finding {
		out := make([]finding, len(list))
		for i, f := range list {
			out[i] = finding{f.Check, f.Sentence, finite(f.Value), finite(f.Low), finite(f.High), f.Unit, f.Sure, f.Weight,
				f.Cell, []evidence{}}
			for _, e := range f.Evidence {
				w := evidence{Title: e.Title, Header: e.Header, Rows: e.Rows, Note: e.Note}
				for _, p := range e.Pictures {
					w.Pictures = append(w.Pictures, append([]string{}, p.Caption...))
				}
				out[i].Evidence = append(out[i].Evidence, w)
			}
		}
		return out
	}
	measures := make([]measure, len(r.Measures))
	for i, m := range r.Measures {
		measures[i] = measure{m.Name, finite(m.Value), finite(m.Low), finite(m.High), m.What}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Format   int       `json:"format"`
		Model    string    `json:"model"`
		Data     string    `json:"data"`
		Images   int       `json:"images"`
		Asked    int       `json:"asked"`
		Labeled  int       `json:"labeled"`
		Classes  int       `json:"classes"`
		Stopped  bool      `json:"stopped"`
		Budget   float64   `json:"budget"`
		Took     float64   `json:"took"`
		Begin    string    `json:"begin"`
		Measures []measure `json:"measures"`
		Findings []finding `json:"findings"`
		Nothing  []finding `json:"nothing"`
		LeftOut  []LeftOut `json:"leftOut"`
		Notes    []string  `json:"notes"`
	}{Format, r.Model, r.Data, r.Images, r.Asked, r.Labeled, r.Classes, r.Stopped, r.Budget.Seconds(), r.Took.Seconds(),
		r.Begin,
		measures, written(r.Findings), written(r.Nothing), append([]LeftOut{}, r.LeftOut...), append([]string{}, r.Notes...)})
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return out.Bytes(), nil
}

// finite is a number that JSON can hold; nil for others.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Table has a row for each finding, those that matter most first, then for each check that found nothing.
func (r *Report) Table() table.Table {
	t := table.Table{Header: []string{"check", "found", "sentence", "value", "low", "high", "unit", "weight"}}
	if r == nil {
		return t
	}
	t.Title = r.Model + " on " + r.Data
	for _, list := range []struct {
		of    []Finding
		found bool
	}{{r.Findings, true}, {r.Nothing, false}} {
		for _, f := range list.of {
			row := []any{f.Check, list.found, f.Sentence}
			for _, v := range []float64{f.Value, f.Low, f.High} {
				if math.IsNaN(v) {
					row = append(row, nil)
				} else {
					row = append(row, v)
				}
			}
			t.Add(append(row, f.Unit, f.Weight)...)
		}
	}
	return t
}

// String is the report in sentences.
func (r *Report) String() string {
	if r == nil {
		return "no report"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: %s\n", r.Model, r.Data, strings.Join(r.facts(), ", "))
	if r.Stopped {
		b.WriteString("Stopped early: this is what was done until then.\n")
	}
	for _, list := range []struct {
		title string
		of    []Finding
	}{{"Findings", r.Findings}, {"Looked at, nothing found", r.Nothing}} {
		if len(list.of) > 0 {
			fmt.Fprintf(&b, "\n%s\n", list.title)
		}
		for _, f := range list.of {
			fmt.Fprintf(&b, "  %s\n", f.Sentence)
		}
	}
	if len(r.LeftOut) > 0 {
		b.WriteString("\nLeft out\n")
	}
	for _, left := range r.LeftOut {
		fmt.Fprintf(&b, "  %s: %s\n", left.Check, left.Why)
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	return b.String()
}

// Bundle shows the page.
func (r *Report) Bundle() mime.Bundle {
	bundle := mime.TextOf(r.String())
	if page, err := r.render("report", mostCell); err == nil {
		bundle.Data[mime.HTML] = "<style>\n" + pageCSS + "</style>\n" + string(page)
	}
	return bundle
}
