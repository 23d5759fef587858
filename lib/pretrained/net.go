package pretrained

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/model"
)

// net are the parts that the networks are made of.
type net struct {
	b    *model.Builder
	same bool // TensorFlow's padding
}

func (n *net) has(name string) bool { return n.b.Has(name) }

// dims are a weight's.
func (n *net) dims(name string) []int {
	d := n.b.Dimensions(name)
	if d == nil {
		n.refuse("there is no %s", name)
	}
	return d
}

// count is how many there are of a name with a number in it, from the first number on.
func (n *net) count(first int, format string, before ...any) int {
	return count(n.has, first, format, before)
}

func (n *net) refuse(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

func channelsOf(x *graph.Node) int { return x.Shape().Dim(-1) }

// conv is a convolution whose padding keeps the size where the stride is 1. Its kernel tells how many groups there are.
func (n *net) conv(name string, x *graph.Node, stride int) *graph.Node {
	k := n.dims(name + ".weight")
	if len(k) != 4 {
		n.refuse("%s.weight has the shape %v and no kernel's", name, k)
	}
	in := x.Shape().Dimensions
	around := [2][2]int{{(k[0] - 1) / 2, (k[0] - 1) / 2}, {(k[1] - 1) / 2, (k[1] - 1) / 2}}
	if n.same {
		around = [2][2]int{graphops.SamePadding(in[1], k[0], stride, 1), graphops.SamePadding(in[2], k[1], stride, 1)}
	}
	return n.b.GroupedConv2D(name, x, stride, around, in[3]/max(k[2], 1))
}

// convAt is a convolution with a padding of its own.
func (n *net) convAt(name string, x *graph.Node, stride, padding int) *graph.Node {
	return n.b.Conv2D(name, x, stride, padding)
}

func (n *net) bn(name string, x *graph.Node, epsilon float64) *graph.Node {
	if !n.has(name + ".running_mean") {
		n.refuse("there is no %s.running_mean: it normalises otherwise", name)
	}
	return n.b.BatchNorm(name, x, epsilon)
}

func (n *net) ln(name string, x *graph.Node, epsilon float64) *graph.Node {
	return n.b.LayerNorm(name, x, epsilon)
}

func (n *net) linear(name string, x *graph.Node) *graph.Node {
	if w := n.dims(name + ".weight"); len(w) != 2 || w[1] != channelsOf(x) {
		n.refuse("%s.weight has the shape %v for %d features", name, w, channelsOf(x))
	}
	return n.b.Linear(name, x)
}

// activation is an activation function that records its result by a name.
type activation func(name string, x *graph.Node) *graph.Node

func (n *net) relu(name string, x *graph.Node) *graph.Node  { return n.b.ReLU(name, x) }
func (n *net) relu6(name string, x *graph.Node) *graph.Node { return n.b.ReLU6(name, x) }
func (n *net) gelu(name string, x *graph.Node) *graph.Node  { return n.b.GELU(name, x) }

// silu is x·σ(x).
func (n *net) silu(name string, x *graph.Node) *graph.Node {
	return n.b.Record(name, graph.Mul(x, graph.Sigmoid(x)))
}

// hardSwish is x·min(max(x+3, 0), 6)/6.
func (n *net) hardSwish(name string, x *graph.Node) *graph.Node {
	return n.b.Record(name, graph.Mul(x, hardSigmoid(x)))
}

func hardSigmoid(x *graph.Node) *graph.Node {
	return graph.DivScalar(graph.ClipScalar(graph.AddScalar(x, 3), 0, 6), 6)
}

// squeeze weighs channels by what their means say: Hu et al., CVPR 2018.
func (n *net) squeeze(name string, x *graph.Node, reduce, expand string, act activation,
	gate func(*graph.Node) *graph.Node) *graph.Node {
	s := graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2)
	s = act(name+".act", n.convAt(name+"."+reduce, s, 1, 0))
	return n.b.Record(name, graph.Mul(x, gate(n.convAt(name+"."+expand, s, 1, 0))))
}

// maxPool takes the most of windows. With ceil the last window may reach over the end.
func (n *net) maxPool(name string, x *graph.Node, window, stride, padding int, ceil bool) *graph.Node {
	pads := [][2]int{{padding, padding}, {padding, padding}}
	if ceil {
		for i := range pads {
			if rest := (x.Shape().Dimensions[1+i] + 2*padding - window) % stride; rest > 0 {
				pads[i][1] += stride - rest
			}
		}
	}
	return n.b.Record(name, graph.MaxPool(x).Window(window).Strides(stride).PaddingPerDim(pads).Done())
}

// meanPool is the mean over all places, which is the network's feature.
func (n *net) meanPool(name string, x *graph.Node) *graph.Node {
	return n.b.Features(n.b.Record(name, graph.ReduceMean(x, 1, 2)))
}

// adaptive are means over size x size windows that cover the image, as PyTorch's AdaptiveAvgPool2d.
func (n *net) adaptive(x *graph.Node, size int) *graph.Node {
	means := func(in int) *graph.Node {
		rows := slices.Repeat([]float32{0}, size*in)
		for o := range size {
			from, to := o*in/size, ((o+1)*in+size-1)/size
			for i := from; i < to; i++ {
				rows[o*in+i] = 1 / float32(to-from)
			}
		}
		return graph.ConvertDType(graph.ConstTensor(x.Graph(), tensors.FromFlatDataAndDimensions(rows, size, in)), x.DType())
	}
	d := x.Shape().Dimensions
	if d[1] == size && d[2] == size {
		return x
	}
	return graph.Einsum("npwc,qw->npqc", graph.Einsum("nhwc,ph->npwc", x, means(d[1])), means(d[2]))
}
