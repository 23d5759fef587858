package universal

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/stats"
)

const side, channels = 6, 3 // of the tests' small images

// pixels are images [n, side, side, channels] with values from low to high.
func pixels(n int, low, high float64, seed uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat := make([]float32, n*side*side*channels)
	for i := range flat {
		flat[i] = float32(low + (high-low)*rng.Float64())
	}
	return tensors.FromFlatDataAndDimensions(flat, n, side, side, channels)
}

func dataset(t *testing.T, images *tensors.Tensor) *data.Dataset {
	t.Helper()
	ds, err := data.FromTensor(images, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// direct are the weights of class 1 less those of class 0 of [linear].
func direct() []float64 {
	w := make([]float64, side*side*channels)
	for i := range w {
		w[i] = math.Sin(float64(3*i)) + 0.1
	}
	return w
}

// linear is a softmax of two classes.
func linear(t *testing.T) *model.Model {
	t.Helper()
	weights := make([]float32, 0, side*side*channels)
	for _, w := range direct() {
		weights = append(weights, float32(w))
	}
	m, err := model.FromFunc(model.Spec{Name: "linear", Height: side, Width: side, Channels: channels},
		func(x *graph.Node) *graph.Node {
			w := graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(weights, 1, side, side, channels))
			y := graph.MulScalar(graph.ReduceSum(graph.Mul(x, w), 1, 2, 3), 0.5)
			return graph.Stack([]*graph.Node{graph.Neg(y), y}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// small is a convolutional network with random weights.
func small(t *testing.T, classes int) *model.Model {
	t.Helper()
	m, err := learn.SmallCNN(model.Spec{Height: side, Width: side, Channels: channels}, classes, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	m.BatchSize = 8
	return m
}

// Of a linear softmax of two classes the best perturbation is known: ε (w_t - w_y) / ‖w_t - w_y‖ in L2, ε sign(w_t -
// w_y) in L∞; where all images are black only what brightens them, which shares the whole ε. All must agree to 1e-4.
func TestTheBestOfALinearModelIsFound(t *testing.T) {
	m := linear(t)
	grey, black := pixels(20, 0.3, 0.7, 1), pixels(20, 0, 0, 1)
	for _, norm := range []attack.Norm{attack.L2, attack.LInf} {
		for _, images := range []*tensors.Tensor{grey, black} {
			const eps = 0.25
			want := [2][]float64{make([]float64, side*side*channels), make([]float64, side*side*channels)}
			for class, sign := range []float64{-1, 1} {
				var square float64
				for i, w := range direct() {
					if w *= sign; images == black {
						w = max(w, 0)
					}
					if norm == attack.LInf && w != 0 {
						w = math.Copysign(1, w)
					}
					want[class][i], square = w, square+w*w
				}
				for i := range want[class] {
					if norm == attack.L2 {
						want[class][i] /= math.Sqrt(square)
					}
					want[class][i] *= eps
				}
			}
			ds := dataset(t, images)
			all, err := Attack{Norm: norm, Eps: eps, Steps: 30, BatchSize: 7}.On(m, ds)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(all.Targets, []int{0, 1}) {
				t.Fatalf("the targets are %v", all.Targets)
			}
			sets, err := BaseSets{Norm: norm, Eps: eps, Size: 6}.On(m, ds, []int{1, 0, 1, 0})
			if err != nil {
				t.Fatal(err)
			}
			single, err := BaseSets{Norm: norm, Eps: eps}.On(m, ds, slices.Repeat([]int{0, 1}, 10))
			if err != nil {
				t.Fatal(err)
			}
			for name, p := range map[string]*Perturbations{"Attack": all, "BaseSets of 6": sets, "BaseSets of 1": single} {
				flat := tensors.MustCopyFlatData[float32](p.Deltas)
				for k, target := range p.Targets {
					n := len(flat) / len(p.Targets)
					if err := approx.All(flat[k*n:(k+1)*n], want[target], 1e-4*eps); err != nil {
						t.Errorf("%s in %s, black %t, target %d: %v", name, norm, images == black, target, err)
					}
				}
			}
		}
	}
}

// The oracle is ART 1.20.1 on a small CNN for Fashion-MNIST, bench/oracles/universal.py: how often its own
// perturbations lead to the target is counted alike, by PyTorch and here, and ours lead there more often than its do.
func TestSuccessBesideART(t *testing.T) {
	const file = "testdata/art.npz"
	testenv.Asset(t, "fashion-mnist")
	ds, err := data.Open("fashion-mnist-train")
	if err != nil {
		t.Fatal(err)
	}
	test, err := data.Open("fashion-mnist")
	if err != nil {
		t.Fatal(err)
	}
	train := ds.Take(100) // as many as ART got
	test = test.Take(500)
	m, err := learn.SmallCNN(model.Spec{Height: 28, Width: 28, Channels: 1}, 10, 1, 4, 8)
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]*tensors.Tensor{}
	for name, w := range m.Weights() {
		weights[name] = tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, name), w.Shape().Dimensions...)
	}
	if m, err = m.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	predicted, err := m.PredictOf(test)
	if err != nil {
		t.Fatal(err)
	}
	for i, class := range oracle.Read[int32](t, file, "clean") {
		if predicted[i] != int(class) {
			t.Fatalf("image %d is taken for %d, by PyTorch for %d: the network is another", i, predicted[i], class)
		}
	}
	for _, c := range []struct {
		name string
		norm attack.Norm
		eps  float64
	}{{"L2", attack.L2, 2.5}, {"Linf", attack.LInf, 0.15}} {
		theirs := &Perturbations{Deltas: tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, c.name), 10,
			28, 28, 1),
			Targets: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Norm: c.norm, Eps: c.eps}
		s, err := theirs.Success(m, test)
		if err != nil {
			t.Fatal(err)
		}
		counts := oracle.Read[int32](t, file, c.name+"_success")
		for i, r := range s.Rates {
			// Of two logits that are equal up to rounding either may be the larger.
			if want := int(counts[2*i]); r.Total != int(counts[2*i+1]) || !approx.Equal(r.Correct, want, 1) {
				t.Errorf("%s, target %d: ART's perturbation leads %d of %d there, by PyTorch's count %d of %d", c.name, i,
					r.Correct, r.Total, want, counts[2*i+1])
			}
		}
		p, err := Attack{Norm: c.norm, Eps: c.eps, Steps: 30, BatchSize: 25}.On(m, train)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := p.Success(m, test)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s, by ART %s", c.name, ours, s)
		for i, r := range ours.Rates {
			if r.Share() < s.Rates[i].Share()-0.05 {
				t.Errorf("%s, target %d: success %s, of ART's %s", c.name, i, r, s.Rates[i])
			}
		}
		if ours.All().Share() < s.All().Share()+0.05 {
			t.Errorf("%s: success %s, of ART's %s", c.name, ours.All(), s.All())
		}
		two, most, err := p.lengths()
		if err != nil {
			t.Fatal(err)
		}
		for i := range two {
			if far := map[attack.Norm]float64{attack.L2: two[i], attack.LInf: most[i]}[c.norm]; !(far <= c.eps*(1+1e-5)) ||
				far < 0.99*c.eps {
				t.Errorf("%s: perturbation %d is %g long, of %g", c.name, i, far, c.eps)
			}
		}
	}
}

// counted is [Perturbations.Success] of a view as it is defined: one image and one perturbation after the other.
func counted(t *testing.T, m *model.Model, images *tensors.Tensor, p *Perturbations, v view) (hits, could int,
	norms []float64) {
	t.Helper()
	clean, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	flat, deltas := tensors.MustCopyFlatData[float32](images), tensors.MustCopyFlatData[float32](p.Deltas)
	const row = side * side * channels
	for i, class := range clean {
		for k, target := range p.Targets {
			if p.Size > 0 && k != i/p.Size {
				continue
			}
			put := make([]float64, row)
			var square float64
			for y := range side {
				for x := range side {
					if v.side > 0 && (y < v.top || y >= v.top+v.side || x < v.left || x >= v.left+v.side) {
						continue
					}
					for c := range channels {
						from := ((y-v.dy+side)%side*side+(x-v.dx+side)%side)*channels + c
						put[(y*side+x)*channels+c] = float64(deltas[k*row+from])
						square += float64(deltas[k*row+from]) * float64(deltas[k*row+from])
					}
				}
			}
			norm := math.Sqrt(square)
			if v.length > 0 {
				for j := range put {
					put[j] *= v.length / norm
				}
				norm = v.length
			}
			norms = append(norms, norm)
			moved := make([]float32, row)
			for j := range moved {
				moved[j] = float32(min(max(float64(flat[i*row+j])+put[j], 0), 1))
			}
			predicted, err := m.Predict(tensors.FromFlatDataAndDimensions(moved, 1, side, side, channels))
			if err != nil {
				t.Fatal(err)
			}
			if class != target {
				could++
				if predicted[0] == target {
					hits++
				}
			}
		}
	}
	return hits, could, norms
}

func random(targets []int, size int, seed uint64) *Perturbations {
	d := tensors.MustCopyFlatData[float32](pixels(len(targets), -0.6, 0.6, seed))
	return &Perturbations{Deltas: tensors.FromFlatDataAndDimensions(d, len(targets), side, side, channels),
		Targets: targets, Size: size, Eps: 9}
}

// What views of perturbations do is what they do by their definition, image by image, whatever the numbers of images
// and perturbations that go through the network together.
func TestViewsAreAsDefined(t *testing.T) {
	m := small(t, 4)
	images := pixels(19, 0, 1, 5)
	views := []view{whole, {dy: 1, dx: -2}, {dy: -3, dx: 3}, {top: 1, left: 3, side: 3},
		{top: 0, left: 0, side: 6, length: 2}, {dy: 2, dx: 2, top: 2, left: 1, side: 2, length: 1.5}}
	for name, p := range map[string]*Perturbations{
		"for all":    random([]int{0, 1, 2, 3, 1}, 0, 6),
		"of sets":    random([]int{3, 1, 0, 2}, 5, 7),
		"of singles": random([]int{3, 1, 0, 2, 0, 1, 2, 3, 3, 2, 1, 0, 1, 1, 2, 2, 0, 0, 3}, 1, 8),
	} {
		tried, err := p.try(m, dataset(t, images), "test", views)
		if err != nil {
			t.Fatal(err)
		}
		var hit int
		for v, view := range views {
			hits, could, norms := counted(t, m, images, p, view)
			if got := tried.all(v); got.Correct != hits || got.Total != could {
				t.Errorf("%s, %+v: %d of %d, by the definition %d of %d", name, view, got.Correct, got.Total, hits, could)
			}
			if p.Size == 0 {
				norms = norms[:len(p.Targets)]
			}
			if err := approx.All(tried.norms[v], norms, 1e-5); err != nil {
				t.Errorf("%s, %+v: norms: %v", name, view, err)
			}
			hit += hits
		}
		if hit == 0 {
			t.Errorf("%s: nothing led anywhere: the test sees nothing", name)
		}
	}
}

// Squares and shifts tell what their views do.
func TestSquaresAndShifts(t *testing.T) {
	m := small(t, 4)
	images := pixels(13, 0, 1, 5)
	ds := dataset(t, images)
	p := random([]int{0, 1, 2, 3}, 0, 6)
	l, err := Patches{Side: 3, Count: 5, Seed: 2}.On(m, ds, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Patches) != 20 {
		t.Fatalf("%d squares", len(l.Patches))
	}
	for k := range 5 {
		first := l.Patches[4*k]
		hits, could, norms := counted(t, m, images, p, view{top: first.Top, left: first.Left, side: 3})
		got := (&Locality{Patches: l.Patches[4*k : 4*k+4]}).All()
		if got.Correct != hits || got.Total != could || !approx.Equal(first.Norm, norms[0], 1e-5) {
			t.Errorf("square %d: %+v, by the definition %d of %d", k, got, hits, could)
		}
	}
	best, err := l.Best(l)
	var want stats.Accuracy
	for target := range 4 {
		var most stats.Accuracy
		for k := range 5 {
			if r := l.Patches[4*k+target].Rate; k == 0 || r.Share() > most.Share() {
				most = r
			}
		}
		want = want.Add(most)
	}
	if err != nil || best != want {
		t.Errorf("the best squares lead to the target %v, %v, want %v", best, err, want)
	}
	elsewhere, err := Patches{Side: 3, Count: 5, Seed: 3}.On(m, ds, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Best(elsewhere); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("other squares: %v", err)
	}
	s, err := l.Series("", 4)
	if err != nil || len(s.X) != 4 || !slices.IsSorted(s.X) {
		t.Errorf("the squares by their norm: %v, %v", s, err)
	}
	tr, err := Shifts{Most: 3, Stride: 2}.On(m, ds, p)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tr.Offsets, []int{-2, 0, 2}) {
		t.Fatalf("shifts by %v", tr.Offsets)
	}
	hits, could, _ := counted(t, m, images, p, view{dy: -2, dx: 2})
	if got := tr.Rates[0][2]; got.Correct != hits || got.Total != could {
		t.Errorf("moved up and to the right: %v, by the definition %d of %d", got, hits, could)
	}
	whole, err := p.Success(m, ds)
	if err != nil {
		t.Fatal(err)
	}
	if tr.By(0, 0) != whole.All() || tr.By(0, 2).Total != 9*whole.All().Total || tr.By(1, 1).Total != 0 {
		t.Errorf("in place %v, which is %v; over all %v", tr.By(0, 0), whole.All(), tr.By(0, 2))
	}
	for _, v := range []interface{ String() string }{l, tr, whole} {
		if v.String() == "" {
			t.Errorf("%T has no words", v)
		}
	}
}

// A perturbation that is for all images is the same whether all are made together, some at a time, or from a stream.
func TestPartsAndStreamsChangeNothing(t *testing.T) {
	m := small(t, 5)
	ds := dataset(t, pixels(12, 0, 1, 9))
	a := Attack{Eps: 0.5, Steps: 6, BatchSize: 8, Seed: 4}
	m.BatchSize = 16 // 64 at once: 8 perturbations
	want, err := a.On(m, ds)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Histories) != 1 || len(want.Histories[0].Loss) != 6 {
		t.Fatalf("%d histories", len(want.Histories))
	}
	if loss := want.Histories[0].Loss; loss[5] >= loss[0] {
		t.Errorf("the loss goes from %g to %g", loss[0], loss[5])
	}
	m.BatchSize = 4 // two perturbations at once
	got, err := a.On(m, ds)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Targets, want.Targets) || len(got.Histories) != 3 {
		t.Fatalf("made some at a time the targets are %v in %d parts", got.Targets, len(got.Histories))
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](got.Deltas), tensors.MustCopyFlatData[float32](want.Deltas),
		1e-5); err != nil {
		t.Errorf("made some at a time: %v", err)
	}
	m.BatchSize = 16
	old := inMemory
	inMemory = 0
	defer func() { inMemory = old }()
	if got, err = a.On(m, ds); err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](got.Deltas), tensors.MustCopyFlatData[float32](want.Deltas),
		1e-6); err != nil {
		t.Errorf("from a stream: %v", err)
	}
}

func TestInterruptsKeepWhatIsThere(t *testing.T) {
	m := small(t, 4)
	ds := dataset(t, pixels(40, 0, 1, 9))
	a := Attack{Eps: 0.5, Steps: 4, BatchSize: 16}
	partial := 0
	for questions := 0; ; questions++ {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		p, err := a.On(m, ds)
		release()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at question %d: %v", questions, err)
		}
		if p == nil {
			continue
		}
		if !strings.Contains(err.Error(), "of 8 steps") { // of two perturbations at once
			t.Errorf("interrupted at question %d: %v", questions, err)
		}
		partial++
		if err := p.check(); err != nil || len(p.Targets) != 2 && len(p.Targets) != 4 {
			t.Fatalf("interrupted at question %d there are perturbations for %v, %v", questions, p.Targets, err)
		}
	}
	if partial == 0 {
		t.Error("no interrupt leaves a part")
	}
	targets := make([]int, 40)
	wholeSets, err := BaseSets{Eps: 0.5, Steps: 2}.On(m, ds, targets)
	if err != nil {
		t.Fatal(err)
	}
	flat := tensors.MustCopyFlatData[float32](wholeSets.Deltas)
	testenv.Interrupt(t, func() (*Perturbations, error) { return BaseSets{Eps: 0.5, Steps: 2}.On(m, ds, targets) },
		func(p *Perturbations) int {
			if p == nil {
				return 0
			}
			if part := tensors.MustCopyFlatData[float32](p.Deltas); !slices.Equal(part, flat[:len(part)]) ||
				len(p.Targets)*side*side*channels != len(part) {
				t.Errorf("the first %d perturbations are others than without an interrupt", len(p.Targets))
			}
			return len(p.Targets)
		})
	noise := random([]int{0, 1, 2, 3}, 0, 1)
	testenv.Interrupt(t, func() (*Success, error) { return noise.Success(m, ds) }, func(s *Success) int {
		if s == nil {
			return 0
		}
		// Every image is left out where it is taken for the target anyway.
		return s.All().Total / 3
	})
}

func TestTargetsAreDrawn(t *testing.T) {
	m := small(t, 3)
	ds := dataset(t, pixels(40, 0, 1, 9))
	drawn := func(seed uint64) []int {
		p, err := BaseSets{Eps: 0.5, Steps: 1, Seed: seed}.On(m, ds, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Targets
	}
	first := drawn(1)
	seen := slices.Compact(slices.Sorted(slices.Values(first)))
	if !slices.Equal(seen, []int{0, 1, 2}) || !slices.Equal(first, drawn(1)) || slices.Equal(first, drawn(2)) {
		t.Errorf("targets drawn are %v", first)
	}
}

func TestNoiseIsAsLong(t *testing.T) {
	for _, norm := range []attack.Norm{attack.L2, attack.LInf} {
		p := random([]int{0, 1, 1}, 0, 2)
		p.Norm = norm
		noise, err := p.Noise(1)
		if err != nil {
			t.Fatal(err)
		}
		two, most, err := p.lengths()
		if err != nil {
			t.Fatal(err)
		}
		noiseTwo, noiseMost, err := noise.lengths()
		if err != nil {
			t.Fatal(err)
		}
		got, want := noiseTwo, two
		if norm == attack.LInf {
			got, want = noiseMost, most
		}
		if err := approx.All(got, want, 1e-5); err != nil {
			t.Error(err)
		}
		a, b := tensors.MustCopyFlatData[float32](p.Deltas), tensors.MustCopyFlatData[float32](noise.Deltas)
		var dot, square float64
		for i := range a {
			dot, square = dot+float64(a[i]*b[i]), square+float64(a[i]*a[i])
		}
		if math.Abs(dot)/square > 0.5 {
			t.Errorf("noise in %s has a cosine of about %g with what it stands for", norm, dot/square)
		}
	}
}

func TestRelabelledImages(t *testing.T) {
	images := pixels(11, 0, 1, 3)
	ds := dataset(t, images)
	clean := tensors.MustCopyFlatData[float32](images)
	for name, p := range map[string]*Perturbations{"for all": random([]int{2, 0, 1}, 0, 4),
		"of sets": random([]int{2, 0, 1}, 4, 4)} {
		r, err := p.Relabel(ds, 1)
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.All()
		if err != nil {
			t.Fatal(err)
		}
		got, deltas := tensors.MustCopyFlatData[float32](all), tensors.MustCopyFlatData[float32](p.Deltas)
		const row = side * side * channels
		labels := r.Labels()
		seen := map[int]int{}
		for i := range 11 {
			k := slices.Index(p.Targets, labels[i])
			if p.Size > 0 && k != i/4 {
				t.Errorf("%s: image %d has the label %d", name, i, labels[i])
			}
			seen[k]++
			for j := range row {
				if want := min(max(clean[i*row+j]+deltas[k*row+j], 0), 1); !approx.Equal(got[i*row+j], want, 1e-7) {
					t.Fatalf("%s: value %d of image %d is %g, want %g", name, j, i, got[i*row+j], want)
				}
			}
		}
		if len(seen) != 3 {
			t.Errorf("%s: only %d of 3 perturbations were put on", name, len(seen))
		}
		again, err := p.Relabel(ds, 2)
		if err != nil {
			t.Fatal(err)
		}
		if same := slices.Equal(again.Labels(), labels); same != (p.Size > 0) {
			t.Errorf("%s: with another seed the labels are the same: %t", name, same)
		}
		one, err := r.Images(7)
		if err != nil || !slices.Equal(tensors.MustCopyFlatData[float32](one), got[7*row:8*row]) {
			t.Errorf("%s: image 7 alone is another one, %v", name, err)
		}
		hits, could := 0, 0
		m := small(t, 3)
		was, err := m.Predict(images)
		if err != nil {
			t.Fatal(err)
		}
		now, err := m.Predict(all)
		if err != nil {
			t.Fatal(err)
		}
		for i, label := range labels {
			if was[i] != label {
				could++
				if now[i] == label {
					hits++
				}
			}
		}
		if rate, err := r.Success(m); err != nil || rate != (stats.Accuracy{Correct: hits, Total: could}) || could == 0 {
			t.Errorf("%s: success %v, %v, want %d of %d", name, rate, err, hits, could)
		}
		if pictures, titles, err := r.Pictures(4); len(pictures) != 4 || len(titles) != 4 || err != nil {
			t.Errorf("%s: %d pictures, %v", name, len(pictures), err)
		}
	}
}

func TestPerturbationsAreReadBack(t *testing.T) {
	p := random([]int{2, 0, 1}, 4, 4)
	p.Norm, p.Classes = attack.LInf, []string{"a", "b", "c"}
	for _, name := range []string{"p.npz", "p.safetensors"} {
		path := filepath.Join(t.TempDir(), name)
		if err := save.Write(path, p); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tensors.MustCopyFlatData[float32](got.Deltas), tensors.MustCopyFlatData[float32](p.Deltas)) ||
			!slices.Equal(got.Targets, p.Targets) ||
			got.Size != 4 || got.Norm != attack.LInf || got.Eps != 9 || !slices.Equal(got.Classes, p.Classes) {
			t.Errorf("%s: read back it is %+v", name, got)
		}
		if v, err := save.Read(path); err != nil || len(v.(map[string]*tensors.Tensor)) != 2 {
			t.Errorf("%s: as arrays it is %v, %v", name, v, err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole[:len(whole)/2], 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("half of %s is read", name)
		}
	}
	other := filepath.Join(t.TempDir(), "other.npz")
	if err := save.Write(other, map[string]*tensors.Tensor{"x": p.Deltas}); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(other); err == nil || !strings.Contains(err.Error(), "does not hold perturbations") {
		t.Errorf("another file: %v", err)
	}
}

// A gradient that is no number ends the descent with an error, and not with perturbations that are none.
func TestGradientsThatAreNoNumbers(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "root", Height: side, Width: side, Channels: channels},
		func(x *graph.Node) *graph.Node {
			y := graph.ReduceSum(graph.Sqrt(x), 1, 2, 3) // whose gradient at 0 is infinite
			return graph.Stack([]*graph.Node{graph.Neg(y), y}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	black := dataset(t, pixels(4, 0, 0, 1))
	var none *learn.NotFinite
	if p, err := (Attack{Eps: 1, Steps: 3}).On(m, black); !errors.As(err, &none) || p != nil {
		t.Errorf("Attack: %v, %v", p, err)
	}
	if p, err := (BaseSets{Eps: 1}).On(m, black, []int{0, 1, 0, 1}); err == nil ||
		!strings.Contains(err.Error(), "no number") || p != nil {
		t.Errorf("BaseSets: %v, %v", p, err)
	}
}

// raw is a dataset that looks at nothing.
type raw struct{ images *tensors.Tensor }

func (r raw) Len() int { return r.images.Shape().Dimensions[0] }

func (r raw) Images(...int) (*tensors.Tensor, error) { return r.images, nil }

func TestWhatIsRefused(t *testing.T) {
	m := small(t, 3)
	ds := dataset(t, pixels(6, 0, 1, 1))
	with := func(v float32) model.Dataset {
		flat := tensors.MustCopyFlatData[float32](pixels(6, 0, 1, 1))
		flat[3*side*side*channels] = v
		return raw{tensors.FromFlatDataAndDimensions(flat, 6, side, side, channels)}
	}
	nan, nanDelta := float32(math.NaN()), random([]int{0, 1}, 0, 1)
	nanDelta.Deltas = tensors.FromFlatDataAndDimensions(append(make([]float32, 2*side*side*channels-1), nan), 2, side,
		side, channels)
	good := random([]int{0, 1}, 0, 1)
	on := func(a Attack, ds model.Dataset) error { _, err := a.On(m, ds); return err }
	sets := func(b BaseSets, targets ...int) error { _, err := b.On(m, ds, targets); return err }
	patches := func(s Patches) error { _, err := s.On(m, ds, good); return err }
	shifts := func(s Shifts) error { _, err := s.On(m, ds, good); return err }
	success := func(p *Perturbations, ds model.Dataset) error { _, err := p.Success(m, ds); return err }
	_, noModel := Attack{Eps: 1}.On(nil, ds)
	for i, c := range []struct {
		err  error
		says string
	}{
		{noModel, "no model"}, {on(Attack{Eps: 1}, nil), "no dataset"},
		{on(Attack{}, ds), "above 0, not 0"}, {on(Attack{Eps: -1}, ds), "above 0, not -1"},
		{on(Attack{Eps: math.NaN()}, ds), "not NaN"}, {on(Attack{Eps: math.Inf(1)}, ds), "not +Inf"},
		{on(Attack{Eps: 1, Norm: 7}, ds), "no norm 7"}, {on(Attack{Eps: 1, Steps: -1}, ds), "-1 steps"},
		{on(Attack{Eps: 1, StepSize: math.NaN()}, ds), "step size is NaN"},
		{on(Attack{Eps: 1, BatchSize: 7}, ds), "batches of 7 images of 6"}, {on(Attack{Eps: 1, Targets: []int{0, 3}}, ds),
			"class 3 does not exist"}, {on(Attack{Eps: 1, Targets: []int{1, 1}}, ds), "a target twice"},
		{on(Attack{Eps: 1}, with(nan)), "image 3 has the value NaN"},
		{on(Attack{Eps: 1}, with(1.5)), "image 3 has the value 1.5"},
		{on(Attack{Eps: 1}, dataset(t, tensors.FromScalarAndDimensions(float32(0), 6, side, side, 1))),
			"see the model's Prepare"},
		{sets(BaseSets{Eps: 1}, 0, 1), "2 targets for 6 perturbations"}, {sets(BaseSets{Eps: 1, Size: 4}, 0, -1),
			"class -1 does not exist"}, {sets(BaseSets{Eps: 1, Size: 99}, 0), "at most 32"},
		{sets(BaseSets{Eps: 1, Size: -1}, 0), "base sets of -1 images"},
		{patches(Patches{Side: 7}), "squares of 7 pixels in perturbations of 6 x 6"},
		{patches(Patches{Side: 3, Count: -1}), "-1 squares"}, {patches(Patches{Side: 3, Length: math.NaN()}), "not to NaN"},
		{shifts(Shifts{Most: 4}), "by up to 4 pixels"}, {shifts(Shifts{Most: 2, Stride: 3}), "in steps of 3"},
		{success(nil, ds), "no perturbations"}, {success(nanDelta, ds), "perturbation 1 has the value NaN"},
		{success(random([]int{0, 5}, 0, 1), ds), "class 5 does not exist"},
		{success(random([]int{0, 1}, 2, 1), ds), "6 images for 2 perturbations of 2 images each"},
		{success(good, with(nan)), "image 3 has the value NaN"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%d: the error is %v, and should say %q", i, c.err, c.says)
		}
	}
}
