package mask

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is the authors' code, run by bench/oracles/sis.py in double precision. The networks here compute in double
// precision too, so orders must be equal; probabilities, which come out as float32, must agree to 1e-6.

// small is the oracle's network of the same name, and its images.
func small(t *testing.T) (*model.Model, *tensors.Tensor) {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"conv1.weight": oracle.Sines(0.4, 0, 3, 3, 3, 6), "conv1.bias": oracle.Sines(0.1, 1000, 6),
		"conv2.weight": oracle.Sines(0.4, 2000, 3, 3, 6, 8), "conv2.bias": oracle.Sines(0.1, 3000, 8),
		"linear.weight": oracle.Sines(1.5, 4000, 4, 8), "linear.bias": oracle.Sines(0.1, 5000, 4),
	}, model.Spec{Name: "small", Height: 9, Width: 8, Channels: 3, Mean: []float64{0.485, 0.456, 0.406},
		Std: []float64{0.229, 0.224, 0.225}},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.ReLU("relu1", b.Conv2D("conv1", x, 1, 1))
			x = b.ReLU("relu2", b.Conv2D("conv2", x, 2, 1))
			return b.Linear("linear", graph.ReduceMean(x, 1, 2))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m, oracle.Pixels(3, 9, 8, 3)
}

func golden[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/sis.npz", name)
}

// wantCollection compares subsets with those of the oracle, and the orders and values that they were found by.
func wantCollection(t *testing.T, name string, got []Subset, tolerance float64) {
	t.Helper()
	sizes, sis := golden[int32](t, name+"_sizes"), golden[int32](t, name+"_sis")
	order, values := golden[int32](t, name+"_order"), golden[float64](t, name+"_values")
	if len(got) != len(sizes) {
		t.Fatalf("%s: %d subsets, want %d", name, len(got), len(sizes))
	}
	ints := func(v []int32) []int {
		out := make([]int, len(v))
		for i, x := range v {
			out[i] = int(x)
		}
		return out
	}
	worst := 0.0
	for i, subset := range got {
		if want := ints(sis[:sizes[i]]); !slices.Equal(subset.Positions, want) {
			t.Errorf("%s: subset %d is %v, want %v", name, i, subset.Positions, want)
		}
		n := len(subset.Back.Order)
		if !slices.Equal(subset.Back.Order, ints(order[:n])) {
			t.Errorf("%s: subset %d was found by the order %v, want %v", name, i, subset.Back.Order, order[:n])
		}
		for at, v := range subset.Back.ValueAfter {
			worst = max(worst, math.Abs(v-values[at]))
		}
		sis, order, values = sis[sizes[i]:], order[n:], values[n:]
	}
	if !approx.Equal(worst, 0, tolerance) || len(order) != 0 {
		t.Errorf("%s: values differ by %g, %d positions are left over", name, worst, len(order))
	}
	t.Logf("%s: %d subsets, values differ by %.2g", name, len(got), worst)
}

func TestSISAgreesWithTheAuthors(t *testing.T) {
	found, err := VectorSIS(linear(3, -1, 2, 0.5, 0), 2, []float32{1, 1, 1, 1, 1}, make([]float32, 5))
	if err != nil {
		t.Fatal(err)
	}
	wantCollection(t, "linear", found, 0)
	norm := func(x *graph.Node) *graph.Node { return graph.L2Norm(x, -1) }
	if found, err = VectorSIS(func(x *graph.Node) *graph.Node { return graph.Reshape(norm(x), x.Shape().Dimensions[0]) },
		1, []float32{0.1, 10, 5, 0.5, 0.9, 0.3}, make([]float32, 6)); err != nil {
		t.Fatal(err)
	}
	wantCollection(t, "norm", found, 1e-5)

	m, images := small(t)
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		pixels := tensors.MustCopyFlatData[float32](images)
		one := tensors.FromFlatDataAndDimensions(pixels[i*216:(i+1)*216], 1, 9, 8, 3)
		found, err := SIS{Threshold: 0.6}.Collection(m, one)
		if err != nil {
			t.Fatal(err)
		}
		wantCollection(t, fmt.Sprintf("small%d", i), found, 1e-6)
	}
}

// wantSelection compares an ordering with the oracle's iterations and the probabilities before them.
func wantSelection(t *testing.T, name string, o *Ordering) {
	t.Helper()
	iteration, before, classes := golden[int16](t, name+"_iteration"), golden[float64](t, name+"_before"),
		golden[int32](t, name+"_classes")
	differ, worst := 0, 0.0
	for i, v := range tensors.MustCopyFlatData[int32](o.Iteration()) {
		if v != int32(iteration[i]) {
			differ++
		}
	}
	for i, row := range o.ConfidenceBefore {
		if o.Classes[i] != int(classes[i]) {
			t.Errorf("%s: image %d has class %d, want %d", name, i, o.Classes[i], classes[i])
		}
		for at, v := range row {
			worst = max(worst, math.Abs(float64(v)-before[i*len(row)+at]))
		}
	}
	if differ > 0 || !approx.Equal(worst, 0, 1e-6) || len(iteration) != o.Len()*o.Pixels() ||
		len(before) != o.Len()*len(o.ConfidenceBefore[0]) {
		t.Errorf("%s: %d of %d pixels are masked in another iteration, probabilities differ by %g", name, differ,
			len(iteration), worst)
	}
	t.Logf("%s: %d of %d pixels in another iteration, probabilities differ by %.2g", name, differ, len(iteration), worst)
}

func TestBatchedGradientSISAgreesWithTheAuthors(t *testing.T) {
	m, images := small(t)
	m, err := m.Double()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{5, 1} {
		t.Run(fmt.Sprintf("k=%d", k), func(t *testing.T) {
			if k == 1 {
				testenv.Heavy(t)
			}
			o, err := BatchedGradientSIS{K: k}.BackSelect(m, images)
			if err != nil {
				t.Fatal(err)
			}
			wantSelection(t, fmt.Sprintf("small_k%d", k), o)
		})
	}
}

func TestBatchedGradientSISOfAResNetAgreesWithTheAuthors(t *testing.T) {
	set, err := testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 2500, 4)
	if err != nil {
		t.Fatal(err)
	}
	single, err := model.Load(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	single.BatchSize = len(set.Names) // which costs no copies that fill up a batch
	images := tensors.FromFlatDataAndDimensions(set.Pixels, len(set.Names), 32, 32, 3)
	// In single precision roundings move a pixel to a neighbouring iteration now and then, from where the runs part;
	// the first iterations, before that can have gone far, are nearly the same.
	s, err := BatchedGradientSIS{K: 32, Iterations: 4}.BackSelect(single, images)
	if err != nil {
		t.Fatal(err)
	}
	iteration := golden[int16](t, "resnet20_k32_iteration")
	same := 0
	for i, v := range tensors.MustCopyFlatData[int32](s.Iteration()) {
		if v == int32(min(iteration[i], 4)) {
			same++
		}
	}
	if share := float64(same) / 4096; !(share >= 0.99) {
		t.Errorf("in single precision %.4f of the pixels are masked in the same of the first four iterations, or later",
			share)
	} else {
		t.Logf("in single precision %.4f are masked in the same iteration", share)
	}
	t.Run("all iterations in double precision", func(t *testing.T) {
		m, err := single.Double()
		if err != nil {
			t.Fatal(err)
		}
		o, err := BatchedGradientSIS{K: 32}.BackSelect(m, images)
		if err != nil {
			t.Fatal(err)
		}
		wantSelection(t, "resnet20_k32", o)
	})
}
