package transfer

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// points are a network whose features are its images, [1, 1, 8], less a half, and the oracle's points for it:
// bench/oracles/selfsup.py.
func points(t *testing.T) (m *model.Model, train, test *data.Dataset) {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	m, err := model.FromTensors(map[string]*tensors.Tensor{"linear.weight": oracle.Sines(1, 0, 4, 8)},
		model.Spec{Name: "points", Height: 1, Width: 1, Channels: 8},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Linear("linear", b.Features(graph.AddScalar(graph.Reshape(x, -1, 8), -0.5)))
		})
	if err != nil {
		t.Fatal(err)
	}
	read := func(features, labels string, n int) *data.Dataset {
		values := oracle.Read[float32](t, "testdata/knn.npz", features)
		for i := range values {
			values[i] = values[i]/20 + 0.5 // cosines do not see lengths
		}
		var of []int
		for _, v := range oracle.Read[int64](t, "testdata/knn.npz", labels) {
			of = append(of, int(v))
		}
		ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(values, n, 1, 1, 8), of, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	return m, read("features", "labels", 300), read("queries", "asked", 40)
}

// Neighbours vote as in lightly: all four classes come in the same order.
func TestNeighboursAreLightlys(t *testing.T) {
	m, train, test := points(t)
	for name, k := range map[string]KNN{"k20": {20, 0.07}, "k200": DefaultKNN, "warm": {200, 0.5}} {
		answers, err := k.Of(m, train, test)
		if err != nil {
			t.Fatal(err)
		}
		probabilities, err := answers.Probabilities()
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](probabilities)
		want := oracle.Read[int64](t, "testdata/knn.npz", name)
		right := 0
		for i := range 40 {
			row := flat[4*i : 4*i+4]
			order := []int64{0, 1, 2, 3}
			slices.SortStableFunc(order, func(a, b int64) int {
				switch {
				case row[a] > row[b]:
					return -1
				case row[a] < row[b]:
					return 1
				}
				return 0
			})
			if order[0] == int64(test.Label(i)) {
				right++
			}
			for rank, class := range order { // classes without a vote tie
				if row[class] > 1e-9 && class != want[4*i+rank] {
					t.Errorf("%s, query %d: %v, want %v of %v", name, i, order, want[4*i:4*i+4], row)
					break
				}
			}
		}
		if share, err := k.Measure(train, test)(m); err != nil || share != float64(right)/40 || share < 0.6 {
			t.Errorf("%s: the accuracy is %v, of %d right: %v", name, share, right, err)
		}
	}
	for says, do := range map[string]func() (*model.Answers, error){
		"301 neighbours among 300 images": func() (*model.Answers, error) { return KNN{301, 1}.Of(m, train, test) },
		"temperature is 0":                func() (*model.Answers, error) { return KNN{3, 0}.Of(m, train, test) },
		"it is nil":                       func() (*model.Answers, error) { return DefaultKNN.Of(nil, train, test) },
		"the training images: model: there is no dataset": func() (*model.Answers,
			error) {
			return DefaultKNN.Of(m, nil, test)
		},
		"the test images: model: there is no dataset": func() (*model.Answers, error) { return DefaultKNN.Of(m, train, nil) },
		"image 0 has the label 3": func() (*model.Answers, error) {
			return KNN{3, 1}.Of(m, train.OfClass(0, 1), test.OfClass(3))
		},
	} {
		if _, err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want one that says %q", err, says)
		}
	}
}

// A limited task has the same share of every class, one image at least, and the features that the whole one has.
func TestLimitedLabels(t *testing.T) {
	m, train, test := points(t)
	task := Task{Name: "points", Classes: 4, Train: train, Validation: test, Test: test}
	few, err := task.Limited(0.1, 1)
	if err != nil {
		t.Fatal(err)
	}
	count := func(ds model.Labeled) []int {
		of := make([]int, 4)
		for _, label := range ds.Labels() {
			of[label]++
		}
		return of
	}
	all := count(train)
	for label, n := range count(few.Train) {
		if want := (all[label] + 5) / 10; n != want {
			t.Errorf("class %d has %d of %d images, want %d", label, n, all[label], want)
		}
	}
	if text := few.String(); text != "points: 4 classes; 30 images to train with, 40 to choose by, 40 to test on" ||
		(Task{}).String() == "" {
		t.Error(text)
	}
	if one, err := task.Limited(1e-9, 1); err != nil || !slices.Equal(count(one.Train), []int{1, 1, 1, 1}) {
		t.Error(one.Train, err)
	}
	again, _ := task.Limited(0.1, 1)
	other, _ := task.Limited(0.1, 2)
	if at := few.Train.(*some).at; !slices.Equal(at, again.Train.(*some).at) || slices.Equal(at, other.Train.(*some).at) {
		t.Error("which images there are does not depend on the seed alone")
	}
	r, err := FixedFeatures(m, few, learn.LogisticRegression{Iterations: 50}, []float64{1})
	if err != nil || r.Accuracy.Share() < 0.6 {
		t.Error(r, err)
	}
	all40, err := test.All()
	if err != nil {
		t.Fatal(err)
	}
	predicted, err := r.Predictor(m)(all40)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := r.Answers.Predicted(); err != nil || !slices.Equal(predicted, said) {
		t.Errorf("%v, want %v: %v", predicted, said, err)
	}
	if _, err := (*Result)(nil).Predictor(m)(all40); err == nil {
		t.Error("no result predicts")
	}
	if _, err := few.Train.Images(1000); err == nil {
		t.Error("there is an image 1000")
	}
	for says, share := range map[string]float64{"a share of 0 of": 0, "a share of 1.5 of": 1.5} {
		if _, err := task.Limited(share, 1); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want one that says %q", err, says)
		}
	}
	if _, err := (Task{Name: "none"}).Limited(0.5, 1); err == nil ||
		!strings.Contains(err.Error(), `the training images of "none"`) {
		t.Error(err)
	}
}
