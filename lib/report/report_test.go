package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

const side = 12 // of images

// colours tells which of the three channels is the strongest, by so many logits for each unit of brightness.
func colours(t *testing.T, classes []string, strength float64) *model.Model {
	t.Helper()
	return function(t, model.Spec{Classes: classes}, func(x *graph.Node) *graph.Node {
		return graph.MulScalar(graph.ReduceMean(x, 1, 2), strength)
	})
}

func function(t *testing.T, spec model.Spec, fn func(x *graph.Node) *graph.Node) *model.Model {
	t.Helper()
	spec.Name, spec.Height, spec.Width, spec.Channels = "colours", side, side, 3
	m, err := model.FromFunc(spec, fn)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// paint writes a noisy picture in which a channel is the strongest by some levels of 255.
func paint(t *testing.T, path string, channel, by, noise int, rng *rand.Rand) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			var v [3]uint8
			for c := range v {
				v[c] = uint8(100 + rng.IntN(noise))
				if c == channel {
					v[c] += uint8(by)
				}
			}
			img.Set(x, y, color.RGBA{v[0], v[1], v[2], 255})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

var names = []string{"red", "green", "blue"}

// folder has so many pictures of each colour in a folder of its name; wrong of each lie in the next one's. Of the
// others every fifth is of a colour that is hardly told.
func folder(t *testing.T, each, wrong int) string {
	t.Helper()
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	for c, name := range names {
		for i := range each {
			by := 40
			if i%5 == 4 {
				by = 1
			}
			if i < wrong {
				name, by = names[(c+1)%3], 120
			} else {
				name = names[c]
			}
			paint(t, filepath.Join(dir, name, fmt.Sprintf("%d-%d.png", c, i)), c, by, 40, rng)
		}
	}
	return dir
}

func open(t *testing.T, dir string, options ...data.Options) *data.Dataset {
	t.Helper()
	ds, err := data.Open(dir, options...)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func of(t *testing.T, m *model.Model, opened *data.Dataset, budget time.Duration) *Report {
	t.Helper()
	r, err := Of(m, opened.Map(m.Prepare()...), Options{Opened: opened, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r)
	return r
}

// holds checks what is so of every report.
func holds(t *testing.T, r *Report) {
	t.Helper()
	said := map[string]bool{}
	for i, f := range r.Findings {
		said[f.Check] = true
		if i > 0 && f.Weight > r.Findings[i-1].Weight {
			t.Errorf("%q weighs %g and stands behind one of %g", f.Sentence, f.Weight, r.Findings[i-1].Weight)
		}
		if f.Weight <= 0 || len(f.Evidence) == 0 || f.Cell == "" || f.Sure == "" {
			t.Errorf("a finding lacks something: %q weighs %g, has %d pieces of evidence, the cell %q and is sure by %q",
				f.Sentence, f.Weight, len(f.Evidence), f.Cell, f.Sure)
		}
		// Points and shares of nothing are 0, an area is 0.5 by chance.
		if f.Low <= 0 && f.High >= 0 && f.Unit == "points" {
			t.Errorf("%q: nothing, 0, lies in the interval %g to %g", f.Sentence, f.Low, f.High)
		}
	}
	for _, f := range r.Nothing {
		said[f.Check] = true
		if f.Weight != 0 || f.Cell == "" {
			t.Errorf("%q was not found, and weighs %g; cell %q", f.Sentence, f.Weight, f.Cell)
		}
	}
	for _, left := range r.LeftOut {
		if said[left.Check] && !r.Stopped && left.Check != "pictures" {
			t.Errorf("%s has said something and is left out: %s", left.Check, left.Why)
		}
		if said[left.Check] = true; len(left.Why) < 5 || strings.Contains(left.Why, "it failed:") {
			t.Errorf("%s is left out: %s", left.Check, left.Why)
		}
	}
	for _, name := range Checks() {
		if !said[name] {
			t.Errorf("no word on %s", name)
		}
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if len(page) > mostPage {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, f := range slices.Concat(r.Findings, r.Nothing) {
		if strings.ContainsAny(f.Sentence, "\n") || strings.Contains(f.Sentence, "NaN") || strings.Contains(f.Sentence,
			"%!") {
			t.Errorf("the sentence %q", f.Sentence)
		}
	}
	if bundle := r.Bundle(); bundle.Data[mime.Text] != r.String() || !strings.Contains(bundle.Data[mime.HTML],
		"loupe-report") {
		t.Error("it does not show itself")
	}
}

// finding is the one finding of a check that begins so.
func finding(t *testing.T, list []Finding, check, begins string) Finding {
	t.Helper()
	for _, f := range list {
		if f.Check == check && strings.HasPrefix(f.Sentence, begins) {
			return f
		}
	}
	var all []string
	for _, f := range list {
		all = append(all, f.Check+": "+f.Sentence)
	}
	t.Errorf("no %s that begins with %q in:\n%s", check, begins, strings.Join(all, "\n"))
	return Finding{}
}

func measured(r *Report, name string) (float64, bool) {
	for _, m := range r.Measures {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// What is planted is found, by a network that is right of what it can tell and much too sure of itself.
func TestFindsWhatIsPlanted(t *testing.T) {
	dir := folder(t, 60, 4)
	rng := rand.New(rand.NewPCG(3, 4))
	again, err := os.ReadFile(filepath.Join(dir, "red", "0-20.png"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(dir, "red", fmt.Sprintf("again-%d.png", i)), again, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 { // a third of the greens are blue, without a doubt
		if i%2 == 0 {
			paint(t, filepath.Join(dir, "green", fmt.Sprintf("sea-%d.png", i)), 2, 100, 40, rng)
		}
	}
	m, opened := colours(t, names, 200), open(t, dir)
	r := of(t, m, opened, time.Minute)
	t.Log(r)
	accuracy := finding(t, r.Findings, "accuracy", "Accuracy: it is wrong about")
	if share, ok := measured(r, "accuracy"); !ok || math.Abs(share+accuracy.Value-1) > 1e-12 || share < 0.5 ||
		share > 0.9 {
		t.Errorf("the accuracy is %g, and it is wrong about %g", share, accuracy.Value)
	}
	if n := len(accuracy.Evidence[len(accuracy.Evidence)-1].Pictures); n != mostShown {
		t.Errorf("%d mistakes are shown", n)
	}
	finding(t, r.Findings, "confusion", `Confusion: `)
	if f := finding(t, r.Findings, "classes", `Classes: "green" is recognised in`); f.Low <= 0 {
		t.Errorf("%+v", f)
	}
	if f := finding(t, r.Findings, "calibration", "Calibration: it is"); !strings.Contains(f.Sentence,
		"points surer than it is right") || f.Low < 5 {
		t.Errorf("%+v", f)
	}
	finding(t, r.Findings, "pictures", "Pictures: 4 pictures are there more than once")
	finding(t, r.Findings, "labels", "Labels: ")
}

// A network that tells all, and is as sure as it is right, has no finding about that.
func TestFindsNothingWhereNothingIs(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(5, 6))
	for c, name := range names {
		for i := range 30 {
			paint(t, filepath.Join(dir, name, fmt.Sprintf("%d.png", i)), c, 100, 40, rng)
		}
	}
	r := of(t, colours(t, names, 100), open(t, dir), time.Minute)
	t.Log(r)
	finding(t, r.Nothing, "accuracy", "Accuracy: it makes no mistake in 90 images")
	finding(t, r.Nothing, "classes", "Classes: of 3 classes none is shown")
	finding(t, r.Nothing, "confusion", "Confusion: no class is taken for another")
	finding(t, r.Nothing, "labels", "Labels: that more look wrong than would by chance is not shown")
	finding(t, r.Nothing, "attack", "Attack: a small one is not shown")
	for _, f := range r.Findings {
		switch f.Check {
		case "accuracy", "classes", "confusion", "labels", "attack":
			t.Errorf("found: %s", f.Sentence)
		}
	}
}

// Whatever is brought, the report says what it can and does not claim what it cannot.
func TestSaysWhatItCan(t *testing.T) {
	dir := folder(t, 8, 0)
	one := filepath.Join(t.TempDir(), "one.png")
	paint(t, one, 0, 50, 40, rand.New(rand.NewPCG(7, 8)))
	single := func(fn func(x *graph.Node) *graph.Node, activation model.Activation) *model.Model {
		return function(t, model.Spec{Activation: activation}, fn)
	}
	red := func(x *graph.Node) *graph.Node {
		mean := graph.ReduceMean(x, 1, 2)
		return graph.MulScalar(graph.Sub(graph.Slice(mean, graph.AxisRange(), graph.AxisRange(0, 1)), graph.Slice(mean,
			graph.AxisRange(), graph.AxisRange(1, 2))), 30)
	}
	coloured := func() *model.Model { return colours(t, names, 20) }
	flat := func() *data.Dataset {
		var files []string
		for _, name := range names {
			files = append(files, filepath.Join(dir, name))
		}
		ds, err := data.Files(files...)
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	two, err := open(t, dir).Among(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		m       *model.Model
		ds      *data.Dataset
		labels  bool              // there is an accuracy
		leftOut map[string]string // check to a part of why
		note    string
	}{
		"no labels": {coloured(), flat(), false, map[string]string{"accuracy": "no labels", "labels": "no labels",
			"corruptions": "no labels", "attack": "no labels"}, ""},
		"one class": {coloured(), open(t, dir).OfClass(1), true, map[string]string{"classes": "one class"}, ""},
		"two images": {coloured(), open(t, dir).Subset([]int{0, 9}), true, map[string]string{"labels": "20 images",
			"attack": "8 images", "missing parts": "8 images"}, ""},
		"one image": {coloured(), open(t, one), false, map[string]string{"accuracy": "no labels",
			"where it looks": "there is 1 image"}, ""},
		"one sigmoid": {single(red, model.Sigmoid), two, true,
			map[string]string{"confusion": "two classes"}, ""},
		"a number": {single(red, model.AutoActivation), open(t, dir), false, map[string]string{"accuracy": "one class",
			"where it looks": "one class"}, ""},
		"labels of another network": {colours(t, []string{"cat", "dog", "cow"}, 20), open(t, dir), false,
			map[string]string{"accuracy": "do not meet"}, "The labels are not taken"},
		"not a number": {single(func(x *graph.Node) *graph.Node {
			return graph.Log(graph.MulScalar(graph.ReduceMean(x, 1, 2), -1))
		}, model.AutoActivation), open(t, dir), false, map[string]string{"accuracy": "not a number"}, ""},
		"a map": {single(func(x *graph.Node) *graph.Node { return graph.MulScalar(x, 2) }, model.AutoActivation),
			open(t, dir),
			false, map[string]string{"accuracy": ""}, ""},
		"labels for each of several sigmoids": {function(t, model.Spec{Classes: names, Activation: model.Sigmoid},
			func(x *graph.Node) *graph.Node {
				return graph.MulScalar(graph.SubScalar(graph.ReduceMean(x, 1, 2), 0.5), 30)
			}), open(t, dir), true, map[string]string{"calibration": ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(t, c.m, c.ds, 20*time.Second)
			t.Log(r)
			if _, ok := measured(r, "accuracy"); ok != c.labels {
				t.Errorf("an accuracy: %v", ok)
			}
			why := map[string]string{}
			for _, left := range r.LeftOut {
				why[left.Check] = left.Why
			}
			for check, part := range c.leftOut {
				if got, ok := why[check]; !ok || !strings.Contains(got, part) {
					t.Errorf("%s is left out: %q, want %q", check, got, part)
				}
			}
			if !strings.Contains(strings.Join(r.Notes, "\n"), c.note) {
				t.Errorf("the notes are %q", r.Notes)
			}
		})
	}
}

// Nothing that is not there is asked.
func TestRefuses(t *testing.T) {
	m, ds := colours(t, names, 20), open(t, folder(t, 2, 0))
	prepared := ds.Map(m.Prepare()...)
	for want, f := range map[string]func() (*Report, error){
		"no network":    func() (*Report, error) { return Of(nil, prepared, Options{}) },
		"dataset":       func() (*Report, error) { return Of(m, nil, Options{}) },
		"has no images": func() (*Report, error) { return Of(m, prepared.Take(0), Options{}) },
		"the same ones": func() (*Report, error) { return Of(m, prepared, Options{Opened: ds.Take(1)}) },
		"more than 0":   func() (*Report, error) { return Of(m, prepared, Options{Budget: -1}) },
	} {
		if r, err := f(); r != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %q", r, err, want)
		}
	}
	var none *Report
	if _, err := none.HTML(); err == nil {
		t.Error("nil has a page")
	}
	if _, err := none.JSON(); err == nil {
		t.Error("nil has a JSON")
	}
	none.Bundle()
}

// Stopped at any point, the report is of what is done, and says so.
func TestStop(t *testing.T) {
	m, opened := colours(t, names, 100), open(t, folder(t, 20, 0))
	before := 0
	for _, questions := range []int{0, 12, 40, 200} {
		ctx := testenv.CancelledAfter(questions)
		r, err := func() (*Report, error) {
			defer interrupt.Use(ctx)()
			return Of(m, opened.Map(m.Prepare()...), Options{Opened: opened})
		}()
		if r == nil || err == nil || !r.Stopped || !strings.Contains(err.Error(), "interrupted after") {
			t.Fatalf("after %d questions: %v, %v", questions, r, err)
		}
		holds(t, r)
		page, err := r.HTML()
		if err != nil || !strings.Contains(string(page), "Stopped early") {
			t.Errorf("after %d questions the page does not say that it was stopped: %v", questions, err)
		}
		if r.Images < r.Asked && !strings.Contains(r.Begin, fmt.Sprintf("photos.Take(%d)", r.Images)) && r.Classes > 0 {
			t.Errorf("of %d of %d images the cells are to be asked, and begin with %q", r.Images, r.Asked, r.Begin)
		}
		done := len(Checks()) - len(r.LeftOut)
		if done < before {
			t.Errorf("after %d questions %d checks are done, and after fewer %d", questions, done, before)
		}
		before = done
	}
	if before == 0 {
		t.Error("whenever it is stopped, nothing is done")
	}
}

// A time that is over leaves out what has not been done, and is not taken for a person's Stop.
func TestOutOfTime(t *testing.T) {
	r := of(t, colours(t, names, 100), open(t, folder(t, 20, 0)), time.Nanosecond)
	if _, ok := measured(r, "accuracy"); !ok || r.Stopped {
		t.Errorf("%v", r)
	}
	late := 0
	for _, left := range r.LeftOut {
		if strings.Contains(left.Why, "time") {
			late++
		}
	}
	if late < 4 {
		t.Errorf("%d checks are left out for time: %v", late, r.LeftOut)
	}
}

// What is too much for the time is drawn by chance, and the cells draw the same.
func TestSamples(t *testing.T) {
	m := colours(t, names, 100)
	m.BatchSize = 4
	opened := open(t, folder(t, 20, 0))
	r, err := Of(m, opened.Map(m.Prepare()...), Options{Opened: opened, Budget: time.Nanosecond, Seed: 5,
		Begin: "begin()"})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r)
	if r.Images != 4 || r.Asked != 60 || r.Begin != "begin()\nphotos = photos.Shuffle(5).Take(4)" {
		t.Errorf("%d of %d images, after %q", r.Images, r.Asked, r.Begin)
	}
	evaluated, err := m.Accuracy(opened.Map(m.Prepare()...).Shuffle(5).Take(4))
	if err != nil {
		t.Fatal(err)
	}
	if share, _ := measured(r, "accuracy"); share != evaluated.Share() {
		t.Errorf("accuracy %g, the cell's %v", share, evaluated)
	}
}

// Names of files and classes are text, whatever they look like, and the page fetches nothing.
func TestPageIsInert(t *testing.T) {
	const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&{{.}}`
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(9, 10))
	class := strings.ReplaceAll(hostile, "/", "∕")
	for i := range 6 {
		paint(t, filepath.Join(dir, class, fmt.Sprintf("%d%s.png", i, class)), i%3, 50, 40, rng)
		paint(t, filepath.Join(dir, "plain", fmt.Sprintf("%d.png", i)), 1, 50, 40, rng)
	}
	m := colours(t, []string{class, "plain", `javascript:alert(3)`}, 50)
	r := of(t, m, open(t, dir), time.Minute)
	r.Begin, r.Notes = hostile, append(r.Notes, hostile)
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, bad := range []string{"<script", "onerror=alert(2)>\"", "<img src=x", "http:", "https:", "//", "url(",
		"@import", "ZgotmplZ", "<link", "<iframe"} {
		if bad == "//" { // base64 has slashes
			if strings.Contains(text, `="//`) {
				t.Error("a reference to elsewhere")
			}
			continue
		}
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, good := range []string{`http-equiv="Content-Security-Policy" content="default-src 'none'`, "&lt;script&gt;",
		"prefers-color-scheme: dark", "@media print", `src="data:image/`, `name="viewport"`} {
		if !strings.Contains(text, good) {
			t.Errorf("the page has no %q", good)
		}
	}
}

// However many pictures there are, and however little they can be compressed, the page has its size.
func TestPageIsSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	noise := image.NewRGBA(image.Rect(0, 0, 300, 200))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(rng.Uint32()) | uint8(i%4/3*255)
	}
	e := Evidence{Plot: noise.SubImage(image.Rect(0, 0, 40, 40))}
	for range 8 {
		e.Pictures = append(e.Pictures, Picture{noise, []string{strings.Repeat("long", 1000)}})
	}
	r := &Report{Model: "m", Data: "d", Findings: []Finding{{Sentence: "It: is " + strings.Repeat("so ", 5000),
		Evidence: []Evidence{e}}}}
	lengths := map[int]int{}
	for _, most := range []int{mostPage, 300_000, 60_000, 20_000} {
		page, err := r.render("page", most)
		if err != nil || len(page) > most {
			t.Errorf("at most %d bytes: %d, %v", most, len(page), err)
		}
		lengths[most] = strings.Count(string(page), "<figure")
	}
	if lengths[mostPage] != 8 || lengths[60_000] != 8 || lengths[20_000] != 0 {
		t.Errorf("pictures: %v", lengths)
	}
	if _, err := r.render("page", 100); err == nil {
		t.Error("a page of 100 bytes")
	}
}

func TestJSON(t *testing.T) {
	r := of(t, colours(t, names, 100), open(t, folder(t, 20, 2)), time.Minute)
	path := filepath.Join(t.TempDir(), "report.json")
	if err := save.Write(path, r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Format   int
		Images   int
		Measures []struct {
			Name             string
			Value, Low, High *float64
		}
		Findings, Nothing []struct {
			Check, Sentence, Cell, Unit, Sure string
			Value, Low, High                  *float64
			Weight                            float64
			Evidence                          []struct{ Pictures [][]string }
		}
		LeftOut []LeftOut
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read.Format != Format || read.Images != 60 || len(read.Findings) != len(r.Findings) ||
		len(read.Nothing) != len(r.Nothing) || len(read.LeftOut) != len(r.LeftOut) {
		t.Errorf("%s", text)
	}
	for i, f := range read.Findings {
		if f.Sentence != r.Findings[i].Sentence || f.Value == nil || *f.Value != r.Findings[i].Value || f.Cell == "" ||
			f.Unit == "" {
			t.Errorf("%+v, want %+v", f, r.Findings[i])
		}
	}
	for _, m := range read.Measures {
		if m.Name == "balanced_accuracy" && (m.Value == nil || m.Low != nil) {
			t.Errorf("a measure without an interval: %+v", m)
		}
	}
	var form, said map[string]any
	if err := errors.Join(json.Unmarshal([]byte(Schema()), &form), json.Unmarshal(text, &said)); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range valid(form, form, said, "report") {
		t.Error(wrong)
	}
	// What the schema does not have is noticed.
	said["extra"], said["images"] = true, "many"
	said["leftOut"] = []map[string]any{{"check": "none", "why": ""}}
	again, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	said = nil
	if err := json.Unmarshal(again, &said); err != nil {
		t.Fatal(err)
	}
	if wrong := valid(form, form, said, "report"); len(wrong) != 3 {
		t.Errorf("of three mistakes are found %v", wrong)
	}
	csv := filepath.Join(t.TempDir(), "report.csv")
	if err := save.Write(csv, r); err != nil {
		t.Error(err)
	}
	if err := save.Write(filepath.Join(t.TempDir(), "page.html"), 7); err == nil || !strings.Contains(err.Error(),
		"no page") {
		t.Errorf("a number as a page: %v", err)
	}
}

// The schema names the checks and the measures that there are.
func TestSchemaIsComplete(t *testing.T) {
	for _, name := range slices.Concat(Checks(), MeasureNames()) {
		if !strings.Contains(Schema(), fmt.Sprintf("%q", name)) {
			t.Errorf("the schema does not have %s", name)
		}
	}
}

// valid says where a value is not as a schema has it, of the words of JSON Schema that ours takes.
func valid(root, schema map[string]any, value any, at string) (wrong []string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	is := map[string]bool{}
	switch v := value.(type) {
	case nil:
		is["null"] = true
	case bool:
		is["boolean"] = true
	case string:
		is["string"] = true
	case float64:
		is["number"], is["integer"] = true, v == math.Trunc(v)
		if least, ok := schema["minimum"].(float64); ok && v < least {
			wrong = append(wrong, fmt.Sprintf("%s is %v", at, v))
		}
	case []any:
		is["array"] = true
		if items, ok := schema["items"].(map[string]any); ok {
			for i, item := range v {
				wrong = append(wrong, valid(root, items, item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	case map[string]any:
		is["object"] = true
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := v[name.(string)]; !there {
				wrong = append(wrong, fmt.Sprintf("%s has no %s", at, name))
			}
		}
		for name, field := range v {
			if known, there := properties[name].(map[string]any); there {
				wrong = append(wrong, valid(root, known, field, at+"."+name)...)
			} else {
				wrong = append(wrong, fmt.Sprintf("%s has %s", at, name))
			}
		}
	}
	switch kind := schema["type"].(type) {
	case string:
		if !is[kind] {
			wrong = append(wrong, fmt.Sprintf("%s is %v, no %s", at, value, kind))
		}
	case []any:
		if !slices.ContainsFunc(kind, func(k any) bool { return is[k.(string)] }) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, none of %v", at, value, kind))
		}
	}
	if among, ok := schema["enum"].([]any); ok && !slices.Contains(among, value) {
		wrong = append(wrong, fmt.Sprintf("%s is %v, none of %v", at, value, among))
	}
	if only, ok := schema["const"]; ok && only != value {
		wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", at, value, only))
	}
	return wrong
}

func TestThresholds(t *testing.T) {
	r := &Report{Measures: []Measure{{Name: "accuracy", Value: 0.8, Low: 0.7, High: 0.9}, {Name: "calibration",
		Value: 0.9, Low: nan, High: nan}}}
	for _, c := range []struct {
		name  string
		least float64
		want  string
	}{
		{"accuracy", 0.8, ""},
		{"accuracy", 0.81, "accuracy is 0.8 (95% interval 0.7 to 0.9), below 0.81"},
		{"calibration", 0.95, "calibration is 0.9, below 0.95"},
		{"attacked_accuracy", 0, "attacked_accuracy could not be measured, so it is not known to be at least 0"},
	} {
		if got, err := r.Below(c.name, c.least); err != nil || got != c.want {
			t.Errorf("%s under %g: %q, %v", c.name, c.least, got, err)
		}
	}
	_, err := r.Below("acuracy", 0.5)
	if err == nil {
		t.Fatal("an unknown measure is compared")
	}
	for _, name := range MeasureNames() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

// A report has a deadline of its own, which does not stop who asked for it.
func TestDeadlineIsItsOwn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer interrupt.Use(ctx)()
	r := of(t, colours(t, names, 100), open(t, folder(t, 20, 0)), 30*time.Second)
	if ctx.Err() != nil || interrupt.Err() != nil || r.Stopped {
		t.Error("a report's deadline has stopped who asked for it")
	}
	// A fifth of the images are hardly told apart: these an attack turns, and noise does not.
	finding(t, r.Findings, "attack", "Attack: a small one turns it")
}
