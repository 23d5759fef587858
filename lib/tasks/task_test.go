package tasks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func TestTasks(t *testing.T) {
	labels := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	real, err := Real(labels, 10)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, task := range real {
		if task.Rate() != (stats.Accuracy{Correct: 5, Total: 10}) || task.Labels[0] != 1 {
			t.Errorf("%v", task)
		}
		seen[fmt.Sprint(task.Labels)] = true
	}
	// As itertools.combinations(range(10), 5)[:126] has them.
	if len(seen) != 126 || real[0].Name != "classes 0, 1, 2, 3, 4" || real[1].Name != "classes 0, 1, 2, 3, 5" || real[125].Name != "classes 0, 6, 7, 8, 9" {
		t.Errorf("%d tasks, from %s to %s", len(seen), real[0].Name, real[len(real)-1].Name)
	}
	for words, of := range map[string]struct {
		labels  []int
		classes int
	}{"not split in halves": {labels, 9}, "image 8 has the label 8": {labels, 8}} {
		if _, err := Real(of.labels, of.classes); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	coins, others := Random(1000, 1), Random(1000, 2)
	if r := coins.Rate().Share(); math.Abs(r-0.5) > 0.06 || !slices.Equal(coins.Labels, Random(1000, 1).Labels) {
		t.Errorf("%g of the coins are 1", r)
	}
	alike, err := Alike(coins, others)
	if err != nil || alike.Share() > 0.56 || alike.Share() < 0.5 {
		t.Errorf("two coins are alike on %v: %v", alike, err)
	}
	opposite := Task{Name: "opposite", Labels: make([]int, 1000)}
	for i, label := range coins.Labels {
		opposite.Labels[i] = 1 - label
	}
	if alike, err := Alike(coins, opposite); err != nil || alike.Share() != 1 {
		t.Errorf("a task and its opposite are alike on %v: %v", alike, err)
	}
	train, test, err := Split(coins, others)
	if err != nil || len(train)+len(test) != 1000 {
		t.Fatal(err)
	}
	for _, i := range train {
		if coins.Labels[i] != others.Labels[i] {
			t.Fatalf("image %d is to be learnt from", i)
		}
	}
	for _, i := range test {
		if coins.Labels[i] == others.Labels[i] {
			t.Fatalf("image %d is to be tested on", i)
		}
	}
	if _, _, err := Split(coins, opposite); err == nil {
		t.Error("a split by the opposite task")
	}
	if _, _, err := Split(coins, Random(3, 1)); err == nil {
		t.Error("a split by a task of other images")
	}
	first, second, err := Halves(10, 0.7, 1)
	if both := slices.Sorted(slices.Values(slices.Concat(first, second))); err != nil || len(first) != 7 || !slices.Equal(both, labels) {
		t.Errorf("%v and %v: %v", first, second, err)
	}
}

func TestAgree(t *testing.T) {
	answers := func(values ...float32) *model.Answers {
		t.Helper()
		a, err := model.AnswersFromLogits("net", tensors.FromFlatDataAndDimensions(values, len(values)/2, 2), nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, b := answers(0, 1, 2, 0, 0, 3), answers(0, 2, 0, 2, 0, 1)
	hard, err := Agree(a, b)
	if err != nil || hard != (stats.Accuracy{Correct: 2, Total: 3}) {
		t.Errorf("they agree on %v: %v", hard, err)
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	cross := func(x, y float64) float64 { // of logits' differences
		p, q := sigmoid(x), sigmoid(y)
		return -(p*math.Log(q) + (1-p)*math.Log(1-q))
	}
	want := (cross(1, 2) + cross(2, 1) + cross(-2, 2) + cross(2, -2) + cross(3, 1) + cross(1, 3)) / 6
	if soft, err := CrossAgree(a, b); err != nil || !approx.Equal(soft, want, 1e-6) {
		t.Errorf("the cross entropy is %g, want %g: %v", soft, want, err)
	}
	if _, err := Agree(a, answers(0, 1)); err == nil {
		t.Error("answers to other images agree")
	}
}

// Networks agree on a task that is in the images more than on coins; the same run twice gives the
// same, and a second task compiles nothing.
func TestAgreementOfTasks(t *testing.T) {
	const n = 400
	rng, flat := rand.New(rand.NewPCG(1, 1)), make([]float32, 144*n)
	bright := Task{Name: "bright", Labels: make([]int, n)}
	for i := range n {
		bright.Labels[i] = rng.IntN(2)
		for k := range 144 {
			flat[144*i+k] = 0.6*rng.Float32() + 0.4*float32(bright.Labels[i])
		}
	}
	images := tensors.FromFlatDataAndDimensions(flat, n, 12, 12, 1)
	a := Agreement{
		Make: func(seed uint64) (*model.Model, error) {
			return learn.MLP(model.Spec{Height: 12, Width: 12, Channels: 1, Mean: []float64{0.5}, Std: []float64{0.25}}, 2, seed, 16)
		},
		Run: learn.Run{Sampler: learn.Shuffled(20), Epochs: 10, Optimizer: learn.Adam{LearningRate: 0.01}},
	}
	train, test, err := Halves(n, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	coins := Random(n, 5)
	measure := func(tasks ...Task) (Scores, int) {
		t.Helper()
		before := model.Compilations()
		scores, err := a.Of(images, train, test, tasks...)
		if err != nil {
			t.Fatal(err)
		}
		return scores, model.Compilations() - before
	}
	measure(bright)
	first, one := measure(bright)
	both, two := measure(bright, coins)
	t.Logf("%v of bright, %v of coins", both[0].Agreement, both[1].Agreement)
	if one == 0 || one != two {
		t.Errorf("one task compiles %d programs, and two %d", one, two)
	}
	if first[0].Agreement != both[0].Agreement || first[0].Cross != both[0].Cross {
		t.Errorf("the same task has the scores %v and %v", first[0].Agreement, both[0].Agreement)
	}
	if both[0].Agreement.Share() < 0.95 || both[1].Agreement.Share() > 0.85 || both[0].First.Share() < 0.95 || both[0].Agreement.Total != n/2 {
		t.Errorf("bright: %+v; coins: %v", both[0].First, both[1].Agreement)
	}
	if _, _, err := both.Mean(); err != nil {
		t.Error(err)
	}
	again, _ := measure(coins, bright)
	if again[1].First == (stats.Accuracy{}) || again[1].Agreement.Share() < 0.9 {
		t.Errorf("bright after coins: %v", again[1].Agreement)
	}
	bright.Labels[3] = 2
	if _, err := a.Of(images, train, test, bright); err == nil || !strings.Contains(err.Error(), "labels are 0 and 1") {
		t.Errorf("a third label: %v", err)
	}
	if _, err := (Agreement{}).Of(images, train, test, coins); err == nil {
		t.Error("an agreement of no networks")
	}
}
