// Package gradients has gradients that GoMLX has wrong or XLA computes slowly on a CPU: of convolutions by kernels of
// even sides, of max-pooling and of depthwise convolutions; and some that GoMLX has not. They take the place of GoMLX's
// when the package is linked; [Probe] checks what they assume of GoMLX.
package gradients

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// OnlyOnce is a gradient that cannot itself be differentiated rightly: who tries is told so.
func OnlyOnce(gradient *graph.Node, of string) *graph.Node {
	return graph.IdentityWithCustomGradient(gradient, func(_, _ *graph.Node) *graph.Node {
		panic(fmt.Errorf("model: the gradient of %s has no gradient of its own here: a second derivative would be wrong", of))
	})
}

// Probe checks that what the gradients of this package read in GoMLX's nodes, which GoMLX keeps to itself,
// is what they take it for. It is asked once, when the backend starts, so that another GoMLX is refused and not
// misread.
func Probe(b compute.Backend) error {
	g := graph.NewGraph(b, "probe")
	defer g.Finalize()
	var read []string
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%v", r)
			}
		}()
		x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 9, 11, 4))
		kernel := graph.Parameter(g, "kernel", shapes.Make(dtypes.Float32, 3, 2, 2, 6))
		holes, _ := ConvolutionOf(graph.Convolve(x, kernel).DilationPerAxis(1, 3).ChannelGroupCount(2).Done())
		if !slices.Equal(holes.KernelDilations, []int{1, 3}) || len(holes.Strides) != 0 &&
			!slices.Equal(holes.Strides, []int{1, 1}) {
			read = append(read, fmt.Sprintf("a convolution with holes as %+v", holes))
		}
		c, ok := ConvolutionOf(graph.Convolve(x, kernel).StridePerAxis(2,
			1).PaddingPerDim([][2]int{{1, 0}, {2, 3}}).ChannelGroupCount(2).Done())
		if !ok || !slices.Equal(c.Strides, []int{2, 1}) || len(c.KernelDilations) != 0 &&
			!slices.Equal(c.KernelDilations, []int{1, 1}) || !slices.Equal(c.Paddings, [][2]int{{1, 0}, {2, 3}}) ||
			c.ChannelGroups != 2 || c.Axes.InputBatch != 0 || c.Axes.InputChannels != 3 ||
			!slices.Equal(c.Axes.InputSpatial, []int{1, 2}) ||
			c.Axes.KernelInputChannels != 2 || c.Axes.KernelOutputChannels != 3 ||
			!slices.Equal(c.Axes.KernelSpatial, []int{0, 1}) ||
			c.Axes.OutputBatch != 0 || c.Axes.OutputChannels != 3 || !slices.Equal(c.Axes.OutputSpatial, []int{1, 2}) {
			read = append(read, fmt.Sprintf("a convolution as %+v", c))
		}
		pooled := graph.MaxPool(x).WindowPerAxis(3, 2).StridePerAxis(2, 1).PaddingPerDim([][2]int{{1, 0}, {0, 1}}).Done()
		p, ok := maxPoolOf(pooled)
		if !ok || len(p) != 4 || p[1].size != 3 || p[1].stride != 2 || p[1].before != 1 || p[1].after != 0 ||
			p[2].size != 2 || p[2].stride != 1 || p[2].before != 0 || p[2].after != 1 ||
			p[0].size != 1 || p[3].size != 1 {
			read = append(read, fmt.Sprintf("a max-pooling as %+v", p))
		}
		if _, ok := maxPoolOf(graph.SumPool(x).Window(2).Done()); ok {
			read = append(read, "a sum of a window as a max-pooling")
		}
		if axes := reversedAxes(graph.Reverse(x, 1, 2)); !slices.Equal(axes, []int{1, 2}) {
			read = append(read, fmt.Sprintf("a reversal of axes 1 and 2 as one of %v", axes))
		}
		return nil
	}()
	if err == nil && read == nil {
		return nil
	}
	return fmt.Errorf("model: this build has another GoMLX than its gradients are written for (it reads %q; %v): build "+
		"it with the version in go.mod", read, err)
}
