package labels

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// Ten benign examples of which A has 9 and B 7; four mislabelled ones of which A has 1 and B 2. On all 14 A leads by 10
// to 9; with b benign examples left they are equal at 9b/10 + 1 = 7b/10 + 2, b = 5, a prevalence of 4/9.
func TestRerankByHand(t *testing.T) {
	given := []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 5}
	corrected := []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, Unknown}
	b, err := Rerank([]*model.Answers{
		model.AnswersFromClasses("A", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 2, 1, 1, 1, 5}),
		model.AnswersFromClasses("B", []int{0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 2, 2, 1, 9, 0}),
	}, given, corrected)
	if err != nil {
		t.Fatal(err)
	}
	if b.Benign != 10 || b.Mislabelled != 4 || b.Unknown != 1 || b.Prevalence() != 4./14 {
		t.Errorf("%+v", b)
	}
	if want := []ModelAccuracy{{"A", 9, 3, 1}, {"B", 7, 1, 2}}; !slices.Equal(b.Models, want) {
		t.Errorf("%+v, want %+v", b.Models, want)
	}
	byGiven, byCorrected := b.Accuracy(0, 4./14)
	if !approx.Equal(byGiven, 12./14, 1e-15) || !approx.Equal(byCorrected, 10./14, 1e-15) {
		t.Errorf("the accuracies of A are %v and %v", byGiven, byCorrected)
	}
	crossings := b.RankReversals(true)
	if want := (RankReversal{0, 1, 4. / 9, 4./9 - 4./14, 5}); len(crossings) != 1 || crossings[0] != want {
		t.Errorf("%+v, want %+v", crossings, want)
	}
	if by := b.RankReversals(false); len(by) != 0 {
		t.Errorf("by the given labels A leads always, and they cross at %+v", by)
	}
	for q, want := range map[float64][]int{4./9 - 1e-9: {0, 1}, 4./9 + 1e-9: {1, 0}} {
		if got := b.Ranking(q, true); !slices.Equal(got, want) {
			t.Errorf("at %v they rank %v", q, got)
		}
	}
	if text := b.Bundle().Data["text/plain"]; !strings.Contains(text, "of which 4 were mislabelled") {
		t.Error(text)
	}
	if first, err := b.Overtaken(); err != nil || first != crossings[0] {
		t.Errorf("the best is overtaken at %+v (%v)", first, err)
	}
	if numbers, err := b.Named("B", "A"); err != nil || !slices.Equal(numbers, []int{1, 0}) {
		t.Errorf("B and A are %v (%v)", numbers, err)
	}
	if _, err := b.Named("C"); err == nil {
		t.Error("there is a model C")
	}
	alone := &Benchmark{Models: []ModelAccuracy{{"A", 9, 3, 2}, {"B", 7, 1, 1}}, Benign: 10, Mislabelled: 4}
	if c, err := alone.Overtaken(); err == nil {
		t.Errorf("a model that is better everywhere is overtaken: %+v", c)
	}
	if s := b.Scatter(); !slices.Equal(s.Xs, []float64{90, 70, 90, 70}) ||
		!slices.Equal(s.Ys, []float64{75, 25, 25, 50}) || !slices.Equal(s.Groups, []int{0, 0, 1, 1}) {
		t.Errorf("%+v", s)
	}
	lines, err := b.Plot(1)
	if err != nil || len(lines.Series) != 2 || !approx.Equal(lines.Series[0].Y[plotSteps], 0.25, 1e-15) {
		t.Errorf("%+v, %v", lines, err)
	}
}

// cifar10Benchmark is 30 published models on CIFAR-10's test set, with the labels that people corrected.
func cifar10Benchmark(t *testing.T) (models []*model.Answers, given, corrected []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testenv.SharedData(t, "cifar10.1", "model_predictions",
		"original_predictions"), "*.json"))
	if err != nil || len(files) != 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var classes []int
		if err := json.Unmarshal(raw, &classes); err != nil {
			t.Fatal(err)
		}
		models = append(models, model.AnswersFromClasses(strings.TrimSuffix(filepath.Base(file), "_predictions.json"),
			classes))
	}
	given, err = ReadLabels(testenv.SharedData(t, "label-errors", "original_test_labels",
		"cifar10_test_set_original_labels.npy"))
	if err != nil {
		t.Fatal(err)
	}
	corrected, err = verdicts(t, "cifar10").Correct(given)
	if err != nil {
		t.Fatal(err)
	}
	return models, given, corrected
}

// What the lines say is what comes of leaving out examples at random, which is how the paper defines it.
func TestRerankIsLeavingOutExamples(t *testing.T) {
	models, given, corrected := cifar10Benchmark(t)
	b, err := Rerank(models, given, corrected)
	if err != nil {
		t.Fatal(err)
	}
	if b.Benign != 9946 || b.Mislabelled != 18 || b.Unknown != 36 {
		t.Fatalf("%d benign, %d mislabelled, %d unknown", b.Benign, b.Mislabelled, b.Unknown)
	}
	var benign, mislabelled []int
	for i, y := range corrected {
		switch {
		case y == Unknown:
		case y == given[i]:
			benign = append(benign, i)
		default:
			mislabelled = append(mislabelled, i)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const draws, left = 400, 42 // a prevalence of 30%
	for _, m := range []int{0, 5, 29} {
		predicted, err := models[m].Predicted()
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for range draws {
			rng.Shuffle(len(benign), func(i, j int) { benign[i], benign[j] = benign[j], benign[i] })
			right := 0
			for _, i := range slices.Concat(benign[:left], mislabelled) {
				if predicted[i] == corrected[i] {
					right++
				}
			}
			accuracy := float64(right) / (left + 18)
			sum += accuracy
			squares += accuracy * accuracy
		}
		mean := sum / draws
		deviation := math.Sqrt((squares/draws-mean*mean)/draws) + 1e-12
		if _, want := b.Accuracy(m, 18./(left+18)); !approx.Equal(mean, want, 4*deviation) {
			t.Errorf("%s: left out at random %.4f ± %.4f, expected %.4f", models[m].Model, mean, deviation, want)
		}
	}
	crossings := b.RankReversals(true)
	if len(crossings) == 0 {
		t.Fatal("no models change places")
	}
	last := 0.0
	for _, c := range crossings {
		_, leader := b.Accuracy(c.Leader, c.Prevalence)
		_, overtaker := b.Accuracy(c.Overtaker, c.Prevalence)
		if !approx.Equal(leader, overtaker, 1e-12) || !(c.Prevalence >= last) || !(c.Rise >= -1e-15) || !(c.Prevalence < 1) {
			t.Errorf("%+v: %v and %v", c, leader, overtaker)
		}
		last = c.Prevalence
		_, leader = b.Accuracy(c.Leader, c.Prevalence-1e-6)
		_, overtaker = b.Accuracy(c.Overtaker, c.Prevalence-1e-6)
		if !(leader > overtaker) {
			t.Errorf("%+v: below it %v and %v", c, leader, overtaker)
		}
	}
	// Every pair whose order at 1 is another than on the set itself has crossed, and no other.
	own, end := places(b.Ranking(b.Prevalence(), true)), places(b.Ranking(1, true))
	crossed := map[[2]int]bool{}
	for _, c := range crossings {
		crossed[[2]int{c.Leader, c.Overtaker}] = true
	}
	for i := range models {
		for j := range models {
			_, a := b.Accuracy(i, 1)
			_, z := b.Accuracy(j, 1)
			if swapped := own[i] < own[j] && end[i] > end[j] && a != z; swapped && !crossed[[2]int{i, j}] {
				t.Errorf("%s and %s change places and do not cross", models[i].Model, models[j].Model)
			}
		}
	}
}

func TestRerankNamesWhatIsWrong(t *testing.T) {
	for want, c := range map[string]struct {
		models           []*model.Answers
		given, corrected []int
	}{
		"no models":      {nil, []int{0, 1}, []int{0, 0}},
		"one of each":    {[]*model.Answers{model.AnswersFromClasses("A", []int{0})}, []int{0}, []int{0, 0}},
		"counted from 0": {[]*model.Answers{model.AnswersFromClasses("A", []int{0, 0})}, []int{0, -1}, []int{0, 0}},
		"some of both":   {[]*model.Answers{model.AnswersFromClasses("A", []int{0, 0})}, []int{0, 0}, []int{0, 0}},
		"1 predictions":  {[]*model.Answers{model.AnswersFromClasses("A", []int{0})}, []int{0, 1}, []int{0, 0}},
		`are called "A"`: {[]*model.Answers{model.AnswersFromClasses("A", []int{0, 0}),
			model.AnswersFromClasses("A", []int{0, 0})}, []int{0, 1}, []int{0, 0}},
		"2 given labels": {[]*model.Answers{model.AnswersFromClasses("A", []int{0, 0})}, []int{0, 1}, nil},
		"0 given labels": {[]*model.Answers{model.AnswersFromClasses("A", nil)}, nil, nil},
		"have the right": {[]*model.Answers{model.AnswersFromClasses("A", []int{0})}, []int{0}, []int{Unknown}},
		"example 1 has":  {[]*model.Answers{model.AnswersFromClasses("A", []int{0, 0})}, []int{0, 0}, []int{0, -2}},
	} {
		if _, err := Rerank(c.models, c.given, c.corrected); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	b := &Benchmark{Models: []ModelAccuracy{{"A", 1, 1, 1}}, Benign: 1, Mislabelled: 1}
	for _, most := range []float64{0.5, 1.1, math.NaN()} {
		if _, err := b.Plot(most); err == nil {
			t.Errorf("a plot up to %v is made", most)
		}
	}
	if _, err := b.Plot(1, 1); err == nil {
		t.Error("a plot of a model that there is not is made")
	}
}
