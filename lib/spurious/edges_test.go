package spurious

import (
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
	m, err := model.FromFunc(model.Spec{Name: "as given", Height: 1, Width: 3, Channels: 1}, func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 3) })
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
		if _, err := SpuriousScore(m, class, set(0, 9), set(9, 16)); err == nil || !strings.Contains(err.Error(), "the classes 0 to 2") {
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
	if got, err := of(2, 2).Spread(); err != nil || !approx.Equal(got, oracle.Read[float64](t, "testdata/edges.npz", "spread")[0], 1e-9) {
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
		if row[0] != l+1 || row[1] != c.Variances[l] || !approx.Equal(float64(row[2].(table.Bar)), c.Variances[l]/floats.Sum(c.Variances), 1e-12) {
			t.Fatalf("row %d is %v", l, row)
		}
		share += float64(row[2].(table.Bar))
	}
	if len(rows) != c.Len() || !approx.Equal(share, 1, 1e-9) {
		t.Errorf("%d rows with the share %v", len(rows), share)
	}
	r := &Ranking{Class: 4, Features: []int{7}, Images: []int{2, 0, 3, 1, 4}, Scores: []float64{-2, -1, 0, 0.5, 3}}
	if got := r.Table(); len(got.Rows) != 5 || got.Rows[1][0] != 0 || got.Rows[1][2] != -1. || got.Title != "class 4 by its spurious features [7]" {
		t.Errorf("%+v", got)
	}
	if p := r.Plot(); !slices.Equal(p.Values, r.Scores) || p.Title != "class 4: 5 images" {
		t.Errorf("%+v", p)
	}
	// The images of a wall are grey as their numbers say, at even steps from the least spurious on.
	images := tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4, 0.6, 0.8}, 5, 1, 1, 1)
	for count, want := range map[int][]string{1: {"-2.00"}, 2: {"-2.00", "+3.00"}, 3: {"-2.00", "+0.00", "+3.00"}, 9: {"-2.00", "-1.00", "+0.00", "+0.50", "+3.00"}} {
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
	if _, err := r.Wall(tensors.FromFlatDataAndDimensions([]float32{0, 1}, 2, 1, 1, 1), 2); err == nil || !strings.Contains(err.Error(), "there is no image 4: they are 0 to 1") {
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
	if got, want := sum(Tuning{}), sum(Tuning{LearningRate: 0.001, Momentum: 0.9, Epochs: 20, BatchSize: 128}); got != want {
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
		if _, err := TuneHead(head, Examples{Features: mat.NewDense(1, 64, nil), Labels: []int{label}}, Tuning{}); err == nil || !strings.Contains(err.Error(), "the classes are 0 to 9") {
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
