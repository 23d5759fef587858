package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// TSNE is exact t-distributed stochastic neighbour embedding (van der Maaten and Hinton 2008) in two dimensions. All
// pairs are computed, on the device: memory and time grow with N². The zero value has the settings of scikit-learn.
type TSNE struct {
	Perplexity   float64 // how many neighbours count, about; 0 means 30, or (N-1)/3 where that is less
	Iterations   int     // 0 means 1000, of which the first 250 exaggerate what is near 12 times
	LearningRate float64 // 0 means N/48, at least 50
	Seed         uint64
	// Start is where points begin, [N, 2]; nil means the first two principal components, the first with a standard
	// deviation of 1e-4.
	Start *mat.Dense
}

// The schedule of van der Maaten's code and scikit-learn's.
const (
	exaggeration  = 12.0
	exaggerated   = 250 // iterations
	momentumFirst = 0.5
	momentumThen  = 0.8
	leastGain     = 0.01
	tsneLimit     = 12000 // points: three matrices of them lie on the device
)

// Embedding is a layout in the plane.
type Embedding struct {
	Points *mat.Dense // [N, 2]
	// Divergence is the Kullback-Leibler divergence that t-SNE ended at, in nats; 0 for UMAP.
	Divergence float64
}

// Embed lays points, [N, ...] float32, out. An interrupted run returns the layout so far.
func (t TSNE) Embed(points *tensors.Tensor) (*Embedding, error) {
	flat, n, d, err := coordinates(points)
	if err != nil {
		return nil, err
	}
	if n > tsneLimit {
		return nil, fmt.Errorf(
			"manifold: t-SNE compares all pairs, which is for up to %d points, not %d: take UMAP, or some of them", tsneLimit, n)
	}
	if t, err = t.withDefaults(n); err != nil {
		return nil, err
	}
	p, err := jointProbabilities(flat, n, d, t.Perplexity)
	if err != nil {
		return nil, err
	}
	start := t.Start
	if start == nil {
		if start, err = t.principal(flat, n, d); err != nil {
			return nil, err
		}
	}
	return t.descend(p, start)
}

func (t TSNE) withDefaults(n int) (TSNE, error) {
	if t.Perplexity == 0 {
		t.Perplexity = min(30, float64(n-1)/3)
	}
	if t.Iterations == 0 {
		t.Iterations = 1000
	}
	if t.LearningRate == 0 {
		t.LearningRate = max(float64(n)/exaggeration/4, 50)
	}
	if !(t.Perplexity >= 1) || t.Perplexity >= float64(n) {
		return t, fmt.Errorf("manifold: a perplexity is at least 1 and less than the number of points: %v for %d",
			t.Perplexity, n)
	}
	if t.Iterations < 1 || !(t.LearningRate > 0) || math.IsInf(t.LearningRate, 0) {
		return t, fmt.Errorf("manifold: %d iterations at a learning rate of %v: both are positive", t.Iterations,
			t.LearningRate)
	}
	if t.Start != nil {
		if r, c := t.Start.Dims(); r != n || c != 2 {
			return t, fmt.Errorf("manifold: t-SNE of %d points starts at [%d, 2], not [%d, %d]", n, n, r, c)
		}
	}
	return t, nil
}

// principal starts at the first two principal components, as scikit-learn does.
func (t TSNE) principal(flat []float32, n, d int) (*mat.Dense, error) {
	rng := rand.New(rand.NewPCG(t.Seed, 0x75e))
	start := mat.NewDense(n, 2, nil)
	wide := make([]float64, len(flat))
	for i, v := range centre(flat, n, d) {
		wide[i] = float64(v)
	}
	x := mat.NewDense(n, d, wide)
	// Subspace iteration: the components are a place to start from, not a result, and d may be large.
	basis := mat.NewDense(d, min(d, 4), nil)
	basis.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, basis)
	var scores, back mat.Dense
	for range 15 {
		if err := orthonormalize(basis); err != nil {
			return nil, err
		}
		scores.Mul(x, basis)
		back.Mul(x.T(), &scores)
		basis.Copy(&back)
	}
	var svd mat.SVD
	if !svd.Factorize(&scores, mat.SVDThin) {
		return nil, fmt.Errorf("manifold: the principal components do not converge")
	}
	var u mat.Dense
	svd.UTo(&u)
	values := svd.Values(nil)
	for c := range min(2, len(values)) {
		column := mat.Col(nil, c, &u)
		for i := range column {
			column[i] *= values[c]
		}
		start.SetCol(c, column)
	}
	spread := stat.PopStdDev(mat.Col(nil, 0, start), nil)
	start.Apply(func(_, _ int, v float64) float64 {
		if spread == 0 {
			return 1e-4 * rng.NormFloat64()
		}
		return v / spread * 1e-4
	}, start)
	return start, nil
}

// jointProbabilities are the symmetric probabilities of neighbours at a perplexity, [N, N] float32: for each point a
// Gaussian whose entropy is the perplexity's, and the mean of both directions.
func jointProbabilities(flat []float32, n, d int, perplexity float64) ([]float32, error) {
	p := make([]float32, n*n)
	err := squaredDistances(flat, n, d, func(i int, row []float32) {
		conditional(p[i*n:(i+1)*n], row, i, math.Log(perplexity))
	})
	if err != nil {
		return nil, err
	}
	var sum float64
	for i := range n {
		for j := range i {
			v := p[i*n+j] + p[j*n+i]
			p[i*n+j], p[j*n+i] = v, v
			sum += 2 * float64(v)
		}
	}
	least := float32(2.220446049250313e-16) // as in scikit-learn: no probability is 0, so that its logarithm exists
	for i := range p {
		p[i] = max(float32(float64(p[i])/sum), least)
	}
	return p, nil
}

// conditional finds the precision at which a point's neighbours have the entropy wanted, by bisection.
func conditional(p, squared []float32, own int, entropy float64) {
	// From the nearest on, so that not all of the exponentials are too small for a number.
	nearest := math.Inf(1)
	for j, s := range squared {
		if j != own {
			nearest = min(nearest, float64(s))
		}
	}
	low, high, beta := math.Inf(-1), math.Inf(1), 1.0
	for range 100 {
		var sum, weighted float64
		for j, s := range squared {
			v, further := 0.0, float64(s)-nearest
			if j != own {
				v = math.Exp(-further * beta)
			}
			p[j] = float32(v)
			sum += v
			weighted += further * v
		}
		for j := range p {
			p[j] = float32(float64(p[j]) / sum)
		}
		over := math.Log(sum) + beta*weighted/sum - entropy
		if math.Abs(over) <= 1e-5 {
			return
		}
		if over > 0 {
			low = beta
			if math.IsInf(high, 1) {
				beta *= 2
			} else {
				beta = (beta + high) / 2
			}
		} else {
			high = beta
			if math.IsInf(low, -1) {
				beta /= 2
			} else {
				beta = (beta + low) / 2
			}
		}
	}
}

// descend follows the gradient with momentum and gains, many iterations in a call of the device.
func (t TSNE) descend(p []float32, start *mat.Dense) (*Embedding, error) {
	n, _ := start.Dims()
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		return model.LoopPart(in[0], in[1], in[2:], tsneStep)[:4]
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	one := func(v float64) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(v), 1, 1) }
	flat := make([]float32, 0, 2*n)
	for i := range n {
		flat = append(flat, float32(start.At(i, 0)), float32(start.At(i, 1)))
	}
	joint := tensors.FromFlatDataAndDimensions(p, n, n)
	state := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(flat, n, 2),
		tensors.FromScalarAndDimensions(float32(0), n, 2), // the update
		tensors.FromScalarAndDimensions(float32(1), n, 2), // the gains
		one(0), // the divergence
	}
	bar := progress.New("t-SNE", t.Iterations)
	defer bar.Close()
	var (
		pace    paced.Pace
		done    int
		stopped error
	)
	for stopped == nil && done < t.Iterations {
		near, momentum, end := 1.0, momentumThen, t.Iterations
		if done < exaggerated {
			near, momentum, end = exaggeration, momentumFirst, min(exaggerated, t.Iterations)
		}
		now, err := pace.Steps(done, end, func(first, end int) error {
			results, err := exec.Call(int32(first), int32(end), state[0], state[1], state[2], state[3], joint, one(near),
				one(momentum), one(t.LearningRate))
			if err != nil {
				return fmt.Errorf("manifold: %w", err)
			}
			state = results
			bar.Add(end - first)
			return nil
		})
		done += now
		if interrupt.Is(err) {
			stopped = fmt.Errorf("manifold: t-SNE interrupted after %d of %d iterations: %w", done, t.Iterations, err)
		} else if err != nil {
			return nil, err
		}
	}
	layout, err := tensors.CopyFlatData[float32](state[0])
	if err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	e := &Embedding{Points: mat.NewDense(n, 2, nil), Divergence: float64(tensors.MustCopyFlatData[float32](state[3])[0])}
	for i, v := range layout {
		if math.IsNaN(float64(v)) {
			return nil, fmt.Errorf("manifold: t-SNE diverged at a learning rate of %v: take a lower one", t.LearningRate)
		}
		e.Points.Set(i/2, i%2, float64(v))
	}
	return e, stopped
}

// tsneStep is one iteration. The state is the layout [N, 2], update, gains, the divergence, the joint probabilities [N,
// N], the factor by which they are exaggerated, the momentum and the learning rate.
func tsneStep(_ *graph.Node, s []*graph.Node) []*graph.Node {
	y, update, gains, p := s[0], s[1], s[2], s[4]
	near := graph.Mul(p, s[5])
	n := y.Shape().Dimensions[0]
	squares := graph.ReduceSum(graph.Square(y), 1)
	distances := graph.Sub(graph.Add(graph.ExpandAxes(squares, 1), graph.ExpandAxes(squares, 0)),
		graph.MulScalar(graph.Einsum("nd,md->nm", y, y), 2))
	apart := graph.OneMinus(graph.ConvertDType(graph.Diagonal(y.Graph(), n), y.DType()))
	kernel := graph.Mul(apart, graph.Reciprocal(graph.OnePlus(graph.Max(distances, graph.ZerosLike(distances)))))
	q := graph.MaxScalar(graph.Div(kernel, graph.ReduceAllSum(kernel)), 2.220446049250313e-16)
	force := graph.Mul(graph.Sub(near, q), kernel)
	gradient := graph.MulScalar(graph.Sub(graph.Mul(graph.ExpandAxes(graph.ReduceSum(force, 1), 1), y),
		graph.Einsum("nm,md->nd", force, y)), 4)
	divergence := graph.Reshape(graph.ReduceAllSum(graph.Mul(graph.Mul(apart, near), graph.Log(graph.Div(near, q)))), 1, 1)
	turned := graph.LessThan(graph.Mul(update, gradient), graph.ZerosLike(update))
	gains = graph.MaxScalar(graph.Where(turned, graph.AddScalar(gains, 0.2), graph.MulScalar(gains, 0.8)), leastGain)
	next := graph.Sub(graph.Mul(update, s[6]), graph.Mul(graph.Mul(gradient, gains), s[7]))
	return append([]*graph.Node{graph.Add(y, next), next, gains, divergence}, s[4:]...)
}
