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
	if len(seen) != 126 || real[0].Name != "classes 0, 1, 2, 3, 4" || real[1].Name != "classes 0, 1, 2, 3, 5" ||
		real[125].Name != "classes 0, 6, 7, 8, 9" {
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
	alike, err := Similarity(coins, others)
	if err != nil || alike.Share() > 0.56 || alike.Share() < 0.5 {
		t.Errorf("two coins are alike on %v: %v", alike, err)
	}
	opposite := Task{Name: "opposite", Labels: make([]int, 1000)}
	for i, label := range coins.Labels {
		opposite.Labels[i] = 1 - label
	}
	if alike, err := Similarity(coins, opposite); err != nil || alike.Share() != 1 {
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
	a, b, c := Task{"a", []int{0, 0, 1, 1}}, Task{"b", []int{1, 1, 0, 0}}, Task{"c", []int{0, 1, 1, 1}}
	if like, err := MeanSimilarity(a, b, c); err != nil || !approx.Equal(like, (1+0.75+0.75)/3, 1e-12) {
		t.Errorf("an opposite and two that differ in one image are alike by %g: %v", like, err)
	}
	if _, err := MeanSimilarity(a); err == nil {
		t.Error("one task is like itself")
	}
	if nearest, on, err := Nearest(c, []Task{{"half", []int{0, 0, 1, 0}}, a, b}); err != nil || nearest.Name != "a" ||
		on != (stats.Accuracy{Correct: 3, Total: 4}) {
		t.Errorf("the nearest is %v on %v: %v", nearest, on, err)
	}
	if near, err := Nearness([]Task{a, c}, a, b, Task{"half", []int{0, 0, 1, 0}}); err != nil ||
		!approx.Equal(near, (1+1+0.75)/3, 1e-12) {
		t.Errorf("the nearest are alike by %g: %v", near, err)
	}
	if _, err := Nearness([]Task{a}); err == nil {
		t.Error("no task has a nearest")
	}
	if _, _, err := Nearest(c, nil); err == nil {
		t.Error("there is a nearest of none")
	}
	if part, err := Restrict([]int{3, 0}, c, b); err != nil || !slices.Equal(part[0].Labels, []int{1, 0}) ||
		!slices.Equal(part[1].Labels, []int{0, 1}) || part[1].Name != "b" {
		t.Errorf("on two images the tasks are %v: %v", part, err)
	}
	if _, err := Restrict([]int{4}, c); err == nil {
		t.Error("a task has a label of an image that is not there")
	}
	first, second, err := Halves(10, 0.7, 1)
	if both := slices.Sorted(slices.Values(slices.Concat(first, second))); err != nil || len(first) != 7 ||
		!slices.Equal(both, labels) {
		t.Errorf("%v and %v: %v", first, second, err)
	}
}

// A task that is dealt anew has of each class as many as before and is another one, and a split by it as many images of
// each label as one by the task itself.
func TestDealt(t *testing.T) {
	const n = 600
	asked, classes, other := Task{Name: "asked", Labels: make([]int, n)}, make([]int, n),
		Task{Name: "other", Labels: make([]int, n)}
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range n {
		classes[i] = i % 6
		asked.Labels[i] = classes[i] / 3
		if rng.IntN(6) <= classes[i] {
			other.Labels[i] = 1
		}
	}
	counted := func(t Task, of []int) (counts [6]int) {
		for i, class := range of {
			counts[class] += t.Labels[i]
		}
		return counts
	}
	for name, of := range map[string][]int{"labels": asked.Labels, "classes": classes} {
		dealt, err := PermuteLabels(other, of, 1)
		if err != nil {
			t.Fatal(err)
		}
		if counted(dealt, of) != counted(other, of) {
			t.Errorf("by %s: %v images are 1 of %v", name, counted(dealt, of), counted(other, of))
		}
		again, err := PermuteLabels(other, of, 1)
		if err != nil || !slices.Equal(again.Labels, dealt.Labels) {
			t.Errorf("by %s: one seed deals in two ways: %v", name, err)
		}
		if next, err := PermuteLabels(other, of, 2); err != nil || slices.Equal(next.Labels, dealt.Labels) {
			t.Errorf("by %s: two seeds deal in one way: %v", name, err)
		}
		train, test, err := Split(asked, other)
		if err != nil {
			t.Fatal(err)
		}
		dealtTrain, dealtTest, err := Split(asked, dealt)
		if err != nil {
			t.Fatal(err)
		}
		for _, both := range [][2][]int{{train, dealtTrain}, {test, dealtTest}} {
			var ones [2]int
			for k, numbers := range both {
				for _, i := range numbers {
					ones[k] += asked.Labels[i]
				}
			}
			if len(both[0]) != len(both[1]) || ones[0] != ones[1] {
				t.Errorf("by %s: the splits have %d and %d images, of which %d are 1", name, len(both[0]), len(both[1]), ones)
			}
		}
	}
	byLabels, err := PermuteLabels(other, asked.Labels, 1)
	if err != nil || counted(byLabels, classes) == counted(other, classes) {
		t.Errorf("dealt by two labels each of six classes has what it had: %v", err)
	}
	if _, err := PermuteLabels(other, classes[1:], 1); err == nil {
		t.Error("labels are dealt to a class that is missing")
	}
}

func TestSides(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4, 1}, 4, 1, 1, 1)
	some, all := Task{"some", []int{0, 1, 0, 1}}, Task{"all", []int{1, 1, 1, 1}}
	grid, err := Sides(images, 3, 1, some, all)
	if err != nil {
		t.Fatal(err)
	}
	grey := func(row, at int) int {
		if grid.Rows[row][at].Image == nil {
			return -1
		}
		r, _, _, _ := grid.Rows[row][at].Image.At(0, 0).RGBA()
		return int(r >> 8)
	}
	for row, want := range [][]int{{51, -1, -1, -1, 153, -1, -1, -1}, {-1, -1, -1, -1, 102}} {
		for at, v := range want {
			if at%4 == 0 && grey(row, at) != v {
				t.Errorf("the mean at %d of %s is %d, want %d", at, grid.Labels[row], grey(row, at), v)
			}
		}
	}
	shown := func(row, from, to int) (values []int) {
		for at := from; at < to; at++ {
			values = append(values, grey(row, at))
		}
		slices.Sort(values)
		return values
	}
	if a, b := shown(0, 1, 4), shown(0, 5, 8); !slices.Equal(a, []int{-1, 0, 102}) ||
		!slices.Equal(b, []int{-1, 51, 255}) {
		t.Errorf("on the sides are %v and %v", a, b)
	}
	if a := shown(1, 0, 4); !slices.Equal(a, []int{-1, -1, -1, -1}) || len(grid.Columns) != 8 {
		t.Errorf("on a side without images are %v", a)
	}
	if _, err := Sides(images, 3, 1, Task{"short", []int{0}}); err == nil {
		t.Error("a task of other images is shown")
	}
	if _, err := Sides(images, 0, 1, some); err == nil {
		t.Error("no images are shown")
	}
	table, err := ByClass([]int{0, 1, 1, -1}, []string{"x", "y"}, some)
	if err != nil || len(table.Rows) != 1 || fmt.Sprint(table.Rows[0]) != "[some 0 0.5]" ||
		fmt.Sprint(table.Header) != "[labels that are 1 x y]" {
		t.Errorf("%v with the head %v: %v", table.Rows, table.Header, err)
	}
	if _, err := ByClass([]int{0, 1, 1, 2}, []string{"x", "y"}, some); err == nil {
		t.Error("a class without a name")
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
	hard, err := AgreementScore(a, b)
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
	// a says 1, 0, 1 and b says 1, 1, 1: 2/3 by chance, which is what they do.
	s := Score{Agreement: hard, First: stats.Accuracy{Correct: 1, Total: 3}, Second: stats.Accuracy{Correct: 2, Total: 3}}
	if s.Expected, err = expected(a, b); err != nil || !approx.Equal(s.Expected, 2./3, 1e-12) ||
		!approx.Equal(s.Kappa(), 0, 1e-12) {
		t.Errorf("by chance they agree on %g, kappa is %g: %v", s.Expected, s.Kappa(), err)
	}
	if s.Expected, err = expected(a, a); err != nil || !approx.Equal(s.Expected, 5./9, 1e-12) || s.Accuracy() != 0.5 {
		t.Errorf("a network agrees with itself on %g by chance, accuracy %g: %v", s.Expected, s.Accuracy(), err)
	}
	more := s
	more.Agreement, more.First = stats.Accuracy{Correct: 3, Total: 3}, stats.Accuracy{Correct: 2, Total: 3}
	if all := (Scores{s, more}); !approx.Equal(all.Agreement(), 5./6, 1e-12) ||
		!approx.Equal(all.Accuracy(), 7./12, 1e-12) || !approx.Equal(more.Kappa(), 1, 1e-12) {
		t.Errorf("the means are %g and %g", all.Agreement(), all.Accuracy())
	}
	if _, err := AgreementScore(a, answers(0, 1)); err == nil {
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
			return learn.MLP(model.Spec{Height: 12, Width: 12, Channels: 1, Mean: []float64{0.5}, Std: []float64{0.25}},
				2, seed, 16)
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
	if both[0].Agreement.Share() < 0.95 || both[1].Agreement.Share() > 0.85 || both[0].First.Share() < 0.95 ||
		both[0].Agreement.Total != n/2 {
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

// A network that is asked for a faint mark learns how bright an image is instead where the split lets it, and is wrong
// where the two differ. On a split by a task that is dealt anew, of the same sizes and labels, it is right.
func TestAnAdversarialSplit(t *testing.T) {
	const n = 600
	rng, flat := rand.New(rand.NewPCG(5, 1)), make([]float32, 64*n)
	mark, bright := Task{Name: "mark", Labels: make([]int, n)}, Task{Name: "bright", Labels: make([]int, n)}
	for i := range n {
		mark.Labels[i], bright.Labels[i] = rng.IntN(2), rng.IntN(2)
		for k := range 64 {
			flat[64*i+k] = 0.4*rng.Float32() + 0.3*float32(bright.Labels[i])
		}
		for k := range 8 {
			flat[64*i+k] += 0.3 * float32(mark.Labels[i])
		}
	}
	images := tensors.FromFlatDataAndDimensions(flat, n, 8, 8, 1)
	a := Agreement{
		Make: func(seed uint64) (*model.Model, error) {
			return learn.MLP(model.Spec{Height: 8, Width: 8, Channels: 1, Mean: []float64{0.4}, Std: []float64{0.2}},
				2, seed, 16)
		},
		Run: learn.Run{Sampler: learn.Shuffled(32), Epochs: 20, Optimizer: learn.Adam{LearningRate: 0.005}},
	}
	// The classes are the four groups, of which the split takes two away from training whole: so does its control.
	groups := make([]int, n)
	for i := range n {
		groups[i] = 2*mark.Labels[i] + bright.Labels[i]
	}
	s, err := a.OfSplits(images, groups, 1, []Task{mark}, []Task{bright})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.3f are right on the adversarial split, %.3f on one of the same labels, %.3f of the same classes",
		s.Adversarial.Accuracy(), s.SameLabels.Accuracy(), s.SameClasses.Accuracy())
	if s.Adversarial.Accuracy() > 0.3 || s.SameLabels.Accuracy() < 0.9 ||
		s.SameClasses.Accuracy() != s.Adversarial.Accuracy() {
		t.Errorf("%v, %v, %v", s.Adversarial[0], s.SameLabels[0], s.SameClasses[0])
	}
	if a, b := s.Adversarial[0].Agreement.Total, s.SameLabels[0].Agreement.Total; a != b || a < n/3 ||
		len(s.Adversarial) != 1 {
		t.Errorf("one split asks about %d images, the other about %d", a, b)
	}
	if table, err := s.Table(); err != nil || len(table.Rows) != 1 || fmt.Sprint(table.Rows[0][:2]) != "[mark bright]" {
		t.Errorf("%v: %v", table.Rows, err)
	}
	if _, err := a.OfSplits(images, groups, 1, []Task{mark}, []Task{bright, mark}); err == nil {
		t.Error("two splits of one task that is asked for")
	}
	grid, err := SplitSides(images, 4, 1, mark, bright)
	if err != nil || len(grid.Rows) != 4 || len(grid.Rows[3]) != 4 || grid.Rows[3][3].Image == nil {
		t.Errorf("%d rows are shown: %v", len(grid.Rows), err)
	}
}
