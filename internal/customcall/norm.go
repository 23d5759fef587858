package customcall

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Norm is a normalisation of x, [N, H, W, C] float32, with a scale and an offset, [C], by the mean and the variance of
// each image and each of a number of groups of neighbouring channels, or, with no Groups, of the whole batch and each
// channel:
//
//	y = (x - mean) / √(variance + Epsilon) · scale + offset
//
// Its functions are called by names that say so. XLA calls loupe's code for these where there is some for the
// processor; otherwise they are what they are.
type Norm struct {
	X       [4]int
	Groups  int // 0 for batch normalisation
	Epsilon float32
	ReLU    bool // the result is max(0, y)
}

// NormPart is one of a normalisation's functions. Rows are the images, or the batch, which is one.
type NormPart int

// The functions of a normalisation.
const (
	// Moments gives of x mean and variance, [rows, groups] each.
	Moments NormPart = iota
	// Normalised gives y of x, scale, offset, and for batch normalisation mean and variance.
	Normalised
	// NormGradient gives the gradients by x, of which mean and variance are, and by scale and offset, [rows, C] each, of
	// what [Normalised] takes and the gradient by its result.
	NormGradient
)

const normPrefix = "loupe_norm"

// Name is the name of a function.
func (n Norm) Name(part NormPart) string {
	relu := 0
	if n.ReLU {
		relu = 1
	}
	name := normPrefix
	for _, v := range []uint32{uint32(part), uint32(n.X[0]), uint32(n.X[1]), uint32(n.X[2]), uint32(n.X[3]),
		uint32(n.Groups), math.Float32bits(n.Epsilon), uint32(relu)} {
		name += "_" + strconv.FormatUint(uint64(v), 10)
	}
	return name
}

// NormNamed is what a function of this name computes; it is not ok for other names.
func NormNamed(name string) (n Norm, part NormPart, ok bool) {
	rest, ok := strings.CutPrefix(name, normPrefix+"_")
	numbers := strings.Split(rest, "_")
	if !ok || len(numbers) != 8 {
		return n, 0, false
	}
	var v [8]uint32
	for i, digits := range numbers {
		number, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || i != 6 && number > math.MaxInt32 {
			return n, 0, false
		}
		v[i] = uint32(number)
	}
	n = Norm{X: [4]int{int(v[1]), int(v[2]), int(v[3]), int(v[4])}, Groups: int(v[5]), Epsilon: math.Float32frombits(v[6]),
		ReLU: v[7] == 1}
	return n, NormPart(v[0]), v[0] <= uint32(NormGradient) && v[7] <= 1 && slices.Min(n.X[:]) >= 1 &&
		n.X[3]%n.groups() == 0
}

// Rows is how many rows have moments of their own.
func (n Norm) Rows() int {
	if n.Groups == 0 {
		return 1
	}
	return n.X[0]
}

func (n Norm) groups() int {
	if n.Groups == 0 {
		return n.X[3]
	}
	return n.Groups
}

// types are those of a function's arguments and results.
func (n Norm) types(part NormPart) (in, out []string) {
	x := fmt.Sprintf("%dx%dx%dx%dxf32", n.X[0], n.X[1], n.X[2], n.X[3])
	channels, moments, by := fmt.Sprintf("%dxf32", n.X[3]), fmt.Sprintf("%dx%dxf32", n.Rows(), n.groups()),
		fmt.Sprintf("%dx%dxf32", n.Rows(), n.X[3])
	in = []string{x, channels, channels}
	if n.Groups == 0 {
		in = append(in, moments, moments)
	}
	switch part {
	case Moments:
		return in[:1], []string{moments, moments}
	case Normalised:
		return in, []string{x}
	}
	return append(in, x), []string{x, by, by}
}

// normCall is a call of a function that [Norm] names.
var normCall = regexp.MustCompile(`"func\.call"\(([^()\n]*)\) \{ callee = @(` + normPrefix +
	`(?:_\d+){8}) \} : \(([^()\n]*)\) -> (\([^()\n]*\)|tensor<[^()\n]*>)`)

// rewriteNorm returns what stands in the place of such a call; not ok where the shapes are not those of the name.
func rewriteNorm(text []byte) (out []byte, ok bool) {
	found := normCall.FindSubmatch(text)
	n, part, ok := NormNamed(string(found[2]))
	if !ok {
		return nil, false
	}
	in, results := n.types(part)
	if string(found[3]) != tensorTypes(in) || strings.Trim(string(found[4]), "()") != tensorTypes(results) {
		return nil, false
	}
	geometry := []int64{int64(n.Rows()), int64(n.groups()), int64(math.Float32bits(n.Epsilon)), 0}
	if n.ReLU {
		geometry[3] = 1
	}
	return call(string(found[1]), geometry, normTargets[part], in, results), true
}
