package onnx

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/gradients"
)

// Operators that give values another form, take parts of them or put them together, and those that make values of
// none.
func init() {
	operator("Constant", 0, 0, (*call).constant)
	control("Shape", 1, 1, (*call).shapeOf)
	control("Size", 1, 1, func(c *call) { c.knowsInts([]int{c.shape(0).Size()}) })
	operator("ConstantOfShape", 1, 1, (*call).constantOfShape)
	operator("Range", 3, 3, (*call).rangeOf)
	operator("Reshape", 1, 2, (*call).reshape)
	operator("Flatten", 1, 1, func(c *call) {
		x := c.x(0)
		axis := c.int("axis", 1)
		if axis != x.Rank() {
			axis = c.axis(axis, x.Rank())
		}
		d := x.Shape().Dimensions
		c.result(graph.Reshape(x, product(d[:axis]), product(d[axis:])))
	})
	operator("Squeeze", 1, 2, (*call).squeeze)
	operator("Unsqueeze", 1, 2, func(c *call) {
		x := c.x(0)
		axes := c.intsGiven("axes", 1)
		axes = c.axes(axes, x.Rank()+len(axes))
		slices.Sort(axes)
		d := slices.Clone(x.Shape().Dimensions)
		for _, a := range axes {
			d = slices.Insert(d, a, 1)
		}
		c.result(graph.Reshape(x, d...))
	})
	operator("Transpose", 1, 1, func(c *call) {
		x := c.x(0)
		perm := c.ints("perm")
		if perm == nil {
			perm = upTo(x.Rank())
			slices.Reverse(perm)
		}
		if len(perm) != x.Rank() {
			c.refuse("perm=%v for %d axes", perm, x.Rank())
		}
		perm = c.axes(perm, x.Rank())
		switch {
		case slices.Equal(perm, []int{0, 3, 1, 2}):
			c.result(c.first(x))
		case slices.Equal(perm, []int{0, 2, 3, 1}):
			c.result(graph.Identity(c.last(x))) // a value of its own, with gradients of its own
		default:
			c.result(transposed(x, perm...))
		}
	})
	operator("Concat", 1, -1, (*call).concat)
	operator("Split", 1, 2, (*call).split)
	operator("Slice", 1, 5, (*call).slice)
	operator("Expand", 2, 2, func(c *call) {
		x, dims := c.x(0), c.sizesOf(1)
		c.result(to(x, c.broadcastShape(x.Shape().Dimensions, dims)))
	})
	operator("Tile", 2, 3, func(c *call) {
		x := c.x(0)
		repeats := c.intsOf(1)
		if c.opset < 6 {
			if len(c.in) != 3 {
				c.refuse("no axis")
			}
			times := c.intOf(1)
			repeats = slices.Repeat([]int{1}, x.Rank())
			repeats[c.axis(c.intOf(2), x.Rank())] = times
		}
		if len(repeats) != x.Rank() {
			c.refuse("%d repeats for %d axes", len(repeats), x.Rank())
		}
		for axis, n := range repeats {
			if n == 0 {
				x = nothing(x, axis)
			}
		}
		// Each axis as two, of which the first counts the repeats: a node for each repeat would be as many as a file
		// says.
		var one, many, all []int
		size := x.Shape().Size()
		for axis, d := range x.Shape().Dimensions {
			n := max(repeats[axis], 1)
			if repeats[axis] < 0 || size > 0 && n > valueLimit*max(c.count, 1)/size {
				c.refuse("repeats=%v", repeats)
			}
			size *= n
			one, many, all = append(one, 1, d), append(many, n, d), append(all, n*d)
		}
		c.result(graph.Reshape(graph.BroadcastToDims(graph.Reshape(x, one...), many...), all...))
	})
	operator("Pad", 1, 4, (*call).pad)
	operator("Trilu", 1, 2, func(c *call) {
		x := c.x(0)
		if x.Rank() < 2 {
			c.refuse("an input of %d axes", x.Rank())
		}
		k := 0
		if c.has(1) {
			k = c.intOf(1)
		}
		d := x.Shape().Dimensions
		plane := shapes.Make(dtypes.Int32, d[len(d)-2], d[len(d)-1])
		apart := graph.Sub(graph.Iota(c.g, plane, 1), graph.Iota(c.g, plane, 0))
		at := graph.Scalar(c.g, dtypes.Int32, min(max(k, math.MinInt32+1), math.MaxInt32))
		keep := graph.LessOrEqual(apart, at)
		if c.int("upper", 1) != 0 {
			keep = graph.GreaterOrEqual(apart, at)
		}
		c.result(graph.Where(to(keep, d), x, graph.ZerosLike(x)))
	})
	operator("EyeLike", 1, 1, func(c *call) {
		d := c.dims(0)
		if len(d) != 2 {
			c.refuse("an input of %d axes", len(d))
		}
		dtype := c.real(c.shape(0).DType)
		if kind := c.int("dtype", 0); kind != 0 {
			dtype = c.dtype(kind)
		}
		plane := shapes.Make(dtypes.Int32, d...)
		apart := graph.Sub(graph.Iota(c.g, plane, 1), graph.Iota(c.g, plane, 0))
		c.result(converted(graph.Equal(apart, graph.Scalar(c.g, dtypes.Int32, c.int("k", 0))), dtype))
	})
	operator("DepthToSpace", 1, 1, (*call).depthToSpace)
	operator("SpaceToDepth", 1, 1, (*call).spaceToDepth)
	operator("CenterCropPad", 2, 2, (*call).centerCropPad)
	stayApart(always, "Squeeze Unsqueeze Transpose Slice Expand Tile Pad CenterCropPad")
	stayApart(onFirstAxis, "Reshape Flatten DepthToSpace SpaceToDepth")
	stayApart(notAlong("axis", 0), "Concat Split")
	channelsLie(ofTranspose, "Transpose")
	channelsLie(nowhere, "Reshape Flatten Shape Size Squeeze Unsqueeze")
	onlyForm("Constant ConstantOfShape Expand Range Shape Slice Split Squeeze Transpose Unsqueeze")
}

// transposed is graph.TransposeAllAxes, which leaves alone what is in its order.
func transposed(x *graph.Node, perm ...int) *graph.Node {
	if slices.IsSorted(perm) {
		return x
	}
	return graph.TransposeAllAxes(x, perm...)
}

func (c *call) constant() {
	if a := c.attr("value", attrTensor); a != nil {
		known, err := c.builder.read(a.t)
		if err != nil {
			c.refuse("%v", err)
		}
		c.out = []*value{{known: known, kind: a.t.kind}}
		return
	}
	one := func(name string, kind int) *attribute {
		if c.node.attribute(name) == nil {
			return nil
		}
		return c.attr(name, kind)
	}
	if a := one("value_int", attrInt); a != nil {
		c.knows(tensors.FromScalar(a.i))
	} else if a := one("value_ints", attrInts); a != nil {
		c.knows(tensors.FromFlatDataAndDimensions(slices.Clone(a.ints), len(a.ints)))
	} else if a := one("value_float", attrFloat); a != nil {
		c.knows(tensors.FromScalar(a.f))
	} else if a := one("value_floats", attrFloats); a != nil {
		c.knows(tensors.FromFlatDataAndDimensions(slices.Clone(a.floats), len(a.floats)))
	} else if len(c.node.attributes) == 0 {
		c.refuse("no value")
	}
}

// shapeOf is known although the value is not.
func (c *call) shapeOf() {
	d := c.dims(0)
	clamp := func(at int) int {
		if at < 0 {
			at += len(d)
		}
		return min(max(at, 0), len(d))
	}
	from, end := clamp(c.int("start", 0)), clamp(c.int("end", len(d)))
	if end < from {
		end = from
	}
	c.knowsInts(d[from:end], end-from)
}

// sizesOf are an input's values, each of which is the length of an axis.
func (c *call) sizesOf(i int) []int {
	sizes := c.intsOf(i)
	total := 1
	for _, d := range sizes {
		if d < 0 || d > 0 && total > valueLimit*max(c.count, 1)/d {
			c.refuse("the shape %v", sizes)
		}
		total *= d
	}
	return sizes
}

func (c *call) broadcastShape(a, b []int) []int {
	rank := max(len(a), len(b))
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
		for _, d := range [][]int{a, b} {
			if at := i - (rank - len(d)); at >= 0 && d[at] != 1 {
				if dims[i] != 1 && dims[i] != d[at] {
					c.refuse("the shapes %v and %v, which do not fit each other", a, b)
				}
				dims[i] = d[at]
			}
		}
	}
	return dims
}

func (c *call) constantOfShape() {
	dims := c.sizesOf(0)
	value := tensors.FromScalar(float32(0))
	if a := c.attr("value", attrTensor); a != nil {
		known, err := c.builder.read(a.t)
		if err != nil || known.Size() != 1 {
			c.refuse("a value that is not one number")
		}
		value = known
	}
	one := graph.Reshape(c.constantOf(value))
	c.result(to(one, dims))
}

func (c *call) rangeOf() {
	dtype := c.real(c.shape(0).DType)
	start, limit, delta := c.floatOf(0), c.floatOf(1), c.floatOf(2)
	n := math.Ceil((limit - start) / delta)
	if delta == 0 || math.IsNaN(n) || n > foldLimit {
		c.refuse("the numbers from %g to %g by %g", start, limit, delta)
	}
	count := max(int(n), 0)
	if dtype.IsInt() {
		known := make([]int64, count)
		for i := range known {
			known[i] = int64(start) + int64(i)*int64(delta)
		}
		if dtype == dtypes.Int64 {
			c.knows(tensors.FromFlatDataAndDimensions(known, count))
			return
		}
		c.result(converted(constant(c, known, count), dtype))
		return
	}
	known := make([]float64, count)
	for i := range known {
		known[i] = start + float64(i)*delta
	}
	c.result(converted(constant(c, known, count), dtype))
}

// reshape takes a 0 for the axis that was there, unless allowzero is set, and a -1 for what is left.
func (c *call) reshape() {
	x := c.x(0)
	given := c.ints("shape")
	c.ignore("consumed_inputs")
	if given == nil {
		given = c.intsOf(1)
	}
	dims := slices.Clone(given)
	zeroIsZero := c.flag("allowzero")
	d, size := x.Shape().Dimensions, x.Shape().Size()
	open, rest := -1, 1
	for i, v := range dims {
		switch {
		case v == 0 && !zeroIsZero:
			if i >= len(d) {
				c.refuse("the shape %v, of which the 0 stands for no axis of %v", given, d)
			}
			dims[i] = d[i]
		case v == -1 && open < 0:
			open = i
			continue
		case v < 0 || v > valueLimit*max(c.count, 1):
			c.refuse("the shape %v", given)
		}
		rest *= dims[i]
		if rest > valueLimit*max(c.count, 1) {
			c.refuse("the shape %v", given)
		}
	}
	if c.images > 1 && len(dims) > 0 && c.in[0].moved {
		dims = c.forImages(dims, open, rest, size, d)
		rest = 1
		for i, v := range dims {
			if i != open {
				rest *= v
			}
		}
	}
	if open >= 0 {
		if rest == 0 || size%rest != 0 {
			c.refuse("the shape %v for %v", given, d)
		}
		dims[open] = size / rest
	}
	if product(dims) != size {
		c.refuse("the shape %v for %v", given, d)
	}
	c.result(graph.Reshape(x, dims...))
}

// forImages is a shape that the file says for one image, for several.
func (c *call) forImages(dims []int, open, rest, size int, d []int) []int {
	dims = slices.Clone(dims)
	switch {
	case open < 0 && rest*c.images == size:
		dims[0] *= c.images
	case open > 0 && dims[0] == 1 && d[0] != 1:
		dims[0] = c.images
	}
	return dims
}

func (c *call) squeeze() {
	x := c.x(0)
	d := x.Shape().Dimensions
	axes := c.intsGiven("axes", 1)
	if axes == nil && !(c.node.attribute("axes") != nil) {
		for a, n := range d {
			if n == 1 && !(a == 0 && c.in[0].moved) { // an image alone keeps its axis
				axes = append(axes, a)
			}
		}
	}
	axes = c.axes(axes, len(d))
	var left []int
	for a, n := range d {
		if !slices.Contains(axes, a) {
			left = append(left, n)
		} else if n != 1 {
			c.refuse("the axis %d to be taken away, of the length %d in %v", a, n, d)
		}
	}
	c.result(graph.Reshape(x, left...))
}

func (c *call) concat() {
	nodes := c.xs()
	axis := c.int("axis", 1)
	if c.node.attribute("axis") == nil && c.opset >= 4 {
		c.refuse("no axis")
	}
	axis = c.axis(axis, nodes[0].Rank())
	if c.images > 1 && axis > 0 {
		for i, n := range nodes { // what is the same for all images goes with each
			if d := slices.Clone(n.Shape().Dimensions); !c.in[i].moved && d[0] == 1 {
				d[0] = c.images
				nodes[i] = graph.BroadcastToDims(n, d...)
			}
		}
	}
	var some []*graph.Node
	for _, n := range nodes { // GoMLX joins nothing to nothing
		if n.Rank() != nodes[0].Rank() {
			c.refuse("inputs of %v", shapesOf(nodes))
		}
		if n.Shape().Dimensions[axis] > 0 {
			some = append(some, n)
		}
	}
	switch len(some) {
	case 0:
		c.result(nodes[0])
	case 1:
		c.result(graph.Identity(some[0]))
	case len(c.in):
		if nodes[0].Rank() == 4 && slices.ContainsFunc(some, c.isTurned) {
			for i, n := range some {
				some[i] = c.last(n)
			}
			c.result(c.first(graph.Concatenate(some, lastAxis[axis])))
			return
		}
		fallthrough
	default:
		c.result(graph.Concatenate(some, axis))
	}
}

func (c *call) split() {
	x := c.x(0)
	axis := c.axis(c.int("axis", 0), x.Rank())
	size, n := x.Shape().Dimensions[axis], len(c.node.outputs)
	parts := c.intsGiven("split", 1)
	if count := c.int("num_outputs", n); count != n {
		c.refuse("num_outputs=%d and %d outputs", count, n)
	}
	if parts == nil {
		each := (size + n - 1) / n
		for left := size; len(parts) < n; left -= each {
			parts = append(parts, max(min(each, left), 0))
		}
	}
	total := 0
	for _, p := range parts {
		if p < 0 {
			c.refuse("split=%v", parts)
		}
		total += p
	}
	if len(parts) != n || total != size {
		c.refuse("split=%v of an axis of %d into %d outputs", parts, size, n)
	}
	from := 0
	for _, p := range parts {
		if p == 0 {
			c.result(nothing(x, axis))
		} else {
			part := graph.AxisRange(from, from+p)
			if c.isTurned(x) {
				c.result(c.first(graph.SliceAxis(c.last(x), lastAxis[axis], part)))
			} else {
				c.result(graph.SliceAxis(x, axis, part))
			}
		}
		from += p
	}
}

func (c *call) slice() {
	x := c.x(0)
	starts, ends, axes := c.intsGiven("starts", 1), c.intsGiven("ends", 2), c.intsGiven("axes", 3)
	if axes == nil {
		axes = upTo(len(starts))
	}
	steps := slices.Repeat([]int{1}, len(starts))
	if c.has(4) {
		steps = c.intsOf(4)
	}
	if len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		c.refuse("starts=%v, ends=%v, axes=%v and steps=%v, which are not as many", starts, ends, axes, steps)
	}
	axes = c.axes(axes, x.Rank())
	for i, axis := range axes {
		if steps[i] < 0 && axis == 0 && c.in[0].moved && x.Rank() > 1 {
			c.refuse("steps=%v along the axis of the images", steps)
		}
		x = c.sliceAxis(x, axis, starts[i], ends[i], steps[i])
	}
	c.result(x)
}

func (c *call) sliceAxis(x *graph.Node, axis, start, end, step int) *graph.Node {
	size := x.Shape().Dimensions[axis]
	if step == 0 || step == math.MinInt {
		c.refuse("steps=%d", step)
	}
	if start < 0 && start > math.MinInt+size {
		start += size
	}
	if end < 0 && end > math.MinInt+size {
		end += size
	}
	if step < 0 { // from behind: as if the axis were turned around
		start, end, step = min(max(start, -1), size-1), min(max(end, -1), size-1), -min(-step, size)
		if start <= end {
			return nothing(x, axis)
		}
		x = graph.Reverse(x, axis)
		return graph.SliceAxis(x, axis, graph.AxisRange(size-1-start, size-1-end).Stride(max(-step, 1)))
	}
	start, end = min(max(start, 0), size), min(max(end, 0), size)
	if start == 0 && end == size && step == 1 {
		return x
	}
	if end <= start {
		return nothing(x, axis)
	}
	return graph.SliceAxis(x, axis, graph.AxisRange(start, end).Stride(min(step, size)))
}

// nothing is a value without any place on an axis.
func nothing(x *graph.Node, axis int) *graph.Node {
	d := slices.Clone(x.Shape().Dimensions)
	d[axis] = 0
	return zeros(x, d...)
}

// padLimit is far above what a network on images pads.
const padLimit = 1 << 14

// pad joins the padding to the ends of axes: graph.Pad has no gradient.
func (c *call) pad() {
	x := c.x(0)
	pads := c.ints("paddings")
	if pads == nil {
		pads = c.intsGiven("pads", 1)
	}
	axes := upTo(x.Rank())
	if c.has(3) {
		axes = c.axes(c.intsOf(3), x.Rank())
	}
	if len(pads) != 2*len(axes) {
		c.refuse("pads=%v for %v", pads, x.Shape().Dimensions)
	}
	mode := c.text("mode", "constant", "reflect", "edge", "wrap")
	fill := graph.ScalarZero(c.g, x.DType())
	if v := c.attr("value", attrFloat); v != nil {
		fill = scalar(x, float64(v.f))
	}
	if c.has(2) {
		if fill = converted(c.x(2), x.DType()); fill.Shape().Size() != 1 {
			c.refuse("a value of %v", fill.Shape().Dimensions)
		}
		fill = graph.Reshape(fill)
	}
	for i, axis := range axes {
		before, after := pads[i], pads[i+len(axes)]
		if max(before, after) > padLimit || min(before, after) < -padLimit {
			c.refuse("pads=%v", pads)
		}
		x = c.padAxis(x, axis, before, after, mode, fill)
	}
	c.result(graph.Identity(x))
}

func (c *call) padAxis(x *graph.Node, axis, before, after int, mode string, fill *graph.Node) *graph.Node {
	size := x.Shape().Dimensions[axis]
	if before < 0 || after < 0 { // taken away first, as NumPy and onnxruntime do
		from, to := max(-before, 0), size-max(-after, 0)
		if to < from {
			c.refuse("negative pads that leave nothing of an axis of %d", size)
		}
		x = graph.SliceAxis(x, axis, graph.AxisRange(from, to))
		before, after, size = max(before, 0), max(after, 0), to-from
	}
	if before == 0 && after == 0 {
		return x
	}
	if mode == "constant" {
		filled := func(n int) *graph.Node {
			d := slices.Clone(x.Shape().Dimensions)
			d[axis] = n
			return graph.BroadcastToDims(fill, d...)
		}
		var parts []*graph.Node
		if before > 0 {
			parts = append(parts, filled(before))
		}
		if size > 0 {
			parts = append(parts, x)
		}
		if after > 0 {
			parts = append(parts, filled(after))
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return graph.Concatenate(parts, axis)
	}
	if size == 0 || mode == "reflect" && size == 1 && max(before, after) > 0 {
		c.refuse("the mode %s on an axis of %d", mode, size)
	}
	places := make([]int, 0, before+size+after)
	for p := -before; p < size+after; p++ {
		at := p
		switch mode {
		case "edge":
			at = min(max(p, 0), size-1)
		case "wrap":
			at = ((p % size) + size) % size
		case "reflect":
			period := 2 * (size - 1)
			at = ((p % period) + period) % period
			if at >= size {
				at = period - at
			}
		}
		places = append(places, at)
	}
	return pick(x, axis, places)
}

// pick takes places of an axis, which are known, as few pieces of it joined: each is a run upwards, downwards or of one
// place repeated.
func pick(x *graph.Node, axis int, places []int) *graph.Node {
	var parts []*graph.Node
	for i := 0; i < len(places); {
		j := i + 1
		step := 0
		if j < len(places) {
			step = places[j] - places[i]
		}
		if step < -1 || step > 1 {
			step = 2 // a place alone
		}
		for step != 2 && j < len(places) && places[j]-places[j-1] == step {
			j++
		}
		from, to := min(places[i], places[j-1]), max(places[i], places[j-1])
		part := graph.SliceAxis(x, axis, graph.AxisRange(from, to+1))
		switch {
		case step == -1 && j > i+1:
			part = graph.Reverse(part, axis)
		case step == 0 && j > i+1:
			d := slices.Clone(x.Shape().Dimensions)
			d[axis] = j - i
			part = graph.BroadcastToDims(part, d...)
		}
		parts = append(parts, part)
		i = j
	}
	switch len(parts) {
	case 0:
		return nothing(x, axis)
	case 1:
		return parts[0]
	}
	return graph.Concatenate(parts, axis)
}

func (c *call) imageDims() (n, channels, height, width int) {
	d := c.dims(0)
	if len(d) != 4 {
		c.refuse("an input of %v, other than [N, C, H, W]", d)
	}
	return d[0], d[1], d[2], d[3]
}

// blockSize is the attribute of that name.
func (c *call) blockSize() int {
	b := c.int("blocksize", 0)
	if b < 1 || b > 1<<10 {
		c.refuse("blocksize=%d", b)
	}
	return b
}

func (c *call) depthToSpace() {
	n, ch, h, w := c.imageDims()
	b := c.blockSize()
	if ch%(b*b) != 0 {
		c.refuse("blocksize=%d for %d channels", b, ch)
	}
	x := c.x(0)
	if c.text("mode", "DCR", "CRD") == "DCR" {
		x = graph.TransposeAllAxes(graph.Reshape(x, n, b, b, ch/(b*b), h, w), 0, 3, 4, 1, 5, 2)
	} else {
		x = graph.TransposeAllAxes(graph.Reshape(x, n, ch/(b*b), b, b, h, w), 0, 1, 4, 2, 5, 3)
	}
	c.result(graph.Reshape(x, n, ch/(b*b), h*b, w*b))
}

func (c *call) spaceToDepth() {
	n, ch, h, w := c.imageDims()
	b := c.blockSize()
	if h%b != 0 || w%b != 0 {
		c.refuse("blocksize=%d for %d x %d", b, h, w)
	}
	x := graph.Reshape(c.x(0), n, ch, h/b, b, w/b, b)
	if c.text("mode", "DCR", "CRD") == "DCR" {
		x = graph.TransposeAllAxes(x, 0, 3, 5, 1, 2, 4)
	} else {
		x = graph.TransposeAllAxes(x, 0, 1, 3, 5, 2, 4)
	}
	c.result(graph.Reshape(x, n, ch*b*b, h/b, w/b))
}

func (c *call) centerCropPad() {
	x, sizes := c.x(0), c.sizesOf(1)
	axes := upTo(x.Rank())
	if given := c.ints("axes"); given != nil {
		axes = c.axes(given, x.Rank())
	}
	if len(sizes) != len(axes) {
		c.refuse("%d sizes for %d axes", len(sizes), len(axes))
	}
	for i, axis := range axes {
		have, want := x.Shape().Dimensions[axis], sizes[i]
		if want > padLimit+have {
			c.refuse("the size %v", sizes)
		}
		switch {
		case want < have:
			from := (have - want) / 2
			x = graph.SliceAxis(x, axis, graph.AxisRange(from, from+want))
		case want > have:
			x = gradients.ZeroPad(x, axis, [2]int{(want - have) / 2, want - have - (want-have)/2})
		}
	}
	c.result(x)
}
