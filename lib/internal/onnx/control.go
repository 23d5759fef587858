package onnx

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Operators that build graphs of their own. What they do must be known before anything runs.
func init() {
	control("If", 1, 1, func(c *call) {
		then, otherwise := c.attr("then_branch", attrGraph), c.attr("else_branch", attrGraph)
		if then == nil || otherwise == nil {
			c.refuse("one branch alone")
		}
		if c.intOf(0) != 0 {
			c.out = c.graph(then.g)
		} else {
			c.out = c.graph(otherwise.g)
		}
	})
	control("Loop", 2, -1, (*call).loop)
	channelsLie(nowhere, "If Loop")
}

// loopLimit is how often a loop is unrolled.
const loopLimit = 1 << 10

// loop builds its body as often as it is known to run.
func (c *call) loop() {
	body := c.attr("body", attrGraph)
	if body == nil {
		c.refuse("no body")
	}
	times := -1
	if c.has(0) {
		times = c.intOf(0)
	}
	going := true
	if c.has(1) {
		going = c.intOf(1) != 0
	}
	state := slices.Clone(c.in[2:])
	if len(body.g.inputs) != 2+len(state) || len(body.g.outputs) < 1+len(state) {
		c.refuse("a body of %d inputs and %d outputs for %d values", len(body.g.inputs), len(body.g.outputs), len(state))
	}
	more := len(body.g.outputs) - 1 - len(state)
	collected := make([][]*graph.Node, more)
	for i := 0; going && (times < 0 || i < times); i++ {
		if i >= loopLimit {
			c.refuse("more than %d rounds", loopLimit)
		}
		in := append([]*value{{known: tensors.FromScalar(int64(i))}, {known: tensors.FromScalar(true)}}, state...)
		out := c.graph(body.g, in...)
		if out[0].known == nil {
			c.refuse("a condition that is computed from the image")
		}
		on, _ := wholeNumbers(out[0].known)
		going = len(on) == 1 && on[0] != 0
		state = out[1 : 1+len(state)]
		for k := range more {
			collected[k] = append(collected[k], graph.ExpandAxes(c.nodeOf(out[1+len(state)+k]), 0))
		}
	}
	c.out = state
	for k := range more {
		if len(collected[k]) == 0 {
			c.refuse("no round, which leaves the output %d empty", len(state)+k)
		}
		c.result(graph.Concatenate(collected[k], 0))
	}
}

// Attention, whose parts exporters of late write as one operator.
func init() {
	operator("Attention", 3, 7, (*call).attention)
	operator("RotaryEmbedding", 3, 4, (*call).rotaryEmbedding)
	operator("com.microsoft.MultiHeadAttention", 3, 4, func(c *call) {
		heads := c.int("num_heads", 0)
		c.ignore("mask_filter_value", "unidirectional")
		q, k, v := c.x(0), c.x(1), c.x(2)
		if heads < 1 || q.Rank() != 3 || k.Rank() != 3 || v.Rank() != 3 {
			c.refuse("inputs of %v and num_heads=%d", shapesOf([]*graph.Node{q, k, v}), heads)
		}
		if c.has(3) { // one bias behind the other
			bias := c.x(3)
			from := 0
			for _, p := range []**graph.Node{&q, &k, &v} {
				n := (*p).Shape().Dimensions[2]
				part := graph.SliceAxis(bias, 0, graph.AxisRange(from, from+n))
				*p = graph.Add(*p, graph.ExpandLeftToRank(part, 3))
				from += n
			}
		}
		q, k, v = c.heads(q, heads), c.heads(k, heads), c.heads(v, heads)
		scale := c.float("scale", 0)
		if scale == 0 {
			scale = rootOf(q)
		}
		y, _ := c.attend(q, k, v, nil, scale, 0, 0)
		c.result(joined(y))
	})
}

// rootOf is one over the root of how long a query is.
func rootOf(q *graph.Node) float64 {
	d := q.Shape().Dimensions
	return 1 / math.Sqrt(float64(d[len(d)-1]))
}

// heads parts [N, T, H·D] into [N, H, T, D].
func (c *call) heads(x *graph.Node, n int) *graph.Node {
	d := x.Shape().Dimensions
	if n < 1 || d[2]%n != 0 {
		c.refuse("%d heads for %v", n, d)
	}
	return graph.TransposeAllAxes(graph.Reshape(x, d[0], d[1], n, d[2]/n), 0, 2, 1, 3)
}

// joined puts heads together again.
func joined(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	return graph.Reshape(graph.TransposeAllAxes(x, 0, 2, 1, 3), d[0], d[2], d[1]*d[3])
}

// attend is attention of q [N, H, T, D] to k and v [N, H, S, D], with what is added to the scores, and those scores as
// the mode says: 0 plain, 1 softly capped, 2 with what is added, 3 after the softmax.
func (c *call) attend(q, k, v, added *graph.Node, scale, cap float64, mode int) (y, scores *graph.Node) {
	root := math.Sqrt(scale)
	plain := graph.DotGeneral(graph.MulScalar(q, root), []int{3}, []int{0, 1}, graph.MulScalar(k, root), []int{3},
		[]int{0, 1})
	s := plain
	stages := []*graph.Node{plain, nil, nil, nil}
	if cap > 0 {
		s = graph.MulScalar(graph.Tanh(graph.DivScalar(s, cap)), cap)
	}
	stages[1] = s
	if added != nil {
		n := c.together(s, added)
		s = graph.Add(n[0], n[1])
	}
	stages[2] = s
	if added == nil {
		s = graph.Softmax(s, -1)
	} else { // who may look at nothing sees nothing
		some := graph.GreaterThan(graph.ReduceAndKeep(s, graph.ReduceMax, -1), graph.Infinity(c.g, s.DType(), -1))
		dims := s.Shape().Dimensions
		s = graph.Softmax(graph.Where(to(some, dims), s, graph.ZerosLike(s)), -1)
		s = graph.Where(to(some, dims), s, graph.ZerosLike(s))
	}
	stages[3] = s
	return graph.DotGeneral(s, []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1}), stages[mode]
}

// attention is that of opset 23. https://onnx.ai/onnx/operators/onnx__Attention.html
func (c *call) attention() {
	c.ignore("softmax_precision")
	q, k, v := c.x(0), c.x(1), c.x(2)
	flat := q.Rank() == 3
	qHeads, kvHeads := c.int("q_num_heads", 0), c.int("kv_num_heads", 0)
	if flat {
		q, k, v = c.heads(q, qHeads), c.heads(k, kvHeads), c.heads(v, kvHeads)
	}
	if q.Rank() != 4 || k.Rank() != 4 || v.Rank() != 4 {
		c.refuse("inputs of %v", shapesOf([]*graph.Node{q, k, v}))
	}
	past := 0
	if c.has(4) != c.has(5) {
		c.refuse("a past key or a past value alone")
	}
	if c.has(4) {
		past = c.dims(4)[2]
		k, v = graph.Concatenate([]*graph.Node{c.x(4), k}, 2), graph.Concatenate([]*graph.Node{c.x(5), v}, 2)
	}
	presentK, presentV := k, v
	if n := q.Shape().Dimensions[1] / max(k.Shape().Dimensions[1], 1); n > 1 { // heads that share keys
		share := func(x *graph.Node) *graph.Node {
			d := x.Shape().Dimensions
			wide := graph.BroadcastToDims(graph.ExpandAxes(x, 2), d[0], d[1], n, d[2], d[3])
			return graph.Reshape(wide, d[0], d[1]*n, d[2], d[3])
		}
		k, v = share(k), share(v)
	}
	if q.Shape().Dimensions[1] != k.Shape().Dimensions[1] {
		c.refuse("%d heads that ask %d", q.Shape().Dimensions[1], k.Shape().Dimensions[1])
	}
	t, s := q.Shape().Dimensions[2], k.Shape().Dimensions[2]
	var added *graph.Node
	if c.has(3) {
		if added = c.x(3); added.DType() == dtypes.Bool {
			zero := graph.Zeros(c.g, shapes.Make(q.DType(), added.Shape().Dimensions...))
			added = graph.Where(added, zero, graph.Add(zero, graph.Infinity(c.g, q.DType(), -1)))
		}
		if n := added.Shape().Dimensions[added.Rank()-1]; n < s { // a shorter mask hides what is behind it
			added = c.padAxis(added, added.Rank()-1, 0, s-n, "constant", graph.Infinity(c.g, q.DType(), -1))
		}
	}
	if c.has(6) {
		c.refuse("nonpad_kv_seqlen")
	}
	before, behind := c.int("left_window_size", -1), c.int("right_window_size", -1)
	if c.flag("is_causal") {
		behind = 0
	}
	if before >= 0 || behind >= 0 { // only so many places before and behind each are looked at
		plane := shapes.Make(dtypes.Int32, t, s)
		far := graph.Sub(graph.Iota(c.g, plane, 1), graph.AddScalar(graph.Iota(c.g, plane, 0), float64(past)))
		hidden := graph.GreaterThan(far, scalar(far, float64(behind)))
		if behind < 0 {
			hidden = graph.ConvertDType(graph.ZerosLike(far), dtypes.Bool)
		}
		if before >= 0 {
			hidden = graph.LogicalOr(hidden, graph.LessThan(far, scalar(far, float64(-before))))
		}
		zero := graph.Zeros(c.g, shapes.Make(q.DType(), t, s))
		causal := graph.Where(hidden, graph.Add(zero, graph.Infinity(c.g, q.DType(), -1)), zero)
		if added == nil {
			added = causal
		} else {
			n := c.together(added, causal)
			added = graph.Add(n[0], n[1])
		}
	}
	scale := c.float("scale", 0)
	if scale == 0 {
		scale = rootOf(q)
	}
	mode := c.int("qk_matmul_output_mode", 0)
	if mode < 0 || mode > 3 {
		c.refuse("qk_matmul_output_mode=%d", mode)
	}
	y, scores := c.attend(q, k, v, added, scale, c.float("softcap", 0), mode)
	if flat {
		y = joined(y)
	}
	c.result(y, presentK, presentV, scores)
}

// rotaryEmbedding turns pairs of numbers by angles that grow with the place.
// https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
func (c *call) rotaryEmbedding() {
	x, cos, sin := c.x(0), c.x(1), c.x(2)
	flat := x.Rank() == 3
	heads := c.int("num_heads", 0)
	if flat {
		x = c.heads(x, heads)
	}
	if x.Rank() != 4 {
		c.refuse("an input of %v", x.Shape().Dimensions)
	}
	d := x.Shape().Dimensions // [N, H, T, D]
	turn := c.int("rotary_embedding_dim", 0)
	if turn == 0 {
		turn = d[3]
	}
	if turn < 2 || turn > d[3] || turn%2 != 0 {
		c.refuse("rotary_embedding_dim=%d of %d", turn, d[3])
	}
	if c.has(3) {
		at := graph.ExpandAxes(c.x(3), -1)
		cos, sin = graph.Gather(cos, at), graph.Gather(sin, at)
	}
	if n := cos.Shape().Dimensions; len(n) != 3 || n[2] != turn/2 {
		c.refuse("angles of %v", n)
	}
	cos, sin = graph.ExpandAxes(cos, 1), graph.ExpandAxes(sin, 1) // [N, 1, T, turn/2]
	rest := x
	if turn < d[3] {
		rest = graph.SliceAxis(x, 3, graph.AxisRange(turn, d[3]))
		x = graph.SliceAxis(x, 3, graph.AxisRange(0, turn))
	}
	pairs := c.flag("interleaved")
	var a, b *graph.Node
	if pairs {
		a, b = graph.SliceAxis(x, 3, graph.AxisRange(0, turn).Stride(2)),
			graph.SliceAxis(x, 3, graph.AxisRange(1, turn).Stride(2))
	} else {
		a, b = graph.SliceAxis(x, 3, graph.AxisRange(0, turn/2)), graph.SliceAxis(x, 3, graph.AxisRange(turn/2, turn))
	}
	re := graph.Sub(graph.Mul(cos, a), graph.Mul(sin, b))
	im := graph.Add(graph.Mul(sin, a), graph.Mul(cos, b))
	var y *graph.Node
	if pairs {
		y = graph.Reshape(graph.Stack([]*graph.Node{re, im}, -1), d[0], d[1], d[2], turn)
	} else {
		y = graph.Concatenate([]*graph.Node{re, im}, 3)
	}
	if turn < d[3] {
		y = graph.Concatenate([]*graph.Node{y, rest}, 3)
	}
	if flat {
		y = joined(y)
	}
	c.result(y)
}
