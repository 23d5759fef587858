package labels

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/data"
)

// frontEnd keeps the state of what is opened in it.
type frontEnd struct {
	order []string // ids, as they were opened
	state map[string]map[string]any
}

func connect(t *testing.T) *frontEnd {
	f := &frontEnd{state: map[string]map[string]any{}}
	comm.SetSender(func(m comm.Message) error {
		var got struct{ State map[string]any }
		if err := json.Unmarshal(m.Data, &got); err != nil {
			t.Error(err)
		}
		if m.Kind == comm.Opening {
			f.order = append(f.order, m.ID)
			f.state[m.ID] = map[string]any{}
		}
		for name, value := range got.State {
			f.state[m.ID][name] = value
		}
		return nil
	})
	t.Cleanup(func() { comm.SetSender(nil) })
	return f
}

// of are the widgets of a kind.
func (f *frontEnd) of(model string) (ids []string) {
	for _, id := range f.order {
		if f.state[id]["_model_name"] == model {
			ids = append(ids, id)
		}
	}
	return ids
}

// choose presses one of the buttons of an image.
func (f *frontEnd) choose(image int, d Decision) {
	comm.Receive(comm.Message{Kind: comm.Sending, ID: f.of("ToggleButtonsModel")[image], Request: "r",
		Data: json.RawMessage(fmt.Sprintf(`{"method":"update","state":{"index":%d},"buffer_paths":[]}`, d))})
}

func (f *frontEnd) press(button int) {
	comm.Receive(comm.Message{Kind: comm.Sending, ID: f.of("ButtonModel")[button], Request: "r",
		Data: json.RawMessage(`{"method":"custom","content":{"event":"click"}}`)})
}

// chosen is the button that shows as pressed below an image, and text what stands there.
func (f *frontEnd) chosen(image int) any { return f.state[f.of("ToggleButtonsModel")[image]]["index"] }
func (f *frontEnd) text(block int) string {
	return f.state[f.of("HTMLModel")[block]]["value"].(string)
}

// reviewedSet is 20 images of which 14 are issues, and their labels.
func reviewedSet(t *testing.T) (*data.Dataset, []Issue, []int) {
	t.Helper()
	images, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 20*2*2*3), 20, 2, 2, 3), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]int, 20)
	var issues []Issue
	for i := 19; i > 5; i-- {
		issues = append(issues, Issue{Index: i, Given: 0, Suggested: 1})
	}
	return images, issues, y
}

func TestAReviewIsSavedAndReadBack(t *testing.T) {
	for _, kind := range []string{"json", "csv"} {
		file := filepath.Join(t.TempDir(), "review."+kind)
		images, issues, y := reviewedSet(t)
		f := connect(t)
		r, err := OpenReview(file, images, issues, []string{"cat", "<dog>"})
		if err != nil {
			t.Fatal(err)
		}
		if b := r.Bundle(); len(b.Data) != 2 || !strings.HasPrefix(b.Data["text/plain"],
			"19: given cat, suggested <dog>: undecided\n") || strings.Contains(b.Data["text/plain"], "base64") {
			t.Fatalf("%v", b.Data)
		}
		if text := f.text(1); !strings.Contains(text, "19: given <b>cat</b>, suggested <b>&lt;dog&gt;</b>") ||
			!strings.Contains(text, "data:image/png;base64,") {
			t.Error(text)
		}
		f.choose(0, TakeSuggestion)
		f.choose(1, BothLabels)
		f.choose(2, KeepLabel)
		f.choose(3, KeepLabel)
		f.choose(3, Undecided)
		if text := f.text(0); !strings.Contains(text, "1 to 12 of 14, 3 decided") {
			t.Error(text)
		}
		f.press(0) // there is no page before the first
		f.press(1)
		if text := f.text(1); !strings.Contains(text, "7: given") || f.chosen(0) != 0.0 || f.text(3) != "" {
			t.Errorf("on the second page %q, %v, %q", text, f.chosen(0), f.text(3))
		}
		f.choose(0, NeitherLabel)
		f.choose(5, KeepLabel) // an empty place
		f.press(1)
		f.press(0)
		if f.chosen(0) != float64(TakeSuggestion) || !strings.Contains(f.text(0), "4 decided") {
			t.Errorf("back on the first page %v, %q", f.chosen(0), f.text(0))
		}
		corrected, err := r.Correct(y)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]int, 20)
		want[19], want[18], want[7] = 1, Unknown, Unknown
		if !slices.Equal(corrected, want) {
			t.Errorf("%v, want %v", corrected, want)
		}

		// Opened again, with fewer issues: those before stay in the file.
		f = connect(t)
		again, err := OpenReview(file, images, issues[1:5], nil)
		if err != nil {
			t.Fatal(err)
		}
		again.Bundle()
		if f.chosen(0) != float64(BothLabels) || again.Decided() != 2 || !strings.Contains(f.text(1), "given <b>0</b>") {
			t.Errorf("opened again: %v, %d decided, %s", f.chosen(0), again.Decided(), f.text(1))
		}
		f.choose(3, KeepLabel)
		whole, err := OpenReview(file, images, issues, nil)
		if err != nil || whole.Decided() != 5 || whole.Decision(0) != TakeSuggestion {
			t.Errorf("%d decided, %v", whole.Decided(), err)
		}
		g, err := whole.Grid(0, 2)
		if err != nil || len(g.Rows) != 1 || g.Rows[0][0].Title != "given 0\nsuggested 1\nsuggestion" {
			t.Errorf("%+v, %v", g.Rows, err)
		}
	}
}

func TestADecisionThatCannotBeSavedIsNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	images, issues, _ := reviewedSet(t)
	f := connect(t)
	r, err := OpenReview(filepath.Join(dir, "review.json"), images, issues, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Bundle()
	f.choose(0, KeepLabel)
	if r.Decided() != 0 || f.chosen(0) != 0.0 || !strings.Contains(f.text(0), "not saved") {
		t.Errorf("%d decided, %v, %s", r.Decided(), f.chosen(0), f.text(0))
	}
}

func TestReviewNamesWhatIsWrong(t *testing.T) {
	images, issues, y := reviewedSet(t)
	for content, want := range map[string]string{
		"":     "no decisions",
		"{":    "no decisions",
		`[{}]`: "decision 0",
		`[{"index": 19, "given": 3, "suggested": 1, "decision": "keep"}]`: "other labels",
		`[{"index": 19, "given": 0, "suggested": 1, "decision": "hm"}]`:   "decision 0",
	} {
		file := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReview(file, images, issues, nil); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "labels: ") {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	for content, want := range map[string]string{"": "first line", "a,b\n": "first line",
		"index,given,suggested,decision\n1,x,2,keep\n": "line 2"} {
		file := filepath.Join(t.TempDir(), "r.csv")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReview(file, images, issues, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	if _, err := OpenReview("r.txt", images, issues, nil); err == nil || !strings.Contains(err.Error(), ".json or .csv") {
		t.Error(err)
	}
	if _, err := OpenReview("r.json", images, nil, nil); err == nil {
		t.Error("no issues are reviewed")
	}
	if _, err := OpenReview("r.json", images, []Issue{{Index: 20}}, nil); err == nil ||
		!strings.Contains(err.Error(), "example 20") {
		t.Error(err)
	}
	r, err := OpenReview(filepath.Join(t.TempDir(), "r.json"), images, issues, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.DecideFirst(KeepLabel, 9); err == nil || n != r.Decided() || r.Decision(0) != KeepLabel {
		t.Errorf("a decision that there is not: %d are decided, the first %v (%v)", n, r.Decision(0), err)
	}
	if err := r.Decide(14, KeepLabel); err == nil {
		t.Error("an issue that there is not is decided")
	}
	if err := r.Decide(0, 9); err == nil {
		t.Error("a decision that there is not is taken")
	}
	if _, err := r.Correct(y[:3]); err == nil {
		t.Error("labels of another set are corrected")
	}
	if _, err := r.Grid(14, 1); err == nil {
		t.Error("a grid of no issues is shown")
	}
}

// What was said of one suggestion is not said of another.
func TestADecisionStandsForTheSuggestionThatItAnswered(t *testing.T) {
	images, _, y := reviewedSet(t)
	for _, name := range []string{"decisions.json", "decisions.csv"} {
		file := filepath.Join(t.TempDir(), name)
		open := func(suggested ...int) *Review {
			var issues []Issue
			for i, s := range suggested {
				issues = append(issues, Issue{Index: 6 + i, Given: 0, Suggested: s})
			}
			r, err := OpenReview(file, images, issues, nil)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		decided := func(r *Review) []Decision { return []Decision{r.Decision(0), r.Decision(1)} }
		first := open(1, 1)
		for i, d := range []Decision{TakeSuggestion, KeepLabel} {
			if err := first.Decide(i, d); err != nil {
				t.Fatal(err)
			}
		}
		second := open(2, 1)
		if got := decided(second); !slices.Equal(got, []Decision{Undecided, KeepLabel}) || second.Decided() != 1 {
			t.Errorf("%s: with another suggestion the decisions are %v", name, got)
		}
		corrected, err := second.Correct(y)
		if err != nil || corrected[6] != 0 {
			t.Errorf("%s: example 6 is corrected to %d (%v)", name, corrected[6], err)
		}
		if err := second.Decide(0, NeitherLabel); err != nil {
			t.Fatal(err)
		}
		if got := decided(open(1, 1)); !slices.Equal(got, []Decision{TakeSuggestion, KeepLabel}) {
			t.Errorf("%s: the first suggestion's decisions are %v", name, got)
		}
		if got := decided(open(2, 1)); !slices.Equal(got, []Decision{NeitherLabel, KeepLabel}) {
			t.Errorf("%s: the second suggestion's decisions are %v", name, got)
		}
	}
}
