package networks

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/model"
)

// layers are the parts that networks are made of. A network is written down once, and gone through for two things: with
// a builder it makes nodes of a graph, with the weights that are there; without one it makes the weights, from the
// numbers of channels, and values have no node.
type layers struct {
	b       *model.Builder
	norm    Norm
	prefix  string // before all names
	initial initial
	rng     *rand.Rand
	weights map[string]*tensors.Tensor
	failed  error // the first thing that cannot be
}

func newLayers(n network, seed uint64) *layers {
	return &layers{norm: n.norm(), initial: n.init(), rng: rand.New(rand.NewPCG(seed, 0)),
		weights: map[string]*tensors.Tensor{}}
}

// value is what flows through: [N, height, width, channels], or [N, channels] and [N, T, channels] where there is no
// more place.
type value struct {
	node                    *graph.Node
	channels, height, width int
}

// in says that names have something before them until the function that it returns is called.
func (l *layers) in(prefix string) (out func()) {
	before := l.prefix
	l.prefix += prefix
	return func() { l.prefix = before }
}

func (l *layers) fail(format string, args ...any) {
	if l.failed == nil {
		l.failed = fmt.Errorf(format, args...)
	}
}

// weight draws a weight.
func (l *layers) weight(name string, number draw.Number, dims ...int) {
	l.weights[l.prefix+name] = draw.Tensor(l.rng, number, dims...)
}

// convolution is how a kernel is applied. Zero fields mean a stride and a dilation of 1, no padding and no bias.
type convolution struct {
	stride, padding, dilation int
	bias                      bool
	scaled                    bool // see scaledKernel; with TensorFlow's padding "same"
}

// paddings are those at both ends of both axes.
func (c convolution) paddings(x value, kernel int) [2][2]int {
	if c.scaled {
		return [2][2]int{graphops.SamePadding(x.height, kernel, or(c.stride, 1), 1),
			graphops.SamePadding(x.width, kernel, or(c.stride, 1), 1)}
	}
	return [2][2]int{{c.padding, c.padding}, {c.padding, c.padding}}
}

// conv is a convolution to out channels.
func (l *layers) conv(name string, x value, out, kernel int, c convolution) value {
	stride, dilation := or(c.stride, 1), or(c.dilation, 1)
	reach := (kernel-1)*dilation + 1
	around := c.paddings(x, kernel)
	height, width := x.height+around[0][0]+around[0][1], x.width+around[1][0]+around[1][1]
	if height < reach || width < reach {
		l.fail("%s%s looks at %d x %d places, and there are %d x %d: the images are too small", l.prefix, name, reach, reach,
			x.height, x.width)
	}
	y := value{channels: out, height: max(height-reach, 0)/stride + 1, width: max(width-reach, 0)/stride + 1}
	if l.b == nil {
		fanIn, fanOut := kernel*kernel*x.channels, kernel*kernel*out
		l.weight(name+".weight", l.initial.conv(fanIn, fanOut), kernel, kernel, x.channels, out)
		if c.scaled {
			l.weight(name+".gain", draw.Constant(1), out)
		}
		if c.bias {
			l.weight(name+".bias", l.initial.bias(fanIn), out)
		}
		return y
	}
	name = l.prefix + name
	if dilation == 1 && !c.scaled && !l.norm.Standardized {
		y.node = l.b.Conv2D(name, x.node, stride, c.padding)
		return y
	}
	w := l.b.Weight(name + ".weight")
	switch {
	case c.scaled:
		w = scaledKernel(w, l.b.Weight(name+".gain"))
	case l.norm.Standardized:
		centred := graph.Sub(w, graph.ReduceAndKeep(w, graph.ReduceMean, 0, 1, 2))
		w = graph.Div(centred, graph.Sqrt(graph.AddScalar(graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, 0, 1,
			2), 1e-6)))
	}
	of := graph.Convolve(x.node, w).Strides(stride).PaddingPerDim(around[:])
	if dilation > 1 {
		of = of.Dilations(dilation)
	}
	y.node = of.Done()
	if c.bias {
		y.node = graph.Add(y.node, graph.Reshape(l.b.Weight(name+".bias"), 1, 1, 1, out))
	}
	y.node = l.b.Record(name, y.node)
	return y
}

// scaledKernel is scaled weight standardisation: Brock et al., ICLR 2021, as in the code of De et al.,
//
//	(w - mean) · gain / √max(fan-in · variance, 1e-4)
func scaledKernel(w, gain *graph.Node) *graph.Node {
	d := w.Shape().Dimensions
	centred := graph.Sub(w, graph.ReduceAndKeep(w, graph.ReduceMean, 0, 1, 2))
	sum := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceSum, 0, 1, 2) // fan-in · variance
	scale := graph.Div(graph.Reshape(gain, 1, 1, 1, d[3]), graph.Sqrt(graph.MaxScalar(sum, 1e-4)))
	return graph.Mul(centred, scale)
}

// normalised is batch or group normalisation.
func (l *layers) normalised(name string, x value) value {
	groups := l.norm.Groups
	if groups > 0 && x.channels%groups != 0 {
		l.fail("%s%s has %d channels, which %d groups cannot share", l.prefix, name, x.channels, groups)
	}
	if l.b == nil {
		l.weight(name+".weight", draw.Constant(1), x.channels)
		l.weight(name+".bias", draw.Constant(0), x.channels)
		if groups == 0 {
			l.weight(name+".running_mean", draw.Constant(0), x.channels)
			l.weight(name+".running_var", draw.Constant(1), x.channels)
		}
		return x
	}
	if name = l.prefix + name; groups == 0 {
		x.node = l.b.BatchNorm(name, x.node, 1e-5)
	} else {
		x.node = l.b.GroupNorm(name, x.node, groups, 1e-5)
	}
	return x
}

func (l *layers) relu(name string, x value) value {
	if l.b != nil {
		x.node = l.b.ReLU(l.prefix+name, x.node)
	}
	return x
}

// convNormReLU is what many networks are made of.
func (l *layers) convNormReLU(conv, norm, relu string, x value, out, kernel int, c convolution) value {
	return l.relu(relu, l.normalised(norm, l.conv(conv, x, out, kernel, c)))
}

func (l *layers) linear(name string, x value, out int) value {
	if l.b == nil {
		l.weight(name+".weight", l.initial.linear(x.channels), out, x.channels)
		l.weight(name+".bias", l.initial.linearBias(x.channels), out)
	} else {
		x.node = l.b.Linear(l.prefix+name, x.node)
	}
	x.channels = out
	return x
}

func (l *layers) add(name string, x, y value) value {
	if l.b != nil {
		x.node = l.b.Record(l.prefix+name, graph.Add(x.node, y.node))
	}
	return x
}

// record names a value.
func (l *layers) record(name string, x value) value {
	if l.b != nil {
		l.b.Record(l.prefix+name, x.node)
	}
	return x
}

func (l *layers) maxPool(name string, x value, window, stride, padding int) value {
	height, width := x.height+2*padding, x.width+2*padding
	if height < window || width < window {
		l.fail("%s%s pools %d x %d places, and there are %d x %d: the images are too small", l.prefix, name, window, window,
			x.height, x.width)
	}
	y := value{channels: x.channels, height: max(height-window, 0)/stride + 1, width: max(width-window, 0)/stride + 1}
	if l.b != nil {
		pool := graph.MaxPool(x.node).Window(window).Strides(stride)
		if padding > 0 {
			pool = pool.PaddingPerDim([][2]int{{padding, padding}, {padding, padding}})
		} else {
			pool = pool.NoPadding()
		}
		y.node = l.b.Record(l.prefix+name, pool.Done())
	}
	return y
}

// meanPool is the mean over all places, which is the network's feature.
func (l *layers) meanPool(name string, x value) value {
	y := value{channels: x.channels}
	if l.b != nil {
		y.node = l.b.Features(l.b.Record(l.prefix+name, graph.ReduceMean(x.node, 1, 2)))
	}
	return y
}

func (l *layers) concatenated(values ...value) value {
	x := values[0]
	x.channels = 0
	nodes := make([]*graph.Node, len(values))
	for i, v := range values {
		nodes[i] = v.node
		x.channels += v.channels
	}
	if l.b != nil {
		x.node = graph.Concatenate(nodes, -1)
	}
	return x
}

// padded puts zeros around.
func (l *layers) padded(x value, height, width int) value {
	top, left := (height-x.height)/2, (width-x.width)/2
	if l.b != nil {
		x.node = gradients.ZeroPad(x.node, 1, [2]int{top, height - x.height - top})
		x.node = gradients.ZeroPad(x.node, 2, [2]int{left, width - x.width - left})
	}
	x.height, x.width = height, width
	return x
}

// initial are the distributions that weights are drawn from, by the numbers of a unit's inputs and outputs.
type initial struct {
	conv             func(fanIn, fanOut int) draw.Number
	linear           func(fanIn int) draw.Number
	bias, linearBias func(fanIn int) draw.Number
}

// truncated is normal within a number of standard deviations.
func truncated(std, within float64) draw.Number {
	return func(r *rand.Rand) float64 {
		for {
			if z := r.NormFloat64(); math.Abs(z) <= within {
				return std * z
			}
		}
	}
}

func zeros(int) draw.Number { return draw.Constant(0) }

// fanOut is variance 2/fan-out for convolutions (He et al., ICCV 2015, for the backward pass), PyTorch's otherwise.
var fanOut = initial{
	conv:   func(_, fanOut int) draw.Number { return draw.Normal(math.Sqrt(2 / float64(fanOut))) },
	linear: draw.Uniform, bias: draw.Uniform, linearBias: draw.Uniform,
}

// plain is PyTorch's for all.
var plain = initial{
	conv:   func(fanIn, _ int) draw.Number { return draw.Uniform(fanIn) },
	linear: draw.Uniform, bias: draw.Uniform, linearBias: draw.Uniform,
}
