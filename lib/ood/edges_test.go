package ood

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// The golden is scikit-learn's, picture by picture and of all pixels together: bench/oracles/edges.py.
func TestPixelsAgreeWithScikitLearn(t *testing.T) {
	const file = "testdata/edges.npz"
	var unknown []bool
	for _, v := range oracle.Read[int64](t, file, "unknown") {
		unknown = append(unknown, v == 1)
	}
	s, err := DetectPixels(oracle.Read[float64](t, file, "scores"), unknown, 12)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Detection{"mean": s.Mean, "pooled": s.Pooled} {
		if err := approx.All([]float64{d.AUROC, d.AUPR, d.Prevalence, d.FPR95, d.FPR95Nearest},
			oracle.Read[float64](t, file, name), 1e-12); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d.Unknown != 13 || d.Known != 35 {
			t.Errorf("%s: %d unknown pixels and %d known ones", name, d.Unknown, d.Known)
		}
	}
	if s.Pictures != 4 || s.Left != 1 {
		t.Errorf("%d pictures, %d left out", s.Pictures, s.Left)
	}
}

// A probability of just a half is a confidence of 0.5.
func TestAnImageOfJustTheConfidenceDeceives(t *testing.T) {
	logits := tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 1, 0, -1}, 3, 2)
	if got, err := HighConfidence(logits, 0.5); err != nil || !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("%v (%v)", got, err)
	}
}

// The interval is of 1,000 draws from all scores, known and unknown ones together.
func TestAUROCsIntervalIsABootstrap(t *testing.T) {
	unknown, known := []float64{3, 1, 4, 1.5, 9}, []float64{2, 6, 0.5, 0.3, 5.8, 1, 2}
	all := append(slices.Clone(unknown), known...)
	want, err := stats.Bootstrap(len(all), 1000, 0.05, 3, func(sample []int) float64 {
		var of [2][]float64
		for _, i := range sample {
			side := 0
			if i >= len(unknown) {
				side = 1
			}
			of[side] = append(of[side], all[i])
		}
		area, err := stats.AUROC(of[0], of[1])
		if err != nil {
			return math.NaN()
		}
		return area
	})
	if got, err2 := AUROCInterval(unknown, known, 3); err != nil || err2 != nil || got != want {
		t.Errorf("%v, want %v (%v, %v)", got, want, err, err2)
	}
}

func TestNamesAndTablesSayWhatIsMeasured(t *testing.T) {
	for want, s := range map[string]Score{"energy": Energy{Temperature: 1},
		"energy at temperature 2.5": Energy{Temperature: 2.5}} {
		if got := s.Name(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := (&KLMatching{typical: [][]float64{{-1}, nil, {-2}}}).String(),
		"KL matching with the typical probabilities of 2 of 3 classes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s, err := DetectPixels([]float64{1, 2, 3, 4, 5, 6}, []bool{false, true, false, true, false, false}, 2)
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.Table()
	if err != nil || table.Title != "2 pictures, and 1 left out that hold only known or only unknown pixels" ||
		len(table.Rows) != 2 ||
		table.Header[0] != "measured" || table.Rows[0][0] != "mean over pictures" ||
		table.Rows[1][0] != "all pixels together" {
		t.Errorf("%+v (%v)", table, err)
	}
}

func TestWhatHasNoScore(t *testing.T) {
	float := func(dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		return tensors.FromFlatDataAndDimensions(make([]float32, size), dims...)
	}
	for name, logits := range map[string]*tensors.Tensor{
		"one axis": float(2), "three axes": float(1, 1, 2), "five axes": float(1, 1, 1, 1, 2), "one class": float(2, 1),
		"no images":        float(0, 2),
		"double precision": tensors.FromFlatDataAndDimensions([]float64{0, 0}, 1, 2), "none": nil,
		"an infinity": tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, float32(math.Inf(-1))}, 2, 2),
		"no number":   tensors.FromFlatDataAndDimensions([]float32{0, float32(math.NaN())}, 1, 2),
	} {
		if _, err := Of(MaxLogit{}, logits); err == nil || !strings.HasPrefix(err.Error(), "ood: ") ||
			name == "an infinity" && !strings.Contains(err.Error(), "logit 1 of row 1 is -Inf") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := FitKLMatching(logits); err == nil {
			t.Errorf("%s: KL matching is fitted", name)
		}
	}
	for _, s := range []Score{nil, (*KLMatching)(nil), Energy{Temperature: -0.01}, Energy{Temperature: math.NaN()}} {
		if _, err := Of(s, float(1, 2)); err == nil {
			t.Errorf("%v is a score", s)
		}
		if _, err := OfAnswers(s, nil); err == nil {
			t.Errorf("%v is a score", s)
		}
	}
	for _, dims := range [][]int{{1, 2}, {1, 1, 1, 2}} {
		if got, err := Of(Energy{}, float(dims...)); err != nil || approx.All(got, []float64{-math.Log(2)}, 1e-12) != nil {
			t.Errorf("%v: %v (%v)", dims, got, err)
		}
	}
	for confidence, fine := range map[float64]bool{-0.5: false, 0: false, 0.01: true, 1: true, 1.01: false} {
		if _, err := HighConfidence(float(1, 2), confidence); (err == nil) != fine {
			t.Errorf("at the confidence %v: %v", confidence, err)
		}
	}
	for want, c := range map[string]struct {
		scores, marks, per int
	}{"of 0 pixels": {2, 2, 0}, "of -1 pixels": {2, 2, -1}, "2 scores, 1 marks": {2, 1, 1}, "0 scores": {0, 0, 1},
		"3 scores": {3, 3, 2}, "none of 2 pictures": {2, 2, 1}} {
		if _, err := DetectPixels(make([]float64, c.scores), make([]bool, c.marks), c.per); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	for _, c := range [][2]int{{0, 1}, {1, 0}} {
		if _, err := Detect(make([]float64, c[0]), make([]float64, c[1])); err == nil ||
			!strings.Contains(err.Error(), "one of each") {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// An image between two classes counts for the first. What single precision takes for impossible takes no part in the
// divergence: Σ p log(p/d), written out.
func TestKLMatchingAtTheEdges(t *testing.T) {
	m, err := FitKLMatching(tensors.FromFlatDataAndDimensions([]float32{0, 0, -2000, 3, 1, -2000}, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	first, err := m.Typical(0)
	q := 1 / (1 + math.Exp(-2))
	if err != nil || approx.All(first, []float64{(0.5 + q) / 2, (1.5 - q) / 2, 0}, 1e-12) != nil {
		t.Errorf("%v (%v)", first, err)
	}
	for class, exists := range map[int]bool{-1: false, 0: true, 2: true, 3: false} {
		typical, err := m.Typical(class)
		if (err == nil) != exists || (typical != nil) != (class == 0) {
			t.Errorf("class %d: %v (%v)", class, typical, err)
		}
	}
	got, err := Of(m, tensors.FromFlatDataAndDimensions([]float32{0, 0, -2000, 1000, 0, -1000}, 2, 3))
	d := []float64{(0.5 + q) / 2, (1.5 - q) / 2}
	if want := []float64{-math.Log(2) - (math.Log(d[0])+math.Log(d[1]))/2, -math.Log(d[0])}; err != nil ||
		approx.All(got, want, 1e-9) != nil {
		t.Errorf("%v, want %v (%v)", got, want, err)
	}
}

// What a model has answered is scored as its logits are; where classes do not exclude each other, or logits are not
// known, it is refused.
func TestAnswersAreScoredAsTheirLogits(t *testing.T) {
	logits := tensors.FromFlatDataAndDimensions([]float32{1, 0, -1, 2, 0.5, 0}, 2, 1, 3, 1)
	m, err := model.FromFunc(model.Spec{Name: "as given", Height: 1, Width: 3, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 3) })
	if err != nil {
		t.Fatal(err)
	}
	answers, err := m.AnswersTo(logits, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Score{"max softmax": MaxSoftmax{}, "max logit": MaxLogit{}, "energy": Energy{},
		"entropy": Entropy{}} {
		got, err := OfAnswers(s, answers)
		want, err2 := Of(s, tensors.FromFlatDataAndDimensions([]float32{1, 0, -1, 2, 0.5, 0}, 2, 3))
		if err != nil || err2 != nil || !slices.Equal(got, want) || s.Name() != name {
			t.Errorf("%s, called %s: %v, want %v (%v, %v)", name, s.Name(), got, want, err, err2)
		}
	}
	sigmoids := *answers
	sigmoids.Activation = model.Sigmoid
	for want, err := range map[string]error{
		"there is no score":     second(OfAnswers(nil, answers)),
		"there are no answers":  second(OfAnswers(MaxLogit{}, nil)),
		"as given has sigmoids": second(OfAnswers(MaxLogit{}, &sigmoids)),
		"ood: max softmax":      second(OfAnswers(MaxSoftmax{}, &sigmoids)),
		"logits of m are not":   second(OfAnswers(Energy{}, model.AnswersFromClasses("m", []int{0, 1}))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

func second(_ []float64, err error) error { return err }

// A picture of nothing but unknown pixels is left out as one of nothing but known ones is, and a score that is no
// number is named with its picture.
func TestPicturesOfOneKindAreLeftOut(t *testing.T) {
	s, err := DetectPixels([]float64{1, 2, 1, 2, 2, 1}, []bool{true, true, false, true, false, false}, 2)
	if err != nil || s.Pictures != 1 || s.Left != 2 || s.Mean.AUROC != 1 {
		t.Errorf("%+v (%v)", s, err)
	}
	_, err = DetectPixels([]float64{1, 2, 1, math.NaN()}, []bool{true, false, true, false}, 2)
	if err == nil || !strings.Contains(err.Error(), "picture 1: ") {
		t.Errorf("%v", err)
	}
}
