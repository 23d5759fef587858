package gradients

import (
	"reflect"
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// GoMLX 0.28 takes a kernel's middle for its size over two on both sides, so its gradient by the input of a convolution
// whose kernel has an even side, such as the patch embedding of a vision transformer, is shifted by a pixel. Here is
// one that is right for kernels of even sides. It is also that of convolutions in groups, of which GoMLX makes one
// convolution a group, which XLA compiles for minutes: here it is one convolution in groups. The others, and the
// gradient by the kernel, are left to GoMLX, whose gradient of a gradient takes the axes of such a convolution for
// others: it is refused.
func init() {
	original := graph.VJPRegistration[graph.NodeTypeConvGeneral]
	graph.VJPRegistration[graph.NodeTypeConvGeneral] = func(node *graph.Node, v []*graph.Node,
		shape shapes.Shape) []*graph.Node {
		gradients := original(node, v, shape)
		if c, ok := ConvolutionOf(node); ok && (c.ChannelGroups > 1 || c.isEven(node.Inputs()[1])) {
			gradients[0] = c.inputGradient(node.Inputs()[0], node.Inputs()[1], v[0])
		}
		for i, gradient := range gradients {
			gradients[i] = OnlyOnce(gradient, "a convolution")
		}
		return gradients
	}
}

// Convolution is how a convolution was set up. An empty list stands for ones, or for no padding.
type Convolution struct {
	Axes                       graph.ConvolveAxesConfig
	Strides, KernelDilations   []int
	Paddings                   [][2]int
	ChannelGroups, BatchGroups int
}

// ConvolutionOf reads the settings of a convolution's node, which GoMLX keeps to itself: see [Probe]. It is not ok for
// other nodes, nor where the input is spread out or the images are in groups.
func ConvolutionOf(node *graph.Node) (c Convolution, ok bool) {
	if node.Type() != graph.NodeTypeConvGeneral {
		return c, false
	}
	params := Settings(node)
	axes := params.FieldByName("axes")
	to := reflect.ValueOf(&c.Axes).Elem()
	for i := range axes.NumField() {
		if field := axes.Field(i); field.Kind() == reflect.Slice {
			to.Field(i).Set(reflect.ValueOf(Numbers(field)))
		} else {
			to.Field(i).SetInt(field.Int())
		}
	}
	c.Strides, c.KernelDilations = Numbers(params.FieldByName("strides")), Numbers(params.FieldByName("kernelDilations"))
	paddings := params.FieldByName("paddings")
	for i := range paddings.Len() {
		c.Paddings = append(c.Paddings, [2]int{int(paddings.Index(i).Index(0).Int()), int(paddings.Index(i).Index(1).Int())})
	}
	c.ChannelGroups, c.BatchGroups = int(params.FieldByName("channelGroupCount").Int()),
		int(params.FieldByName("batchGroupCount").Int())
	return c, params.FieldByName("inputDilations").Len() == 0 && c.BatchGroups <= 1
}

// Settings are what a node was made with besides its inputs, which GoMLX keeps to itself.
func Settings(node *graph.Node) reflect.Value {
	return reflect.ValueOf(node).Elem().FieldByName("inputs").Elem().Elem()
}

// Numbers is a list among them.
func Numbers(v reflect.Value) []int {
	var list []int
	for i := range v.Len() {
		list = append(list, int(v.Index(i).Int()))
	}
	return list
}

// isEven reports whether a side of the kernel is even.
func (c Convolution) isEven(kernel *graph.Node) bool {
	for i := range c.Axes.KernelSpatial {
		if c.Side(kernel, i)%2 == 0 {
			return true
		}
	}
	return false
}

// Side is the length of a side of the kernel, its holes included.
func (c Convolution) Side(kernel *graph.Node, i int) int {
	dilation := 1
	if len(c.KernelDilations) > 0 {
		dilation = c.KernelDilations[i]
	}
	return (kernel.Shape().Dimensions[c.Axes.KernelSpatial[i]]-1)*dilation + 1
}

// inputGradient is the product of v with the derivative by the input x: v, spread out by the strides, convolved
// with the kernel turned around, its input and output channels exchanged.
func (c Convolution) inputGradient(x, kernel, v *graph.Node) *graph.Node {
	axes, strides := c.Axes, c.Strides
	if c.ChannelGroups > 1 {
		kernel = c.exchanged(kernel)
		for i, stride := range strides { // XLA has no fast convolution in groups whose input is spread out
			v = spread(v, axes.OutputSpatial[i], stride)
		}
		strides = nil
	} else {
		axes.KernelInputChannels, axes.KernelOutputChannels = axes.KernelOutputChannels, axes.KernelInputChannels
	}
	axes.InputBatch, axes.OutputBatch = c.Axes.OutputBatch, c.Axes.InputBatch
	axes.InputChannels, axes.OutputChannels = c.Axes.OutputChannels, c.Axes.InputChannels
	axes.InputSpatial, axes.OutputSpatial = c.Axes.OutputSpatial, c.Axes.InputSpatial
	paddings := make([][2]int, len(axes.KernelSpatial))
	for i := range paddings {
		stride, before := 1, 0
		if len(strides) > 0 {
			stride = strides[i]
		}
		if len(c.Paddings) > 0 {
			before = c.Paddings[i][0]
		}
		in, out := x.Shape().Dimensions[c.Axes.InputSpatial[i]], v.Shape().Dimensions[c.Axes.OutputSpatial[i]]
		side := c.Side(kernel, i)
		paddings[i][0] = side - 1 - before
		paddings[i][1] = in - ((out-1)*stride + 1) - paddings[i][0] + side - 1
	}
	turned := graph.Convolve(v, graph.Reverse(kernel, c.Axes.KernelSpatial...)).AxesConfig(axes).PaddingPerDim(paddings)
	if len(c.KernelDilations) > 0 {
		turned = turned.DilationPerAxis(c.KernelDilations...)
	}
	if len(strides) > 0 {
		turned = turned.InputDilationPerAxis(strides...)
	}
	if c.ChannelGroups > 1 {
		turned = turned.ChannelGroupCount(c.ChannelGroups)
	}
	return turned.Done()
}

// exchanged is a kernel whose input and output channels have changed places, group by group.
func (c Convolution) exchanged(kernel *graph.Node) *graph.Node {
	groups := c.ChannelGroups
	in, out := c.Axes.KernelInputChannels, c.Axes.KernelOutputChannels
	d := kernel.Shape().Dimensions
	// The output's axis becomes two, groups and channels of a group; the latter changes places with the input's axis.
	apart := slices.Insert(slices.Clone(d), out, groups)
	apart[out+1] = d[out] / groups
	perm := make([]int, len(apart))
	for i := range perm {
		perm[i] = i
	}
	if in > out {
		in++
	}
	perm[in], perm[out+1] = out+1, in
	turned := slices.Clone(d)
	turned[c.Axes.KernelInputChannels], turned[out] = d[out]/groups, groups*d[c.Axes.KernelInputChannels]
	return graph.Reshape(graph.TransposeAllAxes(graph.Reshape(kernel, apart...), perm...), turned...)
}

// spread puts step-1 zeros between the values along an axis.
func spread(x *graph.Node, axis, step int) *graph.Node {
	if step == 1 {
		return x
	}
	d := x.Shape().Dimensions
	wide := slices.Clone(d)
	wide[axis] *= step
	x = graph.Reshape(ZeroPad(graph.Reshape(x, slices.Insert(slices.Clone(d), axis+1, 1)...), axis+1, [2]int{0, step - 1}),
		wide...)
	return graph.SliceAxis(x, axis, graph.AxisRange(0, wide[axis]-step+1))
}
