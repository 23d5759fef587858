package uncertainty

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// The figures are by bench/oracles/calibrators.py.
const calibratorsFile = "testdata/calibrators.npz"

// held are the oracle's probabilities with labels, and those without which it has calibrated.
func held(t *testing.T, name string, k int) (p *Predictions, asked *tensors.Tensor) {
	t.Helper()
	labelsOf, askedOf := "labels", "asked"
	if name != "fit" {
		labelsOf, askedOf = name+"_labels", name
	}
	var labels []int
	for _, label := range oracle.Read[int64](t, calibratorsFile, labelsOf) {
		labels = append(labels, int(label))
	}
	flat := oracle.Read[float32](t, calibratorsFile, name)
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, len(labels), k), labels)
	if err != nil {
		t.Fatal(err)
	}
	flat = oracle.Read[float32](t, calibratorsFile, askedOf)
	return p, tensors.FromFlatDataAndDimensions(flat, len(flat)/k, k)
}

// calibrators are one of each kind.
func calibrators(t *testing.T, p *Predictions) map[string]Calibrator {
	t.Helper()
	out := map[string]Calibrator{}
	add := func(name string, c Calibrator, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out[name] = c
	}
	logs := make([]float32, len(p.probabilities))
	for i, v := range p.probabilities {
		logs[i] = float32(math.Log(float64(v)))
	}
	temperature, err := FitTemperature(tensors.FromFlatDataAndDimensions(logs, p.n, p.classes), p.labels)
	add("temperature_netcal", Temperature(temperature), err)
	vector, err := FitVectorScaling(p)
	add("vector", vector, err)
	matrix, err := FitMatrixScaling(p)
	add("matrix", matrix, err)
	isotonic, err := FitIsotonicRegression(p)
	add("isotonic", isotonic, err)
	for name, bins := range map[string]int{"histogram10": 10, "histogram15": 15} {
		histogram, err := FitHistogramBinning(p, EqualWidth(bins))
		add(name, histogram, err)
	}
	return out
}

func TestCalibratorsAgreeWithTheOracles(t *testing.T) {
	p, asked := held(t, "fit", 5)
	all := calibrators(t, p)
	tolerance := map[string]float64{
		"temperature_netcal": 2e-5, // its optimum is by finite differences
		"vector":             1e-6, "vector_netcal": 2e-4,
		"matrix":   2e-5,
		"isotonic": 1e-7, "histogram10": 1e-7, "histogram15": 1e-7,
	}
	all["vector_netcal"] = all["vector"]
	for name, c := range all {
		got, err := c.Apply(asked)
		if err != nil {
			t.Fatal(err)
		}
		want := oracle.Read[float64](t, calibratorsFile, name)
		flat := tensors.MustCopyFlatData[float32](got)
		worst, nothing := 0.0, 0
		for i, v := range want {
			if math.IsNaN(v) { // netcal, where all are 0
				v = 1.0 / 5
				nothing++
			}
			worst = max(worst, math.Abs(float64(flat[i])-v))
			if !approx.Equal(float64(flat[i]), v, tolerance[name]) {
				t.Fatalf("%s: class %d of image %d has the probability %v, the oracle has %v", name, i%5, i/5, flat[i], v)
			}
		}
		t.Logf("%s: off by %.2g; %d are NaN there", name, worst, nothing)
	}
	vector := all["vector"].(*VectorScaling)
	if err := approx.All(vector.Weights, oracle.Read[float64](t, calibratorsFile, "vector_weights"), 1e-5); err != nil {
		t.Errorf("the weights: %v", err)
	}
	if err := approx.All(vector.Bias, oracle.Read[float64](t, calibratorsFile, "vector_bias"), 1e-5); err != nil {
		t.Errorf("the biases: %v", err)
	}
	of := all["isotonic"].(*IsotonicRegression).curves[1]
	for i, want := range oracle.Read[float64](t, calibratorsFile, "isotonic_class1") {
		if got := of.of(float64(tensors.MustCopyFlatData[float32](asked)[5*i+1])); !approx.Equal(got, want, 1e-12) {
			t.Errorf("class 1 of image %d: %v, scikit-learn has %v", i, got, want)
		}
	}
	// On what they were fitted to, scalings have a lower likelihood than no scaling, and what looks at each class has
	// classes better calibrated.
	before, err := p.ClasswiseCalibrationError(EqualWidth(10))
	if err != nil {
		t.Fatal(err)
	}
	loss := p.NegativeLogLikelihood()
	for _, name := range []string{"temperature_netcal", "vector", "matrix", "isotonic", "histogram10"} {
		q, err := p.Calibrated(all[name])
		if err != nil {
			t.Fatal(err)
		}
		after, err := q.ClasswiseCalibrationError(EqualWidth(10))
		if err != nil || q.Len() != p.Len() || !slices.Equal(q.Labels(), p.Labels()) {
			t.Fatalf("%s: %v (%v)", name, q, err)
		}
		switch name {
		case "isotonic", "histogram10":
			if !(after < before/2) {
				t.Errorf("%s: the classes' calibration error was %v and is %v", name, before, after)
			}
		default:
			now := q.NegativeLogLikelihood()
			if !(now < loss) {
				t.Errorf("%s: the negative log-likelihood was %v and is %v", name, loss, now)
			}
			if best := oracle.Read[float64](t, calibratorsFile, "vector_loss")[0]; name == "vector" &&
				!approx.Equal(now, best, 1e-6) {
				t.Errorf("the negative log-likelihood is %v, SciPy's %v", now, best)
			}
		}
	}
}

// netcal looks at the second of two classes alone; by each class for itself the shares are the same.
func TestCalibratorsOfTwoClassesAgreeWithNetcal(t *testing.T) {
	p, asked := held(t, "two", 2)
	isotonic, err := FitIsotonicRegression(p)
	if err != nil {
		t.Fatal(err)
	}
	histogram, err := FitHistogramBinning(p, EqualWidth(10))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Calibrator{"two_isotonic": isotonic, "two_histogram": histogram} {
		got, err := c.Apply(asked)
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](got)
		for i, want := range oracle.Read[float64](t, calibratorsFile, name) {
			if !approx.Equal(float64(flat[2*i+1]), want, 1e-6) {
				t.Errorf("%s: image %d has %v, netcal %v", name, i, flat[2*i+1], want)
			}
		}
	}
}

// identity is a network whose logits are its pixels, [1, k, 1].
func identity(t *testing.T, name string, k int, activation model.Activation) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: name, Height: 1, Width: k, Channels: 1, Activation: activation},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, k) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A calibrated model says what the calibrator makes of the model's probabilities, also of one that is calibrated twice.
func TestCalibratedModelsSayWhatCalibratorsDo(t *testing.T) {
	p, asked := held(t, "fit", 5)
	n := asked.Shape().Dimensions[0] - 2 // the first two have probabilities of 0
	logits := make([]float32, 5*n)
	for i, v := range tensors.MustCopyFlatData[float32](asked)[10:] {
		logits[i] = float32(max(math.Log(float64(v)), -30))
	}
	images := tensors.FromFlatDataAndDimensions(logits, n, 1, 5, 1)
	m := identity(t, "logits", 5, model.Softmax)
	own, err := m.Probabilities(images)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range calibrators(t, p) {
		calibrated, err := c.Model(m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := c.Apply(own)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := calibrated.Probabilities(images)
			if err != nil {
				t.Fatal(err)
			}
			if err := approx.All(tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want),
				1e-5); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if want, err = c.Apply(want); err != nil {
				t.Fatal(err)
			}
			if calibrated, err = c.Model(calibrated); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasPrefix(calibrated.Name(), "logits ") || calibrated.NumClasses() != 5 {
			t.Errorf("%s: the model is called %s", name, calibrated.Name())
		}
	}
}

// A network with one output has two classes, and stays such a network.
func TestCalibratedModelsOfOneOutput(t *testing.T) {
	p, asked := held(t, "two", 2)
	n := asked.Shape().Dimensions[0]
	logits := make([]float32, n)
	for i := range logits {
		row := p.row(i)
		logits[i] = float32(math.Log(float64(row[1])) - math.Log(float64(row[0])))
	}
	images := tensors.FromFlatDataAndDimensions(logits, n, 1, 1, 1)
	m := identity(t, "one", 1, model.Sigmoid)
	vector, err := FitVectorScaling(p)
	if err != nil {
		t.Fatal(err)
	}
	histogram, err := FitHistogramBinning(p, EqualWidth(10))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Calibrator{vector, histogram, Temperature(1.7)} {
		calibrated, err := c.Model(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := calibrated.Probabilities(images)
		if err != nil {
			t.Fatal(err)
		}
		want, err := c.Apply(asked)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want),
			1e-4); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
	}
}

// Bins of equal mass hold the shares of their own images.
func TestHistogramBinningOfEqualMass(t *testing.T) {
	p, _ := held(t, "fit", 5)
	c, err := FitHistogramBinning(p, EqualMass(8))
	if err != nil {
		t.Fatal(err)
	}
	for class, bins := range c.bins {
		for _, bin := range bins {
			right, total := 0.0, 0.0
			for i, label := range p.labels {
				if v := float64(p.row(i)[class]); v > bin.Low && v <= bin.High {
					total++
					if label == class {
						right++
					}
				}
			}
			want := (bin.Low + bin.High) / 2
			if total > 0 {
				want = right / total
			} else if bin.Low > 0.01 {
				t.Errorf("class %d has no image from %v to %v", class, bin.Low, bin.High)
			}
			if !approx.Equal(bin.becomes(), want, 1e-12) {
				t.Errorf("class %d, from %v to %v: %v of %v images, and it becomes %v", class, bin.Low, bin.High, right, total,
					bin.becomes())
			}
		}
	}
}

func TestCalibratorsAreShownAndSaved(t *testing.T) {
	p, _ := held(t, "fit", 5)
	folder := t.TempDir()
	for name, c := range calibrators(t, p) {
		if _, is := c.(Temperature); is {
			continue
		}
		file := filepath.Join(folder, name+".csv")
		if err := save.Write(file, c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rows := oracle.Rows(t, file); rows[0][0] != "class" || len(rows) < 6 {
			t.Errorf("%s is saved as %v", name, rows)
		}
	}
}

func TestCalibratorsSayWhatTheyLack(t *testing.T) {
	p, asked := held(t, "fit", 5)
	make := func(k int, labels []int, values ...float32) *Predictions {
		t.Helper()
		p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(values, len(values)/k, k), labels)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	apart := make(2, []int{0, 0, 1, 1}, .9, .1, .8, .2, .3, .7, .1, .9)
	// class 2 is told from the others
	one := make(3, []int{0, 1, 0, 1, 2, 2}, .6, .3, .1, .6, .3, .1, .3, .6, .1, .3, .6, .1, .1, .1, .8, .15, .15, .7)
	missing := make(3, []int{0, 1, 0}, .5, .3, .2, .2, .6, .2, .1, .7, .2)
	vector := func(p *Predictions) error { _, err := FitVectorScaling(p); return err }
	matrix := func(p *Predictions) error { _, err := FitMatrixScaling(p); return err }
	isotonic := func(p *Predictions) error { _, err := FitIsotonicRegression(p); return err }
	histogram := func(p *Predictions, by Binning) error { _, err := FitHistogramBinning(p, by); return err }
	apply := func(c Calibrator, p *tensors.Tensor) error { _, err := c.Apply(p); return err }
	of := func(c Calibrator, m *model.Model) error { _, err := c.Model(m); return err }
	calibrated := func(p *Predictions, c Calibrator) error { _, err := p.Calibrated(c); return err }
	two, err := FitIsotonicRegression(apart)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		err  error
		want string
	}{
		{vector(nil), "no predictions"}, {matrix(nil), "no predictions"}, {isotonic(nil), "no predictions"},
		{histogram(nil, EqualWidth(10)), "no predictions"},
		{vector(apart), "without end"}, {matrix(apart), "without end"}, {vector(one), "tells class 2 from the others"},
		{vector(missing), "no image is of class 2"}, {matrix(missing), "no image is of class 2"},
		{histogram(p, EqualWidth(0)), "at least 1"}, {histogram(p, Adaptive(100)), "EqualWidth or EqualMass"},
		{histogram(p, EqualWidth(10).WithoutLast()), "EqualWidth or EqualMass"},
		{apply(two, asked), "fitted for 2 classes and gets 5"}, {apply(two, nil), "[N, K] float32"},
		{apply(&VectorScaling{}, asked), "this vector scaling is not fitted"}, {apply(&MatrixScaling{}, asked), "not fitted"},
		{apply((*IsotonicRegression)(nil), asked), "not fitted"}, {apply(&HistogramBinning{}, asked), "not fitted"},
		{apply(Temperature(0), asked), "it is positive"}, {of(Temperature(math.NaN()), nil), "it is positive"},
		{apply(two, tensors.FromFlatDataAndDimensions([]float32{3, -2}, 1, 2)), "FromLogits"},
		{apply(two, tensors.FromFlatDataAndDimensions([]float32{float32(math.NaN()), 1}, 1, 2)), "NaN"},
		{of(two, nil), "no model"}, {of(Temperature(2), nil), "no model"},
		{of(two, identity(t, "five", 5, model.Softmax)), "fitted for 2 classes and gets 5"},
		{of(two, identity(t, "sigmoids", 2, model.Sigmoid)), "by a sigmoid each"},
		{calibrated(p, nil), "it is nil"}, {calibrated(nil, two), "it is nil"}, {calibrated(p, two), "gets 5"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !strings.Contains(c.err.Error(), "uncertainty: ") {
			t.Errorf("case %d: the error is %v, want one that says %q", i, c.err, c.want)
		}
	}
	// No image whose probability of a class lies from 0.3 to 0.4 is of it, so that all of an image's become 0.
	nobody, err := FitHistogramBinning(make(2, []int{1, 1, 0, 0}, .9, .1, .8, .2, .1, .9, .3, .7), EqualWidth(2))
	if err != nil {
		t.Fatal(err)
	}
	third, err := FitHistogramBinning(make(3, []int{2, 0, 1}, .3, .3, .4, .4, .3, .3, .3, .4, .3), EqualWidth(10))
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range map[Calibrator][]float32{nobody: {0, 1}, third: {1. / 3, 1. / 3, 1. / 3}} {
		given := tensors.FromFlatDataAndDimensions([]float32{.6, .4}, 1, 2)
		if len(want) == 3 {
			given = tensors.FromFlatDataAndDimensions([]float32{.34, .34, .32}, 1, 3)
		}
		got, err := c.Apply(given)
		if err != nil || approx.All(tensors.MustCopyFlatData[float32](got), want, 1e-6) != nil {
			t.Errorf("%v: %v, want %v (%v)", c, got, want, err)
		}
	}
	// Constant probabilities have one place, and a bias that says all.
	flat := make(2, []int{0, 1, 1, 1}, .5, .5, .5, .5, .5, .5, .5, .5)
	scaled, err := FitVectorScaling(flat)
	if err != nil {
		t.Fatal(err)
	}
	q, err := flat.Calibrated(scaled)
	if err != nil || !approx.Equal(q.Confidence()[0], 0.75, 1e-6) {
		t.Errorf("%v (%v)", q, err)
	}
	constant, err := FitIsotonicRegression(flat)
	if err != nil {
		t.Fatal(err)
	}
	if q, err = flat.Calibrated(constant); err != nil || !approx.Equal(q.Confidence()[0], 0.75, 1e-6) {
		t.Errorf("%v (%v)", q, err)
	}
}

// An interrupt leaves no calibrator: half a fit is none.
func TestScalingsAreInterrupted(t *testing.T) {
	p, _ := held(t, "fit", 5)
	for name, fit := range map[string]func() (bool, error){
		"vector": func() (bool, error) { c, err := FitVectorScaling(p); return c != nil, err },
		"matrix": func() (bool, error) { c, err := FitMatrixScaling(p); return c != nil, err },
	} {
		release := interrupt.Use(testenv.CancelledAfter(3))
		some, err := fit()
		if some || !interrupt.Is(err) {
			t.Errorf("%s: %v (%v)", name, some, err)
		}
		release()
	}
}
