package evaluate

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

func read[T any](t *testing.T, name string) []T {
	return oracle.Read[T](t, "testdata/evaluate.npz", name)
}

func ints(values []int64) []int {
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = int(v)
	}
	return out
}

// of is the evaluation of one of the oracle's classifiers.
func of(t *testing.T, which string) *Evaluation {
	t.Helper()
	labels := ints(read[int64](t, "labels"))
	flat := read[float32](t, which)
	a, err := model.AnswersFromProbabilities(which, tensors.FromFlatDataAndDimensions(flat, len(labels),
		len(flat)/len(labels)), labels)
	if err != nil {
		t.Fatal(err)
	}
	e, err := FromAnswers(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Sums are in double precision here and there.
const tolerance = 1e-12

// The figures of an evaluation are scikit-learn's, label issues cleanlab's.
func TestFiguresAgreeWithScikitLearnAndCleanlab(t *testing.T) {
	e := of(t, "first")
	near := func(what string, got, want float64) {
		t.Helper()
		if !approx.Equal(got, want, tolerance) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	accuracy, err := e.Accuracy()
	if err != nil {
		t.Fatal(err)
	}
	near("accuracy", accuracy.Share(), read[float64](t, "accuracy")[0])
	near("top-5 accuracy", accuracy.Top5.Share(), read[float64](t, "top5")[0])
	near("balanced accuracy", accuracy.Balanced, read[float64](t, "balanced")[0])

	classes, err := e.PerClass()
	if err != nil {
		t.Fatal(err)
	}
	precision, recall, f1 := read[float64](t, "precision"), read[float64](t, "recall"), read[float64](t, "f1")
	near3 := func(what string, got, want float64) { // both NaN where it is not defined
		t.Helper()
		if !(math.IsNaN(got) && math.IsNaN(want)) {
			near(what, got, want)
		}
	}
	for _, c := range classes.Classes {
		near3(c.Name+": precision", c.Precision, precision[c.Class])
		near3(c.Name+": recall", c.Recall, recall[c.Class])
		near3(c.Name+": F1", c.F1, f1[c.Class])
	}
	macro := read[float64](t, "macro")
	near("macro precision", classes.MacroPrecision, macro[0])
	near("macro recall", classes.MacroRecall, macro[1])
	near("macro F1", classes.MacroF1, macro[2])

	confusion, err := e.Confusion()
	if err != nil {
		t.Fatal(err)
	}
	matrix, err := confusion.Matrix()
	if err != nil || !slices.Equal(slices.Concat(matrix...), ints(read[int64](t, "confusion"))) {
		t.Errorf("the confusion is %v, %v", matrix, err)
	}

	issues, err := of(t, "untied").LabelIssues()
	if err != nil || !slices.Equal(issues.Index, ints(read[int64](t, "issues"))) {
		t.Errorf("label issues %v, %v", issues, err)
	}
}

func TestCurvesAgreeWithScikitLearn(t *testing.T) {
	e := of(t, "first")
	for _, c := range []struct {
		areas, macro string
		ask          func(classes ...int) (*Curves, error)
	}{{"roc_areas", "roc_macro", e.ROC}, {"ap_areas", "ap_macro", e.PrecisionRecall}} {
		curves, err := c.ask()
		if err != nil {
			t.Fatal(err)
		}
		var areas []float64
		for i, a := range curves.Areas {
			if a.Class != i || a.Images+a.Others != 500 {
				t.Errorf("%s: place %d has %+v", c.areas, i, a)
			}
			areas = append(areas, a.Area)
		}
		if err := approx.All(areas, read[float64](t, c.areas), tolerance); err != nil {
			t.Errorf("%s: %v", c.areas, err)
		}
		if want := read[float64](t, c.macro)[0]; !approx.Equal(curves.Macro, want, tolerance) {
			t.Errorf("%s is %v, want %v", c.macro, curves.Macro, want)
		}
		one, err := c.ask(9)
		if err != nil || len(one.Areas) != 1 || one.Areas[0] != curves.Areas[9] || one.Macro != curves.Areas[9].Area {
			t.Errorf("%s of one class: %+v, %v", c.areas, one, err)
		}
	}
	curves, err := e.ROC(3, 9)
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []int{3, 9} {
		points, err := curves.Points(class)
		if err != nil {
			t.Fatal(err)
		}
		for name, of := range map[string]func(p stats.CurvePoint) float64{
			"fpr": func(p stats.CurvePoint) float64 { return p.FalsePositives },
			"tpr": func(p stats.CurvePoint) float64 { return p.Recall },
		} {
			var got []float64
			for _, p := range points {
				got = append(got, of(p))
			}
			if err := approx.All(got, read[float64](t, fmt.Sprint(name, class)), tolerance); err != nil {
				t.Errorf("%s of class %d: %v", name, class, err)
			}
		}
		// Its curve of precision and recall ends where all positives are found, the threshold lowest.
		for name, of := range map[string]func(p stats.CurvePoint) float64{
			"pr_precision":  func(p stats.CurvePoint) float64 { return p.Precision },
			"pr_recall":     func(p stats.CurvePoint) float64 { return p.Recall },
			"pr_thresholds": func(p stats.CurvePoint) float64 { return p.Threshold },
		} {
			var got []float64
			for _, p := range points {
				got = append(got, of(p))
			}
			if err := approx.All(got, read[float64](t, fmt.Sprint(name, class)), tolerance); err != nil {
				t.Errorf("%s of class %d: %v", name, class, err)
			}
		}
	}
}

// pictures are images whose first pixels a network of pixels says as logits. They count how often they are read.
type pictures struct {
	rows    [][]float32
	labels  []int
	classes []string
	read    []int
	most    int
}

func (d *pictures) Len() int          { return len(d.rows) }
func (d *pictures) Labels() []int     { return d.labels }
func (d *pictures) Classes() []string { return d.classes }
func (d *pictures) Title() string     { return "pictures" }
func (d *pictures) Name(i int) string { return fmt.Sprintf("folder/%d.png", i) }
func (d *pictures) Images(indices ...int) (*tensors.Tensor, error) {
	if d.read == nil {
		d.read = make([]int, len(d.rows))
	}
	d.most = max(d.most, len(indices))
	flat := make([]float32, 0, 16*len(indices))
	for _, i := range indices {
		d.read[i]++
		flat = append(flat, append(slices.Clone(d.rows[i]), make([]float32, 16)...)[:16]...)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(indices), 4, 4, 1), nil
}

// pixels is a network whose k logits are ten times the first pixels; one above 0.95 is not a number.
func pixels(t *testing.T, k int, activation model.Activation) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "pixels", Height: 4, Width: 4, Channels: 1, Activation: activation},
		func(x *graph.Node) *graph.Node {
			z := graph.Slice(graph.Reshape(x, -1, 16), graph.AxisRange(), graph.AxisRange(0, k))
			bad := graph.GreaterThan(z, graph.Const(x.Graph(), float32(0.95)))
			return graph.Where(bad, graph.Const(x.Graph(), float32(math.NaN())), graph.MulScalar(z, 10))
		})
	if err != nil {
		t.Fatal(err)
	}
	m.BatchSize = 4
	return m
}

// ten are pictures of two classes of three; 3 and 8 are taken for another one, of which 8 the surer.
func ten() *pictures {
	return &pictures{
		rows: [][]float32{{.9, .1, 0}, {.8, .1, 0}, {.7, .1, 0}, {.2, .4, 0}, {.6, .5, 0}, {.1, .9, 0}, {.1, .8, 0},
			{0, .7, .1}, {.9, .1, 0}, {.2, .3, .1}},
		labels: []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, classes: []string{"hen", "owl", "kea"},
	}
}

// All is asked of one pass, and pictures are read again only where they are shown.
func TestOnePass(t *testing.T) {
	d := ten()
	m := pixels(t, 3, model.Softmax)
	e, err := Of(m, d)
	if err != nil {
		t.Fatal(err)
	}
	once := make([]int, 10)
	for i := range once {
		once[i] = 1
	}
	if !slices.Equal(d.read, once) || d.most > 4 {
		t.Fatalf("images were read %v times, %d at once", d.read, d.most)
	}
	before := model.Compilations()
	var mistakes *Images
	for what, ask := range map[string]func() (mime.Bundle, error){
		"accuracy":    func() (mime.Bundle, error) { v, err := e.Accuracy(); return v.Bundle(), err },
		"per class":   func() (mime.Bundle, error) { v, err := e.PerClass(); return v.Bundle(), err },
		"confusion":   func() (mime.Bundle, error) { v, err := e.Confusion(); return v.Bundle(), err },
		"ROC":         func() (mime.Bundle, error) { v, err := e.ROC(); return v.Bundle(), err },
		"PR":          func() (mime.Bundle, error) { v, err := e.PrecisionRecall(0); return v.Bundle(), err },
		"calibration": func() (mime.Bundle, error) { v, err := e.Calibration(); return v.Bundle(), err },
		"summary":     func() (mime.Bundle, error) { return e.Bundle(), nil },
		"issues":      func() (mime.Bundle, error) { v, err := e.LabelIssues(); return mime.TextOf(v.String()), err },
		"unlike":      func() (mime.Bundle, error) { v, err := e.Unlike(3); return mime.TextOf(v.String()), err },
		"mistakes": func() (b mime.Bundle, err error) {
			mistakes, err = e.Mistakes(5)
			return mime.TextOf(mistakes.String()), err
		},
	} {
		b, err := ask()
		if err != nil || b.Data[mime.Text] == "" {
			t.Errorf("%s: %v, %v", what, b.Data[mime.Text], err)
		}
	}
	if !slices.Equal(d.read, once) || model.Compilations() != before {
		t.Errorf("questions read images, %v times, or compile", d.read)
	}
	if !slices.Equal(mistakes.Index, []int{8, 3}) {
		t.Errorf("the mistakes are %v, want the surest first", mistakes.Index)
	}
	g, err := mistakes.Grid()
	if err != nil || len(g.Rows) != 1 || !strings.HasPrefix(g.Rows[0][0].Title, "8.png\nhen 100.0%") ||
		!strings.Contains(g.Rows[0][0].Title, "label owl 0.0") {
		t.Errorf("the grid is %+v, %v", g, err)
	}
	once[8], once[3] = 2, 2
	if !slices.Equal(d.read, once) {
		t.Errorf("the pictures of two mistakes are shown, and images were read %v times", d.read)
	}
	unlike, err := e.Unlike(2)
	if err != nil || !slices.Equal(unlike.Index, []int{9, 3}) {
		t.Errorf("most unlike are %v, %v: want those of the lowest logits", unlike, err)
	}
	byEntropy, err := e.Unlike(2, ood.Entropy{})
	if err != nil || !slices.Equal(byEntropy.Index, []int{9, 4}) {
		t.Errorf("by entropy it is %v, %v", byEntropy, err)
	}
}

func TestSummary(t *testing.T) {
	e, err := Of(pixels(t, 3, model.Softmax), ten())
	if err != nil {
		t.Fatal(err)
	}
	text := e.Bundle().Data[mime.Text]
	for _, want := range []string{"pixels on pictures", "10 images, 10 with a label, 3 classes", "80.0% (44.4 to 97.5)",
		"expected calibration error", "owl", "Confused most", "Next: Accuracy() "} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, text)
		}
	}
	if class, err := e.Class("owl"); class != 1 || err != nil {
		t.Errorf("owl is %d, %v", class, err)
	}
}

// What cannot be asked is said in one sentence, and everything else is answered.
func TestBadInput(t *testing.T) {
	questions := func(e *Evaluation) map[string]error {
		said := map[string]error{}
		_, said["Accuracy"] = e.Accuracy()
		_, said["PerClass"] = e.PerClass()
		_, said["Confusion"] = e.Confusion()
		_, said["ROC"] = e.ROC()
		_, said["PrecisionRecall"] = e.PrecisionRecall()
		_, said["Calibration"] = e.Calibration()
		_, said["Mistakes"] = e.Mistakes(3)
		_, said["LabelIssues"] = e.LabelIssues()
		_, said["Unlike"] = e.Unlike(3)
		return said
	}
	all := []string{"Accuracy", "Calibration", "Confusion", "LabelIssues", "Mistakes", "PerClass",
		"PrecisionRecall", "ROC"}
	answersOf := func(m *model.Model, d model.Dataset) *Evaluation {
		t.Helper()
		e, err := Of(m, d)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	soft := pixels(t, 3, model.Softmax)
	unlabelled, one, oneClass := ten(), ten(), ten()
	unlabelled.labels = slices.Repeat([]int{-1}, 10)
	one.rows, one.labels = one.rows[:1], one.labels[:1]
	oneClass.rows, oneClass.labels = oneClass.rows[:5], oneClass.labels[:5]
	classesAlone, err := FromAnswers(withLabels(model.AnswersFromClasses("people", []int{0, 1, 1}), 0, 1, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	binary := &pictures{rows: [][]float32{{.5}, {.6}, {0}}, labels: []int{1, 0, 0}}
	for name, c := range map[string]struct {
		e       *Evaluation
		refused []string
		says    string
	}{
		"no labels":          {answersOf(soft, unlabelled), all, "none of the 10 images has a label"},
		"one image":          {answersOf(soft, one), []string{"PrecisionRecall", "ROC"}, "there is no label but hen"},
		"one class":          {answersOf(soft, oneClass), []string{"PrecisionRecall", "ROC"}, "there is no label but hen"},
		"a sigmoid for each": {answersOf(pixels(t, 3, model.Sigmoid), ten()), []string{"Calibration", "Unlike"}, ""},
		"one output":         {answersOf(pixels(t, 1, model.Sigmoid), binary), nil, ""},
		"classes and no scores": {classesAlone, []string{"Calibration", "LabelIssues", "Mistakes", "PrecisionRecall", "ROC",
			"Unlike"}, "not known"},
		"nothing": {&Evaluation{}, append(slices.Clone(all), "Unlike"), "this evaluation is empty"},
	} {
		var refused []string
		for question, err := range questions(c.e) {
			if err == nil {
				continue
			}
			refused = append(refused, question)
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %s says %q, want %q in it", name, question, err, c.says)
			}
		}
		slices.Sort(refused)
		slices.Sort(c.refused)
		if !slices.Equal(refused, c.refused) {
			t.Errorf("%s: %v are refused, want %v", name, refused, c.refused)
		}
		if text := c.e.Bundle().Data[mime.Text]; text == "" {
			t.Errorf("%s: the summary is empty", name)
		}
	}
	// What the whole is refused for.
	others := ten()
	others.classes = []string{"cat", "dog", "cow"}
	named, err := model.FromFunc(model.Spec{Name: "birds", Height: 4, Width: 4, Channels: 1,
		Classes: []string{"hen", "owl", "kea"}}, func(x *graph.Node) *graph.Node {
		return graph.Slice(graph.Reshape(x, -1, 16), graph.AxisRange(), graph.AxisRange(0, 3))
	})
	if err != nil {
		t.Fatal(err)
	}
	nothing := &pictures{rows: [][]float32{{1, 0, 0}}, labels: []int{0}}
	for want, do := range map[string]func() (*Evaluation, error){
		"are no classes":  func() (*Evaluation, error) { return Of(named, others) },
		"empty":           func() (*Evaluation, error) { return Of(soft, &pictures{}) },
		"is not a number": func() (*Evaluation, error) { return Of(soft, nothing) },
		"nil":             func() (*Evaluation, error) { return Of(soft, nil) },
		"they are nil":    func() (*Evaluation, error) { return FromAnswers(nil, nil) },
		"answered about no image": func() (*Evaluation, error) {
			return FromAnswers(model.AnswersFromClasses("people", nil),
				nil)
		},
		"the dataset has 1": func() (*Evaluation, error) {
			return FromAnswers(model.AnswersFromClasses("people", []int{0, 1}), nothing)
		},
		"3 labels for 2 images": func() (*Evaluation, error) {
			return FromAnswers(withLabels(model.AnswersFromClasses("people", []int{0, 1}), 0, 1, 1), nil)
		},
		"has the label -2": func() (*Evaluation, error) {
			return FromAnswers(withLabels(model.AnswersFromClasses("people", []int{0, 1}), 0, -2), nil)
		},
		"people has one class": func() (*Evaluation, error) {
			return FromAnswers(model.AnswersFromClasses("people", []int{0, 0}), nil)
		},
		"has no class \"auk\"":   func() (*Evaluation, error) { _, err := classesAlone.Class("auk"); return nil, err },
		"0 mistakes":             func() (*Evaluation, error) { _, err := classesAlone.Mistakes(0); return nil, err },
		"class 2, kea: 0 of 10":  func() (*Evaluation, error) { _, err := answersOf(soft, ten()).ROC(2); return nil, err },
		"class 3 does not exist": func() (*Evaluation, error) { _, err := answersOf(soft, ten()).ROC(3); return nil, err },
		"2 scores": func() (*Evaluation, error) {
			_, err := answersOf(soft, ten()).Unlike(1, ood.Entropy{}, ood.Energy{})
			return nil, err
		},
		"there is no score": func() (*Evaluation, error) {
			_, err := answersOf(soft, ten()).Unlike(1, nil)
			return nil,
				err
		},
		"pictures are not at hand": func() (*Evaluation, error) {
			v, _ := of(t, "first").Mistakes(2)
			_,
				err := v.Grid()
			return nil, err
		},
	} {
		if e, err := do(); err == nil || e != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want an error that says %q", e, err, want)
		}
	}
}

// Where only predicted classes are known, a label may be a class that is never predicted.
func TestLabelsBeyondThePredictedClasses(t *testing.T) {
	e, err := FromAnswers(withLabels(model.AnswersFromClasses("people", []int{0, 1, 1}), 0, 3, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := e.PerClass()
	if err != nil || len(classes.Classes) != 3 || classes.Classes[2].Class != 3 || classes.Classes[2].Recall != 0 ||
		!math.IsNaN(classes.Classes[2].Precision) {
		t.Errorf("%+v, %v", classes, err)
	}
	confusion, err := e.Confusion()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := confusion.Matrix(); err != nil || len(m) != 4 || m[3][1] != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

func withLabels(a *model.Answers, labels ...int) *model.Answers {
	a.Labels = labels
	return a
}

// Images of which the network says what is no number are left out, and the evaluation says so.
func TestAnswersThatAreNoNumbers(t *testing.T) {
	d := ten()
	d.rows[2] = []float32{1, 0, 0}
	d.labels[5] = -1
	e, err := Of(pixels(t, 3, model.Softmax), d)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, err := e.Accuracy()
	if err != nil || accuracy.Top1 != (stats.Accuracy{Correct: 6, Total: 8}) || !slices.Equal(e.LeftOut(), []int{2}) {
		t.Errorf("accuracy %v, %v, left out %v", accuracy, err, e.LeftOut())
	}
	mistakes, err := e.Mistakes(9)
	if err != nil || !slices.Equal(mistakes.Index, []int{8, 3}) ||
		!slices.Equal(mistakes.Files(), []string{"folder/8.png", "folder/3.png"}) {
		t.Errorf("mistakes %v, %v", mistakes, err)
	}
	text := e.Bundle().Data[mime.Text]
	for _, want := range []string{"1 of 10 images are left out", "folder/2.png", "1 of 9 images have no label"} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, text)
		}
	}
}

// Interrupted, an evaluation is of the images that are done, and says of how many.
func TestInterrupted(t *testing.T) {
	d, m := ten(), pixels(t, 3, model.Softmax)
	var last *Evaluation
	testenv.Interrupt(t, func() (*Evaluation, error) { return Of(m, d) }, func(part *Evaluation) int {
		if part == nil {
			return 0
		}
		last = part
		return part.Answers.Len()
	})
	if last == nil {
		t.Fatal("nothing is left")
	}
	accuracy, err := last.Accuracy()
	if err != nil || accuracy.Top1.Total != last.Answers.Len() {
		t.Errorf("accuracy %v, %v", accuracy, err)
	}
	if text := last.Bundle().Data[mime.Text]; !strings.Contains(text, fmt.Sprintf("of the first %d of 10 images",
		last.Answers.Len())) {
		t.Errorf("the summary does not say of how many images it is:\n%s", text)
	}
}

// Of ten thousand classes nothing is made that has their square.
func TestTenThousandClasses(t *testing.T) {
	const n, k = 60, 10_000
	flat := make([]float32, n*k)
	labels := make([]int, n)
	for i := range labels {
		labels[i] = 100 * i
		predicted := labels[i]
		if i%3 == 0 {
			predicted++
		}
		flat[i*k+predicted] = 10 + float32(i)/10
		flat[i*k+labels[i]] += 5
	}
	a, err := model.AnswersFromLogits("many", tensors.FromFlatDataAndDimensions(flat, n, k), labels)
	if err != nil {
		t.Fatal(err)
	}
	e, err := FromAnswers(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	confusion, err := e.Confusion()
	if err != nil || len(confusion.Pairs()) != 20 || confusion.Pairs()[1] != (Confused{300, 301, 1, 1}) {
		t.Fatalf("%v, %v", confusion.Pairs(), err)
	}
	if plot := confusion.Plot(); len(plot.Counts) != 40 || !strings.Contains(plot.Title, "confused most, of 10000") {
		t.Errorf("the plot has %d classes: %s", len(plot.Counts), plot.Title)
	}
	if _, err := confusion.Matrix(); err == nil || !strings.Contains(err.Error(), "room for 1000 classes") {
		t.Errorf("the matrix: %v", err)
	}
	issues, err := e.LabelIssues()
	if err != nil || issues.Len() != 20 || !strings.Contains(issues.Note, "Of 10000 classes") {
		t.Errorf("issues %v, %v", issues, err)
	}
	curves, err := e.ROC()
	if err != nil || len(curves.Areas) != n {
		t.Errorf("curves %v", err)
	}
	if accuracy, err := e.Accuracy(); err != nil || accuracy.Top1.Correct != 40 || accuracy.Top5.Correct != 60 {
		t.Errorf("accuracy %v, %v", accuracy, err)
	}
}

// A detector is shown the images that the network has said numbers of, and no others.
func TestUnlikeByLeavesOutWhatIsNoNumber(t *testing.T) {
	d := &pictures{rows: [][]float32{{.9, .1, 0}, {.99, .1, 0}, {.4, .3, .3}, {.1, .8, 0}}, labels: []int{0, 0, 1, 1}}
	m := pixels(t, 3, model.Softmax)
	e, err := Of(m, d)
	if err != nil {
		t.Fatal(err)
	}
	found, err := e.UnlikeBy(4, ood.ODIN{Model: m})
	if err != nil || !slices.Equal(found.Index, []int{2, 3, 0}) {
		t.Errorf("most unlike are %v, %v", found, err)
	}
}

// An area stands with its interval, in the table and in files, and without one where that is not defined.
func TestAreasHaveIntervals(t *testing.T) {
	e := of(t, "first")
	roc, err := e.ROC()
	precision, err2 := e.PrecisionRecall()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, a := range roc.Areas {
		inside, outside, err := roc.scores(a.Class)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := stats.DeLong(inside, outside, 0.05); err != nil || a.Interval != want {
			t.Errorf("%s: the interval is %v, want %v, %v", a.Name, a.Interval, want, err)
		}
	}
	for _, a := range precision.Areas {
		if want, err := stats.AveragePrecisionInterval(a.Area, a.Images, 0.05); err != nil || a.Interval != want {
			t.Errorf("%s: the interval is %v, want %v, %v", a.Name, a.Interval, want, err)
		}
	}
	path := filepath.Join(t.TempDir(), "roc.csv")
	if err := save.Write(path, roc); err != nil {
		t.Fatal(err)
	}
	read, err := save.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := read.(table.Table)
	low, high := slices.Index(kept.Header, "area under the ROC curve low"),
		slices.Index(kept.Header, "area under the ROC curve high")
	if low < 0 || high < 0 || kept.Rows[3][low] != roc.Areas[3].Interval.Low ||
		kept.Rows[3][high] != roc.Areas[3].Interval.High {
		t.Errorf("the file has the columns %v, and %v", kept.Header, kept.Rows[3])
	}

	perfect, err := model.AnswersFromProbabilities("m", tensors.FromValue([][]float32{{0.9, 0.1}, {0.8, 0.2}, {0.1, 0.9}}),
		[]int{0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	sure, err := FromAnswers(perfect, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func(classes ...int) (*Curves, error){sure.ROC, sure.PrecisionRecall} {
		c, err := ask(0)
		if err != nil {
			t.Fatal(err)
		}
		if iv := c.Areas[0].Interval; !math.IsNaN(iv.Low) || !math.IsNaN(iv.High) || c.Areas[0].Area != 1 {
			t.Errorf("a %s of %v has the interval %v", c.name(), c.Areas[0].Area, iv)
		}
		if shown := c.Table().String(); !strings.Contains(shown, "100.0%") || strings.Contains(shown, "NaN") {
			t.Errorf("the table shows\n%s", shown)
		}
	}
}

// Every answer is saved as what it has: rows, a picture, arrays; what was saved of an evaluation is evaluated again.
func TestAnswersAreSaved(t *testing.T) {
	d := ten()
	e, err := Of(pixels(t, 3, model.Softmax), d)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ask := func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	accuracy, err := e.Accuracy()
	classes, err1 := e.PerClass()
	confusion, err2 := e.Confusion()
	roc, err3 := e.ROC()
	calibration, err4 := e.Calibration()
	mistakes, err5 := e.Mistakes(5)
	issues, err6 := e.LabelIssues()
	unlike, err7 := e.Unlike(2)
	comparison, err8 := Compare(e, e)
	for name, c := range map[string]struct {
		v        any
		suffixes string
	}{
		"evaluation": {e, ".csv .json .npz .safetensors"}, "accuracy": {ask(accuracy, err), ".csv .json .png .svg .pdf"},
		"classes":     {ask(classes, err1), ".csv .json .png .svg"},
		"confusion":   {ask(confusion, err2), ".csv .json .npy .png .svg"},
		"roc":         {ask(roc, err3), ".csv .json .npz .png .svg"},
		"calibration": {ask(calibration, err4), ".csv .json .png .svg"}, "mistakes": {ask(mistakes, err5), ".csv .json .png"},
		"issues": {ask(issues, err6), ".csv .json"},
		"unlike": {ask(unlike, err7), ".csv .json .png"}, "comparison": {ask(comparison, err8), ".csv .json .png .svg"},
	} {
		for suffix := range strings.FieldsSeq(c.suffixes) {
			if err := save.Write(filepath.Join(dir, name+suffix), c.v); err != nil {
				t.Error(err)
			}
		}
	}
	answers, err := model.ReadAnswers(filepath.Join(dir, "evaluation.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromAnswers(answers, d)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := again.Mistakes(5); err != nil || !slices.Equal(same.Index, mistakes.Index) ||
		again.String() != e.String() {
		t.Errorf("%v becomes %v, %v", e, again, err)
	}
}
