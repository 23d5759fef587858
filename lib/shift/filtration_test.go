package shift

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func of(correct, total int) stats.Accuracy { return stats.Accuracy{Correct: correct, Total: total} }

// says are the answers of a model that gives these probabilities to three classes.
func says(t *testing.T, name string, labels []int, rows ...[3]float32) *model.Answers {
	t.Helper()
	var flat []float32
	for _, row := range rows {
		flat = append(flat, row[:]...)
	}
	a, err := model.AnswersFromProbabilities(name, tensors.FromFlatDataAndDimensions(flat, len(rows), 3), labels)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFiltrationKeepsWhatFools(t *testing.T) {
	labels := []int{0, 0, 2, 2, 2}
	chooses := says(t, "chooses", labels,
		[3]float32{.8, .1, .1},    // right
		[3]float32{.1, .9, 0},     // fools
		[3]float32{.5, .3, .2},    // wrong, the label too likely
		[3]float32{.85, .05, .1},  // fools
		[3]float32{.43, .43, .14}, // fools
	)
	other := says(t, "other", labels,
		[3]float32{1, 0, 0}, [3]float32{1, 0, 0}, [3]float32{0, 0, 1}, [3]float32{0, 1, 0}, [3]float32{0, .4, .6},
	)
	r, err := Filter{}.Keep([]*model.Answers{chooses}, other)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Kept, []int{1, 3, 4}) || r.Total != 5 || r.Right != 1 || r.Likely != 1 {
		t.Errorf("it keeps %v of %d; %d are right, %d likely", r.Kept, r.Total, r.Right, r.Likely)
	}
	if want := []FilteredClass{{0, 2, 1}, {2, 3, 2}}; !slices.Equal(r.Classes, want) {
		t.Errorf("classes are %v, want %v", r.Classes, want)
	}
	if want := []Cell{{"chooses", "all", of(1, 5)}, {"chooses", "kept", of(0, 3)}, {"other", "all", of(4, 5)},
		{"other", "kept", of(2, 3)}}; !slices.Equal(r.Cells, want) {
		t.Errorf("cells are %v, want %v", r.Cells, want)
	}
	text := r.Bundle().Data[mime.Text]
	for _, want := range []string{"80.0 (28.4 to 99.5)", "66.7 (9.4 to 99.2)", "chose", "none"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not say %q:\n%s", want, text)
		}
	}
	// All that is wrong; a second filter takes away what it gets right; nothing left.
	if r, err = (Filter{LabelBelow: 1}).Keep([]*model.Answers{chooses}); err != nil ||
		!slices.Equal(r.Kept, []int{1, 2, 3, 4}) || r.Likely != 0 {
		t.Errorf("it keeps %v, %v", r.Kept, err)
	}
	if r, err = (Filter{}).Keep([]*model.Answers{chooses, other}); err != nil || !slices.Equal(r.Kept, []int{3}) ||
		r.Right != 4 || r.Filters != 2 {
		t.Errorf("two filters keep %v, %v", r.Kept, err)
	}
	if r, err = (Filter{}).Keep([]*model.Answers{says(t, "knows all", []int{0}, [3]float32{1, 0, 0})}); err != nil ||
		len(r.Kept) != 0 || r.Cells[1].Accuracy.Total != 0 {
		t.Errorf("nothing is left: %+v, %v", r, err)
	}
	if text := r.Bundle().Data[mime.Text]; strings.Contains(text, "NaN") {
		t.Error(text)
	}
}

func TestFiltrationNamesWhatIsWrong(t *testing.T) {
	a := says(t, "a", []int{0}, [3]float32{1, 0, 0})
	for want, call := range map[string]func() error{
		"between 0 and 1": func() error {
			_,
				err := Filter{LabelBelow: 1.5}.Keep([]*model.Answers{a})
			return err
		},
		"a model that chooses":        func() error { _, err := Filter{}.Keep(nil, a); return err },
		"answers of a model are miss": func() error { _, err := Filter{}.Keep([]*model.Answers{a}, nil); return err },
		"a and c have not answe": func() error {
			_, err := Filter{}.Keep([]*model.Answers{a}, says(t, "c", []int{1}, [3]float32{1, 0, 0}))
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}

// On real images what fools one network fools another that had no part in the choice, far beyond its usual errors.
func TestFiltrationTransfers(t *testing.T) {
	test := testenv.SharedData(t, "cifar10-jpeg", "test.zip")
	var answers []*model.Answers
	ds, err := data.Zip(test, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ds = ds.Shuffle(1).Take(1000)
	for _, name := range []string{"resnet20", "resnet32"} {
		testenv.Asset(t, "xla-cpu")
		m, err := model.Load(testenv.SharedData(t, "cifar-resnets", name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := m.Answers(ds)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	r, err := Filter{}.Keep(answers[:1], answers[1])
	if err != nil {
		t.Fatal(err)
	}
	before, after := r.Cells[2].Accuracy, r.Cells[3].Accuracy
	t.Logf("%d kept; resnet32 %v before, %v after", len(r.Kept), before, after)
	if r.Cells[1].Accuracy.Correct != 0 || !(after.Interval().High <= before.Share()-.15) ||
		len(r.Kept)+r.Right+r.Likely != 1000 || len(r.Kept) < 50 {
		t.Errorf("%d are kept, the filter gets %d of them right; the other network has %v before and %v after", len(r.Kept),
			r.Cells[1].Accuracy.Correct, before, after)
	}
}

// A label is too likely from LabelBelow on: a probability of just that counts.
func TestAProbabilityOfJustBelowIsTooLikely(t *testing.T) {
	a := says(t, "a", []int{0, 0}, [3]float32{.25, .75, 0}, [3]float32{.2, .8, 0})
	r, err := Filter{LabelBelow: .25}.Keep([]*model.Answers{a})
	if err != nil || r.Likely != 1 || !slices.Equal(r.Kept, []int{1}) {
		t.Errorf("%+v (%v)", r, err)
	}
}
