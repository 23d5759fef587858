package incremental

import (
	"math"
	"testing"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"
)

// windowCase is a network with windows to change; whole says that it has to be computed as it is.
type windowCase struct {
	name          string
	m             *model.Model
	height, width int
	rows, columns []int
	whole         bool
}

// check compares an Inference's logits with those of the images themselves, with two windows at once, for two images.
func check(t *testing.T, c windowCase) {
	t.Helper()
	spec := c.m.Spec()
	l, err := New(c.m, c.height, c.width, c.rows, c.columns)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f%% of the multiplications are left, %d activations are read", 100*l.share, len(l.reads))
	if l.whole != c.whole {
		t.Errorf("computed as a whole: %v, want %v", l.whole, c.whole)
	}
	const images, windows = 2, 2
	pixels := make([]float32, images*spec.Height*spec.Width*spec.Channels)
	for i := range pixels {
		pixels[i] = float32(0.5 + 0.5*math.Sin(float64(i)*0.37+0.01*float64(i%911)))
	}
	x := tensors.FromFlatDataAndDimensions(pixels, images, spec.Height, spec.Width, spec.Channels)
	base, err := model.NewExec(func(in []*graph.Node) []*graph.Node { return l.Base(in[0]) })
	if err != nil {
		t.Fatal(err)
	}
	call, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{l.Call(in[2:], in[0], in[1])}
	})
	if err != nil {
		t.Fatal(err)
	}
	activations, err := base.Call(x)
	if err != nil {
		t.Fatal(err)
	}
	var at []int32
	for r := range c.rows {
		for k := range c.columns {
			at = append(at, int32(r), int32(k))
		}
	}
	for first := 0; first < len(at)/2; first += windows {
		first := min(first, len(at)/2-windows)
		patch := make([]float32, windows*images*c.height*c.width*spec.Channels)
		for i := range patch {
			patch[i] = float32(0.5 + 0.5*math.Cos(float64(i*(first+1))*1.7))
		}
		changed := make([]float32, 0, windows*len(pixels))
		for w := range windows {
			copied := append([]float32(nil), pixels...)
			top, left := c.rows[at[2*(first+w)]], c.columns[at[2*(first+w)+1]]
			for n := range images {
				for y := range c.height {
					row := patch[((w*images+n)*c.height+y)*c.width*spec.Channels:][:c.width*spec.Channels]
					copy(copied[((n*spec.Height+top+y)*spec.Width+left)*spec.Channels:], row)
				}
			}
			changed = append(changed, copied...)
		}
		want, err := c.m.Output(tensors.FromFlatDataAndDimensions(changed, windows*images, spec.Height, spec.Width,
			spec.Channels))
		if err != nil {
			t.Fatal(err)
		}
		args := []any{tensors.FromFlatDataAndDimensions(patch, windows*images, c.height, c.width, spec.Channels),
			tensors.FromFlatDataAndDimensions(at[2*first:2*(first+windows)], windows, 2)}
		for _, a := range activations {
			args = append(args, a)
		}
		got, err := call.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		worst, largest := oracle.Difference(flat32(got[0]), flat32(want))
		if !approx.Equal(worst, 0, 1e-4*largest) {
			t.Errorf("windows %v: the logits differ by %.2g of %.2g", at[2*first:2*(first+windows)], worst, largest)
		}
	}
}

// flat32 are a tensor's values, of either precision.
func flat32(x *tensors.Tensor) []float32 {
	if wide, err := tensors.CopyFlatData[float64](x); err == nil {
		values := make([]float32, len(wide))
		for i, v := range wide {
			values[i] = float32(v)
		}
		return values
	}
	return tensors.MustCopyFlatData[float32](x)
}

func TestOfNetworks(t *testing.T) {
	resnet, err := model.Load(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	double, err := resnet.Double()
	if err != nil {
		t.Fatal(err)
	}
	ensemble, err := model.Ensemble("", resnet, resnet)
	if err != nil {
		t.Fatal(err)
	}
	cases := []windowCase{
		{"resnet20", resnet, 8, 8, []int{0, 3, 13, 24}, []int{0, 11, 24}, false},
		{"resnet20, small", resnet, 3, 5, []int{0, 7, 29}, []int{0, 1, 2, 27}, false},
		{"resnet20, one pixel", resnet, 1, 1, []int{0, 31}, []int{0, 16, 31}, false},
		{"resnet20, large", resnet, 30, 31, []int{0, 2}, []int{0, 1}, true},
		{"double", double, 6, 4, []int{5, 26}, []int{0, 28}, false},
		{"ensemble", ensemble, 6, 4, []int{5, 26}, []int{0, 28}, false},
	}
	for _, name := range []string{"squeezenet", "efficientnet-lite0"} {
		testenv.Asset(t, name)
		m, err := model.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases,
			windowCase{name, m, 64, 64, []int{0, 40, 160}, []int{80, 160}, false},
			windowCase{name + ", small", m, 13, 30, []int{0, 101, 211}, []int{0, 57}, false})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { check(t, c) })
	}
}

// wave is a tensor of weights.
func wave(x *graph.Node, scale float64, dims ...int) *graph.Node {
	w := graph.Iota(x.Graph(), shapes.Make(x.DType(), shapes.Make(x.DType(), dims...).Size()), 0)
	return graph.Reshape(graph.MulScalar(graph.Sin(graph.AddScalar(graph.MulScalar(w, 2.3), scale)), scale), dims...)
}

func TestOfOddNetworks(t *testing.T) {
	global := func(x *graph.Node) *graph.Node {
		n := x.Shape().Dimensions[0]
		return graph.MatMul(graph.Reshape(x, n, -1), wave(x, 0.1, x.Shape().Size()/n, 5))
	}
	conv := func(x *graph.Node, side, out int) *graph.ConvolutionBuilder {
		return graph.Convolve(x, wave(x, 0.3, side, side, x.Shape().Dimensions[3], out))
	}
	rows, columns := []int{0, 1, 2, 9, 16, 17}, []int{0, 7, 13, 14}
	var cases []windowCase
	add := func(name string, whole bool, fn func(x *graph.Node) *graph.Node) {
		m, err := model.FromFunc(model.Spec{Name: name, Height: 20, Width: 18, Channels: 4,
			Mean: []float64{0.1, 0.2, 0.3, 0.4}, Std: []float64{0.5, 0.6, 0.7, 0.8}}, fn)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, windowCase{name, m, 3, 4, rows, columns, whole})
	}
	add("vision transformer", false, func(x *graph.Node) *graph.Node {
		n := x.Shape().Dimensions[0]
		tokens := graph.Reshape(conv(x, 4, 8).Strides(2).Done(), n, -1, 8)
		tokens = graph.Concatenate([]*graph.Node{graph.BroadcastToDims(wave(x, 0.5, 1, 1, 8), n, 1, 8), tokens}, 1)
		mean := graph.ReduceAndKeep(tokens, graph.ReduceMean, -1)
		normal := graph.Sub(tokens, mean)
		scores := graph.Softmax(graph.Einsum("nid,njd->nij", normal, graph.Tanh(normal)), -1)
		tokens = graph.Add(tokens, graph.Einsum("nij,njd->nid", scores, normal))
		return graph.MatMul(graph.Reshape(graph.Slice(tokens, graph.AxisRange(), graph.AxisElem(0)), n, 8), wave(x, 1, 8, 5))
	})
	add("columns before rows", false, func(x *graph.Node) *graph.Node {
		x = graph.TransposeAllAxes(x, 0, 3, 2, 1) // [N, C, W, H]
		axes := graph.ConvolveAxesConfig{
			InputBatch: 0, InputChannels: 1, InputSpatial: []int{3, 2}, OutputBatch: 0, OutputChannels: 1,
			OutputSpatial:       []int{2, 3},
			KernelInputChannels: 2, KernelOutputChannels: 3, KernelSpatial: []int{0, 1},
		}
		y := graph.Convolve(x, wave(x, 0.3, 3, 2, 4, 6)).AxesConfig(axes).StridePerAxis(2,
			1).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done()
		return global(graph.Tanh(graph.Concatenate([]*graph.Node{y, graph.Neg(y), graph.OnesLike(y)}, 1)))
	})
	add("pools", false, func(x *graph.Node) *graph.Node {
		x = graph.MeanPool(conv(x, 3, 4).PadSame().Done()).Window(3).Strides(1).PadSame().Done()
		low := graph.MinPool(x).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done()
		high := graph.MaxPool(x).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 1}, {0, 1}}).Done()
		return global(graph.Sub(high, graph.Mul(low, high)))
	})
	add("groups and holes", false, func(x *graph.Node) *graph.Node {
		x = graph.Convolve(x, wave(x, 0.3, 3, 3, 2, 6)).ChannelGroupCount(2).PadSame().Done()
		dims := x.Shape().Dimensions
		x = graph.TransposeAllAxes(graph.Reshape(x, dims[0], dims[1], dims[2], 2, 3), 0, 1, 2, 4, 3) // a shuffle of channels
		x = graph.Reshape(x, dims...)
		x = graph.Add(x, graph.Tanh(conv(x, 3, 6).Dilations(2).PadSame().Done()))
		norm := graph.Sqrt(graph.AddScalar(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, -1), 1))
		return global(graph.Div(x, graph.BroadcastToDims(norm, dims...)))
	})
	add("parts", false, func(x *graph.Node) *graph.Node {
		g := x.Graph()
		x = graph.Pad(x, graph.Scalar(g, x.DType(), 0.25), graph.PadAxis{}, graph.PadAxis{Start: 2, End: 1},
			graph.PadAxis{Start: 1})
		x = gradients.ZeroPad(x, 1, [2]int{1, 2})
		places := graph.Iota(g, x.Shape(), 1)
		x = graph.Where(graph.GreaterThan(x, graph.MulScalar(places, 0.01)), x, graph.Sin(places))
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange(1, 22).Stride(2), graph.AxisRange(2).Stride(3),
			graph.AxisRange(1, 4))
		return global(conv(graph.Concatenate([]*graph.Node{x, x}, -1), 3, 4).Done())
	})
	add("a gate", false, func(x *graph.Node) *graph.Node {
		x = conv(x, 3, 6).PadSame().Done()
		gate := graph.Logistic(graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2))
		return global(conv(graph.Mul(x, gate), 3, 4).Strides(2).Done())
	})
	add("no convolution", true, global)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { check(t, c) })
	}
	t.Run("channels first, of a file", func(t *testing.T) {
		m := load(t, "../../model/testdata/autopad.onnx")
		check(t, windowCase{"", m, 3, 2, []int{0, 1, 6, 12}, []int{0, 5, 14, 15}, false})
	})
}

func TestRefusesWindowsOutside(t *testing.T) {
	m := load(t, "../../model/testdata/autopad.onnx") // 15 x 17
	for _, c := range []windowCase{
		{"row", m, 3, 3, []int{13}, []int{0}, false},
		{"column", m, 3, 3, []int{0}, []int{-1}, false},
		{"size", m, 0, 3, []int{0}, []int{0}, false},
		{"none", m, 3, 3, nil, []int{0}, false},
	} {
		if _, err := New(m, c.height, c.width, c.rows, c.columns); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func load(t *testing.T, name string) *model.Model {
	t.Helper()
	m, err := model.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
