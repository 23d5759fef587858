package pretrained

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// swin are torchvision's transformers in windows that shift: Liu et al., ICCV 2021.
var swin = family{
	name: "Swin",
	marks: []string{
		"features.0.0.weight", "features.0.2.weight", "features.1.0.attn.relative_position_bias_table",
		"features.1.0.mlp.3.weight", "head.weight",
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.ln("features.0.2", n.convAt("features.0.0", x, 4, 0), 1e-5)
		for stage := 1; n.has(fmt.Sprintf("features.%d.0.norm1.weight", stage)); stage += 2 {
			if stage > 1 {
				x = n.merged(fmt.Sprintf("features.%d", stage-1), x)
			}
			for i := range n.count(0, "features.%d.%d.norm1.weight", stage) {
				x = n.swinBlock(fmt.Sprintf("features.%d.%d", stage, i), x, i%2 == 1, "mlp.0", "mlp.3")
			}
		}
		return n.linear("head", n.meanPool("avgpool", n.ln("norm", x, 1e-5)))
	},
}

// timmSwin are timm's.
var timmSwin = family{
	name: "Swin (timm)",
	marks: []string{
		"patch_embed.proj.weight", "patch_embed.norm.weight",
		"layers.0.blocks.0.attn.relative_position_bias_table", "layers.0.blocks.0.mlp.fc2.weight",
		"norm.weight",
	},
	title: func(shapes) string { return "Swin" },
	size: func(w shapes) int { // the windows divide the rows: 7 at 224 pixels, 12 at 384, 8 at 256
		return 32 * windowOf(w.dim("layers.0.blocks.0.attn.relative_position_bias_table", 0))
	},
	build: func(n *net, x *graph.Node) *graph.Node {
		x = n.ln("patch_embed.norm", n.convAt("patch_embed.proj", x, 4, 0), 1e-5)
		stages := n.count(0, "layers.%d.blocks.0.norm1.weight")
		late := n.has("layers.0.downsample.reduction.weight") // until timm 0.9
		for stage := range stages {
			name := fmt.Sprintf("layers.%d", stage)
			if stage > 0 && !late {
				x = n.merged(name+".downsample", x)
			}
			for i := range n.count(0, "layers.%d.blocks.%d.norm1.weight", stage) {
				x = n.swinBlock(fmt.Sprintf("%s.blocks.%d", name, i), x, i%2 == 1, "mlp.fc1", "mlp.fc2")
			}
			if late && stage < stages-1 {
				x = n.merged(name+".downsample", x)
			}
		}
		x = n.meanPool("head.global_pool", n.ln("norm", x, 1e-5))
		if n.has("head.fc.weight") {
			return n.linear("head.fc", x)
		}
		return n.linear("head", x)
	},
}

// merged puts four neighbours into one.
func (n *net) merged(name string, x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	if d[1]%2 != 0 || d[2]%2 != 0 {
		n.refuse("%s halves %d x %d places", name, d[1], d[2])
	}
	x = graph.Reshape(x, d[0], d[1]/2, 2, d[2]/2, 2, d[3])
	x = graph.Reshape(graph.TransposeAllAxes(x, 0, 1, 3, 4, 2, 5), d[0], d[1]/2, d[2]/2, 4*d[3])
	return n.b.Record(name, graph.Einsum("nhwc,kc->nhwk", n.ln(name+".norm", x, 1e-5),
		n.b.Weight(name+".reduction.weight")))
}

// mostWindow is how many rows a window has at most: what its places are to each other grows with the fourth power.
const mostWindow = 32

// windowOf is the side of the window whose places have so many positions to each other, (2·side-1)².
func windowOf(positions int) int { return (int(math.Round(math.Sqrt(float64(positions)))) + 1) / 2 }

// swinBlock attends within windows, every second time within shifted ones.
func (n *net) swinBlock(name string, x *graph.Node, shifted bool, in, out string) *graph.Node {
	const epsilon = 1e-5
	table := n.dims(name + ".attn.relative_position_bias_table")
	window, heads := windowOf(table[0]), table[1]
	d := x.Shape().Dimensions
	if window < 1 || window > mostWindow || (2*window-1)*(2*window-1) != table[0] {
		n.refuse("%s has a table of %v, which is of no window", name, table)
	}
	if d[1]%window != 0 || d[2]%window != 0 || channelsOf(x)%heads != 0 {
		n.refuse("%s has windows of %d for %d x %d places: the network is for images of another size", name, window,
			d[1], d[2])
	}
	shift := 0
	if shifted && d[1] > window {
		shift = window / 2
	}
	y := n.ln(name+".norm1", x, epsilon)
	y = rolled(y, shift)
	y = n.windowAttention(name+".attn", y, window, shift, heads)
	y = rolled(y, -shift)
	x = n.b.Record(name+".attended", graph.Add(x, y))
	y = n.gelu(name+".mlp.act", n.linear(name+"."+in, n.ln(name+".norm2", x, epsilon)))
	return n.b.Record(name, graph.Add(x, n.linear(name+"."+out, y)))
}

// rolled moves what is in rows and columns up and left, and what leaves comes in at the other end.
func rolled(x *graph.Node, by int) *graph.Node {
	for axis := 1; axis <= 2 && by != 0; axis++ {
		size := x.Shape().Dimensions[axis]
		at := (by%size + size) % size
		x = graph.Concatenate([]*graph.Node{graph.SliceAxis(x, axis, graph.AxisRange(at, size)),
			graph.SliceAxis(x, axis, graph.AxisRange(0, at))}, axis)
	}
	return x
}

func (n *net) windowAttention(name string, x *graph.Node, window, shift, heads int) *graph.Node {
	d := x.Shape().Dimensions
	rows, columns, area := d[1]/window, d[2]/window, window*window
	x = graph.Reshape(x, d[0], rows, window, columns, window, d[3])
	x = graph.Reshape(graph.TransposeAllAxes(x, 0, 1, 3, 2, 4, 5), d[0]*rows*columns, area, d[3])

	// What a place adds to the score of another depends on where they are to each other.
	at := make([]int32, area*area)
	for i := range area {
		for j := range area {
			at[i*area+j] = int32((i/window-j/window+window-1)*(2*window-1) + i%window - j%window + window - 1)
		}
	}
	places := graph.ConstTensor(x.Graph(), tensors.FromFlatDataAndDimensions(at, area*area, 1))
	bias := graph.Reshape(graph.Gather(n.b.Weight(name+".relative_position_bias_table"), places), area, area, heads)
	attend := graph.ExpandAxes(graph.TransposeAllAxes(bias, 2, 0, 1), 0)
	if shift > 0 { // what was brought together by the shift alone does not see each other
		mask := graph.ConvertDType(graph.ConstTensor(x.Graph(), windowMask(d[1], d[2], window, shift)), x.DType())
		attend = graph.Add(attend, graph.ExpandAxes(mask, 1)) // [windows, heads, area, area]
		attend = graph.Reshape(graph.BroadcastToDims(graph.ExpandAxes(attend, 0), d[0], rows*columns, heads, area, area), -1,
			heads, area, area)
	}
	x = n.attended(name+".softmax", n.linear(name+".qkv", x), heads, attend)
	x = n.linear(name+".proj", x)
	x = graph.Reshape(x, d[0], rows, columns, window, window, d[3])
	return graph.Reshape(graph.TransposeAllAxes(x, 0, 1, 3, 2, 4, 5), d...)
}

// windowMask is -100 between places of a window that are no neighbours in the image, [windows, area, area].
func windowMask(height, width, window, shift int) *tensors.Tensor {
	part := func(at, size int) int {
		switch {
		case at < size-window:
			return 0
		case at < size-shift:
			return 1
		}
		return 2
	}
	area := window * window
	windows := height / window * (width / window)
	mask := slices.Repeat([]float32{0}, windows*area*area)
	for w := range windows {
		of := func(i int) int {
			y, x := w/(width/window)*window+i/window, w%(width/window)*window+i%window
			return 3*part(y, height) + part(x, width)
		}
		for i := range area {
			for j := range area {
				if of(i) != of(j) {
					mask[(w*area+i)*area+j] = -100
				}
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(mask, windows, area, area)
}
