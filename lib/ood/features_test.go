package ood

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are by bench/oracles/ood_features.py.
const featuresFile = "testdata/features.npz"

// array is one of the oracle's as a tensor.
func array(t *testing.T, name string, dims ...int) *tensors.Tensor {
	t.Helper()
	return tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, featuresFile, name), dims...)
}

// held are images in memory, of which some may have labels. Features that stand for pixels are not in 0..1, as package
// data wants them.
type held struct {
	images *tensors.Tensor
	labels []int
}

func (h held) Len() int      { return h.images.Shape().Dimensions[0] }
func (h held) Labels() []int { return h.labels }
func (h held) Images(indices ...int) (*tensors.Tensor, error) {
	return rows.Pick(h.images, indices)
}

// dataset is one of the oracle's arrays, [N, h, w, c], with labels or without.
func dataset(t *testing.T, name string, labels []int, h, w, c int) held {
	t.Helper()
	flat := oracle.Read[float32](t, featuresFile, name)
	return held{tensors.FromFlatDataAndDimensions(flat, len(flat)/(h*w*c), h, w, c), labels}
}

func knownLabels(t *testing.T) (labels []int) {
	t.Helper()
	for _, label := range oracle.Read[int64](t, featuresFile, "labels") {
		labels = append(labels, int(label))
	}
	return labels
}

// plain is a network whose features are the pixels of an image [1, 16, 1], with the oracle's last layer.
func plain(t *testing.T) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{"last.weight": array(t, "w", 6, 16), "last.bias": array(t, "b", 6)}
	m, err := model.FromArchitecture(plainNet{}, weights, model.Spec{Name: "plain", Height: 1, Width: 16, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Linear("last", b.Features(graph.Reshape(x, -1, 16)))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type plainNet struct{}

// network is the oracle's: images [4, 5, 3], normalised, a hidden layer, the last layer.
func network(t *testing.T) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{
		"hidden.weight": array(t, "net_w1", 12, 60), "hidden.bias": array(t, "net_b1", 12),
		"last.weight": array(t, "net_w2", 5, 12), "last.bias": array(t, "net_b2", 5),
	}
	spec := model.Spec{Name: "net", Height: 4, Width: 5, Channels: 3, Mean: []float64{0.4, 0.5, 0.6},
		Std: []float64{0.25, 0.2, 0.3}}
	m, err := model.FromArchitecture(hiddenNet{}, weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("last", b.Features(graph.Tanh(b.Linear("hidden", graph.Reshape(x, -1, 60)))))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type hiddenNet struct{}

func TestDetectorsAgreeWithPytorchOOD(t *testing.T) {
	m, labels := plain(t), knownLabels(t)
	known, asked := dataset(t, "known", labels, 1, 16, 1), dataset(t, "asked", nil, 1, 16, 1)
	fit := func(d Detector, err error) Detector {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	mahalanobis, err := FitMahalanobis(m, known)
	fit(mahalanobis, err)
	react := func(percentile float64) Detector {
		r, err := FitReAct(m, known, percentile)
		return fit(r, err)
	}
	vim := func(dims int) Detector {
		v, err := FitViM(m, known, dims)
		return fit(v, err)
	}
	knn, err := FitKNN(m, known, 7)
	fit(knn, err)
	for _, c := range []struct {
		oracle    string
		d         Detector
		scale     float64 // of pytorch-ood's scores
		tolerance float64
	}{
		{"mahalanobis", mahalanobis, 2 * float64(len(labels)), 1e-9},
		{"knn", knn, 1, 1e-12},
		{"react0.90", react(0), 1, 1e-6}, // the last layer is read off the network in single precision
		{"react0.65", react(65), 1, 1e-6},
		{"vim4", vim(4), 1, 1e-5},
		{"vim8", vim(0), 1, 1e-5},
	} {
		agree(t, c.oracle, c.d, asked, c.scale, c.tolerance)
	}
	threshold := oracle.Read[float64](t, featuresFile, "react0.65_threshold")[0]
	if got := react(65).(*ReAct).Threshold(); !approx.Equal(got, threshold, 1e-12) {
		t.Errorf("ReAct cuts at %v, pytorch-ood at %v", got, threshold)
	}
	alpha := oracle.Read[float64](t, featuresFile, "vim8_alpha")[0]
	if got := vim(8).(*ViM).alpha; !approx.Equal(got, alpha, 1e-5) {
		t.Errorf("ViM's scale is %v, pytorch-ood's %v", got, alpha)
	}
}

// agree compares a detector's scores with the oracle's times scale; the tolerance is of the largest of these.
func agree(t *testing.T, name string, d Detector, asked held, scale, tolerance float64) {
	t.Helper()
	got, err := d.Scores(asked)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle.Read[float64](t, featuresFile, name)
	largest, worst := 0.0, 0.0
	for i := range want {
		want[i] *= scale
		largest = max(largest, math.Abs(want[i]))
	}
	if err := approx.All(got, want, tolerance*largest); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for i := range want {
		worst = max(worst, math.Abs(got[i]-want[i]))
	}
	t.Logf("%s: off by %.2g of %.3g", name, worst, largest)
}

func TestDetectorsThatMoveImagesAgreeWithPytorchOOD(t *testing.T) {
	m := network(t)
	known, asked := dataset(t, "net_known", knownLabels(t), 4, 5, 3), dataset(t, "net_asked", nil, 4, 5, 3)
	still, err := FitMahalanobis(m, known)
	if err != nil {
		t.Fatal(err)
	}
	moving := *still
	moving.Epsilon = 0.01
	double := 2 * float64(known.Len())
	for _, c := range []struct {
		oracle           string
		d                Detector
		scale, tolerance float64
	}{
		{"odin", ODIN{Model: m}, 1, 1e-6},
		{"odin_strong", ODIN{Model: m, Epsilon: 0.02, Temperature: 10}, 1, 1e-6},
		{"odin_still", ODIN{Model: m, Epsilon: -1, Temperature: 2}, 1, 1e-6},
		{"mahalanobis_still", still, double, 2e-5},
		{"mahalanobis_odin", &moving, double, 2e-5},
	} {
		agree(t, c.oracle, c.d, asked, c.scale, c.tolerance)
	}
	// At the temperature of 2 and with no step ODIN is the highest probability of half the logits; the energy of the
	// network shows that the network is the oracle's.
	logits, err := m.LogitsOf(asked)
	if err != nil {
		t.Fatal(err)
	}
	energy, err := Of(Energy{}, logits)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(energy, oracle.Read[float64](t, featuresFile, "energy_of_net"), 1e-5); err != nil {
		t.Errorf("the network's energies: %v", err)
	}
}

// What detectors say of unknown images and of known ones goes into Detect; unknown ones score higher.
func TestUnknownImagesScoreHigher(t *testing.T) {
	m, labels := plain(t), knownLabels(t)
	known := dataset(t, "known", labels, 1, 16, 1)
	half := func(lo, hi int) held {
		part, err := rows.Take(known.images, lo, hi, hi-lo)
		if err != nil {
			t.Fatal(err)
		}
		return held{part, labels[lo:hi]}
	}
	fitted, kept := half(0, 80), half(80, 120)
	other := make([]float32, 30*16)
	for i := range other {
		other[i] = float32(4 + 4*math.Sin(float64(i*i)))
	}
	unknown := held{tensors.FromFlatDataAndDimensions(other, 30, 1, 16, 1), nil}
	mahalanobis, err := FitMahalanobis(m, fitted)
	if err != nil {
		t.Fatal(err)
	}
	vim, err := FitViM(m, fitted, 0)
	if err != nil {
		t.Fatal(err)
	}
	knn, err := FitKNN(m, fitted, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Detector{mahalanobis, vim, knn} {
		of := map[bool][]float64{}
		for isKnown, ds := range map[bool]held{true: kept, false: unknown} {
			if of[isKnown], err = d.Scores(ds); err != nil {
				t.Fatal(err)
			}
		}
		if found, err := Detect(of[false], of[true]); err != nil || !(found.AUROC > 0.8) {
			t.Errorf("%v: %+v (%v)", d, found, err)
		}
	}
}

func TestDetectorsSayWhatTheyLack(t *testing.T) {
	m, net, labels := plain(t), network(t), knownLabels(t)
	known := dataset(t, "known", labels, 1, 16, 1)
	without, err := model.FromFunc(model.Spec{Name: "bare", Height: 1, Width: 16, Channels: 1},
		func(x *graph.Node) *graph.Node {
			return graph.Reshape(x, -1, 16)
		})
	if err != nil {
		t.Fatal(err)
	}
	curved, err := model.FromFunc(model.Spec{Name: "curved", Height: 1, Width: 16, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Square(b.Features(graph.Reshape(x, -1, 16)))
		})
	if err != nil {
		t.Fatal(err)
	}
	sigmoids, err := model.FromFunc(model.Spec{Name: "many", Height: 1, Width: 16, Channels: 1, Activation: model.Sigmoid},
		func(x *graph.Node) *graph.Node {
			return graph.Reshape(x, -1, 16)
		})
	if err != nil {
		t.Fatal(err)
	}
	unlabelled := held{known.images, slices.Repeat([]int{-1}, known.Len())}
	infinite := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{60}, 32), 2, 1, 16, 1)
	overflows, err := model.FromFunc(model.Spec{Name: "wild", Height: 1, Width: 16, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Features(graph.Exp(graph.Mul(graph.Reshape(x, -1, 16), graph.Reshape(x, -1, 16))))
		})
	if err != nil {
		t.Fatal(err)
	}
	moving := func(epsilon float64) error {
		d, err := FitMahalanobis(m, known)
		if err != nil {
			t.Fatal(err)
		}
		d.Epsilon = epsilon
		return second(d.Scores(known))
	}
	errOf := func(_ Detector, err error) error { return err }
	mahalanobis := func(m *model.Model, ds model.Labeled) error { d, err := FitMahalanobis(m, ds); return errOf(d, err) }
	vim := func(m *model.Model, dims int) error { d, err := FitViM(m, known, dims); return errOf(d, err) }
	react := func(m *model.Model, percentile float64) error {
		d, err := FitReAct(m, known, percentile)
		return errOf(d, err)
	}
	knn := func(m *model.Model, ds model.Dataset, k int) error { d, err := FitKNN(m, ds, k); return errOf(d, err) }
	for i, c := range []struct {
		err  error
		want string
	}{
		{mahalanobis(without, known), "bare names no features"},
		{vim(without, 0), "bare names no features"},
		{react(without, 0), "bare names no features"},
		{knn(without, known, 0), "bare names no features"},
		{vim(curved, 0), "no linear function"},
		{react(curved, 0), "no linear function"},
		{vim(m, 16), "space of 16 dimensions among 16 features"},
		{vim(m, -1), "space of -1 dimensions"},
		{react(m, 101), "percentile 101"},
		{react(m, math.NaN()), "percentile NaN"},
		{knn(m, known, 121), "neighbour 121 of 120"},
		{knn(m, known, -1), "neighbour -1 of 120"},
		{knn(m, nil, 1), "no dataset"},
		{knn(nil, known, 1), "no model"},
		{mahalanobis(nil, known), "no model"},
		{mahalanobis(m, unlabelled), "none of the 120 known images has a label"},
		{mahalanobis(net, known), "net takes images"},
		{knn(overflows, held{infinite, nil}, 1), "feature 0 of image 0 is +Inf: wild overflows"},
		{moving(-1), "step of Mahalanobis is -1"},
		{moving(math.NaN()), "step of Mahalanobis is NaN"},
		{second(ODIN{}.Scores(known)), "ODIN has no model"},
		{second(ODIN{Model: m, Temperature: -1}.Scores(known)), "temperature is -1"},
		{second(ODIN{Model: m, Epsilon: math.NaN()}.Scores(known)), "epsilon is NaN"},
		{second(ODIN{Model: sigmoids}.Scores(known)), "by a sigmoid each"},
		{second((*KNN)(nil).Scores(known)), "not fitted"},
		{second((&Mahalanobis{}).Scores(known)), "not fitted"},
		{second((&ViM{}).Scores(known)), "not fitted"},
		{second((&ReAct{}).Scores(known)), "not fitted"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || strings.Contains(c.err.Error(), "\n") {
			t.Errorf("case %d: the error is %v, want one that says %q", i, c.err, c.want)
		}
	}
}

// A network with one output tells two classes apart, and ODIN scores it as one with the logits 0 and that output.
func TestODINOfOneOutput(t *testing.T) {
	known := dataset(t, "known", nil, 1, 16, 1)
	of := func(name string, activation model.Activation, outputs int) []float64 {
		t.Helper()
		m, err := model.FromFunc(model.Spec{Name: name, Height: 1, Width: 16, Channels: 1, Activation: activation},
			func(x *graph.Node) *graph.Node {
				z := graph.ReduceAndKeep(graph.MulScalar(graph.Sin(graph.Reshape(x, -1, 16)), 0.3), graph.ReduceSum, 1)
				if outputs == 2 {
					z = graph.Concatenate([]*graph.Node{graph.ZerosLike(z), z}, 1)
				}
				return z
			})
		if err != nil {
			t.Fatal(err)
		}
		scores, err := ODIN{Model: m, Temperature: 2, Epsilon: 0.1}.Scores(known)
		if err != nil {
			t.Fatal(err)
		}
		return scores
	}
	one, two := of("one", model.Sigmoid, 1), of("two", model.Softmax, 2)
	if err := approx.All(one, two, 1e-6); err != nil {
		t.Error(err)
	}
	if !(slices.Min(one) < -0.6 && slices.Max(one) <= -0.5) {
		t.Errorf("the scores lie between %v and %v", slices.Min(one), slices.Max(one))
	}
}

// An image without features has no direction: it is no neighbour of others, and its own distance is 1.
func TestKNNOfNoFeatures(t *testing.T) {
	m := plain(t)
	flat := make([]float32, 3*16)
	flat[16], flat[2*16+1] = 2, 3
	d, err := FitKNN(m, held{tensors.FromFlatDataAndDimensions(flat, 3, 1, 16, 1), nil}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := "KNN with neighbour 2 among 2 images by 16 features of plain"; d.String() != want {
		t.Errorf("%q, want %q", d, want)
	}
	got, err := d.Scores(held{tensors.FromFlatDataAndDimensions(flat[:32], 2, 1, 16, 1), nil})
	if err != nil || approx.All(got, []float64{1, math.Sqrt2}, 1e-12) != nil {
		t.Errorf("%v (%v)", got, err)
	}
}

// Interrupted, detectors return the scores of the images that are done, and a fit none.
func TestDetectorsAreInterrupted(t *testing.T) {
	net := network(t)
	net.BatchSize = 8
	known, asked := dataset(t, "net_known", knownLabels(t), 4, 5, 3), dataset(t, "net_asked", nil, 4, 5, 3)
	react, err := FitReAct(net, known, 0)
	if err != nil {
		t.Fatal(err)
	}
	vim, err := FitViM(net, known, 0)
	if err != nil {
		t.Fatal(err)
	}
	mahalanobis, err := FitMahalanobis(net, known)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Detector{ODIN{Model: net}, react, vim, mahalanobis} {
		t.Run(d.Name(), func(t *testing.T) {
			whole, err := d.Scores(asked)
			if err != nil {
				t.Fatal(err)
			}
			testenv.Interrupt(t, func() ([]float64, error) { return d.Scores(asked) }, func(part []float64) int {
				if err := approx.All(part, whole[:len(part)], 1e-6); err != nil {
					t.Fatal(err)
				}
				return len(part)
			})
		})
	}
	release := interrupt.Use(testenv.CancelledAfter(1))
	defer release()
	if d, err := FitKNN(net, known, 0); d != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted, a fit is %v (%v)", d, err)
	}
}
