package customcall

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Depthwise is a convolution of each channel of images X, [N, H, W, C] float32, by its own kernel, [KH, KW, 1, C],
// padded with zeros: as in package gradients. Its function is called by a name that says so. XLA calls loupe's code for
// it where there is some for the processor; otherwise it is what it is.
type Depthwise struct {
	X       [4]int
	Kernel  [2]int
	Stride  int
	Padding [2][2]int // before and after the rows and the columns
}

const depthwisePrefix = "loupe_depthwise"

// Outputs are the sides of the result.
func (d Depthwise) Outputs() (out [2]int) {
	for a := range out {
		out[a] = (d.X[1+a]+d.Padding[a][0]+d.Padding[a][1]-d.Kernel[a])/d.Stride + 1
	}
	return out
}

// Name is the name of the function.
func (d Depthwise) Name() string {
	name := depthwisePrefix
	for _, v := range append(append([]int{}, d.X[:]...), d.Kernel[0], d.Kernel[1], d.Stride, d.Padding[0][0],
		d.Padding[0][1], d.Padding[1][0], d.Padding[1][1]) {
		name += "_" + strconv.Itoa(v)
	}
	return name
}

// DepthwiseNamed is what a function of this name computes; it is not ok for other names.
func DepthwiseNamed(name string) (d Depthwise, ok bool) {
	rest, ok := strings.CutPrefix(name, depthwisePrefix+"_")
	numbers := strings.Split(rest, "_")
	if !ok || len(numbers) != 11 {
		return d, false
	}
	var v [11]int
	for i, digits := range numbers {
		number, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || number < 0 || number > math.MaxInt32 {
			return d, false
		}
		v[i] = int(number)
	}
	d = Depthwise{X: [4]int(v[:4]), Kernel: [2]int(v[4:6]), Stride: v[6], Padding: [2][2]int{{v[7], v[8]}, {v[9], v[10]}}}
	if slices.Min(v[:7]) < 1 {
		return d, false
	}
	for a := range 2 {
		if d.X[1+a]+d.Padding[a][0]+d.Padding[a][1] < d.Kernel[a] {
			return d, false
		}
	}
	return d, true
}

// depthwiseCall is a call of a function that [Depthwise] names.
var depthwiseCall = regexp.MustCompile(`"func\.call"\(([^()\n]*)\) \{ callee = @(` + depthwisePrefix +
	`(?:_\d+){11}) \} : \(([^()\n]*)\) -> tensor<([\dx]+xf32)>`)

// rewriteDepthwise returns what stands in the place of such a call; not ok where the shapes are not those of the name.
func rewriteDepthwise(text []byte) (out []byte, ok bool) {
	found := depthwiseCall.FindSubmatch(text)
	d, ok := DepthwiseNamed(string(found[2]))
	if !ok {
		return nil, false
	}
	sides := d.Outputs()
	in := []string{fmt.Sprintf("%dx%dx%dx%dxf32", d.X[0], d.X[1], d.X[2], d.X[3]),
		fmt.Sprintf("%dx%dx1x%dxf32", d.Kernel[0], d.Kernel[1], d.X[3])}
	result := fmt.Sprintf("%dx%dx%dx%dxf32", d.X[0], sides[0], sides[1], d.X[3])
	if string(found[3]) != tensorTypes(in) || string(found[4]) != result {
		return nil, false
	}
	geometry := []int64{int64(d.Stride), int64(d.Padding[0][0]), int64(d.Padding[1][0])}
	return call(string(found[1]), geometry, depthwiseTarget, in, []string{result}), true
}
