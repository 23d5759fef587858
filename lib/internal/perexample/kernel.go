package perexample

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/gradients"
)

// kernel gives a convolution's kernel its share: by loupe's own code where a program for the CPU gets it (package
// customcall), of which an example's gradient need not leave the processor's caches where its length is enough. There
// is no other way to have the length for less: products of pairs of pixels are more than those of channels in all but
// the last layers of wide networks.
func (p *pass) kernel(n, back *graph.Node) {
	x, kernel := n.Inputs()[0], n.Inputs()[1]
	c, _ := gradients.ConvolutionOf(n)
	axes := c.Axes
	usual := len(axes.InputSpatial) == 2 && slices.Equal(axes.InputSpatial, []int{1, 2}) && axes.InputChannels == 3 &&
		slices.Equal(axes.OutputSpatial, []int{1, 2}) && axes.OutputChannels == 3 &&
		slices.Equal(axes.KernelSpatial, []int{0, 1}) && axes.KernelInputChannels == 2 && axes.KernelOutputChannels == 3
	known := usual && c.ChannelGroups <= 1 && n.DType() == dtypes.Float32 && n.Graph().Backend().Capabilities().Functions
	if p.b == 1 && !(known && p.factors != nil && backend.Kernels(n.Graph().Backend())) {
		// the sum over all images, as ever
		of := graph.VJPRegistration[graph.NodeTypeConvGeneral](n, []*graph.Node{p.scaled(back)}, n.Shape())
		add(p.plain, kernel, graph.ExpandAxes(of[1], 0))
		return
	}
	if !usual {
		refuse("a convolution whose axes are not [N, H, W, C] and [KH, KW, I, O]")
	}
	if p.b == 1 {
		p.weighted(c, x, kernel, back)
		return
	}
	of := p.geometry(c, x, kernel, back)
	inline := func(x, back *graph.Node) *graph.Node {
		g := shifted(of, max(c.ChannelGroups, 1), x, back)
		if of.Of == customcall.Squares {
			g = graph.Reshape(g, of.Examples, -1)
			g = graph.Einsum("bw,bw->b", g, g) // go-xla has no reductions in functions
		}
		return g
	}
	g := n.Graph()
	var share *graph.Node
	if !known {
		share = inline(x, back)
	} else {
		share = gradients.Function(g, customcall.ByExample(of), func(g *graph.Graph) []*graph.Node {
			return []*graph.Node{inline(graph.Parameter(g, "x", x.Shape().Clone()),
				graph.Parameter(g, "back", back.Shape().Clone()))}
		}).Call(x, back)[0]
	}
	if of.Of == customcall.Squares {
		p.squares[kernel] = share
	} else {
		add(p.plain, kernel, share)
	}
}

// weighted gives a convolution's kernel the sum of the examples' gradients, each times its factor, by loupe's kernel,
// which multiplies by the factors what it reads: all that comes back need not be in memory a second time.
func (p *pass) weighted(c gradients.Convolution, x, kernel, back *graph.Node) {
	of := p.geometry(c, x, kernel, back)
	of.Of, of.Examples = customcall.Weighted, p.factors.Shape().Size()
	g := x.Graph()
	sum := gradients.Function(g, customcall.ByExample(of), func(g *graph.Graph) []*graph.Node {
		x, back := graph.Parameter(g, "x", x.Shape().Clone()), graph.Parameter(g, "back", back.Shape().Clone())
		all := pass{factors: graph.Parameter(g, "factors", p.factors.Shape().Clone())}
		one := of
		one.Examples = 1
		return []*graph.Node{graph.Reshape(shifted(one, 1, x, all.scaled(back)), kernel.Shape().Dimensions...)}
	}).Call(x, back, p.factors)[0]
	add(p.plain, kernel, graph.ExpandAxes(sum, 0))
}

// geometry is a convolution as package customcall has it.
func (p *pass) geometry(c gradients.Convolution, x, kernel, back *graph.Node) customcall.Convolution {
	of := customcall.Convolution{Strides: [2]int{1, 1}, Dilations: [2]int{1, 1}, Examples: p.b}
	if p.single[kernel] {
		of.Of = customcall.Squares
	}
	copy(of.Strides[:], c.Strides)
	copy(of.Dilations[:], c.KernelDilations)
	copy(of.Kernel[:], kernel.Shape().Dimensions)
	copy(of.Images[:], x.Shape().Dimensions)
	copy(of.Outputs[:], back.Shape().Dimensions)
	for a := range of.Before {
		if len(c.Paddings) > 0 {
			of.Before[a] = c.Paddings[a][0]
		}
		if of.Before[a] < 0 {
			refuse("a convolution with negative padding")
		}
	}
	return of
}

// shifted is the gradient by a convolution's kernel of each example: for each place of the kernel the product of the
// image, moved by that place, with what comes back. Patches of the whole kernel in one product take twice as long, and
// the grouped convolution that other libraries make of it fifteen times.
func shifted(of customcall.Convolution, groups int, x, back *graph.Node) *graph.Node {
	var around [4]compute.PadAxis
	for a := range 2 {
		// Whatever is behind the last window does not matter, and what is missing there is 0.
		seen := (of.Outputs[1+a]-1)*of.Strides[a] + (of.Kernel[a]-1)*of.Dilations[a] + 1
		around[1+a] = compute.PadAxis{Start: of.Before[a], End: max(0, seen-of.Before[a]-of.Images[1+a])}
	}
	// A scalar of its own: those that GoMLX keeps for a graph belong to the function that had them first.
	x = graph.Pad(x, graph.ConstAsDType(x.Graph(), x.DType(), float64(0)), around[:]...)
	grouped := func(v *graph.Node) *graph.Node { // [b, V·places, G, C/G]
		channels := v.Shape().Dimensions[3]
		return graph.Reshape(v, of.Examples, -1, groups, channels/groups)
	}
	gb := grouped(back)
	var parts []*graph.Node
	for i := range of.Kernel[0] {
		for j := range of.Kernel[1] {
			from := func(a, place int) graph.SliceAxisSpec {
				first := place * of.Dilations[a]
				return graph.AxisRange(first, first+(of.Outputs[1+a]-1)*of.Strides[a]+1).Stride(of.Strides[a])
			}
			moved := graph.Slice(x, graph.AxisRange(), from(0, i), from(1, j))
			parts = append(parts, graph.Einsum("bpgi,bpgo->bigo", grouped(moved), gb)) // [b, I/G, G, O/G]
		}
	}
	return graph.Reshape(graph.Stack(parts, 1), of.Examples, of.Kernel[0], of.Kernel[1], of.Images[3]/groups,
		of.Outputs[3])
}
