package spray

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/testnets"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/manifold"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/stats"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// strategies are heatmaps of n images, of which a share look at another place than the rest, whose attention wanders.
func strategies(n, side int, share float64, seed uint64) (*tensors.Tensor, []int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	heat := make([]float32, n*side*side)
	truth := make([]int, n)
	for i := range n {
		centre, wander := float64(side)/2, 1.5
		if float64(i) < share*float64(n) {
			truth[i], centre, wander = 1, 1.5, 0.3
		}
		y0, x0 := centre+wander*rng.NormFloat64(), centre+wander*rng.NormFloat64()
		for j := range side * side {
			y, x := float64(j/side)-y0, float64(j%side)-x0
			heat[i*side*side+j] = float32(math.Exp(-(y*y+x*x)/8) + 0.05*rng.NormFloat64())
		}
	}
	return tensors.FromFlatDataAndDimensions(heat, n, side, side), truth
}

func membership(s Strategy) []int {
	out := make([]int, len(s.Members))
	for i, m := range s.Members {
		if m {
			out[i] = 1
		}
	}
	return out
}

func agreement(t *testing.T, a, b []int) float64 {
	t.Helper()
	v, err := stats.AdjustedRandIndex(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHeatmaps(t *testing.T) {
	heat, truth := strategies(300, 14, 0.15, 1)
	a, err := SpRAy{}.Heatmaps(heat)
	if err != nil {
		t.Fatal(err)
	}
	if v := agreement(t, truth, membership(a.Strategies[0])); !(v >= 0.95) {
		t.Errorf("the strategy that stands apart has %d members, with an adjusted Rand index of %v",
			a.Strategies[0].Size(), v)
	}
	if v := agreement(t, truth, a.Cut(2)); !(v >= 0.95) {
		t.Errorf("two clusters have an adjusted Rand index of %v", v)
	}
	// The conductance bounds the second eigenvalue from above (Cheeger).
	if !(a.Spectrum.Values[1]/2 <= a.Conductance()+1e-9) {
		t.Errorf("λ₂/2 is %v, and a group has a conductance of %v", a.Spectrum.Values[1]/2, a.Conductance())
	}
	// A cluster's members come with the most typical first.
	for c := range a.Count() {
		members := a.Members(c)
		for _, i := range members {
			if a.Clusters[i] != c {
				t.Fatalf("image %d is in cluster %d, not %d", i, a.Clusters[i], c)
			}
		}
	}
	// Nothing stands apart in heatmaps of one strategy.
	one, _ := strategies(300, 14, 0, 2)
	b, err := SpRAy{}.Heatmaps(one)
	if err != nil {
		t.Fatal(err)
	}
	if !(b.Conductance() >= 5*a.Conductance()) {
		t.Errorf("where there is one strategy a group has a conductance of %v, and %v where there are two", b.Conductance(),
			a.Conductance())
	}
}

// The chain up to the eigenvalues is corelay's: bench/oracles/manifold.py.
func TestCorelay(t *testing.T) {
	const file = "../../manifold/testdata/digits.npz"
	points := tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "points"), 300, 8, 8)
	a, err := SpRAy{Raw: true}.Heatmaps(points)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle.Read[float64](t, file, "corelay_la")
	slices.Sort(want)
	for i, v := range a.Spectrum.Values {
		if !approx.Equal(v, want[i], 1e-8) {
			t.Errorf("eigenvalue %d is %v, and corelay's %v", i, v, want[i])
		}
	}
}

func TestEigengap(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   int
	}{
		{[]float64{0, 0.5, 0.6, 0.7}, 1},
		{[]float64{0, 0.01, 0.6, 0.7}, 2},
		{[]float64{0, 0, 0, 0.4, 0.5}, 3},
		{[]float64{0, 0}, 1},
	} {
		if got := eigengap(c.values); got != c.want {
			t.Errorf("%v has the gap behind %d, want %d", c.values, got, c.want)
		}
	}
}

// Cells are averaged as in adaptive average pooling, and scaled to length 1.
func TestReduce(t *testing.T) {
	heat := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 3, 3)
	for _, c := range []struct {
		s    SpRAy
		want []float32
	}{
		{SpRAy{Side: 2, Raw: true}, []float32{3, 4, 6, 7}},
		{SpRAy{Side: 1, Raw: true}, []float32{5}},
		{SpRAy{Side: 9, Raw: true}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{SpRAy{Side: 1}, []float32{1}},
	} {
		got, err := c.s.reduce(heat)
		if err != nil {
			t.Fatal(err)
		}
		if v := tensors.MustCopyFlatData[float32](got); !slices.Equal(v, c.want) {
			t.Errorf("%+v: %v, want %v", c.s, v, c.want)
		}
	}
}

func TestKMeans(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	rows := mat.NewDense(200, 3, nil)
	truth := make([]int, 200)
	for i := range 200 {
		truth[i] = i % 3
		if i < 30 {
			truth[i] = 0
		}
		for c := range 3 {
			rows.Set(i, c, 0.1*rng.NormFloat64())
		}
		rows.Set(i, truth[i], 1)
	}
	got := kMeans(rows, 3, 1)
	if v := agreement(t, truth, got); v != 1 {
		t.Errorf("an adjusted Rand index of %v", v)
	}
	sizes := make([]int, 3)
	for _, c := range got {
		sizes[c]++
	}
	if !slices.IsSortedFunc(sizes, func(a, b int) int { return b - a }) {
		t.Errorf("clusters of %v are not numbered by size", sizes)
	}
	if again := kMeans(rows, 3, 1); !slices.Equal(got, again) {
		t.Error("the same seed gives other clusters")
	}
	// More clusters than different rows.
	same := mat.NewDense(5, 2, nil)
	if c := kMeans(same, 3, 1); len(c) != 5 {
		t.Error(c)
	}
}

// watermarked is a network that has learnt Fashion-MNIST with a bright square in the corner of 15 in 100 images of one
// class, and what it learnt from.
func watermarked(t *testing.T, class int, seed uint64, count, epochs int) (*model.Model, *data.Dataset, map[int]bool) {
	t.Helper()
	testenv.Asset(t, "fashion-mnist")
	ds, err := data.Open("fashion-mnist-train")
	if err != nil {
		t.Fatal(err)
	}
	ds = ds.Shuffle(seed).Take(count)
	images, err := ds.All()
	if err != nil {
		t.Fatal(err)
	}
	marked := map[int]bool{}
	var which []int
	n := 0
	for i, l := range ds.Labels() {
		if l == class {
			if n++; n%20 < 3 {
				which = append(which, i)
				marked[i] = true
			}
		}
	}
	if images, err = (perturb.Patch{Row: 1, Column: 1, Side: 4, Value: 1}).Apply(images, which); err != nil {
		t.Fatal(err)
	}
	m := testnets.SmallCNN(t, images, ds.Labels(), epochs, seed)
	with, err := data.FromTensor(images, ds.Labels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, with, marked
}

// Nobody says which of ten classes has a watermark on 15 in 100 of its images: the class comes first, and the group is
// that of the marked images.
func TestPlantedWatermark(t *testing.T) {
	seeds := []struct {
		class int
		seed  uint64
	}{{4, 1}, {0, 2}, {2, 3}}
	count := 4000
	if !testenv.IsHeavy() {
		seeds, count = seeds[:1], 1600
	}
	for _, c := range seeds {
		m, ds, marked := watermarked(t, c.class, c.seed, count, 8)
		all, err := SpRAy{}.Classes(m, ds)
		if err != nil {
			t.Fatal(err)
		}
		first := all[0]
		truth := make([]int, len(first.Images))
		for i, at := range first.Images {
			if marked[at] {
				truth[i] = 1
			}
		}
		v := agreement(t, truth, membership(first.Strategies[0]))
		t.Logf("class %d: first is %d, %d of %d images with a conductance of %.3f (next %.3f), adjusted Rand index %.3f",
			c.class, first.Class, first.Strategies[0].Size(), len(first.Images),
			first.Conductance(), all[1].Conductance(), v)
		if first.Class != c.class || !(v >= 0.9) {
			t.Errorf("the first class is %d, not %d, with an adjusted Rand index of %v", first.Class, c.class, v)
		}
		if c.class == seeds[0].class {
			look(t, first, ds)
		}
	}
}

// look makes the pictures, and keeps them where LOUPE_LOOK says.
func look(t *testing.T, a *Analysis, ds model.Dataset) {
	t.Helper()
	sheet, err := a.Sheet(ds, 8)
	if err != nil {
		t.Fatal(err)
	}
	if len(sheet.Rows) != 2*a.Count() || len(sheet.Rows[0]) != 8 {
		t.Errorf("the sheet has %d rows for %d clusters", len(sheet.Rows), a.Count())
	}
	scatter, err := a.Map(manifold.TSNE{Iterations: 400})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"sheet": sheet, "map": scatter, "eigenvalues": a.Eigenvalues()} {
		dir := os.Getenv("LOUPE_LOOK")
		if dir == "" {
			dir = t.TempDir()
		}
		if err := save.Write(fmt.Sprintf("%s/spray-%s.png", dir, name), v); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Sheet(ds, 0); err == nil {
		t.Error("a sheet of no images has no error")
	}
}

func TestManyHeatmaps(t *testing.T) {
	n := 3000
	if testenv.IsHeavy() {
		n = 10000
	}
	heat, truth := strategies(n, 16, 0.1, 3)
	a, err := SpRAy{}.Heatmaps(heat)
	if err != nil {
		t.Fatal(err)
	}
	if v := agreement(t, truth, membership(a.Strategies[0])); !(v >= 0.95) {
		t.Errorf("an adjusted Rand index of %v", v)
	}
}

func TestWrong(t *testing.T) {
	heat, _ := strategies(40, 8, 0.2, 1)
	analyse := func(s SpRAy, heat *tensors.Tensor) func() error {
		return func() error { _, err := s.Heatmaps(heat); return err }
	}
	bad, _ := strategies(40, 8, 0.2, 1)
	tensors.MustMutableFlatData(bad, func(flat []float32) { flat[3*64] = float32(math.Inf(1)) })
	few, _ := strategies(8, 8, 0.2, 1)
	for want, do := range map[string]func() error{
		"have the shape [N, H, W]":                 analyse(SpRAy{}, tensors.FromScalarAndDimensions(float32(1), 4, 4)),
		"8 heatmaps are too few for 10 neighbours": analyse(SpRAy{}, few),
		"heatmap 3 has a value that is +Inf":       analyse(SpRAy{}, bad),
		"40 heatmaps cannot form 41 clusters":      analyse(SpRAy{Clusters: 41}, heat),
		"Neighbors -1":                             analyse(SpRAy{Neighbors: -1}, heat),
		"heatmaps are float32":                     analyse(SpRAy{}, tensors.FromScalarAndDimensions(int32(1), 40, 4, 4)),
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestClassesSayWhatIsMissing(t *testing.T) {
	testenv.Asset(t, "fashion-mnist")
	net, err := learn.SmallCNN(model.Spec{Height: 28, Width: 28, Channels: 1}, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := data.Open("fashion-mnist")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (SpRAy{}).Classes(net, ds.Take(20)); err == nil ||
		!strings.Contains(err.Error(), "no class has more than 11 images") {
		t.Error(err)
	}
	if _, err := (SpRAy{}).Classes(net, ds.Take(300), 10); err == nil ||
		!strings.Contains(err.Error(), "class 10 does not exist") {
		t.Error(err)
	}
	// Interrupted, it returns the classes that are done.
	partial := 0
	for questions := 0; ; questions += 15 {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		done, err := SpRAy{}.Classes(net, ds.Take(300))
		release()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || len(done) == 10 {
			t.Fatalf("after %d questions %d classes are done: %v", questions, len(done), err)
		}
		if len(done) > 0 {
			partial++
		}
	}
	if partial == 0 {
		t.Error("no interrupt left some of the classes")
	}
}
