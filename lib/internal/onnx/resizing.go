package onnx

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Operators that look between pixels.
func init() {
	operator("Resize", 1, 4, (*call).resize)
	operator("Upsample", 1, 2, (*call).resize)
	operator("GridSample", 2, 2, (*call).gridSample)
	operator("AffineGrid", 2, 2, (*call).affineGrid)
	stayApart(always, "Resize Upsample")
	stayApart(onFirstAxis, "GridSample AffineGrid")
}

// resize is a product with a matrix for each axis that changes: every row of the result is a fixed mixture of rows, as
// is every column. https://onnx.ai/onnx/operators/onnx__Resize.html
func (c *call) resize() {
	x := c.x(0)
	d := x.Shape().Dimensions
	r := resizing{cubic: -0.75, coordinates: "half_pixel", nearest: "round_prefer_floor"}
	var scales []float64
	var sizes []int
	axes := upTo(len(d))
	roi := []float64(nil)
	switch {
	case c.node.op == "Upsample" && c.opset < 9:
		r.mode = c.text("mode", "nearest", "linear", "bilinear")
		r.coordinates, r.nearest = "asymmetric", "floor"
		scales = c.floats("scales")
		if h := c.attr("height_scale", attrFloat); h != nil {
			scales = []float64{1, 1, float64(h.f), c.float("width_scale", 1)}
		}
	case c.opset < 11: // Upsample, and the first Resize
		r.mode = c.text("mode", "nearest", "linear", "bilinear")
		r.coordinates, r.nearest = "asymmetric", "floor"
		if c.node.op == "Resize" {
			r.nearest = "simple"
		}
		scales = c.floatsOf(1)
	default:
		r.mode = c.text("mode", "nearest", "linear", "cubic")
		r.coordinates = c.text("coordinate_transformation_mode", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
			"align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize")
		r.nearest = c.text("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
		r.cubic, r.exclude = c.float("cubic_coeff_a", -0.75), c.flag("exclude_outside")
		r.antialias = c.flag("antialias") && r.mode != "nearest"
		if given := c.ints("axes"); given != nil {
			axes = c.axes(given, len(d))
		}
		if c.has(1) && r.coordinates == "tf_crop_and_resize" {
			roi = c.floatsOf(1)
		}
		if c.has(2) && c.shape(2).Size() > 0 {
			scales = c.floatsOf(2)
		}
		if c.has(3) && c.shape(3).Size() > 0 {
			sizes = c.intsOf(3)
		}
	}
	if (scales == nil) == (sizes == nil) || len(scales)+len(sizes) != len(axes) {
		c.refuse("scales=%v and sizes=%v for %d axes", scales, sizes, len(axes))
	}
	policy := c.text("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
	if sizes != nil && c.in[0].moved && axes[0] == 0 && len(axes) > 1 { // the first axis is that of the images
		sizes = slices.Clone(sizes)
		sizes[0] = d[0]
	}
	target, scale := make([]int, len(axes)), make([]float32, len(axes))
	for i, a := range axes {
		if sizes != nil {
			target[i], scale[i] = sizes[i], float32(sizes[i])/float32(d[a])
		} else {
			scale[i] = float32(scales[i])
			whole := float64(float32(d[a]) * scale[i])
			target[i] = int(math.Floor(whole))
			// ONNX takes the product, and onnxruntime what is left of it.
			if r.coordinates == "align_corners" && math.Abs(whole-math.Round(whole)) > 1e-4 && r.mode != "nearest" {
				c.refuse("coordinate_transformation_mode=align_corners and scales=%v, which do not make whole sizes of %v: it "+
					"is computed in two ways", scales, d)
			}
		}
	}
	if sizes != nil && policy != "stretch" {
		one := slices.Min(scale)
		if policy == "not_smaller" {
			one = slices.Max(scale)
		}
		for i, a := range axes {
			scale[i] = one
			target[i] = int(math.Floor(float64(one)*float64(d[a]) + 0.5))
		}
	}
	if roi != nil && len(roi) != 2*len(axes) {
		c.refuse("a roi of %d numbers for %d axes", len(roi), len(axes))
	}
	var outside *graph.Node
	for i, a := range axes {
		if target[i] < 1 || target[i] > 1<<14 || !(scale[i] > 0) {
			c.refuse("the size %v for %v", target, d)
		}
		if roi != nil {
			r.start, r.end = roi[i], roi[i+len(axes)]
			// ONNX takes the part, and onnxruntime the whole axis.
			if scale[i] == 1 && (r.start != 0 || r.end != 1) {
				c.refuse("the part %g to %g of an axis that keeps its size, which is computed in two ways", r.start, r.end)
			}
		}
		if target[i] == d[a] && scale[i] == 1 && (roi == nil || r.start == 0 && r.end == 1) {
			continue
		}
		if target[i] > matrixLimit/d[a] {
			c.refuse("the size %v for %v, which is too large", target, d)
		}
		matrix, out := r.matrix(d[a], target[i], scale[i])
		x = contractAxis(x, a, constant(c, matrix, target[i], d[a]))
		if slices.Contains(out, true) {
			dims := slices.Repeat([]int{1}, len(d))
			dims[a] = target[i]
			mask := constant(c, out, dims...)
			if outside == nil {
				outside = mask
			} else {
				outside = graph.LogicalOr(outside, mask)
			}
		}
	}
	if other := c.float("extrapolation_value", 0); outside != nil {
		d := x.Shape().Dimensions
		x = graph.Where(to(outside, d), to(scalar(x, other), d), x)
	}
	c.result(graph.Identity(x))
}

// matrixLimit is how many numbers the matrix of one axis may have: 8192 pixels of 8192.
const matrixLimit = 1 << 26

// contractAxis replaces an axis by the product of a matrix, [to, from], with it. Numbers that are whole stay so.
func contractAxis(x *graph.Node, axis int, matrix *graph.Node) *graph.Node {
	dtype := x.DType()
	if !isFloat(x) {
		x = graph.ConvertDType(x, dtypes.Float32)
	}
	matrix = converted(matrix, x.DType())
	y := graph.DotGeneral(x, []int{axis}, nil, matrix, []int{1}, nil) // the new axis is the last one
	last := y.Rank() - 1
	y = transposed(y, append(append(upTo(axis), last), trailing(axis, last)...)...)
	if dtype != x.DType() {
		y = graph.ConvertDType(y, dtype)
	}
	return y
}

// resizing is how ONNX's Resize finds its values.
type resizing struct {
	mode, coordinates, nearest string
	cubic                      float64
	antialias, exclude         bool
	start, end                 float64 // of the part of an axis that tf_crop_and_resize takes
}

// place is where the result's position i lies on an axis before. onnxruntime computes it in single precision, which
// decides ties.
func (r *resizing) place(i, from, to int, scale float32) float32 {
	switch at := float32(i); r.coordinates {
	case "asymmetric":
		return at / scale
	case "align_corners":
		if to == 1 {
			return 0
		}
		return at * float32(from-1) / float32(to-1)
	case "pytorch_half_pixel":
		if to == 1 {
			return 0
		}
		return (at+0.5)/scale - 0.5
	case "half_pixel_symmetric":
		centre := float32(from) / 2
		adjust := float32(to) / (scale * float32(from))
		return centre*(1-adjust) + (at+0.5)/scale - 0.5
	case "tf_half_pixel_for_nn":
		return (at + 0.5) / scale
	case "tf_crop_and_resize":
		if to > 1 {
			return float32(r.start)*float32(from-1) + at*float32(r.end-r.start)*float32(from-1)/float32(to-1)
		}
		return 0.5 * float32(r.start+r.end) * float32(from-1)
	default:
		return (at+0.5)/scale - 0.5
	}
}

// matrix is the matrix [to, from] of the resizing along an axis, and tells which places lie outside of the axis where
// that matters.
func (r *resizing) matrix(from, to int, scale float32) (m []float32, outside []bool) {
	m, outside = make([]float32, to*from), make([]bool, to)
	for i := range to {
		row := m[i*from : (i+1)*from]
		at := r.place(i, from, to, scale)
		outside[i] = r.coordinates == "tf_crop_and_resize" && (at < 0 || at > float32(from-1))
		if r.mode == "nearest" {
			row[min(max(r.round(at, scale < 1), 0), from-1)] = 1
			continue
		}
		reach, squeeze := 1.0, 1.0
		if r.mode == "cubic" {
			reach = 2
		}
		if r.antialias && scale < 1 {
			squeeze = float64(scale)
			reach /= squeeze
		}
		place := float64(at)
		if r.mode != "cubic" && !r.antialias {
			place = min(max(place, 0), float64(from-1))
		}
		total := 0.0
		mixture := make([]float64, from)
		for p := int(math.Floor(place - reach)); p <= int(math.Ceil(place+reach)); p++ {
			weight := r.weight((float64(p) - place) * squeeze)
			if r.exclude && (p < 0 || p >= from) {
				continue
			}
			mixture[min(max(p, 0), from-1)] += weight
			total += weight
		}
		for p, weight := range mixture {
			row[p] = float32(weight / total)
		}
	}
	return m, outside
}

// weight is what a value at that distance counts: a triangle, or cubic convolution. Keys, IEEE Transactions on
// Acoustics, Speech, and Signal Processing 29 (1981), equation 4.
func (r *resizing) weight(distance float64) float64 {
	d, a := math.Abs(distance), r.cubic
	switch {
	case r.mode != "cubic":
		return max(1-d, 0)
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}

// round is the neighbour that a place stands for.
func (r *resizing) round(at float32, reduces bool) int {
	x := float64(at)
	switch r.nearest {
	case "floor":
		return int(math.Floor(x))
	case "ceil":
		return int(math.Ceil(x))
	case "simple":
		if reduces {
			return int(math.Ceil(x))
		}
		return int(x)
	case "round_prefer_ceil":
		return int(math.Floor(x + 0.5))
	}
	return int(math.Ceil(x - 0.5))
}

// affineGrid makes the places that GridSample takes for an affine transformation.
func (c *call) affineGrid() {
	theta, size := c.x(0), c.sizesOf(1)
	n := len(size) - 2
	if n != 2 && n != 3 || !slices.Equal(theta.Shape().Dimensions, []int{size[0], n, n + 1}) {
		c.refuse("theta of %v and the size %v", theta.Shape().Dimensions, size)
	}
	corners := c.flag("align_corners")
	spatial := size[2:]
	if product(spatial) > matrixLimit/16 {
		c.refuse("the size %v, which is too large", size)
	}
	places := make([]float32, 0, product(spatial)*(n+1))
	for i := range product(spatial) {
		at, rest := make([]float32, n), i
		for a := n - 1; a >= 0; a-- { // x is the last axis and the first number
			p, length := float64(rest%spatial[a]), float64(spatial[a])
			rest /= spatial[a]
			switch {
			case !corners:
				at[n-1-a] = float32((2*p+1)/length - 1)
			case spatial[a] > 1:
				at[n-1-a] = float32(2*p/(length-1) - 1)
			}
		}
		places = append(append(places, at...), 1)
	}
	base := converted(constant(c, places, product(spatial), n+1), theta.DType())
	grid := graph.DotGeneral(theta, []int{2}, nil, base, []int{1}, nil) // [N, n, places]
	grid = graph.Reshape(graph.TransposeAllAxes(grid, 0, 2, 1), append(append([]int{size[0]}, spatial...), n)...)
	c.result(grid)
}

// gridSample takes values between pixels, of [N, C, H, W] at places [N, H', W', 2] in -1..1.
// https://onnx.ai/onnx/operators/onnx__GridSample.html
func (c *call) gridSample() {
	x, grid := c.x(0), c.x(1)
	if x.Rank() != 4 || grid.Rank() != 4 || grid.Shape().Dimensions[3] != 2 ||
		grid.Shape().Dimensions[0] != x.Shape().Dimensions[0] {
		c.refuse("an input of %v and a grid of %v, other than [N, C, H, W] and [N, H', W', 2]", x.Shape().Dimensions,
			grid.Shape().Dimensions)
	}
	mode := c.text("mode", "linear", "bilinear", "nearest", "cubic", "bicubic")
	padding := c.text("padding_mode", "zeros", "border", "reflection")
	corners := c.flag("align_corners")
	d, g := x.Shape().Dimensions, grid.Shape().Dimensions
	n, channels, h, w := d[0], d[1], d[2], d[3]
	flat := graph.Reshape(graph.TransposeAllAxes(x, 0, 2, 3, 1), n*h*w, channels)
	coordinate := func(i, size int) *graph.Node { // in pixels
		at := graph.Squeeze(graph.SliceAxis(grid, 3, graph.AxisRange(i, i+1)), 3)
		if corners {
			return graph.MulScalar(graph.OnePlus(at), float64(size-1)/2)
		}
		return graph.AddScalar(graph.MulScalar(graph.OnePlus(at), float64(size)/2), -0.5)
	}
	inside := func(at *graph.Node, size int) *graph.Node { // brought into the image as the padding says
		switch padding {
		case "border":
			return graph.ClipScalar(at, 0, float64(size-1))
		case "reflection":
			low, high := -0.5, float64(size)-0.5
			if corners {
				low, high = 0, float64(size-1)
			}
			if span := high - low; span > 0 {
				far := graph.Abs(graph.AddScalar(at, -low))
				rest := graph.Rem(far, scalar(far, 2*span))
				at = graph.AddScalar(graph.Min(rest, graph.Sub(scalar(rest, 2*span), rest)), low)
			} else {
				at = graph.ZerosLike(at)
			}
			return graph.ClipScalar(at, 0, float64(size-1))
		}
		return at
	}
	first := graph.Iota(c.g, shapes.Make(dtypes.Int32, g[:3]...), 0)
	// take is the value of whole pixels, [N, H', W', C]; 0 outside of the image.
	take := func(row, column *graph.Node) *graph.Node {
		in := graph.LogicalAnd(
			graph.LogicalAnd(graph.GreaterOrEqual(row, graph.ZerosLike(row)), graph.LessOrEqual(row, scalar(row, float64(h-1)))),
			graph.LogicalAnd(graph.GreaterOrEqual(column, graph.ZerosLike(column)),
				graph.LessOrEqual(column, scalar(column, float64(w-1)))))
		at := func(v *graph.Node, size int) *graph.Node {
			return graph.ConvertDType(graph.StopGradient(graph.ClipScalar(v, 0, float64(size-1))), dtypes.Int32)
		}
		place := graph.Add(graph.MulScalar(graph.Add(graph.MulScalar(first, float64(h)), at(row, h)), float64(w)),
			at(column, w))
		values := graph.Gather(flat, graph.ExpandAxes(place, -1))
		return graph.Where(to(graph.ExpandAxes(in, -1), values.Shape().Dimensions), values, graph.ZerosLike(values))
	}
	column, row := coordinate(0, w), coordinate(1, h)
	var y *graph.Node
	add := func(value, weight *graph.Node) {
		value = graph.Mul(value, graph.ExpandAxes(weight, -1))
		if y == nil {
			y = value
		} else {
			y = graph.Add(y, value)
		}
	}
	switch mode {
	case "nearest":
		y = take(graph.Round(inside(row, h)), graph.Round(inside(column, w)))
	case "linear", "bilinear":
		row, column = inside(row, h), inside(column, w)
		top, left := graph.Floor(row), graph.Floor(column)
		down, right := graph.Sub(row, top), graph.Sub(column, left)
		add(take(top, left), graph.Mul(graph.OneMinus(down), graph.OneMinus(right)))
		add(take(top, graph.OnePlus(left)), graph.Mul(graph.OneMinus(down), right))
		add(take(graph.OnePlus(top), left), graph.Mul(down, graph.OneMinus(right)))
		add(take(graph.OnePlus(top), graph.OnePlus(left)), graph.Mul(down, right))
	default:
		top, left := graph.Floor(row), graph.Floor(column)
		weights := func(t *graph.Node) [4]*graph.Node { // Keys' cubic convolution with -0.75
			const a = -0.75
			near := func(d *graph.Node) *graph.Node {
				return graph.OnePlus(graph.Mul(graph.Square(d), graph.AddScalar(graph.MulScalar(d, a+2), -(a+3))))
			}
			far := func(d *graph.Node) *graph.Node {
				return graph.AddScalar(graph.Mul(d, graph.AddScalar(graph.Mul(d, graph.AddScalar(graph.MulScalar(d, a), -5*a)),
					8*a)), -4*a)
			}
			return [4]*graph.Node{far(graph.OnePlus(t)), near(t), near(graph.OneMinus(t)), far(graph.AddScalar(graph.Neg(t), 2))}
		}
		down, right := weights(graph.Sub(row, top)), weights(graph.Sub(column, left))
		for i := range 4 {
			for j := range 4 {
				value := take(inside(graph.AddScalar(top, float64(i-1)), h), inside(graph.AddScalar(left, float64(j-1)), w))
				add(value, graph.Mul(down[i], right[j]))
			}
		}
	}
	c.result(graph.TransposeAllAxes(y, 0, 3, 1, 2))
}
