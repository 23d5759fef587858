package model

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/weightfile"
)

// tiny is a network of one convolution-free layer, so small that its numbers can be worked out by hand: the logits are
// the mean red, the mean green and their product.
func tiny(t *testing.T) *Model {
	t.Helper()
	m, err := FromFunc(Spec{Name: "tiny", Height: 2, Width: 2, Channels: 3, Classes: []string{"red", "green", "both"}},
		func(b *Builder, x *graph.Node) *graph.Node {
			mean := b.Features(b.Record("mean", graph.ReduceMean(b.Record("twice", graph.MulScalar(x, 2)), 1, 2)))
			red := graph.Slice(mean, graph.AxisRange(), graph.AxisRange(0, 1))
			green := graph.Slice(mean, graph.AxisRange(), graph.AxisRange(1, 2))
			return graph.Concatenate([]*graph.Node{red, green, graph.Mul(red, green)}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// flat is n images of 2x2 pixels, each of one colour.
func flat(colours ...[3]float32) *tensors.Tensor {
	var pixels []float32
	for _, c := range colours {
		for range 4 {
			pixels = append(pixels, c[:]...)
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(colours), 2, 2, 3)
}

func near(t *testing.T, what string, got *tensors.Tensor, want ...float32) {
	t.Helper()
	values := tensors.MustCopyFlatData[float32](got)
	if len(values) != len(want) {
		t.Fatalf("%s: %v, want %v", what, values, want)
	}
	for i := range want {
		if !approx.Equal(values[i], want[i], 1e-6) {
			t.Fatalf("%s: %v, want %v", what, values, want)
		}
	}
}

func TestAFunctionIsAModel(t *testing.T) {
	m := tiny(t)
	x := flat([3]float32{0.25, 0.5, 1}, [3]float32{1, 0, 0})
	logits, err := m.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "logits", logits, 0.5, 1, 0.5, 2, 0, 0)
	features, err := m.Features(x)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "features", features, 0.5, 1, 2, 2, 0, 0)
	twice, err := m.Activations("twice", flat([3]float32{0.25, 0.5, 1}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "activations", twice, 0.5, 1, 2, 0.5, 1, 2, 0.5, 1, 2, 0.5, 1, 2)

	// The gradient of 2r * 2g, r and g means over four pixels, is g in the red and r in the green of each pixel.
	gradient, err := m.InputGradient(flat([3]float32{0.25, 0.5, 1}), []int{2})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "gradient", gradient, 0.5, 0.25, 0, 0.5, 0.25, 0, 0.5, 0.25, 0, 0.5, 0.25, 0)
	// Without classes it is that of the predicted class, here green.
	gradient, err = m.InputGradient(flat([3]float32{0.25, 0.5, 1}), nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "gradient of the predicted class", gradient, 0, 0.5, 0, 0, 0.5, 0, 0, 0.5, 0, 0, 0.5, 0)

	top, err := m.TopK(x, 2)
	if err != nil {
		t.Fatal(err)
	}
	sum := math.Exp(2) + 2
	if p := top[1][0]; p.Name != "red" || p.Class != 0 || !approx.Equal(p.Probability, math.Exp(2)/sum, 1e-6) {
		t.Errorf("the best of the second image is %+v", p)
	}
	if len(top[0]) != 2 || top[0][0].Name != "green" {
		t.Errorf("top-2 of the first image is %v", top[0])
	}
	if got := m.Layers(); len(got) != 2 || got[0].Name != "twice" || len(got[0].Shape) != 3 || got[1].Name != "mean" {
		t.Errorf("layers are %v", got)
	}
	if m.SpatialLayer() != "twice" {
		t.Errorf("the spatial layer is %q", m.SpatialLayer())
	}
}

// images is a dataset of colours that counts what it is asked for.
type images struct {
	colours [][3]float32
	labels  []int
	asked   []int // sizes of the batches
}

func (d *images) Len() int      { return len(d.colours) }
func (d *images) Labels() []int { return d.labels }
func (d *images) Images(indices ...int) (*tensors.Tensor, error) {
	d.asked = append(d.asked, len(indices))
	var chosen [][3]float32
	for _, i := range indices {
		chosen = append(chosen, d.colours[i])
	}
	return flat(chosen...), nil
}

func TestALastSmallerBatchIsNotRecompiled(t *testing.T) {
	m := tiny(t)
	m.BatchSize = 4
	d := &images{}
	for i := range 11 {
		d.colours = append(d.colours, [3]float32{float32(i) / 10, 0.45, 0})
		d.labels = append(d.labels, 1)
	}
	d.labels[10], d.labels[9] = 0, -1
	before := Compilations()
	logits, err := m.LogitsOf(d)
	if err != nil {
		t.Fatal(err)
	}
	if n := Compilations() - before; n != 1 {
		t.Errorf("11 images in batches of 4 compiled %d programs", n)
	}
	if got := logits.Shape().Dimensions; got[0] != 11 || got[1] != 3 {
		t.Fatalf("logits are %v", got)
	}
	values := tensors.MustCopyFlatData[float32](logits)
	for i := range 11 {
		if want := 2 * float32(i) / 10; !approx.Equal(values[3*i], want, 1e-6) {
			t.Errorf("logit of image %d is %v, want %v", i, values[3*i], want)
		}
	}
	if len(d.asked) != 3 || d.asked[2] != 3 {
		t.Errorf("batches of %v images were loaded", d.asked)
	}
	// Labels: 0 to 4 of red 0..0.4 are right as green, 5 to 8 are wrong, 9 has none, 10 is right as red.
	accuracy, err := m.Accuracy(d)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy != (stats.Accuracy{Correct: 6, Total: 10}) {
		t.Errorf("accuracy is %v, want 6 of 10", accuracy)
	}
	if n := Compilations() - before; n != 1 {
		t.Errorf("the same work again compiled; %d programs in all", n)
	}
	// Batches of 1 to 4 images need two programs at most.
	for n := range 4 {
		if _, err := m.Logits(flat(d.colours[:n+1]...)); err != nil {
			t.Fatal(err)
		}
	}
	if n := Compilations() - before; n > 2 {
		t.Errorf("batches of 1 to 4 images needed %d programs", n)
	}
}

// Weights are parameters of a program; a graph made without NewExec gets them as constants and the same result.
func TestAModelWithinGraphFunctions(t *testing.T) {
	m := mustLoad(t, testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	x := tensors.FromScalarAndDimensions(float32(0.3), 2, 32, 32, 3)
	want, err := m.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	wanted := tensors.MustCopyFlatData[float32](want)
	call := func(x *graph.Node) *graph.Node { return m.Call(x).Logits }
	ours, err := NewExec(call)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := backend.Get()
	if err != nil {
		t.Fatal(err)
	}
	for name, exec := range map[string]interface {
		Call1(args ...any) (*tensors.Tensor, error)
	}{"NewExec": ours, "graph.NewExec": graph.MustNewExec(backend, call)} {
		got, err := exec.Call1(x)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e := worst(t, tensors.MustCopyFlatData[float32](got), wanted, 10); !(e < 1e-5) {
			t.Errorf("%s: logits differ by %.2g", name, e)
		}
	}
}

// Gradient ascent on the device is gradient ascent from the host.
func TestLoopOnTheDevice(t *testing.T) {
	// One keeps its weights itself, one in GoMLX's variables.
	own, err := FromWeights(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"),
		Spec{Name: "first layer", Height: 16, Width: 16, Channels: 3},
		func(b *Builder, x *graph.Node) *graph.Node {
			return graph.ReduceMean(b.ReLU("relu", b.BatchNorm("bn1", b.Conv2D("conv1", x, 1, 1), 1e-5)), 1, 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{own, mustLoad(t, "testdata/autopad.onnx")} {
		spec := m.Spec()
		x := tensors.FromScalarAndDimensions(float32(0.3), 2, spec.Height, spec.Width, 3)
		ascend := func(x *graph.Node) *graph.Node {
			logits := m.Call(x).Logits
			score := graph.Slice(logits, graph.AxisRange(), graph.AxisRange(0, 1))
			return graph.Add(x, graph.MulScalar(graph.Sign(graph.Gradient(graph.ReduceAllSum(score), x)[0]), 0.01))
		}
		step, err := NewExec(ascend)
		if err != nil {
			t.Fatal(err)
		}
		loop, err := NewExec(func(x *graph.Node) *graph.Node {
			return Loop(3, []*graph.Node{x}, func(_ *graph.Node, state []*graph.Node) []*graph.Node {
				return []*graph.Node{ascend(state[0])}
			}, m)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := loop.Call1(x)
		if err != nil {
			t.Fatalf("%s: %v", m.Name(), err)
		}
		want := x
		for range 3 {
			if want, err = step.Call1(want); err != nil {
				t.Fatal(err)
			}
		}
		// A sign may turn where the gradient is next to nothing; it must be a rare thing.
		differ := 0
		wanted := tensors.MustCopyFlatData[float32](want)
		for i, v := range tensors.MustCopyFlatData[float32](got) {
			if !approx.Equal(v, wanted[i], 1e-5) {
				differ++
			}
		}
		if differ > len(wanted)/100 {
			t.Errorf("%s: %d of %d pixels differ", m.Name(), differ, len(wanted))
		}
	}
}

func TestLoopSaysWhatItCannotDo(t *testing.T) {
	m := tiny(t)
	for says, body := range map[string]func(x *graph.Node, state []*graph.Node) []*graph.Node{
		"from outside": func(x *graph.Node, state []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.Add(state[0], x)}
		},
		"returned 0 value": func(x *graph.Node, state []*graph.Node) []*graph.Node { return nil },
		"which is": func(x *graph.Node, state []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ReduceAllSum(state[0])}
		},
	} {
		exec, err := NewExec(func(x *graph.Node) *graph.Node {
			return Loop(2, []*graph.Node{x}, func(_ *graph.Node, state []*graph.Node) []*graph.Node { return body(x, state) },
				m)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec.Call1(flat([3]float32{})); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

// Two models in one graph keep their weights apart.
func TestTwoModelsInAGraph(t *testing.T) {
	a := mustLoad(t, testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	b := mustLoad(t, testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	exec, err := NewExec(func(x *graph.Node) []*graph.Node {
		return []*graph.Node{graph.Sub(a.Call(x).Logits, b.Call(x).Logits), b.Call(x).Logits}
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := exec.Call(tensors.FromScalarAndDimensions(float32(0.3), 1, 32, 32, 3))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensors.MustCopyFlatData[float32](results[0]) {
		if v != 0 || tensors.MustCopyFlatData[float32](results[1])[i] == 0 {
			t.Fatalf("the same networks differ by %v", results[0])
		}
	}
}

// A depthwise convolution is a convolution with a kernel that is zero between different channels, gradient included.
func TestDepthwiseIsAConvolution(t *testing.T) {
	for _, c := range []struct{ size, kernel, stride int }{{7, 3, 1}, {8, 3, 2}, {9, 5, 2}, {6, 5, 1}} {
		const channels = 3
		x := make([]float32, 2*c.size*c.size*channels)
		for i := range x {
			x[i] = float32(math.Sin(float64(i)))
		}
		narrow := make([]float32, c.kernel*c.kernel*channels)
		dense := make([]float32, c.kernel*c.kernel*channels*channels)
		for i := range narrow {
			narrow[i] = float32(math.Cos(3 * float64(i)))
			position, channel := i/channels, i%channels
			dense[(position*channels+channel)*channels+channel] = narrow[i]
		}
		padding := [2][2]int{graphops.SamePadding(c.size, c.kernel, c.stride, 1),
			graphops.SamePadding(c.size, c.kernel, c.stride, 1)}
		run := func(kernel []float32, in int, convolve func(x, w *graph.Node) *graph.Node) ([]float32, []float32) {
			exec, err := NewExec(func(x, w *graph.Node) (*graph.Node, *graph.Node) {
				y := convolve(x, w)
				return y, graph.Gradient(graph.ReduceAllSum(graph.Mul(y, y)), x)[0]
			})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 2, c.size, c.size, channels),
				tensors.FromFlatDataAndDimensions(kernel, c.kernel, c.kernel, in, channels))
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
		}
		y, dx := run(narrow, 1, func(x, w *graph.Node) *graph.Node { return gradients.Depthwise(x, w, c.stride, padding) })
		wantY, wantDX := run(dense, channels, func(x, w *graph.Node) *graph.Node {
			return graph.Convolve(x, w).Strides(c.stride).PaddingPerDim(padding[:]).Done()
		})
		if e := worst(t, y, wantY, len(y)); !(e < 1e-5) {
			t.Errorf("%+v: differs by %.2g", c, e)
		}
		if e := worst(t, dx, wantDX, len(dx)); !(e < 1e-5) {
			t.Errorf("%+v: the gradient differs by %.2g", c, e)
		}
	}
}

func TestNewExecTakesGraphFunctions(t *testing.T) {
	one := tensors.FromFlatDataAndDimensions([]float32{1, 2}, 2)
	for name, c := range map[string]struct {
		fn   any
		args []any
		want float32
	}{
		"two in, one out": {func(a, b *graph.Node) *graph.Node { return graph.ReduceAllSum(graph.Add(a, b)) },
			[]any{one, one}, 6},
		"slice in": {func(in []*graph.Node) *graph.Node { return graph.ReduceAllSum(in[1]) }, []any{one, one}, 3},
		"graph":    {func(g *graph.Graph) *graph.Node { return graph.Const(g, float32(7)) }, nil, 7},
		"graph and slice": {func(g *graph.Graph, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ReduceAllSum(in[0])}
		}, []any{one}, 3},
		"seven in": {func(a, b, c, d, e, f, g *graph.Node) *graph.Node { return graph.ReduceAllSum(graph.Add(a, g)) },
			[]any{one, one, one, one, one, one, one}, 6},
	} {
		exec, err := NewExec(c.fn)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := exec.Call(c.args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := tensors.ToScalar[float32](out[0]); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for name, fn := range map[string]any{
		"nil": nil, "no function": 3, "no result": func(*graph.Node) {}, "number": func(float64) *graph.Node { return nil },
		"error result": func(*graph.Node) (*graph.Node, error) { return nil, nil },
		"nothing in":   func() *graph.Node { return nil },
		"variadic":     func(...*graph.Node) *graph.Node { return nil },
	} {
		if _, err := NewExec(fn); err == nil || !strings.HasPrefix(err.Error(), "model: ") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// A checkpoint that GoMLX wrote is a model with the same numbers; one without a variable that the function wants is an
// error.
func TestGoMLXCheckpoint(t *testing.T) {
	dir := t.TempDir()
	store := gomlx.NewStore()
	handler, err := checkpoint.Build(store).Dir(dir).Done()
	if err != nil {
		t.Fatal(err)
	}
	network := func(scope *gomlx.Scope, x *graph.Node) *graph.Node {
		mean := graph.ReduceMean(x, 1, 2)
		w := scope.In("dense").VariableWithValue("weights", [][]float32{{1, 2}, {3, 4}, {5, 6}}).NodeValue(x.Graph())
		return graph.Einsum("nc,ck->nk", mean, w)
	}
	spec := Spec{Name: "checkpoint", Height: 2, Width: 2, Channels: 3}
	trained, err := FromScope(store, spec, network)
	if err != nil {
		t.Fatal(err)
	}
	v := store.GetVariable("/dense/weights")
	if v == nil {
		t.Fatal("the variable was not made")
	}
	if err := v.SetValue(tensors.FromValue([][]float32{{10, 20}, {30, 40}, {50, 60}})); err != nil {
		t.Fatal(err)
	}
	if err := handler.Save(); err != nil {
		t.Fatal(err)
	}
	x := flat([3]float32{1, 0.5, 0})
	loaded, err := FromCheckpoint(dir, spec, network)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{trained, loaded} {
		logits, err := m.Logits(x)
		if err != nil {
			t.Fatal(err)
		}
		near(t, m.Name(), logits, 25, 40)
		gradient, err := m.InputGradient(x, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "gradient", gradient, 5, 10, 15, 5, 10, 15, 5, 10, 15, 5, 10, 15)
	}
	_, err = FromCheckpoint(dir, spec, func(scope *gomlx.Scope, x *graph.Node) *graph.Node {
		w := scope.In("dense").VariableWithShape("weigths", shapes.Make(dtypes.Float32, 3, 2)).NodeValue(x.Graph())
		return graph.Einsum("nc,ck->nk", graph.ReduceMean(x, 1, 2), w)
	})
	wantError(t, err, "weigths", "did you mean /dense/weights")
	_, err = FromCheckpoint(t.TempDir(), spec, network)
	wantError(t, err, "no checkpoints found")
}

// FromWeights gives a file's weights to an architecture written outside, such as in a cell.
func TestWeightsForAGivenArchitecture(t *testing.T) {
	file := testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors")
	spec := Spec{Height: 32, Width: 32, Channels: 3, Mean: imagenet.Mean, Std: imagenet.Std}
	first := func(b *Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu", b.BatchNorm("bn1", b.Conv2D("conv1", x, 1, 1), 1e-5))
		return graph.ReduceMean(x, 1, 2)
	}
	m, err := FromWeights(file, spec, first)
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromScalarAndDimensions(float32(0.7), 1, 32, 32, 3)
	got, err := m.Activations("relu", x)
	if err != nil {
		t.Fatal(err)
	}
	want, err := mustLoad(t, file).Activations("relu", x)
	if err != nil {
		t.Fatal(err)
	}
	if e := worst(t, tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want),
		32*32*16); !(e <= 1e-6) {
		t.Errorf("the first layer differs by %.2g", e)
	}
	_, err = FromWeights(file, spec, func(b *Builder, x *graph.Node) *graph.Node { return b.Conv2D("conv2", x, 1, 1) })
	wantError(t, err, `no weight "conv2.weight"`, "did you mean")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	message := err.Error()
	says, _, _ := strings.Cut(message, ": ")
	if says != "model" && says != "weightfile" || strings.Count(message, says+": ") > 1 ||
		strings.Contains(message, "\n") {
		t.Errorf("%q does not start with the package, or not once, or has more than one line", message)
	}
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("%q does not say %q", message, part)
		}
	}
}

func TestBadImages(t *testing.T) {
	m := tiny(t)
	nan, big := flat([3]float32{1, 1, 1}, [3]float32{0, 0, 0}), flat([3]float32{0, 0, 255})
	tensors.MustMutableFlatData(nan, func(f []float32) { f[12+2*3+1] = float32(math.NaN()) })
	for name, c := range map[string]struct {
		x    *tensors.Tensor
		says []string
	}{
		"nil": {nil, []string{"nil"}},
		"size": {tensors.FromScalarAndDimensions(float32(0), 1, 3, 2, 3),
			[]string{"[N, 2, 2, 3]", "[1 3 2 3]", "resize"}},
		"channels": {tensors.FromScalarAndDimensions(float32(0), 1, 2, 2, 1), []string{"[1 2 2 1]", "convert"}},
		"rank":     {tensors.FromScalarAndDimensions(float32(0), 2, 2, 3), []string{"rank 3"}},
		"type":     {tensors.FromScalarAndDimensions(uint8(0), 1, 2, 2, 3), []string{"float32", "Uint8"}},
		"NaN":      {nan, []string{"image 1, row 1, column 0, channel 1", "NaN"}},
		"bytes":    {big, []string{"255", "divide by 255"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Logits(c.x)
			wantError(t, err, c.says...)
			_, err = m.InputGradient(c.x, nil)
			wantError(t, err, c.says...)
		})
	}
	_, err := m.LogitsOf(&images{})
	wantError(t, err, "empty")
}

func TestBadQuestions(t *testing.T) {
	m := tiny(t)
	x := flat([3]float32{1, 1, 1}, [3]float32{0, 0, 0})
	_, err := m.InputGradient(x, []int{3})
	wantError(t, err, "class 3", "0 to 2")
	_, err = m.InputGradient(x, []int{-1, 0})
	wantError(t, err, "class -1")
	_, err = m.InputGradient(x, []int{0, 1, 2})
	wantError(t, err, "3 classes for 2 images")
	_, err = m.TopK(x, 4)
	wantError(t, err, "between 1 and 3")
	_, err = m.Activations("twic", x)
	wantError(t, err, `no layer "twic"`, "did you mean twice")
	_, err = m.Map("x", nil, func(in []*graph.Node) []*graph.Node { return in }, x, flat([3]float32{}))
	wantError(t, err, "2 images")
	_, err = m.Map("sum", nil, func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.MatMul(in[0], in[0])} },
		x)
	wantError(t, err)
	_, err = FromFunc(Spec{}, func(x *graph.Node) *graph.Node { return x })
	wantError(t, err, "Height, Width and Channels")
	_, err = FromFunc(Spec{Height: 2, Width: 2, Channels: 3},
		func(x *graph.Node) *graph.Node { return graph.ReduceAllSum(x) })
	wantError(t, err, "logits [N, K]")
	_, err = FromFunc(Spec{Height: 2, Width: 2, Channels: 3, Classes: []string{"one"}},
		func(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) })
	wantError(t, err, "3 classes and 1 class names")
	_, err = FromFunc(Spec{Height: 2, Width: 2, Channels: 3}, 5)
	wantError(t, err, "not int")
}

func TestNamesThatDoNotExist(t *testing.T) {
	_, err := Load("efficentnet-lite0")
	wantError(t, err, "did you mean efficientnet-lite0", "squeezenet")
	_, err = Load("no/such/file.onnx")
	wantError(t, err, "no file no/such/file.onnx")
	_, err = Load(t.TempDir())
	wantError(t, err, "folder")
	t.Setenv("LOUPE_CACHE", t.TempDir())
	if _, err = Load("squeezenet"); err == nil || !strings.Contains(err.Error(), "loupe fetch squeezenet") {
		t.Errorf("an asset that is not there gives %v", err)
	}
}

// Files cut short anywhere are errors that name the file.
func TestTruncatedFiles(t *testing.T) {
	efficientNet := filepath.Join(testenv.Asset(t, "efficientnet-lite0"), "efficientnet-lite0-57934424.pth")
	squeezeNet := filepath.Join(testenv.Asset(t, "squeezenet"), "squeezenet_weights.pkl")
	for _, file := range []string{
		efficientNet, squeezeNet, "testdata/autopad.onnx",
		testenv.SharedData(t, "cifar-resnets", "resnet20-12fca82f.th"),
		testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"),
	} {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, length := range []int{0, 5, 100, len(whole) / 2, len(whole) - 100} {
			cut := filepath.Join(t.TempDir(), "cut"+filepath.Ext(file))
			if err := os.WriteFile(cut, whole[:length], 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(cut)
			wantError(t, err, cut)
		}
	}
}

func TestMissingWeights(t *testing.T) {
	weights, err := weightfile.Read(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	delete(weights, "layer2.1.bn2.running_var")
	_, err = newCIFARResNet(weights)
	wantError(t, err, "layer2.1.bn2.running_var")
}

func TestAnotherArchitecture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.safetensors")
	header := `{"embed.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	raw := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
	if err := os.WriteFile(file, append(raw, 0, 0, 128, 63), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	wantError(t, err, "embed.weight", "FromWeights")
}
