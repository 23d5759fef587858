// Package depthwise has depthwise convolutions as one operation, which loupe's kernels for the CPU compute (package
// customcall), and their gradients.
//
// An operation is a call of a function whose name says what it computes, and whose body computes it.
package depthwise

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/gradients"
)

// Convolve convolves every channel of x, [N, H, W, C], by its own kernel, w [KH, KW, 1, C], padded with zeros before
// and after the rows and the columns. It has gradients by x and by w, which have none themselves. Where loupe has no
// kernels for it, it is [gradients.DepthwiseBothWays].
func Convolve(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	if !known(x, w) {
		return gradients.DepthwiseBothWays(x, w, stride, padding)
	}
	return call(x, w, stride, padding)
}

func known(x, w *graph.Node) bool {
	return x.DType() == dtypes.Float32 && w.DType() == dtypes.Float32 && x.Shape().Size() > 0 &&
		backend.Kernels(x.Graph().Backend())
}

func call(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	kernel := w.Shape().Dimensions
	d := customcall.Depthwise{X: [4]int(x.Shape().Dimensions), Kernel: [2]int(kernel[:2]), Stride: stride,
		Padding: padding}
	return gradients.Function(x.Graph(), d.Name(), func(g *graph.Graph) []*graph.Node {
		return []*graph.Node{gradients.Depthwise(graph.Parameter(g, "x", x.Shape().Clone()),
			graph.Parameter(g, "w", w.Shape().Clone()), stride, padding)}
	}).Call(x, w)[0]
}

// named is what a node calls.
func named(node *graph.Node) (d customcall.Depthwise, ok bool) {
	if node.Type() != graph.NodeTypeCall {
		return d, false
	}
	return customcall.DepthwiseNamed(gradients.Settings(node).FieldByName("f").Elem().FieldByName("name").String())
}

func init() {
	others := graph.VJPRegistration[graph.NodeTypeCall]
	graph.VJPRegistration[graph.NodeTypeCall] = func(node *graph.Node, v []*graph.Node, shape shapes.Shape) []*graph.Node {
		d, ok := named(node)
		switch {
		case ok:
			const what = "a depthwise convolution"
			x, w := node.Inputs()[0], node.Inputs()[1]
			return []*graph.Node{gradients.OnlyOnce(byImages(d, w, v[0]), what), gradients.OnlyOnce(byKernel(d, x, v[0]), what)}
		case others != nil:
			return others(node, v, shape)
		}
		panic("depthwise: no gradient is known of " + node.String())
	}
}

// byImages is the depthwise convolution of what comes back, spread out by the stride, with the kernel turned around.
func byImages(d customcall.Depthwise, w, v *graph.Node) *graph.Node {
	out := d.Outputs()
	var around [2][2]int
	for a := range around {
		// Padding that the kernel does not reach past is cut off.
		before, span := d.Kernel[a]-1-d.Padding[a][0], (out[a]-1)*d.Stride+1
		after := d.X[1+a] + d.Kernel[a] - 1 - before - span
		v = gradients.SpreadOut(v, 1+a, d.Stride)
		v = graph.SliceAxis(v, 1+a, graph.AxisRange(max(-before, 0), span-max(-after, 0)))
		around[a] = [2]int{max(before, 0), max(after, 0)}
	}
	return call(v, graph.Reverse(w, 0, 1), 1, around)
}

// byKernel is a call too, although there is no kernel of loupe's for it: mostly nobody wants it, and a call is soon
// left out.
func byKernel(d customcall.Depthwise, x, v *graph.Node) *graph.Node {
	return gradients.Function(x.Graph(), "by_kernel_of_"+d.Name(), func(g *graph.Graph) []*graph.Node {
		return []*graph.Node{passed(d, graph.Parameter(g, "x", x.Shape().Clone()),
			graph.Parameter(g, "v", v.Shape().Clone()))}
	}).Call(x, v)[0]
}

// passed is, for each place of the kernel, the sum over the pixels that it has passed. It is a product, since go-xla
// has no reductions in functions.
func passed(d customcall.Depthwise, x, v *graph.Node) *graph.Node {
	out := d.Outputs()
	for a := range out {
		x = gradients.ZeroPad(x, 1+a, d.Padding[a])
	}
	pixels := d.X[0] * out[0] * out[1]
	ones := graph.BroadcastToDims(graph.ConstAsDType(x.Graph(), x.DType(), 1.0), pixels)
	var rows []*graph.Node
	for i := range d.Kernel[0] {
		var row []*graph.Node
		for j := range d.Kernel[1] {
			seen := graph.Slice(x, graph.AxisRange(), graph.AxisRange(i, i+(out[0]-1)*d.Stride+1).Stride(d.Stride),
				graph.AxisRange(j, j+(out[1]-1)*d.Stride+1).Stride(d.Stride))
			row = append(row, graph.Reshape(graph.Einsum("pc,p->c", graph.Reshape(graph.Mul(seen, v), pixels, d.X[3]), ones), 1,
				1, 1, d.X[3]))
		}
		rows = append(rows, concatenate(row, 1))
	}
	return concatenate(rows, 0)
}

func concatenate(parts []*graph.Node, axis int) *graph.Node {
	if len(parts) == 1 {
		return parts[0]
	}
	return graph.Concatenate(parts, axis)
}
