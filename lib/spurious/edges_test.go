package spurious

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Spuriosity is the mean of SciPy's zscore over two features of eleven images of a class: bench/oracles/edges.py.
func TestSpuriosityIsTheMeanOfSciPysZScores(t *testing.T) {
	const file = "testdata/edges.npz"
	e := Examples{Features: mat.NewDense(11, 3, oracle.Read[float64](t, file, "features")), Labels: make([]int, 11)}
	r, err := Rank(e, 0, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(r.Images, oracle.Read[int64](t, file, "images"), 0); err != nil {
		t.Errorf("images: %v", err)
	}
	if err := approx.All(r.Scores, oracle.Read[float64](t, file, "scores"), 1e-12); err != nil {
		t.Errorf("scores: %v", err)
	}
}

func TestAFeatureThatIsAlwaysTheSameRanksNone(t *testing.T) {
	e := Examples{Features: mat.NewDense(3, 1, []float64{2, 2, 2}), Labels: []int{0, 0, 0}}
	if _, err := Rank(e, 0, []int{0}); err == nil || !strings.Contains(err.Error(), "ranks none") {
		t.Errorf("%v", err)
	}
}

// The golden is scikit-learn's, of SciPy's softmax.
func TestSpuriousScoresAreScikitLearns(t *testing.T) {
	const file = "testdata/edges.npz"
	m, err := model.FromFunc(model.Spec{Name: "as given", Height: 1, Width: 3, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 3) })
	if err != nil {
		t.Fatal(err)
	}
	logits := oracle.Read[float32](t, file, "logits")
	set := func(from, to int) model.Dataset {
		return dataset(t, tensors.FromFlatDataAndDimensions(logits[3*from:3*to], to-from, 1, 3, 1), nil)
	}
	s, err := SpuriousScore(m, 1, set(0, 9), set(9, 16))
	if err := approx.All([]float64{s.AUC, s.AP}, oracle.Read[float64](t, file, "spurious_score"), 1e-6); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Error(err)
	}
	for _, class := range []int{-1, 3} {
		if _, err := SpuriousScore(m, class, set(0, 9), set(9, 16)); err == nil ||
			!strings.Contains(err.Error(), "the classes 0 to 2") {
			t.Errorf("class %d: %v", class, err)
		}
	}
}

// The spread is NumPy's of two models' gaps on two rankings; with one of either there is none.
func TestSpreadTakesTwoOfEach(t *testing.T) {
	gaps := oracle.Read[float64](t, "testdata/edges.npz", "gaps")
	of := func(models, rankings int) *Comparison {
		c := &Comparison{Models: make([]string, models), Rankings: make([]*Ranking, rankings)}
		for i := range models {
			c.High, c.Low = append(c.High, nil), append(c.Low, nil)
			for j := range rankings {
				c.High[i] = append(c.High[i], stats.Accuracy{Correct: int(gaps[2*i+j]), Total: 100})
				c.Low[i] = append(c.Low[i], stats.Accuracy{Correct: 0, Total: 100})
			}
		}
		return c
	}
	if got, err := of(2, 2).Spread(); err != nil ||
		!approx.Equal(got, oracle.Read[float64](t, "testdata/edges.npz", "spread")[0], 1e-9) {
		t.Errorf("%v (%v)", got, err)
	}
	for _, c := range []*Comparison{of(1, 2), of(2, 1)} {
		if _, err := c.Spread(); err == nil || !strings.Contains(err.Error(), "two models and two rankings") {
			t.Errorf("%v", err)
		}
	}
}

func TestTablesOfComponentsAndRankings(t *testing.T) {
	head, e := cifar(t)
	c, err := ComponentsOf(e.Pick(e.of(3)...).Features, head, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model(headModel(t, head), 2)
	if err != nil {
		t.Fatal(err)
	}
	if names := m.Classes(); !slices.Equal(names, []string{"component 1", "component 2"}) {
		t.Errorf("the outputs are %v", names)
	}
	for _, n := range []int{0, c.Len() + 1} {
		if _, err := c.Model(headModel(t, head), n); err == nil {
			t.Errorf("%d components are taken", n)
		}
	}
	rows := c.Table().Rows
	share := 0.0
	for l, row := range rows {
		if row[0] != l+1 || row[1] != c.Variances[l] || !approx.Equal(float64(row[2].(table.Bar)),
			c.Variances[l]/floats.Sum(c.Variances), 1e-12) {
			t.Fatalf("row %d is %v", l, row)
		}
		share += float64(row[2].(table.Bar))
	}
	if len(rows) != c.Len() || !approx.Equal(share, 1, 1e-9) {
		t.Errorf("%d rows with the share %v", len(rows), share)
	}
	r := &Ranking{Class: 4, Features: []int{7}, Images: []int{2, 0, 3, 1, 4}, Scores: []float64{-2, -1, 0, 0.5, 3}}
	if got := r.Table(); len(got.Rows) != 5 || got.Rows[1][0] != 0 || got.Rows[1][2] != -1. ||
		got.Title != "class 4 by its spurious features [7]" {
		t.Errorf("%+v", got)
	}
	if p := r.Plot(); !slices.Equal(p.Values, r.Scores) || p.Title != "class 4: 5 images" {
		t.Errorf("%+v", p)
	}
	// The images of a wall are grey as their numbers say, at even steps from the least spurious on.
	images := tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4, 0.6, 0.8}, 5, 1, 1, 1)
	for count, want := range map[int][]string{1: {"-2.00"}, 2: {"-2.00", "+3.00"}, 3: {"-2.00", "+0.00", "+3.00"},
		9: {"-2.00", "-1.00", "+0.00", "+0.50", "+3.00"}} {
		g, err := r.Wall(images, count)
		if err != nil {
			t.Fatal(err)
		}
		var titles []string
		for _, row := range g.Rows {
			for _, tile := range row {
				titles = append(titles, tile.Title)
				at := r.Images[slices.Index([]string{"-2.00", "-1.00", "+0.00", "+0.50", "+3.00"}, tile.Title)]
				if grey, _, _, _ := tile.Image.At(0, 0).RGBA(); grey>>8 != uint32(51*at) {
					t.Errorf("at %s is an image of the grey %d, want %d", tile.Title, grey>>8, 51*at)
				}
			}
		}
		if !slices.Equal(titles, want) {
			t.Errorf("a wall of %d has %v, want %v", count, titles, want)
		}
	}
	for _, count := range []int{0, -1} {
		if _, err := r.Wall(images, count); err == nil {
			t.Errorf("a wall of %d images", count)
		}
	}
	if _, err := r.Wall(tensors.FromFlatDataAndDimensions([]float32{0, 1}, 2, 1, 1, 1), 2); err == nil ||
		!strings.Contains(err.Error(), "there is no image 4: they are 0 to 1") {
		t.Errorf("%v", err)
	}
}

// Zero values are the authors' settings, and a negative momentum is none.
func TestTuningByDefaultIsTheAuthors(t *testing.T) {
	head, e := cifar(t)
	sum := func(tuning Tuning) float64 {
		t.Helper()
		h, err := TuneHead(head, e, tuning)
		if err != nil {
			t.Fatal(err)
		}
		return mat.Sum(h.Weights)
	}
	if got, want := sum(Tuning{}), sum(Tuning{LearningRate: 0.001, Momentum: 0.9, Epochs: 20,
		BatchSize: 128}); got != want {
		t.Errorf("by default the sum of the weights is %v, with the authors' settings %v", got, want)
	}
	none := sum(Tuning{LearningRate: 0.01, Momentum: -1, Epochs: 3})
	if got := sum(Tuning{LearningRate: 0.01, Momentum: 1e-30, Epochs: 3}); got != none {
		t.Errorf("without momentum the sum of the weights is %v, with hardly any %v", none, got)
	}
	for _, bad := range []Tuning{{LearningRate: -1}, {Epochs: -1}, {BatchSize: -1}} {
		if _, err := TuneHead(head, e, bad); err == nil || !strings.Contains(err.Error(), "train nothing") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, label := range []int{-1, 10} {
		if _, err := TuneHead(head, Examples{Features: mat.NewDense(1, 64, nil), Labels: []int{label}},
			Tuning{}); err == nil || !strings.Contains(err.Error(), "the classes are 0 to 9") {
			t.Errorf("the label %d: %v", label, err)
		}
	}
}

func TestPickedExamplesAreThoseAndNoMore(t *testing.T) {
	e := Examples{Features: mat.NewDense(3, 2, []float64{1, 2, 3, 4, 5, 6}), Labels: []int{7, 8, 9}}
	for _, indices := range [][]int{{1}, {2, 0}} {
		got := e.Pick(indices...)
		if rows, _ := got.Features.Dims(); rows != len(indices) || len(got.Labels) != len(indices) {
			t.Fatalf("%d rows and %d labels of %v", rows, len(got.Labels), indices)
		}
		for i, at := range indices {
			if got.Labels[i] != e.Labels[at] || got.Features.At(i, 1) != e.Features.At(at, 1) {
				t.Errorf("%v: %v", indices, got)
			}
		}
	}
}

// refuses calls each, which has to fail and say what it is called by.
func refuses(t *testing.T, calls map[string]func() error) {
	t.Helper()
	for want, do := range calls {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// All of a class may be its ends, once or, at both ends, twice; one more may not.
func TestEndsAtTheirBounds(t *testing.T) {
	e := Examples{Features: mat.NewDense(4, 2, []float64{0, 1, 1, 0, 2, 5, 3, 4}), Labels: []int{0, 0, 0, 0},
		Classes: []string{"cat"}, Names: []string{"a", "b", "c", "d"}}
	predicted := []int{1, 0, 0, 0}
	for k, want := range map[int]float64{1: 100, 2: 50, 3: 100. / 3, 4: 0} {
		if got, err := FeatureBias(predicted, e, 0, 0, k); err != nil || !approx.Equal(got, want, 1e-12) {
			t.Errorf("between ends of %d the bias is %v (%v), want %v", k, got, err, want)
		}
	}
	r, err := Rank(e, 0, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[int]float64{1: 100, 2: 50} {
		if got, err := SpuriousGap(predicted, []*Ranking{r}, k); err != nil || !approx.Equal(got, want, 1e-12) {
			t.Errorf("the gap between ends of %d is %v (%v), want %v", k, got, err, want)
		}
	}
	if got := [][]int{r.Low(0), r.Low(9), r.High(9), r.High(1), r.Low(1)}; len(got[0]) != 0 || len(got[1]) != 4 ||
		len(got[2]) != 4 || got[3][0] != 3 || got[4][0] != 0 {
		t.Errorf("%v", got)
	}
	if table := r.Table(); table.Title != "cat by its spurious features [0]" || !slices.Contains(table.Rows[3], any("d")) {
		t.Errorf("%+v", table)
	}
	unnamed := e
	unnamed.Labels, unnamed.Classes = []int{1, 1, 1, 1}, []string{"cat"}
	if r, err := Rank(unnamed, 1, []int{1}); err != nil || r.Plot().Title != "class 1: 4 images" {
		t.Errorf("%+v (%v)", r, err)
	}
	refuses(t, map[string]func() error{
		"the 0 images": func() error {
			_,
				err := FeatureBias(predicted, e, 0, 0, 0)
			return err
		},
		"the 5 images": func() error {
			_,
				err := FeatureBias(predicted, e, 0, 0, 5)
			return err
		},
		"the 3 least": func() error {
			_, err := SpuriousGap(predicted, []*Ranking{r},
				3)
			return err
		},
		"3 predictions, and image": func() error {
			_, err := SpuriousGap(predicted[:3], []*Ranking{r},
				1)
			return err
		},
		"the 0 most biased of 2": func() error {
			_, err := MostBiased(predicted, e, 0, []int{0, 1}, 1,
				0)
			return err
		},
		"the 3 most biased of 2": func() error {
			_, err := MostBiased(predicted, e, 0, []int{0, 1}, 1,
				3)
			return err
		},
		"feature -1 does not":                       func() error { _, err := Rank(e, 0, []int{-1}); return err },
		"feature 2 does not exist: they are 0 to 1": func() error { _, err := Rank(e, 0, []int{2}); return err },
		"4 images and labels of 5": func() error {
			_, err := Rank(Examples{Features: e.Features, Labels: []int{0, 0, 0, 0, 0}}, 0, []int{1})
			return err
		},
		"0 predictions for 0": func() error { _, err := FeatureBias(nil, Examples{}, 0, 0, 1); return err },
		"feature 0 of image 1 is +Inf": func() error {
			_, err := Rank(Examples{Features: mat.NewDense(2, 1, []float64{0, math.Inf(1)}), Labels: []int{0, 0}}, 0, []int{0})
			return err
		},
	})
	if got := e.Pick(2, 0); !slices.Equal(got.Names, []string{"c", "a"}) || !slices.Equal(got.Classes, e.Classes) {
		t.Errorf("%+v", got)
	}
	if got := e.Pick(); len(got.Labels) != 0 || got.Names != nil {
		t.Errorf("of none there are %v", got)
	}
	if got := e.String(); got != "4 examples with 2 features" {
		t.Errorf("%q", got)
	}
}

// Of equally many mistakes the lower class comes first.
func TestMistakesInTheirOrder(t *testing.T) {
	r := &Ranking{Class: 2, Images: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	if got, err := r.MistakenFor([]int{9, 9, 9, 9, 7, 3, 5, 5}, 4); err != nil ||
		!slices.Equal(got, []Mistake{{5, 2}, {3, 1}, {7, 1}}) {
		t.Errorf("%v, %v", got, err)
	}
}

// The first of equal logits is predicted, with the bias. By hand: the logits are {0, 0}, {1, 0.5} and {-1, 2}.
func TestTheFirstOfEqualLogitsIsPredicted(t *testing.T) {
	head := &model.Head{Weights: mat.NewDense(3, 1, []float64{1, 0, -2}), Bias: []float64{0, 0, 0}}
	if got := Predict(head, mat.NewDense(3, 1, []float64{0, 1, -1})); !slices.Equal(got, []int{0, 0, 2}) {
		t.Errorf("%v", got)
	}
	head.Bias[1] = 1
	if got := Predict(head, mat.NewDense(3, 1, []float64{0, 1, -1})); !slices.Equal(got, []int{1, 0, 2}) {
		t.Errorf("with a bias: %v", got)
	}
}

// Intervals over classes are of 2,000 draws of the seed 1, each of classes with all their rankings.
func TestIntervalsOverClassesAreABootstrap(t *testing.T) {
	_, c := compared(t)
	gaps := c.Gaps()
	classes := 0
	for _, r := range c.Rankings {
		classes = max(classes, r.Class+1)
	}
	for i := range c.Models {
		want, err := stats.Bootstrap(classes, 2000, 0.1, 1, func(sample []int) float64 {
			var picked []float64
			for _, class := range sample {
				for j, r := range c.Rankings {
					if r.Class == class {
						picked = append(picked, gaps.At(i, j))
					}
				}
			}
			return floats.Sum(picked) / float64(len(picked))
		})
		_, got, err2 := c.Gap(i, 0.1)
		if err != nil || err2 != nil || !approx.Equal(got.Low, want.Low, 1e-9) || !approx.Equal(got.High, want.High, 1e-9) {
			t.Errorf("model %d: %v, want %v (%v, %v)", i, got, want, err, err2)
		}
	}
	three := &Comparison{Models: []string{"a", "b"}, Rankings: []*Ranking{{Class: 7}, {Class: 2}, {Class: 4}}}
	for i := range 2 {
		three.High, three.Low = append(three.High, nil), append(three.Low, nil)
		for j := range 3 {
			three.High[i] = append(three.High[i], stats.Accuracy{Correct: 10*j + i*j*j, Total: 100})
			three.Low[i] = append(three.Low[i], stats.Accuracy{Correct: 1, Total: 100})
		}
	}
	if gap, _, err := three.Gap(0, 0.05); err != nil || !approx.Equal(gap, 9, 1e-12) {
		t.Errorf("of three classes the gap is %v (%v)", gap, err)
	}
	same := &Comparison{Models: []string{"a", "b"}, Rankings: three.Rankings,
		High: [][]stats.Accuracy{three.Low[0], three.Low[0]}, Low: three.Low}
	refuses(t, map[string]func() error{
		"no model -1: they are 0 to 1": func() error { _, _, err := three.Gap(-1, 0.05); return err },
		"no model 2: they are 0 to 1":  func() error { _, _, err := three.Gap(2, 0.05); return err },
		"model 2 against the others":   func() error { _, err := three.Against(2); return err },
		"model 0 against the others, of 1": func() error {
			_, err := (&Comparison{Models: []string{"a"}}).Against(0)
			return err
		},
		"correlate with nothing": func() error { _, _, err := same.MeanCorrelation(0.05); return err },
	})
	if p, err := three.Against(1); err != nil || approx.All(p.Ys, []float64{-1, 9, 19}, 1e-12) != nil ||
		p.X != "spurious gap of b, points" || !slices.Equal(p.Names, []string{"a"}) {
		t.Errorf("%+v (%v)", p, err)
	}
}

// By NumPy's means of the shares.
func TestComparisonsAsTheyAreShown(t *testing.T) {
	c := &Comparison{
		Models: []string{"a", "b", "a"}, Rankings: make([]*Ranking, 2),
		Accuracy: []stats.Accuracy{{Correct: 1, Total: 2}, {Correct: 3, Total: 4}, {Correct: 1, Total: 4}},
		High: [][]stats.Accuracy{{{Correct: 1, Total: 2}, {Correct: 2, Total: 2}},
			{{Correct: 2, Total: 2}, {Correct: 2, Total: 2}}, {{Correct: 1, Total: 2}, {Correct: 1, Total: 2}}},
		Low: [][]stats.Accuracy{{{Correct: 1, Total: 2}, {Correct: 0, Total: 2}},
			{{Correct: 1, Total: 2}, {Correct: 2, Total: 2}}, {{Correct: 2, Total: 2}, {Correct: 1, Total: 2}}},
	}
	ends, by := c.Ends(), c.ByAccuracy()
	for what, got := range map[string][]float64{"x": ends.Xs, "y": ends.Ys, "accuracy": by.Xs, "gap": by.Ys} {
		if want := map[string][]float64{"x": {0.75, 1, 0.5}, "y": {0.25, 0.75, 0.75}, "accuracy": {0.5, 0.75, 0.25},
			"gap": {50, 25, -25}}[what]; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if !slices.Equal(ends.Groups, []int{0, 1, 0}) || !slices.Equal(by.Groups, ends.Groups) ||
		!slices.Equal(by.Names, []string{"a", "b"}) {
		t.Errorf("groups %v and %v of %v", ends.Groups, by.Groups, by.Names)
	}
	rows := c.Table().Rows
	if len(rows) != 3 || !slices.Equal(rows[1][2:], []any{table.Percent(1), table.Percent(0.75), 25.}) ||
		rows[1][0] != "b" {
		t.Errorf("%v", rows)
	}
}

// A channel twice as large: PyTorch's bilinear interpolation without aligned corners puts 3/4 and 1/4 between two
// pixels. A map that is nowhere positive stays as it is.
func TestActivationMapsAreEnlarged(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "pooled", Height: 2, Width: 4, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			small := graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, 1), graph.AxisRange(0, 2), graph.AxisRange())
			f := b.Features(graph.ReduceMean(b.Record("maps", small), 1, 2))
			return graph.Einsum("nd,kd->nk", f, graph.Const(x.Graph(), [][]float32{{1, 2, 3}, {4, 5, 6}}))
		})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 2*4*3)
	pixels[2], pixels[5] = 0.5, 0.25 // channel 2
	images := tensors.FromFlatDataAndDimensions(pixels, 1, 2, 4, 3)
	for feature, want := range map[int][]float64{2: {1, 0.875, 0.625, 0.5}, 0: {0, 0, 0, 0}} {
		maps, err := NeuralActivationMap(m, images, feature)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](maps), slices.Concat(want, want), 1e-6); err != nil {
			t.Errorf("feature %d: %v", feature, err)
		}
	}
	for _, feature := range []int{-1, 3} {
		if _, err := NeuralActivationMap(m, images, feature); err == nil || !strings.Contains(err.Error(), "has 0 to 2") {
			t.Errorf("feature %d: %v", feature, err)
		}
	}
}

func TestFixesAndComponentsAreChecked(t *testing.T) {
	head := &model.Head{Weights: mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6}), Bias: []float64{0, 0}}
	features := mat.NewDense(3, 3, []float64{1, 0, 0, 0, 1, 0, 0, 0, 2})
	c, err := ComponentsOf(features, head, 1)
	if err != nil || c.Len() != 2 {
		t.Fatalf("%+v (%v)", c, err)
	}
	two, err := ComponentsOf(mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 0}), head, 1)
	if err != nil || two.Len() != 1 {
		t.Fatalf("%+v (%v)", two, err)
	}
	fix, err := c.Fix(0, 1)
	if err != nil || fix.String() != "a fix of class 1 that takes 2 of 3 directions out of the features" ||
		fix.Directions.At(2, 1) != c.Vectors.At(2, 1) {
		t.Errorf("%v (%v)", fix, err)
	}
	if m, err := c.Model(headModel(t, head), c.Len()); err != nil || len(m.Classes()) != 2 {
		t.Errorf("a model of all components: %v", err)
	}
	if got := c.Top(0, 9); len(got) != 3 || !slices.Equal(c.Top(0, 2), got[:2]) ||
		c.Alphas.At(got[0], 0) < c.Alphas.At(got[1], 0) {
		t.Errorf("most of a component have %v", got)
	}
	m := headModel(t, head)
	twice := mat.NewDense(3, 2, []float64{1, 1, 0, 0, 0, 0})
	zero := make([]float64, 3)
	refuses(t, map[string]func() error{
		"there are none":           func() error { _, err := c.Fix(); return err },
		"no component -1":          func() error { _, err := c.Fix(-1); return err },
		"0 to 1, and no component": func() error { _, err := c.Fix(2); return err },
		"there is 1":               func() error { _, err := ComponentsOf(mat.NewDense(1, 3, zero), head, 0); return err },
		"class -1 does not exist":  func() error { _, err := ComponentsOf(features, head, -1); return err },
		"the classes 0 to 1":       func() error { _, err := ComponentsOf(features, head, 2); return err },
		"are [1, 2], and the head": func() error { _, err := c.Of(mat.NewDense(1, 2, nil)); return err },
		"no features":              func() error { _, err := c.Of(nil); return err },
		"no features: give those":  func() error { _, err := c.Of(&mat.Dense{}); return err },
		"feature 1 of image 1 is": func() error {
			_, err := c.Of(mat.NewDense(2, 3, []float64{0, 0, 0, 0, math.Inf(-1), 0}))
			return err
		},
		"there are no α":   func() error { _, err := MatchedFix(nil, features, head, 0); return err },
		"α of 2 images":    func() error { _, err := MatchedFix(mat.NewDense(2, 1, nil), features, head, 0); return err },
		"do not vary with": func() error { _, err := MatchedFix(mat.NewDense(3, 1, nil), features, head, 0); return err },
		"class 2 does not": func() error { _, err := SpuFix(m, Fix{Class: 2, Mean: zero, Directions: twice}); return err },
		"class -1 does":    func() error { _, err := SpuFix(m, Fix{Class: -1, Mean: zero, Directions: twice}); return err },
		"two fixes": func() error {
			_, err := SpuFix(m, fix, fix)
			return err
		},
		"is for 2 features": func() error {
			_, err := SpuFix(m,
				Fix{Mean: zero, Directions: mat.NewDense(2, 1, nil)})
			return err
		},
		"is for 3 features":    func() error { _, err := SpuFix(m, Fix{Mean: zero[:2], Directions: twice}); return err },
		"depend on each other": func() error { _, err := SpuFix(m, Fix{Mean: zero, Directions: twice}); return err },
		"has 3 classes and a head 2": func() error {
			_, err := WithHead(m, &model.Head{Weights: mat.NewDense(3, 3, nil), Bias: zero})
			return err
		},
		"there are no examples": func() error { _, err := TuneHead(head, Examples{}, Tuning{}); return err },
		"the label 2, and the": func() error {
			_, err := TuneHead(head, Examples{Features: features, Labels: []int{0, 1, 2}}, Tuning{})
			return err
		},
		"example 1 has the labe": func() error {
			_, err := TuneHead(head, Examples{Features: features, Labels: []int{0, -1, 2}}, Tuning{})
			return err
		},
	})
	other, err := WithHead(m, &model.Head{Weights: mat.NewDense(2, 3, []float64{0, 1, 0, 0, 0, 2}),
		Bias: []float64{0.5, 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	if got := logits(t, other, mat.NewDense(1, 3, []float64{0.5, 0.25, 0.125})); got.At(0, 0) != 0.75 ||
		got.At(0, 1) != 0.5 {
		t.Errorf("with another head the logits are %v", got.RawRowView(0))
	}
}

// One step of gradient descent on the cross entropy, written out: W - rate (p - y) xᵀ. A batch larger than the examples
// is all of them.
func TestAStepOfTuning(t *testing.T) {
	head := &model.Head{Weights: mat.NewDense(2, 1, []float64{0, 0}), Bias: []float64{0, 0}}
	e := Examples{Features: mat.NewDense(2, 1, []float64{1, 3}), Labels: []int{0, 1}}
	got, err := TuneHead(head, e, Tuning{LearningRate: 0.5, Epochs: 1, Momentum: -1})
	if err != nil {
		t.Fatal(err)
	}
	// The mean of (1/2 - 1)·1 and (1/2)·3 is 1/2; the biases' is 0.
	if err := approx.All(append(got.Weights.RawMatrix().Data, got.Bias...), []float64{-0.25, 0.25, 0, 0},
		1e-7); err != nil {
		t.Error(err)
	}
	one, err := TuneHead(head, Examples{Features: mat.NewDense(1, 1, []float64{1}), Labels: []int{0}},
		Tuning{LearningRate: 0.5, Epochs: 1, BatchSize: 1})
	if err != nil || !approx.Equal(one.Weights.At(0, 0), 0.25, 1e-7) {
		t.Errorf("%v (%v)", one, err)
	}
}

// Two epochs of PyTorch's SGD, written out: v = m v + g, w = w - rate v, with g the mean over a batch, of which the
// last is smaller, in the order that Go's PCG with the seed and 1 shuffles.
func TestBatchesOfTuning(t *testing.T) {
	const n, k, d, size, rate, momentum = 5, 3, 2, 2, 0.5, 0.75
	features := []float64{1, 0.5, -1, 2, 0.25, -0.5, 0, 1, 1.5, -1}
	labels := []int{0, 2, 1, 2, 0}
	head := &model.Head{Weights: mat.NewDense(k, d, []float64{0.5, 0, -0.25, 0.125, 0, 1}), Bias: []float64{0.1, 0, -0.1}}
	got, err := TuneHead(head, Examples{Features: mat.NewDense(n, d, features), Labels: labels},
		Tuning{LearningRate: rate, Momentum: momentum, Epochs: 2, BatchSize: size, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	w := append(slices.Clone(head.Weights.RawMatrix().Data), head.Bias...) // then the biases
	v := make([]float64, len(w))
	rng := rand.New(rand.NewPCG(9, 1))
	order := []int{0, 1, 2, 3, 4}
	for range 2 {
		rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		for batch := range slices.Chunk(order, size) {
			g := make([]float64, len(w))
			for _, i := range batch {
				p, sum := make([]float64, k), 0.0
				for c := range p {
					p[c] = math.Exp(w[c*d]*features[i*d] + w[c*d+1]*features[i*d+1] + w[k*d+c])
					sum += p[c]
				}
				for c := range p {
					by := p[c] / sum
					if c == labels[i] {
						by--
					}
					by /= float64(len(batch))
					g[c*d], g[c*d+1], g[k*d+c] = g[c*d]+by*features[i*d], g[c*d+1]+by*features[i*d+1], g[k*d+c]+by
				}
			}
			for j := range w {
				v[j] = momentum*v[j] + g[j]
				w[j] -= rate * v[j]
			}
		}
	}
	if err := approx.All(append(slices.Clone(got.Weights.RawMatrix().Data), got.Bias...), w, 1e-5); err != nil {
		t.Error(err)
	}
}
