package onnx

import (
	"fmt"
	"math"
)

// resize replaces an enlargement or reduction by two products with matrices: every row of the result is a fixed
// mixture of rows, as is every column. onnx-gomlx takes cubic for linear, no notice of antialias and nearest_mode,
// and the ratio of the sizes for the scale. https://onnx.ai/onnx/operators/onnx__Resize.html
func (n *Network) resize(node Node) error {
	in := node.inputs()
	r := resizing{mode: node.text("mode"), coordinates: node.text("coordinate_transformation_mode"), nearest: node.text("nearest_mode"),
		cubic: node.float("cubic_coeff_a", -0.75), antialias: node.int("antialias", 0) != 0, exclude: node.int("exclude_outside", 0) != 0}
	var scales, sizes string
	switch {
	case node.op() == "Upsample" && n.file.opset < 9:
		return n.refuse(node, "the form of an opset before 9")
	case n.file.opset < 11: // Upsample, and the first Resize
		scales, r.coordinates, r.nearest = node.input(1), "asymmetric", "simple"
	default:
		scales, sizes = node.input(2), node.input(3)
	}
	for _, refused := range []string{"axes", "height_scale", "width_scale"} {
		if a := node.attribute(refused); a != nil {
			return n.refuse(node, refused+"="+attributeText(a))
		}
	}
	if policy := node.text("keep_aspect_ratio_policy"); policy != "" && policy != "stretch" {
		return n.refuse(node, "keep_aspect_ratio_policy="+policy)
	}
	if err := r.check(); err != "" {
		return n.refuse(node, err)
	}
	from, err := n.shapeOf(in[0])
	if err != nil {
		return err
	}
	if len(from) != 4 || from[2] < 0 || from[3] < 0 {
		return n.refuse(node, fmt.Sprintf("an input of %v, other than two spatial axes,", from))
	}
	var to [2]int
	var scale [2]float32
	if given, ok := n.file.constant(scales); ok && len(given.values) == 4 {
		if given.values[0] != 1 || given.values[1] != 1 {
			return n.refuse(node, fmt.Sprintf("scales=%v, which change other than the spatial axes,", given.values))
		}
		for a := range 2 {
			scale[a] = float32(given.values[2+a])
			to[a] = int(math.Floor(float64(float32(from[2+a]) * scale[a])))
		}
	} else if sizes == "" || scales != "" && !(ok && len(given.values) == 0) {
		return n.refuse(node, "scales that are computed")
	} else {
		if given, ok := n.file.constant(sizes); ok && len(given.values) == 4 {
			to = [2]int{given.ints()[2], given.ints()[3]}
		} else {
			// Computed from shapes: what onnx-gomlx makes of them is right, whatever it would fill them with.
			made, err := n.shapeOf(node.outputs()[0])
			if err != nil {
				return err
			}
			if len(made) != 4 || made[1] != from[1] || made[2] < 0 || made[3] < 0 {
				return n.refuse(node, fmt.Sprintf("sizes that make %v of %v", made, from))
			}
			to = [2]int{made[2], made[3]}
		}
		for a := range 2 {
			scale[a] = float32(to[a]) / float32(from[2+a])
		}
	}
	if to[0] < 1 || to[1] < 1 || to[0] > 1<<14 || to[1] > 1<<14 {
		return n.refuse(node, fmt.Sprintf("the size %v for %v", to, from))
	}
	name := node.outputs()[0] + "/loupe"
	rows := r.matrix(from[2], to[0], scale[0])
	n.file.addFloats(name+"/rows", rows, to[0], from[2])
	columns := r.matrix(from[3], to[1], scale[1]) // [to, from], wanted [from, to]
	turned := make([]float32, len(columns))
	for at, v := range columns {
		turned[at%from[3]*to[1]+at/from[3]] = v
	}
	n.file.addFloats(name+"/columns", turned, from[3], to[1])
	wide := step{op: "MatMul", inputs: []string{in[0], name + "/columns"}, output: name + "/wide"}
	n.file.become(node, "MatMul", []string{name + "/rows", name + "/wide"}, []step{wide})
	n.file.resized[node.outputs()[0]] = in[0]
	return nil
}

// resizing is how ONNX's Resize finds its values.
type resizing struct {
	mode, coordinates, nearest string
	cubic                      float64
	antialias, exclude         bool
}

// check completes the settings; what it returns, unless empty, is not known here.
func (r *resizing) check() string {
	if r.mode == "" {
		r.mode = "nearest"
	}
	if r.mode != "nearest" && r.mode != "linear" && r.mode != "bilinear" && r.mode != "cubic" {
		return "mode=" + r.mode
	}
	switch r.coordinates {
	case "":
		r.coordinates = "half_pixel"
	case "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric":
	default:
		return "coordinate_transformation_mode=" + r.coordinates
	}
	switch r.nearest {
	case "":
		r.nearest = "round_prefer_floor"
	case "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple":
	default:
		return "nearest_mode=" + r.nearest
	}
	if r.antialias && r.mode == "nearest" {
		r.antialias = false // has no effect
	}
	return ""
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
	default:
		return (at+0.5)/scale - 0.5
	}
}

// matrix is the matrix [to, from] of the resizing along an axis.
func (r *resizing) matrix(from, to int, scale float32) []float32 {
	m := make([]float32, to*from)
	for i := range to {
		row := m[i*from : (i+1)*from]
		at := r.place(i, from, to, scale)
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
	return m
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
