package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"path"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pages = template.Must(template.New("").Parse(pageHTML))

const (
	mostPage = 5 << 20 // bytes of a page
	mostCell = 3 << 19 // bytes of what a cell shows, which a notebook keeps
	mostText = 1500    // characters of a sentence
	mostWord = 120     // characters of a line below a picture, or in a table
	tiny     = picture.MaxPixelArt
)

// sides are what the longer side of a picture is brought to, in pixels: the first with which the page is small enough.
var sides = []int{216, 160, 120, 88, 64, 0}

// HTML is the report as one page that needs nothing beside it: no network, no script, no other file. It has at most 5
// MB: where there are many pictures they are smaller.
func (r *Report) HTML() ([]byte, error) { return r.render("page", mostPage) }

// render writes a template of the page in so many bytes at most.
func (r *Report) render(name string, most int) ([]byte, error) {
	if r == nil {
		return nil, errors.New("report: there is no report: it is nil")
	}
	for _, side := range sides {
		shown, err := r.shown(side)
		if err != nil {
			return nil, err
		}
		var page bytes.Buffer
		if err := pages.ExecuteTemplate(&page, name, shown); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if page.Len() <= most {
			return page.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("report: its words alone take more than %d bytes", most)
}

// shownPage is what the template takes.
type shownPage struct {
	Report            *Report
	Title             string
	CSS               template.CSS
	Facts             []string
	Measures          []shownMeasure
	Findings, Nothing []shownFinding
}

type shownMeasure struct{ Name, Value, Interval, What string }

type shownFinding struct {
	Topic, Says, Sure, Cell string
	Evidence                []shownEvidence
}

type shownEvidence struct {
	Title    string
	Plot     shownPicture
	Pictures []shownPicture
	Header   []string
	Rows     [][]string
	Note     string
}

type shownPicture struct {
	URL           template.URL // data:, which the template would not trust as text
	Width, Height int          // in CSS pixels
	Caption       []string
	Wide, Tiny    bool
}

// shown prepares the page, with pictures of a side; 0 leaves them out.
func (r *Report) shown(side int) (shownPage, error) {
	short := *r
	short.Model, short.Data, short.Begin = cut(r.Model, mostWord), cut(path.Base(r.Data), mostWord), cut(r.Begin, mostText)
	short.Notes = nil
	for _, note := range r.Notes {
		short.Notes = append(short.Notes, cut(note, mostText))
	}
	if side == 0 {
		short.Notes = append(short.Notes, "The pictures are left out: with them the page would have more than 5 MB.")
	}
	short.LeftOut = nil
	for _, left := range r.LeftOut {
		short.LeftOut = append(short.LeftOut, LeftOut{left.Check, cut(left.Why, mostText)})
	}
	p := shownPage{Report: &short, CSS: template.CSS(pageCSS), Title: short.Model + " on " + short.Data, Facts: r.facts()}
	for _, m := range r.Measures {
		shown := shownMeasure{Name: m.Name, Value: fmt.Sprintf("%.3f", m.Value), What: m.What}
		if m.Low == m.Low {
			shown.Interval = fmt.Sprintf("%.3f to %.3f", m.Low, m.High)
		}
		p.Measures = append(p.Measures, shown)
	}
	for _, list := range []struct {
		of []Finding
		to *[]shownFinding
	}{{r.Findings, &p.Findings}, {r.Nothing, &p.Nothing}} {
		for _, f := range list.of {
			shown, err := f.shown(side)
			if err != nil {
				return p, err
			}
			*list.to = append(*list.to, shown)
		}
	}
	return p, nil
}

// facts are what stands below the title.
func (r *Report) facts() []string {
	images := plural.Grouped(r.Images, "image")
	if r.Images < r.Asked {
		images += " of " + plural.Thousands(r.Asked)
	}
	facts := []string{images}
	if r.Labeled < r.Images {
		if r.Labeled == 0 {
			facts = append(facts, "no labels")
		} else {
			facts = append(facts, plural.Thousands(r.Labeled)+" with a label")
		}
	}
	if r.Classes > 0 {
		facts = append(facts, plural.Grouped(r.Classes, "class"))
	}
	return append(facts, fmt.Sprintf("made in %s of %s", brief(r.Took), brief(r.Budget)))
}

// brief is a time as a person says it.
func brief(d time.Duration) string {
	if d < time.Second {
		return "under a second"
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return strings.TrimSpace(strings.NewReplacer("h0m", " h ", "h", " h ", "m", " min ", "s", " s").Replace(text))
}

func (f Finding) shown(side int) (shownFinding, error) {
	s := shownFinding{Says: cut(f.Sentence, mostText), Sure: cut(f.Sure, mostText), Cell: f.Cell}
	if topic, says, found := strings.Cut(s.Says, ": "); found {
		s.Topic, s.Says = topic, strings.ToUpper(says[:1])+says[1:]
	}
	for _, e := range f.Evidence {
		shown := shownEvidence{Title: cut(e.Title, mostText), Note: cut(e.Note, mostText), Header: e.Header}
		for _, row := range e.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = cut(cell, mostWord)
			}
			shown.Rows = append(shown.Rows, cells)
		}
		if e.Plot != nil && side > 0 {
			data, err := picture.PNG(e.Plot)
			if err != nil {
				return s, fmt.Errorf("report: %w", err)
			}
			size := e.Plot.Bounds().Size()
			shown.Plot = shownPicture{URL: dataURL(mime.PNG, data), Width: size.X / 2, Height: size.Y / 2}
		}
		for _, p := range e.Pictures {
			if side == 0 {
				break
			}
			small, err := p.shown(side)
			if err != nil {
				return s, err
			}
			shown.Pictures = append(shown.Pictures, small)
		}
		s.Evidence = append(s.Evidence, shown)
	}
	return s, nil
}

// shown encodes a picture as JPEG or PNG, whichever is smaller. Pictures of very few pixels stay as they are, as PNG.
func (p Picture) shown(side int) (shownPicture, error) {
	size := p.Image.Bounds().Size()
	wide := 2*size.X > 3*size.Y && len(p.Caption) > 0
	s := shownPicture{Wide: wide, Tiny: size.Y <= tiny && size.X <= 3*tiny}
	for _, line := range p.Caption {
		if line != "" {
			s.Caption = append(s.Caption, cut(line, mostWord))
		}
	}
	img := p.Image
	if wide {
		side *= 2
	}
	if max(size.X, size.Y) > side {
		img = picture.Resized(img, side)
	}
	data, err := picture.PNG(img)
	kind := mime.PNG
	if err == nil && !s.Tiny && opaque(img) {
		var photograph []byte
		if photograph, err = picture.JPEG(img); len(photograph) < len(data) {
			data, kind = photograph, mime.JPEG
		}
	}
	if err != nil {
		return s, fmt.Errorf("report: %w", err)
	}
	s.URL, s.Width, s.Height = dataURL(kind, data), img.Bounds().Dx(), img.Bounds().Dy()
	return s, nil
}

func opaque(img image.Image) bool {
	o, ok := img.(interface{ Opaque() bool })
	return ok && o.Opaque()
}

func dataURL(kind string, data []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
}

// cut is text of so many characters at most.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
