package attrib

import (
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/incremental"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Occlusion slides a square window over the image and gives each pixel the mean drop of the
// logit over the windows that covered it, [N, H, W, 1]. A window at the bottom or right edge is cut off there.
// Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2.
//
// Of each occluded image only that is computed which the window can have changed, see package incremental.
type Occlusion struct {
	// Window is the window's side in pixels; 0 means a seventh of the image's height.
	Window int
	// Stride is by how many pixels it moves; 0 means half a window.
	Stride int
	// Fill is what stands in the window; the zero Filler means mid-grey, as in the paper.
	Fill mask.Filler
}

// The programs' keys: what an occluded image differs in, and what lies around that.
type (
	occlusionKey struct{ side, stride int }
	aroundKey    struct{ side, stride int }
)

// Name is "occlusion".
func (Occlusion) Name() string { return "occlusion" }

// Attribute implements [Method].
func (o Occlusion) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	spec := m.Spec()
	side, stride := o.Window, o.Stride
	if side == 0 {
		side = max(1, spec.Height/7)
	}
	if stride == 0 {
		stride = max(1, side/2)
	}
	if side < 1 || side > spec.Height || side > spec.Width || stride < 1 || stride > side {
		return nil, fmt.Errorf(
			"attrib: occlusion takes a window within %d x %d and a stride of 1 up to the window, not %d and %d", spec.Height,
			spec.Width, side, stride)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	fill, err := filled(images, o.Fill, mask.Constant(0.5))
	if err != nil {
		return nil, err
	}
	unoccluded, err := classLogits(m, images, classes)
	if err != nil {
		return nil, err
	}
	h, w := spec.Height, spec.Width
	tops, lefts := starts(h, side, stride), starts(w, side, stride)
	// A window that is cut off at an edge is computed in a box that lies within the image.
	rows, columns := upTo(tops, h-side), upTo(lefts, w-side)
	local := sync.OnceValue(func() *incremental.Inference {
		l, err := incremental.New(m, side, side, rows, columns)
		if err != nil {
			panic(err)
		}
		return l
	})
	base, err := m.Exec(aroundKey{side, stride}, func(in []*graph.Node) []*graph.Node { return local().Base(in[0]) })
	if err != nil {
		return nil, err
	}
	exec, err := m.Exec(occlusionKey{side, stride}, func(in []*graph.Node) *graph.Node {
		x, fill, classes, before, at, weight, sum, around := in[0], in[1], in[2], in[3], in[4], single(in[5]), in[6], in[7:]
		count, dims := at.Shape().Dimensions[0], x.Shape().Dimensions
		place := func(axis int, places []int) *graph.Node { // [A]
			return graph.Gather(graph.ConstAsDType(x.Graph(), dtypes.Int32, places),
				graph.Slice(at, graph.AxisRange(), graph.AxisRange(axis, axis+1)))
		}
		top, left, row, column := place(0, tops), place(1, lefts), place(0, rows), place(1, columns)
		boxes := func(x *graph.Node) *graph.Node { // [A, B, side, side, C]
			return graph.GatherSlices(x, []int{1, 2}, graph.Stack([]*graph.Node{row, column}, 1), []int{side, side}, false)
		}
		patch := boxes(fill)
		if !slices.Equal(tops, rows) || !slices.Equal(lefts, columns) {
			hidden := graph.Mul(
				graph.Reshape(within(graph.Sub(top, row), side, side), count, 1, side, 1, 1),
				graph.Reshape(within(graph.Sub(left, column), side, side), count, 1, 1, side, 1))
			patch = graph.Add(graph.Mul(boxes(x), graph.OneMinus(hidden)), graph.Mul(patch, hidden))
		}
		logits := local().Call(around, graph.Reshape(patch, count*dims[0], side, side, dims[3]), at)
		after := graph.Reshape(single(m.ClassLogits(logits, tile(classes, count))), count, dims[0])
		drop := graph.Mul(graph.Sub(graph.ExpandAxes(before, 0), after), graph.ExpandAxes(weight, 1))
		covered := graph.Mul( // [A, H, W], 1 under the window
			graph.ExpandAxes(within(top, h, side), 2),
			graph.ExpandAxes(within(left, w, side), 1))
		return graph.Add(sum, graph.Einsum("ab,ahw->bhw", drop, covered))
	})
	if err != nil {
		return nil, err
	}
	n, windows := images.Shape().Dimensions[0], len(tops)*len(lefts)
	s := sweep{m, o.Name(), windows}
	inputs := []*tensors.Tensor{images, fill, model.ClassTensor(classes), tensors.FromFlatDataAndDimensions(unoccluded, n)}
	start := func(size int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(0), size, h, w) }
	var around []*tensors.Tensor
	total, stopped := s.run(inputs, start, func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
		if first == 0 {
			model.Free(around...) // the last batch's: they are large
			if around, err = base.Call(d.inputs[0]); err != nil {
				return nil, err
			}
		}
		// A window past the last has weight 0.
		at, weights := make([]int32, 2*count), make([]float64, count)
		for i := range min(count, windows-first) {
			at[2*i], at[2*i+1], weights[i] = int32((first+i)/len(lefts)), int32((first+i)%len(lefts)), 1
		}
		args := append(slices.Clone(d.inputs), tensors.FromFlatDataAndDimensions(at, count, 2),
			tensors.FromFlatDataAndDimensions(weights, count), sum)
		for _, t := range around {
			args = append(args, t)
		}
		return exec.Call1(args...)
	})
	model.Free(around...)
	if total == nil {
		return nil, stopped
	}
	values, err := tensors.CopyFlatData[float32](total)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	rowCover, columnCover := coverage(h, side, stride), coverage(w, side, stride)
	for i := range values {
		values[i] /= float32(rowCover[i/w%h] * columnCover[i%w])
	}
	return NewAttribution(o, m, tensors.FromFlatDataAndDimensions(values, total.Shape().Dimensions[0], h, w, 1), classes),
		stopped
}

// upTo are places of which none is past the last.
func upTo(places []int, last int) []int {
	within := slices.Clone(places)
	for i, at := range within {
		within[i] = min(at, last)
	}
	return within
}

// within is, for each start [A] int32, 1 at the positions start to start+side of an axis, [A, length].
func within(start *graph.Node, length, side int) *graph.Node {
	at := graph.Iota(start.Graph(), shapes.Make(dtypes.Int32, start.Shape().Dimensions[0], length), 1)
	from := graph.ExpandAxes(start, 1)
	inside := graph.LogicalAnd(graph.GreaterOrEqual(at, from), graph.LessThan(at, graph.AddScalar(from, float64(side))))
	return graph.ConvertDType(inside, dtypes.Float32)
}

// starts are the positions of the window along an axis: a stride apart, until it reaches the end.
func starts(length, side, stride int) []int {
	at := []int{0}
	for at[len(at)-1]+side < length {
		at = append(at, at[len(at)-1]+stride)
	}
	return at
}

// coverage is how many windows cover each position of an axis.
func coverage(length, side, stride int) []int {
	count := make([]int, length)
	for _, start := range starts(length, side, stride) {
		for i := start; i < min(start+side, length); i++ {
			count[i]++
		}
	}
	return count
}
