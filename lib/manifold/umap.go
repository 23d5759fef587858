package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// UMAP is uniform manifold approximation and projection (McInnes, Healy and Melville 2018) in two dimensions. The zero
// value has the settings of umap-learn.
type UMAP struct {
	Neighbors       int     // of each point, itself among them as in umap-learn; 0 means 15, or N where that is less
	MinimalDistance float64 // of points in the layout; 0 means 0.1
	Epochs          int     // 0 means 500, or 200 above 10,000 points
	Seed            uint64
}

// Embed lays points, [N, ...] float32, out. An interrupted run returns the layout so far.
func (u UMAP) Embed(points *tensors.Tensor) (*Embedding, error) {
	_, n, _, err := coordinates(points)
	if err != nil {
		return nil, err
	}
	if u, err = u.withDefaults(n); err != nil {
		return nil, err
	}
	nn, err := NearestNeighbors(points, u.Neighbors-1)
	if err != nil {
		return nil, err
	}
	return u.layout(nn.FuzzyAffinity())
}

func (u UMAP) withDefaults(n int) (UMAP, error) {
	if u.Neighbors == 0 {
		u.Neighbors = min(15, n)
	}
	if u.MinimalDistance == 0 {
		u.MinimalDistance = 0.1
	}
	if u.Epochs == 0 {
		u.Epochs = 500
		if n > 10000 {
			u.Epochs = 200
		}
	}
	if n < 4 {
		return u, fmt.Errorf("manifold: UMAP takes four points at least, not %d", n)
	}
	if u.Neighbors < 2 || u.Neighbors > n {
		return u, fmt.Errorf("manifold: UMAP of %d points looks at 2 to %d neighbours, not %d", n, n, u.Neighbors)
	}
	if !(u.MinimalDistance > 0) || u.MinimalDistance > 1 || u.Epochs < 1 {
		return u, fmt.Errorf("manifold: UMAP has a minimal distance in 0..1 and epochs, not %v and %d",
			u.MinimalDistance, u.Epochs)
	}
	return u, nil
}

// FuzzyAffinity is UMAP's graph: a neighbour's weight is exp(-(d-ρ)/σ), with ρ the distance of the nearest at another
// place and σ such that a point's weights sum to log2 of the number of neighbours (itself counted); both directions are
// joined as a + b - ab (McInnes et al., section 3.1).
func (nn *Neighbors) FuzzyAffinity() *Affinity {
	n, k := len(nn.Indices), len(nn.Indices[0])+1
	var overall float64
	for _, row := range nn.Distances {
		for _, d := range row {
			overall += d / float64(n*k)
		}
	}
	var entries []entry
	for i, row := range nn.Distances {
		rho, sigma := scale(row, math.Log2(float64(k)), overall)
		for c, d := range row {
			weight := 1.0
			if d > rho && sigma > 0 {
				weight = math.Exp(-(d - rho) / sigma)
			}
			entries = append(entries, entry{i, nn.Indices[i][c], weight})
		}
	}
	return symmetric(n, entries, func(there, back float64) float64 { return there + back - there*back })
}

// scale finds ρ and σ of a point by bisection; σ is at least a thousandth of a mean distance.
func scale(distances []float64, target, overall float64) (rho, sigma float64) {
	mean := 0.0
	for _, d := range distances {
		if rho == 0 && d > 0 {
			rho = d
		}
		mean += d / float64(len(distances)+1)
	}
	low, high, mid := 0.0, math.Inf(1), 1.0
	for range 64 {
		var sum float64
		for _, d := range distances {
			if d > rho {
				sum += math.Exp(-(d - rho) / mid)
			} else {
				sum++
			}
		}
		if math.Abs(sum-target) < 1e-5 {
			break
		}
		if sum > target {
			high = mid
			mid = (low + high) / 2
		} else if low = mid; math.IsInf(high, 1) {
			mid *= 2
		} else {
			mid = (low + high) / 2
		}
	}
	if rho == 0 {
		mean = overall
	}
	return rho, max(mid, 1e-3*mean)
}

// curve fits 1/(1+a·x^2b) to what the layout's closeness should be: 1 up to the minimal distance, then falling
// exponentially.
func curve(minimal float64) (a, b float64, err error) {
	const count = 300
	loss := func(x []float64) float64 {
		var sum float64
		for i := range count {
			at := 3 * float64(i) / (count - 1)
			want := 1.0
			if at >= minimal {
				want = math.Exp(-(at - minimal))
			}
			d := 1/(1+x[0]*math.Pow(at, 2*x[1])) - want
			sum += d * d
		}
		return sum
	}
	result, err := optimize.Minimize(optimize.Problem{Func: loss}, []float64{1, 1}, nil, &optimize.NelderMead{})
	if err != nil {
		return 0, 0, fmt.Errorf("manifold: the curve of UMAP: %w", err)
	}
	return result.X[0], result.X[1], nil
}

// layout starts at the spectrum's eigenvectors and pulls neighbours together, edge by edge, as often as they weigh,
// while five random points are pushed away for each pull (McInnes et al., section 3.2).
func (u UMAP) layout(graph *Affinity) (*Embedding, error) {
	a, b, err := curve(u.MinimalDistance)
	if err != nil {
		return nil, err
	}
	spectrum, err := graph.Laplacian(3)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(u.Seed, 0x0a9))
	y := start(spectrum, rng)
	var heaviest float64
	graph.Each(func(_, _ int, v float64) { heaviest = max(heaviest, v) })
	type pull struct {
		i, j                int
		every, next         float64 // epochs
		everyPush, nextPush float64
	}
	var pulls []pull
	graph.Each(func(i, j int, v float64) {
		if v >= heaviest/float64(u.Epochs) {
			every := heaviest / v
			pulls = append(pulls, pull{i, j, every, every, every / 5, every / 5})
		}
	})
	bar := progress.New("UMAP", u.Epochs)
	defer bar.Close()
	e := &Embedding{Points: y}
	bounded := func(v float64) float64 { return max(-4, min(4, v)) }
	for epoch := range u.Epochs {
		if err := interrupt.Err(); err != nil {
			return e, fmt.Errorf("manifold: UMAP interrupted after %d of %d epochs: %w", epoch, u.Epochs, err)
		}
		rate := 1 - float64(epoch)/float64(u.Epochs)
		for c := range pulls {
			p := &pulls[c]
			if p.next > float64(epoch) {
				continue
			}
			own, other := y.RawRowView(p.i), y.RawRowView(p.j)
			d := squared(own, other)
			if d > 0 {
				power := math.Pow(d, b)
				force := -2 * a * b * power / d / (a*power + 1)
				for x := range own {
					step := rate * bounded(force*(own[x]-other[x]))
					own[x] += step
					other[x] -= step
				}
			}
			p.next += p.every
			pushes := int((float64(epoch) - p.nextPush) / p.everyPush)
			for range pushes {
				at := rng.IntN(graph.n)
				far := y.RawRowView(at)
				d := squared(own, far)
				if d > 0 {
					force := 2 * b / ((0.001 + d) * (a*math.Pow(d, b) + 1))
					for x := range own {
						own[x] += rate * bounded(force*(own[x]-far[x]))
					}
				}
			}
			p.nextPush += float64(pushes) * p.everyPush
		}
		bar.Add(1)
	}
	return e, nil
}

// start scales the second and third eigenvector to -10..10, with a little noise.
func start(s *Spectrum, rng *rand.Rand) *mat.Dense {
	n, _ := s.Vectors.Dims()
	y := mat.DenseCopyOf(s.Vectors.Slice(0, n, 1, 3))
	var largest float64
	for i := range n {
		largest = max(largest, math.Abs(y.At(i, 0)), math.Abs(y.At(i, 1)))
	}
	y.Apply(func(_, _ int, v float64) float64 { return v/largest*10 + 1e-4*rng.NormFloat64() }, y)
	return y
}

func squared(a, b []float64) float64 {
	x, y := a[0]-b[0], a[1]-b[1]
	return x*x + y*y
}
