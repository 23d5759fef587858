package labels

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"
)

// Probabilities are the probabilities of K classes that a classifier gives N examples, which it was not trained on: a
// row for each example, its values in 0..1. They need not sum to 1.
type Probabilities interface {
	// Dims is the number of examples and of classes.
	Dims() (n, k int)
	// Row returns the probabilities of an example, [K], in buffer, which is [K] too, or where they lie; they are not to
	// be changed. It may be called from any goroutine.
	Row(i int, buffer []float64) []float64
}

type float64s struct {
	values []float64
	k      int
}

func (p float64s) Dims() (n, k int) { return len(p.values) / p.k, p.k }

func (p float64s) Row(i int, _ []float64) []float64 { return p.values[i*p.k : (i+1)*p.k : (i+1)*p.k] }

func (p float64s) within(do func([]byte, element) error) error { return do(bytesOf(p.values), double) }

// Float64s are probabilities of k classes that lie in memory one row after the other, [N, K]. They are not copied.
func Float64s(values []float64, k int) (Probabilities, error) {
	if err := checkRows(len(values), k); err != nil {
		return nil, err
	}
	return float64s{values, k}, nil
}

type float32s struct {
	values []float32
	k      int
}

func (p float32s) Dims() (n, k int) { return len(p.values) / p.k, p.k }

func (p float32s) Row(i int, buffer []float64) []float64 {
	row := p.values[i*p.k : (i+1)*p.k]
	buffer = buffer[:len(row)]
	for j, v := range row {
		buffer[j] = float64(v)
	}
	return buffer
}

func (p float32s) within(do func([]byte, element) error) error { return do(bytesOf(p.values), single) }

// Float32s is [Float64s] for single precision.
func Float32s(values []float32, k int) (Probabilities, error) {
	if err := checkRows(len(values), k); err != nil {
		return nil, err
	}
	return float32s{values, k}, nil
}

func checkRows(values, k int) error {
	if k < 2 || values < k || values%k != 0 {
		return fmt.Errorf("labels: %d probabilities make no rows of %d classes: they are [N, K], of one example or more "+
			"and of two classes or more", values, k)
	}
	return nil
}

type tensorRows struct {
	t       *tensors.Tensor
	n, k    int
	element element
}

func (p tensorRows) Dims() (n, k int) { return p.n, p.k }

func (p tensorRows) Row(i int, buffer []float64) []float64 {
	if err := p.t.ConstBytes(func(data []byte) {
		width := p.k * p.element.bytes()
		p.element.widen(data[i*width:(i+1)*width], buffer)
	}); err != nil {
		for j := range buffer { // a tensor that has been given up; found as no numbers
			buffer[j] = math.NaN()
		}
	}
	return buffer
}

func (p tensorRows) within(do func([]byte, element) error) error {
	var err error
	if broken := p.t.ConstBytes(func(data []byte) { err = do(data, p.element) }); broken != nil {
		return fmt.Errorf("labels: %w", broken)
	}
	return err
}

// FromTensor are the probabilities in a tensor [N, K] of float32, float64 or float16, such as a model's Probabilities
// returns. They are not copied.
func FromTensor(t *tensors.Tensor) (Probabilities, error) {
	if t == nil || t.Rank() != 2 {
		return nil, fmt.Errorf("labels: probabilities are a tensor [N, K]")
	}
	p := tensorRows{t: t, n: t.Shape().Dimensions[0], k: t.Shape().Dimensions[1]}
	switch t.DType() {
	case dtypes.Float64:
		p.element = double
	case dtypes.Float32:
		p.element = single
	case dtypes.Float16:
		p.element = half
	default:
		return nil, fmt.Errorf("labels: the probabilities are %s, they are float32, float64 or float16", t.DType())
	}
	if err := checkRows(p.n*p.k, p.k); err != nil {
		return nil, err
	}
	return p, nil
}

// element is how a number lies in memory or in a file, its lowest byte first.
type element int

const (
	double element = iota
	single
	half
)

func (e element) bytes() int { return 8 >> e }

// halfTable is what the 65,536 numbers of half precision are.
var halfTable = sync.OnceValue(func() *[1 << 16]float32 {
	var table [1 << 16]float32
	for bits := range table {
		table[bits] = float16.FromBits(uint16(bits)).Float32()
	}
	return &table
})

// widen turns the bytes of a row into numbers.
func (e element) widen(from []byte, to []float64) {
	switch e {
	case double:
		for j := range to {
			to[j] = math.Float64frombits(binary.LittleEndian.Uint64(from[8*j:]))
		}
	case single:
		for j := range to {
			to[j] = float64(math.Float32frombits(binary.LittleEndian.Uint32(from[4*j:])))
		}
	case half:
		table := halfTable()
		for j := range to {
			to[j] = float64(table[binary.LittleEndian.Uint16(from[2*j:])])
		}
	}
}

type clipped struct{ Probabilities }

func (p clipped) Row(i int, buffer []float64) []float64 {
	row := p.Probabilities.Row(i, buffer)
	for j, v := range row {
		buffer[j] = min(max(v, 0), 1)
	}
	return buffer
}

func (p clipped) release(lo, hi int) {
	if r, ok := p.Probabilities.(releaser); ok {
		r.release(lo, hi)
	}
}

// Clip puts probabilities below 0 at 0 and those above 1 at 1, as some files need that were written after rounding
// (that of IMDB of the paper does). What is no number stays none.
func Clip(p Probabilities) Probabilities { return clipped{p} }
