package mask

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// linear is f(x) = w·x.
func linear(w ...float32) func(x *graph.Node) *graph.Node {
	return func(x *graph.Node) *graph.Node {
		return graph.ReduceSum(graph.Mul(x, graph.ExpandAxes(graph.Const(x.Graph(), w), 0)), -1)
	}
}

// The order, values and subset are what the authors' sis.py gives.
func TestVectorSISOfALinearFunction(t *testing.T) {
	found, err := VectorSIS(linear(3, -1, 2, 0.5, 0), 2, []float32{1, 1, 1, 1, 1}, make([]float32, 5))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("%d subsets: the rest is worth 1.5 and reaches no threshold of 2", len(found))
	}
	first := found[0]
	if !slices.Equal(first.Positions, []int{0}) || !slices.Equal(first.Back.Order, []int{1, 4, 3, 2, 0}) ||
		!slices.Equal(first.Back.ValueAfter, []float64{5.5, 5.5, 5, 3, 0}) || first.Value != 3 || first.Back.Start != 4.5 {
		t.Errorf("the first subset is %+v", first)
	}
}

// A softmax over a few weighted sums is a model whose order can be computed by hand.
func toy(t *testing.T, seed uint64, h, w int) *model.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	weights := make([][]float32, h*w*2)
	for i := range weights {
		weights[i] = []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64()), float32(rng.NormFloat64())}
	}
	m, err := model.FromFunc(model.Spec{Name: "toy", Height: h, Width: w, Channels: 2, Mean: []float64{0.4, 0.5},
		Std: []float64{0.3, 0.25}}, func(x *graph.Node) *graph.Node {
		flat := graph.Reshape(x, x.Shape().Dimensions[0], h*w*2)
		return graph.Dot(graph.Tanh(flat), graph.Const(x.Graph(), weights)).Product()
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noiseImages(n, h, w, c int, seed uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	flat := make([]float32, n*h*w*c)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(flat, n, h, w, c)
}

// slowBackSelect is BackSelect from its definition: whole images, masked on the host, one call of the model a step.
func slowBackSelect(t *testing.T, m *model.Model, image *tensors.Tensor, class int) (order []int, after []float64) {
	t.Helper()
	d := image.Shape().Dimensions
	gone := make([]float32, d[1]*d[2])
	for range gone {
		best, value := -1, 0.0
		for p := range gone {
			if gone[p] != 0 {
				continue
			}
			gone[p] = 1
			x, err := Apply(image, tensors.FromFlatDataAndDimensions(slices.Clone(gone), 1, d[1], d[2]), DatasetMean(m), 0)
			if err != nil {
				t.Fatal(err)
			}
			y, err := m.Probabilities(x)
			if err != nil {
				t.Fatal(err)
			}
			if v := float64(tensors.MustCopyFlatData[float32](y)[class]); best < 0 || v > value {
				best, value = p, v
			}
			gone[p] = 0
		}
		gone[best] = 1
		order, after = append(order, best), append(after, value)
	}
	return order, after
}

func TestSISMatchesItsDefinition(t *testing.T) {
	m := toy(t, 3, 3, 4)
	images := noiseImages(2, 3, 4, 2, 5)
	o, err := SIS{}.BackSelect(m, images)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		one := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](images)[i*24:(i+1)*24], 1, 3, 4, 2)
		order, after := slowBackSelect(t, m, one, o.Classes[i])
		for at, p := range order {
			if o.Rank[i][p] != int32(at) {
				t.Fatalf("image %d: pixel %d has rank %d, want %d", i, p, o.Rank[i][p], at)
			}
			got := float64(o.ConfidenceMasked[i])
			if at+1 < len(order) {
				got = float64(o.ConfidenceBefore[i][at+1])
			}
			if !approx.Equal(got, after[at], 1e-6) {
				t.Errorf("image %d: after %d pixels the probability is %v, want %v", i, at+1, got, after[at])
			}
		}
	}
}

// Subsets are disjoint, reach the threshold alone, and what is left after the last does not.
func TestCollection(t *testing.T) {
	m := toy(t, 7, 4, 4)
	images := noiseImages(1, 4, 4, 2, 9)
	s := SIS{Threshold: 0.6}
	found, err := s.Collection(m, images)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 2 {
		t.Fatalf("%d subsets: the test needs an image with several", len(found))
	}
	class, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	probability := func(on func(p int) bool) float64 {
		kept := make([]float32, 16)
		for p := range kept {
			if on(p) {
				kept[p] = 1
			}
		}
		x, err := Keep(images, tensors.FromFlatDataAndDimensions(kept, 1, 4, 4), DatasetMean(m), 0)
		if err != nil {
			t.Fatal(err)
		}
		y, err := m.Probabilities(x)
		if err != nil {
			t.Fatal(err)
		}
		return float64(tensors.MustCopyFlatData[float32](y)[class[0]])
	}
	taken := map[int]bool{}
	for i, subset := range found {
		for _, p := range subset.Positions {
			if taken[p] {
				t.Errorf("pixel %d is in two subsets", p)
			}
			taken[p] = true
		}
		if v := probability(func(p int) bool { return slices.Contains(subset.Positions, p) }); !(v >= 0.6) ||
			!approx.Equal(v, subset.Value, 1e-6) {
			t.Errorf("subset %d alone has probability %v, it says %v", i, v, subset.Value)
		}
	}
	if v := probability(func(p int) bool { return !taken[p] }); !(v < 0.6) {
		t.Errorf("without the subsets the probability is still %v", v)
	}
	s.Most = 1
	if one, err := s.Collection(m, images); err != nil || len(one) != 1 ||
		!slices.Equal(one[0].Positions, found[0].Positions) {
		t.Errorf("Most: 1 gives %v, %v", one, err)
	}
	s.Threshold = 1
	if none, err := s.Collection(m, images); err != nil || len(none) != 0 {
		t.Errorf("a threshold that the image does not reach gives %v, %v", none, err)
	}
}

// slowGradientSelect is the batched gradient method for one image, from its definition, on the host but for the
// gradient.
func slowGradientSelect(t *testing.T, m *model.Model, image *tensors.Tensor, class, k int) (rank []int32,
	before []float32) {
	t.Helper()
	d := image.Shape().Dimensions
	exec, err := model.NewExec(func(x, over, with *graph.Node) []*graph.Node {
		wide := graph.ExpandAxes(over, -1)
		mixed := graph.Add(graph.Mul(graph.OneMinus(wide), x), graph.Mul(wide, with))
		c := graph.Slice(graph.Softmax(m.Call(mixed).Logits), graph.AxisRange(), graph.AxisElem(class))
		return []*graph.Node{graph.ReduceAllSum(c), graph.Gradient(graph.ReduceAllSum(c), over)[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	with, err := filled(image, DatasetMean(m))
	if err != nil {
		t.Fatal(err)
	}
	rank = make([]int32, d[1]*d[2])
	gone := make([]float32, d[1]*d[2])
	for done := 0; done < len(rank); {
		out, err := exec.Call(image, tensors.FromFlatDataAndDimensions(slices.Clone(gone), 1, d[1], d[2]), with)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, tensors.MustCopyFlatData[float32](out[0])[0])
		g := tensors.MustCopyFlatData[float32](out[1])
		var left []int
		for p, v := range gone {
			if v == 0 {
				left = append(left, p)
			}
		}
		slices.SortStableFunc(left, func(a, b int) int {
			switch {
			case g[a] > g[b]:
				return -1
			case g[a] < g[b]:
				return 1
			}
			return 0
		})
		for _, p := range left[:min(k, len(left))] {
			gone[p], rank[p] = 1, int32(done)
			done++
		}
	}
	return rank, before
}

func TestBatchedGradientSISMatchesItsDefinition(t *testing.T) {
	m := toy(t, 1, 6, 7)
	m.BatchSize = 4 // so that the five images make two batches, one of them filled up
	images := noiseImages(5, 6, 7, 2, 2)
	for _, k := range []int{1, 4, 5, 42} {
		o, err := BatchedGradientSIS{K: k}.BackSelect(m, images)
		if err != nil {
			t.Fatal(err)
		}
		if o.Len() != 5 {
			t.Fatalf("k=%d: %d images", k, o.Len())
		}
		for i := range 5 {
			one := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](images)[i*84:(i+1)*84], 1, 6, 7, 2)
			rank, before := slowGradientSelect(t, m, one, o.Classes[i], k)
			if !slices.Equal(o.Rank[i], rank) {
				t.Errorf("k=%d, image %d: ranks %v, want %v", k, i, o.Rank[i], rank)
			}
			if len(before) != len(o.ConfidenceBefore[i]) {
				t.Fatalf("k=%d: %d confidences, want %d", k, len(o.ConfidenceBefore[i]), len(before))
			}
			for at, v := range before {
				if !approx.Equal(v, o.ConfidenceBefore[i][at], 1e-6) {
					t.Errorf("k=%d, image %d: before iteration %d %v, want %v", k, i, at, o.ConfidenceBefore[i][at], v)
				}
			}
		}
	}
}

// A model that looks at a known patch only must have its subsets there.
func TestSubsetsLieInThePlantedPatch(t *testing.T) {
	const h, w = 10, 12
	inPatch := func(p int) bool { row, column := p/w, p%w; return row >= 3 && row < 6 && column >= 7 && column < 10 }
	m, err := model.FromFunc(model.Spec{Name: "patch", Height: h, Width: w, Channels: 3}, func(x *graph.Node) *graph.Node {
		patch := graph.Slice(x, graph.AxisRange(), graph.AxisRange(3, 6), graph.AxisRange(7, 10))
		bright := graph.ReduceSum(patch, 1, 2, 3)
		return graph.Stack([]*graph.Node{graph.MulScalar(bright, 0.3), graph.MulScalar(bright, -0.3)}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	images := noiseImages(3, h, w, 3, 4)
	for _, s := range []BackSelector{SIS{}, BatchedGradientSIS{K: 1}, BatchedGradientSIS{K: 4},
		BatchedGradientSIS{K: 4, TieNoise: AuthorsTieNoise, Seed: 3}} {
		o, err := s.BackSelect(m, images)
		if err != nil {
			t.Fatal(err)
		}
		found, err := o.Sufficient(0.9)
		if err != nil {
			t.Fatal(err)
		}
		kept := tensors.MustCopyFlatData[float32](found.Kept)
		for i, size := range found.Sizes {
			if size < 1 || size > 9+o.K {
				t.Errorf("%s: image %d has a subset of %d pixels", o.Method, i, size)
			}
			// The last pixels of all are those that matter; an iteration of several masks others first.
			outside := 0
			for p, on := range kept[i*h*w : (i+1)*h*w] {
				if on != 0 && !inPatch(p) {
					outside++
				}
			}
			if outside >= o.K {
				t.Errorf("%s, k=%d: %d pixels of image %d's subset lie outside the patch", o.Method, o.K, outside, i)
			}
		}
		last, err := o.Last(9.0 / (h * w))
		if err != nil {
			t.Fatal(err)
		}
		for p, on := range tensors.MustCopyFlatData[float32](last)[:h*w] {
			if (on != 0) != inPatch(p) {
				t.Errorf("%s, k=%d: of the last nine pixels %d is one: %v", o.Method, o.K, p, on != 0)
			}
		}
	}
}

func TestTheTwoConventionsOfAFraction(t *testing.T) {
	// 10 pixels, 3 an iteration: iterations 0 0 0 1 1 1 2 2 2 3.
	o := &Ordering{K: 3, Height: 2, Width: 5, Rank: [][]int32{{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		ConfidenceBefore: [][]float32{{0.92, 0.8, 0.94, 0.3}}, ConfidenceMasked: []float32{0.1}}
	if got := tensors.MustCopyFlatData[int32](o.Iteration()); !slices.Equal(got, []int32{3, 2, 2, 2, 1, 1, 1, 0, 0, 0}) {
		t.Errorf("iterations %v", got)
	}
	count := func(mask *tensors.Tensor, err error) (n int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range tensors.MustCopyFlatData[float32](mask) {
			n += int(v)
		}
		return n
	}
	// ⌈0.25·10⌉ = 3 pixels; iterations from int(0.75·3) = 2 on have 4.
	if n := count(o.Last(0.25)); n != 3 {
		t.Errorf("Last keeps %d pixels", n)
	}
	if n := count(o.LastByIteration(0.25)); n != 4 {
		t.Errorf("LastByIteration keeps %d pixels", n)
	}
	for _, c := range []struct {
		threshold float64
		size      int
	}{{0.95, -1}, {0.9, 4}, {0.5, 4}, {0.25, 1}, {0.05, 0}} {
		s, err := o.Sufficient(c.threshold)
		if err != nil {
			t.Fatal(err)
		}
		if s.Sizes[0] != c.size || count(s.Kept, nil) != max(c.size, 0) {
			t.Errorf("at %v the subset has %d pixels, want %d", c.threshold, s.Sizes[0], c.size)
		}
	}
}

func TestARunThatEndsEarlySaysSo(t *testing.T) {
	m := toy(t, 1, 6, 7)
	images := noiseImages(2, 6, 7, 2, 2)
	whole, err := BatchedGradientSIS{K: 4}.BackSelect(m, images)
	if err != nil {
		t.Fatal(err)
	}
	part, err := BatchedGradientSIS{K: 4, Iterations: 5}.BackSelect(m, images)
	if err != nil {
		t.Fatal(err)
	}
	for i, rank := range part.Rank {
		for p, r := range rank {
			if r != min(whole.Rank[i][p], 20) {
				t.Fatalf("pixel %d of image %d has rank %d after 20, and %d in the end", p, i, r, whole.Rank[i][p])
			}
		}
		if len(part.ConfidenceBefore[i]) != 5 {
			t.Errorf("%d confidences of 5 iterations", len(part.ConfidenceBefore[i]))
		}
	}
	if _, err := part.Last(0.6); err != nil {
		t.Error(err)
	}
	if _, err := part.Last(0.05); err == nil || !strings.Contains(err.Error(), "20 of the 42") {
		t.Errorf("the last 5%% of a run that ended before: %v", err)
	}
}

func TestInterruptionKeepsWhatIsDone(t *testing.T) {
	m := toy(t, 1, 6, 7)
	m.BatchSize = 2
	images := noiseImages(6, 6, 7, 2, 2)
	if _, err := (BatchedGradientSIS{K: 1}).BackSelect(m, images); err != nil {
		t.Fatal(err)
	}
	ctx := testenv.CancelledAfter(5)
	defer interrupt.Use(ctx)()
	o, err := BatchedGradientSIS{K: 1}.BackSelect(m, images, 0)
	if err == nil || o == nil {
		t.Fatalf("interrupted it returns %v, %v", o, err)
	}
	// The filler takes one question, the probability of what is all mask three, one for each batch, and the first
	// iteration the fifth.
	if o.Len() != 2 || len(o.ConfidenceBefore[0]) != 1 || slices.Max(o.Rank[0]) != 1 {
		t.Errorf("%d of 6 images are kept, with %d iterations", o.Len(), len(o.ConfidenceBefore[0]))
	}
	ctx.Left = 0
	if o, err := (BatchedGradientSIS{K: 1}).BackSelect(m, images, 0); err == nil || o != nil {
		t.Errorf("interrupted at once it returns %v, %v", o, err)
	}
}

// Interrupted anywhere, every function returns what is done as a whole run has it.
func TestInterrupted(t *testing.T) {
	m := toy(t, 1, 3, 4)
	m.BatchSize = 2
	images := noiseImages(5, 3, 4, 2, 2)
	zeros := make([]int, 5)
	for _, by := range []BackSelector{SIS{}, BatchedGradientSIS{K: 4}} {
		whole, err := by.BackSelect(m, images, 0)
		if err != nil {
			t.Fatal(err)
		}
		testenv.Interrupt(t, func() (*Ordering, error) { return by.BackSelect(m, images, 0) }, func(part *Ordering) int {
			if part == nil {
				return 0
			}
			n := 0
			for i, before := range part.ConfidenceBefore {
				if !slices.Equal(before, whole.ConfidenceBefore[i][:len(before)]) {
					t.Fatalf("image %d has other probabilities", i)
				}
				for p, rank := range part.Rank[i] {
					if want := whole.Rank[i][p]; rank != want && (int(want) < len(before)*part.K || int(rank) != len(before)*part.K) {
						t.Fatalf("pixel %d of image %d has the rank %d, not %d", p, i, rank, want)
					}
				}
				if len(before) == len(whole.ConfidenceBefore[i]) {
					n++
				}
			}
			return n
		})
	}

	subsets := func(do func() ([]Subset, error)) {
		t.Helper()
		whole, err := do()
		if err != nil || len(whole) < 2 {
			t.Fatalf("%d subsets: %v", len(whole), err)
		}
		testenv.Interrupt(t, do, func(part []Subset) int {
			if !reflect.DeepEqual(append([]Subset{}, part...), whole[:len(part)]) {
				t.Fatalf("the %d subsets are others", len(part))
			}
			return len(part)
		})
	}
	square, x := toy(t, 7, 4, 4), noiseImages(1, 4, 4, 2, 9)
	subsets(func() ([]Subset, error) { return SIS{Threshold: 0.6}.Collection(square, x) })
	subsets(func() ([]Subset, error) {
		return VectorSIS(linear(1, 1, 1, 1, 1), 2, []float32{1, 1, 1, 1, 1}, make([]float32, 5))
	})

	testenv.Interrupt(t, func() (Score, error) { return Evaluate(m, images, zeros, zeros) }, func(part Score) int {
		if part.Accuracy.Total > 0 {
			some, err := rows.Take(images, 0, part.Accuracy.Total, part.Accuracy.Total)
			if err != nil {
				t.Fatal(err)
			}
			if whole, err := Evaluate(m, some, zeros[:part.Accuracy.Total], zeros[:part.Accuracy.Total]); err != nil ||
				part != whole {
				t.Fatalf("the score is %v, not %v: %v", part, whole, err)
			}
		}
		return part.Accuracy.Total
	})
	models, twice := []*model.Model{m, toy(t, 2, 3, 4)}, []*tensors.Tensor{images, noiseImages(5, 3, 4, 2, 3)}
	whole, err := Transfer(models, twice, zeros)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (TransferScores, error) { return Transfer(models, twice, zeros) },
		func(part TransferScores) int {
			n := 0
			for i, row := range part {
				if !slices.Equal(row, whole[i][:len(row)]) {
					t.Fatalf("row %d is %v", i, row)
				}
				n += len(row)
			}
			return n
		})
	corner := tensors.FromScalarAndDimensions(float32(0.5), 40, 3, 4)
	many := noiseImages(40, 3, 4, 2, 4)
	filled, err := Apply(many, corner, Noise(), 7)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*tensors.Tensor, error) { return Apply(many, corner, Noise(), 7) },
		func(part *tensors.Tensor) int {
			if part == nil {
				return 0
			}
			got := tensors.MustCopyFlatData[float32](part)
			if !slices.Equal(got, tensors.MustCopyFlatData[float32](filled)[:len(got)]) {
				t.Fatal("the images that are done are others")
			}
			return part.Shape().Dimensions[0]
		})
}

// The scores are those of counting by hand, and transfer puts each model on each other's images.
func TestEvaluateAndTransfer(t *testing.T) {
	a, b := toy(t, 1, 3, 4), toy(t, 2, 3, 4)
	images := [2]*tensors.Tensor{noiseImages(20, 3, 4, 2, 1), noiseImages(20, 3, 4, 2, 2)}
	labels := make([]int, 20)
	for i := range labels {
		labels[i] = i % 3
	}
	scores, err := Transfer([]*model.Model{a, b}, images[:], labels)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range images {
		for j, m := range []*model.Model{a, b} {
			y, err := m.Probabilities(x)
			if err != nil {
				t.Fatal(err)
			}
			p := tensors.MustCopyFlatData[float32](y)
			right, sum := 0, 0.0
			for n, label := range labels {
				row := p[n*3 : n*3+3]
				if row[label] == slices.Max(row) {
					right++
				}
				sum += float64(row[label])
			}
			s := scores[i][j]
			if (s.Accuracy != stats.Accuracy{Correct: right, Total: 20}) || !approx.Equal(s.Confidence, sum/20, 1e-6) {
				t.Errorf("model %d on images %d: %v, want accuracy %v and confidence %v", j, i, s, float64(right)/20, sum/20)
			}
			if !(s.ConfidenceInterval.Low < s.Confidence && s.Confidence < s.ConfidenceInterval.High) {
				t.Errorf("the interval of %v does not hold its value", s)
			}
		}
	}
	if _, err := Transfer([]*model.Model{a}, images[:], labels); err == nil {
		t.Error("one model takes two sets of images")
	}
}

func TestSubsetOfAnOrdering(t *testing.T) {
	m := toy(t, 1, 3, 4)
	o, err := BatchedGradientSIS{K: 5}.BackSelect(m, noiseImages(4, 3, 4, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	some := o.Subset(3, 1)
	if some.Len() != 2 || !slices.Equal(some.Rank[0], o.Rank[3]) || some.Classes[1] != o.Classes[1] ||
		!slices.Equal(some.ConfidenceBefore[1], o.ConfidenceBefore[1]) {
		t.Errorf("images 3 and 1 of %v are %v", o.Rank, some.Rank)
	}
	defer func() {
		if recover() == nil {
			t.Error("there is an image 4 of 4")
		}
	}()
	o.Subset(4)
}

func TestNothingIsCompiledTwice(t *testing.T) {
	m := toy(t, 1, 6, 7)
	images := noiseImages(4, 6, 7, 2, 2)
	b := BatchedGradientSIS{K: 4}
	if _, err := b.BackSelect(m, images); err != nil {
		t.Fatal(err)
	}
	if _, err := (SIS{}).BackSelect(m, images); err != nil {
		t.Fatal(err)
	}
	before := model.Compilations()
	for seed := range uint64(2) {
		if _, err := b.BackSelect(m, noiseImages(4, 6, 7, 2, seed)); err != nil {
			t.Fatal(err)
		}
		if _, err := (SIS{}).BackSelect(m, noiseImages(2, 6, 7, 2, seed)); err != nil {
			t.Fatal(err)
		}
	}
	// Two images are another batch size for the model's Predict, nothing else.
	if n := model.Compilations() - before; n > 1 {
		t.Errorf("%d programs were compiled again", n)
	}
}

func TestSISRefuses(t *testing.T) {
	m := toy(t, 1, 6, 7)
	images := noiseImages(2, 6, 7, 2, 2)
	one := noiseImages(1, 6, 7, 2, 2)
	bad := noiseImages(2, 6, 7, 2, 2)
	tensors.MustMutableFlatData(bad, func(flat []float32) { flat[100] = float32(math.NaN()) })
	o, err := BatchedGradientSIS{K: 4}.BackSelect(m, images)
	if err != nil {
		t.Fatal(err)
	}
	for says, do := range map[string]func() error{
		"a probability lies between 0 and 1": func() error { _, err := SIS{Threshold: 1.2}.Collection(m, one); return err },
		"the threshold is NaN":               func() error { _, err := o.Sufficient(math.NaN()); return err },
		"k is -1": func() error {
			_, err := BatchedGradientSIS{K: -1}.BackSelect(m,
				images)
			return err
		},
		"between 1 and 42": func() error {
			_, err := BatchedGradientSIS{K: 43}.BackSelect(m,
				images)
			return err
		},
		"class 3 does not exist": func() error {
			_, err := BatchedGradientSIS{}.BackSelect(m, images,
				3)
			return err
		},
		"NaN":                            func() error { _, err := BatchedGradientSIS{}.BackSelect(m, bad); return err },
		"row 1, column 1, channel 0 has": func() error { _, err := SIS{}.BackSelect(m, bad, 0); return err },
		"one image, not 2":               func() error { _, err := SIS{}.Collection(m, images); return err },
		"the tensor is nil":              func() error { _, err := SIS{}.BackSelect(m, nil); return err },
		"the fraction of pixels is 5":    func() error { _, err := o.Last(5); return err },
		"the fraction of iterations is":  func() error { _, err := o.LastByIteration(-0.1); return err },
		"one value for each channel": func() error {
			_, err := BatchedGradientSIS{Filler: Color(1)}.BackSelect(m,
				images)
			return err
		},
		"tie noise": func() error {
			_, err := BatchedGradientSIS{TieNoise: -1}.BackSelect(m,
				images)
			return err
		},
		"-2 iterations": func() error {
			_, err := BatchedGradientSIS{Iterations: -2}.BackSelect(m,
				images)
			return err
		},
		"with everything masked":  func() error { _, err := SIS{Threshold: 0.01}.Collection(m, one); return err },
		"1 labels for 2 images":   func() error { _, err := Evaluate(m, images, []int{0}, nil); return err },
		"image 1 has the label 9": func() error { _, err := Evaluate(m, images, []int{0, 9}, nil); return err },
		"2 values has 1": func() error {
			_, err := VectorSIS(linear(1, 2), 1, []float32{1, 2},
				[]float32{0})
			return err
		},
		"one value for each": func() error {
			_, err := VectorSIS(func(x *graph.Node) *graph.Node { return x }, 1, []float32{1, 2}, []float32{0, 0})
			return err
		},
		"is not a number": func() error {
			_, err := VectorSIS(func(x *graph.Node) *graph.Node { return graph.ReduceSum(graph.Log(graph.Neg(x)), -1) }, 1,
				[]float32{1, 2}, []float32{0, 0})
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

// Filling with the dataset mean is the authors' masking with zero after normalisation, to the bit.
func TestDatasetMeanIsZeroAfterNormalisation(t *testing.T) {
	var seen *model.Model
	seen, err := model.FromFunc(model.Spec{Name: "normalised", Height: 4, Width: 5, Channels: 3,
		Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}, func(x *graph.Node) *graph.Node {
		return graph.Reshape(x, x.Shape().Dimensions[0], 60)
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := filled(noiseImages(1, 4, 5, 3, 1), DatasetMean(seen))
	if err != nil {
		t.Fatal(err)
	}
	y, err := seen.Output(x)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensors.MustCopyFlatData[float32](y) {
		if v != 0 {
			t.Fatalf("value %d is %v", i, v)
		}
	}
	if y.DType() != dtypes.Float32 {
		t.Error(y.DType())
	}
}
