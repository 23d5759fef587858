package uncertainty

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// VectorScaling calibrates by a weight and a bias for each class:
//
//	softmax(w_k log p_k + b_k)
//
// of the lowest negative log-likelihood. Guo et al., ICML 2017, section 4.2, have the logits in the place of log p. As
// probabilities do not change when all of an image's logits are shifted, and what this makes of logits does, it takes
// log p, as netcal does.
type VectorScaling struct {
	Weights []float64 // [K]
	Bias    []float64 // [K], of the mean 0
}

// FitVectorScaling fits to labelled probabilities, of images that the model was not trained on. It is an error where
// there is no best fit: where a class has no image, or one is told apart from the others without error.
func FitVectorScaling(p *Predictions) (*VectorScaling, error) {
	s, err := scalingOf(p)
	if err != nil {
		return nil, err
	}
	// The weights are those of logarithms brought to the mean 0 and the deviation 1, so that one step fits all.
	mean, deviation := s.standardize()
	x := make([]float64, 2*s.k)
	copy(x, deviation)
	copy(x[s.k:], mean) // w x + b = w d (x-m)/d + (b + w m), from w = 1 and b = 0 on
	const most = 1000
	bar := progress.New("vector scaling", most)
	defer bar.Close()
	fit := func() *VectorScaling {
		c := &VectorScaling{Weights: make([]float64, s.k), Bias: make([]float64, s.k)}
		for k := range s.k {
			c.Weights[k] = x[k] / deviation[k]
			c.Bias[k] = x[s.k+k] - c.Weights[k]*mean[k]
		}
		shift := floats.Sum(c.Bias) / float64(s.k)
		floats.AddConst(-shift, c.Bias)
		return c
	}
	s.newton(x, vectorTolerance, func() bool { bar.Add(1); return interrupt.Err() != nil })
	if err := interrupt.Err(); err != nil {
		return nil, interrupt.After(err, "uncertainty: vector scaling", 0, 1, "fits")
	}
	c := fit()
	if err := s.separated(c.Name(), c.scores); err != nil {
		return nil, err
	}
	largest, err := s.polish(x, most, bar)
	if err != nil {
		return nil, err
	}
	c = fit()
	if err := s.separated(c.Name(), c.scores); err != nil {
		return nil, err
	}
	if !(largest <= 1000*vectorTolerance) {
		return nil, fmt.Errorf(
			"uncertainty: vector scaling has no best fit that is found: its largest derivative stays %.2g; take more images",
			largest)
	}
	return c, nil
}

// polish goes on from x by L-BFGS where Newton's steps have not come to the end, and returns the largest derivative.
func (s *scaling) polish(x []float64, most int, bar *progress.Bar) (largest float64, err error) {
	gradient := make([]float64, len(x))
	s.loss(x, gradient)
	if largest = floats.Norm(gradient, math.Inf(1)); largest <= vectorTolerance {
		return largest, nil
	}
	var stopped error
	value, at := 0.0, []float64(nil)
	evaluate := func(x []float64) { // both at once: the optimizer asks for one after the other
		if !slices.Equal(at, x) {
			value, at = s.loss(x, gradient), slices.Clone(x)
			largest = floats.Norm(gradient, math.Inf(1))
		}
	}
	result, err := optimize.Minimize(optimize.Problem{
		Func: func(x []float64) float64 { evaluate(x); return value },
		Grad: func(g, x []float64) { evaluate(x); copy(g, gradient) },
		Status: func() (optimize.Status, error) {
			if stopped = interrupt.Err(); stopped != nil {
				return optimize.Failure, stopped
			}
			bar.Add(1)
			if largest <= vectorTolerance {
				return optimize.GradientThreshold, nil
			}
			return optimize.NotTerminated, nil
		},
	}, x, &optimize.Settings{MajorIterations: most, FuncEvaluations: 4 * most, Converger: optimize.NeverTerminate{}},
		&optimize.LBFGS{Store: 20})
	if stopped != nil {
		return 0, interrupt.After(stopped, "uncertainty: vector scaling", 0, 1, "fits")
	}
	if result == nil {
		return 0, fmt.Errorf("uncertainty: vector scaling: %w", err)
	}
	evaluate(result.X)
	copy(x, result.X)
	return largest, nil
}

// vectorTolerance is how large the largest derivative of the mean negative log-likelihood may stay.
const vectorTolerance = 1e-9

// scaling is what scalings are fitted to.
type scaling struct {
	p    *Predictions
	k    int
	logs []float64 // [N, K]
}

// scalingOf takes logarithms, and checks that each class has an image.
func scalingOf(p *Predictions) (*scaling, error) {
	if p == nil {
		return nil, errNoPredictions
	}
	s := &scaling{p, p.classes, make([]float64, p.n*p.classes)}
	counts := make([]int, s.k)
	for i, label := range p.labels {
		counts[label]++
		for c, v := range p.row(i) {
			s.logs[i*s.k+c] = logOf(v)
		}
	}
	if class := slices.Index(counts, 0); class >= 0 {
		return nil, fmt.Errorf("uncertainty: no image is of class %d, so the lower its probability the better the fit, "+
			"without end: take images of each of the %d classes", class, s.k)
	}
	return s, nil
}

// standardize brings the logarithms of each class to the mean 0 and the deviation 1, and returns what they had.
func (s *scaling) standardize() (mean, deviation []float64) {
	mean, deviation = make([]float64, s.k), make([]float64, s.k)
	n := float64(s.p.n)
	for i, v := range s.logs {
		mean[i%s.k] += v / n
	}
	for i, v := range s.logs {
		deviation[i%s.k] += (v - mean[i%s.k]) * (v - mean[i%s.k]) / n
	}
	for k, square := range deviation {
		if deviation[k] = math.Sqrt(square); !(deviation[k] > 1e-9) {
			deviation[k] = 1 // the bias alone can tell
		}
	}
	for i := range s.logs {
		s.logs[i] = (s.logs[i] - mean[i%s.k]) / deviation[i%s.k]
	}
	return mean, deviation
}

// loss is the mean negative log-likelihood of weights and biases, [2K], and fills in its gradient.
func (s *scaling) loss(x, gradient []float64) float64 {
	type sums struct {
		loss     float64
		gradient []float64
	}
	parts := make([]sums, parallel.NumParts(s.p.n, partRows))
	parallel.Parts(s.p.n, partRows, func(part, lo, hi int) {
		of := sums{gradient: make([]float64, 2*s.k)}
		z := make([]float64, s.k)
		for i := lo; i < hi; i++ {
			logs, label := s.logs[i*s.k:(i+1)*s.k], s.p.labels[i]
			for k, v := range logs {
				z[k] = x[k]*v + x[s.k+k]
			}
			at, top := z[label], slices.Max(z)
			softmaxOf(z)
			sum := 0.0
			for _, v := range z {
				sum += v
			}
			of.loss += explog.Log(sum) + top - at
			for k, v := range z {
				v /= sum
				if k == label {
					v--
				}
				of.gradient[k] += v * logs[k]
				of.gradient[s.k+k] += v
			}
		}
		parts[part] = of
	})
	n, total := float64(s.p.n), 0.0
	clear(gradient)
	for _, of := range parts {
		total += of.loss / n
		for k, v := range of.gradient {
			gradient[k] += v / n
		}
	}
	return total
}

// separated returns an error where the fit has no end: where every label has the highest score, or a class's
// probability is as good as 1 for all its images and 0 for all others.
func (s *scaling) separated(name string, scores func(p []float32, to []float64)) error {
	const good = 1e-4
	all, apart, to := true, slices.Repeat([]bool{true}, s.k), make([]float64, s.k)
	for i, label := range s.p.labels {
		scores(s.p.row(i), to)
		all = all && slices.Max(to) <= to[label]
		softmaxOf(to)
		sum := 0.0
		for _, v := range to {
			sum += v
		}
		for k, v := range to {
			if k == label {
				v = sum - v
			}
			apart[k] = apart[k] && v <= good*sum
		}
	}
	if all {
		return fmt.Errorf("uncertainty: %s gives every label the highest probability, so the steeper the better the fit, "+
			"without end: take more images", name)
	}
	if k := slices.Index(apart, true); k >= 0 {
		return fmt.Errorf("uncertainty: %s tells class %d from the others without an error, so the steeper the better the "+
			"fit, without end: take more images", name, k)
	}
	return nil
}

// Name is "vector scaling".
func (*VectorScaling) Name() string { return "vector scaling" }

func (c *VectorScaling) classes() int {
	if c == nil || len(c.Weights) != len(c.Bias) {
		return 0
	}
	return len(c.Weights)
}

func (c *VectorScaling) scores(p []float32, to []float64) {
	for k, v := range p {
		to[k] = c.Weights[k]*logOf(v) + c.Bias[k]
	}
}

// Apply is the formula.
func (c *VectorScaling) Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error) {
	return apply(c.Name(), c.classes(), probabilities, func(p []float32, to []float64) {
		c.scores(p, to)
		softmaxOf(to)
	})
}

// Model is the formula on the device.
func (c *VectorScaling) Model(m *model.Model) (*model.Model, error) {
	weights := map[string]*tensors.Tensor{}
	if k := c.classes(); k > 0 {
		weights["weights"], weights["bias"] = float32s(c.Weights, 1, k), float32s(c.Bias, 1, k)
	}
	return extended(c.Name(), c.classes(), m, weights, func(weight func(string) *graph.Node, log *graph.Node) *graph.Node {
		return graph.Add(graph.Mul(log, weight("weights")), weight("bias"))
	})
}

// Table has a row for each class.
func (c *VectorScaling) Table() table.Table {
	t := table.Table{Title: c.Name(), Header: []string{"class", "weight", "bias"}}
	for k := range c.classes() {
		t.Add(k, c.Weights[k], c.Bias[k])
	}
	return t
}

// Bundle shows the table.
func (c *VectorScaling) Bundle() mime.Bundle { return c.Table().Bundle() }

// MatrixScaling calibrates by a matrix and a bias:
//
//	softmax(W log p + b)
//
// of the lowest negative log-likelihood. Guo et al., ICML 2017, section 4.2, with log p in the place of the logits as
// in [VectorScaling]. It has K² + K numbers to fit, which the paper finds too many for more than a few classes.
type MatrixScaling struct {
	Head *model.Head // W, [K, K], and b
}

// FitMatrixScaling fits to labelled probabilities, of images that the model was not trained on, by
// learn.LogisticRegression without a penalty. It is an error where there is no best fit: where a class has no image, or
// W tells all images' labels without error.
func FitMatrixScaling(p *Predictions) (*MatrixScaling, error) {
	s, err := scalingOf(p)
	if err != nil {
		return nil, err
	}
	fit, err := learn.LogisticRegression{Tolerance: 1e-7}.Fit(float32s(s.logs, p.n, s.k), p.labels, s.k)
	if interrupt.Is(err) {
		return nil, interrupt.After(err, "uncertainty: matrix scaling", 0, 1, "fits")
	}
	if fit == nil {
		return nil, fmt.Errorf("uncertainty: matrix scaling: %w", err)
	}
	c := &MatrixScaling{fit.Head}
	if err := s.separated(c.Name(), c.scores); err != nil {
		return nil, err
	}
	if errors.Is(err, learn.ErrNotConverged) {
		return nil, fmt.Errorf(
			"uncertainty: matrix scaling has no best fit that is found within 1,000 steps: take more images, or VectorScaling")
	}
	if err != nil {
		return nil, fmt.Errorf("uncertainty: matrix scaling: %w", err)
	}
	return c, nil
}

// Name is "matrix scaling".
func (*MatrixScaling) Name() string { return "matrix scaling" }

func (c *MatrixScaling) classes() int {
	if c == nil || c.Head.Check() != nil {
		return 0
	}
	return len(c.Head.Bias)
}

func (c *MatrixScaling) scores(p []float32, to []float64) {
	copy(to, c.Head.Bias)
	for j, v := range p {
		log := logOf(v)
		for k := range to {
			to[k] += c.Head.Weights.At(k, j) * log
		}
	}
}

// Apply is the formula.
func (c *MatrixScaling) Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error) {
	return apply(c.Name(), c.classes(), probabilities, func(p []float32, to []float64) {
		c.scores(p, to)
		softmaxOf(to)
	})
}

// Model is the formula on the device.
func (c *MatrixScaling) Model(m *model.Model) (*model.Model, error) {
	weights := map[string]*tensors.Tensor{}
	if k := c.classes(); k > 0 {
		var flat []float64
		for row := range k {
			flat = append(flat, c.Head.Weights.RawRowView(row)...)
		}
		weights["weights"], weights["bias"] = float32s(flat, k, k), float32s(c.Head.Bias, 1, k)
	}
	return extended(c.Name(), c.classes(), m, weights, func(weight func(string) *graph.Node, log *graph.Node) *graph.Node {
		return graph.Add(graph.Einsum("nj,kj->nk", log, weight("weights")), weight("bias"))
	})
}

// Table has a row for each class: its bias, and its weights of the logarithm of each class's probability.
func (c *MatrixScaling) Table() table.Table {
	t := table.Table{Title: c.Name(), Header: []string{"class", "bias"}}
	for k := range c.classes() {
		t.Header = append(t.Header, fmt.Sprintf("weight of class %d", k))
	}
	for k := range c.classes() {
		row := []any{k, c.Head.Bias[k]}
		for _, w := range c.Head.Weights.RawRowView(k) {
			row = append(row, w)
		}
		t.Add(row...)
	}
	return t
}

// Bundle shows the table.
func (c *MatrixScaling) Bundle() mime.Bundle { return c.Table().Bundle() }
