package shift

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

// brightOrDark says class 1 where an image's mean is above a half.
func brightOrDark(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "bright", Height: 8, Width: 8, Channels: 3}, func(x *graph.Node) *graph.Node {
		mean := graph.ReduceMean(x, 1, 2, 3)
		score := graph.InsertAxes(graph.MulScalar(graph.AddScalar(mean, -0.5), 20), -1)
		return graph.Concatenate([]*graph.Node{graph.Neg(score), score}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Images of means 0.05, 0.15, …, 0.95, labelled by whether they are bright.
func images() (*tensors.Tensor, []int) {
	flat := make([]float32, 0, 10*8*8*3)
	var labels []int
	for i := range 10 {
		v := 0.05 + 0.1*float32(i)
		for range 8 * 8 * 3 {
			flat = append(flat, v)
		}
		labels = append(labels, i/5)
	}
	return tensors.FromFlatDataAndDimensions(flat, 10, 8, 8, 3), labels
}

// ImageNet-C's brightness adds .1 a severity to a grey image, so each severity lifts one more dark image over a half.
func TestSweepCountsWhatBrightnessBreaks(t *testing.T) {
	x, labels := images()
	brightness, err := perturb.CorruptionNamed("brightness")
	if err != nil {
		t.Fatal(err)
	}
	brightness.Benchmark = perturb.ImageNetC // the images are as small as CIFAR's
	s, err := CorruptionSweep(brightOrDark(t), x, labels, 0, brightness)
	if err != nil {
		t.Fatal(err)
	}
	for severity, want := range []int{10, 9, 8, 7, 6, 5} {
		if s.Correct[0][severity] != want {
			t.Errorf("at severity %d %d are right, want %d", severity, s.Correct[0][severity], want)
		}
		accuracy, interval, err := s.Accuracy(0, severity)
		if err != nil || !approx.Equal(accuracy, float64(want)/10, 1e-12) || !(interval.Low <= accuracy) || !(interval.High >= accuracy) {
			t.Errorf("accuracy %v in %v, %v", accuracy, interval, err)
		}
	}
	// SciPy's softmax of the same images: bench/oracles/edges.py.
	if err := approx.All(s.Confidence[0], oracle.Read[float64](t, "testdata/edges.npz", "confidence"), 1e-5); err != nil {
		t.Errorf("the labels' mean probabilities: %v", err)
	}
	if b := s.Bundle(); b.Data[mime.PNG] == "" {
		t.Errorf("no plot: %v", b.Data[mime.Text])
	}
}

func TestSweepNamesWhatIsWrong(t *testing.T) {
	x, labels := images()
	m := brightOrDark(t)
	for want, bad := range map[string][]int{
		"10 images have 3 labels":                                labels[:3],
		"image 4 has the label 7; bright has the classes 0 to 1": {0, 0, 0, 0, 7, 0, 0, 0, 0, 0},
		"image 4 has the label -1":                               {0, 0, 0, 0, -1, 0, 0, 0, 0, 0},
	} {
		if _, err := CorruptionSweep(m, x, bad, 0, perturb.Corruptions()[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, _, err := (&Sweep{}).Accuracy(0, 0); err == nil {
		t.Error("an empty sweep has an accuracy")
	}
}

// Interrupted anywhere, a sweep has the severities that are done.
func TestInterruptedSweep(t *testing.T) {
	x, labels := images()
	m := brightOrDark(t)
	both := perturb.Corruptions()[:2]
	whole, err := CorruptionSweep(m, x, labels, 3, both...)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Sweep, error) { return CorruptionSweep(m, x, labels, 3, both...) }, func(part *Sweep) int {
		if part == nil {
			return 0
		}
		done := 0
		for c, counts := range part.Correct {
			if part.Corruptions[c] != whole.Corruptions[c] || !slices.Equal(counts, whole.Correct[c][:len(counts)]) || !slices.Equal(part.Confidence[c], whole.Confidence[c][:len(counts)]) {
				t.Fatalf("corruption %d has %v and %v", c, counts, part.Confidence[c])
			}
			done += len(counts) - 1
		}
		if lines, err := part.Plot(); err != nil || len(lines.Series) != len(part.Correct) {
			t.Errorf("%d lines are plotted: %v", len(lines.Series), err)
		}
		return done
	})
}
