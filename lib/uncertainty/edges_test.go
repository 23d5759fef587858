package uncertainty

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// edges are the figures of bench/oracles/edges.py.
func edges[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/edges.npz", name)
}

// NumPy's digitize says where values on the ends of bins go, (lo, hi].
func TestValuesOnTheEndsOfBinsAreWhereNumPyPutsThem(t *testing.T) {
	for name, by := range map[string]Binning{"width": EqualWidth(100), "mass": EqualMass(8)} {
		values := edges[float64](t, name+"_values")
		want := make([]int, by.number)
		sums := make([]float64, by.number)
		for i, bin := range edges[int64](t, name+"_bins") {
			want[bin]++
			sums[bin] += values[i]
		}
		bins, err := by.cut(values, func(i int) float64 { return float64(i % 2) })
		if err != nil {
			t.Fatal(err)
		}
		for k, bin := range bins {
			if bin.Accuracy.Total != want[k] || want[k] > 0 && !approx.Equal(bin.Confidence, sums[k]/float64(want[k]), 1e-12) {
				t.Errorf("%s: bin %d is %+v, NumPy has %d values there with the sum %v", name, k, bin, want[k], sums[k])
			}
		}
		if name == "mass" {
			ends := []float64{bins[0].Low}
			for _, bin := range bins {
				ends = append(ends, bin.High)
			}
			if err := approx.All(ends, edges[float64](t, "mass_edges"), 0); err != nil {
				t.Errorf("the ends of the bins: %v", err)
			}
		}
	}
}

// tied are predictions of two classes with the oracle's confidences, some of them equal.
func tied(t *testing.T) *Predictions {
	t.Helper()
	var flat []float32
	var labels []int
	correct := edges[int64](t, "tied_correct")
	for i, c := range edges[float64](t, "tied_confidence") {
		flat = append(flat, float32(c), float32(1-c))
		labels = append(labels, 1-int(correct[i]))
	}
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, len(labels), 2), labels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The authors' AURRA depends on the order of images of equal confidence; the golden is its mean over all orders.
func TestAURRAOfEqualConfidencesIsThatOfRandomOrder(t *testing.T) {
	if got, want := tied(t).AURRA(), edges[float64](t, "tied_aurra")[0]; !approx.Equal(got, want, 1e-12) {
		t.Errorf("AURRA is %v, want %v", got, want)
	}
}

func TestAThresholdThatIsJustReachedKeepsTheImage(t *testing.T) {
	kept, err := tied(t).AccuracyAtConfidence(0.5, 0.625, 0.75, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := edges[float64](t, "tied_kept")
	for i, k := range kept {
		if float64(k.Accuracy.Total) != want[2*i] || !approx.Equal(k.Accuracy.Share(), want[2*i+1], 1e-12) {
			t.Errorf("from %v on, %v of the images are right, want %v with a share of %v", k.Threshold, k.Accuracy, want[2*i],
				want[2*i+1])
		}
	}
}

// A hundredth of what is missing to 1 may be rounding in half precision; more is not.
func TestProbabilitiesHaveToSumToOne(t *testing.T) {
	for sum, fine := range map[float32]bool{1.009: true, 0.991: true, 1.011: false, 0.989: false} {
		_, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.5, sum - 0.5}, 1, 2), []int{0})
		if (err == nil) != fine {
			t.Errorf("probabilities with the sum %v: %v", sum, err)
		}
	}
}

// The golden is SciPy's softmax of the logits divided by the temperature.
func TestWithTemperatureDividesLogits(t *testing.T) {
	flat := edges[float32](t, "logits")
	logits := tensors.FromFlatDataAndDimensions(flat, 6, 1, 4, 1)
	m, err := model.FromFunc(model.Spec{Name: "as given", Height: 1, Width: 4, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 4) })
	if err != nil {
		t.Fatal(err)
	}
	want := edges[float64](t, "at_temperature")
	for i, temperature := range []float64{0.5, 1, 3} {
		cooled, err := WithTemperature(m, temperature)
		if err != nil {
			t.Fatal(err)
		}
		p, err := cooled.Probabilities(logits)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](p), want[24*i:24*(i+1)], 1e-6); err != nil {
			t.Errorf("at temperature %v: %v", temperature, err)
		}
		before, err1 := m.Predict(logits)
		after, err2 := cooled.Predict(logits)
		if err1 != nil || err2 != nil || !slices.Equal(before, after) {
			t.Errorf("at temperature %v the classes are %v, before %v (%v, %v)", temperature, after, before, err1, err2)
		}
	}
	if _, err := WithTemperature(m, 0); err == nil || !strings.Contains(err.Error(), "positive") {
		t.Errorf("a temperature of 0: %v", err)
	}
}

// A class may have no probability at all, and no image may be as sure as is asked for.
func TestPredictionsAtTheEnds(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{1, 0, 0.25, 0.75}, 2, 2), []int{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Correct(), []bool{true, false}) || !slices.Equal(p.Predicted(), []int{0, 1}) ||
		!slices.Equal(p.Labels(), []int{0, 0}) || p.Len() != 2 {
		t.Errorf("correct %v, predicted %v, labels %v of %d", p.Correct(), p.Predicted(), p.Labels(), p.Len())
	}
	if err := approx.All(p.LabelProbability(), []float64{1, 0.25}, 1e-12); err != nil {
		t.Error(err)
	}
	kept, err := tied(t).AccuracyAtConfidence(0, 1)
	if err != nil || kept[0].Accuracy.Total != 7 || kept[1].Accuracy.Total != 1 {
		t.Errorf("%+v (%v)", kept, err)
	}
	unsure, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5}, 1, 2), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	none, err := unsure.AccuracyAtConfidence(0.75)
	if err != nil || none[0].Accuracy.Total != 0 || none[0].Accuracy.Interval() != (stats.Interval{Low: 0, High: 1}) {
		t.Errorf("%+v (%v)", none, err)
	}
	for _, bad := range [][]float64{nil, {-0.01}, {1.01}} {
		if _, err := unsure.AccuracyAtConfidence(bad...); err == nil {
			t.Errorf("thresholds %v are taken", bad)
		}
	}
	d := p.Diagram("")
	if d.Title != "2 images, 50.0% right" || !slices.Equal(d.Correct, p.Correct()) ||
		!slices.Equal(d.Confidences, p.Confidence()) || p.Diagram("mine").Title != "mine" {
		t.Errorf("%+v", d)
	}
	for want, by := range map[string]Binning{"3 bins of equal width": EqualWidth(3), "4 bins of equal mass": EqualMass(4),
		"bins of 5, without the last": Adaptive(5).WithoutLast()} {
		if by.String() != want {
			t.Errorf("%q, want %q", by, want)
		}
	}
}

// A few values have bins too: NumPy's quantiles of one value are that value, and what is left of a bin by size is one.
func TestFewValuesHaveBins(t *testing.T) {
	for name, c := range map[string]struct {
		by     Binning
		values []float64
		want   [][4]float64 // from, to, mean, number
	}{
		"width 1":     {EqualWidth(1), []float64{0.25, 0.75}, [][4]float64{{0, 1, 0.5, 2}}},
		"mass of one": {EqualMass(2), []float64{0.25}, [][4]float64{{0, 0.25, 0.25, 1}, {0.25, 1, 0, 0}}},
		"mass of two": {EqualMass(2), []float64{0.25, 0.75}, [][4]float64{{0, 0.5, 0.25, 1}, {0.5, 1, 0.75, 1}}},
		"fewer":       {Adaptive(3), []float64{0.75, 0.25}, [][4]float64{{0.25, 0.75, 0.5, 2}}},
		"left over": {Adaptive(2), []float64{0.5, 0.25, 0.125, 1, 0.75},
			[][4]float64{{0.125, 0.25, 0.1875, 2}, {0.5, 1, 0.75, 3}}},
		"one each":     {Adaptive(1), []float64{0.5, 0.25}, [][4]float64{{0.25, 0.25, 0.25, 1}, {0.5, 0.5, 0.5, 1}}},
		"none and all": {EqualWidth(2), []float64{0, 1, 0.5}, [][4]float64{{0, 0.5, 0.25, 2}, {0.5, 1, 1, 1}}},
	} {
		bins, err := c.by.cut(c.values, func(i int) float64 { return float64(i % 2) })
		if err != nil || len(bins) != len(c.want) {
			t.Errorf("%s: %+v (%v)", name, bins, err)
			continue
		}
		right := 0
		for k, w := range c.want {
			b := bins[k]
			right += b.Accuracy.Correct
			if b.Low != w[0] || b.High != w[1] || float64(b.Accuracy.Total) != w[3] || w[3] > 0 && b.Confidence != w[2] {
				t.Errorf("%s: bin %d is %+v, want %v", name, k, b, w)
			}
		}
		if right != len(c.values)/2 {
			t.Errorf("%s: %d are right", name, right)
		}
	}
}

// Where labels have the highest logit, alone or with others, or logits that are all the same, no temperature is best.
func TestNoTemperatureIsBest(t *testing.T) {
	for want, c := range map[string]struct {
		logits []float32
		labels []int
	}{
		"every label has the highest logit": {[]float32{1, 1, 0, 2, 0, 0}, []int{1, 0}},
		"makes these logits fit":            {[]float32{1, 1, 1, 2, 2, 2}, []int{1, 0}},
		"fit their labels: on average":      {[]float32{1, -1, 0, 1, -1, 0}, []int{0, 1}},
		"image 1: the logit of class 2 is":  {[]float32{1, 1, 0, 2, 0, float32(math.Inf(1))}, []int{1, 0}},
	} {
		if _, err := FitTemperature(tensors.FromFlatDataAndDimensions(c.logits, 2, 3), c.labels); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
		if _, err := FromLogits(tensors.FromFlatDataAndDimensions(c.logits, 2, 3),
			c.labels); (err == nil) == strings.HasPrefix(want, "image") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	// Of n images with the logits ±z, one of which is wrong, it is where the logistic function of 2z/T is the share of
	// right ones. 257 images are two parts of the sum, and exponentials of logits of a thousand are too large for any
	// number.
	for n, z := range map[int]float32{4: 1, 256: 0.125, 257: 1000, 1000: 1000} {
		logits, labels := slices.Repeat([]float32{-z, z}, n), slices.Repeat([]int{1}, n)
		labels[n-1] = 0
		for i := range logits { // what all logits of an image have in common says nothing
			logits[i] += 4096 * float32(n-1-i/2)
		}
		want := 2 * float64(z) / math.Log(float64(n-1))
		if got, err := FitTemperature(tensors.FromFlatDataAndDimensions(logits, n, 2), labels); err != nil ||
			!approx.Equal(got, want, 1e-6*want) {
			t.Errorf("of %d images: %v (%v), want %v", n, got, err, want)
		}
	}
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := WithTemperature(nil, bad); err == nil {
			t.Errorf("the temperature %v is taken", bad)
		}
	}
}

// The places that are looked at on the way to where a function is 0 are Newton's, by hand, or in the middle where these
// lead out of where that may be, or twice as far where they lead nowhere.
func TestTheWayToAZero(t *testing.T) {
	for name, c := range map[string]struct {
		f          func(x float64) (value, slope float64)
		looks      []float64
		many, zero float64
	}{
		"the root of two": {func(x float64) (float64, float64) { return x*x - 2, 2 * x },
			[]float64{1, 1.5, 17. / 12, 577. / 408}, 5, math.Sqrt2},
		"an arc": {func(x float64) (float64, float64) { return math.Atan(x - 3), 1 / (1 + (x-3)*(x-3)) },
			[]float64{1, 1 + 5*math.Atan(2), (2 + 5*math.Atan(2)) / 2}, 0, 3},
		"a step far away": {func(x float64) (float64, float64) {
			return min(max(x-9.5, -1), 1), map[bool]float64{true: 1}[math.Abs(x-9.5) < 1]
		}, []float64{1, 2, 4, 8, 16, 12, 10}, 8, 9.5},
		"a step near 0": {func(x float64) (float64, float64) {
			return min(max(8*x-1, -1), 1),
				map[bool]float64{true: 8}[x < 0.25]
		}, []float64{1, 0.5, 0.25, 0.125}, 4, 0.125},
		"at once": {func(x float64) (float64, float64) { return x - 1, 1 }, []float64{1}, 1, 1},
	} {
		var looks []float64
		got := zero(func(x float64) (float64, float64) { looks = append(looks, x); return c.f(x) })
		if !approx.Equal(got, c.zero, 1e-9) || len(looks) < len(c.looks) ||
			approx.All(looks[:len(c.looks)], c.looks, 1e-12) != nil || c.many > 0 && len(looks) != int(c.many) {
			t.Errorf("%s: %v by %v, want %v by %v", name, got, looks, c.zero, c.looks)
		}
	}
}

// Where logits are known, a probability that is rounded to 0 does not matter, and where they are not it is infinitely
// unlikely.
func TestAnswersWithAndWithoutLogits(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "far", Height: 1, Width: 2, Channels: 1}, func(x *graph.Node) *graph.Node {
		return graph.MulScalar(graph.Reshape(x, -1, 2), 400)
	})
	if err != nil {
		t.Fatal(err)
	}
	known, err := m.AnswersTo(tensors.FromFlatDataAndDimensions([]float32{1, 0}, 1, 1, 2, 1), []int{1})
	if err != nil {
		t.Fatal(err)
	}
	rounded, err := model.AnswersFromProbabilities("far", tensors.FromFlatDataAndDimensions([]float32{1, 0}, 1, 2),
		[]int{1})
	if err != nil {
		t.Fatal(err)
	}
	for want, answers := range map[float64]*model.Answers{400: known, math.Inf(1): rounded} {
		if p, err := FromAnswers(answers); err != nil || !approx.Equal(p.NegativeLogLikelihood(), want, 1e-3) {
			t.Errorf("want the likelihood %v: %v (%v)", want, p, err)
		}
	}
}

// The slope of the negative log-likelihood in β and the slope of that are, by hand, for the logits 0 and z with the
// label of z: z(s-1) and z²s(1-s), s = 1/(1+exp(-βz)). 300 images are two parts of the sum.
func TestSlopesOfTheLikelihood(t *testing.T) {
	for _, n := range []int{1, 300} {
		for _, z := range []float64{2, -3} {
			for _, beta := range []float64{0, 0.5, 1.5} {
				slope, curvature := slopeAt(beta, slices.Repeat([]float32{0, float32(z)}, n),
					slices.Repeat([]float64{max(z, 0)}, n), slices.Repeat([]int{1}, n))
				s := 1 / (1 + math.Exp(-beta*z))
				if !approx.Equal(slope, z*(s-1), 1e-9) || !approx.Equal(curvature, z*z*s*(1-s), 1e-9) {
					t.Errorf("of %d images at %v with the logit %v: %v and %v, want %v and %v", n, beta, z, slope, curvature, z*(s-1),
						z*z*s*(1-s))
				}
			}
		}
	}
}

// The images without a label are left out of what a model says of a dataset, and the table says which are left and how
// their classes are called. By hand: the logits are ln 3, 0 or 0, ln 3, so that probabilities are 3/4 and 1/4.
func TestPredictionsOfADataset(t *testing.T) {
	three := float32(math.Log(3))
	images := tensors.FromFlatDataAndDimensions([]float32{three / 2, 0, 0, three / 2, three / 2, 0}, 3, 1, 2, 1)
	ds, err := data.FromTensor(images, []int{1, -1, 0}, []string{"cat", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.FromFunc(model.Spec{Name: "twice", Height: 1, Width: 2, Channels: 1, Classes: []string{"cat", "dog"}},
		func(x *graph.Node) *graph.Node {
			return graph.MulScalar(graph.Reshape(x, -1, 2), 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Of(m, ds)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Labels(), []int{1, 0}) || !slices.Equal(p.Predicted(), []int{0, 0}) ||
		approx.All(p.Confidence(), []float64{0.75, 0.75}, 1e-6) != nil ||
		approx.All(p.LabelProbability(), []float64{0.25, 0.75}, 1e-6) != nil {
		t.Errorf("%+v", p)
	}
	table := p.Table()
	for i, want := range [][]any{{0, "image 0", "dog", "cat", false}, {2, "image 2", "cat", "cat", true}} {
		if len(table.Rows) != 2 || !slices.Equal(table.Rows[i][:5], want) {
			t.Errorf("%v: %v, want %v", table.Header, table.Rows, want)
		}
	}
	answers, err := m.Answers(ds)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := FromAnswers(answers); err != nil || !slices.Equal(again.Confidence(), p.Confidence()) {
		t.Errorf("%+v (%v)", again, err)
	}
	for name, answers := range map[string]*model.Answers{"no probabilities": model.AnswersFromClasses("m", []int{0, 1}),
		"nothing": nil} {
		if _, err := FromAnswers(answers); err == nil || !strings.HasPrefix(err.Error(), "uncertainty: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	release := interrupt.Use(testenv.CancelledAfter(0))
	defer release()
	if p, err := Of(m, ds); p != nil || !interrupt.Is(err) {
		t.Errorf("interrupted at once: %v, %v", p, err)
	}
}

// A class that is never predicted has no part in the resolution and the reliability. By hand: the shares of labels are
// 1/2 each, and among the images, all taken for class 0, too.
func TestBrierDecompositionWithAClassThatIsNeverPredicted(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.75, 0.25, 0, 0.75, 0.25, 0}, 2, 3),
		[]int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.BrierDecomposition(), (BrierParts{Uncertainty: 0.5, Resolution: 0, Reliability: 0.125,
		ReleasedResolution: 0.25}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWhatCannotBePredictions(t *testing.T) {
	float := func(n, k int) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(make([]float32, n*k), n, k) }
	for name, c := range map[string]struct {
		t      *tensors.Tensor
		labels []int
	}{
		"one class": {float(1, 1), []int{0}}, "no image": {float(0, 2), nil},
		"three axes":       {tensors.FromFlatDataAndDimensions([]float32{0, 0}, 1, 2, 1), []int{0}},
		"double precision": {tensors.FromFlatDataAndDimensions([]float64{0, 0}, 1, 2), []int{0}}, "no tensor": {nil, nil},
		"a class less": {float(1, 2), []int{-1}}, "a class more": {float(1, 2), []int{2}},
	} {
		if _, err := FromLogits(c.t, c.labels); err == nil {
			t.Errorf("%s: there are predictions", name)
		}
	}
	p, err := FromLogits(float(1, 2), []int{1})
	if err != nil || p.Confidence()[0] != 0.5 || p.Predicted()[0] != 0 {
		t.Errorf("%+v (%v)", p, err)
	}
	if _, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5, 1.5, -0.5}, 2, 2),
		[]int{0, 0}); err == nil || !strings.Contains(err.Error(), "class 0 for image 1") {
		t.Errorf("%v", err)
	}
	if _, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{1, 0, -0.005}, 1, 3),
		[]int{0}); err == nil || !strings.Contains(err.Error(), "class 2 for image 0 is -0.005") {
		t.Errorf("%v", err)
	}
}

// What has no probability adds nothing to an entropy.
func TestEntropyAtItsEnds(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0.5, 0,
		0.5, 0}, 3, 4), []int{0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(p.Entropy(), []float64{0, math.Log(4), math.Log(2)}, 1e-12); err != nil {
		t.Error(err)
	}
}

// A seed draws the same labels in every version: the first class up to which the probabilities sum to more than a
// number of Go's PCG with the seed and 0.
func TestResampledLabelsStayTheSame(t *testing.T) {
	row := []float32{0.125, 0, 0.5, 0.25, 0.125}
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(slices.Repeat(row, 50), 50, 5), make([]int, 50))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 0))
	for i, label := range p.Resampled(3).Labels() {
		at, want := rng.Float64(), 0
		for sum := 0.125; sum <= at; sum += float64(row[want]) {
			want++
		}
		if label != want {
			t.Errorf("image %d has the label %d, want %d", i, label, want)
		}
	}
}

// What is shown is the calibration error with 15 bins: 0.93 and 0.94 lie in two of them, 0.68 and 0.69 in one.
func TestPredictionsAreShownWithTheirScores(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.93, 0.07, 0.94, 0.06, 0.68, 0.32, 0.69,
		0.31}, 4, 2), []int{1, 0, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	ece, err := p.ExpectedCalibrationError(EqualWidth(15))
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(ece, (0.93+0.06+2*0.185)/4, 1e-6) {
		t.Errorf("the calibration error is %v", ece)
	}
	for _, bins := range []int{14, 16} {
		if other, err := p.ExpectedCalibrationError(EqualWidth(bins)); err != nil || math.Abs(other-ece) < 1e-3 {
			t.Fatalf("%d bins are not told from 15 (%v)", bins, err)
		}
	}
	text := p.Bundle().Data[mime.Text]
	for _, want := range []string{fmt.Sprintf("%.1f", 100*ece), "15 bins", fmt.Sprintf("%.4g", p.Brier()),
		fmt.Sprintf("%.4g", p.NegativeLogLikelihood())} {
		if !strings.Contains(fmt.Sprint(text), want) {
			t.Errorf("%q is not in\n%v", want, text)
		}
	}
	rows := p.Table().Rows
	if len(rows) != 4 || !slices.ContainsFunc(rows[1], func(v any) bool { return v == table.Percent(p.Confidence()[1]) }) {
		t.Errorf("%v", rows)
	}
}
