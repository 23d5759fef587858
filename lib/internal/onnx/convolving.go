package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	timage "github.com/gomlx/gomlx/core/tensors/images"

	"github.com/loupeml/loupe/lib/internal/depthwise"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
)

// Operators that look at windows: convolutions and pooling. Values are [N, C, spatial...].
func init() {
	operator("Conv", 2, 3, func(c *call) { c.result(c.conv(c.x(0), c.x(1), c.optional(2))) })
	operator("com.microsoft.FusedConv", 2, 4, func(c *call) {
		y := c.conv(c.x(0), c.x(1), c.optional(2))
		if c.has(3) && y.Rank() == 4 {
			y = c.first(graph.Add(c.last(y), c.last(c.x(3))))
		} else if c.has(3) {
			y = graph.Add(y, c.x(3))
		}
		c.result(c.onLast(y, c.activated))
	})
	operator("ConvTranspose", 2, 3, (*call).convTranspose)
	operator("MaxPool", 1, 1, (*call).maxPool)
	operator("AveragePool", 1, 1, (*call).averagePool)
	operator("LpPool", 1, 1, (*call).lpPool)
	operator("LRN", 1, 1, (*call).localResponse)
	const all = "Conv com.microsoft.FusedConv ConvTranspose MaxPool AveragePool LpPool LRN"
	stayApart(onFirstAxis, all)
	channelsLie(onSecondAxis, all)
	haveWeights("Conv com.microsoft.FusedConv ConvTranspose")
}

// optional is an input on the device, nil where it is not given.
func (c *call) optional(i int) *graph.Node {
	if !c.has(i) {
		return nil
	}
	return c.x(i)
}

// window is where the windows of a convolution or of pooling lie: of each spatial axis.
type window struct {
	size, strides, dilations []int
	pads                     [][2]int
}

// window reads the attributes that say so. size is that of the kernel.
func (c *call) window(size, in []int) window {
	n := len(size)
	w := window{size: size, strides: c.perAxis("strides", n), dilations: c.perAxis("dilations", n)}
	pads := c.ints("pads")
	mode := c.text("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
	if pads != nil && len(pads) != 2*n {
		c.refuse("pads=%v for %d axes", pads, n)
	}
	for i := range n {
		var pad [2]int
		switch {
		case mode == "SAME_UPPER" || mode == "SAME_LOWER":
			pad = graphops.SamePadding(in[i], size[i], w.strides[i], w.dilations[i])
			if mode == "SAME_LOWER" {
				pad[0], pad[1] = pad[1], pad[0]
			}
		case mode == "NOTSET" && pads != nil:
			pad = [2]int{pads[i], pads[i+n]}
		}
		if min(pad[0], pad[1]) < 0 || max(pad[0], pad[1]) > padLimit {
			c.refuse("pads=%v", pads)
		}
		w.pads = append(w.pads, pad)
		if size[i] < 1 {
			c.refuse("a kernel of %v", size)
		}
		if w.span(i) > in[i]+pad[0]+pad[1] {
			c.refuse("a kernel of %v for an input of %v", size, in)
		}
	}
	return w
}

// perAxis is an attribute with a number of at least 1 for each axis, 1 where it is not given.
func (c *call) perAxis(name string, n int) []int {
	values := c.ints(name)
	if values == nil {
		return slices.Repeat([]int{1}, n)
	}
	if len(values) != n || slices.Min(values) < 1 {
		c.refuse("%s=%v for %d axes", name, values, n)
	}
	return values
}

// span is how many places a window covers on an axis.
func (w window) span(i int) int { return (w.size[i]-1)*w.dilations[i] + 1 }

func (w window) dilated() bool { return slices.Max(w.dilations) > 1 }

// spatial are the axes behind the channels. It refuses values without.
func (c *call) spatial(x *graph.Node) []int {
	if x.Rank() < 3 {
		c.refuse("an input of %v, other than [N, C, …]", x.Shape().Dimensions)
	}
	return x.Shape().Dimensions[2:]
}

func (c *call) conv(x, kernel, bias *graph.Node) *graph.Node {
	in := c.spatial(x)
	k := kernel.Shape().Dimensions
	if len(k) != x.Rank() {
		c.refuse("a kernel of %v for %v", k, x.Shape().Dimensions)
	}
	if said := c.ints("kernel_shape"); said != nil && !slices.Equal(said, k[2:]) {
		c.refuse("kernel_shape=%v and a kernel of %v", said, k)
	}
	groups := c.int("group", 1)
	channels := x.Shape().Dimensions[1]
	if groups < 1 || k[1]*groups != channels || k[0]%groups != 0 {
		c.refuse("group=%d and a kernel of %v for %d channels", groups, k, channels)
	}
	y := c.convolved(x, kernel, c.window(k[2:], in), groups)
	if bias != nil {
		if bias.Shape().Size() != k[0] {
			c.refuse("a bias of %v for a kernel of %v", bias.Shape().Dimensions, k)
		}
		if c.isTurned(y) {
			return c.first(graph.Add(c.last(y), alongAxes(bias, 3, 4)))
		}
		y = graph.Add(y, alongAxes(bias, 1, y.Rank()))
	}
	return y
}

func (c *call) convolved(x, kernel *graph.Node, w window, groups int) *graph.Node {
	k := kernel.Shape().Dimensions
	if groups > 1 && groups == x.Shape().Dimensions[1] && k[0] == groups && x.Rank() == 4 && !w.dilated() &&
		w.strides[0] == w.strides[1] && isFloat(x) {
		convolve := depthwise.Convolve
		if c.plain {
			convolve = gradients.Depthwise
		}
		return c.first(convolve(c.last(x), kernelLast(kernel), w.strides[0], [2][2]int{w.pads[0], w.pads[1]}))
	}
	strides := w.strides
	if w.dilated() { // GoMLX has the one or the other
		strides = slices.Repeat([]int{1}, len(strides))
	}
	turned, axis, channels := x.Rank() == 4, 2, timage.ChannelsFirst
	if turned {
		x, kernel, axis, channels = c.last(x), kernelLast(kernel), 1, timage.ChannelsLast
	}
	conv := graph.Convolve(x, kernel).ChannelsAxis(channels).StridePerAxis(strides...).PaddingPerDim(w.pads)
	if w.dilated() {
		conv = conv.DilationPerAxis(w.dilations...)
	}
	if groups > 1 {
		conv = conv.ChannelGroupCount(groups)
	}
	y := conv.Done()
	if w.dilated() {
		for i, s := range w.strides {
			if s > 1 {
				y = graph.SliceAxis(y, axis+i, graph.AxisRange().Stride(s))
			}
		}
	}
	if turned {
		return c.first(y)
	}
	return y
}

// kernelLast is a kernel, [O, I, KH, KW], as [KH, KW, I, O].
func kernelLast(kernel *graph.Node) *graph.Node { return graph.TransposeAllAxes(kernel, 2, 3, 1, 0) }

// convTranspose is by its definition: zeros between the input's values, stride-1 of them, then a convolution by the
// kernel turned around with its channels exchanged. https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
func (c *call) convTranspose() {
	x, kernel := c.x(0), c.x(1)
	in, k := c.spatial(x), kernel.Shape().Dimensions
	n := len(in)
	if len(k) != x.Rank() {
		c.refuse("a kernel of %v for %v", k, x.Shape().Dimensions)
	}
	if said := c.ints("kernel_shape"); said != nil && !slices.Equal(said, k[2:]) {
		c.refuse("kernel_shape=%v and a kernel of %v", said, k)
	}
	groups := c.int("group", 1)
	if groups < 1 || k[0] != x.Shape().Dimensions[1] || k[0]%groups != 0 {
		c.refuse("group=%d and a kernel of %v for %d channels", groups, k, x.Shape().Dimensions[1])
	}
	strides, dilations := c.perAxis("strides", n), c.perAxis("dilations", n)
	more, shape, pads := c.ints("output_padding"), c.ints("output_shape"), c.ints("pads")
	mode := c.text("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
	if more == nil {
		more = make([]int, n)
	}
	if pads == nil || mode != "NOTSET" {
		pads = make([]int, 2*n)
	}
	if len(shape) == n+2 { // some files say the images and channels too
		shape = shape[2:]
	}
	if len(more) != n || len(pads) != 2*n || shape != nil && len(shape) != n {
		c.refuse("output_padding=%v, output_shape=%v and pads=%v for %d axes", more, shape, pads, n)
	}
	// [I, O/G, ...] to [O, I/G, ...], group by group.
	o := k[1]
	perm := append([]int{0, 2, 1}, trailing(3, n+3)...)
	turned := graph.TransposeAllAxes(graph.Reshape(kernel, append([]int{groups, k[0] / groups, o}, k[2:]...)...), perm...)
	turned = graph.Reverse(graph.Reshape(turned, append([]int{groups * o, k[0] / groups}, k[2:]...)...),
		trailing(2, n+2)...)
	w := window{size: k[2:], strides: slices.Repeat([]int{1}, n), dilations: dilations}
	crop := make([][2]int, n)
	for i := range n {
		whole := strides[i]*(in[i]-1) + more[i] + (k[2+i]-1)*dilations[i] + 1 // without padding
		before, after := pads[i], pads[i+n]
		if mode == "SAME_UPPER" || mode == "SAME_LOWER" || shape != nil {
			want := in[i] * strides[i]
			if shape != nil {
				want = shape[i]
			}
			total := max(whole-want, 0)
			if want > whole { // more of it at the end
				if shape == nil {
					c.refuse("auto_pad=%s and strides=%v beyond a kernel of %v, which are computed in two ways: say pads", mode,
						strides, k)
				}
				more[i] += want - whole
			}
			before, after = total-total/2, total/2
			if mode == "SAME_UPPER" {
				before, after = after, before
			}
		}
		if max(before, after, more[i], strides[i]) > padLimit || min(before, after, more[i]) < 0 {
			c.refuse("pads=%v, strides=%v and output_padding=%v", pads, strides, more)
		}
		edge := (k[2+i] - 1) * dilations[i]
		pad := [2]int{edge - before, edge - after + more[i]}
		for side := range pad { // what is more than the kernel reaches is cut off
			if pad[side] < 0 {
				crop[i][side], pad[side] = -pad[side], 0
			}
		}
		w.pads = append(w.pads, pad)
		x = spread(x, 2+i, strides[i])
	}
	y := c.convolved(x, turned, w, groups)
	for i := range n {
		if crop[i] != [2]int{} {
			size := y.Shape().Dimensions[2+i]
			if crop[i][0]+crop[i][1] >= size {
				c.refuse("pads=%v, which leave nothing", pads)
			}
			y = graph.SliceAxis(y, 2+i, graph.AxisRange(crop[i][0], size-crop[i][1]))
		}
	}
	if c.has(2) {
		y = graph.Add(y, alongAxes(c.x(2), 1, y.Rank()))
	}
	c.result(y)
}

// spread puts step-1 zeros between the values along an axis.
func spread(x *graph.Node, axis, step int) *graph.Node {
	if step == 1 {
		return x
	}
	d := x.Shape().Dimensions
	apart := slices.Insert(slices.Clone(d), axis+1, 1)
	wide := slices.Clone(d)
	wide[axis] *= step
	x = graph.Reshape(gradients.ZeroPad(graph.Reshape(x, apart...), axis+1, [2]int{0, step - 1}), wide...)
	return graph.SliceAxis(x, axis, graph.AxisRange(0, wide[axis]-step+1))
}

// poolWindow reads where the windows of pooling lie. With ceil_mode the last ones may reach beyond the padding, by what
// it returns for each axis.
func (c *call) poolWindow(x *graph.Node) (w window, beyond []int) {
	in := c.spatial(x)
	kernel := c.ints("kernel_shape")
	if len(kernel) != len(in) {
		c.refuse("kernel_shape=%v for %d axes", kernel, len(in))
	}
	c.ignore("storage_order")
	w = c.window(kernel, in)
	// ONNX fills up for windows with their gaps, and onnxruntime for windows without.
	if mode := c.text("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"); strings.HasPrefix(mode, "SAME") &&
		w.dilated() {
		c.refuse("auto_pad=%s and dilations=%v, which are computed in two ways: say pads", mode, w.dilations)
	}
	beyond = make([]int, len(in))
	if !c.flag("ceil_mode") {
		return w, beyond
	}
	for i := range in {
		room := in[i] + w.pads[i][0] + w.pads[i][1] - w.span(i)
		out := (room+w.strides[i]-1)/w.strides[i] + 1
		if (out-1)*w.strides[i] >= in[i]+w.pads[i][0] { // no window starts behind the image
			out--
		}
		beyond[i] = max((out-1)*w.strides[i]-room, 0)
	}
	return w, beyond
}

// pooled takes the windows' values together, with padding that has no effect on them.
func (c *call) pooled(x *graph.Node, w window, beyond []int, most bool) *graph.Node {
	pads := make([][2]int, len(beyond))
	for i := range pads {
		pads[i] = [2]int{w.pads[i][0], w.pads[i][1] + beyond[i]}
	}
	if !w.dilated() {
		turned, channels := c.isTurned(x), timage.ChannelsFirst
		if turned {
			x, channels = c.last(x), timage.ChannelsLast
		}
		pool := graph.SumPool(x)
		if most {
			pool = graph.MaxPool(x)
		}
		y := pool.ChannelsAxis(channels).WindowPerAxis(w.size...).StridePerAxis(w.strides...).PaddingPerDim(pads).Done()
		if turned {
			y = c.first(y)
		}
		return y
	}
	// GoMLX has no gradient of windows with gaps: a slice for each place in the window.
	fill := graph.ScalarZero(c.g, x.DType())
	if most {
		fill = lowest(x)
	}
	out := make([]int, len(pads))
	for i, p := range pads {
		out[i] = (x.Shape().Dimensions[2+i]+p[0]+p[1]-w.span(i))/w.strides[i] + 1
	}
	for i, p := range pads {
		x = c.padAxis(x, 2+i, p[0], p[1], "constant", fill)
	}
	var y *graph.Node
	for place := range product(w.size) {
		part, rest := x, place
		for i := len(w.size) - 1; i >= 0; i-- {
			at := rest % w.size[i] * w.dilations[i]
			rest /= w.size[i]
			part = graph.SliceAxis(part, 2+i, graph.AxisRange(at, at+(out[i]-1)*w.strides[i]+1).Stride(w.strides[i]))
		}
		switch {
		case y == nil:
			y = part
		case most:
			y = graph.Max(y, part)
		default:
			y = graph.Add(y, part)
		}
	}
	return y
}

// lowest is the least number of a type.
func lowest(x *graph.Node) *graph.Node {
	if isFloat(x) {
		return graph.Infinity(x.Graph(), x.DType(), -1)
	}
	return graph.Const(x.Graph(), x.DType().LowestValue())
}

func (c *call) maxPool() {
	x := c.x(0)
	w, beyond := c.poolWindow(x)
	if !isFloat(x) { // 8-bit numbers by way of larger ones
		c.result(converted(c.pooled(graph.ConvertDType(x, dtypes.Float32), w, beyond, true), x.DType()))
		return
	}
	c.result(c.pooled(x, w, beyond, true))
}

// averagePool divides by how many places of a window are inside, or with count_include_pad on the padding; what is
// beyond the padding never counts.
func (c *call) averagePool() {
	x := c.x(0)
	w, beyond := c.poolWindow(x)
	counted := c.flag("count_include_pad")
	sum := c.pooled(x, w, beyond, false)
	counts := []float64{1}
	for i, in := range c.spatial(x) {
		from, to := 0, in
		if counted {
			from, to = -w.pads[i][0], in+w.pads[i][1]
		}
		var next []float64
		for _, n := range counts {
			for o := range sum.Shape().Dimensions[2+i] {
				inside := 0
				for p := range w.size[i] {
					if at := o*w.strides[i] - w.pads[i][0] + p*w.dilations[i]; at >= from && at < to {
						inside++
					}
				}
				next = append(next, n*float64(max(inside, 1)))
			}
		}
		counts = next
	}
	if slices.Min(counts) == slices.Max(counts) {
		c.result(c.onLast(sum, func(sum *graph.Node) *graph.Node { return graph.DivScalar(sum, counts[0]) }))
		return
	}
	dims := append([]int{1, 1}, sum.Shape().Dimensions[2:]...)
	if c.isTurned(sum) {
		dims = append(dims[1:], 1)
	}
	inside := converted(constant(c, counts, dims...), sum.DType())
	c.result(c.onLast(sum, func(sum *graph.Node) *graph.Node { return graph.Div(sum, inside) }))
}

func (c *call) lpPool() {
	x := c.x(0)
	w, beyond := c.poolWindow(x)
	p := float64(c.int("p", 2))
	if p == 2 {
		c.result(graph.Sqrt(c.pooled(graph.Square(x), w, beyond, false)))
		return
	}
	c.result(graph.PowScalar(c.pooled(graph.PowScalar(graph.Abs(x), p), w, beyond, false), 1/p))
}

// localResponse divides by the squares of neighbouring channels. Krizhevsky et al., NeurIPS 2012, section 3.3, with the
// sum divided by the number of channels, as ONNX says.
func (c *call) localResponse() {
	x := c.x(0)
	size := c.int("size", 0)
	if size < 1 || size > 1<<12 {
		c.refuse("size=%d", size)
	}
	c.spatial(x)
	square := gradients.ZeroPad(graph.Square(x), 1, [2]int{(size - 1) / 2, size - 1 - (size-1)/2})
	var sum *graph.Node
	for i := range size {
		part := graph.SliceAxis(square, 1, graph.AxisRange(i, i+x.Shape().Dimensions[1]))
		if sum == nil {
			sum = part
		} else {
			sum = graph.Add(sum, part)
		}
	}
	scale := graph.AddScalar(graph.MulScalar(sum, c.float("alpha", 1e-4)/float64(size)), c.float("bias", 1))
	c.result(graph.Div(x, graph.PowScalar(scale, c.float("beta", 0.75))))
}

// activated is what onnxruntime's fused operators do behind the sum.
func (c *call) activated(x *graph.Node) *graph.Node {
	name := ""
	if a := c.attr("activation", attrString); a != nil {
		name = string(a.s)
	}
	parameters := c.floats("activation_params")
	parameter := func(i int, otherwise float64) float64 {
		if i < len(parameters) {
			return parameters[i]
		}
		if a := c.node.attribute(fmt.Sprintf("activation_%s", []string{"alpha", "beta"}[i])); a != nil {
			return c.float(a.name, otherwise)
		}
		return otherwise
	}
	switch name {
	case "":
		return x
	case "Relu":
		return relu(x)
	case "Sigmoid":
		return graph.Sigmoid(x)
	case "Tanh":
		return graph.Tanh(x)
	case "LeakyRelu":
		return graph.Where(graph.IsNegative(x), graph.MulScalar(x, parameter(0, 0.01)), x)
	case "Clip":
		return graph.ClipScalar(x, parameter(0, -3.4e38), parameter(1, 3.4e38))
	case "HardSigmoid":
		return graph.ClipScalar(graph.AddScalar(graph.MulScalar(x, parameter(0, 0.2)), parameter(1, 0.5)), 0, 1)
	}
	c.refuse("activation=%s", name)
	return nil
}
