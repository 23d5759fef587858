package spurious

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

const barSide = 8

// bars are n noisy images of three classes, each with a band of rows of its own; classes 0 and 1 have a bright square
// on a share of their images, whose numbers it returns.
func bars(t *testing.T, n int, share float64, seed uint64) (*data.Dataset, map[int]bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	flat, labels := make([]float32, n*barSide*barSide), make([]int, n)
	for i := range labels {
		labels[i] = rng.IntN(3)
		for k := range barSide * barSide {
			v := 0.5 * rng.Float32()
			if k/barSide/2 == labels[i]+1 {
				v += 0.2 * rng.Float32()
			}
			flat[i*barSide*barSide+k] = v
		}
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(flat, n, barSide, barSide, 1), labels,
		[]string{"low", "middle", "high"})
	if err != nil {
		t.Fatal(err)
	}
	marked, has, err := perturb.Patch{Side: 2, Value: 1}.Plant(ds, share, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return marked, has
}

// barred is a network that has learnt the classes of bars by their squares, and what it ranks.
func barred(t *testing.T) (*Ranked, map[int]bool, *data.Dataset) {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	train, _ := bars(t, 600, 0.8, 1)
	val, _ := bars(t, 300, 0.5, 2)
	test, has := bars(t, 300, 0.5, 3)
	images, err := train.All()
	if err != nil {
		t.Fatal(err)
	}
	m, err := learn.MLP(model.Spec{Height: barSide, Width: barSide, Channels: 1, Classes: train.Classes()}, 3, 1, 16)
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err = (learn.Recipe{Epochs: 30, BatchSize: 50, LearningRate: 0.01, Adam: true, Seed: 1}).Train(m, images,
		train.Labels()); err != nil {
		t.Fatal(err)
	}
	r, err := Ranker{Classes: []int{0, 1}, Important: 6, Ends: 20}.Of(m, train, val, test)
	if err != nil {
		t.Fatal(err)
	}
	// The long way.
	head, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	for i, class := range []int{0, 1} {
		importance, err := Importance(head, r.Train, class)
		if err != nil {
			t.Fatal(err)
		}
		features, err := MostBiased(Predict(head, r.Val.Features), r.Val, class, MostImportant(importance, 6), 20, 2)
		if err != nil {
			t.Fatal(err)
		}
		for name, of := range map[string]*Ranking{"train": r.OnTrain[i], "val": r.OnVal[i], "test": r.OnTest[i]} {
			e := map[string]Examples{"train": r.Train, "val": r.Val, "test": r.Test}[name]
			want, err := Rank(e, class, features)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(of.Images, want.Images) || !slices.Equal(of.Features, want.Features) {
				t.Errorf("%s: class %d is ranked by %v, want %v", name, class, of.Features, features)
			}
		}
	}
	return r, has, test
}

// A network that knows two classes by one square ranks either by it, with the other's features too, and loses its gap
// by tuning on the pictures without it and not on others.
func TestRankedFindsAndMendsAPlantedSquare(t *testing.T) {
	r, has, test := barred(t)
	auc, err := r.AUC(has)
	if err != nil {
		t.Fatal(err)
	}
	var each [2]float64
	for i, of := range r.OnTest {
		if each[i], err = of.AUC(has); err != nil {
			t.Fatal(err)
		}
	}
	if !approx.Equal(auc, (each[0]+each[1])/2, 1e-12) || auc < 0.8 {
		t.Errorf("the rankings tell the square with %g, each with %v", auc, each)
	}
	across, err := r.Collide(has)
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	for i, class := range []int{1, 0} {
		ranking, err := Rank(r.Test, class, r.OnTest[i].Features)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ranking.AUC(has)
		if err != nil {
			t.Fatal(err)
		}
		want += v / 2
	}
	if !approx.Equal(across, want, 1e-12) {
		t.Errorf("with the other class's features it is %g, want %g", across, want)
	}
	gap := func(head *model.Head) float64 {
		t.Helper()
		v, err := SpuriousGap(Predict(head, r.Test.Features), r.OnTest, 20)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	mend := Mitigation{Few: 30, Others: 3, Ends: 20, Tuning: Tuning{LearningRate: 0.1, Epochs: 300,
		BatchSize: 16, Seed: 1}}
	least, err := mend.Of(r, (*Ranking).Low)
	if err != nil {
		t.Fatal(err)
	}
	chance, err := mend.Of(r, Randomly(1))
	if err != nil {
		t.Fatal(err)
	}
	if before := gap(r.Head); before < 25 || gap(least) > before-10 || gap(chance) < gap(least)+10 {
		t.Errorf("a gap of %g becomes %g on the least spurious, %g on random ones", before, gap(least), gap(chance))
	}
	wall, err := r.Walls(test, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(wall.Rows) != 2 || len(wall.Rows[0]) != 5 || !slices.Equal(wall.Labels, []string{"low", "middle"}) ||
		!strings.HasPrefix(wall.Rows[0][0].Title, "-") {
		t.Errorf("walls of %v with %d rows", wall.Labels, len(wall.Rows))
	}
	table, err := r.Table()
	if err != nil || len(table.Rows) != 2 || table.Rows[1][0] != "middle" {
		t.Errorf("a table of %v, %v", table.Rows, err)
	}
	pairs, err := RankByEach(r.Head, r.Train, r.Test, 3, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	importance, err := Importance(r.Head, r.Train, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) != 6 || pairs[4].Class != 2 || !slices.Equal(pairs[4].Features, MostImportant(importance, 3)[1:2]) {
		t.Errorf("three features each of two classes are %d rankings, the fifth of class %d by %v", len(pairs),
			pairs[4].Class, pairs[4].Features)
	}
}

func TestRandomlyPicksEachOnce(t *testing.T) {
	r := &Ranking{Images: []int{7, 3, 9, 4}}
	got := Randomly(1)(r, 3)
	if len(got) != 3 || !slices.Equal(got, Randomly(1)(r, 3)) {
		t.Errorf("three of four are %v", got)
	}
	all := Randomly(2)(r, 10)
	slices.Sort(all)
	if !slices.Equal(all, []int{3, 4, 7, 9}) {
		t.Errorf("all are %v", all)
	}
	if none := Randomly(1)(r, -1); len(none) != 0 {
		t.Errorf("fewer than none are %v", none)
	}
}

func TestRankedAndMitigationRefuseByName(t *testing.T) {
	head := &model.Head{Weights: mat.NewDense(2, 1, []float64{1, -1}), Bias: []float64{0, 0}}
	e := Examples{Features: mat.NewDense(4, 1, []float64{1, 2, 3, 4}), Labels: []int{0, 0, 0, 0}}
	ranking, err := Rank(e, 0, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	on := []*Ranking{ranking}
	r := &Ranked{Classes: []int{0}, Head: head, Train: e, Val: e, Test: e, OnTrain: on, OnVal: on, OnTest: on}
	beyond := func(*Ranking, int) []int { return []int{4} }
	for name, failed := range map[string]func() error{
		"no classes":          func() error { _, err := Ranker{}.Of(nil, nil, nil, nil); return err },
		"no model":            func() error { _, err := Ranker{Classes: []int{0}}.Of(nil, nil, nil, nil); return err },
		"AUC of nothing":      func() error { _, err := (*Ranked)(nil).AUC(nil); return err },
		"AUC of all":          func() error { _, err := r.AUC(map[int]bool{0: true, 1: true, 2: true, 3: true}); return err },
		"one class":           func() error { _, err := r.Collide(nil); return err },
		"a wall of nothing":   func() error { _, err := (*Ranked)(nil).Walls(nil, 1); return err },
		"a table of nothing":  func() error { _, err := (&Ranked{}).Table(); return err },
		"mending nothing":     func() error { _, err := Mitigation{}.Of(nil, (*Ranking).Low); return err },
		"picking nothing":     func() error { _, err := Mitigation{}.Of(r, nil); return err },
		"picking none there":  func() error { _, err := Mitigation{Few: 1, Ends: 2}.Of(r, beyond); return err },
		"ends beyond":         func() error { _, err := Mitigation{Few: 1, Ends: 3}.Of(r, (*Ranking).Low); return err },
		"fewer than none":     func() error { _, err := Mitigation{Few: -1}.Of(r, (*Ranking).Low); return err },
		"no features":         func() error { _, err := RankByEach(head, e, e, 0, 0); return err },
		"a class that is not": func() error { _, err := RankByEach(head, e, e, 1, 2); return err },
		"a sheet of nothing":  func() error { _, err := FeatureSheet(nil, nil, 0, 1, 1); return err },
	} {
		if failed() == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

func TestFeatureSheetShowsTheImagesWithMostOfAFeature(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	ds, _ := bars(t, 200, 0.9, 1)
	images, err := ds.All()
	if err != nil {
		t.Fatal(err)
	}
	m, err := learn.SmallBag(model.Spec{Height: barSide, Width: barSide, Channels: 1, Classes: ds.Classes()}, 3, 1, 3, 6)
	if err != nil {
		t.Fatal(err)
	}
	if m, _, err = (learn.Recipe{Epochs: 20, BatchSize: 20, LearningRate: 0.02, Adam: true, Seed: 1}).Train(m, images,
		ds.Labels()); err != nil {
		t.Fatal(err)
	}
	g, err := FeatureSheet(m, ds, 0, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ExamplesOf(m, ds)
	if err != nil {
		t.Fatal(err)
	}
	head, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	importance, err := Importance(head, e, 0)
	if err != nil {
		t.Fatal(err)
	}
	feature := MostImportant(importance, 2)[1]
	if len(g.Rows) != 4 || len(g.Rows[2]) != 3 || g.Labels[3] != "activation" ||
		!strings.HasSuffix(g.Labels[2], " "+string(rune('0'+feature))) {
		t.Errorf("two features of three images are %d rows, %q; the second is %d", len(g.Rows), g.Labels, feature)
	}
	if _, err := FeatureSheet(m, ds, 0, 0, 3); err == nil {
		t.Error("a sheet of no features is no error")
	}
}

func TestMeanGapsAreTheMeansOfGaps(t *testing.T) {
	e := Examples{Features: mat.NewDense(4, 2, []float64{1, 4, 2, 3, 3, 2, 4, 1}), Labels: []int{0, 0, 0, 0}}
	var rankings []*Ranking
	for feature := range 2 {
		r, err := Rank(e, 0, []int{feature})
		if err != nil {
			t.Fatal(err)
		}
		rankings = append(rankings, r)
	}
	// Right on the last image alone: 100 points up by the first feature's ends, 100 down by the second's.
	c, err := Compare(e, rankings, 1, model.AnswersFromClasses("a", []int{1, 1, 1, 0}),
		model.AnswersFromClasses("b", []int{0, 0, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Gaps().At(0, 0) != 100 || c.Gaps().At(0, 1) != -100 {
		t.Errorf("the gaps are %v", mat.Formatted(c.Gaps()))
	}
	if c, err = Compare(e, rankings[:1], 1, model.AnswersFromClasses("a", []int{1, 1, 1, 0}),
		model.AnswersFromClasses("b", []int{0, 0, 0, 0})); err != nil {
		t.Fatal(err)
	}
	if got := c.MeanGaps(); !slices.Equal(got, []float64{100, 0}) {
		t.Errorf("the mean gaps are %v, want 100 and 0", got)
	}
}
