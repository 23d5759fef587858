package onnx

import (
	"github.com/gomlx/gomlx/core/graph"
)

// Operators that normalise. Values are [N, C, spatial...], or of any axes where the operator says from which on.
func init() {
	operator("BatchNormalization", 5, 5, func(c *call) {
		c.ignore("consumed_inputs")
		momentum, training := c.float("momentum", 0.9), c.flag("training_mode")
		if training && c.in[0].moved { // of weights, as weight standardisation is exported, it is what it says
			c.refuse("training_mode=1: export the network in evaluation mode")
		}
		if c.attr("is_test", attrInt) != nil && c.opset < 7 && !c.flag("is_test") {
			c.refuse("is_test=0: export the network in evaluation mode")
		}
		if c.int("spatial", 1) != 1 {
			c.refuse("spatial=0")
		}
		x := c.x(0)
		if x.Rank() < 2 {
			c.refuse("an input of %v", x.Shape().Dimensions)
		}
		channels, over, turned := 1, append([]int{0}, trailing(2, x.Rank())...), c.isTurned(x)
		if turned {
			x, channels, over = c.last(x), 3, []int{0, 1, 2}
		}
		var v [4]*graph.Node
		for i := range v {
			if v[i] = c.x(1 + i); v[i].Shape().Size() != x.Shape().Dimensions[channels] {
				c.refuse("statistics of %v for %v", v[i].Shape().Dimensions, c.dims(0))
			}
			v[i] = alongAxes(v[i], channels, x.Rank())
		}
		var running []*graph.Node
		if training {
			mean := graph.ReduceAndKeep(x, graph.ReduceMean, over...)
			variance := graph.ReduceAndKeep(graph.Square(graph.Sub(x, mean)), graph.ReduceMean, over...)
			for i, now := range []*graph.Node{mean, variance} {
				next := graph.Add(graph.MulScalar(v[2+i], momentum), graph.MulScalar(now, 1-momentum))
				running = append(running, graph.Reshape(next, next.Shape().Size()))
				v[2+i] = now
			}
		}
		deviation := graph.Sqrt(graph.AddScalar(v[3], c.float("epsilon", 1e-5)))
		y := graph.Add(graph.Mul(graph.Div(graph.Sub(x, v[2]), deviation), v[0]), v[1])
		if turned {
			y = c.first(y)
		}
		c.result(append([]*graph.Node{y}, running...)...)
	})
	operator("InstanceNormalization", 3, 3, func(c *call) {
		c.ignore("consumed_inputs")
		x := c.x(0)
		c.spatial(x)
		if c.isTurned(x) {
			y := standardized(c.last(x), c.float("epsilon", 1e-5), 1, 2)
			c.result(c.first(graph.Add(graph.Mul(y, alongAxes(c.x(1), 3, 4)), alongAxes(c.x(2), 3, 4))))
			return
		}
		y := standardized(x, c.float("epsilon", 1e-5), trailing(2, x.Rank())...)
		c.result(graph.Add(graph.Mul(y, alongAxes(c.x(1), 1, x.Rank())), alongAxes(c.x(2), 1, x.Rank())))
	})
	operator("GroupNormalization", 3, 3, func(c *call) {
		c.ignore("stash_type")
		x := c.x(0)
		d := x.Shape().Dimensions
		groups := c.int("num_groups", 0)
		if len(d) < 2 || groups < 1 || d[1]%groups != 0 {
			c.refuse("num_groups=%d for %v", groups, d)
		}
		y := standardized(graph.Reshape(x, d[0], groups, product(d[1:])/groups), c.float("epsilon", 1e-5), 2)
		along := func(v *graph.Node) *graph.Node {
			if n := v.Shape().Size(); n == groups && n != d[1] { // a number a group, until opset 20
				v = graph.Reshape(graph.BroadcastToDims(graph.Reshape(v, groups, 1), groups, d[1]/groups), d[1])
			} else if n != d[1] {
				c.refuse("a scale of %v for %v", v.Shape().Dimensions, d)
			}
			return alongAxes(v, 1, len(d))
		}
		c.result(graph.Add(graph.Mul(graph.Reshape(y, d...), along(c.x(1))), along(c.x(2))))
	})
	operator("LayerNormalization", 2, 3, func(c *call) {
		c.ignore("stash_type")
		x := c.x(0)
		axis := c.axis(c.int("axis", -1), x.Rank())
		over, epsilon := trailing(axis, x.Rank()), c.float("epsilon", 1e-5)
		c.result(c.scaled(standardized(x, epsilon, over...), 1, 2))
		if len(c.node.outputs) > 1 {
			mean := graph.ReduceAndKeep(x, graph.ReduceMean, over...)
			variance := graph.ReduceAndKeep(graph.Square(graph.Sub(x, mean)), graph.ReduceMean, over...)
			c.result(mean, graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, epsilon))))
		}
	})
	rms := func(c *call) {
		c.ignore("stash_type")
		x := c.x(0)
		axis := c.axis(c.int("axis", -1), x.Rank())
		mean := graph.ReduceAndKeep(graph.Square(x), graph.ReduceMean, trailing(axis, x.Rank())...)
		c.result(c.scaled(graph.Div(x, graph.Sqrt(graph.AddScalar(mean, c.float("epsilon", 1e-5)))), 1, 2))
	}
	operator("RMSNormalization", 2, 2, rms)
	operator("SimplifiedLayerNormalization", 2, 2, rms)
	operator("com.microsoft.SimplifiedLayerNormalization", 2, 2, rms)
	skip := func(c *call) {
		n := c.together(c.x(0), c.x(1))
		x := graph.Add(n[0], n[1])
		if c.has(4) {
			n = c.together(x, c.x(4))
			x = graph.Add(n[0], n[1])
		}
		c.result(c.scaled(standardized(x, c.float("epsilon", 1e-12), x.Rank()-1), 2, 3), nil, nil, x)
	}
	operator("com.microsoft.SkipLayerNormalization", 3, 5, skip)
	operator("MeanVarianceNormalization", 1, 1, func(c *call) {
		x := c.x(0)
		axes := c.ints("axes")
		if axes == nil {
			axes = []int{0, 2, 3}
		}
		axes = c.axes(axes, x.Rank())
		centred := graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, axes...))
		variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, axes...)
		c.result(graph.Div(centred, graph.AddScalar(graph.Sqrt(variance), 1e-9)))
	})
	const channelwise = "BatchNormalization InstanceNormalization GroupNormalization"
	const fromAxis = `LayerNormalization RMSNormalization SimplifiedLayerNormalization com.microsoft.SimplifiedLayerNormalization
		com.microsoft.SkipLayerNormalization`
	stayApart(onFirstAxis, channelwise)
	stayApart(before("axis", -1), fromAxis)
	channelsLie(onSecondAxis, channelwise)
	haveWeights(channelwise + " " + fromAxis)
}

// standardized has the mean 0 and the variance 1 over axes.
func standardized(x *graph.Node, epsilon float64, axes ...int) *graph.Node {
	centred := graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, axes...))
	variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, axes...)
	return graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, epsilon)))
}

// scaled is a value times one input plus another, which may be missing.
func (c *call) scaled(x *graph.Node, scale, offset int) *graph.Node {
	n := c.together(x, c.x(scale))
	y := graph.Mul(n[0], n[1])
	if c.has(offset) {
		n = c.together(y, c.x(offset))
		y = graph.Add(n[0], n[1])
	}
	return y
}
