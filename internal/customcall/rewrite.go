package customcall

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// convolution is a convolution of two images as GoMLX writes it, in one of three forms: images and a kernel; the same
// with the kernel's channels exchanged, which is the gradient by the images; and the gradient by the kernel, which
// takes the images, with channels as a batch, and the gradient by the outputs as a kernel as large as an image. In that
// one strides and dilations change places.
var convolution = regexp.MustCompile(`"stablehlo\.convolution"\((%[\w.$-]+), (%[\w.$-]+)\) \{
\s*batch_group_count = 1 : i64,
\s*dimension_numbers = #stablehlo\.conv<(` + regexp.QuoteMeta(forward) + `|` + regexp.QuoteMeta(byImages) + `|` +
	regexp.QuoteMeta(byKernel) + `)>,
\s*feature_group_count = 1 : i64,
\s*lhs_dilation = array<i64: (\d+), (\d+)>,
\s*padding = dense<\[\[(-?\d+), (-?\d+)\], \[(-?\d+), (-?\d+)\]\]> : tensor<2x2xi64>,
\s*precision_config = [^\n]*,
\s*rhs_dilation = array<i64: (\d+), (\d+)>,
\s*window_reversal = array<i1: false, false>,
\s*window_strides = array<i64: (\d+), (\d+)>
\s*\} : \(tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>, tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>\) -> tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>`)

// The axes of the three forms.
const (
	forward  = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
	byImages = "[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]"
	byKernel = "[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]"
)

// call is a custom call as it is written, of arguments by their names, with the types of these and of its results.
func call(arguments string, geometry []int64, target string, in, out []string) []byte {
	layouts := func(types []string) string {
		list := make([]string, len(types))
		for i, of := range types {
			axes := make([]string, strings.Count(of, "x"))
			for a := range axes {
				axes[a] = strconv.Itoa(len(axes) - 1 - a)
			}
			list[i] = fmt.Sprintf("dense<[%s]> : tensor<%dxindex>", strings.Join(axes, ", "), len(axes))
		}
		return strings.Join(list, ", ")
	}
	results := tensorTypes(out)
	if len(out) > 1 {
		results = "(" + results + ")"
	}
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(geometry), " ", ", "), "[]")
	return fmt.Appendf(nil, `"stablehlo.custom_call"(%s) {
      api_version = 4 : i32,
      backend_config = {geometry = array<i64: %s>},
      call_target_name = "%s",
      has_side_effect = false,
      operand_layouts = [%s],
      result_layouts = [%s]
    } : (%s) -> %s`, arguments, numbers, target, layouts(in), layouts(out), tensorTypes(in), results)
}

// tensorTypes are types as they stand in a program.
func tensorTypes(types []string) string {
	list := make([]string, len(types))
	for i, of := range types {
		list[i] = "tensor<" + of + ">"
	}
	return strings.Join(list, ", ")
}

// Convolution is a convolution of images [n, h, w, ci] with a kernel [kh, kw, ci, co] to outputs [n, oh, ow, co].
type Convolution struct {
	Strides, Dilations [2]int
	Before             [2]int // padding above and to the left
	Kernel             [2]int // height and width
	Examples           int    // that the images are of, as many to each, one example behind the other
	Images, Outputs    [4]int
	Of                 OfExamples
}

// OfExamples is what is wanted of the gradients of examples.
type OfExamples int

// What there is.
const (
	Gradients OfExamples = iota // each, [examples, kh, kw, ci, co]
	Squares                     // the sum of the squares of each, [examples]
	Weighted                    // their sum, each times a factor, [kh, kw, ci, co]
)

// ByExample is a function's name, by which it says that it is the gradient of a convolution by its kernel for each of
// the examples, of images and of the gradient by the outputs, and for [Weighted] the factors, [examples]. XLA has no
// operation that is this. Where there are no kernels of loupe's, the function is what it is.
func ByExample(c Convolution) string {
	name := functionPrefix
	for _, n := range c.numbers() {
		name += "_" + strconv.Itoa(n)
	}
	return name
}

const functionPrefix = "loupe_by_example"

// numbers are all of it.
func (c Convolution) numbers() []int {
	all := []int{c.Strides[0], c.Strides[1], c.Dilations[0], c.Dilations[1], c.Before[0], c.Before[1], c.Kernel[0],
		c.Kernel[1], c.Examples, int(c.Of)}
	return append(append(all, c.Images[:]...), c.Outputs[:]...)
}

// byExample is a call of a function that [ByExample] has named.
var byExample = regexp.MustCompile(`"func\.call"\(([^()\n]*)\) \{ callee = @` + functionPrefix +
	`((?:_\d+){18}) \} : \(([^()\n]*)\) -> tensor<([\dx]+xf32)>`)

// rewriteByExample returns what stands in the place of such a call; not ok where the shapes are not those of the name.
func rewriteByExample(text []byte) (out []byte, ok bool) {
	found := byExample.FindSubmatch(text)
	var v [18]int64
	for i, digits := range strings.Split(string(found[2]), "_")[1:] {
		number, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return nil, false
		}
		v[i] = number
	}
	x, d, examples := v[10:14], v[14:18], v[8]
	in, each := []string{shape(x), shape(d)}, fmt.Sprintf("%dxf32", examples)
	result := shape([]int64{v[6], v[7], x[3], d[3]})
	switch OfExamples(v[9]) {
	case Gradients:
		result = fmt.Sprintf("%dx%s", examples, result)
	case Squares:
		result = each
	case Weighted:
		in = append(in, each)
	default:
		return nil, false
	}
	if tensorTypes(in) != string(found[3]) || result != string(found[4]) || slices.Min(v[:4]) < 1 ||
		slices.Min(v[6:9]) < 1 ||
		slices.Min(v[10:]) < 1 || x[0] != d[0] || x[0]%examples != 0 {
		return nil, false
	}
	return call(string(found[1]), v[:8], exampleTarget, in, []string{result}), true
}

// Rewrite returns a program's text with custom calls in the place of gradients by kernels, of the convolutions that
// loupe computes faster than XLA, and of calls of named functions, and how many. What it does not know exactly stays as
// it is.
func Rewrite(program []byte) ([]byte, int) {
	n := 0
	for _, kind := range []struct {
		sign    string // what a program has that has some of it
		find    *regexp.Regexp
		rewrite func(text []byte) (out []byte, ok bool)
	}{
		{`"stablehlo.convolution"`, convolution, rewriteConvolution}, {"@" + functionPrefix, byExample, rewriteByExample},
		{"@" + normPrefix, normCall, rewriteNorm},
		{"@" + depthwisePrefix, depthwiseCall, rewriteDepthwise},
	} {
		if !bytes.Contains(program, []byte(kind.sign)) {
			continue
		}
		program = kind.find.ReplaceAllFunc(program, func(text []byte) []byte {
			if out, ok := kind.rewrite(text); ok {
				n++
				return out
			}
			return text
		})
	}
	return program, n
}

// written are a convolution's numbers, in the order in which they stand.
type written struct {
	spread, padding, dilations, strides []int64
	x, kernel, result                   []int64
}

// rewriteConvolution returns what stands in the place of a convolution; not ok where that is XLA's own.
func rewriteConvolution(text []byte) (out []byte, ok bool) {
	found := convolution.FindSubmatch(text)
	var v [22]int64
	for i, digits := range found[4:] {
		number, err := strconv.ParseInt(string(digits), 10, 32)
		if err != nil {
			return nil, false
		}
		v[i] = number
	}
	c := written{spread: v[0:2], padding: v[2:6], dilations: v[6:8], strides: v[8:10], x: v[10:14], kernel: v[14:18],
		result: v[18:22]}
	for axis := range 2 {
		if min(c.strides[axis], c.dilations[axis], c.spread[axis], c.x[1+axis]) < 1 {
			return nil, false
		}
	}
	axes := string(found[3])
	if axes == byKernel {
		return c.gradientByKernel(string(found[1]) + ", " + string(found[2]))
	}
	return c.convolution(string(found[1])+", "+string(found[2]), axes == byImages)
}

// fits tells whether a result's side is what a convolution of a side with a kernel's gives.
func (c written) fits(axis int, result, kernel int64) bool {
	all := (c.x[1+axis]-1)*c.spread[axis] + 1 + c.padding[2*axis] + c.padding[2*axis+1]
	seen := (kernel-1)*c.dilations[axis] + 1
	return kernel >= 1 && all >= seen && result == (all-seen)/c.strides[axis]+1
}

// gradientByKernel is the call of a gradient by a kernel, of images and the gradient by the outputs.
func (c written) gradientByKernel(arguments string) (out []byte, ok bool) {
	by, w := c.kernel, c.result
	for axis := range 2 {
		if c.spread[axis] != 1 || !c.fits(axis, w[axis], by[1+axis]) {
			return nil, false
		}
	}
	if c.x[0] != by[0] || w[2] != c.x[3] || w[3] != by[3] || min(c.x[0], c.x[3], by[3], w[0], w[1]) < 1 {
		return nil, false
	}
	geometry := []int64{c.dilations[0], c.dilations[1], c.strides[0], c.strides[1], c.padding[0], c.padding[2]}
	return call(arguments, geometry, target, []string{shape(c.x), shape(by)}, []string{shape(w)}), true
}

// convolution is the call of a convolution of images with a kernel.
func (c written) convolution(arguments string, exchanged bool) (out []byte, ok bool) {
	in, result := c.kernel[2], c.kernel[3]
	geometry := []int64{c.strides[0], c.strides[1], c.dilations[0], c.dilations[1], c.spread[0], c.spread[1], c.padding[0],
		c.padding[2], 0}
	if exchanged {
		in, result, geometry[8] = result, in, 1
	}
	for axis := range 2 {
		if !c.fits(axis, c.result[1+axis], c.kernel[axis]) || c.kernel[axis] > side || c.spread[axis] > spread ||
			c.spread[axis] > 1 && c.strides[axis] > 1 {
			return nil, false
		}
	}
	if c.x[0] != c.result[0] || in != c.x[3] || result != c.result[3] || min(c.x[0], in, result) < 1 || !choose(c) {
		return nil, false
	}
	return call(arguments, geometry, convolutionTarget, []string{shape(c.x), shape(c.kernel)}, []string{shape(c.result)}),
		true
}

// The limits of convolution.h.
const (
	side   = 32
	spread = 4
)

// choose tells which convolutions loupe's kernel computes; tests choose others.
var choose = written.faster

// faster tells whether loupe's kernel takes less time than XLA's, as measured (bench/RESULTS.md, "Convolutions by
// kernels"). XLA gathers the pixels that an output sees and has a matrix product, which is slow where channels are few,
// or come from images that are spread out, and as fast as loupe's or faster where they are many.
func (c written) faster() bool {
	in, out := c.x[3], c.result[3]
	switch {
	case c.kernel[0]*c.kernel[1] == 1: // XLA has it as a matrix product
		return false
	case c.kernel[0] > c.x[1] || c.kernel[1] > c.x[2]: // XLA's is a plain loop
		return true
	case c.strides[0] > 1 || c.strides[1] > 1:
		return in <= 4 && out <= 32 && c.kernel[0] <= 3 && c.kernel[1] <= 3
	case c.spread[0] > 1 || c.spread[1] > 1:
		return true
	}
	return in < 16 || out < 16 || in < 32 && out < 64
}

func shape(d []int64) string { return fmt.Sprintf("%dx%dx%dx%dxf32", d[0], d[1], d[2], d[3]) }
