package stats

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// The interval of 8 of 10 is SciPy's: binomtest(8, 10).proportion_ci(method="exact").
func TestAccuracyHasItsInterval(t *testing.T) {
	a := Accuracy{Correct: 8, Total: 10}
	if i := a.Interval(); math.Abs(i.Low-0.44390454) > 1e-7 || math.Abs(i.High-0.97478927) > 1e-7 || a.Share() != 0.8 {
		t.Errorf("%v in %v", a.Share(), i)
	}
	wide, err := a.IntervalAt(0.005)
	if err != nil || !(wide.Low < a.Interval().Low && wide.High > a.Interval().High) {
		t.Errorf("at 99.5%% it is %v: %v", wide, err)
	}
	if text := a.Bundle().Data[mime.Text]; text != "accuracy 80.0% (44.4 to 97.5%), 8 of 10" {
		t.Errorf("shown as %s", text)
	}
	none := Accuracy{}
	if i := none.Interval(); i != (Interval{0, 1}) || !math.IsNaN(none.Share()) || none.Rate() != nil ||
		none.String() != "no examples" {
		t.Errorf("of nothing it is %v", none)
	}
	text, err := json.Marshal([]Accuracy{a, none})
	if err != nil || !strings.Contains(string(text), `"accuracy":0.8,"correct":8`) ||
		!strings.Contains(string(text), `{"correct":0,"high":1,"low":0,"total":0}`) {
		t.Errorf("as JSON it is %s: %v", text, err)
	}
}

func TestAccuracyOfCountsWhatHasALabel(t *testing.T) {
	a, err := AccuracyOf([]int{0, 1, 2, 1}, []int{0, 2, -1, 1})
	if err != nil || a != (Accuracy{2, 3}) {
		t.Errorf("%v: %v", a, err)
	}
	for want, labels := range map[string][]int{"2 predictions for 1 labels": {0},
		"none of 2 examples has a label": {-1, -1}} {
		if _, err := AccuracyOf([]int{0, 1}, labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// A file holds the share, its interval and the counts in columns of their own.
func TestAccuracyInAFile(t *testing.T) {
	x := table.Table{Header: []string{"accuracy"}}
	x.Add(Accuracy{8, 10})
	x.Add(Accuracy{})
	flat, err := x.Flat()
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(flat.Header,
		"; "); names != "accuracy; accuracy low; accuracy high; accuracy correct; accuracy of" || flat.Rows[0][0] != 0.8 ||
		flat.Rows[0][3] != int64(8) || flat.Rows[1][0] != nil {
		t.Errorf("%s: %v", names, flat.Rows)
	}
}
