package labels

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/ui"
)

// Decision is what a person says of a label.
type Decision int

const (
	Undecided      Decision = iota
	KeepLabel               // the given label is right
	TakeSuggestion          // the suggested class is
	BothLabels              // the image shows both
	NeitherLabel            // it shows neither
)

var decisionNames = []string{"undecided", "keep", "suggestion", "both", "neither"}

func (d Decision) String() string {
	if d < 0 || int(d) >= len(decisionNames) {
		return fmt.Sprintf("Decision(%d)", int(d))
	}
	return decisionNames[d]
}

// question is what a person decides: which of two labels of an example is right. With another suggestion it is another
// question.
type question struct {
	Index     int `json:"index"`
	Given     int `json:"given"`
	Suggested int `json:"suggested"`
}

func questionOf(issue Issue) question { return question{issue.Index, issue.Given, issue.Suggested} }

// reviewed is a line of the file.
type reviewed struct {
	question
	Decision string `json:"decision"`
}

// PageSize is how many images a page of a [Review] has.
const PageSize = 12

// Review is a page to look through label issues on: each image with its given and its suggested label, and buttons to
// say which is right. What is said is in the file at once, and is there again when the review is opened again. Several
// reviews may have one file, in one process or in many: none loses what another has said, and each learns of it when
// something is decided here.
type Review struct {
	file    string
	images  model.Dataset
	issues  []Issue
	classes []string

	mu        sync.Mutex // guards decisions
	decisions map[question]string

	page  *page // nil until it is shown; its buttons are pressed one after the other
	begin int   // the place in the list of the page's first issue
}

// OpenReview makes a page for the issues of a data set. Their images are those of the data set with the issues'
// numbers; classes are what the classes are called, nil for their numbers. The file is written in JSON or CSV, as its
// name ends; where there is one already, its decisions are read. A decision stands for the example with the labels that
// were given and suggested then; those on other examples and suggestions stay in the file.
func OpenReview(file string, images model.Dataset, issues []Issue, classes []string) (*Review, error) {
	if model.CheckDataset(images) != nil || len(issues) == 0 {
		return nil, fmt.Errorf("labels: there is nothing to review: give a data set, and at least one issue")
	}
	r := &Review{file: file, images: images, issues: slices.Clone(issues), classes: classes}
	if kind := filepath.Ext(file); kind != ".json" && kind != ".csv" {
		return nil, fmt.Errorf("labels: decisions are kept in a file whose name ends in .json or .csv, and %s does not", file)
	}
	for _, issue := range issues {
		if issue.Index < 0 || issue.Index >= images.Len() {
			return nil, fmt.Errorf(
				"labels: an issue is of example %d, and there are %d images: give the data set that the labels are of", issue.Index,
				images.Len())
		}
	}
	var err error
	if r.decisions, err = r.saved(); err != nil {
		return nil, err
	}
	return r, nil
}

// saved reads the decisions of the file.
func (r *Review) saved() (map[question]string, error) {
	given := map[int]int{}
	for _, issue := range r.issues {
		given[issue.Index] = issue.Given
	}
	records, err := readDecisions(r.file)
	if err != nil {
		return nil, err
	}
	decisions := map[question]string{}
	for _, d := range records {
		if now, is := given[d.Index]; is && now != d.Given {
			return nil, fmt.Errorf("labels: %s has a decision on example %d with the label %d, which now is %d: it is of "+
				"other labels; give another file", r.file, d.Index, d.Given, now)
		}
		decisions[d.question] = d.Decision
	}
	return decisions, nil
}

// readDecisions reads those of a file; of one that there is not, none.
func readDecisions(file string) ([]reviewed, error) {
	raw, err := regular.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	var out []reviewed
	if filepath.Ext(file) == ".json" {
		if err := json.Unmarshal(raw, &out); err != nil {
			return nil, fmt.Errorf("labels: %s holds no decisions: %w", file, err)
		}
	} else {
		lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		if err != nil || len(lines) == 0 || !slices.Equal(lines[0], csvHeader) {
			return nil, fmt.Errorf("labels: %s holds no decisions: its first line is to be %s (%v)", file,
				strings.Join(csvHeader, ","), err)
		}
		for n, line := range lines[1:] {
			d := reviewed{Decision: line[3]}
			for i, to := range []*int{&d.Index, &d.Given, &d.Suggested} {
				if *to, err = strconv.Atoi(line[i]); err != nil {
					return nil, fmt.Errorf("labels: line %d of %s: %w", n+2, file, err)
				}
			}
			out = append(out, d)
		}
	}
	for n, d := range out {
		if !slices.Contains(decisionNames[1:], d.Decision) || d.Index < 0 || d.Given < 0 || d.Suggested < 0 {
			return nil, fmt.Errorf("labels: decision %d of %s is %+v: decisions are %s", n, file, d,
				strings.Join(decisionNames[1:], ", "))
		}
	}
	return out, nil
}

var csvHeader = []string{"index", "given", "suggested", "decision"}

// save writes decisions to the file.
func (r *Review) save(decisions map[question]string) error {
	records := make([]reviewed, 0, len(decisions))
	for q, d := range decisions {
		records = append(records, reviewed{q, d})
	}
	slices.SortFunc(records, func(a, b reviewed) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Given, b.Given), cmp.Compare(a.Suggested, b.Suggested))
	})
	var out bytes.Buffer
	if filepath.Ext(r.file) == ".json" {
		raw, err := json.MarshalIndent(records, "", "  ")
		if err != nil {
			return fmt.Errorf("labels: %w", err)
		}
		out.Write(append(raw, '\n'))
	} else {
		w := csv.NewWriter(&out)
		lines := [][]string{csvHeader}
		for _, d := range records {
			lines = append(lines, []string{strconv.Itoa(d.Index), strconv.Itoa(d.Given), strconv.Itoa(d.Suggested), d.Decision})
		}
		if err := w.WriteAll(lines); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
	}
	// As a whole: what was decided before must outlive a full disk.
	if err := wholefile.Write(r.file, func(w io.Writer) error { _, err := out.WriteTo(w); return err }); err != nil {
		return fmt.Errorf("labels: the decision is not saved: %w", err)
	}
	return nil
}

// Decide says what is right for an issue, by its place in the list, and saves it. Of two reviews that decide the same
// issue, the later one counts.
func (r *Review) Decide(issue int, d Decision) error {
	if issue < 0 || issue >= len(r.issues) {
		return fmt.Errorf("labels: there is no issue %d: they are 0 to %d", issue, len(r.issues)-1)
	}
	if d < 0 || int(d) >= len(decisionNames) {
		return fmt.Errorf("labels: there is no decision %d", int(d))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Others may have the file open too: what they have decided since it was read is there in the file alone.
	var release func()
	file, err := wholefile.Target(r.file)
	if err == nil {
		release, err = locked(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("labels: the decision is not saved: %w", err)
	}
	defer release()
	decisions := maps.Clone(r.decisions)
	if _, err := os.Stat(r.file); err == nil {
		if decisions, err = r.saved(); err != nil {
			return err
		}
	}
	if one := questionOf(r.issues[issue]); d == Undecided {
		delete(decisions, one)
	} else {
		decisions[one] = d.String()
	}
	if err := r.save(decisions); err != nil {
		return err
	}
	r.decisions = decisions
	return nil
}

// DecideFirst says what is right for the first issues, in their order, and returns how many of all issues are decided
// then: [Review.Decide] for each. An issue that is [Undecided] stays or becomes so.
func (r *Review) DecideFirst(decisions ...Decision) (decided int, err error) {
	for i, d := range decisions {
		if err := r.Decide(i, d); err != nil {
			return r.Decided(), err
		}
	}
	return r.Decided(), nil
}

// Decision is what was said of an issue, by its place in the list.
func (r *Review) Decision(issue int) Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, Decision(slices.Index(decisionNames, r.decisions[questionOf(r.issues[issue])])))
}

// Decided is how many of the issues have a decision.
func (r *Review) Decided() int {
	n := 0
	for i := range r.issues {
		if r.Decision(i) != Undecided {
			n++
		}
	}
	return n
}

// Correct returns the labels with what was decided: the suggested class where that was taken, [Unknown] where the image
// shows both or neither. given is not changed.
func (r *Review) Correct(given []int) ([]int, error) {
	out := slices.Clone(given)
	for i, issue := range r.issues {
		if issue.Index >= len(given) || given[issue.Index] != issue.Given {
			return nil, fmt.Errorf("labels: example %d was reviewed with the label %d: give the labels that the issues are of",
				issue.Index, issue.Given)
		}
		switch r.Decision(i) {
		case TakeSuggestion:
			out[issue.Index] = issue.Suggested
		case BothLabels, NeitherLabel:
			out[issue.Index] = Unknown
		}
	}
	return out, nil
}

// Grid shows the issues' images, count of them from a place in the list on, with their labels.
func (r *Review) Grid(from, count int) (display.Grid, error) {
	if from < 0 || count < 1 || from >= len(r.issues) {
		return display.Grid{}, fmt.Errorf("labels: %d issues from %d on, of %d", count, from, len(r.issues))
	}
	var at []int
	var titles []string
	for i, issue := range r.issues[from:min(from+count, len(r.issues))] {
		at = append(at, issue.Index)
		title := fmt.Sprintf("given %s\nsuggested %s", name(r.classes, issue.Given), name(r.classes, issue.Suggested))
		if d := r.Decision(from + i); d != Undecided {
			title += "\n" + d.String()
		}
		titles = append(titles, title)
	}
	pictures, err := r.images.Images(at...)
	if err != nil {
		return display.Grid{}, err
	}
	return display.Gallery(pictures, titles...), nil
}

// page is what a front end shows of a review: places for images, which the buttons for other pages put others in.
type page struct {
	box    *ui.Box
	status *ui.TextBlock
	tiles  []tile
}

type tile struct {
	picture *ui.TextBlock
	choice  *ui.ChoiceControl
}

// Table has a row for each issue: the image's number in the data set, its file where the data set has names, the given
// and the suggested label, and what was decided.
func (r *Review) Table() table.Table {
	columns := table.PerImage{Columns: []table.Column{
		{Name: "given", At: func(i int) any { return name(r.classes, r.issues[i].Given) }},
		{Name: "suggested", At: func(i int) any { return name(r.classes, r.issues[i].Suggested) }},
		{Name: "decision", At: func(i int) any { return r.Decision(i).String() }},
	}}
	named, hasNames := r.images.(interface{ Name(i int) string })
	for _, issue := range r.issues {
		columns.Index = append(columns.Index, issue.Index)
		if hasNames {
			columns.Files = append(columns.Files, named.Name(issue.Index))
		}
	}
	return columns.Table(len(r.issues))
}

// pageColumns is how many images a page has beside each other.
const pageColumns = 4

// Bundle shows the page: images, their labels and buttons. Where there are no buttons, it is a line of text for each
// image; [Review.Grid] shows the images, and [Review.Decide] decides.
func (r *Review) Bundle() mime.Bundle {
	p, err := r.open()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	bundle := p.box.Bundle()
	bundle.Data["text/plain"] = r.text() // the widgets' own would hold the images' bytes
	return bundle
}

// text is the page as a line for each image.
func (r *Review) text() string {
	var lines strings.Builder
	for at := r.begin; at < min(r.begin+PageSize, len(r.issues)); at++ {
		of := r.issues[at]
		fmt.Fprintf(&lines, "%d: given %s, suggested %s: %s\n", of.Index, name(r.classes, of.Given),
			name(r.classes, of.Suggested), r.Decision(at))
	}
	return lines.String() + r.status() + "\nWhere this stands in the place of images and buttons, JupyterLab wants " +
		"ipywidgets (pip install ipywidgets); Grid shows the images, and Decide does what the buttons do."
}

// open makes the page's widgets, once.
func (r *Review) open() (*page, error) {
	if r.page == nil {
		p := &page{status: ui.HTML("")}
		rows := []ui.Widget{p.status}
		var row []ui.Widget
		for at := range min(PageSize, len(r.issues)) {
			t := tile{picture: ui.HTML("")}
			t.choice = ui.Choice("", decisionNames, func(option string) {
				if at >= len(r.issues)-r.begin { // an empty place of the last page
					return
				}
				err := r.Decide(r.begin+at, Decision(slices.Index(decisionNames, option)))
				if err != nil {
					t.choice.Set(r.Decision(r.begin + at).String())
				}
				r.tell(err)
			})
			p.tiles = append(p.tiles, t)
			row = append(row, ui.Column(t.picture, t.choice))
			if len(row) == pageColumns || at == min(PageSize, len(r.issues))-1 {
				rows = append(rows, ui.Row(row...))
				row = nil
			}
		}
		if len(r.issues) > PageSize {
			rows = append(rows, ui.Row(ui.Button("previous", func() { r.turn(-PageSize) }),
				ui.Button("next", func() { r.turn(PageSize) })))
		}
		p.box = ui.Column(rows...)
		r.page = p
	}
	return r.page, r.fill()
}

// turn goes to another page.
func (r *Review) turn(by int) {
	if begin := r.begin + by; begin >= 0 && begin < len(r.issues) {
		r.begin = begin
		if err := r.fill(); err != nil {
			r.tell(err)
		}
	}
}

// fill puts images and decisions in the page's places.
func (r *Review) fill() error {
	shown := r.issues[r.begin:min(r.begin+PageSize, len(r.issues))]
	var at []int
	for _, issue := range shown {
		at = append(at, issue.Index)
	}
	tensor, err := r.images.Images(at...)
	if err != nil {
		return err
	}
	pictures, err := display.Images(tensor)
	if err != nil {
		return err
	}
	for i, t := range r.page.tiles {
		if i >= len(shown) {
			t.picture.Set("")
			t.choice.Set(Undecided.String())
			continue
		}
		var encoded bytes.Buffer
		if err := png.Encode(&encoded, pictures[i]); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
		issue := shown[i]
		t.picture.Set(fmt.Sprintf(`<img style="width:160px;image-rendering:pixelated" `+
			`src="data:image/png;base64,%s"><br>%d: given <b>%s</b>, suggested <b>%s</b>`,
			base64.StdEncoding.EncodeToString(encoded.Bytes()), issue.Index, html.EscapeString(name(r.classes, issue.Given)),
			html.EscapeString(name(r.classes, issue.Suggested))))
		t.choice.Set(r.Decision(r.begin + i).String())
	}
	r.tell(nil)
	return nil
}

// status is where the page stands.
func (r *Review) status() string {
	return fmt.Sprintf("%d to %d of %d, %d decided, saved in %s", r.begin+1, min(r.begin+PageSize, len(r.issues)),
		len(r.issues), r.Decided(), r.file)
}

// tell says how far the review is, or what went wrong.
func (r *Review) tell(err error) {
	text := r.status()
	if err != nil {
		text = err.Error()
	}
	r.page.status.Set(html.EscapeString(text))
}
