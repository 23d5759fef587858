package incremental

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/model"
)

// mostOfIt is the share of an activation above which all of it is computed. 0.55 and 0.85 were no faster.
const mostOfIt = 0.7

// walk builds the part of a graph that [Inference.Call] adds: it goes through the nodes of a model that was built for
// images that are not used, and computes each anew, of as many positions as can have changed.
type walk struct {
	l               *Inference
	g               *graph.Graph
	windows, images int
	patch, at       *graph.Node
	// base gives the activations that boxes are read from, padded along the axes by at least pad, and by how much they
	// are.
	base func(node *graph.Node, axes [2]int, f filler, pad [2][2]int) (*graph.Node, [2][2]int)

	number map[*graph.Node]int // of the live nodes
	values map[*graph.Node]*part
	// all and done count the multiplications of the convolutions, and those of them that are done.
	all, done float64
}

// part is what has been computed of a live node: all of it, [A·B, ...], or a box along two of its axes.
type part struct {
	node    *graph.Node
	whole   bool
	axes    [2]int // of rows and columns
	changed [2]stretch
}

func (l *Inference) newWalk(patch, at *graph.Node) *walk {
	windows := at.Shape().Dimensions[0]
	return &walk{
		l: l, g: patch.Graph(), patch: patch, at: at,
		windows: windows, images: patch.Shape().Dimensions[0] / windows,
		number: map[*graph.Node]int{}, values: map[*graph.Node]*part{},
	}
}

// window is the images' own part.
func (w *walk) window() *part {
	v := &part{node: w.patch, axes: [2]int{1, 2}}
	for i, length := range []int{w.l.m.Spec().Height, w.l.m.Spec().Width} {
		v.changed[i].length = length
		for _, p := range w.l.places[i] {
			v.changed[i].lo, v.changed[i].hi = append(v.changed[i].lo, p), append(v.changed[i].hi, p+w.l.side[i])
		}
	}
	return v
}

func (w *walk) logits() *graph.Node {
	spec := w.l.m.Spec()
	image := graph.Zeros(w.g, shapes.Make(dtypes.Float32, w.windows*w.images, spec.Height, spec.Width, spec.Channels))
	logits := w.l.m.CallAs(image, model.CallOptions{Plain: true}).Logits
	for i, node := range liveNodes(image, logits) {
		w.number[node] = i
		if node == image {
			w.values[node] = w.window()
			continue
		}
		v := w.step(node)
		if v == nil {
			v = &part{node: w.again(node), whole: true}
		}
		w.values[node] = v
	}
	return w.whole(logits)
}

// again computes all of a node.
func (w *walk) again(node *graph.Node) *graph.Node {
	if s, ok := gradients.ShiftedSumOf(node); ok {
		return gradients.Depthwise(w.whole(s.X), s.W, s.Stride, s.Padding)
	}
	return w.clone(node, w.whole)
}

// clone is a node of other live inputs.
func (w *walk) clone(node *graph.Node, input func(in *graph.Node) *graph.Node) *graph.Node {
	inputs := slices.Clone(node.Inputs())
	for i, in := range inputs {
		if w.values[in] != nil {
			inputs[i] = input(in)
		}
	}
	return node.CloneWithInputs(inputs...)
}

// whole is all of a live node, computed or put together.
func (w *walk) whole(node *graph.Node) *graph.Node {
	v := w.values[node]
	if !v.whole {
		v = &part{node: w.lay(node, v, v.everything(), anything), whole: true}
		w.values[node] = v
	}
	return v.node
}

// step computes the box of a node that has changed, or returns nil where that is not to be had or not worth it.
func (w *walk) step(node *graph.Node) *part {
	var v *part // of the first live input
	var from *graph.Node
	for _, in := range inputs(node) {
		switch live := w.values[in]; {
		case live == nil:
		case live.whole:
			w.count(node, 1)
			return nil
		case v == nil:
			v, from = live, in
		}
	}
	if s, ok := gradients.ShiftedSumOf(node); ok {
		kernel := s.W.Shape().Dimensions
		return w.sliding(node, from, v, v.axes, [2]slide{{kernel[0], s.Stride, s.Padding[0][0]},
			{kernel[1], s.Stride, s.Padding[1][0]}}, zeros, func(x *graph.Node) *graph.Node {
			return gradients.Depthwise(gradients.Once(x, s.W), s.W, s.Stride, [2][2]int{})
		})
	}
	if graphops.Elementwise[node.Type()] {
		return w.together(node, v)
	}
	switch node.Type() {
	case graph.NodeTypeConvGeneral:
		return w.convolution(node, from, v)
	case graph.NodeTypeReduceWindow:
		return w.pooling(node, from, v)
	case graph.NodeTypeSlice:
		return w.slice(node, from, v)
	case graph.NodeTypeConcatenate:
		return w.concatenation(node, v)
	case graph.NodeTypePad:
		return w.padding(node, v)
	case graph.NodeTypeTranspose:
		return w.transposition(node, v)
	case graph.NodeTypeReshape:
		return w.reshape(node, from, v)
	case graph.NodeTypeBroadcastInDim:
		return w.broadcast(node, from, v)
	case graph.NodeTypeReduceSum, graph.NodeTypeReduceMax, graph.NodeTypeReduceMin, graph.NodeTypeReduceProduct:
		return w.reduction(node, v)
	}
	return nil
}

// slide is how an operation slides over an axis: output o is made of side positions from o·stride-before on.
type slide struct{ side, stride, before int }

// sliding is a node whose outputs at one position, on the axes to, are what of makes of some positions of its input.
func (w *walk) sliding(node, from *graph.Node, v *part, to [2]int, by [2]slide, f filler,
	of func(x *graph.Node) *graph.Node) *part {
	out := &part{axes: to}
	var region [2]run
	for i, s := range by {
		out.changed[i] = v.changed[i].through(s.side, s.stride, s.before, node.Shape().Dimensions[to[i]])
		region[i] = out.changed[i].box().reads(s.side, s.stride, s.before)
	}
	w.count(node, out.share())
	if out.share() > mostOfIt {
		return nil
	}
	out.node = of(w.lay(from, v, region, f))
	return out
}

// count adds a convolution's multiplications, share of which are done.
func (w *walk) count(node *graph.Node, share float64) {
	each := 0
	if s, ok := gradients.ShiftedSumOf(node); ok {
		each = s.W.Shape().Size() / node.Shape().Dimensions[3]
	} else if c, ok := gradients.ConvolutionOf(node); node.Type() == graph.NodeTypeConvGeneral && ok {
		each = node.Inputs()[1].Shape().Size() / node.Shape().Dimensions[c.Axes.OutputChannels]
	}
	if share > mostOfIt {
		share = 1
	}
	all := float64(each) * float64(node.Shape().Size())
	w.all += all
	w.done += all * share
}

func (w *walk) convolution(node, from *graph.Node, v *part) *part {
	kernel := node.Inputs()[1]
	c, ok := gradients.ConvolutionOf(node)
	if !ok || w.values[kernel] != nil || c.Axes.InputBatch != 0 || c.Axes.OutputBatch != 0 ||
		!slices.Equal(c.Axes.InputSpatial, v.axes[:]) {
		return nil
	}
	var by [2]slide
	for i := range by {
		by[i] = slide{c.Side(kernel, i), 1, 0}
		if len(c.Strides) > 0 {
			by[i].stride = c.Strides[i]
		}
		if len(c.Paddings) > 0 {
			by[i].before = c.Paddings[i][0]
		}
	}
	return w.sliding(node, from, v, [2]int(c.Axes.OutputSpatial), by, zeros, func(x *graph.Node) *graph.Node {
		y := graph.Convolve(x, kernel).AxesConfig(c.Axes).NoPadding()
		if len(c.Strides) > 0 {
			y = y.StridePerAxis(c.Strides...)
		}
		if len(c.KernelDilations) > 0 {
			y = y.DilationPerAxis(c.KernelDilations...)
		}
		if c.ChannelGroups > 1 {
			y = y.ChannelGroupCount(c.ChannelGroups)
		}
		return y.Done()
	})
}

func (w *walk) pooling(node, from *graph.Node, v *part) *part {
	s := gradients.Settings(node)
	sides, strides, dilations, pads := gradients.Numbers(s.FieldByName("windowDimensions")),
		gradients.Numbers(s.FieldByName("strides")), gradients.Numbers(s.FieldByName("windowDilations")),
		s.FieldByName("paddings")
	kind := compute.ReduceOpType(s.FieldByName("reductionType").Int())
	f, known := map[compute.ReduceOpType]filler{compute.ReduceOpSum: zeros, compute.ReduceOpMax: lowest,
		compute.ReduceOpMin: highest}[kind]
	if !known || s.FieldByName("inputDilations").Len() > 0 {
		return nil
	}
	var by [2]slide
	for axis, side := range sides {
		one := slide{side, 1, 0}
		if len(strides) > 0 {
			one.stride = strides[axis]
		}
		if len(dilations) > 0 {
			one.side = (side-1)*dilations[axis] + 1
		}
		if pads.Len() > 0 {
			one.before = int(pads.Index(axis).Index(0).Int())
		}
		if i := slices.Index(v.axes[:], axis); i >= 0 {
			by[i] = one
		} else if one != (slide{1, 1, 0}) || node.Shape().Dimensions[axis] != from.Shape().Dimensions[axis] {
			return nil
		}
	}
	return w.sliding(node, from, v, v.axes, by, f, func(x *graph.Node) *graph.Node {
		return graph.BackendReduceWindow(x, kind, sides, strides, nil, dilations, nil)
	})
}

// slice takes some positions, as a convolution by a kernel of 1 with a stride does, and some of what lies at each.
func (w *walk) slice(node, from *graph.Node, v *part) *part {
	s := gradients.Settings(node)
	starts, limits, strides := gradients.Numbers(s.FieldByName("starts")), gradients.Numbers(s.FieldByName("limits")),
		gradients.Numbers(s.FieldByName("strides"))
	if starts[0] != 0 || node.Shape().Dimensions[0] != from.Shape().Dimensions[0] {
		return nil
	}
	if len(strides) == 0 {
		strides = slices.Repeat([]int{1}, len(starts))
	}
	var by [2]slide
	specs := make([]graph.SliceAxisSpec, len(starts))
	for axis := range specs {
		specs[axis] = graph.AxisRange(starts[axis], limits[axis]).Stride(strides[axis])
	}
	for i, axis := range v.axes {
		by[i] = slide{1, strides[axis], -starts[axis]}
		specs[axis] = graph.AxisRange().Stride(strides[axis])
	}
	return w.sliding(node, from, v, v.axes, by, anything,
		func(x *graph.Node) *graph.Node { return graph.Slice(x, specs...) })
}

// together is a node computed of inputs position by position: they are all brought to the smallest box that has what
// changes in any.
func (w *walk) together(node *graph.Node, v *part) *part {
	out := &part{axes: v.axes, changed: v.changed}
	for _, in := range node.Inputs() {
		live := w.values[in]
		if live == nil {
			if in.Rank() != 0 && in.Rank() != node.Rank() {
				return nil
			}
			continue
		}
		for i := range out.changed {
			if live.axes != out.axes || live.changed[i].length != out.changed[i].length ||
				live.changed[i].length != node.Shape().Dimensions[out.axes[i]] {
				return nil
			}
			out.changed[i] = out.changed[i].with(live.changed[i])
		}
	}
	if out.share() > mostOfIt {
		return nil
	}
	box := out.box()
	inputs := slices.Clone(node.Inputs())
	for i, in := range inputs {
		if live := w.values[in]; live != nil {
			inputs[i] = w.lay(in, live, box, anything)
		} else {
			inputs[i] = w.still(in, out, box)
		}
	}
	out.node = node.CloneWithInputs(inputs...)
	return out
}

// still is the box of a value that does not depend on the images.
func (w *walk) still(x *graph.Node, v *part, box [2]run) *graph.Node {
	if x.Rank() == 0 {
		return x
	}
	dims := slices.Clone(x.Shape().Dimensions)
	wide := false
	var sizes [2]int
	for i, axis := range v.axes {
		sizes[i] = 1
		if dims[axis] == v.changed[i].length {
			sizes[i] = box[i].size
		}
		wide = wide || sizes[i] != dims[axis]
		dims[axis] = sizes[i]
	}
	if !wide {
		return x
	}
	if x.Type() == graph.NodeTypeBroadcastInDim {
		of := x.Inputs()[0]
		fits := of.Rank() == 0 || of.Rank() == x.Rank()
		for axis, d := range of.Shape().Dimensions {
			fits = fits && (d == 1 || d == dims[axis])
		}
		if fits {
			return graph.BroadcastToDims(of, dims...)
		}
	}
	starts := [2]*graph.Node{}
	for i := range starts {
		start := box[i].start
		if x.Shape().Dimensions[v.axes[i]] == 1 {
			start = make([]int, len(start))
		}
		starts[i] = w.table(i, start)
	}
	many := x.Shape().Dimensions[0] != 1
	dims[0] = w.windows * w.images
	if many {
		return graph.Reshape(w.gather(w.byWindow(x), true, v.axes, starts, sizes), dims...)
	}
	x = w.gather(x, false, v.axes, starts, sizes) // [A, 1, ...]
	return w.forEach(x, dims)
}

// concatenation is along the channels, or the rows or columns, where only one value may be live.
func (w *walk) concatenation(node *graph.Node, v *part) *part {
	axis := int(gradients.Settings(node).FieldByName("axis").Int())
	if axis == 0 {
		return nil
	}
	i := slices.Index(v.axes[:], axis)
	if i < 0 {
		return w.together(node, v) // along the channels
	}
	before, seen := 0, false
	for _, in := range node.Inputs() {
		switch {
		case w.values[in] == nil && !seen:
			before += in.Shape().Dimensions[axis]
		case w.values[in] != nil && seen:
			return nil
		case w.values[in] != nil:
			seen = true
		}
	}
	out := *v
	out.changed[i] = v.changed[i].moved(before, node.Shape().Dimensions[axis])
	return &out
}

// padding moves a box, unless channels are padded or positions left out.
func (w *walk) padding(node *graph.Node, v *part) *part {
	config := gradients.Settings(node).FieldByName("axesConfig")
	out := *v
	for axis := range node.Rank() {
		var start, end, interior int
		if axis < config.Len() {
			c := config.Index(axis)
			start, end, interior = int(c.FieldByName("Start").Int()), int(c.FieldByName("End").Int()),
				int(c.FieldByName("Interior").Int())
		}
		i := slices.Index(v.axes[:], axis)
		if start < 0 || end < 0 || interior != 0 || i < 0 && start+end > 0 {
			return nil
		}
		if i >= 0 {
			out.changed[i] = v.changed[i].moved(start, node.Shape().Dimensions[axis])
		}
	}
	if w.values[node.Inputs()[1]] != nil {
		return nil
	}
	return &out
}

func (w *walk) transposition(node *graph.Node, v *part) *part {
	order := gradients.Numbers(gradients.Settings(node).FieldByName("permutation"))
	if order[0] != 0 {
		return nil
	}
	out := &part{node: node.CloneWithInputs(v.node), changed: v.changed}
	for i, axis := range v.axes {
		out.axes[i] = slices.Index(order, axis)
	}
	return out
}

// reshape is one that leaves rows and columns, and all that is before or after them, as they are.
func (w *walk) reshape(node, from *graph.Node, v *part) *part {
	in, dims := from.Shape().Dimensions, slices.Clone(node.Shape().Dimensions)
	first, last := min(v.axes[0], v.axes[1]), max(v.axes[0], v.axes[1])
	out := &part{axes: v.axes, changed: v.changed}
	tail := len(in) - first
	switch {
	case len(dims) > last && slices.Equal(in[:last+1], dims[:last+1]):
	case len(dims) > tail && dims[0] == in[0] && slices.Equal(in[first:], dims[len(dims)-tail:]):
		for i := range out.axes {
			out.axes[i] += len(dims) - len(in)
		}
	default:
		return nil
	}
	for i, r := range out.box() {
		dims[out.axes[i]] = r.size
	}
	out.node = graph.Reshape(v.node, dims...)
	return out
}

// broadcast is one along other axes than rows and columns.
func (w *walk) broadcast(node, from *graph.Node, v *part) *part {
	dims := slices.Clone(node.Shape().Dimensions)
	if from.Rank() != node.Rank() || dims[0] != from.Shape().Dimensions[0] {
		return nil
	}
	for i, r := range v.box() {
		axis := v.axes[i]
		if dims[axis] != from.Shape().Dimensions[axis] {
			return nil
		}
		dims[axis] = r.size
	}
	return &part{node: graph.BroadcastToDims(v.node, dims...), axes: v.axes, changed: v.changed}
}

// reduction is one over other axes than images, rows and columns.
func (w *walk) reduction(node *graph.Node, v *part) *part {
	over := gradients.Numbers(gradients.Settings(node).FieldByName("axes"))
	out := &part{axes: v.axes, changed: v.changed}
	for _, axis := range over {
		if axis == 0 || slices.Contains(v.axes[:], axis) {
			return nil
		}
		for i := range out.axes {
			if axis < v.axes[i] {
				out.axes[i]--
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	out.node = node.CloneWithInputs(v.node)
	return out
}

func (v *part) box() [2]run { return [2]run{v.changed[0].box(), v.changed[1].box()} }

// share is which part of an activation the box is.
func (v *part) share() float64 {
	share := 1.0
	for _, s := range v.changed {
		share *= float64(s.box().size) / float64(s.length)
	}
	return share
}

// everything is the box of a whole activation.
func (v *part) everything() (all [2]run) {
	for i, s := range v.changed {
		all[i] = run{make([]int, len(s.lo)), s.length}
	}
	return all
}

// lay is a region of a live node, [A·B, ...]: what has been computed of it laid over what the base has there.
func (w *walk) lay(node *graph.Node, v *part, region [2]run, f filler) *graph.Node {
	x := w.cut(v, region)
	var inside *graph.Node
	for i, box := range v.box() {
		offset := box.after(region[i])
		if slices.Max(offset) <= 0 && slices.Min(offset)+box.size >= region[i].size {
			continue // all of the region has been computed
		}
		position := graph.Iota(w.g, shapes.Make(dtypes.Int32, w.windows, region[i].size), 1)
		position = graph.Sub(position, graph.ExpandAxes(w.table(i, offset), 1))
		here := graph.LogicalAnd(graph.GreaterOrEqual(position, graph.ZerosLike(position)),
			graph.LessThan(position, graph.Scalar(w.g, dtypes.Int32, box.size)))
		dims := slices.Repeat([]int{1}, x.Rank()+1)
		dims[0], dims[v.axes[i]+1] = w.windows, region[i].size
		here = graph.Reshape(here, dims...)
		if inside == nil {
			inside = here
		} else {
			inside = graph.LogicalAnd(inside, here)
		}
	}
	if inside == nil {
		return x
	}
	dims := x.Shape().Dimensions
	wide := append([]int{w.windows, w.images}, dims[1:]...)
	return graph.Where(graph.Reshape(graph.BroadcastToDims(inside, wide...), dims...), x,
		w.read(node, v.axes, region, f, dims))
}

// cut is a region as far as it has been computed, with zeros elsewhere.
func (w *walk) cut(v *part, region [2]run) *graph.Node {
	x := v.node
	pads := make([]graph.PadAxis, x.Rank())
	var from [2][]int // where the region starts in what is padded
	var sizes [2]int
	padded, fixed := false, true
	for i, box := range v.box() {
		offset := box.after(region[i])
		before := max(0, slices.Max(offset))
		after := max(0, region[i].size-box.size-slices.Min(offset))
		pads[v.axes[i]] = graph.PadAxis{Start: before, End: after}
		padded = padded || before+after > 0
		for _, o := range offset {
			from[i] = append(from[i], before-o)
		}
		fixed = fixed && constant(from[i])
		sizes[i] = region[i].size
	}
	if padded {
		x = graph.Pad(x, graph.ScalarZero(w.g, x.DType()), pads...)
	}
	if fixed {
		return fixedSlice(x, v.axes, from, sizes)
	}
	dims := slices.Clone(x.Shape().Dimensions)
	for i, axis := range v.axes {
		dims[axis] = sizes[i]
	}
	return graph.Reshape(w.gather(w.byWindow(x), true, v.axes, [2]*graph.Node{w.table(0, from[0]), w.table(1, from[1])},
		sizes), dims...)
}

// read is a region of the base, [A·B, ...] of the dimensions dims.
func (w *walk) read(node *graph.Node, axes [2]int, region [2]run, f filler, dims []int) *graph.Node {
	var pad [2][2]int
	for i, r := range region {
		pad[i] = [2]int{max(0, -slices.Min(r.start)), max(0, slices.Max(r.start)+r.size-w.length(node, i, axes))}
	}
	if pad == [2][2]int{} {
		f = anything
	}
	base, pad := w.base(node, axes, f, pad)
	var from [2][]int
	var sizes [2]int
	for i, r := range region {
		sizes[i] = r.size
		for _, start := range r.start {
			from[i] = append(from[i], start+pad[i][0])
		}
	}
	if constant(from[0]) && constant(from[1]) {
		return w.forEach(graph.ExpandAxes(fixedSlice(base, axes, from, sizes), 0), dims)
	}
	return graph.Reshape(w.gather(base, false, axes, [2]*graph.Node{w.table(0, from[0]), w.table(1, from[1])}, sizes),
		dims...)
}

// length is that of a live node's axis; no node stands for the images.
func (w *walk) length(node *graph.Node, i int, axes [2]int) int {
	if node == nil {
		return []int{w.l.m.Spec().Height, w.l.m.Spec().Width}[i]
	}
	return node.Shape().Dimensions[axes[i]]
}

// gather takes from x, [B, ...], a box for each window, [A, B, ...], or, where x is [A, B, ...], each window's own from
// its part.
func (w *walk) gather(x *graph.Node, own bool, axes [2]int, starts [2]*graph.Node, sizes [2]int) *graph.Node {
	if axes[0] > axes[1] {
		axes[0], axes[1], starts[0], starts[1], sizes[0], sizes[1] = axes[1], axes[0], starts[1], starts[0],
			sizes[1], sizes[0]
	}
	if !own {
		return graph.GatherSlices(x, axes[:], graph.Stack(starts[:], 1), sizes[:], false)
	}
	number := graph.Iota(w.g, shapes.Make(dtypes.Int32, w.windows), 0)
	return graph.GatherSlices(x, []int{0, axes[0] + 1, axes[1] + 1},
		graph.Stack([]*graph.Node{number, starts[0], starts[1]}, 1), []int{1, sizes[0], sizes[1]}, false)
}

// byWindow is [A·B, ...] as [A, B, ...].
func (w *walk) byWindow(x *graph.Node) *graph.Node {
	return graph.Reshape(x, append([]int{w.windows, w.images}, x.Shape().Dimensions[1:]...)...)
}

// forEach repeats x, [A or 1, B or 1, ...], to [A·B, ...] of the dimensions dims.
func (w *walk) forEach(x *graph.Node, dims []int) *graph.Node {
	return graph.Reshape(graph.BroadcastToDims(x, append([]int{w.windows, w.images}, dims[1:]...)...), dims...)
}

// table is, for each window, [A], the value of its place along an axis.
func (w *walk) table(i int, values []int) *graph.Node {
	list := make([]int32, len(values))
	for p, v := range values {
		list[p] = int32(v)
	}
	if constant(values) {
		return graph.BroadcastToDims(graph.Scalar(w.g, dtypes.Int32, values[0]), w.windows)
	}
	return graph.Gather(graph.Const(w.g, list), graph.Slice(w.at, graph.AxisRange(), graph.AxisRange(i, i+1)))
}

func fixedSlice(x *graph.Node, axes [2]int, from [2][]int, sizes [2]int) *graph.Node {
	specs := slices.Repeat([]graph.SliceAxisSpec{graph.AxisRange()}, x.Rank())
	all := true
	for i, axis := range axes {
		all = all && sizes[i] == x.Shape().Dimensions[axis]
		specs[axis] = graph.AxisRange(from[i][0], from[i][0]+sizes[i])
	}
	if all {
		return x
	}
	return graph.Slice(x, specs...)
}
