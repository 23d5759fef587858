package manifold

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// The oracles are corelay, SciPy, scikit-learn and umap-learn: bench/oracles/manifold.py.
const digitsFile = "testdata/digits.npz"

func digits(t *testing.T) *tensors.Tensor {
	t.Helper()
	return tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, digitsFile, "points"), 300, 8, 8)
}

func golden(t *testing.T, array string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, digitsFile, array)
}

func neighbors(t *testing.T, points *tensors.Tensor, k int) *Neighbors {
	t.Helper()
	nn, err := NearestNeighbors(points, k)
	if err != nil {
		t.Fatal(err)
	}
	return nn
}

func TestNearestNeighbors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n, d = 500, 7
	flat := make([]float32, n*d)
	for i := range flat {
		flat[i] = 1000 + rng.Float32() // far from the origin, where products in single precision are coarse
	}
	copy(flat[3*d:4*d], flat[9*d:10*d]) // the same point twice
	nn := neighbors(t, tensors.FromFlatDataAndDimensions(flat, n, d), 5)
	for i := range n {
		var order []int
		for j := range n {
			if j != i {
				order = append(order, j)
			}
		}
		at := func(j int) float64 { return distance(flat[i*d:(i+1)*d], flat[j*d:(j+1)*d]) }
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(at(a), at(b)) })
		if !slices.Equal(nn.Indices[i], order[:5]) {
			t.Fatalf("point %d: %v, want %v", i, nn.Indices[i], order[:5])
		}
		for c, j := range order[:5] {
			if nn.Distances[i][c] != at(j) {
				t.Fatalf("point %d is %v from %d, want %v", i, nn.Distances[i][c], j, at(j))
			}
		}
	}
	if nn.Indices[3][0] != 9 || nn.Distances[3][0] != 0 {
		t.Errorf("the twin of point 3 is %d at %v", nn.Indices[3][0], nn.Distances[3][0])
	}
}

// The eigenvalues are those of corelay's Laplacian by SciPy, and by corelay itself where it is asked for the largest of
// the complement.
func TestLaplacian(t *testing.T) {
	a := neighbors(t, digits(t), 10).BinaryAffinity()
	s, err := a.Laplacian(32)
	if err != nil {
		t.Fatal(err)
	}
	want := golden(t, "eigenvalues")
	for i, v := range s.Values {
		if !approx.Equal(v, want[i], 1e-10) {
			t.Errorf("eigenvalue %d is %v, want %v", i, v, want[i])
		}
	}
	corelay := golden(t, "corelay_la")
	slices.Sort(corelay)
	for i, v := range s.Values {
		if !approx.Equal(v, corelay[i], 1e-8) {
			t.Errorf("eigenvalue %d is %v, and corelay's %v", i, v, corelay[i])
		}
	}
	// Of an eigenvalue that occurs twice any basis will do, so subspaces are compared: the cosine of the largest angle
	// between them.
	vectors := mat.NewDense(300, 8, golden(t, "eigenvectors"))
	if c := cosine(s.Vectors.Slice(0, 300, 0, 8), vectors); !(1-c <= 1e-10) {
		t.Errorf("the eigenvectors span another space: cosine %v", c)
	}
}

// cosine is that of the largest principal angle between the spaces of two orthonormal bases.
func cosine(a, b mat.Matrix) float64 {
	var product mat.Dense
	product.Mul(a.T(), b)
	var svd mat.SVD
	svd.Factorize(&product, mat.SVDNone)
	return slices.Min(svd.Values(nil))
}

// blobs are n points around some centres.
func blobs(n, d, centres int, spread float32) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(5, 6))
	flat := make([]float32, n*d)
	for i := range flat {
		centre := i / d % centres
		flat[i] = spread * float32(rng.NormFloat64())
		if i%d == centre%d {
			flat[i] += float32(1 + centre/d)
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, d)
}

// The iteration finds what LAPACK finds, an eigenvalue of 0 for each part of the graph among them.
func TestIteration(t *testing.T) {
	for _, spread := range []float32{0.01, 0.3} {
		a := neighbors(t, blobs(650, 12, 7, spread), 10).BinaryAffinity()
		s, err := a.Laplacian(20)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := a.normalized()
		if err != nil {
			t.Fatal(err)
		}
		values, vectors, err := largest(m.dense(), 20)
		if err != nil {
			t.Fatal(err)
		}
		zero := 0
		for i, v := range values {
			if !approx.Equal(s.Values[i], (1 - v), 1e-9) {
				t.Errorf("spread %v: eigenvalue %d is %v, want %v", spread, i, s.Values[i], 1-v)
			}
			if s.Values[i] < 1e-9 {
				zero++
			}
		}
		if spread == 0.01 && zero != 7 {
			t.Errorf("%d eigenvalues are 0, and the graph has seven parts", zero)
		}
		if c := cosine(s.Vectors.Slice(0, 650, 0, 7), vectors.Slice(0, 650, 0, 7)); !(1-c <= 1e-8) {
			t.Errorf("spread %v: the eigenvectors span another space: cosine %v", spread, c)
		}
	}
}

func TestTSNE(t *testing.T) {
	points := digits(t)
	flat, n, d, err := coordinates(points)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jointProbabilities(flat, n, d, 30)
	if err != nil {
		t.Fatal(err)
	}
	worst, largest := oracle.Difference(p[:20*n], oracle.Read[float32](t, digitsFile, "joint"))
	if !approx.Equal(worst, 0, 1e-4*largest) {
		t.Errorf("probabilities differ by %v of %v", worst, largest)
	}
	// Fifteen iterations from the same start: by forty, rounding has moved points visibly, also between two programs in
	// Python.
	start := mat.NewDense(n, 2, nil)
	for i, v := range oracle.Read[float32](t, digitsFile, "start") {
		start.Set(i/2, i%2, float64(v))
	}
	few, err := TSNE{Perplexity: 30, Iterations: 15, Start: start}.Embed(points)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle.Read[float32](t, digitsFile, "after15")
	var off, size float64
	for i, v := range want {
		off = max(off, math.Abs(few.Points.At(i/2, i%2)-float64(v)))
		size = max(size, math.Abs(float64(v)))
	}
	if !approx.Equal(off, 0, 1e-3*size) {
		t.Errorf("after 15 iterations points lie up to %v from scikit-learn's, in a layout of %v", off, size)
	}
	// Where it ends, no two implementations agree in each point; they do in how good it is.
	whole, err := TSNE{}.Embed(points)
	if err != nil {
		t.Fatal(err)
	}
	end := golden(t, "divergence")
	t.Logf("divergence %.4f, scikit-learn's %.4f; trustworthiness %.4f, scikit-learn's %.4f", whole.Divergence, end[0],
		trustworthiness(t, points, whole.Points), end[1])
	if !approx.Equal(whole.Divergence, end[0], 0.05*end[0]) {
		t.Errorf("it ends at a divergence of %v, scikit-learn at %v", whole.Divergence, end[0])
	}
	if got := trustworthiness(t, points, whole.Points); !(got >= end[1]-0.005) {
		t.Errorf("trustworthiness %v, scikit-learn's %v", got, end[1])
	}
}

func TestUMAP(t *testing.T) {
	points := digits(t)
	a := neighbors(t, points, 14).FuzzyAffinity().dense()
	for i, v := range golden(t, "fuzzy") {
		if got := a.At(i/300, i%300); !approx.Equal(got, v, 1e-4) {
			t.Fatalf("the weight of %d and %d is %v, want %v", i/300, i%300, got, v)
		}
	}
	want := golden(t, "curve")
	for i, minimal := range []float64{0.1, 0.5} {
		x, y, err := curve(minimal)
		if err != nil || !approx.Equal(x, want[2*i], 1e-3) || !approx.Equal(y, want[2*i+1], 1e-3) {
			t.Errorf("the curve of %v has %v and %v (%v), want %v", minimal, x, y, err, want[2*i:2*i+2])
		}
	}
	e, err := UMAP{}.Embed(points)
	if err != nil {
		t.Fatal(err)
	}
	// The golden is the median of five seeds, which differ by 0.0013, 15% and 13%.
	theirs := golden(t, "umap")
	radius, nearest := extent(e.Points)
	trust := trustworthiness(t, points, e.Points)
	t.Logf("trustworthiness %.4f, radius %.2f, nearest %.3f; umap-learn's %v", trust, radius, nearest, theirs)
	if !(trust >= theirs[0]-0.01) || !approx.Equal(radius, theirs[1], 0.2*theirs[1]) ||
		!approx.Equal(nearest, theirs[2], 0.2*theirs[2]) {
		t.Errorf("trustworthiness %v, radius %v and nearest point at %v; umap-learn's %v", trust, radius, nearest, theirs)
	}
	again, err := UMAP{}.Embed(points)
	if err != nil || !mat.Equal(e.Points, again.Points) {
		t.Errorf("the same seed gives another layout (%v)", err)
	}
}

// extent is the root of the mean squared distance from the middle, and the median distance of the nearest point.
func extent(plane *mat.Dense) (radius, nearest float64) {
	n, _ := plane.Dims()
	x, y := mat.Col(nil, 0, plane), mat.Col(nil, 1, plane)
	var least []float64
	for i := range n {
		d := math.Inf(1)
		for j := range n {
			if j != i {
				d = min(d, math.Hypot(x[i]-x[j], y[i]-y[j]))
			}
		}
		least = append(least, d)
	}
	slices.Sort(least)
	return math.Sqrt(stat.PopVariance(x, nil) + stat.PopVariance(y, nil)), stat.Quantile(0.5, stat.LinInterp, least, nil)
}

// trustworthiness says how many neighbours in the plane were neighbours before (Venna and Kaski 2001), of 10 each.
func trustworthiness(t *testing.T, points *tensors.Tensor, plane *mat.Dense) float64 {
	t.Helper()
	const k = 10
	n, _ := plane.Dims()
	flat := make([]float32, 0, 2*n)
	for i := range n {
		flat = append(flat, float32(plane.At(i, 0)), float32(plane.At(i, 1)))
	}
	near := neighbors(t, tensors.FromFlatDataAndDimensions(flat, n, 2), k)
	all := neighbors(t, points, n-1)
	var sum float64
	for i := range n {
		for _, j := range near.Indices[i] {
			sum += float64(max(0, slices.Index(all.Indices[i], j)+1-k))
		}
	}
	return 1 - sum*2/float64(n*k*(2*n-3*k-1))
}

func TestWrong(t *testing.T) {
	points := digits(t)
	wrong := tensors.FromFlatDataAndDimensions([]float32{1, 2, float32(math.NaN()), 4}, 2, 2)
	embed := func(l interface {
		Embed(*tensors.Tensor) (*Embedding, error)
	}, points *tensors.Tensor) func() error {
		return func() error { _, err := l.Embed(points); return err }
	}
	for want, do := range map[string]func() error{
		"coordinate 0 of point 1 is NaN":        func() error { _, err := NearestNeighbors(wrong, 1); return err },
		"rank 2 or more":                        func() error { _, err := NearestNeighbors(nil, 1); return err },
		"each has 1 to 299 neighbours, not 300": func() error { _, err := NearestNeighbors(points, 300); return err },
		"points are float32, not Int32": func() error {
			_, err := NearestNeighbors(tensors.FromScalarAndDimensions(int32(1), 4, 4), 1)
			return err
		},
		"it takes two points at least":                embed(TSNE{}, tensors.FromScalarAndDimensions(float32(1), 1, 4)),
		"less than the number of points: 300 for 300": embed(TSNE{Perplexity: 300}, points),
		"-1 iterations":                               embed(TSNE{Iterations: -1}, points),
		"t-SNE of 300 points starts at [300, 2]":      embed(TSNE{Start: mat.NewDense(2, 2, nil)}, points),
		"looks at 2 to 300 neighbours, not 301":       embed(UMAP{Neighbors: 301}, points),
		"a minimal distance in 0..1":                  embed(UMAP{MinimalDistance: 2}, points),
		"has 1 to 300 eigenvalues, not 301": func() error {
			_,
				err := neighbors(t, points, 3).BinaryAffinity().Laplacian(301)
			return err
		},
		"up to 12000 points, not 12001: take UMAP": embed(TSNE{}, tensors.FromScalarAndDimensions(float32(1), 12001, 2)),
		"point 0 has the degree 0": func() error {
			_,
				err := (&Affinity{n: 2, start: []int{0, 0, 0}}).Laplacian(1)
			return err
		},
		"four points at least, not 3": embed(UMAP{}, tensors.FromScalarAndDimensions(float32(1), 3, 2)),
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Points that are all the same are laid out too: there is nothing to tell them apart by, and no error.
func TestSamePoints(t *testing.T) {
	same := tensors.FromScalarAndDimensions(float32(1), 40, 3)
	for name, embed := range map[string]func(*tensors.Tensor) (*Embedding, error){"t-SNE": TSNE{Iterations: 300}.Embed,
		"UMAP": UMAP{Epochs: 50}.Embed} {
		e, err := embed(same)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, v := range e.Points.RawMatrix().Data {
			if math.IsNaN(v) {
				t.Fatalf("%s: a point lies nowhere", name)
			}
		}
	}
}

// How many iterations a call of the device does changes nothing.
func TestIterationsDoNotDependOnTheirCalls(t *testing.T) {
	points := digits(t)
	var want *Embedding
	for _, iterations := range []int{50, 7, 0} { // 0: by time
		release := paced.Fix(iterations)
		got, err := TSNE{Iterations: 300}.Embed(points)
		release()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !mat.Equal(got.Points, want.Points) || got.Divergence != want.Divergence {
			t.Errorf("with %d iterations a call the layout is another than with 50", iterations)
		}
	}
}

func TestInterrupted(t *testing.T) {
	points := digits(t)
	for name, embed := range map[string]func(*tensors.Tensor) (*Embedding, error){"t-SNE": TSNE{}.Embed,
		"UMAP": UMAP{}.Embed} {
		ctx := testenv.CancelledAfter(5)
		release := interrupt.Use(ctx)
		e, err := embed(points)
		release()
		if !errors.Is(err, context.Canceled) || e == nil || e.Points.At(1, 1) == 0 {
			t.Errorf("%s: %v with %v", name, err, e)
		}
	}
	release := interrupt.Use(testenv.CancelledAfter(0))
	defer release()
	if _, err := NearestNeighbors(points, 3); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
