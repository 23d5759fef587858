package spurious

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// compared is the oracle's four models on its rankings, one for each of the two most important features of each class.
func compared(t *testing.T) (Examples, *Comparison) {
	t.Helper()
	_, e := cifar(t)
	pairs := golden[int64](t, "pairs")
	var rankings []*Ranking
	for i := 0; i < len(pairs); i += 2 {
		r, err := Rank(e, int(pairs[i]), []int{int(pairs[i+1])})
		if err != nil {
			t.Fatal(err)
		}
		rankings = append(rankings, r)
	}
	var models []*model.Answers
	all := golden[int64](t, "predictions")
	for i, name := range []string{"ResNet-20", "logistic regression", "1-NN", "40-NN"} {
		var classes []int
		for _, k := range all[500*i : 500*(i+1)] {
			classes = append(classes, int(k))
		}
		models = append(models, model.AnswersFromClasses(name, classes))
	}
	c, err := Compare(e, rankings, 15, models...)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// Biases are by the authors' measure_bias, the rest by NumPy: bench/oracles/spurious.py.
func TestModelsAreComparedAsTheAuthorsDo(t *testing.T) {
	_, c := compared(t)
	if off := worst(c.Gaps().RawMatrix().Data, golden[float64](t, "biases")); !(off <= 1e-12) {
		t.Errorf("biases are off by %g", off)
	}
	var r mat.Dense
	r.CloneFrom(c.Correlations())
	if off := worst(r.RawMatrix().Data, golden[float64](t, "correlations")); !(off <= 1e-12) {
		t.Errorf("correlations are off by %g", off)
	}
	spread, err := c.Spread()
	if want := golden[float64](t, "spread")[0]; err != nil || !approx.Equal(spread, want, 1e-9) {
		t.Errorf("the spread is %g, %v, want %g", spread, err, want)
	}
	robust, err := c.EffectiveRobustness()
	if err != nil || !(worst(robust, golden[float64](t, "effective_robustness")) <= 1e-9) {
		t.Errorf("effective robustness is %v, %v", robust, err)
	}
	mean, of, err := c.MeanCorrelation(0.05)
	want := golden[float64](t, "correlations")
	if err != nil || !approx.Equal(mean, (want[1]+want[2]+want[3]+want[6]+want[7]+want[11])/6, 1e-12) {
		t.Errorf("the mean correlation is %g, %v", mean, err)
	}
	if !(of.Low < mean && mean < of.High && of.High-of.Low < 0.8) {
		t.Errorf("the mean correlation %g lies in %v", mean, of)
	}
	for i := range c.Models {
		gap, of, err := c.Gap(i, 0.05)
		whole, err2 := SpuriousGap(compared2(t, i), c.Rankings, 15)
		if err != nil || err2 != nil || !approx.Equal(gap, whole, 1e-9) || !(of.Low <= gap && gap <= of.High) {
			t.Errorf("the gap of %s is %g in %v, and by itself %g: %v %v", c.Models[i], gap, of, whole, err, err2)
		}
	}
	against, err := c.Against(0)
	if err != nil || len(against.Xs) != 60 || against.Xs[0] != c.Gaps().At(0, 0) || against.Ys[20] != c.Gaps().At(2, 0) ||
		len(against.Names) != 3 {
		t.Errorf("the plot of models against one has %d points, %v", len(against.Xs), err)
	}
	if p := c.Ends(); len(p.Xs) != 4 || !(p.Xs[0] > p.Ys[0]) {
		t.Errorf("the plot of both ends has the points %v, %v", p.Xs, p.Ys)
	}
}

func compared2(t *testing.T, model int) []int {
	var out []int
	for _, k := range golden[int64](t, "predictions")[500*model : 500*(model+1)] {
		out = append(out, int(k))
	}
	return out
}

// The gap of a ranking by two features, by the authors' SpuriousGap.
func TestSpuriousGapAgreesWithTheAuthors(t *testing.T) {
	head, e := cifar(t)
	important := golden[int64](t, "important")
	var rankings []*Ranking
	for _, k := range []int{3, 8} {
		r, err := Rank(e, k, []int{int(important[64*k]), int(important[64*k+1])})
		if err != nil {
			t.Fatal(err)
		}
		rankings = append(rankings, r)
	}
	gap, err := SpuriousGap(Predict(head, e.Features), rankings, 15)
	if want := golden[float64](t, "spurious_gap")[0]; err != nil || !approx.Equal(gap, want, 1e-9) || want == 0 {
		t.Errorf("the gap is %g, %v, want %g", gap, err, want)
	}
}

// By scikit-learn.
func TestReliability(t *testing.T) {
	_, e := cifar(t)
	auc, ap := golden[float64](t, "reliability_auc"), golden[float64](t, "reliability_ap")
	for j := range 64 {
		s, err := Reliability(e, 3, j)
		if err != nil || !approx.Equal(s.AUC, auc[j], 1e-12) || !approx.Equal(s.AP, ap[j], 1e-12) {
			t.Errorf("the reliability of feature %d is %+v, %v, want %g and %g", j, s, err, auc[j], ap[j])
		}
	}
}

func TestMistakes(t *testing.T) {
	r := &Ranking{Class: 2, Images: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	got, err := r.MistakenFor([]int{9, 9, 9, 9, 2, 5, 1, 5}, 4)
	if err != nil || !slices.Equal(got, []Mistake{{5, 2}, {1, 1}}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBadComparisons(t *testing.T) {
	e, c := compared(t)
	good := compared2(t, 0)
	two, err := Compare(e, c.Rankings[:4], 15, model.AnswersFromClasses("a", good),
		model.AnswersFromClasses("b", compared2(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	one := Examples{Features: mat.NewDense(2, 1, []float64{1, 2}), Labels: []int{0, 0}}
	nan := Examples{Features: mat.NewDense(2, 1, []float64{1, math.NaN()}), Labels: []int{0, 0}}
	for want, do := range map[string]func() error{
		"499 predictions for 500": func() error {
			_, err := Compare(e, c.Rankings, 15, model.AnswersFromClasses("short", good[:499]))
			return err
		},
		"short: ": func() error {
			_, err := Compare(e, c.Rankings, 15,
				model.AnswersFromClasses("short", nil))
			return err
		},
		"0 models on 20": func() error { _, err := Compare(e, c.Rankings, 15); return err },
		"1 models on 0": func() error {
			_, err := Compare(e, nil, 15,
				model.AnswersFromClasses("a", good))
			return err
		},
		"class 0 has 50 images": func() error {
			_, err := Compare(e, c.Rankings, 26,
				model.AnswersFromClasses("a", good))
			return err
		},
		"the 0 least":          func() error { _, err := SpuriousGap(good, c.Rankings, 0); return err },
		"at least one ranking": func() error { _, err := SpuriousGap(good, nil, 5); return err },
		"is ranked":            func() error { _, err := SpuriousGap(good[:10], c.Rankings, 5); return err },
		"takes two models": func() error {
			_, _, err := (&Comparison{Models: []string{"a"}}).MeanCorrelation(
				0.05)
			return err
		},
		"takes three of them":    func() error { _, _, err := two.MeanCorrelation(0.05); return err },
		"it takes three or more": func() error { _, err := two.EffectiveRobustness(); return err },
		"no model 4":             func() error { _, _, err := c.Gap(4, 0.05); return err },
		"model -1 against":       func() error { _, err := c.Against(-1); return err },
		"from 1 to 50":           func() error { _, err := FeatureBias(good, e, 3, 0, 51); return err },
		"500 examples":           func() error { _, err := FeatureBias(good[:3], e, 3, 0, 5); return err },
		"feature 64 does not":    func() error { _, err := Reliability(e, 3, 64); return err },
		"no image of class 77":   func() error { _, err := Reliability(e, 77, 0); return err },
		"all 2 images are of":    func() error { _, err := Reliability(one, 0, 0); return err },
		"image 1 is NaN":         func() error { _, err := Reliability(nan, 0, 0); return err },
		"at least one spurious":  func() error { _, err := Rank(e, 3, nil); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// pixelsOf brings features into the range of pixels.
func pixelsOf(features *mat.Dense) *mat.Dense {
	var out mat.Dense
	out.Scale(1/mat.Max(features), features)
	return &out
}

// Interrupted, comparison has the models that are done, tuning the head so far and a sheet the components that are
// done.
func TestInterrupted(t *testing.T) {
	head, e := cifar(t)
	m := headModel(t, head)
	ds, err := data.FromTensor(imagesOf(pixelsOf(e.Features)), e.Labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	partial := 0
	for questions := 0; questions < 1000; questions += 5 { // reading the images asks as well
		release := interrupt.Use(testenv.CancelledAfter(questions))
		done, err := PredictionsOf(ds, m, m, m)
		release()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(done) > 0 && len(done) < 3 && done[0].Len() == 500 {
			partial++
		}
	}
	if partial == 0 {
		t.Error("no interrupt came between models")
	}

	whole, err := TuneHead(head, e, Tuning{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	slow := paced.Fix(1000)
	release := interrupt.Use(testenv.CancelledAfter(6)) // two calls an epoch: the last batch is smaller
	some, err := TuneHead(head, e, Tuning{Epochs: 50})
	release()
	if !errors.Is(err, context.Canceled) || some == nil || !mat.Equal(some.Weights, whole.Weights) {
		t.Errorf("tuning interrupted after three epochs gives other weights than three epochs: %v", err)
	}
	slow()
	one := paced.Fix(1)
	again, err := TuneHead(head, e, Tuning{Epochs: 3})
	if one(); err != nil || !mat.Equal(again.Weights, whole.Weights) {
		t.Errorf("with one batch a call the weights are others: %v", err)
	}

	pictures, err := model.FromFunc(model.Spec{Name: "pooled", Height: 4, Width: 4, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			f := b.Features(graph.ReduceMean(x, 1))
			return graph.Einsum("nwc,kwc->nk", f,
				graph.OnesLike(graph.Const(x.Graph(), tensors.FromScalarAndDimensions(float32(1), 2, 4, 3))))
		})
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions(make([]float32, 6*48), 6, 4, 4, 3)
	tensors.MustMutableFlatData(images, func(flat []float32) {
		for i := range flat {
			flat[i] = float32(0.5 + 0.5*math.Sin(float64(7*i*i)))
		}
	})
	six, err := data.FromTensor(images, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ClassPCA(pictures, six, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]bool{}
	for questions := range 40 {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		sheet, err := c.Sheet(pictures, images, 3, 2, attrib.Gradient{})
		release()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(sheet.Rows) != 2*len(sheet.Labels)/2 {
			t.Errorf("a sheet of %d rows has %d labels", len(sheet.Rows), len(sheet.Labels))
		}
		rows[len(sheet.Rows)] = true
	}
	if !rows[2] || !rows[4] || !rows[6] {
		t.Errorf("interrupted sheets have rows %v", rows)
	}
	release = interrupt.Use(testenv.CancelledAfter(0))
	defer release()
	for name, do := range map[string]func() error{
		"features":   func() error { _, err := Features(m, ds); return err },
		"components": func() error { _, err := ClassPCA(m, ds, 3); return err },
		"examples":   func() error { _, err := ExamplesOf(m, ds); return err },
		"score":      func() error { _, err := SpuriousScore(m, 3, ds, ds); return err },
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s interrupted: %v", name, err)
		}
	}
}
