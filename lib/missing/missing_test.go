package missing

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// noise are random images.
func noise(n, h, w, c int, seed uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat := make([]float32, n*h*w*c)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(flat, n, h, w, c)
}

// convolutional is a small network with random weights.
func convolutional(t *testing.T) *model.Model {
	t.Helper()
	m, err := learn.SmallCNN(model.Spec{Height: 12, Width: 12, Channels: 3}, 4, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func patches(t *testing.T, n, h, w, side int) *Segments {
	t.Helper()
	s, err := Patches(n, h, w, side)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a curve says is what the model says to images masked one by one by lib/mask.
func TestAblationIsMaskingStepByStep(t *testing.T) {
	m, images := convolutional(t), noise(37, 12, 12, 3, 1)
	segments := patches(t, 37, 12, 12, 4)
	orders := segments.RandomOrders(3)
	whole, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	for _, filler := range []mask.Filler{mask.Constant(0), mask.Mean(), mask.Noise(), mask.RandomColor(),
		mask.Color(0.2, 0.5, 0.9)} {
		for _, keep := range []bool{false, true} {
			curve, err := Ablation{How: Fill{With: filler, Seed: 5}, Counts: []int{0, 2, 7, 9}, Keep: keep}.Run(m, images,
				segments, orders)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(curve.Whole, whole) || curve.Segments != 9 {
				t.Fatalf("whole images are %v, want %v, with %g segments", curve.Whole, whole, curve.Segments)
			}
			for step, count := range curve.Counts {
				chosen, err := segments.Mask(orders, count)
				if err != nil {
					t.Fatal(err)
				}
				apply := mask.Apply
				if keep {
					apply = mask.Keep
				}
				masked, err := apply(images, chosen, filler, 5)
				if err != nil {
					t.Fatal(err)
				}
				probabilities, err := m.Probabilities(masked)
				if err != nil {
					t.Fatal(err)
				}
				classes, err := m.Predict(masked)
				if err != nil {
					t.Fatal(err)
				}
				flat := tensors.MustCopyFlatData[float32](probabilities)
				same := 0
				for i, class := range whole {
					if d := math.Abs(curve.Probability[i][step] - float64(flat[4*i+class])); !approx.Equal(d, 0, 1e-5) ||
						curve.Predicted[i][step] != classes[i] {
						t.Errorf("%s, keep %v: image %d with %d segments is class %d, off by %g; want %d", filler.Name, keep, i, count,
							curve.Predicted[i][step], d, classes[i])
					}
					if classes[i] == class {
						same++
					}
				}
				if share, _, err := curve.Agreement(step); err != nil || share != float64(same)/37 {
					t.Errorf("agreement is %g, want %d of 37 (%v)", share, same, err)
				}
			}
		}
	}
}

// brightness is a model of two classes that looks at nothing but one pixel.
func brightness(t *testing.T, row, column int) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "one pixel", Height: 12, Width: 12, Channels: 3},
		func(x *graph.Node) *graph.Node {
			pixel := graph.Reshape(graph.Slice(x, graph.AxisRange(), graph.AxisElem(row), graph.AxisElem(column),
				graph.AxisElem(0)), -1, 1)
			return graph.Concatenate([]*graph.Node{graph.MulScalar(pixel, 4), graph.OnesLike(pixel)}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLIMEFindsWhatAModelLooksAt(t *testing.T) {
	m := brightness(t, 5, 10)
	images := tensors.FromScalarAndDimensions(float32(1), 3, 12, 12, 3)
	e, err := LIME{Masks: 400}.Explain(m, images, patches(t, 3, 12, 12, 4))
	if err != nil {
		t.Fatal(err)
	}
	for i, order := range e.Orders() {
		c := e.Coefficients[i]
		// The patch in row 1, column 2 of 3 x 3 decides: 1/(1+e^-3) with it, 1/(1+e) without.
		if order[0] != 5 || !approx.Equal(c[5], (1/(1+math.Exp(-3))-1/(1+math.E)), 0.05) ||
			!approx.Equal(c[order[1]], 0, 0.02) || !(e.R2[i] >= 0.95) {
			t.Errorf("image %d: order %v, coefficients %.3v, R² %g", i, order, c, e.R2[i])
		}
	}
	heat := tensors.MustCopyFlatData[float32](e.Heatmaps())
	if heat[5*12+10] != float32(e.Coefficients[0][5]) || heat[0] != float32(e.Coefficients[0][0]) {
		t.Error("the heatmaps are not the coefficients")
	}
	if same, err := e.Agreement(e, 3); err != nil || !(same[1] >= 0.999) {
		t.Errorf("an explanation agrees with itself by %v (%v)", same, err)
	}
	// Removing what LIME found first flips all; removing what it found last flips none.
	for _, c := range []struct {
		orders [][]int
		want   float64
	}{{e.Orders(), 0}, {Reversed(e.Orders()), 1}} {
		curve, err := Ablation{Counts: []int{1}}.Run(m, images, e.Segments, c.orders)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := curve.Agreement(0); err != nil || got != c.want {
			t.Errorf("agreement is %g, want %g (%v)", got, c.want, err)
		}
	}
}

func TestEntropyAndFlips(t *testing.T) {
	c := &Curve{Counts: []int{0, 1}, Whole: []int{0, 1, 2, 0}, Predicted: [][]int{{0, 2}, {1, 2}, {2, 2}, {0, 1}},
		classes: []string{"a", "b", "c"}, Segments: 4}
	for step, want := range []float64{1.5 * math.Ln2, 0.75*math.Log(4.0/3) + 0.25*math.Log(4)} {
		if got, err := c.Entropy(step); err != nil || !approx.Equal(got, want, 1e-12) {
			t.Errorf("step %d: entropy %g, want %g (%v)", step, got, want, err)
		}
	}
	flips, err := c.Flips(1)
	if err != nil || !slices.Equal(flips, []Flip{{2, "c", 2, 0.5}, {1, "b", 1, 0.25}}) {
		t.Errorf("flips are %v (%v)", flips, err)
	}
	if share, _, err := c.Agreement(1); err != nil || share != 0.25 {
		t.Errorf("agreement is %g (%v)", share, err)
	}
	near := func(a, b int) (float64, error) { return 1 / float64(1+max(a-b, b-a)), nil }
	// 1/3, 1/2, 1, 1/2
	if all, flipped, err := c.Similarity(1, near); err != nil || !approx.Equal(all.Mean, 7.0/12, 1e-12) ||
		!approx.Equal(flipped.Mean, 4.0/9, 1e-12) || flipped.Images != 3 || !(flipped.Interval.High >= 0.6) {
		t.Errorf("similarity is %v, %v where it is another class (%v)", all, flipped, err)
	}
	if all, flipped, err := c.Similarity(0, near); err != nil || all.Mean != 1 || !math.IsNaN(flipped.Mean) ||
		flipped.Images != 0 {
		t.Errorf("similarity of the same classes is %v, %v where it is another class (%v)", all, flipped, err)
	}
	if _, _, err := c.Similarity(1, func(a, b int) (float64, error) {
		return 0,
			errors.New("no such class")
	}); err == nil {
		t.Error("an error of similarity is lost")
	}
	if s, err := c.Series("x"); err != nil || !slices.Equal(s.X, []float64{0, 25}) ||
		!slices.Equal(s.Y, []float64{100, 25}) {
		t.Errorf("the line is %v (%v)", s, err)
	}
}

// A patch's token is dropped where any of its pixels misses, and nothing else of the image reaches the logits.
func TestDroppedTokensAreNotSeen(t *testing.T) {
	m := oraclesViT(t)
	images := noise(2, 12, 16, 3, 2)
	segments := patches(t, 2, 12, 16, 4)
	orders := [][]int{{0, 5, 11, 3}, {1, 2, 3, 4}}
	changed := tensors.MustCopyFlatData[float32](images)
	for i, order := range orders {
		for j, label := range segments.of(i) {
			if slices.Contains(order, int(label)) {
				changed[(i*192+j)*3] = 0.5
			}
		}
	}
	for _, counts := range [][]int{{4}, {0, 4}} {
		a := Ablation{How: DropTokens{}, Counts: counts}
		before, err := a.Run(m, images, segments, orders)
		if err != nil {
			t.Fatal(err)
		}
		after, err := a.Run(m, tensors.FromFlatDataAndDimensions(changed, 2, 12, 16, 3), segments, orders)
		if err != nil {
			t.Fatal(err)
		}
		last := len(counts) - 1
		for i := range orders {
			if before.Predicted[i][last] != after.Predicted[i][last] || before.Whole[i] == after.Whole[i] &&
				before.Probability[i][last] != after.Probability[i][last] {
				t.Errorf("what is dropped changes image %d: %v, %v", i, before.Probability[i], after.Probability[i])
			}
		}
	}
	// A segment of one pixel takes its whole patch with it.
	labels := make([]int32, 12*16)
	labels[5*16+6] = 1
	pixel, err := SegmentsOf(tensors.FromFlatDataAndDimensions(labels, 1, 12, 16))
	if err != nil {
		t.Fatal(err)
	}
	one := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](images)[:576], 1, 12, 16, 3)
	a, err := Ablation{How: DropTokens{}, Counts: []int{1}}.Run(m, one, pixel, [][]int{{1}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Ablation{How: DropTokens{}, Counts: []int{1}}.Run(m, one, patches(t, 1, 12, 16, 4), [][]int{{5}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Probability[0][0] != b.Probability[0][0] {
		t.Errorf("a pixel's patch gives %g, a patch %g", a.Probability[0][0], b.Probability[0][0])
	}
}

func TestInterruptedRunsReturnWhatTheyHave(t *testing.T) {
	m := convolutional(t)
	m.BatchSize = 16
	images, segments := noise(40, 12, 12, 3, 4), patches(t, 40, 12, 12, 4)
	whole, err := LIME{Masks: 64}.Explain(m, images, segments)
	if err != nil {
		t.Fatal(err)
	}
	partial := 0
	for questions := range 12 {
		release := interrupt.Use(testenv.CancelledAfter(14 * questions))
		e, err := LIME{Masks: 64}.Explain(m, images, segments)
		release()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if e == nil {
			continue
		}
		partial++
		for i, c := range e.Coefficients {
			if !slices.Equal(c, whole.Coefficients[i]) {
				t.Fatalf("after %d questions image %d has other coefficients", 14*questions, i)
			}
		}
		if e.Len() == 0 || e.Len() >= 40 || len(e.Classes) != e.Len() {
			t.Errorf("after %d questions there are %d explanations and %d classes", 14*questions, e.Len(), len(e.Classes))
		}
	}
	if partial == 0 {
		t.Error("no interrupt came in the middle")
	}
	release := interrupt.Use(testenv.CancelledAfter(20))
	defer release()
	curve, err := Ablation{Counts: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}}.Run(m, images, segments, segments.RandomOrders(1))
	if !errors.Is(err, context.Canceled) || curve == nil || curve.Len() == 0 || curve.Len() >= 40 {
		t.Errorf("an interrupted ablation gives %v and %v", curve, err)
	}
}

func TestInterruptedSuperpixels(t *testing.T) {
	images := noise(4, 12, 12, 3, 4)
	whole, err := SLIC{Segments: 5}.Segment(images)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Segments, error) { return SLIC{Segments: 5}.Segment(images) }, func(part *Segments) int {
		if part == nil {
			return 0
		}
		if !slices.Equal(part.flat, whole.flat[:len(part.flat)]) ||
			!slices.Equal(part.Counts, whole.Counts[:len(part.Counts)]) {
			t.Fatal("there are other segments")
		}
		return len(part.Counts)
	})
}

func TestProgramsAreCompiledOnce(t *testing.T) {
	m, images, segments := oraclesViT(t), noise(9, 12, 16, 3, 5), patches(t, 9, 12, 16, 4)
	run := func(seed uint64) {
		t.Helper()
		if _, err := (LIME{How: DropTokens{}, Masks: 200, Seed: seed}).Explain(m, images, segments); err != nil {
			t.Fatal(err)
		}
	}
	run(1)
	before := model.Compilations()
	run(1)
	if again := model.Compilations() - before; again != 0 {
		t.Errorf("the same work compiles %d more programs", again)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	m, images, segments := convolutional(t), noise(2, 12, 12, 3, 6), patches(t, 2, 12, 12, 4)
	order := segments.RandomOrders(1)
	ablate := func(a Ablation, images *tensors.Tensor, segments *Segments, orders [][]int) error {
		_, err := a.Run(m, images, segments, orders)
		return err
	}
	explain := func(l LIME) error {
		_, err := l.Explain(m, images, segments)
		return err
	}
	labels := func(values ...int32) error {
		_, err := SegmentsOf(tensors.FromFlatDataAndDimensions(values, 1, 2, 2))
		return err
	}
	second := func(_ any, err error) error { return err }
	nan := noise(2, 12, 12, 3, 7)
	tensors.MustMutableFlatData(nan, func(flat []float32) { flat[3] = float32(math.NaN()) })
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"side":            {second(Patches(1, 4, 4, 0)), "a side lies between 1 and 4"},
		"no images":       {second(Patches(0, 4, 4, 2)), "have no patches"},
		"labels' shape":   {second(SegmentsOf(nil)), "[N, H, W] int32"},
		"gap":             {labels(0, 0, 2, 2), "without gaps"},
		"negative label":  {labels(0, -1, 0, 0), "number the segments from 0"},
		"huge label":      {labels(0, 1<<30, 0, 0), "number the segments from 0"},
		"superpixels":     {second(SLIC{Segments: 1000}.Segment(images)), "cannot be"},
		"compactness":     {second(SLIC{Segments: 9, Compactness: -1}.Segment(images)), "positive"},
		"channels":        {second(SLIC{}.Segment(noise(1, 4, 4, 2, 1))), "1 or 3 channels"},
		"not a number":    {second(SLIC{}.Segment(nan)), "NaN"},
		"no segments":     {ablate(Ablation{Counts: []int{0}}, images, nil, nil), "there are no segments"},
		"other images":    {ablate(Ablation{Counts: []int{0}}, noise(3, 12, 12, 3, 1), segments, nil), "2 images of 12 x 12"},
		"other size":      {ablate(Ablation{Counts: []int{0}}, noise(2, 8, 8, 3, 1), segments, nil), "takes images"},
		"no counts":       {ablate(Ablation{}, images, segments, order), "ascending order"},
		"unsorted":        {ablate(Ablation{Counts: []int{3, 1}}, images, segments, order), "ascending order"},
		"few orders":      {ablate(Ablation{Counts: []int{1}}, images, segments, order[:1]), "1 orders for 2 images"},
		"short order":     {ablate(Ablation{Counts: []int{3}}, images, segments, [][]int{{0, 1}, {0, 1, 2}}), "ends after 2"},
		"twice":           {ablate(Ablation{Counts: []int{1}}, images, segments, [][]int{{0, 0}, {0}}), "twice"},
		"unknown segment": {ablate(Ablation{Counts: []int{1}}, images, segments, [][]int{{9}, {0}}), "segments 0 to 8"},
		"NaN image":       {ablate(Ablation{Counts: []int{1}}, nan, segments, order), "NaN"},
		"tokens of a CNN": {ablate(Ablation{How: DropTokens{}, Counts: []int{1}}, images, segments, order), "no tokens"},
		"colour": {ablate(Ablation{How: Fill{With: mask.Color(1, 1)}, Counts: []int{1}}, images, segments, order),
			"3 channels"},
		"one mask":      {explain(LIME{Masks: 1}), "nothing to compare"},
		"kernel":        {explain(LIME{KernelWidth: -1}), "positive"},
		"narrow kernel": {explain(LIME{KernelWidth: 1e-9, Masks: 3}), "make KernelWidth larger"},
		"masks' shape":  {explain(LIME{Keep: noise(1, 2, 2, 1, 1)}), "[M, 9] float32"},
		"grey mask": {explain(LIME{Keep: tensors.FromScalarAndDimensions(float32(0.5), 3, 9)}),
			"1 where a segment stays"},
		"unknown class": {second(LIME{}.Explain(m, images, segments, 7)), "class 7"},
		"augmentation":  {second(DropPatches(0, 1)), "patches of 0"},
		"share":         {second(DropPatches(4, 1.5)), "between 0 and 1"},
		"heatmaps":      {second(segments.SalientOrders(noise(1, 2, 2, 1, 1))), "[2, 12, 12] float32"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !(strings.HasPrefix(c.err.Error(), "missing: ") ||
			strings.HasPrefix(c.err.Error(), "model: ") || strings.HasPrefix(c.err.Error(), "mask: ")) {
			t.Errorf("%s: the error is %v, want it to say %q", name, c.err, c.want)
		}
	}
}

func TestSalientOrders(t *testing.T) {
	segments := patches(t, 1, 4, 6, 2)
	heat := make([]float32, 24)
	for j, label := range segments.flat {
		heat[j] = []float32{3, 1, 2, 9, 0, 5}[label]
	}
	orders, err := segments.SalientOrders(tensors.FromFlatDataAndDimensions(heat, 1, 4, 6))
	if err != nil || !slices.Equal(orders[0], []int{3, 5, 0, 2, 1, 4}) ||
		!slices.Equal(Reversed(orders)[0], []int{4, 1, 2, 0, 5, 3}) {
		t.Errorf("the order is %v (%v)", orders, err)
	}
	pictures, err := segments.Outlined(noise(1, 4, 6, 3, 1))
	if err != nil || len(pictures) != 1 || pictures[0].Bounds().Dx() != 6 {
		t.Errorf("pictures are %v (%v)", pictures, err)
	}
}

// Patches go whole, each image loses its own share, and shares are uniform.
func TestDropPatches(t *testing.T) {
	augment, err := DropPatches(3, 0.8, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	const n = 600
	state, err := graph.RNGStateFromSeed(1)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(func(x, rng *graph.Node) *graph.Node {
		return augment(x, func(dims ...int) *graph.Node {
			var u *graph.Node
			rng, u = graph.RandomUniform(rng, shapes.Make(dtypes.Float32, dims...))
			return u
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call1(tensors.FromScalarAndDimensions(float32(1), n, 11, 12, 1), state)
	if err != nil {
		t.Fatal(err)
	}
	flat := tensors.MustCopyFlatData[float32](out)
	var mean, square float64
	for i := range n {
		gone := 0
		for y := range 11 {
			for x := range 12 {
				v := flat[(i*11+y)*12+x]
				if v != 1 && v != 0.25 || v != flat[(i*11+y/3*3)*12+x/3*3] {
					t.Fatalf("image %d has %g at %d, %d", i, v, y, x)
				}
				if v == 0.25 && y%3 == 0 && x%3 == 0 {
					gone++
				}
			}
		}
		share := float64(gone) / 16
		mean += share / n
		square += share * share / n
	}
	// Uniform on 0..0.8 the shares have the mean 0.4 and the variance 0.0533, and drawing 16 patches adds 0.0117.
	if variance := square - mean*mean; !approx.Equal(mean, 0.4, 0.04) || !approx.Equal(variance, 0.065, 0.012) {
		t.Errorf("the share that goes has the mean %.3f and the variance %.4f", mean, variance)
	}
}

// Segments differ in number from image to image: where more are taken than the mean, no more than all are.
func TestNoMoreThanAllSegmentsAreTaken(t *testing.T) {
	c := &Curve{Counts: []int{0, 5, 10, 12}, Segments: 9.5}
	for step, want := range []float64{0, 100 * 5 / 9.5, 100, 100} {
		if got := c.Percent(step); !approx.Equal(got, want, 1e-12) {
			t.Errorf("%d segments are %v%%, want %v%%", c.Counts[step], got, want)
		}
	}
}
