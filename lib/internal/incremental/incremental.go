// Package incremental computes a network's logits of images that differ from others in a window only, as occlusion asks
// for by the thousand.
package incremental

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"
)

// Inference computes a model's logits of images that differ from others in a window only: of each activation it
// computes again the box that the window can have changed, and reads what lies around it from the activations of the
// other images. The results are those of the whole network but for rounding. Where a box has grown to most of an
// activation, or an operation mixes all positions, everything is computed from there on.
//
// Nakandala, Kumar and Papakonstantinou, "Incremental and Approximate Inference for Faster Occlusion-based Deep CNN
// Explanations", SIGMOD 2019, section 4.1 (their exact part).
type Inference struct {
	m      *model.Model
	side   [2]int   // of the window
	places [2][]int // of its top left corner, along each axis
	reads  []reading
	whole  bool    // the model does not lend itself to it, or gains nothing
	share  float64 // of the multiplications of convolutions that are left to do
}

// reading is an activation that boxes are read from.
type reading struct {
	node   int // among the live nodes
	axes   [2]int
	filler filler
	pad    [2][2]int
}

// filler is what stands in the padding around an activation.
type filler int

const (
	anything filler = iota
	zeros
	lowest
	highest
)

// New prepares for windows of height x width pixels whose top left corners are at any of rows and any of columns.
func New(m *model.Model, height, width int, rows, columns []int) (*Inference, error) {
	l := &Inference{m: m, side: [2]int{height, width}, places: [2][]int{slices.Clone(rows), slices.Clone(columns)},
		share: 1}
	for i, length := range []int{m.Spec().Height, m.Spec().Width} {
		if len(l.places[i]) == 0 || l.side[i] < 1 || slices.Min(l.places[i]) < 0 ||
			slices.Max(l.places[i]) > length-l.side[i] {
			return nil, fmt.Errorf(
				"model: %s takes images of %d x %d, and not every window of %d x %d is within one: its rows are %v, its columns %v",
				m.Spec().Name, m.Spec().Height, m.Spec().Width, height, width, rows, columns)
		}
	}
	// What fails here is an operation that cannot be built a second time: such a model is called as it is.
	l.whole = m.Trace(func(g *graph.Graph) {
		const windows = 2
		patch := graph.Parameter(g, "patch", shapes.Make(dtypes.Float32, windows, height, width, m.Spec().Channels))
		at := graph.Parameter(g, "at", shapes.Make(dtypes.Int32, windows, 2))
		w := l.newWalk(patch, at)
		w.base = l.note(w)
		w.logits()
		if w.all > 0 {
			l.share = w.done / w.all
		}
	}) != nil || l.share > 0.95
	if l.whole {
		l.reads, l.share = []reading{{axes: [2]int{1, 2}}}, 1
	}
	return l, nil
}

// Base computes, within a graph function, what Call reads of images x, [B, H, W, C]. The number of results is the same
// for every x.
func (l *Inference) Base(x *graph.Node) []*graph.Node {
	if l.whole {
		return []*graph.Node{graph.Identity(x)}
	}
	live := liveNodes(x, l.m.CallAs(x, model.CallOptions{Plain: true}).Logits)
	var base []*graph.Node
	for _, r := range l.reads {
		node := live[r.node]
		pads := make([]graph.PadAxis, node.Rank())
		for i, axis := range r.axes {
			pads[axis] = graph.PadAxis{Start: r.pad[i][0], End: r.pad[i][1]}
		}
		if r.pad == [2][2]int{} {
			base = append(base, graph.Identity(node))
		} else {
			base = append(base, graph.Pad(node, r.filler.value(node), pads...))
		}
	}
	return base
}

func (f filler) value(like *graph.Node) *graph.Node {
	switch f {
	case lowest:
		return graph.Infinity(like.Graph(), like.DType(), -1)
	case highest:
		return graph.Infinity(like.Graph(), like.DType(), 1)
	}
	return graph.ScalarZero(like.Graph(), like.DType())
}

// Call computes, within a graph function, the logits [A·B, K] of the images that base was made of with other pixels in
// a window. Each image is given A of them: patch, [A·B, height, width, C], has the pixels, those of the first window of
// all images first, and at, [A, 2] int32, says where each of the A windows is, by the number of its row among the rows
// and of its column among the columns.
func (l *Inference) Call(base []*graph.Node, patch, at *graph.Node) *graph.Node {
	w := l.newWalk(patch, at)
	if l.whole {
		v := w.window()
		w.base = func(*graph.Node, [2]int, filler, [2][2]int) (*graph.Node, [2][2]int) { return base[0], [2][2]int{} }
		return l.m.CallAs(w.lay(nil, v, v.everything(), anything), model.CallOptions{Plain: true}).Logits
	}
	w.base = func(node *graph.Node, _ [2]int, f filler, _ [2][2]int) (*graph.Node, [2][2]int) {
		at := l.find(w.number[node], f)
		return base[at], l.reads[at].pad
	}
	return w.logits()
}

// find is the number of the reading of a node with a filler; -1 if there is none.
func (l *Inference) find(node int, f filler) int {
	return slices.IndexFunc(l.reads, func(r reading) bool { return r.node == node && (f == anything || r.filler == f) })
}

// note stands in for the base of images that are not there yet, and takes note of what a walk reads.
func (l *Inference) note(w *walk) func(node *graph.Node, axes [2]int, f filler, pad [2][2]int) (*graph.Node,
	[2][2]int) {
	return func(node *graph.Node, axes [2]int, f filler, pad [2][2]int) (*graph.Node, [2][2]int) {
		number := w.number[node]
		at := l.find(number, f)
		if at < 0 && f != anything {
			at = slices.IndexFunc(l.reads, func(r reading) bool { return r.node == number && r.filler == anything })
		}
		if at < 0 {
			at = len(l.reads)
			l.reads = append(l.reads, reading{node: number, axes: axes})
		}
		r := &l.reads[at]
		if f != anything {
			r.filler = f
		}
		shape := node.Shape().Clone()
		shape.Dimensions[0] = w.images
		for i, axis := range axes {
			for end := range 2 {
				r.pad[i][end] = max(r.pad[i][end], pad[i][end])
				shape.Dimensions[axis] += pad[i][end]
			}
		}
		return graph.Zeros(w.g, shape), pad
	}
}

// liveNodes are the nodes on a way from an image to the logits of a model built for it, in the order of computation.
func liveNodes(image, logits *graph.Node) []*graph.Node {
	seen := map[*graph.Node]bool{logits: true}
	all := []*graph.Node{logits}
	for i := 0; i < len(all); i++ {
		for _, in := range inputs(all[i]) {
			if !seen[in] {
				seen[in] = true
				all = append(all, in)
			}
		}
	}
	slices.SortFunc(all, func(a, b *graph.Node) int { return int(a.Id()) - int(b.Id()) })
	live := map[*graph.Node]bool{image: true}
	return slices.DeleteFunc(all, func(node *graph.Node) bool {
		if node != image && slices.ContainsFunc(inputs(node), func(in *graph.Node) bool { return live[in] }) {
			live[node] = true
		}
		return !live[node]
	})
}

// inputs are a node's inputs; those of a sum of shifted copies are the convolution's.
func inputs(node *graph.Node) []*graph.Node {
	if s, ok := gradients.ShiftedSumOf(node); ok {
		return []*graph.Node{s.X, s.W}
	}
	return node.Inputs()
}
