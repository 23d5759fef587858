package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// Spectrum is the low end of the spectrum of a graph's symmetric normalised Laplacian I - D^-½ A D^-½.
type Spectrum struct {
	Values  []float64  // the k smallest eigenvalues, rising, in 0..2; as many are 0 as the graph has parts
	Vectors *mat.Dense // their eigenvectors in the columns, of length 1, [N, k]; of equal eigenvalues any basis
	Degrees []float64  // D, [N]
}

// denseUpTo is the number of points up to which the whole spectrum is computed at once.
const denseUpTo = 600

// Laplacian returns the k smallest eigenvalues of an affinity's normalised Laplacian and their eigenvectors, for any
// number of points: up to 600 by LAPACK, above by subspace iteration with Chebyshev filters, which touches nothing but
// the entries that the affinity keeps and finds equal eigenvalues as often as they occur (a Lanczos iteration from one
// vector misses them, and a graph in parts has them). Residuals are below 1e-8.
func (a *Affinity) Laplacian(k int) (*Spectrum, error) {
	if k < 1 || k > a.n {
		return nil, fmt.Errorf("manifold: the Laplacian of %d points has 1 to %d eigenvalues, not %d", a.n, a.n, k)
	}
	m, degrees, err := a.normalized()
	if err != nil {
		return nil, err
	}
	var values []float64 // of m, falling
	var vectors *mat.Dense
	if a.n <= denseUpTo || 3*k > a.n {
		values, vectors, err = largest(m.dense(), k)
	} else {
		values, vectors, err = m.iterate(k, degrees)
	}
	if err != nil {
		return nil, err
	}
	s := &Spectrum{Vectors: vectors, Degrees: degrees}
	for _, v := range values {
		s.Values = append(s.Values, max(0, 1-v))
	}
	return s, nil
}

// largest returns the k algebraically largest eigenvalues of a matrix, falling, and their eigenvectors. Not those of
// the largest magnitude, among which there are some near -1 that belong to no cluster.
func largest(m *mat.SymDense, k int) ([]float64, *mat.Dense, error) {
	var e mat.EigenSym
	if !e.Factorize(m, true) {
		return nil, nil, fmt.Errorf("manifold: the eigenvalues of a matrix of %d rows do not converge", m.SymmetricDim())
	}
	n := m.SymmetricDim()
	var all mat.Dense
	e.VectorsTo(&all)
	rising := e.Values(nil)
	values, vectors := make([]float64, k), mat.NewDense(n, k, nil)
	for c := range k {
		values[c] = rising[n-1-c]
		vectors.SetCol(c, mat.Col(nil, n-1-c, &all))
	}
	return values, vectors, nil
}

const (
	residual  = 1e-8 // of each eigenvector
	degree    = 24   // of a filter
	mostTimes = 300  // that a filter is applied
)

// iterate finds the k largest eigenvalues of a matrix with its spectrum in -1..1 (Zhou, Saad, Tiago and Chelikowsky
// 2006: a Chebyshev polynomial makes what lies above the block's lowest Ritz value grow, and what is below it not).
func (m *Affinity) iterate(k int, degrees []float64) ([]float64, *mat.Dense, error) {
	width := min(m.n, k+max(10, k/2)) // what is more than k makes the k converge sooner
	rng := rand.New(rand.NewPCG(1, 2))
	x := mat.NewDense(m.n, width, nil)
	x.Apply(func(i, j int, _ float64) float64 {
		if j == 0 {
			return math.Sqrt(degrees[i]) // known: the eigenvector of 1
		}
		return rng.NormFloat64()
	}, x)
	p := progress.New("eigenvalues", k)
	defer p.Close()
	var mx mat.Dense
	mx.ReuseAs(m.n, width)
	cut, converged := 0.0, 0
	for range mostTimes {
		if err := interrupt.Err(); err != nil {
			return nil, nil, fmt.Errorf("manifold: interrupted after %d of %d eigenvalues: %w", converged, k, err)
		}
		x = m.filter(x, cut)
		if err := orthonormalize(x); err != nil {
			return nil, nil, err
		}
		m.mul(&mx, x)
		var h mat.Dense
		h.Mul(x.T(), &mx)
		small := mat.NewSymDense(width, nil)
		for i := range width {
			for j := i; j < width; j++ {
				small.SetSym(i, j, (h.At(i, j)+h.At(j, i))/2)
			}
		}
		values, basis, err := largest(small, width)
		if err != nil {
			return nil, nil, err
		}
		var next, image mat.Dense
		next.Mul(x, basis)
		image.Mul(&mx, basis)
		x = &next
		now := 0
		for now < k && residualOf(&image, x, values[now], now) < residual {
			now++
		}
		p.Add(max(0, now-converged))
		if converged = max(converged, now); now == k {
			return values[:k], mat.DenseCopyOf(x.Slice(0, m.n, 0, k)), nil
		}
		cut = min(values[width-1], 0.999999)
	}
	return nil, nil,
		fmt.Errorf("manifold: %d of %d eigenvalues have converged: ask for fewer, or raise the number of neighbours",
			converged, k)
}

func residualOf(image, x *mat.Dense, value float64, column int) float64 {
	var sum float64
	for i := range x.RawMatrix().Rows {
		d := image.At(i, column) - value*x.At(i, column)
		sum += d * d
	}
	return math.Sqrt(sum)
}

// filter applies the Chebyshev polynomial of the interval -1..cut.
func (m *Affinity) filter(x *mat.Dense, cut float64) *mat.Dense {
	_, width := x.Dims()
	middle, half := (cut-1)/2, (cut+1)/2
	// Scaled step by step, so that the largest eigenvalue's factor stays 1.
	scale := half / (1 - middle)
	first := scale
	previous, current, product := x, mat.NewDense(m.n, width, nil), mat.NewDense(m.n, width, nil)
	m.mul(product, x)
	combine(current, first/half, product, -first*middle/half, x, 0, nil)
	for range degree - 1 {
		next := 1 / (2/first - scale)
		m.mul(product, current)
		out := mat.NewDense(m.n, width, nil)
		combine(out, 2*next/half, product, -2*next*middle/half, current, -scale*next, previous)
		previous, current, scale = current, out, next
	}
	return current
}

// combine sets out to a·x + b·y + c·z.
func combine(out *mat.Dense, a float64, x *mat.Dense, b float64, y *mat.Dense, c float64, z *mat.Dense) {
	n, _ := out.Dims()
	for i := range n {
		to, xs, ys := out.RawRowView(i), x.RawRowView(i), y.RawRowView(i)
		for j := range to {
			to[j] = a*xs[j] + b*ys[j]
		}
		if c != 0 {
			for j, v := range z.RawRowView(i) {
				to[j] += c * v
			}
		}
	}
}

// orthonormalize makes the columns of x orthonormal, by QR: mat.QR would make the whole [N, N] of Q.
func orthonormalize(x *mat.Dense) error {
	_, width := x.Dims()
	raw := x.RawMatrix()
	tau := make([]float64, width)
	work := []float64{0}
	lapack64.Geqrf(raw, tau, work, -1)
	work = make([]float64, int(work[0]))
	lapack64.Geqrf(raw, tau, work, len(work))
	query := []float64{0}
	lapack64.Orgqr(raw, tau, query, -1)
	if int(query[0]) > len(work) {
		work = make([]float64, int(query[0]))
	}
	lapack64.Orgqr(raw, tau, work, len(work))
	for i := range raw.Rows {
		for _, v := range x.RawRowView(i) {
			if math.IsNaN(v) {
				return fmt.Errorf("manifold: the iteration for eigenvalues lost a direction")
			}
		}
	}
	return nil
}
