package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// LogisticRegression fits a linear classifier on features: the weights W [K, D] and the bias b [K] of the smallest
//
//	Σ_i -log softmax(W x_i + b)[y_i] + λ/2 ‖W‖²
//
// The bias is not penalised, as in scikit-learn's LogisticRegression, whose C is 1/λ. The problem is convex, and with λ > 0 its weights are unique. It is solved by L-BFGS (Liu and Nocedal,
// Mathematical Programming 45, 1989), with the loss and its gradient computed on the device, in single precision as long as that finds better weights and then in double: Kornblith, Shlens and Le, "Do Better ImageNet Models Transfer
// Better?", CVPR 2019, section 3.
type LogisticRegression struct {
	// Lambda is λ, beside a sum over the images and not a mean; 0 fits without a penalty.
	Lambda float64
	// Tolerance is how large the largest derivative of the objective over the number of images may stay; 0 means 1e-4, as in scikit-learn.
	Tolerance float64
	// Iterations is how many there are at most; 0 means 1,000. With fewer than it takes, Fit returns what it has beside an error.
	Iterations int
	// Start is the head to begin from, such as that of a λ nearby; nil means zeros.
	Start *model.Head
}

// Fit is what a logistic regression came to.
type Fit struct {
	Head *model.Head
	// Objective is that of the formula above, and Loss its sum without the penalty.
	Objective, Loss float64
	Iterations      int
}

// ErrNotConverged is part of the error of a fit that used up its iterations.
var ErrNotConverged = errors.New("not converged")

// Fit fits to features [N, D] float32 of images with N labels in 0..classes-1. A class without an image gets a bias that falls as long as it iterates, and
// is refused.
//
// Interrupted, it returns the fit as it is after the last iteration beside the error.
func (l LogisticRegression) Fit(features *tensors.Tensor, labels []int, classes int) (*Fit, error) {
	p, err := newLogisticProblem(features, labels, classes)
	if err != nil {
		return nil, err
	}
	return p.fit(l)
}

// logisticProblem is labelled features on the device, with the program that asks how well weights fit them.
type logisticProblem struct {
	features, labels   *tensors.Tensor // labels as [N, K], 1 for the label's class
	n, classes, inputs int
}

func newLogisticProblem(features *tensors.Tensor, labels []int, classes int) (*logisticProblem, error) {
	if features == nil || features.Rank() != 2 || features.DType() != dtypes.Float32 || features.Size() == 0 {
		return nil, fmt.Errorf("learn: a logistic regression takes features [N, D] float32")
	}
	n, d := features.Shape().Dimensions[0], features.Shape().Dimensions[1]
	if n != len(labels) {
		return nil, fmt.Errorf("learn: features of %d images and %d labels", n, len(labels))
	}
	if classes < 2 {
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	}
	seen := make([]bool, classes)
	for i, label := range labels {
		if label < 0 || label >= classes {
			return nil, fmt.Errorf("learn: image %d has the label %d, and the classes are 0 to %d", i, label, classes-1)
		}
		seen[label] = true
	}
	for c, found := range seen {
		if !found {
			return nil, fmt.Errorf("learn: no image has the label %d of %d classes: leave the class out", c, classes)
		}
	}
	var bad error
	if err := tensors.ConstFlatData(features, func(flat []float32) {
		for i, v := range flat {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				bad = fmt.Errorf("learn: feature %d of image %d is %v", i%d, i/d, v)
				return
			}
		}
	}); err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	if bad != nil {
		return nil, bad
	}
	one := make([]float32, n*classes)
	for i, label := range labels {
		one[i*classes+label] = 1
	}
	return &logisticProblem{features: features, labels: tensors.FromFlatDataAndDimensions(one, n, classes), n: n, classes: classes, inputs: d}, nil
}

// programs are shared by all fits, so that those of one shape compile once.
var programs = programCache{of: map[programKey]*graph.Exec{}}

type programCache struct {
	mu sync.Mutex
	of map[programKey]*graph.Exec // guarded by mu
}

type programKey struct {
	backend   compute.Backend
	name      string
	precision dtypes.DType
}

func (c *programCache) get(name string, precision dtypes.DType, fn func(in []*graph.Node) []*graph.Node) (*graph.Exec, error) {
	backend, err := model.Backend()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := programKey{backend, name, precision}
	if c.of[key] == nil {
		if c.of[key], err = model.NewExec(fn); err != nil {
			delete(c.of, key)
			return nil, err
		}
	}
	return c.of[key], nil
}

// logisticProgram computes the loss and its gradient by the weights and the bias.
func logisticProgram(precision dtypes.DType) (*graph.Exec, error) {
	return programs.get("logistic regression", precision, func(in []*graph.Node) []*graph.Node {
		for i := range in {
			in[i] = graph.ConvertDType(in[i], precision)
		}
		x, labels, weights, bias := in[0], in[1], in[2], in[3]
		log := graph.LogSoftmax(graph.Add(graph.Einsum("nd,kd->nk", x, weights), graph.ExpandAxes(bias, 0)))
		loss := graph.Neg(graph.ReduceSum(graph.Mul(log, labels), 1))
		residual := graph.Sub(graph.Exp(log), labels)
		double := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float64) }
		return []*graph.Node{
			graph.ReduceAllSum(double(loss)), // in single precision the sum would be too coarse for a line search
			double(graph.Einsum("nk,nd->kd", residual, x)),
			double(graph.ReduceSum(residual, 0)),
		}
	})
}

// at is the loss of parameters, the weights row by row and then the biases, and its gradient.
func (p *logisticProblem) at(x, gradient []float64, precision dtypes.DType) (loss float64, err error) {
	exec, err := logisticProgram(precision)
	if err != nil {
		return 0, err
	}
	weights := p.classes * p.inputs
	out, err := exec.Call(p.features, p.labels, tensors.FromFlatDataAndDimensions(x[:weights], p.classes, p.inputs), tensors.FromFlatDataAndDimensions(x[weights:], p.classes))
	if err != nil {
		return 0, fmt.Errorf("learn: %w", err)
	}
	for i, to := range [][]float64{gradient[:weights], gradient[weights:]} {
		if err := tensors.ConstFlatData(out[1+i], func(flat []float64) { copy(to, flat) }); err != nil {
			return 0, fmt.Errorf("learn: %w", err)
		}
	}
	return tensors.ToScalar[float64](out[0]), nil
}

func (p *logisticProblem) fit(l LogisticRegression) (*Fit, error) {
	if !(l.Lambda >= 0) || math.IsInf(l.Lambda, 0) {
		return nil, fmt.Errorf("learn: λ is %v, it is not negative", l.Lambda)
	}
	if l.Tolerance < 0 || l.Iterations < 0 {
		return nil, fmt.Errorf("learn: a logistic regression to %v in %d iterations", l.Tolerance, l.Iterations)
	}
	tolerance, most := l.Tolerance, l.Iterations
	if tolerance == 0 {
		tolerance = 1e-4
	}
	if most == 0 {
		most = 1000
	}
	weights := p.classes * p.inputs
	x := make([]float64, weights+p.classes)
	if l.Start != nil {
		if r, c := l.Start.Weights.Dims(); r != p.classes || c != p.inputs {
			return nil, fmt.Errorf("learn: the head to start from is [%d, %d], the fit [%d, %d]", r, c, p.classes, p.inputs)
		}
		for k := range p.classes {
			copy(x[k*p.inputs:], mat.Row(nil, k, l.Start.Weights))
		}
		copy(x[weights:], l.Start.Bias)
	}
	progress := display.NewProgress("logistic regression", most)
	defer progress.Close()
	var stopped error
	f, done := &Fit{}, 0
	o := &objective{problem: p, lambda: l.Lambda, gradient: make([]float64, len(x))}
	for _, precision := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
		o.precision, o.x = precision, nil
		tries := 0
		result, err := optimize.Minimize(optimize.Problem{
			Func: func(x []float64) float64 { o.evaluate(x); return o.value },
			Grad: func(g, x []float64) { o.evaluate(x); copy(g, o.gradient) },
			Status: func() (optimize.Status, error) {
				if stopped = interrupt.Err(); stopped != nil || o.err != nil {
					return optimize.Failure, errors.Join(stopped, o.err)
				}
				if tries++; tries > mostTries {
					return optimize.Failure, errNoStep
				}
				return optimize.NotTerminated, nil
			},
		}, x, &optimize.Settings{
			GradientThreshold: tolerance,
			MajorIterations:   max(most-done, 1),
			Converger:         optimize.NeverTerminate{},
			Recorder:          eachIteration(func() { tries = 0; progress.Add(1) }),
		}, &optimize.LBFGS{Store: 10, Linesearcher: &optimize.MoreThuente{}})
		if o.err != nil {
			return nil, o.err
		}
		if result == nil && stopped != nil { // before the first iteration in this precision
			if f.Head == nil {
				f = nil
			}
			return f, interrupt.After(stopped, "learn: logistic regression", done, most, "iterations")
		}
		if result == nil {
			return nil, fmt.Errorf("learn: logistic regression: %w", err)
		}
		x = result.X
		if o.evaluate(x); o.err != nil {
			return nil, o.err
		}
		f.Head = &model.Head{Weights: mat.NewDense(p.classes, p.inputs, x[:weights:weights]), Bias: x[weights:]}
		f.Objective, f.Loss = o.value*float64(p.n), o.loss
		done += result.Stats.MajorIterations
		f.Iterations = done
		largest := floats.Norm(o.gradient, math.Inf(1))
		switch {
		case stopped != nil:
			return f, interrupt.After(stopped, "learn: logistic regression", done, most, "iterations")
		case largest <= tolerance:
			return f, nil
		case done >= most:
			return f, fmt.Errorf("learn: the logistic regression has %w after %d iterations, its largest derivative is %.2g: raise Iterations, Lambda or Tolerance, or bring the features to one scale", ErrNotConverged, done, largest)
		case precision == dtypes.Float64:
			return f, fmt.Errorf("learn: the logistic regression has %w, its largest derivative is %.2g: %w. Raise Tolerance, or bring the features to one scale", ErrNotConverged, largest, err)
		}
		// A step's gain has become smaller than what single precision can tell.
	}
	return f, nil
}

// mostTries is how many evaluations an iteration may take. A line search that the rounding of single precision misleads would go on without end.
const mostTries = 100

var errNoStep = errors.New("the line search finds no step")

// objective is what the optimizer sees: the mean over the images, so that tolerances do not depend on how many there are.
type objective struct {
	problem   *logisticProblem
	lambda    float64
	precision dtypes.DType

	x           []float64 // where the rest was evaluated
	gradient    []float64
	value, loss float64
	err         error
}

// evaluate fills in value and gradient. The optimizer asks for one after the other, the device gives both.
func (o *objective) evaluate(x []float64) {
	if o.err != nil || slices.Equal(x, o.x) {
		return
	}
	o.x = append(o.x[:0], x...)
	if o.loss, o.err = o.problem.at(x, o.gradient, o.precision); o.err != nil {
		return
	}
	weights := x[:o.problem.classes*o.problem.inputs]
	floats.AddScaled(o.gradient[:len(weights)], o.lambda, weights)
	n := float64(o.problem.n)
	floats.Scale(1/n, o.gradient)
	o.value = (o.loss + o.lambda/2*floats.Dot(weights, weights)) / n
}

// eachIteration is called by the optimizer.
type eachIteration func()

func (eachIteration) Init() error { return nil }

func (e eachIteration) Record(_ *optimize.Location, op optimize.Operation, _ *optimize.Stats) error {
	if op == optimize.MajorIteration {
		e()
	}
	return nil
}
