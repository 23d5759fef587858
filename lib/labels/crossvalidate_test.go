package labels

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// digits are 900 digits of 8 x 8 pixels in 0..1, with labels of which 90 are wrong.
func digits(t *testing.T) (x *tensors.Tensor, y, wrong []int) {
	t.Helper()
	var pixels []float32
	for _, v := range oracle.Read[uint8](t, "testdata/digits.npz", "x") {
		pixels = append(pixels, float32(v)/16)
	}
	return tensors.FromFlatDataAndDimensions(pixels, 900, 64),
		ints(oracle.Read[int64](t, "testdata/digits.npz", "labels")),
		ints(oracle.Read[int64](t, "testdata/digits.npz", "wrong"))
}

// The oracle is scikit-learn's LogisticRegression: bench/oracles/labels.py.
func TestTheLinearHeadIsLogisticRegression(t *testing.T) {
	x, y, _ := digits(t)
	var train, held []int
	for i := range y {
		if i%3 == 0 {
			held = append(held, i)
		} else {
			train = append(train, i)
		}
	}
	for _, c := range []float64{0, 0.05} {
		p, err := LinearHead(x, y, 10, c)(train, held)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("probabilities_%g", c)
		if c == 0 {
			name = "probabilities_1"
		}
		var got []float64
		for _, v := range tensors.MustCopyFlatData[float32](p) {
			got = append(got, float64(v))
		}
		if err := approx.All(got, oracle.Read[float64](t, "testdata/digits.npz", name), 2e-5); err != nil {
			t.Errorf("C = %v: %v", c, err)
		}
	}
}

func TestCrossValidationFindsPlantedErrors(t *testing.T) {
	x, y, wrong := digits(t)
	p, err := CrossValidate(y, 5, 1, LinearHead(x, y, 10, 0.1))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := FromTensor(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{PruneByNoiseRate, PruneByClass, Both, ConfidentLearning, LowNormalizedMargin} {
		found, right := mustFind(t, rows, y, Options{Filter: f}).Indices(), 0
		for _, i := range found {
			if _, is := slices.BinarySearch(wrong, i); is {
				right++
			}
		}
		precision, recall := float64(right)/float64(len(found)), float64(right)/float64(len(wrong))
		t.Logf("%s: precision %.2f, recall %.2f", f, precision, recall)
		if !(precision >= 0.8) || !(recall >= 0.6) {
			t.Errorf("%s: precision %.2f, recall %.2f", f, precision, recall)
		}
	}
}

// A fit that answers with what it was asked shows who trained on what.
func TestFoldsAreStratifiedAndHeldOut(t *testing.T) {
	y := make([]int, 103)
	for i := range y {
		y[i] = []int{0, 0, 0, 2, 1, 0, 2}[i%7]
	}
	calls := 0
	fit := func(train, held []int) (*tensors.Tensor, error) {
		calls++
		if all := slices.Sorted(slices.Values(slices.Concat(train, held))); len(all) != 103 || all[0] != 0 ||
			all[102] != 102 || len(slices.Compact(all)) != 103 {
			t.Errorf("%v and %v are not all", train, held)
		}
		counts := map[int]int{}
		var out []float32
		for _, i := range held {
			counts[y[i]]++
			out = append(out, float32(i), 1)
		}
		for label, n := range map[int]int{0: 59, 1: 15, 2: 29} {
			if c := counts[label]; c < n/5 || c > (n+4)/5 {
				t.Errorf("%d of %d examples labelled %d are in one of five folds", c, n, label)
			}
		}
		return tensors.FromFlatDataAndDimensions(out, len(held), 2), nil
	}
	p, err := CrossValidate(y, 5, 3, fit)
	if err != nil || calls != 5 {
		t.Fatal(calls, err)
	}
	for i, v := range tensors.MustCopyFlatData[float32](p) {
		if i%2 == 0 && v != float32(i/2) {
			t.Fatalf("row %d is that of %v", i/2, v)
		}
	}
	first, _ := deal(y, 5, 3)
	same, _ := deal(y, 5, 3)
	other, _ := deal(y, 5, 4)
	if fmt.Sprint(first) != fmt.Sprint(same) || fmt.Sprint(first) == fmt.Sprint(other) {
		t.Error("the seed does not decide the folds")
	}
}

func TestTrainingCrossValidatesANetwork(t *testing.T) {
	const n = 60
	pixels, y := make([]float32, n*4*4), make([]int, n)
	for i := range y {
		y[i] = i % 2
		for at := range 16 {
			pixels[i*16+at] = float32(y[i])*0.8 + 0.1*float32(math.Abs(math.Sin(float64(i*16+at))))
		}
	}
	images := tensors.FromFlatDataAndDimensions(pixels, n, 4, 4, 1)
	y[7] = 0 // planted
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions(make([]float32, 32), 2, 16),
		"linear.bias":   tensors.FromFlatDataAndDimensions(make([]float32, 2), 2)},
		model.Spec{Name: "linear", Height: 4, Width: 4, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node { return b.Linear("linear", graph.Reshape(x, -1, 16)) })
	if err != nil {
		t.Fatal(err)
	}
	fit := Training(learn.Recipe{Epochs: 30, BatchSize: 10, LearningRate: 0.2}, m, images, y)
	p, err := CrossValidate(y, 3, 1, fit)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := FromTensor(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustFind(t, rows, y, Options{}).Indices(); !slices.Equal(got, []int{7}) {
		t.Errorf("the issues are %v, planted is 7", got)
	}
	var stopped *interrupt.Stopped
	release := interrupt.Use(testenv.CancelledAfter(20))
	p, err = CrossValidate(y, 3, 1, fit)
	release()
	if p != nil || !errors.As(err, &stopped) || stopped.Units != "folds" {
		t.Errorf("interrupted: %v, %v", p, err)
	}
}

func TestCrossValidateNamesWhatIsWrong(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{0, 1, 2, 3}, 4, 1)
	bad := tensors.FromFlatDataAndDimensions([]float32{0, 1, float32(math.NaN()), 3}, 4, 1)
	y := []int{0, 1, 0, 1}
	for want, do := range map[string]func() (*tensors.Tensor, error){
		"1 folds":  func() (*tensors.Tensor, error) { return CrossValidate(y, 1, 0, nil) },
		"5 folds":  func() (*tensors.Tensor, error) { return CrossValidate(y, 5, 0, nil) },
		"label -1": func() (*tensors.Tensor, error) { return CrossValidate([]int{0, -1}, 2, 0, nil) },
		"fold 1 of 2: oh": func() (*tensors.Tensor, error) {
			return CrossValidate(y, 2, 0, func(_, _ []int) (*tensors.Tensor, error) { return nil, errors.New("oh") })
		},
		"[2, K] float32": func() (*tensors.Tensor, error) {
			return CrossValidate(y, 2, 0, func(_, _ []int) (*tensors.Tensor, error) { return x, nil })
		},
		"feature 0 of image": func() (*tensors.Tensor, error) { return CrossValidate(y, 2, 0, LinearHead(bad, y, 2, 0)) },
		"C is -1":            func() (*tensors.Tensor, error) { return CrossValidate(y, 2, 0, LinearHead(x, y, 2, -1)) },
		"1 classes":          func() (*tensors.Tensor, error) { return CrossValidate(y, 2, 0, LinearHead(x, y, 1, 0)) },
		"the label 2": func() (*tensors.Tensor, error) {
			return CrossValidate(y, 2, 0,
				LinearHead(x, []int{0, 1, 0, 2}, 2, 0))
		},
		"a row for each": func() (*tensors.Tensor, error) {
			return CrossValidate([]int{0, 1, 0}, 2, 0, LinearHead(x, []int{0, 1, 0}, 2, 0))
		},
	} {
		if _, err := do(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "labels: ") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
