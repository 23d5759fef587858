package gradients_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"

	"github.com/loupeml/loupe/internal/approx"
)

// The gradient of max-pooling is what its definition says, and XLA's select-and-scatter to the last bit, with many
// ties, of which the first gets it, and windows in which nothing is finite.
func TestMaxPoolGradient(t *testing.T) {
	type axis struct{ size, stride, before, after int }
	one := axis{1, 1, 0, 0}
	for _, c := range []struct {
		dims  []int
		axes  []axis
		dtype dtypes.DType
		xla   bool // whether it takes the first of equal values
	}{
		{[]int{2, 11, 9, 3}, []axis{one, {3, 2, 0, 0}, {3, 2, 0, 0}, one}, dtypes.Float32, true},
		{[]int{2, 12, 9, 3}, []axis{one, {3, 2, 1, 1}, {3, 2, 1, 1}, one}, dtypes.Float64, true},
		{[]int{2, 12, 9, 3}, []axis{one, {3, 2, 1, 1}, {3, 2, 1, 1}, one}, dtypes.Float16, true},
		{[]int{2, 9, 8, 3}, []axis{one, {2, 2, 0, 0}, {2, 2, 0, 0}, one}, dtypes.Float32, true},
		{[]int{2, 9, 8, 3}, []axis{one, {3, 1, 1, 1}, {3, 1, 1, 1}, one}, dtypes.Float32, true},
		{[]int{2, 9, 13, 3}, []axis{one, {5, 2, 2, 1}, {4, 3, 1, 3}, one}, dtypes.Float32, true},
		// values that are in no window
		{[]int{2, 13, 9, 3}, []axis{one, {2, 3, 0, 0}, {1, 2, 0, 0}, one}, dtypes.Float32, true},
		{[]int{2, 7, 7, 3}, []axis{one, {7, 7, 0, 0}, {2, 1, 0, 1}, one}, dtypes.Float32, false}, // as high as the image
		{[]int{2, 6, 6, 3}, []axis{one, {2, 2, 2, 2}, {3, 1, 4, 4}, one}, dtypes.Float32, true},  // windows of padding alone
		{[]int{2, 3, 11, 9}, []axis{one, one, {3, 2, 0, 0}, {3, 2, 1, 0}}, dtypes.Float32, true}, // channels first
		{[]int{2, 15, 3}, []axis{one, {3, 2, 0, 1}, one}, dtypes.Float32, true},
		{[]int{2, 5, 6, 7, 2}, []axis{one, {2, 2, 0, 1}, {3, 2, 1, 1}, {3, 1, 0, 0}, one}, dtypes.Float32, true},
		{[]int{6, 5}, []axis{{2, 1, 0, 0}, {3, 2, 1, 0}}, dtypes.Float32, true},
		{[]int{2, 4, 4, 3}, []axis{one, one, one, one}, dtypes.Float32, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			var sizes, strides, windows []int
			var paddings [][2]int
			for i, a := range c.axes {
				sizes, strides, paddings = append(sizes, a.size), append(strides, a.stride),
					append(paddings, [2]int{a.before, a.after})
				windows = append(windows, (c.dims[i]+a.before+a.after-a.size)/a.stride+1)
			}
			wave := func(dims []int) []float32 {
				n := 1
				for _, d := range dims {
					n *= d
				}
				values := make([]float32, n)
				for i := range values {
					values[i] = float32(3 * math.Sin(1+2.3*float64(i)))
				}
				return values
			}
			values := wave(c.dims)
			for i := range values {
				values[i] = float32(math.Round(float64(values[i])))
				if i < len(values)/2 && i%5 > 0 {
					values[i] = float32(math.Inf(-1))
				}
			}
			v := wave(windows)
			defined := make([]float64, len(values))
			window := 0
			gradients.Each(windows, func(o []int) {
				winner := -1
				gradients.Each(sizes, func(place []int) {
					at := 0
					for i, a := range c.axes {
						position := o[i]*a.stride + place[i] - a.before
						if position < 0 || position >= c.dims[i] {
							return
						}
						at = at*c.dims[i] + position
					}
					if winner < 0 || values[at] > values[winner] {
						winner = at
					}
				})
				if winner >= 0 {
					defined[winner] += float64(v[window])
				}
				window++
			})
			exec, err := model.NewExec(func(x, v *graph.Node) []*graph.Node {
				x, v = graph.ConvertDType(x, c.dtype), graph.ConvertDType(v, c.dtype)
				y := graph.BackendReduceWindow(x, compute.ReduceOpMax, sizes, strides, nil, nil, paddings)
				if !gradients.IsMaxPool(y) {
					panic("the settings of the pooling could not be read")
				}
				results := []*graph.Node{graph.ConvertDType(graph.Gradient(graph.ReduceAllSum(graph.Mul(v, y)), x)[0],
					dtypes.Float64)}
				if c.xla && isXLA(t) { // the pure-Go backend has none
					results = append(results, graph.ConvertDType(gradients.GoMLXPoolGradient(y, []*graph.Node{v}, y.Shape())[0],
						dtypes.Float64))
				}
				return results
			})
			if err != nil {
				t.Fatal(err)
			}
			results, err := exec.Call(tensors.FromFlatDataAndDimensions(values, c.dims...),
				tensors.FromFlatDataAndDimensions(v, windows...))
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 1e-5
			if c.dtype == dtypes.Float16 {
				tolerance = 1e-2
			}
			mine := tensors.MustCopyFlatData[float64](results[0])
			for i, want := range defined {
				if !approx.Equal(mine[i], want, tolerance) {
					t.Fatalf("value %d has the gradient %g; by definition it is %g", i, mine[i], want)
				}
			}
			if len(results) == 1 {
				return
			}
			for i, want := range tensors.MustCopyFlatData[float64](results[1]) {
				if mine[i] != want {
					t.Fatalf("value %d has the gradient %g; XLA's is %g", i, mine[i], want)
				}
			}
		})
	}
}

// What the fast gradient is not for is left to GoMLX.
func TestOtherPoolGradients(t *testing.T) {
	exec, err := model.NewExec(func(x *graph.Node) []*graph.Node {
		var found []*graph.Node
		for _, pool := range []*graph.PoolBuilder{graph.MinPool(x).Window(2), graph.SumPool(x).Window(2),
			graph.MaxPool(x).Window(12).Strides(12)} {
			y := pool.Done()
			if gradients.IsMaxPool(y) {
				panic("another pooling is taken for a max-pooling")
			}
			found = append(found, graph.ReduceAllSum(graph.Gradient(graph.ReduceAllSum(y), x)[0]))
		}
		return found
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := exec.Call(tensors.FromScalarAndDimensions(float32(1), 1, 12, 12, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{36, 144, 1} {
		if got := results[i].Value(); got != want {
			t.Errorf("gradient %d sums to %v, not %v", i, got, want)
		}
	}
}

func isXLA(t *testing.T) bool {
	info, err := backend.Describe()
	if err != nil {
		t.Fatal(err)
	}
	return info.Name == "xla"
}
