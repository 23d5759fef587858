package customcall

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// convolution is a convolution of two images as GoMLX writes it: the gradient by the kernel takes the images, with
// channels as a batch, and the gradient by the outputs as a kernel as large as an image. Strides and dilations change
// places.
var convolution = regexp.MustCompile(`"stablehlo\.convolution"\((%[\w.$-]+), (%[\w.$-]+)\) \{
\s*batch_group_count = 1 : i64,
\s*dimension_numbers = #stablehlo\.conv<\[f, 0, 1, b\]x\[i, 0, 1, o\]->\[0, 1, b, f\]>,
\s*feature_group_count = 1 : i64,
\s*lhs_dilation = array<i64: 1, 1>,
\s*padding = dense<\[\[(-?\d+), (-?\d+)\], \[(-?\d+), (-?\d+)\]\]> : tensor<2x2xi64>,
\s*precision_config = [^\n]*,
\s*rhs_dilation = array<i64: (\d+), (\d+)>,
\s*window_reversal = array<i1: false, false>,
\s*window_strides = array<i64: (\d+), (\d+)>
\s*\} : \(tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>, tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>\) -> tensor<(\d+)x(\d+)x(\d+)x(\d+)xf32>`)

// call is a custom call as it is written, of images and the gradient by the outputs.
func call(x, d []byte, geometry []int64, target, xShape, dShape, resultShape string) []byte {
	layout := func(shape string) string {
		axes := make([]string, strings.Count(shape, "x"))
		for i := range axes {
			axes[i] = strconv.Itoa(len(axes) - 1 - i)
		}
		return fmt.Sprintf("dense<[%s]> : tensor<%dxindex>", strings.Join(axes, ", "), len(axes))
	}
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(geometry), " ", ", "), "[]")
	return fmt.Appendf(nil, `"stablehlo.custom_call"(%s, %s) {
      api_version = 4 : i32,
      backend_config = {geometry = array<i64: %s>},
      call_target_name = "%s",
      has_side_effect = false,
      operand_layouts = [%s, %s],
      result_layouts = [%s]
    } : (tensor<%s>, tensor<%s>) -> tensor<%s>`, x, d, numbers, target, layout(xShape), layout(dShape), layout(resultShape), xShape, dShape, resultShape)
}

// Convolution is a convolution of images [n, h, w, ci] with a kernel [kh, kw, ci, co] to outputs [n, oh, ow, co].
type Convolution struct {
	Strides, Dilations [2]int
	Before             [2]int // padding above and to the left
	Kernel             [2]int // height and width
	Examples           int    // that the images are of, as many to each, one example behind the other
	Images, Outputs    [4]int
	Squares            bool // only the sum of squares is wanted
}

// ByExample is a function's name, by which it says that it is the gradient of a convolution by its kernel for each of
// the examples, of images and of the gradient by the outputs: [examples, kh, kw, ci, co] of c's geometry, or the sums of
// their squares, [examples]. XLA has no operation that is this. Where there are no kernels of loupe's, the function is what it is.
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
	all := []int{c.Strides[0], c.Strides[1], c.Dilations[0], c.Dilations[1], c.Before[0], c.Before[1], c.Kernel[0], c.Kernel[1], c.Examples, 0}
	if c.Squares {
		all[9] = 1
	}
	return append(append(all, c.Images[:]...), c.Outputs[:]...)
}

// byExample is a call of a function that [ByExample] has named.
var byExample = regexp.MustCompile(`"func\.call"\((%[\w.$-]+), (%[\w.$-]+)\) \{ callee = @` + functionPrefix + `((?:_\d+){18}) \}` +
	` : \(tensor<([\dx]+xf32)>, tensor<([\dx]+xf32)>\) -> tensor<([\dx]+xf32)>`)

// rewriteByExample returns what stands in the place of such a call; not ok where the shapes are not those of the name.
func rewriteByExample(text []byte) (out []byte, ok bool) {
	found := byExample.FindSubmatch(text)
	var v [18]int64
	for i, digits := range strings.Split(string(found[3]), "_")[1:] {
		number, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return nil, false
		}
		v[i] = number
	}
	x, d, examples := v[10:14], v[14:18], v[8]
	result := fmt.Sprintf("%dx%dx%dx%dx%dxf32", examples, v[6], v[7], x[3], d[3])
	if v[9] == 1 {
		result = fmt.Sprintf("%dxf32", examples)
	}
	if shape(x) != string(found[4]) || shape(d) != string(found[5]) || result != string(found[6]) || slices.Min(v[:4]) < 1 || slices.Min(v[6:9]) < 1 ||
		slices.Min(v[10:]) < 1 || x[0] != d[0] || x[0]%examples != 0 {
		return nil, false
	}
	return call(found[1], found[2], v[:8], exampleTarget, shape(x), shape(d), result), true
}

// Rewrite returns a program's text with custom calls in the place of gradients by kernels, and how many. What it does
// not know exactly stays as it is.
func Rewrite(program []byte) ([]byte, int) {
	n := 0
	if bytes.Contains(program, []byte("[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]")) {
		program = convolution.ReplaceAllFunc(program, func(text []byte) []byte {
			if out, ok := rewriteConvolution(text); ok {
				n++
				return out
			}
			return text
		})
	}
	if bytes.Contains(program, []byte("@"+functionPrefix)) {
		program = byExample.ReplaceAllFunc(program, func(text []byte) []byte {
			if out, ok := rewriteByExample(text); ok {
				n++
				return out
			}
			return text
		})
	}
	return program, n
}

// rewriteConvolution returns what stands in the place of a convolution that is a gradient by a kernel.
func rewriteConvolution(text []byte) (out []byte, ok bool) {
	found := convolution.FindSubmatch(text)
	var v [20]int64 // the numbers, in the order in which they stand
	for i, digits := range found[3:] {
		number, err := strconv.ParseInt(string(digits), 10, 32)
		if err != nil {
			return nil, false
		}
		v[i] = number
	}
	padding, strides, dilations := v[0:4], v[4:6], v[6:8]
	x, d, w := v[8:12], v[12:16], v[16:20]
	for axis := range 2 {
		seen := (d[1+axis]-1)*strides[axis] + 1
		if strides[axis] < 1 || dilations[axis] < 1 || d[1+axis] < 1 ||
			w[axis] != (x[1+axis]+padding[2*axis]+padding[2*axis+1]-seen)/dilations[axis]+1 {
			return nil, false
		}
	}
	if x[0] != d[0] || w[2] != x[3] || w[3] != d[3] || min(x[0], x[1], x[2], x[3], d[3], w[0], w[1]) < 1 {
		return nil, false
	}
	geometry := []int64{strides[0], strides[1], dilations[0], dilations[1], padding[0], padding[2]}
	return call(found[1], found[2], geometry, target, shape(x), shape(d), shape(w)), true
}

func shape(d []int64) string { return fmt.Sprintf("%dx%dx%dx%dxf32", d[0], d[1], d[2], d[3]) }
