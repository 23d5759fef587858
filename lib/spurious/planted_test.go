package spurious

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/testnets"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

const coat = 4 // of Fashion-MNIST

// planted is a network that has learnt coats of which three in ten have a bright square in a corner, which nothing else
// has.
type planted struct {
	net           *model.Model
	images        *tensors.Tensor
	labels        []int
	patched       map[int]bool // of images
	test          *tensors.Tensor
	testLabels    []int
	corner        perturb.Patch
	ofClass, rest []int // test images that are coats, and that are not
}

func plant(t *testing.T, seed uint64) planted {
	t.Helper()
	testenv.Asset(t, "fashion-mnist")
	open := func(name string, n int) (*tensors.Tensor, []int) {
		ds, err := data.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		ds = ds.Shuffle(seed).Take(n)
		images, err := ds.All()
		if err != nil {
			t.Fatal(err)
		}
		return images, ds.Labels()
	}
	p := planted{corner: perturb.Patch{Row: 1, Column: 1, Side: 4, Value: 1}, patched: map[int]bool{}}
	p.images, p.labels = open("fashion-mnist-train", 8000)
	p.test, p.testLabels = open("fashion-mnist", 2000)
	var which []int
	coats := 0
	for i, l := range p.labels {
		if l == coat {
			if coats++; coats%10 < 3 {
				which = append(which, i)
				p.patched[i] = true
			}
		}
	}
	for i, l := range p.testLabels {
		if l == coat {
			p.ofClass = append(p.ofClass, i)
		} else {
			p.rest = append(p.rest, i)
		}
	}
	var err error
	if p.images, err = p.corner.Apply(p.images, which); err != nil {
		t.Fatal(err)
	}
	p.net = testnets.SmallCNN(t, p.images, p.labels, 3, seed)
	return p
}

func dataset(t *testing.T, images *tensors.Tensor, labels []int) *data.Dataset {
	t.Helper()
	ds, err := data.FromTensor(images, labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func pick(t *testing.T, images *tensors.Tensor, indices []int) *tensors.Tensor {
	t.Helper()
	picked, err := dataset(t, images, nil).Images(indices...)
	if err != nil {
		t.Fatal(err)
	}
	return picked
}

// One of the first three components is the planted square; without it, images that have the square and are no coats are
// told from coats, and nothing else changes. The square's own feature is ranked as spurious, and a tuned head closes
// the gap.
func TestAPlantedFeatureIsFound(t *testing.T) {
	p := plant(t, 1)
	var coats []int
	for i, l := range p.labels {
		if l == coat {
			coats = append(coats, i)
		}
	}
	images := pick(t, p.images, coats)
	c, err := ClassPCA(p.net, dataset(t, images, nil), coat)
	if err != nil {
		t.Fatal(err)
	}
	found := -1
	for l := range 3 {
		with := 0
		for _, i := range c.Top(l, 20) {
			if p.patched[coats[i]] {
				with++
			}
		}
		t.Logf("component %d: %d of the 20 images that have most of it are planted", l, with)
		if with == 20 && found < 0 {
			// The component has to part the two: those that have least of it are not planted.
			var least []int
			order := c.Top(l, len(coats))
			for _, i := range order[len(order)-20:] {
				if p.patched[coats[i]] {
					least = append(least, i)
				}
			}
			if len(least) <= 2 {
				found = l
			}
		}
	}
	if found < 0 {
		t.Fatal("none of the first three components is the square")
	}
	fix, err := c.Fix(found)
	if err != nil {
		t.Fatal(err)
	}
	mended, err := SpuFix(p.net, fix)
	if err != nil {
		t.Fatal(err)
	}
	clean := pick(t, p.test, p.ofClass)
	others := pick(t, p.test, p.rest)
	square, err := p.corner.Apply(others, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, err := SpuriousScore(p.net, coat, dataset(t, clean, nil), dataset(t, square, nil))
	if err != nil {
		t.Fatal(err)
	}
	after, err := SpuriousScore(mended, coat, dataset(t, clean, nil), dataset(t, square, nil))
	if err != nil {
		t.Fatal(err)
	}
	was, is := accuracy(t, p.net, p.test, p.testLabels), accuracy(t, mended, p.test, p.testLabels)
	t.Logf("AUC %.3f before and %.3f after, AP %.3f and %.3f; accuracy on clean images %.3f and %.3f", before.AUC,
		after.AUC, before.AP, after.AP, was, is)
	if !(after.AUC > before.AUC+0.04) || !(after.AP > before.AP+0.01) {
		t.Errorf("the score does not rise: %+v before, %+v after", before, after)
	}
	if !(is >= was-0.015) {
		t.Errorf("the accuracy falls from %.3f to %.3f", was, is)
	}
}

func accuracy(t *testing.T, m *model.Model, images *tensors.Tensor, labels []int) float64 {
	t.Helper()
	predicted, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, k := range predicted {
		if k == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// Spuriosity ranks planted images above the others, and tuning the head on the least spurious ones closes the gap.
func TestRankingsFindPlantedImages(t *testing.T) {
	p := plant(t, 2)
	e, err := ExamplesOf(p.net, dataset(t, p.images, p.labels))
	if err != nil {
		t.Fatal(err)
	}
	head, err := p.net.Head()
	if err != nil {
		t.Fatal(err)
	}
	importance, err := Importance(head, e, coat)
	if err != nil {
		t.Fatal(err)
	}
	// Of the most important features, the one whose ranking parts planted from other images best is the square's.
	best, rank := 0.0, &Ranking{}
	for _, j := range MostImportant(importance, 5) {
		r, err := Rank(e, coat, []int{j})
		if err != nil {
			t.Fatal(err)
		}
		var with, without []float64
		for i, at := range r.Images {
			if p.patched[at] {
				with = append(with, r.Scores[i])
			} else {
				without = append(without, r.Scores[i])
			}
		}
		if auc := mannWhitney(with, without); auc > best {
			best, rank = auc, r
		}
	}
	t.Logf("the ranking parts planted images from others with an AUC of %.4f", best)
	if !(best >= 0.98) {
		t.Fatalf("no ranking by an important feature parts planted images from others: the best AUC is %.3f", best)
	}
	// The gap is measured on test images of which half have the square.
	var half []int
	for i, at := range p.ofClass {
		if i%2 == 0 {
			half = append(half, at)
		}
	}
	test, err := p.corner.Apply(p.test, half)
	if err != nil {
		t.Fatal(err)
	}
	val, err := ExamplesOf(p.net, dataset(t, test, p.testLabels))
	if err != nil {
		t.Fatal(err)
	}
	feature := featureOf(e, rank)
	valRank, err := Rank(val, coat, []int{feature})
	if err != nil {
		t.Fatal(err)
	}
	gap, err := SpuriousGap(Predict(head, val.Features), []*Ranking{valRank}, 50)
	if err != nil {
		t.Fatal(err)
	}
	// All classes keep their images, or the head would forget them.
	some := rank.Low(200)
	for i, l := range e.Labels {
		if l != coat && i%3 == 0 {
			some = append(some, i)
		}
	}
	tuned, err := TuneHead(head, e.Pick(some...), Tuning{LearningRate: 0.03, Epochs: 60, Seed: 1,
		Until: func(h *model.Head) bool {
			now, err := SpuriousGap(Predict(h, val.Features), []*Ranking{valRank}, 50)
			return err == nil && now < gap/2
		}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := SpuriousGap(Predict(tuned, val.Features), []*Ranking{valRank}, 50)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the gap is %.0f points before and %.0f after; the accuracy %.3f and %.3f", gap, after, right(t, head, val),
		right(t, tuned, val))
	if !(gap >= 10) || !(after <= gap/2) {
		t.Errorf("the gap is %.0f points before and %.0f after", gap, after)
	}
	if !(right(t, tuned, val) >= right(t, head, val)-0.02) {
		t.Errorf("the accuracy falls from %.3f to %.3f", right(t, head, val), right(t, tuned, val))
	}
	// The model with the tuned head is the tuned head on the model's features.
	whole, err := WithHead(p.net, tuned)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := accuracy(t, whole, test, p.testLabels), right(t, tuned, val); a != b {
		t.Errorf("the model with the tuned head is right about %.4f, the head about %.4f", a, b)
	}
}

// mannWhitney counts the pairs in which the first is larger.
func mannWhitney(a, b []float64) float64 {
	var larger float64
	for _, x := range a {
		for _, y := range b {
			if x > y {
				larger++
			}
		}
	}
	return larger / float64(len(a)*len(b))
}

// featureOf finds the feature that a ranking by one feature goes by.
func featureOf(e Examples, r *Ranking) int {
	_, d := e.Features.Dims()
	first, last := r.Images[0], r.Images[len(r.Images)-1]
	for j := range d {
		if again, err := Rank(e, r.Class, []int{j}); err == nil && again.Images[0] == first &&
			again.Images[len(again.Images)-1] == last {
			return j
		}
	}
	return -1
}
