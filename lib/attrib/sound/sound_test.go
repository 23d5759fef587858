package sound

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// corners is a network of three classes, each of which is the mean brightness of a corner of 12x12 pixels times 20; the
// fourth corner is for nobody. So what a complete mask for class c has to keep is known.
func corners(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "corners", Height: 12, Width: 12, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			corner := func(y, x2 int) *graph.Node {
				part := graph.Slice(x, graph.AxisRange(), graph.AxisRange(y, y+4), graph.AxisRange(x2, x2+4), graph.AxisRange())
				return graph.ReduceMean(part, 1, 2)
			}
			return graph.MulScalar(graph.Concatenate([]*graph.Node{corner(0, 0), corner(0, 8), corner(8, 0)}, -1), 20)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lit are images of random greys up to a half, whose corner of class i%3 is white.
func lit(n int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	flat := make([]float32, n*144)
	for i := range flat {
		flat[i] = rng.Float32() / 2
		y, x := i%144/12, i%12
		if c := i / 144 % 3; y/4 == c/2*2 && x/4 == c%2*2 {
			flat[i] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 12, 12, 1)
}

func inCorner(c, pixel int) bool { return pixel/12/4 == c/2*2 && pixel%12/4 == c%2*2 }

func TestMasksFindWhatTheClassIs(t *testing.T) {
	m := corners(t)
	images := lit(6)
	for _, learn := range []Masks{{Scale: 1}, {Scale: 4, TV: 0.01}, {Scale: 1, Loss: DoubleSoftmax}} {
		learn.Others, learn.L1, learn.Steps, learn.Fillers = lit(9), 0.005, 300, 4
		learned, err := learn.Learn(m, images, All(m, 6))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](learned.Values)
		for i := range 6 {
			c := i % 3 // the white corner, which is the predicted class
			own := flat[(i*3+c)*144 : (i*3+c+1)*144]
			var inside, outside float64
			for p, v := range own {
				if !(v >= 0) || !(v <= 1) {
					t.Fatalf("a mask has the value %g", v)
				}
				if inCorner(c, p) {
					inside += float64(v) / 16
				} else {
					outside += float64(v) / 128
				}
			}
			if !(inside >= outside+0.3) {
				t.Errorf("%s, %s: the mask of image %d keeps %.2f of its corner and %.2f of the rest", learn.Name(), learn.Loss, i,
					inside, outside)
			}
			if got := learned.Loss[i][c]; len(got) != 300 || !(got[299] < got[0]) {
				t.Errorf("%s: the loss of image %d goes from %g to %g in %d steps", learn.Name(), i, got[0],
					got[len(got)-1], len(got))
			}
		}
		e, err := Insertion{}.Evaluate(m, images, &learned.Maps)
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Score(0)
		if err != nil {
			t.Fatal(err)
		}
		random, err := Insertion{}.Compare(m, images, All(m, 6), Random{})
		if err != nil {
			t.Fatal(err)
		}
		chance, err := random[0].Score(0)
		if err != nil {
			t.Fatal(err)
		}
		if !(s.Completeness >= chance.Completeness+0.05) || !(s.Completeness >= 0.97) {
			t.Errorf("%s: completeness is %.3f, by chance %.3f", learn.Name(), s.Completeness, chance.Completeness)
		}
	}
}

// More TV makes masks smoother, and more L1 smaller.
func TestRegularizersDoWhatTheySay(t *testing.T) {
	m := corners(t)
	images := lit(3)
	measure := func(l1, tv float64) (sum, variation float64) {
		learned, err := Masks{Others: lit(9), L1: l1, TV: tv, Steps: 100, Fillers: 2}.Learn(m, images, All(m, 3))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](learned.Values)
		for i, v := range flat {
			sum += float64(v)
			if i%12 < 11 {
				variation += math.Pow(float64(flat[i+1]-v), 2)
			}
		}
		return sum, variation
	}
	sum, variation := measure(0.001, 0)
	if _, smooth := measure(0.001, 0.5); !(smooth <= variation/3) {
		t.Errorf("squared differences are %g without TV and %g with it", variation, smooth)
	}
	if small, _ := measure(0.2, 0); !(small <= 0.75*sum) {
		t.Errorf("masks sum to %g with little L1 and to %g with much", sum, small)
	}
}

// A mask does not depend on what is learnt beside it, on how many pairs a batch has, nor on how many steps a call
// makes.
func TestMasksAreTheSameInAnyBatch(t *testing.T) {
	images := lit(4)
	// more steps than a call makes, and no multiple
	learn := Masks{Others: lit(9), L1: 0.005, Steps: 61, Fillers: 2, Seed: 7}
	var all []float32
	for _, batch := range []int{1, 6, 256} {
		m := corners(t)
		m.BatchSize = batch
		learned, err := learn.Learn(m, images, All(m, 4))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](learned.Values)
		for i, v := range all {
			if !approx.Equal(v, flat[i], 1e-5) {
				t.Fatalf("batches of %d: value %d is %g, and %g in batches of 1", batch, i, flat[i], v)
			}
		}
		all = flat
	}
	learn.Seed = 8
	other, err := learn.Learn(corners(t), images, All(corners(t), 4))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(tensors.MustCopyFlatData[float32](other.Values), all) {
		t.Error("another seed gives the same masks")
	}
}

// Enlarging a constant leaves it, and values between centres lie between them.
func TestEnlarging(t *testing.T) {
	for _, c := range []struct{ long, short, scale int }{{8, 2, 4}, {7, 7, 1}, {10, 3, 4}, {12, 3, 4}} {
		flat := tensors.MustCopyFlatData[float32](enlarging(c.long, c.short, c.scale))
		for i := range c.long {
			var sum float32
			for _, v := range flat[i*c.short : (i+1)*c.short] {
				sum += v
			}
			if sum != 1 {
				t.Errorf("row %d of %v sums to %g", i, c, sum)
			}
		}
	}
	// PyTorch: nn.Upsample(scale_factor=4, mode="bilinear")(tensor([0, 1])) is 0, 0, 1/8, 3/8, 5/8, 7/8, 1, 1.
	got := tensors.MustCopyFlatData[float32](enlarging(8, 2, 4))
	for i, want := range []float32{0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1} {
		if got[2*i+1] != want {
			t.Errorf("row %d is %g, want %g", i, got[2*i+1], want)
		}
	}
}

// A perfect map of a class that the network predicts is complete, and the curve ends at the probability of the image as
// it is.
func TestInsertion(t *testing.T) {
	m := corners(t)
	images := lit(3)
	values := make([]float32, 3*3*144)
	for i := range 3 {
		for c := range 3 {
			for p := range 144 {
				if inCorner(c, p) {
					values[(i*3+c)*144+p] = 2
				}
			}
		}
	}
	e, err := Insertion{Points: 9}.Evaluate(m, images, &Maps{Method: "truth", Labels: All(m, 3),
		Values: tensors.FromFlatDataAndDimensions(values, 3, 3, 12, 12)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if e.Predicted[i] != i {
			t.Fatalf("image %d is predicted as %d", i, e.Predicted[i])
		}
		if !(e.Completeness[i][i] >= 0.99) {
			t.Errorf("the true map of image %d has the completeness %g", i, e.Completeness[i][i])
		}
		for c := range 3 {
			if last := e.Curve[i][c][8]; !approx.Equal(last, e.Probability[i][c], 1e-6) {
				t.Errorf("the curve of image %d and label %d ends at %g, the image has %g", i, c, last, e.Probability[i][c])
			}
			// A grey corner alone is still brighter than the black ones: the true map of a wrong label makes the
			// network say it.
			if c != i && !(e.Soundness[i][c] <= 0.95) {
				t.Errorf("the map of image %d for label %d has the soundness %g", i, c, e.Soundness[i][c])
			}
		}
	}
	// With grey in the place of the pixels that are gone the other corners stay as bright, and the wrong labels are not
	// said.
	grey, err := Insertion{Points: 9, Filler: mask.Constant(0.5)}.Evaluate(m, images, e.Maps)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for c := range 3 {
			if c != i && !(grey.Soundness[i][c] >= 0.99) {
				t.Errorf("over grey the map of image %d for label %d has the soundness %g", i, c, grey.Soundness[i][c])
			}
		}
	}
	for _, show := range []func() error{
		func() error { _, err := e.Sheet(images); return err },
		func() error { _, err := e.Kept(m, images, 0.1, mask.Filler{}); return err },
		func() error { _, err := Table(e, grey); return err },
		func() error {
			a, b := Curves(e, grey)
			_, err := a.Plot()
			_, err2 := b.Plot()
			return errors.Join(err, err2)
		},
	} {
		if err := show(); err != nil {
			t.Error(err)
		}
	}
	if sheet, err := e.First(2).Sheet(images); err != nil || len(sheet.Rows) != 2 {
		t.Errorf("the first two images have a sheet of %d rows: %v", len(sheet.Rows), err)
	}
	sheet, err := e.Sheet(images)
	if err != nil {
		t.Fatal(err)
	}
	if got := sheet.Rows[1][2].Title; !strings.HasPrefix(got, "p 1.00, α 1.00") || len(sheet.Rows) != 3 ||
		len(sheet.Columns) != 4 {
		t.Errorf("the sheet says %q in %d rows and %d columns", got, len(sheet.Rows), len(sheet.Columns))
	}
}

func TestMetricsAtTheirEnds(t *testing.T) {
	for _, c := range []struct{ auc, p, alpha, beta float64 }{
		{1, 1, 1, 1},
		{0.5, 1, 0.5, 1},
		{0, 1, 0.1, 1}, // ε
		{0, 0, 1, 1},   // nothing is said and nothing is to be said
		{1, 0, 1, 0.1}, // a label that the network rejects is said all along
		{0.5, 0.2, 1, 0.4},
		{0.09, 0.01, 1, 1}, // below ε both ways
	} {
		if a, b := Completeness(c.auc, c.p, 0.1), Soundness(c.auc, c.p, 0.1); !approx.Equal(a, c.alpha, 1e-12) ||
			!approx.Equal(b, c.beta, 1e-12) {
			t.Errorf("AUC %g at p %g has α %g and β %g, want %g and %g", c.auc, c.p, a, b, c.alpha, c.beta)
		}
	}
}

// Any method is evaluated, a learned mask through the same door.
func TestCompare(t *testing.T) {
	m := corners(t)
	images := lit(3)
	learn := PaperMasks(m, lit(9))
	learn.Steps, learn.Fillers = 60, 2
	if !approx.Equal(learn.L1*144, 2e-5*224*224, 1e-12) {
		t.Errorf("a full mask costs %g", learn.L1*144)
	}
	all, err := Insertion{}.Compare(m, images, All(m, 3), attrib.InputXGradient{}, attrib.IntegratedGradients{Steps: 8},
		Random{Seed: 3}, learn)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Maps.Method)
		s, err := e.Score(0)
		if err != nil {
			t.Fatal(err)
		}
		if !(s.Worst <= s.Soundness) || s.Images != 3 || !strings.Contains(s.String(), "worst") {
			t.Error(s)
		}
	}
	if want := []string{"input x gradient", "integrated gradients", "random",
		"learned mask, TV 0.01, 1/4 size, double softmax"}; !slices.Equal(names, want) {
		t.Errorf("methods %q, want %q", names, want)
	}
}

func TestLabels(t *testing.T) {
	m := corners(t)
	images := lit(3)
	labels, err := Likeliest(m, images, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, of := range labels {
		if of[0] != i || len(of) != 2 {
			t.Errorf("image %d has the labels %v", i, of)
		}
	}
	two, err := Among(m, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	full, of := tensors.MustCopyFlatData[float32](must(m.Logits(images))),
		tensors.MustCopyFlatData[float32](must(two.Logits(images)))
	for i := range 3 {
		if of[2*i] != full[3*i+2] || of[2*i+1] != full[3*i] || two.ClassName(0) != m.ClassName(2) {
			t.Errorf("image %d: logits %v of %v", i, of[2*i:2*i+2], full[3*i:3*i+3])
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Interrupted, learning returns the masks as they are, evaluation the images that are done and comparison the methods.
func TestInterrupted(t *testing.T) {
	m := corners(t)
	m.BatchSize = 4 // two pairs of two fillers at once
	images := lit(4)
	learn := Masks{Others: lit(9), L1: 0.005, Steps: 120, Fillers: 2}
	defer paced.Fix(50)()
	// one for reading the images, three calls of up to 50 steps of the first two pairs, one of the next
	release := interrupt.Use(testenv.CancelledAfter(5))
	learned, err := learn.Learn(m, images, All(m, 4))
	release()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if a, b, c := len(learned.Loss[0][0]), len(learned.Loss[0][2]), len(learned.Loss[3][2]); a != 120 ||
		b != 50 || c != 0 {
		t.Errorf("%d, %d and %d steps are done", a, b, c)
	}
	flat := tensors.MustCopyFlatData[float32](learned.Values)
	for i, v := range flat {
		if pair := i / 144; pair >= 4 && v != 0.5 {
			t.Fatalf("the mask of pair %d, which has had no step, has the value %g", pair, v)
		}
	}
	if !(slices.Max(flat[:144]) >= 0.6) || !(slices.Max(flat[2*144:3*144]) >= 0.55) {
		t.Error("masks that have had steps have not changed")
	}

	in := Insertion{Points: 4}
	// one each for reading the images, filling them and the probabilities, two batches of four pairs
	release = interrupt.Use(testenv.CancelledAfter(5))
	e, err := in.Evaluate(m, images, &learned.Maps)
	release()
	if !errors.Is(err, context.Canceled) || e == nil {
		t.Fatalf("error %v with %v", err, e)
	}
	if len(e.AUC) != 2 || len(e.Maps.Labels) != 2 || e.Maps.Values.Shape().Dimensions[0] != 2 {
		t.Errorf("%d images are evaluated", len(e.AUC))
	}
	if _, err := e.Score(0); err != nil {
		t.Error(err)
	}
	release = interrupt.Use(testenv.CancelledAfter(0))
	e, err = in.Evaluate(m, images, &learned.Maps)
	release()
	if !errors.Is(err, context.Canceled) || e != nil {
		t.Errorf("error %v with %v", err, e)
	}
	release = interrupt.Use(testenv.CancelledAfter(9))
	done, err := in.Compare(m, images, All(m, 4), Random{}, Random{Seed: 1})
	release()
	if !errors.Is(err, context.Canceled) || len(done) != 1 {
		t.Errorf("error %v with %d methods", err, len(done))
	}
}

// How many steps a call of the device does changes nothing.
func TestStepsDoNotDependOnTheirCalls(t *testing.T) {
	m := corners(t)
	images, learn := lit(4), Masks{Others: lit(9), L1: 0.005, Steps: 60, Fillers: 2}
	var want []float32
	for _, steps := range []int{50, 1, 7, 0} { // 0: by time
		release := paced.Fix(steps)
		learned := must(learn.Learn(m, images, All(m, 4)))
		e := must(Insertion{Points: 9}.Evaluate(m, images, &learned.Maps))
		release()
		got := tensors.MustCopyFlatData[float32](learned.Values)
		for _, of := range learned.Loss {
			for _, losses := range of {
				for _, v := range losses {
					got = append(got, float32(v))
				}
			}
		}
		for _, of := range e.AUC {
			for _, v := range of {
				got = append(got, float32(v))
			}
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %d steps a call the masks, losses and curves are others than with 50", steps)
		}
	}
}

func TestInterruptedMaps(t *testing.T) {
	m := corners(t)
	m.BatchSize = 2 // pairs, of which an image has three
	images := lit(4)
	whole := must(Of(m, images, All(m, 4), attrib.Gradient{}))
	testenv.Interrupt(t, func() (*Maps, error) { return Of(m, images, All(m, 4), attrib.Gradient{}) },
		func(part *Maps) int {
			if part == nil {
				return 0
			}
			got := tensors.MustCopyFlatData[float32](part.Values)
			if n := part.Values.Shape().Dimensions[0]; len(part.Labels) != n || len(part.ClassNames) != n ||
				!slices.Equal(got, tensors.MustCopyFlatData[float32](whole.Values)[:len(got)]) {
				t.Fatalf("the maps of %d images are others", n)
			}
			return len(part.Labels)
		})
}

func TestBadInput(t *testing.T) {
	m := corners(t)
	images, good := lit(2), Masks{Others: lit(2), Steps: 1, Fillers: 1}
	nan := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{float32(math.NaN())}, 2*3*144), 2, 3, 12, 12)
	learn := func(change func(l *Masks), labels [][]int) func() error {
		return func() error {
			l := good
			change(&l)
			_, err := l.Learn(m, images, labels)
			return err
		}
	}
	evaluate := func(in Insertion, maps *Maps) func() error {
		return func() error { _, err := in.Evaluate(m, images, maps); return err }
	}
	zeros := func(dims ...int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(0), dims...) }
	for _, c := range []struct {
		says string
		do   func() error
	}{
		{"give some as Others", learn(func(l *Masks) { l.Others = nil }, All(m, 2))},
		{"Others", learn(func(l *Masks) { l.Others = zeros(2, 8, 8, 1) }, All(m, 2))},
		{"Scale lies between", learn(func(l *Masks) { l.Scale = 13 }, All(m, 2))},
		{"neither is negative", learn(func(l *Masks) { l.TV = -1 }, All(m, 2))},
		{"neither is negative", learn(func(l *Masks) { l.L1 = math.NaN() }, All(m, 2))},
		{"give positive numbers", learn(func(l *Masks) { l.Steps = -1 }, All(m, 2))},
		{"learning rate", learn(func(l *Masks) { l.LearningRate = math.Inf(1) }, All(m, 2))},
		{"no loss 7", learn(func(l *Masks) { l.Loss = 7 }, All(m, 2))},
		{"labels of 3 images for 2", learn(func(*Masks) {}, All(m, 3))},
		{"the label 3", learn(func(*Masks) {}, [][]int{{0}, {3}})},
		{"twice", learn(func(*Masks) {}, [][]int{{0, 0}, {1, 2}})},
		{"same number", learn(func(*Masks) {}, [][]int{{0, 1}, {1}})},
		{"no images", func() error { _, err := good.Learn(m, nil, nil); return err }},
		{"no maps", evaluate(Insertion{}, nil)},
		{"maps for images", evaluate(Insertion{}, &Maps{Labels: All(m, 2), Values: zeros(2, 3, 8, 8)})},
		{"not a number", evaluate(Insertion{}, &Maps{Labels: All(m, 2), Values: nan})},
		{"curve of 145 points", evaluate(Insertion{Points: 145}, &Maps{Labels: All(m, 2), Values: zeros(2, 3, 12, 12)})},
		{"epsilon is -1", evaluate(Insertion{Epsilon: -1}, &Maps{Labels: All(m, 2), Values: zeros(2, 3, 12, 12)})},
		{"no methods", func() error { _, err := Insertion{}.Compare(m, images, All(m, 2)); return err }},
		{"likeliest of 3 classes", func() error { _, err := Likeliest(m, images, 4); return err }},
		{"the label 5", func() error { _, err := Among(m, 5); return err }},
		{"not among its labels", func() error {
			e := must(Insertion{}.Compare(m, images, [][]int{{1, 2}, {1, 2}}, Random{}))
			_, err := e[0].Score(0)
			return err
		}},
		{"no other label", func() error {
			e := must(Insertion{}.Compare(m, images, [][]int{{0}, {1}}, Random{}))
			_, err := e[0].Score(0)
			return err
		}},
		{"give the same ones", func() error {
			e := must(Insertion{}.Compare(m, images, All(m, 2), Random{}))
			_, err := e[0].Sheet(lit(1))
			return err
		}},
	} {
		err := c.do()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want one that says %q", err, c.says)
		}
	}
}

// The settings are those of the command in the README of the authors' program, at 79dcc33: --steps 2000 --lr 0.05
// --noise_bs 10 --scale_list 4 --reg_l1_list 0.00002 --reg_tv_list 0.01, for images of 224x224; its CrossEntropyLoss
// gets probabilities.
func TestPaperIsTheAuthors(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "of 224", Height: 224, Width: 224, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.ReduceMean(graph.Concatenate([]*graph.Node{x, graph.Neg(x)}, -1), 1, 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	want := Masks{Scale: 4, TV: 0.01, L1: 2e-5, Steps: 2000, LearningRate: 0.05, Fillers: 10, Loss: DoubleSoftmax}
	if got := PaperMasks(m, nil); got != want {
		t.Errorf("the paper's settings are %+v, want %+v", got, want)
	}
}

// Where Points do not divide the pixels, each point has the nearest whole number of them, as NumPy's rint(arange(1, 8)
// * 10 / 7).
func TestPointsHaveTheNearestNumberOfPixels(t *testing.T) {
	if got, want := (Insertion{Points: 7}).counts(10), []int{1, 3, 4, 6, 7, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
