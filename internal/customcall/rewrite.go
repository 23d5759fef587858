package customcall

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
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

const written = `"stablehlo.custom_call"(%s, %s) {
      api_version = 4 : i32,
      backend_config = {geometry = array<i64: %d, %d, %d, %d, %d, %d>},
      call_target_name = "%s",
      has_side_effect = false,
      operand_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>, dense<[3, 2, 1, 0]> : tensor<4xindex>],
      result_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>]
    } : (tensor<%s>, tensor<%s>) -> tensor<%s>`

// Rewrite returns a program's text with custom calls in the place of gradients by kernels, and how many. What it does
// not know exactly stays as it is.
func Rewrite(program []byte) ([]byte, int) {
	if !bytes.Contains(program, []byte("[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]")) {
		return program, 0
	}
	n := 0
	out := convolution.ReplaceAllFunc(program, func(text []byte) []byte {
		found := convolution.FindSubmatch(text)
		var v [20]int64 // the numbers, in the order in which they stand
		for i, digits := range found[3:] {
			number, err := strconv.ParseInt(string(digits), 10, 32)
			if err != nil {
				return text
			}
			v[i] = number
		}
		padding, strides, dilations := v[0:4], v[4:6], v[6:8]
		x, d, w := v[8:12], v[12:16], v[16:20]
		for axis := range 2 {
			seen := (d[1+axis]-1)*strides[axis] + 1
			if strides[axis] < 1 || dilations[axis] < 1 || d[1+axis] < 1 ||
				w[axis] != (x[1+axis]+padding[2*axis]+padding[2*axis+1]-seen)/dilations[axis]+1 {
				return text
			}
		}
		if x[0] != d[0] || w[2] != x[3] || w[3] != d[3] || min(x[0], x[1], x[2], x[3], d[3], w[0], w[1]) < 1 {
			return text
		}
		n++
		return fmt.Appendf(nil, written, found[1], found[2], strides[0], strides[1], dilations[0], dilations[1],
			padding[0], padding[2], Target, shape(x), shape(d), shape(w))
	})
	return out, n
}

func shape(d []int64) string { return fmt.Sprintf("%dx%dx%dx%dxf32", d[0], d[1], d[2], d[3]) }
