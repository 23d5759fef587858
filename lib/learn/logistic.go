package learn

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// LogisticRegression fits a linear classifier on features: the weights W [K, D] and the bias b [K] of the smallest
//
//	Σ_i -log softmax(W x_i + b)[y_i] + λ/2 ‖W‖²
//
// The bias is not penalised, as in scikit-learn's LogisticRegression, whose C is 1/λ. The problem is convex, and with λ
// > 0 its weights are unique. It is solved by L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989), in variables
// in which the features have the mean 0 and, where that is worth its making, their covariance is nearly that of
// independent ones, with the products computed on the device, in single precision as long as that finds better weights
// and then in double: Kornblith, Shlens and Le, "Do Better ImageNet Models Transfer Better?", CVPR 2019, section 3.
type LogisticRegression struct {
	// Lambda is λ, beside a sum over the images and not a mean; 0 fits without a penalty.
	Lambda float64
	// Tolerance is how large the largest derivative of the objective over the number of images may stay; 0 means 1e-4,
	// as in scikit-learn.
	Tolerance float64
	// Iterations is how many there are at most; 0 means 1,000. With fewer than it takes, Fit returns what it has beside
	// an error.
	Iterations int
	// Start is the head to begin from, such as that of a λ nearby; nil means zeros.
	Start *model.Head
}

// Fit is what a logistic regression came to.
type Fit struct {
	Head *model.Head `display:"-"`
	// Objective is that of the formula above, and Loss its sum without the penalty.
	Objective  float64 `display:"objective"`
	Loss       float64 `display:"loss"`
	Iterations int     `display:"iterations"`
}

// ErrNotConverged is part of the error of a fit that used up its iterations.
var ErrNotConverged = errors.New("not converged")

// Fit fits to features [N, D] float32 of images with N labels in 0..classes-1. A class without an image gets a bias
// that falls as long as it iterates, and is refused.
//
// Interrupted, it returns the fit as it is after the last iteration beside the error.
func (l LogisticRegression) Fit(features *tensors.Tensor, labels []int, classes int) (*Fit, error) {
	p, err := newLogisticProblem(features, labels, classes)
	if err != nil {
		return nil, err
	}
	defer p.free()
	p.rescales = p.worthScaling(1)
	return p.fit(l)
}

// logisticProblem is labelled features.
type logisticProblem struct {
	features, labels   *tensors.Tensor
	n, classes, inputs int
	mean               []float64      // of the features
	rescales           bool           // whether a scale is worth its making
	scale              *logisticScale // nil for that of the features themselves
	covariance         []float32      // of the features, [D, D]; nil until it is asked for
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
	seen, numbers := make([]bool, classes), make([]int32, n)
	for i, label := range labels {
		if label < 0 || label >= classes {
			return nil, fmt.Errorf("learn: image %d has the label %d, and the classes are 0 to %d", i, label, classes-1)
		}
		seen[label], numbers[i] = true, int32(label)
	}
	for c, found := range seen {
		if !found {
			return nil, fmt.Errorf("learn: no image has the label %d of %d classes: leave the class out with Dataset.Among",
				c, classes)
		}
	}
	if err := move(features); err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	mean, err := meanFeatures(features)
	if err != nil {
		return nil, err
	}
	return &logisticProblem{features: features, labels: tensors.FromFlatDataAndDimensions(numbers, n), n: n,
		classes: classes, inputs: d, mean: mean}, nil
}

// move has features in the device's memory. Where that is the machine's as well, they are only there afterwards, and
// what large ones leave is given back: the garbage collector would not come before the heap has doubled.
func move(features *tensors.Tensor) error {
	if features.IsOnAnyDevice() {
		return nil
	}
	backend, err := backend.Get()
	if err != nil {
		return err
	}
	if err := features.MaterializeOnDevice(backend, true, 0); err != nil {
		return err
	}
	if features.IsShared() && features.ByteSize() > 8<<20 {
		debug.FreeOSMemory()
	}
	return nil
}

// meanFeatures returns the mean of features, or an error that names the first one that is no finite number.
func meanFeatures(features *tensors.Tensor) (mean []float64, err error) {
	n, d := features.Shape().Dimensions[0], features.Shape().Dimensions[1]
	const rows = 512
	sums := make([][]float64, parallel.NumParts(n, rows))
	if stopped := tensors.ConstFlatData(features, func(flat []float32) {
		parallel.Parts(n, rows, func(part, lo, hi int) {
			sum := make([]float64, d)
			for i := lo; i < hi; i++ {
				for j, v := range flat[i*d : (i+1)*d] {
					sum[j] += float64(v)
				}
			}
			sums[part] = sum
		})
		mean = make([]float64, d)
		for _, sum := range sums {
			floats.Add(mean, sum)
		}
		floats.Scale(1/float64(n), mean)
		if total := floats.Sum(mean); total-total == 0 {
			return
		}
		for i, v := range flat {
			if v-v != 0 {
				err = fmt.Errorf("learn: feature %d of image %d is %v", i%d, i/d, v)
				return
			}
		}
	}); stopped != nil {
		return nil, fmt.Errorf("learn: %w", stopped)
	}
	return mean, err
}

// programs are shared by all fits, so that those of one shape compile once.
var programs = programCache{of: map[programKey]*model.Program{}}

type programCache struct {
	mu sync.Mutex
	of map[programKey]*model.Program // guarded by mu
}

type programKey struct {
	backend   compute.Backend
	name      string
	precision dtypes.DType
}

func (c *programCache) get(name string, precision dtypes.DType, fn func(in []*graph.Node) []*graph.Node) (
	*model.Program, error) {
	backend, err := backend.Get()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := programKey{backend, name, precision}
	if c.of[key] == nil {
		c.of[key], err = model.NewExec(fn)
	}
	return c.of[key], err
}

func (p *logisticProblem) fit(l LogisticRegression) (f *Fit, err error) {
	if !(l.Lambda >= 0) || l.Lambda-l.Lambda != 0 {
		return nil, fmt.Errorf("learn: λ is %v, it is not negative", l.Lambda)
	}
	if l.Tolerance < 0 || l.Iterations < 0 {
		return nil, fmt.Errorf("learn: a logistic regression to %v in %d iterations", l.Tolerance, l.Iterations)
	}
	tolerance, most := l.limits()
	head := &model.Head{Weights: mat.NewDense(p.classes, p.inputs, nil), Bias: make([]float64, p.classes)}
	if l.Start != nil {
		if r, c := l.Start.Weights.Dims(); r != p.classes || c != p.inputs {
			return nil, fmt.Errorf("learn: the head to start from is [%d, %d], the fit [%d, %d]", r, c, p.classes, p.inputs)
		}
		head = l.Start
	}
	bar := progress.New("logistic regression", most)
	defer bar.Close()
	var stopped error
	f, done := &Fit{}, 0
	o := &objective{problem: p, lambda: l.Lambda, precision: dtypes.Float32}
	if p.rescales && p.scale == nil {
		if err := p.rescale(l.Lambda, evenSpread(p.classes)); err != nil {
			return nil, err
		}
	}
	if p.rescales && l.Start != nil {
		if o.evaluate(p.variables(head)); o.err != nil {
			return nil, o.err
		}
		spread := max(o.spread, 1e-6)
		if o.largest > tolerance && p.scale.stale(l.Lambda/spread) {
			if err := p.rescale(l.Lambda, spread); err != nil {
				return nil, err
			}
			o.x = nil // which was in the old scale
		}
	}
	for _, precision := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
		if precision != o.precision {
			o.precision, o.x = precision, nil
		}
		x := p.variables(head)
		tries := 0
		result, err := optimize.Minimize(optimize.Problem{
			Func: func(x []float64) float64 { o.evaluate(x); return o.value },
			Grad: func(g, x []float64) { o.evaluate(x); copy(g, o.gradient) },
			Status: func() (optimize.Status, error) {
				if stopped = interrupt.Err(); stopped != nil || o.err != nil {
					return optimize.Failure, errors.Join(stopped, o.err)
				}
				if o.x != nil && o.largest <= tolerance {
					return optimize.GradientThreshold, nil
				}
				if tries++; tries > mostTries {
					return optimize.Failure, errNoStep
				}
				return optimize.NotTerminated, nil
			},
		}, x, &optimize.Settings{
			MajorIterations: most - done,
			Converger:       optimize.NeverTerminate{},
			Recorder:        eachIteration(func() { tries = 0; bar.Add(1) }),
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
		// The place where the derivatives are small may be the line search's last and not yet the optimizer's.
		if !(o.largest <= tolerance) {
			o.evaluate(result.X)
		}
		if o.err != nil {
			return nil, o.err
		}
		head = o.head()
		f.Head = head
		f.Objective, f.Loss = o.value*float64(p.n), o.loss
		done += result.Stats.MajorIterations
		f.Iterations = done
		switch {
		case stopped != nil:
			return f, interrupt.After(stopped, "learn: logistic regression", done, most, "iterations")
		case o.largest <= tolerance:
			return f, nil
		case done >= most:
			return f, fmt.Errorf("learn: the logistic regression has %w after %d iterations, its largest derivative is %.2g: "+
				"raise Iterations, Lambda or Tolerance, or bring the features to one scale", ErrNotConverged, done, o.largest)
		case precision == dtypes.Float64:
			return f, fmt.Errorf("learn: the logistic regression has %w, its largest derivative is %.2g: %w. Raise "+
				"Tolerance, or bring the features to one scale", ErrNotConverged, o.largest, err)
		}
		// A step's gain has become smaller than what single precision can tell.
	}
	return f, nil
}

// limits are Tolerance and Iterations, or what stands for them where they are 0.
func (l LogisticRegression) limits() (tolerance float64, most int) {
	return cmp.Or(l.Tolerance, 1e-4), cmp.Or(l.Iterations, 1000)
}

// mostTries is how many evaluations an iteration may take. A line search that the rounding of single precision misleads
// would go on without end.
const mostTries = 100

var errNoStep = errors.New("the line search finds no step")

// eachIteration is called by the optimizer.
type eachIteration func()

func (eachIteration) Init() error { return nil }

func (e eachIteration) Record(_ *optimize.Location, op optimize.Operation, _ *optimize.Stats) error {
	if op == optimize.MajorIteration {
		e()
	}
	return nil
}
