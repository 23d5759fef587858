package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/internal/depthwise"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/internal/normalise"
)

// Builder is what an architecture is written with: it gives the weights and takes
// note of the activations. It lives while one graph is built.
type Builder struct {
	m *Model
	g *graph.Graph
	// See [CallOptions].
	given    map[string]*graph.Node
	asked    map[string]int // the weights that were asked for, with their places in that order, unless nil
	training func(name string) bool
	kept     *Keep
	plain    bool
	// noise, unless nil, is what dropout and weights that are distributions draw from; draws are such weights, and
	// random says whether noise makes a difference.
	noise  Noise
	draws  map[string]*graph.Node
	random bool
	// copies, unless 0, is how many of the features Features makes, where there was no noise before: what comes
	// behind is a member of Sampled for each.
	copies int
	copied bool
	grid   Grid // of the tokens, once they are known
	out    Outputs

	// spatial is the last recorded activation with more than one position, and beforeFeatures what it was when the
	// features were named.
	spatial, beforeFeatures string
	layouts                 map[string]Layout // of the activations
}

// Outputs are the values of a model in a graph.
type Outputs struct {
	// Logits are the scores of the classes before softmax, [N, K]. Of a network that is not a classifier
	// it is the output, whatever its shape.
	Logits *graph.Node
	// Features are what the last linear layer sees, [N, D]; nil if the model names none.
	Features *graph.Node
	// Activations are the inner values by name; most are [N, H, W, C].
	Activations map[string]*graph.Node
	// Layers are the names in Activations in the order of computation.
	Layers []string
	// Maps are what the network says of each place of the image by name, [N, H', W', K], such as a segmentation: what
	// its architecture gives to [Builder.Map], and the other outputs of an ONNX file that have two spatial axes.
	Maps map[string]*graph.Node
	// Updates are the running statistics that batch normalisations have after this batch, by the weights' names; only
	// with the BatchStats of [CallOptions].
	Updates map[string]*graph.Node

	m *Model
}

// Probabilities are what the logits say, [N, K]: see [Activation].
func (o Outputs) Probabilities() *graph.Node { return o.m.ProbabilitiesFrom(o.Logits) }

// Map names what the network says of each place of the image, x [N, H', W', K], and returns it unchanged.
func (b *Builder) Map(name string, x *graph.Node) *graph.Node {
	if x.Rank() != 4 {
		panic(fmt.Errorf("model: %s has a map %q of shape %s: it is [N, H, W, K]", b.m.spec.Name, name, x.Shape()))
	}
	if b.out.Maps[name] != nil {
		panic(fmt.Errorf("model: %s has two maps named %q", b.m.spec.Name, name))
	}
	b.out.Maps[name] = x
	return x
}

// Graph returns the graph under construction.
func (b *Builder) Graph() *graph.Graph { return b.g }

// Weight returns a weight by the name that it has in its file. It panics, as graph
// functions do, when there is no such weight.
//
// Of a weight that is a distribution, which has a spread besides, it is the mean, and where there is noise a draw:
// see [CallOptions].
func (b *Builder) Weight(name string) *graph.Node { return b.drawn(name, b.weight(name)) }

func (b *Builder) weight(name string) *graph.Node {
	if b.asked != nil {
		if _, before := b.asked[name]; !before {
			b.asked[name] = len(b.asked)
		}
	}
	if node := b.given[name]; node != nil {
		return b.m.Cast(node)
	}
	if b.m.weights[name] == nil {
		panic(fmt.Errorf("model: %s has no weight %q: the file holds another architecture, or part of one%s", b.m.spec.Name,
			name, nearest.DidYouMean(name, slices.Sorted(maps.Keys(b.m.weights)))))
	}
	return b.m.Cast(b.m.weightIn(b.g, name))
}

// Has reports whether the file has a weight of that name.
func (b *Builder) Has(name string) bool { return b.m.weights[name] != nil }

// Weights are the names of all weights, in order.
func (b *Builder) Weights() []string { return slices.Sorted(maps.Keys(b.m.weights)) }

// Dimensions are those of a weight, kernels as [KH, KW, I, O]; nil if there is none. To ask for them is not to use it.
func (b *Builder) Dimensions(weight string) []int {
	if w := b.m.weights[weight]; w != nil {
		return slices.Clone(w.Shape().Dimensions)
	}
	return nil
}

// Record names an activation and returns it unchanged. Of rank 4 it is taken for [N, H, W, C].
func (b *Builder) Record(name string, x *graph.Node) *graph.Node {
	if x.Rank() == 4 {
		return b.record(name, x, ChannelsLast)
	}
	return b.record(name, x, NotSpatial)
}

// RecordAttention names what each token attends to, [N, heads, T, T], and returns it unchanged. It is no picture: no
// method takes its axes for rows and columns of the image.
func (b *Builder) RecordAttention(name string, x *graph.Node) *graph.Node {
	return b.record(name, x, NotSpatial)
}

func (b *Builder) record(name string, x *graph.Node, lies Layout) *graph.Node {
	if _, twice := b.out.Activations[name]; twice {
		panic(fmt.Errorf("model: %s records two activations named %q", b.m.spec.Name, name))
	}
	b.out.Activations[name] = x
	b.out.Layers = append(b.out.Layers, name)
	if b.layouts == nil {
		b.layouts = map[string]Layout{}
	}
	if b.layouts[name] = lies; lies.positions(x.Shape().Dimensions) > 1 {
		b.spatial = name
	}
	return x
}

// Features says that x, [N, D], is what the last linear layer sees, and returns it for that layer.
func (b *Builder) Features(x *graph.Node) *graph.Node {
	if b.copies > 0 && !b.random && !b.copied {
		x, b.copied = repeated(x, b.copies), true
	}
	b.out.Features, b.beforeFeatures = x, b.spatial
	return x
}

// Conv2D is a two-dimensional convolution of x, [N, H, W, C], by the weight name.weight and, if
// the file has it, name.bias, zero-padded by padding on all sides, as PyTorch's Conv2d(stride, padding). A
// weight for one input channel of many makes it depthwise. The result is recorded as name.
func (b *Builder) Conv2D(name string, x *graph.Node, stride, padding int) *graph.Node {
	return b.conv(name, x, stride, [2][2]int{{padding, padding}, {padding, padding}})
}

// conv2DSame is TensorFlow's padding "same": the output is the input divided by the
// stride, rounded up, and an odd pixel of padding goes to the bottom and right.
func (b *Builder) conv2DSame(name string, x *graph.Node, stride int) *graph.Node {
	kernel := b.weight(name + ".weight").Shape().Dimensions
	in := x.Shape().Dimensions[1:3]
	return b.conv(name, x, stride, [2][2]int{graphops.SamePadding(in[0], kernel[0], stride, 1),
		graphops.SamePadding(in[1], kernel[1], stride, 1)})
}

func (b *Builder) conv(name string, x *graph.Node, stride int, padding [2][2]int) *graph.Node {
	dims := b.weight(name + ".weight").Shape().Dimensions // [KH, KW, I, O]
	channels := x.Shape().Dimensions[3]
	if dims[2] != channels && (dims[2] != 1 || dims[3] != channels) {
		panic(fmt.Errorf("model: %s.weight is for %d channels and gets %d", name, dims[2], channels))
	}
	return b.GroupedConv2D(name, x, stride, padding, channels/dims[2])
}

// GroupedConv2D is [Builder.Conv2D] whose input and output channels are cut into groups: each group of the output sees
// its group of the input. padding is that before and after the rows and the columns.
func (b *Builder) GroupedConv2D(name string, x *graph.Node, stride int, padding [2][2]int, groups int) *graph.Node {
	dims := b.weight(name + ".weight").Shape().Dimensions // [KH, KW, I, O]
	channels := x.Shape().Dimensions[3]
	if groups < 1 || dims[2]*groups != channels || dims[3]%groups != 0 {
		panic(fmt.Errorf("model: %s.weight, %v, in %d groups does not fit %d channels", name, dims, groups, channels))
	}
	y := b.apply(name+".weight", x, x.Shape().Dimensions[0], func(x, w *graph.Node) *graph.Node {
		switch {
		case groups == 1:
			return graph.Convolve(x, w).Strides(stride).PaddingPerDim(padding[:]).Done()
		case groups < channels || dims[3] != channels:
			return graph.Convolve(x, w).Strides(stride).PaddingPerDim(padding[:]).ChannelGroupCount(groups).Done()
		case b.plain:
			return gradients.Depthwise(x, w, stride, padding)
		default:
			return depthwise.Convolve(x, w, stride, padding)
		}
	})
	if b.Has(name + ".bias") {
		y = graph.Add(y, b.channels(name+".bias"))
	}
	return b.Record(name, y)
}

// BatchNorm normalises x, [N, H, W, C], by the running statistics of training, as PyTorch's
// BatchNorm2d does in evaluation. The result is recorded as name.
//
//	y = (x - running_mean) / sqrt(running_var + epsilon) * weight + bias
//
// With BatchStats of [CallOptions] it is PyTorch's training: the batch's own mean and variance
// take their place, and a tenth of them (of the unbiased variance) goes into the running ones, in Outputs.Updates.
func (b *Builder) BatchNorm(name string, x *graph.Node, epsilon float64) *graph.Node {
	if b.training != nil && b.training(name) {
		return b.Record(name, b.trainedBatchNorm(name, x, epsilon))
	}
	scale := graph.Div(b.channels(name+".weight"), graph.Sqrt(graph.AddScalar(b.channels(name+".running_var"), epsilon)))
	shift := graph.Sub(b.channels(name+".bias"), graph.Mul(b.channels(name+".running_mean"), scale))
	return b.Record(name, graph.Add(graph.Mul(x, scale), shift))
}

func (b *Builder) trainedBatchNorm(name string, x *graph.Node, epsilon float64) *graph.Node {
	var y, mean, variance *graph.Node
	if scale, offset := b.Weight(name+".weight"), b.Weight(name+".bias"); !b.plain && normalise.Known(x, scale, offset) {
		y, mean, variance = normalise.Batch(x, scale, offset, epsilon)
	} else {
		mean = graph.ReduceAndKeep(x, graph.ReduceMean, 0, 1, 2)
		centred := graph.Sub(x, mean)
		variance = graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, 0, 1, 2)
		by := graph.Div(b.channels(name+".weight"), graph.Sqrt(graph.AddScalar(variance, epsilon)))
		y = graph.Add(graph.Mul(centred, by), b.channels(name+".bias"))
	}
	n := float64(x.Shape().Size() / x.Shape().Dimensions[3])
	if b.out.Updates == nil {
		b.out.Updates = map[string]*graph.Node{}
	}
	update := func(name string, now *graph.Node) {
		old := b.Weight(name)
		now = graph.StopGradient(graph.Reshape(now, old.Shape().Dimensions...))
		b.out.Updates[name] = graph.Add(graph.MulScalar(old, 0.9), graph.MulScalar(now, 0.1))
	}
	update(name+".running_mean", mean)
	update(name+".running_var", graph.MulScalar(variance, n/max(n-1, 1)))
	return y
}

// channels returns a weight [C] as [1, 1, 1, C].
func (b *Builder) channels(name string) *graph.Node {
	w := b.Weight(name)
	return graph.Reshape(w, 1, 1, 1, w.Shape().Size())
}

// Linear is x·Wᵀ + b for x [N, D], or [N, ..., D], with W [K, D] the weight name.weight and b [K] name.bias, as
// PyTorch's Linear. The result is recorded as name.
func (b *Builder) Linear(name string, x *graph.Node) *graph.Node {
	dims := append([]int(nil), x.Shape().Dimensions...)
	if len(dims) > 2 {
		x = graph.Reshape(x, -1, dims[len(dims)-1])
	}
	y := b.apply(name+".weight", x, dims[0], func(x, w *graph.Node) *graph.Node { return graph.Einsum("nd,kd->nk", x, w) })
	if b.Has(name + ".bias") {
		y = graph.Add(y, graph.ExpandAxes(b.Weight(name+".bias"), 0))
	}
	if len(dims) > 2 {
		dims[len(dims)-1] = y.Shape().Dimensions[1]
		y = graph.Reshape(y, dims...)
	}
	return b.Record(name, y)
}

// ReLU is max(0, x), recorded as name.
func (b *Builder) ReLU(name string, x *graph.Node) *graph.Node {
	if y := normalise.ReLU(x); y != nil {
		return b.Record(name, y)
	}
	return b.Record(name, relu(x))
}

// relu is max(0, x) with the gradient 0 at 0, as in PyTorch: GoMLX gives the gradient of a tie to the first operand.
func relu(x *graph.Node) *graph.Node { return graph.Max(graph.ZerosLike(x), x) }

// ReLU6 is min(max(x, 0), 6), recorded as name.
func (b *Builder) ReLU6(name string, x *graph.Node) *graph.Node {
	six := graph.Scalar(b.g, x.DType(), 6.0)
	return b.Record(name, graph.Min(relu(x), six))
}

// normalize is (x - mean) / std for each channel.
func normalize(x *graph.Node, mean, std []float64) *graph.Node {
	if len(mean) == 0 {
		return x
	}
	row := func(v []float64) *graph.Node {
		return graph.Reshape(graph.ConstAsDType(x.Graph(), x.DType(), v), 1, 1, 1, len(v))
	}
	return graph.Div(graph.Sub(x, row(mean)), row(std))
}
