package shift

import (
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// refuses calls each, which has to fail and say what it is called by.
func refuses(t *testing.T, calls map[string]func() error) {
	t.Helper()
	for want, do := range calls {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// grey are images of one value each, of which the brighter half is of class 1.
func grey(t *testing.T, n int, labels []int) *data.Dataset {
	t.Helper()
	flat := make([]float32, 0, n*8*8*3)
	for i := range n {
		flat = append(flat, slices.Repeat([]float32{(float32(i) + 0.5) / float32(n)}, 8*8*3)...)
	}
	return ok[*data.Dataset](t)(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, n, 8, 8, 3), labels, nil))
}

// Images without a label do not count, nor do those of classes that are not the condition's. Of one class alone each
// image is of it.
func TestWhichImagesOfAConditionCount(t *testing.T) {
	tb, ds := newTestbed(t), grey(t, 6, []int{0, -1, 0, 1, -1, 1})
	m := thresholdModel(t, "half", 0.5)
	r := ok[*Results](t)(tb.Run([]*model.Model{m}, Condition{Name: "all", Data: ds},
		Condition{Name: "dark", Data: ds, Classes: []int{0}}, Condition{Name: "two", Data: ds, Classes: []int{1, 0}}))
	for condition, want := range map[string]stats.Accuracy{"all": of(2, 4), "dark": of(2, 2), "two": of(4, 4)} {
		if c, _ := r.Cell("half", condition); c.Accuracy != want {
			t.Errorf("%s: %v, want %v", condition, c.Accuracy, want)
		}
	}
	refuses(t, map[string]func() error{
		"one has the class -1, and half has the classes 0 to 2": func() error {
			_, err := tb.Run([]*model.Model{m}, Condition{Name: "one", Data: ds, Classes: []int{0, -1}})
			return err
		},
		"one has the class 3, and half": func() error {
			_, err := tb.Run([]*model.Model{m}, Condition{Name: "one", Data: ds, Classes: []int{0, 3}})
			return err
		},
		"\"\" lacks one":              func() error { _, err := tb.Run([]*model.Model{m}, Condition{Data: ds}); return err },
		"1 models under 0 conditions": func() error { _, err := tb.Run([]*model.Model{m}); return err },
		"has 6 labels for 5 images": func() error {
			_, err := tb.Run([]*model.Model{m}, Condition{Name: "short", Data: short{ds}})
			return err
		},
	})
	if got := (Condition{Name: "all", Data: ds}).String(); got != "all: 6 images" {
		t.Errorf("%q", got)
	}
}

// short has an image less than it has labels.
type short struct{ model.Labeled }

func (s short) Len() int { return s.Labeled.Len() - 1 }

// Sixteen images, evenly chosen, tell a condition from another; models of the same weights are told apart by how images
// go in.
func TestConditionsAndModelsAreToldApart(t *testing.T) {
	var asked []int
	labels := make([]int, 40)
	ds := Changed("watched", grey(t, 40, labels), func(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error) {
		asked = append(asked, numbers...)
		return images, nil
	})
	m := thresholdModel(t, "m", 0.5)
	identity := func(c Condition) string {
		t.Helper()
		return ok[string](t)(c.identity(ok[counted](t)(c.count([]*model.Model{m}))))
	}
	first := identity(ds)
	if want := []int{0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37}; !slices.Equal(asked, want) {
		t.Errorf("it is known by the images %v, want %v", asked, want)
	}
	if identity(Condition{Name: "other", Data: grey(t, 40, labels)}) != first {
		t.Error("the same images under another name are something else")
	}
	labels = slices.Clone(labels)
	labels[39] = 1
	classes := Condition{Name: "c", Data: grey(t, 40, labels), Classes: []int{0, 1}}
	same := classes
	same.Classes = nil
	if identity(same) == first || identity(classes) == identity(same) {
		t.Error("labels and classes do not tell conditions apart")
	}
	asked = nil
	few := Changed("few", grey(t, 3, []int{0, 0, 1}), ds.Data.(changed).change)
	if identity(few); !slices.Equal(asked, []int{0, 1, 2}) {
		t.Errorf("a few are known by %v", asked)
	}
	named := map[string]bool{}
	for _, spec := range []model.Spec{{Name: "m", Height: 8, Width: 8, Channels: 3},
		{Name: "m", Height: 8, Width: 8, Channels: 3, Mean: []float64{.5, .5, .5}, Std: []float64{1, 1, 1}}} {
		named[ok[string](t)(modelIdentity(ok[*model.Model](t)(model.FromTensors(m.Weights(), spec,
			func(b *model.Builder, x *graph.Node) *graph.Node {
				return graph.Concatenate([]*graph.Node{graph.Mul(graph.Reshape(b.Weight("at"), 1, 1), graph.ReduceMean(x, 2, 3)),
					graph.ReduceMean(x, 2, 3)}, 1)
			}))))] = true
	}
	if len(named) != 2 {
		t.Error("a mean that is taken off does not make another model")
	}
}

// Rates lie in 0..1, both included; intervals are the means of the ends of Clopper and Pearson's.
func TestErrorRatesAtTheirBounds(t *testing.T) {
	one := map[string]float64{"fog": 1}
	for rate, fine := range map[float64]bool{-0.01: false, 0: true, 1: true, 1.01: false} {
		if _, err := MeanCorruptionError(ErrorRates{Corrupted: map[string]float64{"fog": rate}},
			ErrorRates{Corrupted: one}); (err == nil) != fine {
			t.Errorf("a rate of %v: %v", rate, err)
		}
		of := ErrorRates{Clean: rate, Corrupted: one}
		if _, err := MeanCorruptionError(of, ErrorRates{Corrupted: one}); (err == nil) != fine {
			t.Errorf("a rate of %v on clean images: %v", rate, err)
		}
	}
	// Where the baseline loses nothing there is no proportion.
	e, err := MeanCorruptionError(ErrorRates{Clean: 0.25, Corrupted: map[string]float64{"fog": 0.5, "mine": 0.25},
		Low: map[string]float64{"fog": 0.25}, High: map[string]float64{"fog": 0.75}},
		ErrorRates{Name: "b", Clean: 0.5, Corrupted: map[string]float64{"fog": 0.5, "mine": 1}})
	if err != nil || !slices.Equal(e.Corruptions, []string{"fog", "mine"}) || !slices.Equal(e.CE, []float64{1, 0.25}) ||
		!math.IsNaN(e.Relative[0]) || e.Relative[1] != 0 || e.Mean != 0.625 || e.Interval != (stats.Interval{}) {
		t.Errorf("%+v (%v)", e, err)
	}
	if text := e.Bundle().Data[mime.Text]; !strings.Contains(text, " 25 ") || !strings.Contains(text, " 62.5 ") ||
		strings.Contains(text, "62.5 (") || !strings.Contains(text, "by b") {
		t.Errorf("shown as\n%s", text)
	}
	// Corruptions of one's own come behind the benchmark's, by their names.
	for range 10 {
		all := map[string]float64{"z": 1, "a": 1, "snow": 1, "m": 1, "fog": 1}
		if e, err := MeanCorruptionError(ErrorRates{Corrupted: all}, ErrorRates{Corrupted: all}); err != nil ||
			!slices.Equal(e.Corruptions, []string{"snow", "fog", "a", "m", "z"}) {
			t.Fatalf("%+v (%v)", e, err)
		}
	}
	s := &Sweep{Model: "m", Corruptions: []string{"fog"},
		Accuracy: [][]stats.Accuracy{{of(9, 10), of(8, 10), of(7, 10), of(6, 10), of(10, 10), of(0, 10)}}}
	got := ok[ErrorRates](t)(s.ErrorRates())
	var low, high float64
	for _, a := range s.Accuracy[0][1:] {
		iv := ok[stats.Interval](t)(stats.ClopperPearson(a.Total-a.Correct, a.Total, 0.05))
		low, high = low+iv.Low/5, high+iv.High/5
	}
	if err := approx.All([]float64{got.Clean, got.Corrupted["fog"], got.Low["fog"], got.High["fog"]},
		[]float64{0.1, 0.38, low, high}, 1e-9); err != nil {
		t.Error(err)
	}
	for _, bad := range []stats.Accuracy{of(0, 0), of(-1, 10), of(11, 10)} {
		s.Accuracy[0][3] = bad
		if _, err := s.ErrorRates(); err == nil || !strings.Contains(err.Error(), "which cannot be") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestAFiltrationAsItIsShown(t *testing.T) {
	labels := []int{0, 2, 2}
	a := says(t, "a", labels, [3]float32{.8, .1, .1}, [3]float32{.1, .9, 0}, [3]float32{.5, .3, .2})
	r := ok[*Filtration](t)(Filter{}.Keep([]*model.Answers{a}))
	text := r.Bundle().Data[mime.Text]
	for _, want := range []string{"kept: 1 of 3, of 1 of 2 classes; right: 1; label too ", "ely: 1 ",
		"accuracy on all 3, %", "on the 1 kept, %", "33.3 (0.8 to 90.6)", "0.0 (0.0 to 97.5)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if rows := r.Table().Rows; len(rows) != 1 || !slices.Equal(rows[0], []any{1, 2}) {
		t.Errorf("%v", rows)
	}
	r.files, r.classes = []string{"x.png", "y.png", "z.png"}, []string{"cat", "dog", "cow"}
	if rows := r.Table().Rows; len(rows) != 1 || !slices.Equal(rows[0], []any{1, "y.png", "cow"}) {
		t.Errorf("%v", rows)
	}
	for below, fine := range map[float64]bool{-0.01: false, 0: true, 0.01: true, 1: true, 1.01: false} {
		if _, err := (Filter{LabelBelow: below}).Keep([]*model.Answers{a}); (err == nil) != fine {
			t.Errorf("below %v: %v", below, err)
		}
	}
	refuses(t, map[string]func() error{
		"a was asked about images without": func() error {
			_, err := Filter{}.Keep([]*model.Answers{says(t, "a", []int{-1}, [3]float32{1, 0, 0})})
			return err
		},
		"its Labeled leaves them out": func() error {
			_, err := Filter{}.Keep([]*model.Answers{says(t, "a", nil, [3]float32{1, 0, 0})})
			return err
		},
	})
}

// An array of classes has one axis or two, and something in it.
func TestShapesOfPredictions(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		fine  bool
	}{"none": {[]int64{}, false}, "one": {[]int64{3}, true}, "three": {[]int64{3, 1, 2}, true}} {
		dir := t.TempDir()
		f := ok[*os.File](t)(os.Create(filepath.Join(dir, "m.npy")))
		if err := npyio.Write(f, c.value); err != nil {
			t.Fatal(err)
		}
		f.Close()
		all, err := ReadPredictions(dir)
		if (err == nil) != c.fine || err == nil && all[0].Len() != len(c.value.([]int64)) {
			t.Errorf("%s: %v (%v)", name, all, err)
		}
	}
	for shape, fine := range map[string]bool{"()": false, "(0, 2)": false, "(2, 0)": false, "(1, 1, 2)": false,
		"(1, 2)": true, "(2, 1)": true} {
		dir := t.TempDir()
		header := "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }"
		text := "\x93NUMPY\x01\x00" + string([]byte{118, 0}) + header + strings.Repeat(" ", 117-len(header)) + "\n" +
			strings.Repeat("\x01\x00\x00\x00\x00\x00\x00\x00", 2)
		if err := os.WriteFile(filepath.Join(dir, "m.npy"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPredictions(dir); (err == nil) != fine {
			t.Errorf("%s: %v", shape, err)
		}
	}
	dir := t.TempDir()
	file, names := filepath.Join(dir, "p.npz"), filepath.Join(dir, "names.txt")
	archive := func(arrays map[string]any, text string) error {
		if err := npz.Write(file, arrays); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(names, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		predictions, labels, err := ReadPredictionArchive(file, names)
		if err == nil && (len(predictions) != 2 || !slices.Equal(labels, []int{7, 8, 9}) || predictions[1].Model != "b" ||
			!slices.Equal(ok[[]int](t)(predictions[1].Predicted()), []int{4, 5, 6})) {
			t.Errorf("%v, %v", predictions, labels)
		}
		return err
	}
	six, three := []int64{1, 2, 3, 4, 5, 6}, []int64{7, 8, 9}
	if err := archive(map[string]any{"top1": six, "labels": three}, "a\nb\n"); err != nil {
		t.Error(err)
	}
	refuses(t, map[string]func() error{
		"no array \"labels\"":     func() error { return archive(map[string]any{"top1": six}, "a b") },
		"they would be 1 models'": func() error { return archive(map[string]any{"top1": six, "labels": three}, "a") },
		"they would be 0 models'": func() error {
			return archive(map[string]any{"top1": []int64{}, "labels": []int64{}},
				"")
		},
		"top1 of ":               func() error { return archive(map[string]any{"top1": []float64{1}, "labels": three}, "a") },
		"not a zip archive that": func() error { _, _, err := ReadPredictionArchive(names, names); return err },
	})
}

// Accuracies become counts where they are at most three tenths of an image from one, and at most a full score.
func TestPublishedAccuraciesAreCounts(t *testing.T) {
	for accuracy, want := range map[float64]int{0: 0, 0.2529: 25, 0.2471: 25, 0.2531: -1, 0.2469: -1, 1: 100,
		1.00000005: 100, 1.01: -1, -0.01: -1} {
		r := NewResults()
		err := r.addAccuracy("m", "c", accuracy, 100)
		if c, _ := r.Cell("m", "c"); (err != nil) != (want < 0) || err == nil && c.Accuracy != of(want, 100) {
			t.Errorf("%v: %v (%v), want %d", accuracy, c.Accuracy, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("model,val,left out,mine\nm,50,70,\nn,60,x,25\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := ok[*Results](t)(ReadAccuracies(path, 100, func(condition string) int {
		return map[string]int{"val": 10,
			"mine": 4}[condition]
	}))
	if got := fmt.Sprint(r.Conditions(), r.Models()); got != "[val mine] [m n]" {
		t.Error(got)
	}
	if a, err := r.Accuracy("n", "mine"); err != nil || a != of(1, 4) {
		t.Errorf("the accuracy of n is %v: %v", a, err)
	}
	if _, err := r.Accuracy("n", "no such"); err == nil || !strings.Contains(err.Error(), `of "n" under "no such"`) {
		t.Errorf("of a condition that there is not: %v", err)
	}
	if c, _ := r.Cell("n", "mine"); c.Accuracy != of(1, 4) {
		t.Errorf("%v", c)
	}
}

// The sizes of test sets whose accuracies no published fit is of. ImageNet's validation set has 50 images of each
// class.
func TestSizesOfConditions(t *testing.T) {
	for condition, want := range map[string]int{
		"val": 50000, "imagenet-a": 7500, "imagenet-r": 30000, "val-on-imagenet-a-classes": 200 * 50,
		"val-on-imagenet-r-classes": 200 * 50, "val-on-objectnet-classes": 125 * 50, "val_subsampled_class_1_8": 125 * 50,
		"val-on-vid-robust-classes": 288 * 50, "val-on-ytbb-robust-classes": 231 * 50, "imagenetv2-threshold-0.7": 10000,
		"imagenetv2-matched-frequency-format-val_subsampled_class_1_8": 1250, "imagenet-c.fog.3_on-disk": 50000,
		"imagenet-vid-robust_pm0": 1109, "imagenet-vid-robust_pm10": 1109, "ytbb-robust_pm0": 2030, "ytbb-robust_pm10": 2030,
		"objectnet-1.0-beta": 18514, "imagenet-sketch": 50889,
	} {
		if got := testbedSize(condition); got != want {
			t.Errorf("%s has %d images, want %d", condition, got, want)
		}
	}
	for _, f := range timmFiles {
		if want := map[string]int{"imagenet": 50000, "imagenetv2": 10000, "imagenet-real": 46837, "imagenet-a-clean": 10000,
			"imagenet-a": 7500, "imagenet-r-clean": 10000, "imagenet-r": 30000}[f.condition]; f.images != want {
			t.Errorf("%s has %d images, want %d", f.condition, f.images, want)
		}
	}
}

// three are models at home and away, and one that was tried at home alone.
func three(t *testing.T) *Results {
	t.Helper()
	r := NewResults()
	for _, c := range []Cell{
		{"a", "x", of(50, 100)}, {"a", "y", of(40, 100)}, {"b", "x", of(60, 100)}, {"b", "y", of(55, 100)},
		{"c", "x", of(70, 100)}, {"c", "y", of(58, 100)}, {"d", "x", of(80, 100)}, {"e", "y", of(8, 10)},
	} {
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestModelsThatWereNotTriedAreLeftOut(t *testing.T) {
	r := three(t)
	fit := ok[stats.AccuracyFit](t)(r.Fit(stats.Linear, "x", "y", nil))
	want := []stats.ExcludedModel{{Model: "d", Reason: "not tried under y"}, {Model: "e", Reason: "not tried under x"}}
	if !slices.Equal(fit.LeftOut(), want) {
		t.Errorf("left out are %v", fit.LeftOut())
	}
	s, err := r.Scatter(fit, "x", "y", nil, "b")
	if err != nil || s.Scale != stats.Linear || len(s.Points) != 3 || s.Groups != nil || !s.Points[1].Label ||
		s.Points[0].Label || s.Points[2].XInterval != ok[stats.Interval](t)(of(70, 100).IntervalAt(0.005)) {
		t.Errorf("%+v (%v)", s, err)
	}
	if err := r.SetKind("a", ModelInfo{Type: "mine"}); err != nil {
		t.Fatal(err)
	}
	if s := ok2(r.Scatter(nil, "x", "y", nil)); s.Scale != stats.Logit ||
		!slices.Equal(s.Groups, []string{"no type given", "mine"}) || s.Points[0].Group != 1 || s.Points[1].Group != 0 ||
		s.Title != "y against x" {
		t.Errorf("%+v", s)
	}
	table := ok2(r.Table())
	if table.Title != "Accuracy, with its 99.5% interval" || len(table.Rows) != 5 || table.Rows[3][3] != nil ||
		!slices.Equal(table.Header, []string{"model", "type", "x", "y"}) {
		t.Errorf("%+v", table)
	}
	if rows := ok2(r.TableAt(0.05, "y")).Rows; len(rows) != 4 || rows[3][0] != "e" || rows[3][2] != any(rate(of(8, 10))) {
		t.Errorf("%v", rows)
	}
	both := NewResults()
	if err := both.Add(Cell{"a", "x", of(1, 100)}); err != nil {
		t.Fatal(err)
	}
	refuses(t, map[string]func() error{
		"a has two results under x: 1 of 100 and 50 of 100": func() error { return both.Join(r) },
		"they are nil": func() error { return both.Join(nil) },
		"it is nil":    func() error { _, err := r.Effective(nil, "x", "y"); return err },
		"2 of 1":       func() error { return both.Add(Cell{"z", "x", of(2, 1)}) },
		"-1 of 1":      func() error { return both.Add(Cell{"z", "x", of(-1, 1)}) },
		"0 of 0":       func() error { return both.Add(Cell{"z", "x", of(0, 0)}) },
		"both need":    func() error { return both.Add(Cell{"z", "", of(0, 1)}) },
	})
	for _, fine := range []Cell{{"z", "x", of(0, 1)}, {"z", "y", of(1, 1)}, {"z", "y", of(1, 1)}} {
		if err := both.Add(fine); err != nil {
			t.Error(err)
		}
	}
	empty := NewResults()
	if err := empty.Join(r); err != nil || empty.Kind("a").Type != "mine" || len(empty.Models()) != 5 {
		t.Errorf("%v (%v)", empty, err)
	}
}

func rate(a stats.Accuracy) any { return a.Rate().(table.Rate) }

// A plot of 500 models has their intervals, one of more has not.
func TestACrowdHasNoIntervals(t *testing.T) {
	r := NewResults()
	for i := range 501 {
		for _, condition := range []string{"x", "y"} {
			if err := r.Add(Cell{fmt.Sprint(i), condition, of(i, 501)}); err != nil {
				t.Fatal(err)
			}
		}
		if i < 499 {
			continue
		}
		s := ok2(r.Scatter(nil, "x", "y", nil))
		if known := s.Points[3].YInterval != (stats.Interval{}); known != (i == 499) ||
			known != (s.Points[3].XInterval != (stats.Interval{})) {
			t.Errorf("of %d models the intervals are known: %v", i+1, known)
		}
	}
}

// The interval of a mean is of 2,000 draws of networks with the seed 1; of one or two networks there is none.
func TestMeansOfTypesHaveABootstrap(t *testing.T) {
	r := NewResults()
	for i, m := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		for k, condition := range []string{"x", "y"} {
			if err := r.Add(Cell{m, condition, of(100+30*i+k*i*i, 500)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.SetKind(m, ModelInfo{Type: []string{"one", "one", "one", "one", "two", "two", "two"}[i],
			Weights: []string{"", "w", "w", "", "", "v", "v"}[i]}); err != nil {
			t.Fatal(err)
		}
	}
	fit := ok[stats.AccuracyFit](t)(r.Fit(stats.Linear, "x", "y", nil))
	effective := map[string]float64{}
	for _, e := range ok[[]Robustness](t)(r.Effective(fit, "x", "y")) {
		effective[e.Model] = e.Effective
	}
	types := ok[[]TypeRobustness](t)(r.EffectiveByType(fit, "x", "y", 0.1))
	if len(types) != 2 || types[0].Mean < types[1].Mean {
		t.Fatalf("%+v", types)
	}
	for _, k := range types {
		models := map[string][]string{"one": {"a", "b", "c", "d"}, "two": {"e", "f", "g"}}[k.Type]
		var sum float64
		low, high := math.Inf(1), math.Inf(-1)
		for _, m := range models {
			sum, low, high = sum+effective[m], min(low, effective[m]), max(high, effective[m])
		}
		if !approx.Equal(k.Mean, sum/float64(len(models)), 1e-9) || k.Low != low || k.High != high ||
			k.Models != len(models) {
			t.Errorf("%+v", k)
		}
		if k.Type == "two" && (k.Weights != 2 || k.Interval != stats.Interval{Low: k.Mean, High: k.Mean}) {
			t.Errorf("of two networks: %+v", k)
		}
		if k.Type != "one" {
			continue
		}
		// Networks come in the order of their best models.
		networks := [][]string{{"a"}, {"b", "c"}, {"d"}}
		best := func(names []string) (most float64) {
			most = math.Inf(-1)
			for _, m := range names {
				most = max(most, effective[m])
			}
			return most
		}
		slices.SortFunc(networks, func(a, b []string) int {
			if best(a) > best(b) {
				return -1
			}
			return 1
		})
		want := ok[stats.Interval](t)(stats.Bootstrap(3, 2000, 0.1, 1, func(sample []int) float64 {
			var sum, n float64
			for _, i := range sample {
				for _, m := range networks[i] {
					sum, n = sum+effective[m], n+1
				}
			}
			return sum / n
		}))
		if k.Weights != 3 || !approx.Equal(k.Interval.Low, want.Low, 1e-9) ||
			!approx.Equal(k.Interval.High, want.High, 1e-9) {
			t.Errorf("of three networks: %+v, want %v", k, want)
		}
	}
}

// A database with one table is another program's as well, and one without any becomes a testbed.
func TestOneTableIsAnotherProgramsDatabase(t *testing.T) {
	for _, tables := range []int{0, 1} {
		path := filepath.Join(t.TempDir(), "x.db")
		db := ok[*sql.DB](t)(sql.Open("sqlite", path))
		for range tables {
			if _, err := db.Exec("CREATE TABLE t (a INTEGER)"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Exec("PRAGMA user_version = 3"); err != nil {
			t.Fatal(err)
		}
		db.Close()
		tb, err := NewTestbed(path)
		if (err == nil) != (tables == 0) || err != nil && !strings.Contains(err.Error(), "another program's") {
			t.Errorf("with %d tables: %v", tables, err)
		}
		if err == nil {
			tb.Close()
		}
	}
}

// Without a name it is all corruptions, each at five severities beside none.
func TestASweepIsOfAllCorruptions(t *testing.T) {
	testenv.Asset(t, "imagenet-c-frost")
	s := ok[*Sweep](t)(CorruptionSweep(brightOrDark(t), tensors.FromFlatDataAndDimensions(make([]float32, 8*8*3), 1, 8, 8,
		3), []int{0}, 0))
	var names []string
	for _, c := range perturb.Corruptions() {
		names = append(names, c.Name)
	}
	if !slices.Equal(s.Corruptions, names) || len(names) < 15 {
		t.Errorf("%v", s.Corruptions)
	}
	for c, all := range s.Accuracy {
		if len(all) != 6 || len(s.Confidence[c]) != 6 || all[0] != of(1, 1) {
			t.Errorf("%s: %v", names[c], all)
		}
	}
	lines := ok[display.Lines](t)(s.Plot())
	if !slices.Equal(lines.Series[0].X, []float64{0, 1, 2, 3, 4, 5}) || lines.Series[0].Y[0] != 1 ||
		!approx.Equal(lines.Series[0].Low[0], 0.025, 1e-6) || lines.Series[0].High[0] != 1 || lines.YMin != 0 ||
		lines.YMax != 1 || lines.Title != "Accuracy of bright on 1 image under corruption" {
		t.Errorf("%+v", lines.Series[0])
	}
}

// A testbed's file says what it is, "loup", where SQLite keeps an application's number:
// https://sqlite.org/fileformat.html, section 1.3. Its transactions go through one connection, since each takes the
// lock at its start.
func TestATestbedsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	tb := ok[*Testbed](t)(NewTestbed(path))
	if n := tb.db.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections", n)
	}
	if err := tb.Close(); err != nil {
		t.Fatal(err)
	}
	if raw := ok[[]byte](t)(os.ReadFile(path)); string(raw[68:72]) != "loup" {
		t.Errorf("it is %q", raw[68:72])
	}
}

// Of equal logits the condition's first class is the likeliest.
func TestTheFirstOfEqualClassesIsPredicted(t *testing.T) {
	m := ok[*model.Model](t)(model.FromFunc(model.Spec{Name: "undecided", Height: 8, Width: 8, Channels: 3},
		func(x *graph.Node) *graph.Node {
			return graph.MulScalar(graph.ReduceMean(x, 1, 2), 0)
		}))
	ds := grey(t, 5, []int{2, 2, 1, 0, 2})
	tb := newTestbed(t)
	for name, c := range map[string]struct {
		classes []int
		want    stats.Accuracy
	}{"2, 1": {[]int{2, 1}, of(3, 4)}, "1, 2": {[]int{1, 2}, of(1, 4)}, "1, 0, 2": {[]int{1, 0, 2}, of(1, 5)}} {
		r := ok[*Results](t)(tb.Run([]*model.Model{m}, Condition{Name: name, Data: ds, Classes: c.classes}))
		if cell, _ := r.Cell("undecided", name); cell.Accuracy != c.want {
			t.Errorf("%s: %v, want %v", name, cell.Accuracy, c.want)
		}
	}
}

// An error of a table says in which row it is, counted as a spreadsheet does.
func TestRowsOfTablesAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range timmFiles {
		text := "model,img_size,top1\na.tv_in1k,224,60.000\nb.mine,32,40.000\n"
		if i == 0 {
			text = "model,img_size,top1\na.tv_in1k,\"1,024\",50.000\nb.mine,32,x\n"
		}
		write(f.file, text)
	}
	if _, err := ReadTimm(dir); err == nil || !strings.Contains(err.Error(), timmFiles[0].file+
		", row 3: \"x\" is not a number") {
		t.Errorf("%v", err)
	}
	write(timmFiles[0].file, "model,img_size,top1\na.tv_in1k,224,60.000\nb.mine,32,40.000\n")
	r, err := ReadTimm(dir)
	if err != nil || len(r.Models()) != 2 || len(r.Conditions()) != 7 ||
		r.Kind("a.tv_in1k@224") != (ModelInfo{Type: ImageNet1k, Weights: "a.tv_in1k"}) ||
		r.Kind("b.mine@32").Type != UnknownData {
		t.Fatalf("%v: %v", r, err)
	}
	if c, _ := r.Cell("b.mine@32", "imagenet-real"); c.Accuracy.Total != 46837 || c.Accuracy.Correct != 18735 {
		t.Errorf("%v", c)
	}
	write("top1s.csv", "model,val,imagenet-a\nm,50.0,10.0\n")
	write("types.csv", "model,type\nm,STANDARD\nother,LP_ADV\n")
	r, err = ReadTestbed(filepath.Join(dir, "top1s.csv"), filepath.Join(dir, "types.csv"))
	if err != nil || r.Kind("m").Type != Standard || !r.TestbedFit("m") || r.TestbedFit("other") {
		t.Errorf("%v: %v", r, err)
	}
	if c, _ := r.Cell("m", "imagenet-a"); c.Accuracy != of(750, 7500) {
		t.Errorf("%v", c)
	}
	write("types.csv", "model,type\nother,LP_ADV\n")
	if _, err := ReadTestbed(filepath.Join(dir, "top1s.csv"), filepath.Join(dir, "types.csv")); err == nil ||
		!strings.Contains(err.Error(), "has no type for m") {
		t.Errorf("%v", err)
	}
	standard := NewResults()
	for _, m := range []string{"resnet50", "resnet50_aws_baseline", "resnet50_batch64",
		"resnet50_imagenet_subsample_1_of_2"} {
		if err := standard.Add(Cell{m, "val", of(1, 2)}); err != nil {
			t.Fatal(err)
		}
		if err := standard.SetKind(m, ModelInfo{Type: Standard}); err != nil {
			t.Fatal(err)
		}
		if got := standard.TestbedFit(m); got != (m == "resnet50") {
			t.Errorf("the fit rests on %s: %v", m, got)
		}
	}
}
