package model

import (
	"reflect"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// GoMLX 0.28 takes a kernel's middle for its size over two on both sides, so its gradient by the input of a convolution
// whose kernel has an even side, such as the patch embedding of a vision transformer, is shifted by a pixel.
// Here is one that is right for kernels of even sides. The others, and the gradient by the kernel, are left to GoMLX, whose gradient of a gradient takes the axes of
// such a convolution for others: it is refused.
func init() {
	original := graph.VJPRegistration[graph.NodeTypeConvGeneral]
	graph.VJPRegistration[graph.NodeTypeConvGeneral] = func(node *graph.Node, v []*graph.Node, shape shapes.Shape) []*graph.Node {
		gradients := original(node, v, shape)
		if c, ok := convolutionOf(node); ok && c.isEven(node.Inputs()[1]) {
			gradients[0] = c.inputGradient(node.Inputs()[0], node.Inputs()[1], v[0])
		}
		for i, gradient := range gradients {
			gradients[i] = onlyOnce(gradient, "a convolution")
		}
		return gradients
	}
}

// convolution is how a convolution was set up.
type convolution struct {
	axes                       graph.ConvolveAxesConfig
	strides, kernelDilations   []int
	paddings                   [][2]int
	channelGroups, batchGroups int
}

// convolutionOf reads the settings of a convolution's node, which GoMLX keeps to itself: see probeGradients. Some are not ok for inputGradient.
func convolutionOf(node *graph.Node) (c convolution, ok bool) {
	if node.Type() != graph.NodeTypeConvGeneral {
		return c, false
	}
	params := settings(node)
	axes := params.FieldByName("axes")
	to := reflect.ValueOf(&c.axes).Elem()
	for i := range axes.NumField() {
		if field := axes.Field(i); field.Kind() == reflect.Slice {
			to.Field(i).Set(reflect.ValueOf(numbers(field)))
		} else {
			to.Field(i).SetInt(field.Int())
		}
	}
	c.strides, c.kernelDilations = numbers(params.FieldByName("strides")), numbers(params.FieldByName("kernelDilations"))
	paddings := params.FieldByName("paddings")
	for i := range paddings.Len() {
		c.paddings = append(c.paddings, [2]int{int(paddings.Index(i).Index(0).Int()), int(paddings.Index(i).Index(1).Int())})
	}
	c.channelGroups, c.batchGroups = int(params.FieldByName("channelGroupCount").Int()), int(params.FieldByName("batchGroupCount").Int())
	return c, params.FieldByName("inputDilations").Len() == 0 && c.batchGroups <= 1
}

// settings are what a node was made with besides its inputs, which GoMLX keeps to itself.
func settings(node *graph.Node) reflect.Value {
	return reflect.ValueOf(node).Elem().FieldByName("inputs").Elem().Elem()
}

// numbers is a list among them.
func numbers(v reflect.Value) []int {
	var list []int
	for i := range v.Len() {
		list = append(list, int(v.Index(i).Int()))
	}
	return list
}

// isEven reports whether a side of the kernel is even.
func (c convolution) isEven(kernel *graph.Node) bool {
	for i := range c.axes.KernelSpatial {
		if c.side(kernel, i)%2 == 0 {
			return true
		}
	}
	return false
}

// side is the length of a side of the kernel, its holes included.
func (c convolution) side(kernel *graph.Node, i int) int {
	dilation := 1
	if len(c.kernelDilations) > 0 {
		dilation = c.kernelDilations[i]
	}
	return (kernel.Shape().Dimensions[c.axes.KernelSpatial[i]]-1)*dilation + 1
}

// inputGradient is the product of v with the derivative by the input x: v, spread out by the strides, convolved
// with the kernel turned around, its input and output channels exchanged.
func (c convolution) inputGradient(x, kernel, v *graph.Node) *graph.Node {
	if groups := c.channelGroups; groups > 1 {
		one := c
		one.channelGroups = 1
		xs, kernels, vs := graph.Split(x, c.axes.InputChannels, groups), graph.Split(kernel, c.axes.KernelOutputChannels, groups), graph.Split(v, c.axes.OutputChannels, groups)
		parts := make([]*graph.Node, groups)
		for i := range parts {
			parts[i] = one.inputGradient(xs[i], kernels[i], vs[i])
		}
		return graph.Concatenate(parts, c.axes.InputChannels)
	}
	axes := c.axes
	axes.KernelInputChannels, axes.KernelOutputChannels = axes.KernelOutputChannels, axes.KernelInputChannels
	axes.InputBatch, axes.OutputBatch = c.axes.OutputBatch, c.axes.InputBatch
	axes.InputChannels, axes.OutputChannels = c.axes.OutputChannels, c.axes.InputChannels
	axes.InputSpatial, axes.OutputSpatial = c.axes.OutputSpatial, c.axes.InputSpatial
	paddings := make([][2]int, len(axes.KernelSpatial))
	for i := range paddings {
		stride, before := 1, 0
		if len(c.strides) > 0 {
			stride = c.strides[i]
		}
		if len(c.paddings) > 0 {
			before = c.paddings[i][0]
		}
		in, out := x.Shape().Dimensions[c.axes.InputSpatial[i]], v.Shape().Dimensions[c.axes.OutputSpatial[i]]
		side := c.side(kernel, i)
		paddings[i][0] = side - 1 - before
		paddings[i][1] = in - ((out-1)*stride + 1) - paddings[i][0] + side - 1
	}
	turned := graph.Convolve(v, graph.Reverse(kernel, c.axes.KernelSpatial...)).AxesConfig(axes).PaddingPerDim(paddings)
	if len(c.kernelDilations) > 0 {
		turned = turned.DilationPerAxis(c.kernelDilations...)
	}
	if len(c.strides) > 0 {
		turned = turned.InputDilationPerAxis(c.strides...)
	}
	return turned.Done()
}
