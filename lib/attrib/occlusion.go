package attrib

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Occlusion slides a square window over the image and gives each pixel the mean drop of the
// logit over the windows that covered it, [N, H, W, 1]. A window at the bottom or right edge is cut off there.
// Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2.
type Occlusion struct {
	// Window is the window's side in pixels; 0 means a seventh of the image's height.
	Window int
	// Stride is by how many pixels it moves; 0 means half a window.
	Stride int
	// Fill is what stands in the window; the zero Filler means mid-grey, as in the paper.
	Fill mask.Filler
}

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
		return nil, fmt.Errorf("attrib: occlusion takes a window within %d x %d and a stride of 1 up to the window, not %d and %d", spec.Height, spec.Width, side, stride)
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
	// Each window is the place of its top left corner; a window past the last has weight 0.
	var tops, lefts, weights []float64
	for _, top := range starts(spec.Height, side, stride) {
		for _, left := range starts(spec.Width, side, stride) {
			tops, lefts, weights = append(tops, float64(top)), append(lefts, float64(left)), append(weights, 1)
		}
	}
	exec, err := m.Exec(fmt.Sprintf("occlusion by %d pixels", side), func(in []*graph.Node) *graph.Node {
		x, fill, classes, before, top, left, weight, sum := in[0], in[1], in[2], in[3], single(in[4]), single(in[5]), single(in[6]), in[7]
		count, dims := top.Shape().Dimensions[0], x.Shape().Dimensions
		covered := graph.Mul( // [A, H, W], 1 under the window
			graph.ExpandAxes(within(top, dims[1], side), 2),
			graph.ExpandAxes(within(left, dims[2], side), 1))
		hidden := graph.Reshape(covered, count, 1, dims[1], dims[2], 1)
		occluded := graph.Add(
			graph.Mul(graph.ExpandAxes(x, 0), graph.OneMinus(hidden)),
			graph.Mul(graph.ExpandAxes(fill, 0), hidden))
		points := graph.Reshape(occluded, count*dims[0], dims[1], dims[2], dims[3])
		after := graph.Reshape(single(m.ClassLogits(m.Call(points).Logits, tile(classes, count))), count, dims[0])
		drop := graph.Mul(graph.Sub(graph.ExpandAxes(before, 0), after), graph.ExpandAxes(weight, 1))
		return graph.Add(sum, graph.Einsum("ab,ahw->bhw", drop, covered))
	})
	if err != nil {
		return nil, err
	}
	n, h, w := images.Shape().Dimensions[0], spec.Height, spec.Width
	s := sweep{m, o.Name(), len(tops)}
	inputs := []*tensors.Tensor{images, fill, model.ClassTensor(classes), tensors.FromFlatDataAndDimensions(unoccluded, n)}
	start := func(size int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(0), size, h, w) }
	total, stopped := s.run(inputs, start, func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
		return exec.Call1(append(d.inputs[:len(d.inputs):len(d.inputs)], window(tops, first, count), window(lefts, first, count), window(weights, first, count), sum)...)
	})
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
	return NewAttribution(o, m, tensors.FromFlatDataAndDimensions(values, total.Shape().Dimensions[0], h, w, 1), classes), stopped
}

// within is, for each start [A], 1 at the positions start to start+side of an axis, [A, length].
func within(start *graph.Node, length, side int) *graph.Node {
	at := graph.Iota(start.Graph(), shapes.Make(dtypes.Float32, start.Shape().Dimensions[0], length), 1)
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
