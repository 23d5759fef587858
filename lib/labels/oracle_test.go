package labels

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mime"
)

// The oracle is cleanlab 2.9.0: bench/oracles/labels.py.

var filters = []struct {
	filter Filter
	name   string
}{
	{PruneByNoiseRate, "prune_by_noise_rate"}, {PruneByClass, "prune_by_class"}, {Both, "both"},
	{ConfidentLearning, "confident_learning"},
	{PredictedNotGiven, "predicted_neq_given"}, {LowSelfConfidence, "low_self_confidence"},
	{LowNormalizedMargin, "low_normalized_margin"},
}

var scores = []struct {
	score Score
	name  string
}{{SelfConfidence, "self_confidence"}, {NormalizedMargin, "normalized_margin"},
	{ConfidenceWeightedEntropy, "confidence_weighted_entropy"}}

// given is one of the paper's sets: its probabilities, as they lie in the file, and its labels.
func given(t testing.TB, set string) (*ProbabilityFile, []int) {
	t.Helper()
	p, err := OpenProbabilities(testenv.SharedData(t, "label-errors", "cross_validated_predicted_probabilities",
		set+"_test_set_pyx.npy"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	y, err := ReadLabels(testenv.SharedData(t, "label-errors", "original_test_labels",
		set+"_test_set_original_labels.npy"))
	if err != nil {
		t.Fatal(err)
	}
	return p, y
}

func ints(v []int64) []int {
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

func flat(counts [][]int) (out []int) {
	for _, row := range counts {
		out = append(out, row...)
	}
	return out
}

func mustFind(t *testing.T, p Probabilities, y []int, o Options) *Issues {
	t.Helper()
	s, err := FindLabelIssues(p, y, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// figures is what the health holds, as the oracle writes it.
func figures(h *DatasetHealth) (classes, overlaps []float64) {
	for _, c := range h.Classes {
		classes = append(classes, float64(c.Class), float64(c.Issues), float64(c.InverseIssues), c.Noise,
			c.InverseNoise, c.Quality)
	}
	for _, o := range h.Overlaps {
		overlaps = append(overlaps, float64(o.A), float64(o.B), float64(o.Examples), o.Joint)
	}
	return classes, overlaps
}

func TestIssuesOfMNISTAndCIFAR10AreCleanlabs(t *testing.T) {
	for _, set := range []string{"mnist", "cifar10"} {
		p, y := given(t, set)
		read := func(name string) []int { return ints(oracle.Read[int64](t, "testdata/labels.npz", set+"_"+name)) }
		reals := func(name string) []float64 { return oracle.Read[float64](t, "testdata/labels.npz", set+"_"+name) }
		joint, err := EstimateJoint(p, y)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(joint.Thresholds, reals("thresholds"), 0); err != nil {
			t.Errorf("%s: thresholds: %v", set, err)
		}
		if got, want := flat(joint.Counts), read("joint"); !slices.Equal(got, want) {
			t.Errorf("%s: the joint is %v, want %v", set, got, want)
		}
		if got, want := flat(joint.Calibrated()), read("calibrated"); !slices.Equal(got, want) {
			t.Errorf("%s: the calibrated joint is %v, want %v", set, got, want)
		}
		for _, f := range filters {
			if got, want := mustFind(t, p, y, Options{Filter: f.filter}).Indices(), read(f.name); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %d issues %v, want %d %v", set, f.filter, len(got), got, len(want), want)
			}
		}
		for _, s := range scores {
			all, err := Scores(p, y, s.score)
			if err != nil {
				t.Fatal(err)
			}
			var some []float64
			for i := 0; i < len(all); i += 100 {
				some = append(some, all[i])
			}
			if err := approx.All(some, reals(s.name), 1e-14); err != nil {
				t.Errorf("%s, %s: %v", set, s.name, err)
			}
			if got, want := mustFind(t, p, y, Options{Rank: s.score}).Indices(), read("by_"+s.name); !slices.Equal(got, want) {
				t.Errorf("%s by %s: %v, want %v", set, s.name, got, want)
			}
		}
		h, err := Health(p, y)
		if err != nil {
			t.Fatal(err)
		}
		checkHealth(t, set, h, reals("health"), reals("classes"), reals("overlaps"))
	}
}

func TestWhatIsShown(t *testing.T) {
	p, y := given(t, "mnist")
	h, err := Health(p, y)
	if err != nil {
		t.Fatal(err)
	}
	h.Names = []string{"zero", "one"}
	for _, c := range []struct {
		shown interface{ Bundle() mime.Bundle }
		want  []string
	}{
		{h, []string{"Label health 99.9%", "zero", "Mixed up"}},
		{mustFind(t, p, y, Options{}), []string{"15 of 10000 labels", "2597"}},
		{verdicts(t, "mnist"), []string{"What people said of 100 labels", "correctable", "15.0%", "not an error"}},
	} {
		b := c.shown.Bundle()
		for _, want := range c.want {
			if !strings.Contains(b.Data[mime.Text], want) || !strings.Contains(b.Data[mime.HTML], want) {
				t.Errorf("%q is not in %s", want, b.Data[mime.Text])
			}
		}
	}
}

func checkHealth(t *testing.T, what string, h *DatasetHealth, score, classes, overlaps []float64) {
	t.Helper()
	gotClasses, gotOverlaps := figures(h)
	if err := approx.All([]float64{h.Score}, score, 1e-15); err != nil {
		t.Errorf("%s: health: %v", what, err)
	}
	if err := approx.All(gotClasses, classes, 1e-14); err != nil {
		t.Errorf("%s: classes: %v", what, err)
	}
	if err := approx.All(gotOverlaps, overlaps, 1e-14); err != nil {
		t.Errorf("%s: overlaps: %v", what, err)
	}
}

// parts cuts the array of all matrices into theirs.
func parts[T any](t *testing.T, name string) [][]T {
	t.Helper()
	all, sizes := oracle.Read[T](t, "testdata/random.npz", name), oracle.Read[int64](t, "testdata/random.npz",
		name+"_size")
	var out [][]T
	for _, size := range sizes {
		out = append(out, all[:size])
		all = all[size:]
	}
	return out
}

func TestIssuesOfRandomMatricesAreCleanlabs(t *testing.T) {
	shapes, labels, probabilities, options := parts[int64](t, "shape"), parts[int64](t, "labels"),
		parts[float64](t, "probabilities"), parts[float64](t, "options")
	if len(shapes) != 100 {
		t.Fatalf("%d matrices", len(shapes))
	}
	thresholds, joints, calibrated := parts[float64](t, "thresholds"), parts[int64](t, "joint"),
		parts[int64](t, "calibrated")
	health, classes, overlaps := parts[float64](t, "health"), parts[float64](t, "classes"), parts[float64](t, "overlaps")
	for m := range shapes {
		what := fmt.Sprintf("matrix %d, %v", m, shapes[m])
		y := ints(labels[m])
		p, err := Float64s(probabilities[m], int(shapes[m][1]))
		if err != nil {
			t.Fatal(err)
		}
		joint, err := EstimateJoint(p, y)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(joint.Thresholds, thresholds[m], 0); err != nil {
			t.Errorf("%s: thresholds: %v", what, err)
		}
		if got, want := flat(joint.Counts), ints(joints[m]); !slices.Equal(got, want) {
			t.Errorf("%s: the joint is %v, want %v", what, got, want)
		}
		if got, want := flat(joint.Calibrated()), ints(calibrated[m]); !slices.Equal(got, want) {
			t.Errorf("%s: the calibrated joint is %v, want %v", what, got, want)
		}
		h, err := Health(p, y)
		if err != nil {
			t.Fatal(err)
		}
		checkHealth(t, what, h, health[m], classes[m], overlaps[m])
	}
	for _, f := range filters {
		want := parts[int64](t, f.name)
		var optional [][]int64
		if f.filter <= Both {
			optional = parts[int64](t, f.name+"_optional")
		}
		for m := range shapes {
			p, _ := Float64s(probabilities[m], int(shapes[m][1]))
			y := ints(labels[m])
			if got := mustFind(t, p, y, Options{Filter: f.filter}).Indices(); !slices.Equal(got, ints(want[m])) {
				t.Errorf("matrix %d, %s: %v, want %v", m, f.filter, got, want[m])
			}
			if optional == nil {
				continue
			}
			o := Options{Filter: f.filter, Share: options[m][0], Keep: int(options[m][1])}
			if got := mustFind(t, p, y, o).Indices(); !slices.Equal(got, ints(optional[m])) {
				t.Errorf("matrix %d, %s, share %v, keep %d: %v, want %v", m, f.filter, o.Share, o.Keep, got, optional[m])
			}
		}
	}
	for _, s := range scores {
		want := parts[float64](t, "score_"+s.name)
		for m := range shapes {
			p, _ := Float64s(probabilities[m], int(shapes[m][1]))
			got, err := Scores(p, ints(labels[m]), s.score)
			if err != nil {
				t.Fatal(err)
			}
			if err := approx.All(got, want[m], 1e-14); err != nil {
				t.Errorf("matrix %d, %s: %v", m, s.name, err)
			}
		}
	}
}

// Rows of half precision have many equal values, so that the order of equals and the exactness of the halves count.
func TestIssuesOfHalfPrecisionAreCleanlabs(t *testing.T) {
	for _, set := range []string{"mnist", "cifar10"} {
		p, y := given(t, set)
		file := filepath.Join(t.TempDir(), "half.npy")
		writeNPY(t, file, "<f2", p)
		halves, err := OpenProbabilities(file)
		if err != nil {
			t.Fatal(err)
		}
		defer halves.Close()
		want := ints(oracle.Read[int64](t, "testdata/labels.npz", set+"_half"))
		if got := mustFind(t, halves, y, Options{}).Indices(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", set, got, want)
		}
	}
}
