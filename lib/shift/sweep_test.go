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
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
)

// brightOrDark says class 1 where an image's mean is above a half.
func brightOrDark(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "bright", Height: 8, Width: 8, Channels: 3},
		func(x *graph.Node) *graph.Node {
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
		if (s.Accuracy[0][severity] != stats.Accuracy{Correct: want, Total: 10}) {
			t.Errorf("at severity %d the accuracy is %v, want %d of 10", severity, s.Accuracy[0][severity], want)
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
		"3 labels for 10 images":  labels[:3],
		"image 4 has the label 7": {0, 0, 0, 0, 7, 0, 0, 0, 0, 0},
	} {
		if _, err := CorruptionSweep(m, x, bad, 0, perturb.Corruptions()[0]); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := (&Sweep{}).Plot(); err == nil {
		t.Error("an empty sweep has a plot")
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
	testenv.Interrupt(t, func() (*Sweep, error) { return CorruptionSweep(m, x, labels, 3, both...) },
		func(part *Sweep) int {
			if part == nil {
				return 0
			}
			done := 0
			for c, counts := range part.Accuracy {
				if part.Corruptions[c] != whole.Corruptions[c] || !slices.Equal(counts, whole.Accuracy[c][:len(counts)]) ||
					!slices.Equal(part.Confidence[c], whole.Confidence[c][:len(counts)]) {
					t.Fatalf("corruption %d has %v and %v", c, counts, part.Confidence[c])
				}
				done += len(counts) - 1
			}
			if lines, err := part.Plot(); err != nil || len(lines.Series) != len(part.Accuracy) {
				t.Errorf("%d lines are plotted: %v", len(lines.Series), err)
			}
			return done
		})
}

// A dataset that is read a batch at a time gives what its images give at once, and images without a label do not count.
func TestSweepOfADataset(t *testing.T) {
	x, labels := images()
	labels[3] = -1
	noise, err := perturb.CorruptionsNamed("shot_noise", "brightness")
	if err != nil {
		t.Fatal(err)
	}
	m := brightOrDark(t)
	whole, err := CorruptionSweep(m, x, labels, 3, noise...)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := data.FromTensor(x, labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.BatchSize = 4
	once, err := SweepDataset(m, ds, 3, noise...)
	if err != nil || !slices.Equal(once.Accuracy[0], whole.Accuracy[0]) ||
		!slices.Equal(once.Accuracy[1], whole.Accuracy[1]) {
		t.Errorf("read once: %v, %v", once, err)
	}
	defer func(bytes int) { held = bytes }(held)
	held = 0
	streamed, err := SweepDataset(m, ds, 3, noise...)
	if err != nil || !slices.Equal(streamed.Corruptions, whole.Corruptions) {
		t.Fatalf("%v, %v", streamed, err)
	}
	for c := range whole.Corruptions {
		if !slices.Equal(streamed.Accuracy[c], whole.Accuracy[c]) || streamed.Accuracy[c][0].Total != 9 {
			t.Errorf("%s: %v, want %v", whole.Corruptions[c], streamed.Accuracy[c], whole.Accuracy[c])
		}
		if err := approx.All(streamed.Confidence[c], whole.Confidence[c], 1e-6); err != nil {
			t.Errorf("%s: confidence: %v", whole.Corruptions[c], err)
		}
	}
	testenv.Interrupt(t, func() (*Sweep, error) { return SweepDataset(m, ds, 3, noise...) }, func(part *Sweep) int {
		if part == nil {
			return 0
		}
		n := 0
		for _, of := range part.Accuracy {
			n += len(of) - 1
		}
		return n
	})
	unlabelled, err := data.FromTensor(x, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SweepDataset(m, unlabelled, 0, noise...); err == nil || !strings.Contains(err.Error(), "has a label") {
		t.Errorf("without labels: %v", err)
	}
}
