package onnx

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Operators that take values by their places, put them to places, or say where they are.
func init() {
	operator("Gather", 2, 2, (*call).gather)
	operator("GatherElements", 2, 2, func(c *call) {
		x, places := c.x(0), c.x(1)
		at := c.elementPlaces(x, places, c.axis(c.int("axis", 0), x.Rank()))
		flat := graph.Reshape(x, x.Shape().Size())
		c.result(graph.Gather(flat, graph.ExpandAxes(at, -1)))
	})
	operator("GatherND", 2, 2, func(c *call) {
		x, places := c.x(0), c.x(1)
		places, _ = c.batchPlaces(x, places, c.int("batch_dims", 0))
		c.result(graph.Gather(x, places))
	})
	operator("Scatter", 3, 3, (*call).scatterElements)
	operator("ScatterElements", 3, 3, (*call).scatterElements)
	operator("ScatterND", 3, 3, func(c *call) {
		x, places, updates := c.x(0), c.x(1), c.x(2)
		places, k := c.batchPlaces(x, places, 0)
		d := places.Shape().Dimensions
		if want := append(slices.Clone(d[:len(d)-1]), x.Shape().Dimensions[k:]...); !slices.Equal(updates.Shape().Dimensions,
			want) {
			c.refuse("updates of %v, where %v go to these places", updates.Shape().Dimensions, want)
		}
		c.result(c.scatter(x, places, updates, c.text("reduction", "none", "add", "max", "min")))
	})
	operator("OneHot", 3, 3, (*call).oneHot)
	operator("NonZero", 1, 1, (*call).nonZero)
	operator("Compress", 2, 2, func(c *call) {
		x := c.x(0)
		var places []int
		for i, v := range c.intsOf(1) {
			if v != 0 {
				places = append(places, i)
			}
		}
		axis := 0
		if a := c.attr("axis", attrInt); a == nil {
			x = graph.Reshape(x, x.Shape().Size())
		} else {
			axis = c.axis(int(a.i), x.Rank())
		}
		if len(places) > 0 && places[len(places)-1] >= x.Shape().Dimensions[axis] {
			c.refuse("a condition of %d for an axis of %d", c.shape(1).Size(), x.Shape().Dimensions[axis])
		}
		c.result(pick(x, axis, places))
	})
	operator("ArgMax", 1, 1, func(c *call) { c.argument(graph.ArgMax) })
	operator("ArgMin", 1, 1, func(c *call) { c.argument(graph.ArgMin) })
	operator("TopK", 1, 2, (*call).topK)
	operator("CumSum", 2, 2, (*call).cumSum)
	operator("ReverseSequence", 2, 2, func(c *call) {
		x, lengths := c.x(0), c.intsOf(1)
		batch, time := c.axis(c.int("batch_axis", 1), x.Rank()), c.axis(c.int("time_axis", 0), x.Rank())
		if len(lengths) != x.Shape().Dimensions[batch] {
			c.refuse("%d lengths for %v", len(lengths), x.Shape().Dimensions)
		}
		if x.Shape().Dimensions[time] > matrixLimit/16/max(len(lengths), 1) { // each has a place in a list
			c.refuse("%d sequences of %v, which are too many", len(lengths), x.Shape().Dimensions)
		}
		var parts []*graph.Node
		for i, n := range lengths {
			size := x.Shape().Dimensions[time]
			if n < 0 || n > size {
				c.refuse("sequence_lens=%v", lengths)
			}
			places := upTo(size)
			slices.Reverse(places[:n])
			parts = append(parts, pick(graph.SliceAxis(x, batch, graph.AxisRange(i, i+1)), time, places))
		}
		c.result(graph.Concatenate(parts, batch))
	})
	stayApart(notOver("axis", -1), "ArgMax ArgMin TopK")
	stayApart(notOver("axis", 0), "GatherElements")
	stayApart(takenAlong("axis", 0), "Gather")
	channelsLie(nowhere, "Gather GatherElements GatherND ArgMax ArgMin TopK")
	onlyForm("Gather")
}

// gather takes places of an axis: slices where they are known, which have better gradients.
func (c *call) gather() {
	x := c.x(0)
	axis := c.axis(c.int("axis", 0), x.Rank())
	d := x.Shape().Dimensions
	around := func(places []int) []int { return append(append(slices.Clone(d[:axis]), places...), d[axis+1:]...) }
	if c.in[1].known != nil && c.in[1].known.Size() <= 1<<12 {
		at := c.intsOf(1)
		steady := true // in steps of one
		for i, p := range at {
			if p < 0 {
				at[i] += d[axis]
			}
			if at[i] < 0 || at[i] >= d[axis] {
				c.refuse("the place %d of an axis of %d", p, d[axis])
			}
			steady = steady && (i == 0 || at[i] == at[i-1]+1)
		}
		if steady || len(at) <= 64 {
			c.result(graph.Reshape(pick(x, axis, at), around(c.dims(1))...))
			return
		}
	}
	places := graph.NormalizeIndices(x, c.x(1), axis)
	front := append(append([]int{axis}, upTo(axis)...), trailing(axis+1, x.Rank())...)
	taken := graph.Gather(transposed(x, front...), graph.ExpandAxes(places, -1)) // [places, before the axis, behind it]
	k := places.Rank()
	var perm []int
	for a := range axis {
		perm = append(perm, k+a)
	}
	perm = append(perm, upTo(k)...)
	c.result(transposed(taken, append(perm, trailing(k+axis, taken.Rank())...)...))
}

// elementPlaces are, for each place of an axis of x, its number among all of x's values. The other axes are where they
// are.
func (c *call) elementPlaces(x, places *graph.Node, axis int) *graph.Node {
	if x.Rank() != places.Rank() {
		c.refuse("indices of %v for %v", places.Shape().Dimensions, x.Shape().Dimensions)
	}
	places = graph.ConvertDType(graph.NormalizeIndices(x, places, axis), dtypes.Int64)
	var sum *graph.Node
	stride := 1
	for a := x.Rank() - 1; a >= 0; a-- {
		if a != axis && places.Shape().Dimensions[a] > x.Shape().Dimensions[a] {
			c.refuse("indices of %v for %v", places.Shape().Dimensions, x.Shape().Dimensions)
		}
		at := places
		if a != axis {
			at = graph.Iota(c.g, shapes.Make(dtypes.Int64, places.Shape().Dimensions...), a)
		}
		at = graph.MulScalar(at, float64(stride))
		if sum == nil {
			sum = at
		} else {
			sum = graph.Add(sum, at)
		}
		stride *= x.Shape().Dimensions[a]
	}
	return sum
}

// batchPlaces completes places, [..., K], by those of the first axes, which count along; negative ones are from the
// end. It returns how many axes the places then name.
func (c *call) batchPlaces(x, places *graph.Node, batch int) (complete *graph.Node, k int) {
	d := places.Shape().Dimensions
	if len(d) == 0 || batch < 0 || batch >= len(d) || batch+d[len(d)-1] > x.Rank() || d[len(d)-1] == 0 {
		c.refuse("indices of %v for %v and batch_dims=%d", d, x.Shape().Dimensions, batch)
	}
	places = graph.ConvertDType(places, dtypes.Int64)
	k = d[len(d)-1]
	lengths := make([]int64, k)
	for i := range lengths {
		lengths[i] = int64(x.Shape().Dimensions[batch+i])
	}
	length := to(constant(c, lengths, k), d)
	places = graph.Where(graph.LessThan(places, graph.ScalarZero(c.g, dtypes.Int64)), graph.Add(places, length), places)
	if batch == 0 {
		return places, k
	}
	one := slices.Clone(d)
	one[len(one)-1] = 1
	var all []*graph.Node
	for a := range batch {
		if d[a] != x.Shape().Dimensions[a] {
			c.refuse("indices of %v for %v and batch_dims=%d", d, x.Shape().Dimensions, batch)
		}
		all = append(all, graph.Iota(c.g, shapes.Make(dtypes.Int64, one...), a))
	}
	return graph.Concatenate(append(all, places), -1), k + batch
}

func (c *call) scatterElements() {
	x, places, updates := c.x(0), c.x(1), c.x(2)
	if !slices.Equal(places.Shape().Dimensions, updates.Shape().Dimensions) {
		c.refuse("indices of %v and updates of %v", places.Shape().Dimensions, updates.Shape().Dimensions)
	}
	at := c.elementPlaces(x, places, c.axis(c.int("axis", 0), x.Rank()))
	n := at.Shape().Size()
	flat := c.scatter(graph.Reshape(x, x.Shape().Size()), graph.Reshape(at, n, 1), graph.Reshape(updates, n),
		c.text("reduction", "none", "add", "max", "min"))
	c.result(graph.Reshape(flat, x.Shape().Dimensions...))
}

// scatter puts updates to places of x, [..., K]. What of several updates of one place remains is not said by ONNX.
func (c *call) scatter(x, places, updates *graph.Node, reduction string) *graph.Node {
	if updates.Shape().Size() == 0 {
		return graph.Identity(x)
	}
	switch reduction {
	case "add":
		return graph.ScatterSum(x, places, updates, false, false)
	case "max":
		return graph.ScatterMax(x, places, updates, false, false)
	case "min":
		return graph.ScatterMin(x, places, updates, false, false)
	}
	// The places are emptied and the updates added, which has a gradient. (Of a place that is named twice ONNX does not
	// say what remains; here it is the mean.)
	float := dtypes.Float32
	count := graph.ScatterSum(graph.Zeros(c.g, shapes.Make(float, x.Shape().Dimensions...)), places,
		graph.Ones(c.g, shapes.Make(float, updates.Shape().Dimensions...)), false, false)
	hit := graph.IsPositive(count)
	if x.DType() == dtypes.Bool {
		x, updates = graph.ConvertDType(x, dtypes.Int32), graph.ConvertDType(updates, dtypes.Int32)
		put := graph.ScatterSum(graph.ZerosLike(x), places, updates, false, false)
		return converted(graph.Where(hit, put, x), dtypes.Bool)
	}
	put := graph.ScatterSum(graph.ZerosLike(x), places, updates, false, false)
	put = graph.Div(put, graph.ConvertDType(graph.MaxScalar(count, 1), x.DType()))
	return graph.Where(hit, put, x)
}

func (c *call) oneHot() {
	places := c.x(0)
	if c.shape(1).Size() != 1 {
		c.refuse("depths %v", c.tensor(1))
	}
	depth := int(c.floatsOf(1)[0])
	values := c.x(2)
	if depth < 0 || depth > 1<<24 || values.Shape().Size() != 2 {
		c.refuse("depth=%d and values of %v", depth, values.Shape().Dimensions)
	}
	axis := c.axis(c.int("axis", -1), places.Rank()+1)
	values = graph.Reshape(values, 2)
	off, on := graph.Reshape(graph.SliceAxis(values, 0, graph.AxisRange(0, 1))),
		graph.Reshape(graph.SliceAxis(values, 0, graph.AxisRange(1, 2)))
	places = graph.ConvertDType(places, dtypes.Int64)
	places = graph.Where(graph.LessThan(places, graph.ScalarZero(c.g, dtypes.Int64)),
		graph.AddScalar(places, float64(depth)), places)
	dims := slices.Insert(slices.Clone(places.Shape().Dimensions), axis, depth)
	count := graph.Iota(c.g, shapes.Make(dtypes.Int64, dims...), axis)
	hit := graph.Equal(to(graph.ExpandAxes(places, axis), dims), count)
	c.result(graph.Where(hit, to(on, dims), to(off, dims)))
}

func (c *call) nonZero() {
	t := c.tensor(0)
	values := c.floatsOf(0)
	dims := t.Shape().Dimensions
	rank := len(dims)
	var found [][]int64
	for i, v := range values {
		if v == 0 {
			continue
		}
		at, rest := make([]int64, rank), i
		for a := rank - 1; a >= 0; a-- {
			at[a], rest = int64(rest%dims[a]), rest/dims[a]
		}
		found = append(found, at)
	}
	out := make([]int64, 0, rank*len(found))
	for a := range rank {
		for _, at := range found {
			out = append(out, at[a])
		}
	}
	c.knows(tensors.FromFlatDataAndDimensions(out, rank, len(found)))
}

// argument is the place of an axis' extreme value: of equal ones the first, or the last.
func (c *call) argument(of func(x *graph.Node, axis int, dtype ...dtypes.DType) *graph.Node) {
	x := c.x(0)
	axis := c.axis(c.int("axis", 0), x.Rank())
	last := c.flag("select_last_index")
	if last {
		x = graph.Reverse(x, axis)
	}
	at := graph.ConvertDType(of(x, axis), dtypes.Int64)
	if last {
		at = graph.AddScalar(graph.Neg(at), float64(x.Shape().Dimensions[axis]-1))
	}
	if c.int("keepdims", 1) != 0 {
		at = graph.ExpandAxes(at, axis)
	}
	c.result(at)
}

func (c *call) topK() {
	x := c.x(0)
	axis := c.axis(c.int("axis", -1), x.Rank())
	k := 0
	if a := c.attr("k", attrInt); a != nil {
		k = c.sane("k", a.i)
	} else {
		k = c.intOf(1)
	}
	if k < 0 || k > x.Shape().Dimensions[axis] {
		c.refuse("k=%d of an axis of %d", k, x.Shape().Dimensions[axis])
	}
	c.ignore("sorted") // they always are
	of := graph.BottomK
	if c.int("largest", 1) != 0 {
		of = graph.TopK
	}
	values, places := of(x, k, axis)
	c.result(values, graph.ConvertDType(places, dtypes.Int64))
}

func (c *call) cumSum() {
	x := c.x(0)
	axis := c.axis(c.intOf(1), x.Rank())
	exclusive, reverse := c.flag("exclusive"), c.flag("reverse")
	if reverse {
		x = graph.Reverse(x, axis)
	}
	sum := graph.CumSum(x, axis)
	if exclusive {
		sum = graph.Sub(sum, x)
	}
	if reverse {
		sum = graph.Reverse(sum, axis)
	}
	c.result(sum)
}
