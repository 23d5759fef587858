package labels

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
)

func verdicts(t *testing.T, set string) Verdicts {
	t.Helper()
	v, err := ReadVerdicts(testenv.SharedData(t, "label-errors", "mturk", set+"_mturk.json"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The counts are those of Northcutt, Athalye and Mueller 2021, table 2.
func TestVerdictsAreThePapers(t *testing.T) {
	for _, c := range []struct {
		set                                                                string
		candidates, errors, correctable, multiLabel, neither, disagreement int
	}{
		{"mnist", 100, 15, 10, 0, 3, 2}, {"cifar10", 275, 54, 18, 0, 4, 32}, {"cifar100", 2235, 585, 318, 20, 37, 210},
		{"imagenet", 5440, 2916, 1428, 597, 293, 598},
	} {
		v := verdicts(t, c.set)
		got := []int{len(v), len(v.Errors()), v.Count(Correctable), v.Count(MultiLabel), v.Count(Neither),
			v.Count(NoAgreement)}
		if want := []int{c.candidates, c.errors, c.correctable, c.multiLabel, c.neither, c.disagreement}; !slices.Equal(got,
			want) {
			t.Errorf("%s: %v, want %v", c.set, got, want)
		}
		rate, interval, err := v.ErrorRate(0.05)
		if err != nil || rate != float64(c.errors)/float64(c.candidates) || !(interval.Low < rate && rate < interval.High) {
			t.Errorf("%s: %v %v %v", c.set, rate, interval, err)
		}
		y, err := ReadLabels(testenv.SharedData(t, "label-errors", "original_test_labels",
			strings.Replace(c.set, "imagenet", "imagenet_val", 1)+labelFile(c.set)))
		if err != nil {
			t.Fatal(err)
		}
		if c.set == "imagenet" {
			continue // its labels lie class by class, and its verdicts name the files
		}
		corrected, err := v.Correct(y)
		if err != nil {
			t.Fatal(err)
		}
		changed, unknown := 0, 0
		for i := range y {
			if corrected[i] == Unknown {
				unknown++
			} else if corrected[i] != y[i] {
				changed++
			}
		}
		if changed != c.correctable || unknown != c.errors-c.correctable {
			t.Errorf("%s: %d labels corrected and %d unknown", c.set, changed, unknown)
		}
	}
}

func labelFile(set string) string {
	if set == "imagenet" {
		return "_set_original_labels.npy"
	}
	return "_test_set_original_labels.npy"
}

func TestLowMarginsUncalibratedAreThePapersCandidates(t *testing.T) {
	p, y := given(t, "cifar10")
	got, want := mustFind(t, p, y, Options{Filter: LowMarginsUncalibrated, Rank: NormalizedMargin}).Indices(),
		verdicts(t, "cifar10").Indices()
	slices.Sort(got)
	slices.Sort(want)
	if len(want) != 275 || !slices.Equal(got, want) {
		t.Errorf("%d candidates %v, the paper's are %d %v", len(got), got, len(want), want)
	}
}

func TestReadVerdictsNamesWhatIsWrong(t *testing.T) {
	const good = `{"id": 1, "given_original_label": 2, "our_guessed_label": 3, "mturk": {"given": 5, "guessed": 0, ` +
		`"neither": 0, "both": 0}}`
	for content, want := range map[string]string{
		"":            "no verdicts",
		"{}":          "no verdicts",
		`[{"id": 1}]`: "record 0",
		"[" + strings.Replace(good, "1", "-1", 1) + "]":                     "counted from 0",
		"[" + strings.Replace(good, `"given": 5`, `"given": -5`, 1) + "]":   "fewer votes than none",
		"[" + strings.Replace(good, `"given": 5`, `"positive": 5`, 1) + "]": "no votes",
		"[" + good + "," + good + "]":                                       "same example, 1",
	} {
		file := filepath.Join(t.TempDir(), "v.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadVerdicts(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	v := Verdicts{{Index: 1, Given: 2}}
	if _, err := v.Correct([]int{0}); err == nil || !strings.Contains(err.Error(), "example 1") {
		t.Errorf("too few labels: %v", err)
	}
	if _, err := v.Correct([]int{0, 0}); err == nil || !strings.Contains(err.Error(), "had 2") {
		t.Errorf("labels of another set: %v", err)
	}
	if _, _, err := (Verdicts{}).ErrorRate(0.05); err == nil {
		t.Error("no verdicts have a rate")
	}
}

// By hand, of four verdicts on ten examples: two are errors, of which one is correctable.
func TestSomeOfTheVerdicts(t *testing.T) {
	v := Verdicts{
		{Index: 2, Given: 0, Guessed: 1, GivenName: "cat", GuessedName: "dog", Votes: Votes{Guessed: 4, Given: 1}},
		{Index: 3, Votes: Votes{Given: 5}}, {Index: 0, Votes: Votes{Given: 2, Neither: 2, Both: 1}},
		{Index: 1, Votes: Votes{Given: 3}},
	}
	if got := v.With(Correctable).Indices(); !slices.Equal(got, []int{2}) {
		t.Errorf("correctable are %v", got)
	}
	if got := v.Among([]int{1, 2, 9}).Indices(); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("among them are %v", got)
	}
	claims, err := v.Claims("set", 10)
	if err != nil || claims[0].Name != "set: wrong of the candidates" || claims[0].Value != 0.5 || claims[0].N != 4 ||
		claims[1].Name != "set: wrong of the test set, at least" || claims[1].Value != 0.2 || claims[1].N != 10 {
		t.Errorf("%+v (%v)", claims, err)
	}
	if _, err := v.Claims("set", 3); err == nil {
		t.Error("there are more verdicts than examples")
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 4*9), 4, 3, 3, 1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := v.With(Correctable).Grid(ds)
	if err != nil || len(g.Rows) != 1 || g.Rows[0][0].Title != "given cat (1)\nsuggested dog (4)" {
		t.Errorf("%+v (%v)", g, err)
	}
	for _, bad := range []Verdicts{nil, {{Index: 4}}} {
		if _, err := bad.Grid(ds); err == nil {
			t.Errorf("%v are shown", bad)
		}
	}
}
